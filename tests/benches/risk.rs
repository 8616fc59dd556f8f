//! How long a risk decision takes, from the signal that is delivered to the decision that is on the disk.
//!
//! Starts `tapedeck up` on a tape of its own: a nats-server that syncs every write before it acknowledges,
//! PostgreSQL, all services in one process, on the wall clock. A source, here, appends signals of one leg, then of two,
//! at 200 a second, and bars beside them. A reader, here, on a thread and a connection of its own, follows the same
//! stream as risk does. Measured is, by this machine's monotonic clock, from the moment at which the reader is given
//! the signal to the moment at which it is given the decision. The server delivers what it has synced, so the
//! decision's own append is in it, and one delivery more than risk waits for. Where a signal and its decision are given
//! to the reader in one go, the time counts from the sending of the signal. The time from the sending is printed beside
//! it, and what a decision is made of, alone on the same servers: an append, a batch of two, the snapshot of the read
//! model.
//!
//! Every second signal is approved. Its orders go to the simulated broker, those of a group together, and fill at the
//! next bars, half of them bought and half of them sold, so that the book stays small and decisions stand between fills,
//! which a snapshot has to hold. The others are denied by one of the last rules that are checked, after everything has
//! been measured that an approval measures. Both are counted apart, and both have to keep the bars.
//!
//! Fails when a signal stays without a decision or an approved order without its fill; a bar that is missed is printed.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "deck/mod.rs"]
mod deck;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use contracts::v1::event::Body;
use contracts::v1::{
    AlertRaised, Basis, Event, Intent, LimitScope, LimitsSet, Origin, Signal, SignalLeg, StrategyEnabled,
    StrategyMode, StrategyRegistered, TimeInForce, TradeLimits,
};
use contracts::{Subject, bar_id, event_id, stream, to_timestamp};
use deck::{ready, with_deck};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use event_log::{Append, ConnectOptions, Delivery, Expect, Tape, connect};
use tokio::task::JoinSet;

const PER_SECOND: u32 = 200;
/// Symbols in which orders are approved; each is bought in one round and sold in the next.
const FREE: usize = 36;
/// All symbols; those behind the free ones are denied.
const SYMBOLS: usize = 40;
/// So many signals to a bar: 40 bars a second, one of each symbol.
const SIGNALS_PER_BAR: usize = 5;
const WARM_UP: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(20);
/// Time without any news after which what is missing counts as lost.
const QUIET_MAX: Duration = Duration::from_secs(10);
/// Time that the last orders get to fill.
const SETTLE_MAX: Duration = Duration::from_secs(60);
/// Single appends, batches and snapshots measured alone.
const ALONE: usize = 300;
const MINUTE_NS: i64 = 60_000_000_000;
const PRICE: Price = Price(100_000_000_000);
const SINGLE_P50: Duration = Duration::from_micros(1_500);
const SINGLE_P99: Duration = Duration::from_millis(5);
const GROUP_P50: Duration = Duration::from_millis(5);

/// An account that nothing stops. The bars are of a past session, so their age is no reason to deny.
const CONFIGURATION: &str = r#"
[account.paper]
cash = 100000000
allow_short = true
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
    let tape: Tape = Arc::new(connect(options.clone()).await?);
    let mut market = Market::new(&tape)?;
    prepare(&tape, &mut market).await?;
    alone(&tape, home).await?;
    let single = run(&options, &mut market, "single", 1).await?;
    let groups = run(&options, &mut market, "group", 2).await?;
    let within = single.iter().all(|(p50, p99)| *p50 <= SINGLE_P50 && *p99 <= SINGLE_P99)
        && groups.iter().all(|(p50, _)| *p50 <= GROUP_P50);
    let verdict = if within { "within" } else { "ABOVE" };
    println!(
        "{verdict} the bars, approved and denied each: single leg p50 1.5 ms and p99 5 ms, groups p50 5 ms"
    );
    Ok(())
}

fn symbol(number: usize) -> String {
    format!("SYM{number}")
}

