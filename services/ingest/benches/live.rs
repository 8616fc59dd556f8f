//! How soon live bars are on the tape: 500 symbols with a minute each in every second, for half a minute, on a
//! nats-server that syncs every write, with the longer bars that are made of them.
//!
//! A reader beside the service takes the time from telling a minute to its delivery, so that the figure is of the
//! whole way, and counts what is missing. The market's minutes last a second here: the clock is moved on.
//!
//! Run with `with-servers cargo bench --profile dev --workspace --bench live`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and fails by panicking"
)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::stream::MARKET;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use domain::money::{E9, Price, Volume};
use event_log::{Auth, Clock, ConnectOptions, Delivery, Tape, definitions};
use ingest::import::Quote;
use ingest::live::{DayActions, Heard, LiveConfig, LiveMarket, LiveMarkets, Minute, run};
use ingest::quality::Rules;
use ingest::standards::Standards;
use local_servers::testing::TestNats;
use runtime::{ClockMode, Context, Health, clock, now_ns};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SYMBOLS: usize = 500;
const MINUTES: i64 = 30;
const MINUTE_NS: i64 = 60_000_000_000;

/// What is told, in order.
struct Told(mpsc::UnboundedReceiver<Vec<Heard>>);

#[async_trait]
impl LiveMarket for Told {
    async fn next(&mut self) -> Vec<Heard> {
        match self.0.recv().await {
            Some(heard) => heard,
            None => std::future::pending().await,
        }
    }

    async fn minutes(&mut self, _: &[String], _: i64, _: i64, _: i64) -> Result<Vec<Minute>, String> {
        Ok(Vec::new())
    }

    fn paused_for(&self) -> Option<Duration> {
        None
    }

    fn last_frame_ns(&self) -> i64 {
        0
    }
}

/// Gives the one source that there is.
struct Once(Mutex<Option<mpsc::UnboundedReceiver<Vec<Heard>>>>);

#[async_trait]
impl LiveMarkets for Once {
    fn name(&self) -> &'static str {
        "bench"
    }

    fn open(&self) -> Result<Box<dyn LiveMarket>, String> {
        let told = self.0.lock().unwrap().take().ok_or("told already")?;
        Ok(Box::new(Told(told)))
    }

    async fn actions(&self, _: &[String], _: NaiveDate) -> Result<DayActions, String> {
        Ok(DayActions::default())
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let nats = TestNats::start_with(|options| options.sync_always = true).await.unwrap();
    let (tape, beside) = (tape(&nats).await, tape(&nats).await);
    let session = Calendar::xnys().session("2026-01-06".parse().unwrap()).unwrap().unwrap();
    let symbols: Vec<String> = (0..SYMBOLS).map(|number| format!("S{number:03}")).collect();
    at(session.open_ns);
    let (teller, told) = mpsc::unbounded_channel();
    let shutdown = CancellationToken::new();
    let context =
        Context { tape, clock: ClockMode::Wall, health: Health::default(), shutdown: shutdown.clone() };
    let config = LiveConfig {
        symbols: symbols.clone(),
        timeframes: vec![Timeframe::M5, Timeframe::H1, Timeframe::D1],
        fresh: Duration::from_secs(3_600),
        grace: Duration::from_secs(5),
        recheck: Duration::ZERO,
        ticks_every: Duration::from_secs(1),
        standards: Standards { rules: Some(Rules::default()), ..Standards::default() },
        instance: "bench".into(),
    };
    let service = tokio::spawn(run(context, config, Arc::new(Once(Mutex::new(Some(told))))));
    let reader = tokio::spawn(read(beside));
    teller.send(vec![Heard::Live]).unwrap();
    let mut said = HashMap::new();
    for minute in 0..MINUTES {
        let start_ns = session.open_ns + minute * MINUTE_NS;
        at(start_ns + MINUTE_NS);
        let began = Instant::now();
        said.insert(start_ns + MINUTE_NS, began);
        let minutes: Vec<Heard> =
            symbols.iter().map(|symbol| Heard::Minute(told_minute(symbol, start_ns))).collect();
        // As many as a stream hands over at once.
        for together in minutes.chunks(512) {
            teller.send(together.to_vec()).unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1).saturating_sub(began.elapsed())).await;
    }
    let seen = reader.await.unwrap();
    shutdown.cancel();
    service.await.unwrap().unwrap();
    let mut lags: Vec<Duration> = seen.iter().map(|(close_ns, at)| *at - said[close_ns]).collect();
    lags.sort_unstable();
    let expected = SYMBOLS * usize::try_from(MINUTES).unwrap();
    let part = |percent: usize| lags[(lags.len() * percent).div_ceil(100) - 1].as_secs_f64() * 1_000.0;
    println!(
        "{expected} minutes at {SYMBOLS} a second: {} lost, told to delivered {:.0} ms (half), {:.0} ms (99 of 100), \
         {:.0} ms (all)",
        expected - lags.len(),
        part(50),
        part(99),
        part(100)
    );
}

/// Puts the clock to a time.
fn at(ns: i64) {
    clock::set_offset_ns(ns - (now_ns() - clock::offset_ns()));
}

fn told_minute(symbol: &str, start_ns: i64) -> Minute {
    let price = |cents: i64| Price(50 * E9 + (start_ns / MINUTE_NS % 7 + cents) * (E9 / 100));
    let quote = Quote {
        start_ns,
        open: price(0),
        high: price(5),
        low: price(-5),
        close: price(1),
        volume: Volume(100_000),
    };
    Minute { symbol: symbol.to_owned(), quote, revised: false }
}

async fn tape(nats: &TestNats) -> Tape {
    let options = ConnectOptions {
        url: nats.url().into(),
        auth: Auth::None,
        name: "bench".into(),
        clock: Clock::wall(),
    };
    let log = event_log::connect(options).await.unwrap();
    definitions::apply(&log).await.unwrap();
    Arc::new(log)
}

/// The close of each minute that is delivered, and when; until all are there or none comes for ten seconds.
async fn read(tape: Tape) -> Vec<(i64, Instant)> {
    let filter = format!("market.bar.{}.>", Timeframe::M1);
    let mut reader = tape.read(MARKET, &[filter], 1).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < SYMBOLS * usize::try_from(MINUTES).unwrap() {
        let Ok(batch) = clock::timeout(Duration::from_secs(10), reader.batch(4_096)).await else { break };
        for delivery in batch.unwrap() {
            let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
            let close = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp);
            seen.push((close.unwrap(), Instant::now()));
        }
    }
    seen
}
