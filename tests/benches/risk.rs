//! How long a risk decision takes, from the signal that is on the tape to the decision that is.
//!
//! Starts `tapedeck up` on a tape of its own: a nats-server that syncs every write before it acknowledges,
//! PostgreSQL, all services in one process, on the wall clock. A source, here, appends signals of one leg, then of two,
//! at 200 a second. Measured is the time between what the server wrote down when it had stored the signal and when it
//! had stored the decision; and beside it what such a decision is made of, alone on the same servers: an append, a
//! batch of two, the snapshot of the read model.
//!
//! The first signals are approved, until as many orders are open as a limit allows; the others are denied by the last
//! rule that is checked, after everything has been measured that an approval measures.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "deck/mod.rs"]
mod deck;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::v1::event::Body;
use contracts::v1::{
    AlertRaised, Basis, Event, Intent, LimitScope, LimitsSet, Origin, Signal, SignalLeg, StrategyEnabled,
    StrategyMode, StrategyRegistered, TimeInForce, TradeLimits,
};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use deck::{ready, with_deck};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use event_log::{Append, Delivery, Expect, Tape, connect};

const PER_SECOND: u32 = 200;
const SYMBOLS: usize = 40;
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(20);
const OPEN_ORDERS: u32 = 20;
/// Single appends, batches and snapshots measured alone.
const ALONE: usize = 300;

const CONFIGURATION: &str = r#"
[account.paper]
cash = 100000000
max_position = 1
max_exposure = 10
max_order_value = 100000000
max_daily_loss = 1
max_price_age_s = 4000000000

[strategy.idle]
kind = "sma_cross"
mode = "off"
"#;

fn main() -> anyhow::Result<()> {
    with_deck(CONFIGURATION, measure)
}

async fn measure(home: &Path) -> anyhow::Result<()> {
    let options = ready(home, "risk bench").await?;
    let tape: Tape = Arc::new(connect(options).await?);
    prepare(&tape).await?;
    alone(&tape, home).await?;
    let single = run(&tape, "single", 1).await?;
    let groups = run(&tape, "group", 2).await?;
    let within = single.0 <= Duration::from_micros(1_500)
        && single.1 <= Duration::from_millis(5)
        && groups.0 <= Duration::from_millis(5);
    let verdict = if within { "within" } else { "ABOVE" };
    println!("{verdict} the bars: single leg p50 1.5 ms and p99 5 ms, groups p50 5 ms");
    Ok(())
}

async fn put(tape: &Tape, name: &str, event_ns: i64, body: Body) -> anyhow::Result<u64> {
    let event = Event {
        id: event_id(name, "bench", 0),
        event_time: Some(to_timestamp(event_ns)),
        source: "bench".to_owned(),
        correlation_id: event_id(name, "bench", 0),
        body: Some(body),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, None).ok_or_else(|| anyhow::anyhow!("no subject"))?;
    Ok(tape.append(Append { subject, event, expect: Expect::Nothing }).await?.sequence)
}

fn now_ns() -> i64 {
    runtime::now_ns()
}