/// The market: bars of one symbol after the other, a round of all of them to the minute of a past session.
struct Market {
    tape: Tape,
    open_ns: i64,
    bars: usize,
    /// Close of the newest bar, UTC nanoseconds.
    now_ns: i64,
    /// Last sequence of MARKET that is known to be stored.
    stored: Arc<AtomicU64>,
    sending: JoinSet<anyhow::Result<()>>,
}

impl Market {
    fn new(tape: &Tape) -> anyhow::Result<Self> {
        let calendar = domain::calendar::Calendar::xnys();
        let date = chrono::NaiveDate::from_ymd_opt(2024, 1, 3);
        let date = date.ok_or_else(|| anyhow::anyhow!("no such date"))?;
        let session = calendar.session(date)?.ok_or_else(|| anyhow::anyhow!("no session on {date}"))?;
        Ok(Self {
            tape: Arc::clone(tape),
            open_ns: session.open_ns,
            bars: 0,
            now_ns: session.open_ns,
            stored: Arc::default(),
            sending: JoinSet::new(),
        })
    }

    /// Sends the next bar; a feed does not wait for the tape before it has the one after.
    fn send(&mut self) -> anyhow::Result<()> {
        let (round, name) = (self.bars / SYMBOLS, symbol(self.bars % SYMBOLS));
        self.bars += 1;
        let start_ns = self.open_ns + i64::try_from(round)? * MINUTE_NS;
        let close_ns = start_ns + MINUTE_NS;
        self.now_ns = close_ns;
        let volume = Volume(1_000_000);
        let bar = Bar { start_ns, close_ns, open: PRICE, high: PRICE, low: PRICE, close: PRICE, volume };
        let id = bar_id("bench", &name, "1m", close_ns);
        let event = Event {
            correlation_id: id.clone(),
            id,
            event_time: Some(to_timestamp(close_ns)),
            source: "bench".to_owned(),
            body: Some(Body::Bar(bar.to_wire(&name, Timeframe::M1, Origin::Live))),
            ..Event::default()
        };
        let entry = Append { subject: Subject::bar("1m", &name), event, expect: Expect::Nothing };
        let (tape, stored) = (Arc::clone(&self.tape), Arc::clone(&self.stored));
        self.sending.spawn(async move {
            stored.fetch_max(tape.append(entry).await?.sequence, Ordering::Relaxed);
            Ok(())
        });
        Ok(())
    }
}

