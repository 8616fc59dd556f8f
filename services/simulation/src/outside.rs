//! The wild strategy: a program outside, which wants everything that an order can be.
//!
//! What it wants of a bar is a function of the seed and of the bar, so that it signals the same when it is
//! started again: it publishes, waits for the acknowledgement and then acknowledges the bar.

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, OrderType, Signal, SignalLeg, TimeInForce};
use contracts::{Subject, signal_id, stream};
use event_log::{Append, AppendError, Delivery, Expect, LogError, Tape};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio_util::sync::CancellationToken;

use crate::setup::{WILD, WILD_CONSUMER};

const E9: i64 = 1_000_000_000;

/// Why it stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A signal was refused.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Runs it until `shutdown`. With `groups` a leg of a pair may wait for a price that is far, while the other one fills.
pub async fn run(tape: Tape, seed: u64, groups: bool, shutdown: CancellationToken) -> Result<(), Error> {
    let mut consumer = tape.consume(stream::MARKET, WILD_CONSUMER).await?;
    loop {
        let batch = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            batch = consumer.batch(16) => batch?,
        };
        for delivery in batch {
            let sequence = delivery.sequence();
            if let Delivery::Event(recorded) = delivery {
                for (index, signal) in (0u32..).zip(wants(seed, groups, &recorded.event)) {
                    publish(&tape, &shutdown, &recorded.event, sequence, index, signal).await?;
                }
            }
            consumer.ack(sequence).await?;
        }
    }
}

async fn publish(
    tape: &Tape,
    shutdown: &CancellationToken,
    cause: &Event,
    sequence: u64,
    index: u32,
    signal: Signal,
) -> Result<(), AppendError> {
    let symbol = signal.legs.first().map(|leg| leg.symbol.clone()).unwrap_or_default();
    let event = Event {
        id: signal_id(WILD, &cause.id, index),
        event_time: cause.event_time,
        source: WILD.to_owned(),
        correlation_id: cause.id.clone(),
        causation_id: cause.id.clone(),
        basis: vec![contracts::v1::Basis { stream: stream::MARKET.to_owned(), sequence }],
        body: Some(Body::Signal(signal)),
        ..Event::default()
    };
    let append = Append { subject: Subject::signal(WILD, &symbol), event, expect: Expect::Nothing };
    runtime::append(tape, shutdown, append).await.map(drop)
}

/// What it wants of an event of MARKET.
fn wants(seed: u64, groups: bool, event: &Event) -> Vec<Signal> {
    let Some(Body::Bar(bar)) = &event.body else { return Vec::new() };
    let mut rng = choices(seed, event, "wild");
    if rng.random_range(0..100) >= 40 {
        return Vec::new();
    }
    let legs = match rng.random_range(0..12) {
        0 => {
            let mut legs = pair(&mut rng, &bar.symbol);
            if groups && choices(seed, event, "wild/groups").random_range(0..2) == 0 {
                part(&mut legs, bar.close_e9);
            }
            legs
        }
        1 => vec![target(&mut rng, &bar.symbol)],
        2 | 3 => vec![leg(&bar.symbol, Intent::Exit)],
        _ => vec![entry(&mut rng, &bar.symbol, bar.close_e9)],
    };
    vec![Signal { strategy: WILD.to_owned(), legs, reason: "wild".to_owned(), ..Signal::default() }]
}

/// The generator of what it wants of an event, of `kind`.
fn choices(seed: u64, event: &Event, kind: &str) -> ChaCha8Rng {
    let digest = contracts::event_id(&event.id, kind, u32::try_from(seed & 0xffff_ffff).unwrap_or(0));
    let mut bytes = [0; 32];
    bytes.copy_from_slice(&digest.as_bytes()[..32]);
    ChaCha8Rng::from_seed(bytes)
}

/// The first leg of a pair waits for a price that seldom comes, the other one fills at the next bar.
fn part(legs: &mut [SignalLeg], close_e9: i64) {
    for (place, leg) in legs.iter_mut().enumerate() {
        leg.trail_rate_e9 = None;
        leg.time_in_force = TimeInForce::Gtc.into();
        leg.order_type = if place == 0 { OrderType::Limit } else { OrderType::Market }.into();
        // It is bought: four in a hundred below the close.
        leg.limit_price_e9 = (place == 0).then(|| away(close_e9, -40));
    }
}