/// A strategy, limits that measure, and a price of every symbol; then the mark that execution makes of them.
async fn prepare(tape: &Tape) -> anyhow::Result<()> {
    let now = now_ns();
    let registered = StrategyRegistered {
        strategy: "bench".to_owned(),
        sizing: domain::sizing::parse("fixed:10"),
        account: "paper".to_owned(),
        ..StrategyRegistered::default()
    };
    put(tape, "registered", now, Body::StrategyRegistered(registered)).await?;
    let enabled = StrategyEnabled {
        strategy: "bench".to_owned(),
        mode: StrategyMode::Paper.into(),
        actor: "bench".to_owned(),
    };
    put(tape, "enabled", now, Body::StrategyEnabled(enabled)).await?;
    let mut limits = TradeLimits::default();
    let open = OPEN_ORDERS.to_string();
    for (name, value) in [
        ("max_gross_exposure", "90000000"),
        ("max_net_exposure", "90000000"),
        ("max_leverage", "3"),
        ("max_position_value", "1000000"),
        ("max_open_orders", open.as_str()),
    ] {
        domain::risk::fields::state(&mut limits, name, value)?;
    }
    let scope = Some(LimitScope { account: "paper".to_owned(), ..LimitScope::default() });
    let set = LimitsSet { scope, version: 1, limits: Some(limits), ..LimitsSet::default() };
    put(tape, "limits", now, Body::LimitsSet(set)).await?;
    for symbol in 0..SYMBOLS {
        let close = Price(100_000_000_000);
        let bar = Bar {
            start_ns: now - 60_000_000_000,
            close_ns: now,
            open: close,
            high: close,
            low: close,
            close,
            volume: Volume(1_000_000),
        };
        let body = bar.to_wire(&format!("SYM{symbol}"), Timeframe::M1, Origin::Live);
        put(tape, &format!("bar/{symbol}"), now, Body::Bar(body)).await?;
    }
    for _ in 0..600 {
        if tape.last(stream::TRADING, "account.paper.marked").await?.is_some() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the account was not marked within 30 s")
}

/// What a decision is made of, measured while nothing else happens.
async fn alone(tape: &Tape, home: &Path) -> anyhow::Result<()> {
    // About as long as a decision, and nobody's to act on.
    let alert = || AlertRaised {
        account: "bench".to_owned(),
        kind: "bench".to_owned(),
        detail: "x".repeat(600),
        ..AlertRaised::default()
    };
    let event = |name: String| Event {
        id: event_id(&name, "bench", 0),
        event_time: Some(to_timestamp(now_ns())),
        body: Some(Body::AlertRaised(alert())),
        ..Event::default()
    };
    let subject = || Subject::of(&["control", "monitor", "bench", "alert"]);
    let (mut appends, mut batches, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..ALONE {
        let entry = |part: u32| Append {
            subject: subject(),
            event: event(format!("alone/{index}/{part}")),
            expect: Expect::Nothing,
        };
        let began = Instant::now();
        tape.append(entry(0)).await?;
        appends.push(began.elapsed());
        let began = Instant::now();
        tape.append_batch(vec![entry(1), entry(2)]).await?;
        batches.push(began.elapsed());
    }
    let text = std::fs::read_to_string(home.join("tapes/main/running.json"))?;
    let addresses: serde_json::Value = serde_json::from_str(&text)?;
    if let Some(url) = addresses["reader_url"].as_str() {
        let pool = projections::reader_pool(url.parse()?, 1).await?;
        for _ in 0..ALONE {
            let began = Instant::now();
            projections::queries::deciding_snapshot(&pool, &["none".to_owned()]).await?;
            snapshots.push(began.elapsed());
        }
        pool.close().await;
    }
    line("alone: append, synced", appends);
    line("alone: batch of two, synced", batches);
    line("alone: snapshot of the read model", snapshots);
    Ok(())
}

fn leg(symbol: usize) -> SignalLeg {
    SignalLeg {
        symbol: format!("SYM{symbol}"),
        intent: Intent::EnterLong.into(),
        time_in_force: TimeInForce::Gtc.into(),
        quantity_e9: Some(1_000_000_000),
        ..SignalLeg::default()
    }
}

/// Signals of so many legs; gives the median and the 99th percentile of their decisions.
async fn run(tape: &Tape, name: &str, legs: usize) -> anyhow::Result<(Duration, Duration)> {
    let market = tape.state(stream::MARKET).await?.last_sequence;
    let head = tape.state(stream::TRADING).await?.last_sequence;
    let mut trading =
        tape.read(stream::TRADING, &["signal.bench.>".to_owned(), "risk.>".to_owned()], head + 1).await?;
    let watching = tokio::spawn(async move {
        let (mut signals, mut decided) = (HashMap::new(), Vec::new());
        let mut quiet = Instant::now();
        while quiet.elapsed() < Duration::from_secs(3) {
            let batch = tokio::time::timeout(Duration::from_secs(1), trading.batch(512)).await;
            let Ok(batch) = batch else { continue };
            for delivery in batch? {
                let Delivery::Event(recorded) = delivery else { continue };
                let at = recorded.event.recorded_time.as_ref().and_then(from_timestamp).unwrap_or_default();
                quiet = Instant::now();
                match &recorded.event.body {
                    Some(Body::Signal(_)) => {
                        signals.insert(recorded.event.id.clone(), at);
                    }
                    Some(Body::RiskDecision(decision)) => {
                        let signal_id = recorded.event.causation_id.clone();
                        decided.push((signal_id, at, !decision.orders.is_empty(), decision.rule.clone()));
                    }
                    _ => {}
                }
            }
        }
        anyhow::Ok((signals, decided))
    });
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (began, began_ns) = (Instant::now(), now_ns());
    let mut sent = 0usize;
    while began.elapsed() < WARM_UP + MEASURED {
        ticks.tick().await;
        let signal = Signal {
            strategy: "bench".to_owned(),
            legs: (0..legs).map(|index| leg((sent * legs + index) % SYMBOLS)).collect(),
            ..Signal::default()
        };
        let event = Event {
            id: event_id(&format!("{name}/{sent}"), "bench", 0),
            event_time: Some(to_timestamp(now_ns())),
            source: "bench".to_owned(),
            basis: vec![Basis { stream: stream::MARKET.to_owned(), sequence: market }],
            body: Some(Body::Signal(signal)),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None).ok_or_else(|| anyhow::anyhow!("no subject"))?;
        let tape = Arc::clone(tape);
        tokio::spawn(async move {
            tape.append(Append { subject, event, expect: Expect::Nothing }).await.map(drop)
        });
        sent += 1;
    }
    let (signals, decided) = watching.await??;
    let warm_ns = began_ns + i64::try_from(WARM_UP.as_nanos())?;
    let (mut times, mut approved, mut rules) = (Vec::new(), 0usize, HashMap::<String, usize>::new());
    for (signal_id, at, orders, rule) in decided {
        approved += usize::from(orders);
        *rules.entry(rule).or_default() += 1;
        if let Some(stored) = signals.get(&signal_id).filter(|stored| **stored >= warm_ns) {
            times.push(Duration::from_nanos(u64::try_from(at - stored).unwrap_or_default()));
        }
    }
    let per_second = sent as f64 / began.elapsed().as_secs_f64();
    println!("{name}: {sent} signals of {legs} at {per_second:.0}/s, {approved} approved; {rules:?}");
    anyhow::ensure!(!times.is_empty(), "nothing was decided");
    Ok(line(&format!("{name}: signal stored → decision stored"), times))
}

/// Prints the distribution; gives its median and its 99th percentile.
fn line(name: &str, mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let at = |percent| at(percent).copied().unwrap_or_default();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name:40} p50 {:6.2} ms  p90 {:6.2} ms  p99 {:6.2} ms  max {:6.2} ms",
        millis(at(50)),
        millis(at(90)),
        millis(at(99)),
        millis(at(100))
    );
    (at(50), at(99))
}
