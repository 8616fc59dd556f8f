//! How soon bars are on the tape while quotes pour in, and whether anything is lost: 500 symbols with a bar a second and
//! 5,000 quotes a second, over a WebSocket from the stand-in, on a nats-server that syncs every write.
//!
//! A minute of the market lasts a second. Timed is from the moment at which the market's clock passes a minute's end, when
//! the stand-in begins to tell its bars, to the delivery of each bar to a reader beside the service. Told and stored are
//! counted at both ends.
//!
//! Run with `with-servers cargo bench --profile dev --workspace --bench stream`; `TAPEDECK_STREAM_SECONDS` makes it last
//! longer than a minute, `TAPEDECK_STREAM_FORMAT=json` has it speak JSON instead of MessagePack.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures, fails by panicking, and is told by the environment how long to last"
)]

#[path = "../../services/tapedeck/src/source/told.rs"]
mod told;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::stream::{LOGS, MARKET};
use contracts::v1::SourceReported;
use contracts::v1::event::Body;
use domain::bar::Timeframe;
use event_log::{Auth, Clock, ConnectOptions, Delivery, Tape, definitions};
use ingest::file::Action;
use ingest::live::{Heard, LiveConfig, LiveMarket, LiveMarkets, Minute, run};
use ingest::quality::Rules;
use ingest::standards::Standards;
use local_servers::testing::TestNats;
use runtime::{ClockMode, Context, Health, clock, now_ns};
use tapedeck_vendors::Vendors;
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;
use tokio_util::sync::CancellationToken;
use vendors::http::Credentials;
use vendors::{Alpaca, LiveStream, MarketMessage, StreamConfig, SystemClock, Wanted};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SYMBOLS: usize = 500;
const MINUTE_NS: i64 = 60_000_000_000;
/// A minute in a second, in thousandths.
const PACE: u64 = 60_000;
/// What the first second measures is the start.
const WARM_UP: usize = 3;

/// The vendor behind the port.
struct Market(StreamConfig);

#[async_trait]
impl LiveMarkets for Market {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn open(&self) -> Result<Box<dyn LiveMarket>, String> {
        let stream = Alpaca::stream(self.0.clone(), Arc::new(SystemClock::new(now_ns, 1)));
        Ok(Box::new(Source(stream.map_err(|error| error.to_string())?)))
    }

    async fn actions(&self, _: &[String], _: NaiveDate) -> Result<Vec<Action>, String> {
        Ok(Vec::new())
    }
}

struct Source(LiveStream<MarketMessage>);

#[async_trait]
impl LiveMarket for Source {
    async fn next(&mut self) -> Vec<Heard> {
        self.0.next().await.into_iter().map(told::heard).collect()
    }

    async fn minutes(&mut self, _: &[String], _: i64, _: i64, _: i64) -> Result<Vec<Minute>, String> {
        Ok(Vec::new())
    }

    fn paused_for(&self) -> Option<Duration> {
        None
    }

    fn last_frame_ns(&self) -> i64 {
        self.0.last_frame_ns()
    }
}