/// A price that is so many in a thousand above another one, in whole cents.
pub fn away(price_e9: i64, permille: i64) -> i64 {
    (price_e9 / 1_000 * (1_000 + permille)).max(E9 / 100) / 10_000_000 * 10_000_000
}

fn leg(symbol: &str, intent: Intent) -> SignalLeg {
    SignalLeg { symbol: symbol.to_owned(), intent: intent.into(), ..SignalLeg::default() }
}

fn target(rng: &mut ChaCha8Rng, symbol: &str) -> SignalLeg {
    SignalLeg { weight_e9: rng.random_range(0..4) * E9 / 20, ..leg(symbol, Intent::Target) }
}

fn pair(rng: &mut ChaCha8Rng, symbol: &str) -> Vec<SignalLeg> {
    let others = ingest::source::SYMBOLS.iter().take(3).map(|symbol| symbol.symbol);
    let other = others.filter(|other| *other != symbol).nth(rng.random_range(0..2)).unwrap_or("ACMEX");
    let quantity_e9 = Some(rng.random_range(1..20) * E9);
    // Some rest for long, so that what becomes of one leg is seen by the other.
    let rests = rng.random_range(0..2) == 0;
    let leg = |symbol, intent| {
        let leg = SignalLeg { quantity_e9, ..leg(symbol, intent) };
        if !rests {
            return leg;
        }
        SignalLeg {
            order_type: OrderType::TrailingStop.into(),
            time_in_force: TimeInForce::Gtc.into(),
            trail_rate_e9: Some(E9 / 10),
            ..leg
        }
    };
    let second = if rng.random_range(0..2) == 0 { Intent::EnterShort } else { Intent::EnterLong };
    vec![leg(symbol, Intent::EnterLong), leg(other, second)]
}

fn entry(rng: &mut ChaCha8Rng, symbol: &str, close_e9: i64) -> SignalLeg {
    let long = rng.random_range(0..3) > 0;
    let (intent, sign) = if long { (Intent::EnterLong, 1) } else { (Intent::EnterShort, -1) };
    let at = |permille: i64| Some(away(close_e9, sign * permille));
    let mut leg = leg(symbol, intent);
    if rng.random_range(0..4) > 0 {
        leg.quantity_e9 = Some(rng.random_range(1..120) * E9);
    }
    let near = rng.random_range(0..6);
    let (order_type, patient) = match rng.random_range(0..7) {
        0 | 1 => (OrderType::Market, false),
        2 | 3 => {
            leg.limit_price_e9 = at(-near);
            (OrderType::Limit, false)
        }
        4 => {
            leg.stop_price_e9 = at(near);
            (OrderType::Stop, true)
        }
        5 => {
            (leg.stop_price_e9, leg.limit_price_e9) = (at(near), at(near + 2));
            (OrderType::StopLimit, true)
        }
        _ => {
            leg.trail_rate_e9 = Some(E9 / 1_000 * (1 + near));
            (OrderType::TrailingStop, true)
        }
    };
    leg.order_type = order_type.into();
    leg.time_in_force = time_in_force(rng, patient).into();
    if rng.random_range(0..4) == 0 {
        leg.take_profit_price_e9 = at(8);
        if rng.random_range(0..3) > 0 {
            leg.stop_loss_price_e9 = at(-8);
        }
    }
    leg
}

/// How long an order works: one that is `patient` waits for its price.
pub fn time_in_force(rng: &mut ChaCha8Rng, patient: bool) -> TimeInForce {
    let all = [
        TimeInForce::Day,
        TimeInForce::Gtc,
        TimeInForce::Ioc,
        TimeInForce::Fok,
        TimeInForce::Opg,
        TimeInForce::Cls,
    ];
    let most = if patient { 2 } else { all.len() };
    all[rng.random_range(0..most)]
}