async fn all_stored(sending: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    while let Some(stored) = sending.join_next().await {
        stored??;
    }
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

/// States limits of the account, of one symbol of it where one is named.
async fn limit(tape: &Tape, symbol: &str, named: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut limits = TradeLimits::default();
    for (name, value) in named {
        domain::risk::fields::state(&mut limits, name, value)?;
    }
    let scope =
        LimitScope { account: "paper".to_owned(), symbol: symbol.to_owned(), ..LimitScope::default() };
    let set = LimitsSet { scope: Some(scope), version: 1, limits: Some(limits), ..LimitsSet::default() };
    put(tape, &format!("limits/{symbol}"), runtime::now_ns(), Body::LimitsSet(set)).await?;
    Ok(())
}

/// A strategy, limits that measure, and a price of every symbol; then the mark that execution makes of them.
async fn prepare(tape: &Tape, market: &mut Market) -> anyhow::Result<()> {
    let now = runtime::now_ns();
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
    let out_of_reach = [
        ("max_gross_exposure", "90000000"),
        ("max_net_exposure", "90000000"),
        ("max_leverage", "3"),
        ("max_position_value", "1000000"),
        ("max_open_orders", "1000000"),
    ];
    limit(tape, "", &out_of_reach).await?;
    for refused in FREE..SYMBOLS {
        limit(tape, &symbol(refused), &[("max_open_orders", "0")]).await?;
    }
    for _ in 0..SYMBOLS {
        market.send()?;
    }
    all_stored(&mut market.sending).await?;
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
        event_time: Some(to_timestamp(runtime::now_ns())),
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

/// A signal, and whether it is to be approved. Of every two the first is: its legs go through the free symbols, a
/// round of them long, the next one short. The other one's last leg is in a symbol that is denied.
fn signal(number: usize, legs: usize) -> (Signal, bool) {
    let (turn, approved) = (number / 2, number.is_multiple_of(2));
    let leg = |index: usize| {
        let place = turn * legs + index;
        let refused = !approved && index + 1 == legs;
        let name = if refused { FREE + turn % (SYMBOLS - FREE) } else { place % FREE };
        let long = (turn * legs / FREE).is_multiple_of(2);
        SignalLeg {
            symbol: symbol(name),
            intent: if long { Intent::EnterLong } else { Intent::EnterShort }.into(),
            time_in_force: TimeInForce::Gtc.into(),
            quantity_e9: Some(1_000_000_000),
            ..SignalLeg::default()
        }
    };
    let legs = (0..legs).map(leg).collect();
    (Signal { strategy: "bench".to_owned(), legs, ..Signal::default() }, approved)
}

/// A decision as the reader was given it.
struct Decided {
    at: Instant,
    approved: bool,
    /// Whether its signal came in the same go.
    together: bool,
}

/// What the reader was given.
#[derive(Default)]
struct Seen {
    /// When each signal was, by id.
    signals: HashMap<String, Instant>,
    /// By id of the signal.
    decisions: HashMap<String, Decided>,
    rules: BTreeMap<String, usize>,
    orders: usize,
    fills: usize,
    /// Most orders that were approved and not filled at once.
    open_most: usize,
}

impl Seen {
    fn take(&mut self, batch: Vec<Delivery>, at: Instant) {
        for delivery in batch {
            let Delivery::Event(recorded) = delivery else { continue };
            let event = recorded.event;
            match event.body {
                Some(Body::Signal(_)) => {
                    self.signals.insert(event.id, at);
                }
                Some(Body::RiskDecision(decision)) => {
                    let together = self.signals.get(&event.causation_id) == Some(&at);
                    self.orders += decision.orders.len();
                    if !decision.rule.is_empty() {
                        *self.rules.entry(decision.rule).or_default() += 1;
                    }
                    let decided = Decided { at, approved: !decision.orders.is_empty(), together };
                    self.decisions.insert(event.causation_id, decided);
                }
                Some(Body::Fill(_)) => self.fills += 1,
                _ => {}
            }
            self.open_most = self.open_most.max(self.orders.saturating_sub(self.fills));
        }
    }
}

/// Follows signals, decisions and fills behind `head` until so many signals as are `wanted` are decided and every order
/// is filled, or nothing comes any more.
fn watch(options: ConnectOptions, head: u64, wanted: &AtomicUsize) -> anyhow::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let tape: Tape = Arc::new(connect(options).await?);
        let filters = ["signal.bench.>", "risk.paper.>", "fill.paper.>"].map(str::to_owned);
        let mut trading = tape.read(stream::TRADING, &filters, head + 1).await?;
        let (mut seen, mut news) = (Seen::default(), Instant::now());
        while news.elapsed() < QUIET_MAX {
            if seen.decisions.len() >= wanted.load(Ordering::Relaxed) && seen.fills >= seen.orders {
                break;
            }
            let batch = tokio::time::timeout(Duration::from_millis(200), trading.batch(512)).await;
            let Ok(batch) = batch else { continue };
            news = Instant::now();
            seen.take(batch?, news);
        }
        Ok(seen)
    })
}

