//! How long it takes from a bar to the order it causes, through the real pipeline on the wall clock.
//!
//! Starts `tapedeck up` on a tape of its own: a nats-server that syncs every write before it acknowledges,
//! PostgreSQL, all services in one process. Then a source, here, appends live bars at an even pace, and
//! waits for the order events they cause. Measured is the time from handing the bar to the tape until the
//! order's `submitted` is delivered to a reader, and beside it the hops that lie between, measured alone on
//! the same server before: bar, signal, decision and intent, each stored, synced and delivered.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "deck/mod.rs"]
mod deck;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::v1::event::Body;
use contracts::v1::{Event, Origin};
use contracts::{Subject, bar_id, from_timestamp, stream};
use deck::{ready, with_deck};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use event_log::{Append, Delivery, Expect, JetStreamLog, Tape, connect, measure_hops};
use tokio::sync::Mutex;

const BARS_PER_SECOND: u32 = 200;
const SYMBOLS: usize = 20;
/// A symbol turns around after so many bars; each turn is an order.
const TURN_EVERY: usize = 8;
const WARM_UP: Duration = Duration::from_secs(10);
const MEASURED: Duration = Duration::from_secs(45);
const TARGET: Duration = Duration::from_millis(15);
/// Bar, signal, decision, intent.
const HOPS: u32 = 4;

/// One strategy that orders at every turn, and an account that never stops it. The bars are of a past
/// session, so their age is no reason to deny.
const CONFIGURATION: &str = r#"
[account.paper]
cash = 100000000
max_position = 1
max_exposure = 10
max_order_value = 100000000
max_daily_loss = 1
max_price_age_s = 4000000000

[strategy.turns]
kind = "sma_cross"
sizing = "fixed:10"
params = { fast = 1, slow = 2 }
"#;

fn main() -> anyhow::Result<()> {
    with_deck(CONFIGURATION, measure)
}

async fn measure(home: &Path) -> anyhow::Result<()> {
    let options = ready(home, "latency bench").await?;
    let log = connect(options.clone()).await?;
    let payload = contracts::encode(&event(0, 0, from_session()?));
    let hops = measure_hops(&options, payload, 1, 1_000).await?;
    let reader = connect(options).await?;
    let sent = Arc::new(Mutex::new(HashMap::new()));
    let head = reader_head(&reader).await?;
    let watching = tokio::spawn(watch(Arc::new(reader), head, Arc::clone(&sent)));
    let (bars, took) = send(&log, &sent).await?;
    // What was sent last gets the time to arrive.
    tokio::time::sleep(Duration::from_secs(2)).await;
    watching.abort();
    let sent = sent.lock().await;
    report(&sent, bars, took, Duration::from_nanos(hops.stream_ns));
    Ok(())
}

async fn reader_head(log: &JetStreamLog) -> anyhow::Result<u64> {
    let tape: Tape = Arc::new(log.clone());
    Ok(tape.state(stream::TRADING).await?.last_sequence)
}

/// Start of the first minute of a full session, UTC nanoseconds.
fn from_session() -> anyhow::Result<i64> {
    let calendar = domain::calendar::Calendar::xnys();
    let date = chrono::NaiveDate::from_ymd_opt(2024, 1, 3).ok_or_else(|| anyhow::anyhow!("no such date"))?;
    let session = calendar.session(date)?.ok_or_else(|| anyhow::anyhow!("no session on {date}"))?;
    Ok(session.open_ns)
}

/// The bar number `round` of symbol number `symbol`: the close goes up for some bars, then down.
fn event(round: usize, symbol: usize, open_ns: i64) -> Event {
    let name = format!("SYM{symbol}");
    let minute = i64::try_from(round).unwrap_or_default();
    let start_ns = open_ns + minute * 60_000_000_000;
    let close_ns = start_ns + 60_000_000_000;
    // Symbols turn at different times, so that orders come evenly.
    let phase = (round + symbol * TURN_EVERY * 2 / SYMBOLS) % (TURN_EVERY * 2);
    let height = if phase < TURN_EVERY { phase } else { TURN_EVERY * 2 - phase };
    let close = Price(100_000_000_000 + i64::try_from(height).unwrap_or_default() * 100_000_000);
    let bar = Bar {
        start_ns,
        close_ns,
        open: close,
        high: Price(close.0 + 50_000_000),
        low: Price(close.0 - 50_000_000),
        close,
        volume: Volume(1_000_000),
    };
    let id = bar_id("latency", &name, "1m", close_ns);
    Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(contracts::to_timestamp(close_ns)),
        source: "latency".to_owned(),
        schema_version: 1,
        body: Some(Body::Bar(bar.to_wire(&name, Timeframe::M1, Origin::Live))),
        ..Event::default()
    }
}

/// What happened to a bar and what it caused.
#[derive(Debug)]
struct Course {
    sent: Instant,
    measured: bool,
    /// Recorded times of bar, signal, decision and intent, UTC nanoseconds.
    recorded_ns: [Option<i64>; 4],
    submitted: Option<Instant>,
}