/// When the market's clock passed each minute's end.
type Ends = Arc<Mutex<HashMap<i64, Instant>>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let nats = TestNats::start_with(|options| options.sync_always = true).await.unwrap();
    let (tape, beside) = (tape(&nats).await, tape(&nats).await);
    // From the open on, so that a session's 390 minutes are ahead.
    let start_ns = 1_767_709_800 * 1_000_000_000;
    let script = Script { start_ns, skip_closed: true, ..Script::of_symbols(SYMBOLS) };
    let script = Script { trades_per_minute: 0, quotes_per_minute: 10, ..script };
    let market = Vendors::start(script).await.unwrap();
    let stand = Arc::clone(&market.stand);
    follow(start_ns);
    let symbols: Vec<String> = (0..SYMBOLS).map(|number| format!("S{number:03}")).collect();
    let packed = std::env::var("TAPEDECK_STREAM_FORMAT").map_or(true, |format| format != "json");
    let stream = StreamConfig {
        url: format!("{}/v2/sip", market.addresses().ws(Vendor::AlpacaData)),
        credentials: Credentials::Alpaca {
            key: tapedeck_vendors::KEY.to_owned().into(),
            secret: tapedeck_vendors::SECRET.to_owned().into(),
        },
        symbols: symbols.clone(),
        wanted: Wanted { quotes: true, trades: false },
        packed,
        silence: Duration::from_secs(600),
    };
    let shutdown = CancellationToken::new();
    let context = Context {
        tape: Arc::clone(&tape),
        clock: ClockMode::Wall,
        health: Health::default(),
        shutdown: shutdown.clone(),
    };
    let config = LiveConfig {
        symbols,
        timeframes: vec![Timeframe::M5, Timeframe::H1, Timeframe::D1],
        fresh: Duration::from_secs(86_400),
        grace: Duration::from_secs(5),
        recheck: Duration::ZERO,
        ticks_every: Duration::from_secs(1),
        standards: Standards { rules: Some(Rules::default()), ..Standards::default() },
        instance: "bench".into(),
    };
    let service = tokio::spawn(run(context, config, Arc::new(Market(stream))));
    let delivered = Arc::new(Mutex::new(Vec::<(i64, Instant)>::new()));
    let reader = tokio::spawn(read(beside, Arc::clone(&delivered)));
    while stand.ledger.connections().is_empty()
        || reported(&tape).await.is_none_or(|said| said.state != "live")
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let given = std::env::var("TAPEDECK_STREAM_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = given.unwrap_or(60);
    let ends = Ends::default();
    let began = Instant::now();
    stand.set_pace(PACE);
    let mut passed_ns = start_ns;
    while began.elapsed() < Duration::from_secs(seconds) {
        let market_ns = stand.market(|market| market.now_ns());
        follow(market_ns);
        while passed_ns + MINUTE_NS <= market_ns {
            passed_ns += MINUTE_NS;
            ends.lock().unwrap().insert(passed_ns, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stand.set_pace(0);
    let sent = |kind: &str| -> u64 {
        let connections = stand.ledger.connections();
        connections.iter().filter_map(|connection| connection.sent.get(kind)).sum()
    };
    let (mut bars, mut said) = (0, SourceReported::default());
    for _ in 0..100 {
        bars = delivered.lock().unwrap().len() as u64;
        said = reported(&tape).await.unwrap_or_default();
        if (bars, said.quotes) == (sent("b"), sent("q")) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    shutdown.cancel();
    service.await.unwrap().unwrap();
    reader.abort();
    let ends = ends.lock().unwrap();
    let mut first: Vec<i64> = ends.keys().copied().collect();
    first.sort_unstable();
    let measured_from = first.get(WARM_UP).copied().unwrap_or_default();
    let delivered = delivered.lock().unwrap();
    let timed = delivered.iter().filter(|(close_ns, _)| *close_ns >= measured_from);
    let mut lags: Vec<Duration> =
        timed.filter_map(|(close_ns, at)| Some(at.saturating_duration_since(*ends.get(close_ns)?))).collect();
    lags.sort_unstable();
    let part = |percent: usize| lags[(lags.len() * percent).div_ceil(100) - 1].as_secs_f64() * 1_000.0;
    let (bars_sent, quotes_sent) = (sent("b"), sent("q"));
    println!(
        "{seconds} s in {}: {bars_sent} bars told, {bars} on the tape; {quotes_sent} quotes told, {} heard, {} on the \
         tape; {} connections; minute's end to delivery {:.0} ms (half), {:.0} ms (99 of 100), {:.0} ms (all)",
        if packed { "MessagePack" } else { "JSON" },
        said.quotes,
        said.ticks,
        said.reconnects + 1,
        part(50),
        part(99),
        part(100)
    );
    assert_eq!((bars, said.quotes), (bars_sent, quotes_sent), "nothing is lost");
}

/// Puts the clock to a time.
fn follow(ns: i64) {
    clock::set_offset_ns(ns - (now_ns() - clock::offset_ns()));
}

async fn reported(tape: &Tape) -> Option<SourceReported> {
    match tape.last(LOGS, "log.alpaca.source").await.unwrap()?.event.body {
        Some(Body::SourceReported(said)) => Some(said),
        _ => None,
    }
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

/// Notes the close of each minute that is delivered, and when.
async fn read(tape: Tape, delivered: Arc<Mutex<Vec<(i64, Instant)>>>) {
    let filter = format!("market.bar.{}.>", Timeframe::M1);
    let mut reader = tape.read(MARKET, &[filter], 1).await.unwrap();
    loop {
        for delivery in reader.batch(4_096).await.unwrap() {
            let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
            let close_ns = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp);
            delivered.lock().unwrap().push((close_ns.unwrap(), Instant::now()));
        }
    }
}