/// Signals of so many legs; gives the median and the 99th percentile of decisions that approve and of those that deny.
async fn run(
    options: &ConnectOptions,
    market: &mut Market,
    name: &str,
    legs: usize,
) -> anyhow::Result<[(Duration, Duration); 2]> {
    let head = market.tape.state(stream::TRADING).await?.last_sequence;
    let wanted = Arc::new(AtomicUsize::new(usize::MAX));
    let (told, following) = (Arc::clone(&wanted), options.clone());
    let watching = std::thread::spawn(move || watch(following, head, &told));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let (began, mut sending) = (Instant::now(), JoinSet::<anyhow::Result<()>>::new());
    let mut sent: Vec<Sent> = Vec::new();
    while began.elapsed() < WARM_UP + MEASURED {
        ticks.tick().await;
        if sent.len().is_multiple_of(SIGNALS_PER_BAR) {
            market.send()?;
        }
        let (signal, approved) = signal(sent.len(), legs);
        // A word: without a cause an id of the usual form would be taken for somebody else's.
        let id = format!("{name}/{}", sent.len());
        let sequence = market.stored.load(Ordering::Relaxed);
        let event = Event {
            id: id.clone(),
            event_time: Some(to_timestamp(market.now_ns)),
            source: "bench".to_owned(),
            basis: vec![Basis { stream: stream::MARKET.to_owned(), sequence }],
            body: Some(Body::Signal(signal)),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None).ok_or_else(|| anyhow::anyhow!("no subject"))?;
        let tape = Arc::clone(&market.tape);
        sent.push(Sent { id, at: Instant::now(), measured: began.elapsed() >= WARM_UP, approved });
        sending.spawn(async move {
            tape.append(Append { subject, event, expect: Expect::Nothing }).await?;
            Ok(())
        });
    }
    let per_second = sent.len() as f64 / began.elapsed().as_secs_f64();
    all_stored(&mut sending).await?;
    wanted.store(sent.len(), Ordering::Relaxed);
    // What is open fills at the bars that go on coming.
    let settling = Instant::now();
    while !watching.is_finished() {
        anyhow::ensure!(settling.elapsed() < SETTLE_MAX, "{name}: not settled within {SETTLE_MAX:?}");
        for _ in 0..SIGNALS_PER_BAR {
            ticks.tick().await;
        }
        market.send()?;
    }
    all_stored(&mut market.sending).await?;
    let seen = watching.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
    println!(
        "{name}: {} signals of {legs} at {per_second:.0}/s, {} orders, {} fills, at most {} open; denied {:?}",
        sent.len(),
        seen.orders,
        seen.fills,
        seen.open_most,
        seen.rules
    );
    report(name, &sent, &seen)
}

/// A signal as it was sent.
struct Sent {
    id: String,
    at: Instant,
    measured: bool,
    /// Whether it is to be approved.
    approved: bool,
}

/// Prints how long decisions took; fails where one, or a fill, is missing.
fn report(name: &str, sent: &[Sent], seen: &Seen) -> anyhow::Result<[(Duration, Duration); 2]> {
    let (mut lost, mut other, mut together) = (0, 0, 0);
    let (mut delivered, mut whole) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for signal in sent {
        let (Some(given), Some(decided)) = (seen.signals.get(&signal.id), seen.decisions.get(&signal.id))
        else {
            lost += 1;
            continue;
        };
        other += usize::from(decided.approved != signal.approved);
        if !signal.measured {
            continue;
        }
        together += usize::from(decided.together);
        let from = if decided.together { signal.at } else { *given };
        let place = usize::from(!decided.approved);
        delivered[place].push(decided.at - from);
        whole[place].push(decided.at - signal.at);
    }
    let unfilled = seen.orders.saturating_sub(seen.fills);
    anyhow::ensure!(lost == 0, "{name}: {lost} of {} signals without a decision", sent.len());
    anyhow::ensure!(unfilled == 0, "{name}: {unfilled} of {} orders without a fill", seen.orders);
    anyhow::ensure!(delivered.iter().all(|times| !times.is_empty()), "{name}: none approved, or none denied");
    println!("{name}: {together} decisions given together with their signals; {other} not decided as meant");
    let [approved, denied] = delivered;
    let figures = [
        line(&format!("{name}, approved: delivered → decided"), approved),
        line(&format!("{name}, denied: delivered → decided"), denied),
    ];
    let [approved, denied] = whole;
    line(&format!("{name}, approved: sent → decided"), approved);
    line(&format!("{name}, denied: sent → decided"), denied);
    Ok(figures)
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