type Courses = Arc<Mutex<HashMap<String, Course>>>;

/// Appends bars at an even pace; gives their number and the time it took.
async fn send(log: &JetStreamLog, courses: &Courses) -> anyhow::Result<(u32, Duration)> {
    let tape: Tape = Arc::new(log.clone());
    let open_ns = from_session()?;
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / BARS_PER_SECOND);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let began = Instant::now();
    let mut bars = 0;
    'rounds: for round in 0.. {
        for symbol in 0..SYMBOLS {
            ticks.tick().await;
            if began.elapsed() >= WARM_UP + MEASURED {
                break 'rounds;
            }
            let event = event(round, symbol, open_ns);
            let course = Course {
                sent: Instant::now(),
                measured: began.elapsed() >= WARM_UP,
                recorded_ns: [None; 4],
                submitted: None,
            };
            courses.lock().await.insert(event.id.clone(), course);
            let subject = Subject::bar("1m", &format!("SYM{symbol}"));
            let (tape, entry) = (Arc::clone(&tape), Append { subject, event, expect: Expect::Nothing });
            // A feed does not wait for the tape before it has the next bar.
            tokio::spawn(async move { tape.append(entry).await.map(drop) });
            bars += 1;
        }
    }
    Ok((bars, began.elapsed()))
}

/// Notes when the events that a bar caused were recorded and when its order's intent arrives.
async fn watch(tape: Tape, head: u64, courses: Courses) -> anyhow::Result<()> {
    let mut trading = tape.read(stream::TRADING, &[], head + 1).await?;
    let mut market = tape.read(stream::MARKET, &[], 0).await?;
    loop {
        let batch = tokio::select! {
            batch = trading.batch(512) => batch?,
            batch = market.batch(512) => batch?,
        };
        let now = Instant::now();
        let mut courses = courses.lock().await;
        for delivery in batch {
            let Delivery::Event(recorded) = delivery else { continue };
            let place = match &recorded.event.body {
                Some(Body::Bar(_)) => 0,
                Some(Body::Signal(_)) => 1,
                Some(Body::RiskDecision(decision)) => {
                    anyhow::ensure!(
                        !decision.orders.is_empty(),
                        "denied: {} {}",
                        decision.rule,
                        decision.reason
                    );
                    2
                }
                Some(Body::OrderSubmitted(_)) => 3,
                _ => continue,
            };
            let Some(course) = courses.get_mut(&recorded.event.correlation_id) else { continue };
            course.recorded_ns[place] = recorded.event.recorded_time.as_ref().and_then(from_timestamp);
            if place == 3 {
                course.submitted = Some(now);
            }
        }
    }
}

fn report(courses: &HashMap<String, Course>, bars: u32, took: Duration, hop: Duration) {
    let measured = courses.values().filter(|course| course.measured);
    let mut orders = Vec::new();
    let mut steps: [Vec<Duration>; 3] = Default::default();
    for course in measured {
        let Some(submitted) = course.submitted else { continue };
        orders.push(submitted - course.sent);
        for (step, times) in steps.iter_mut().zip(course.recorded_ns.windows(2)) {
            if let [Some(from), Some(to)] = times {
                step.push(Duration::from_nanos(u64::try_from(to - from).unwrap_or_default()));
            }
        }
    }
    let unanswered = courses
        .values()
        .filter(|course| course.recorded_ns[1].is_some() && course.submitted.is_none())
        .count();
    let per_second = |count: f64| count / took.as_secs_f64();
    println!(
        "{bars} bars at {:.0}/s, {} measured orders at {:.1}/s; {unanswered} signals without an order",
        per_second(f64::from(bars)),
        orders.len(),
        orders.len() as f64 / MEASURED.as_secs_f64()
    );
    if orders.is_empty() {
        println!("no order was submitted");
        return;
    }
    for (name, times) in [("bar → signal", 0), ("signal → decision", 1), ("decision → intent", 2)]
        .map(|(name, at)| (name, std::mem::take(&mut steps[at])))
    {
        line(name, times);
    }
    let p99 = line("bar → order submitted, delivered", orders);
    let raw = hop * HOPS;
    println!("raw hops alone: {HOPS} × {:.2} ms = {:.2} ms", millis(hop), millis(raw));
    let verdict = if p99 <= TARGET { "within" } else { "ABOVE" };
    println!("p99 {:.2} ms is {verdict} {:.0} ms", millis(p99), millis(TARGET));
}

/// Prints the distribution; gives its 99th percentile.
fn line(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let at = |percent: usize| times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)));
    let at = |percent| at(percent).copied().unwrap_or_default();
    println!(
        "{name:34} p50 {:6.2} ms  p90 {:6.2} ms  p99 {:6.2} ms  max {:6.2} ms",
        millis(at(50)),
        millis(at(90)),
        millis(at(99)),
        millis(at(100))
    );
    at(99)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
