//! Cold: a million bars of MARKET into segments, beside a raw ordered consumer that throws them away.
//!
//! Both read the same stream of the same nats-server from its first message to its last. The raw consumer is the
//! client library's own ordered push consumer and does nothing with a message; the catch-up decodes every event,
//! gathers columns, hashes them, and writes and syncs the Arrow file. Rounds alternate and the median of the ratios
//! counts: at least 70 %.
//!
//! Run with `cargo bench --profile dev -p history --bench cold`, the profile that everything else is built with.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and fails by panicking"
)]

use std::sync::Arc;
use std::time::Instant;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{DeliverPolicy, push};
use contracts::stream::MARKET;
use contracts::v1::event::Body;
use contracts::v1::{Event, Origin};
use contracts::{Subject, bar_id, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use event_log::{Append, Auth, Clock, ConnectOptions, Expect, Tape, definitions};
use futures::StreamExt as _;
use history::{Selection, segments};
use local_servers::testing::TestNats;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 7;
const SYMBOLS: i64 = 10;
const EACH: i64 = 100_000;
const MINUTE_NS: i64 = 60_000_000_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let nats = TestNats::start().await.unwrap();
    let options = ConnectOptions {
        url: nats.url().into(),
        auth: Auth::None,
        name: "bench".into(),
        clock: Clock::wall(),
    };
    let log = event_log::connect(options).await.unwrap();
    definitions::apply(&log).await.unwrap();
    let tape: Tape = Arc::new(log);
    fill(&tape).await;
    let bars = u64::try_from(SYMBOLS * EACH).unwrap();
    let (mut colds, mut raws, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let dir = tempfile::tempdir().unwrap();
        let segments = segments::open(dir.path()).unwrap();
        let began = Instant::now();
        let stats = segments.catch_up(&tape).await.unwrap();
        let cold = bars as f64 / began.elapsed().as_secs_f64();
        assert_eq!((stats.bars, stats.written), (bars, 1));
        if round == 0 {
            let began = Instant::now();
            let loaded = segments.load(&Selection::default()).unwrap();
            assert_eq!((loaded.bars, loaded.data.series.len()), (bars, 10));
            println!("loading them from the segment: {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
        }
        let raw = raw(&nats, bars).await;
        println!("round {}: segments {cold:.0}/s, raw {raw:.0}/s, {:.1} %", round + 1, 100.0 * cold / raw);
        colds.push(cold);
        raws.push(raw);
        ratios.push(100.0 * cold / raw);
    }
    println!(
        "{bars} bars: segments {:.0}/s, raw ordered consumer {:.0}/s, ratio {:.1} % (at least 70 %)",
        median(colds),
        median(raws),
        median(ratios)
    );
}

/// A million one-minute bars as an import writes them, ten symbols at each instant.
async fn fill(tape: &Tape) {
    let began = Instant::now();
    for hundred in 0..EACH / 100 {
        let mut batch = Vec::with_capacity(1_000);
        for minute in hundred * 100..(hundred + 1) * 100 {
            batch.extend((0..SYMBOLS).map(|symbol| append(symbol, minute)));
        }
        tape.append_batch(batch).await.unwrap();
    }
    println!("a stream of {} bars, written in {:.1} s", SYMBOLS * EACH, began.elapsed().as_secs_f64());
}

fn append(symbol: i64, minute: i64) -> Append {
    let name = format!("SYM{symbol}");
    let start_ns = 1_577_975_400_000_000_000 + minute * MINUTE_NS;
    let price = |offset: i64| Price((100 + symbol) * 1_000_000_000 + (minute * 7 + offset) % 97 * 10_000_000);
    let (open, close) = (price(3), price(11));
    let bar = Bar {
        start_ns,
        close_ns: start_ns + MINUTE_NS,
        open,
        high: open.max(close),
        low: open.min(close),
        close,
        volume: Volume((minute % 1_000 + 1) * 1_000),
    };
    let id = bar_id("import", &name, "1m", bar.close_ns);
    let event = Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(to_timestamp(bar.close_ns)),
        source: "import".to_owned(),
        schema_version: 1,
        body: Some(Body::Bar(bar.to_wire(&name, Timeframe::M1, Origin::Import))),
        ..Event::default()
    };
    Append { subject: Subject::bar("1m", &name), event, expect: Expect::Nothing }
}

/// Bars per second of the client's ordered consumer, on a connection of its own.
async fn raw(nats: &TestNats, bars: u64) -> f64 {
    let url: async_nats::ServerAddr = nats.url().parse().unwrap();
    let (user, password) = (url.username().unwrap().to_owned(), url.password().unwrap().to_owned());
    // Room as the tape's adapter has it, so that a slow consumer is not what is measured.
    let options = async_nats::ConnectOptions::new().subscription_capacity(1 << 19);
    let client = options.user_and_password(user, password).connect(url).await.unwrap();
    let began = Instant::now();
    let stream = jetstream::new(client.clone()).get_stream(MARKET).await.unwrap();
    let config = push::OrderedConfig {
        deliver_subject: client.new_inbox(),
        deliver_policy: DeliverPolicy::All,
        ..push::OrderedConfig::default()
    };
    let mut messages = stream.create_consumer(config).await.unwrap().messages().await.unwrap();
    for _ in 0..bars {
        messages.next().await.unwrap().unwrap();
    }
    bars as f64 / began.elapsed().as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
