//! Whether a stream of 500 symbols with a bar a second and 5,000 quotes a second comes onto the tape without loss, how
//! soon, how soon orders follow, and how soon a gap is closed: all in one run.
//!
//! `tapedeck up` runs strategy, risk, execution with the simulated broker, projector and dashboard on its own tape, whose
//! nats-server syncs every write, and on PostgreSQL. Here run the stand-in, on a thread of its own, and beside it the
//! live service with the adapter of Alpaca, its stream and its history: they follow the market's clock, on which a
//! minute lasts a second. A strategy trades every 25th symbol. In the middle the connection is cut.
//!
//! Measured are:
//! - loss and duplicates: every minute of every symbol that the market's clock passed is on the tape, once; as many
//!   quotes were heard as the stand-in told;
//! - bar → tape: from when the market's clock passes a minute's end, at which the stand-in begins to tell its bars, to the
//!   delivery of each bar to a reader; without the minutes of the gap;
//! - bar → order: from handing a bar to the tape to the delivery of the intent of the order that it causes;
//! - the gap: from the cut to the delivery of the last bar whose minute ended before the stream told bars again.
//!
//! It fails when something is lost or came twice. Run with `with-servers cargo bench --profile dev --workspace --bench
//! stream`; `TAPEDECK_STREAM_SECONDS` makes it last longer than a minute, `TAPEDECK_STREAM_FORMAT=json` has it speak JSON
//! instead of MessagePack.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench prints its figures, reads the clock and is told by the environment how long to last"
)]

#[path = "deck/mod.rs"]
mod deck;
#[path = "../../services/tapedeck/src/source/told.rs"]
#[expect(dead_code, reason = "splits and dividends are not asked for here")]
mod told;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::stream::{LOGS, MARKET, TRADING};
use contracts::v1::SourceReported;
use contracts::v1::event::Body;
use deck::{ready, with_deck};
use domain::bar::Timeframe;
use event_log::{Delivery, Tape, connect};
use ingest::live::{DayActions, Heard, LiveConfig, LiveMarket, LiveMarkets, Minute, run};
use ingest::quality::Rules;
use ingest::standards::Standards;
use runtime::{ClockMode, Context, Health, clock, now_ns};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::{Adjustment, Anchor, Script, Timeframe as Frame};
use tapedeck_vendors::{HangUp, Vendors};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use vendors::http::{Credentials, HttpConfig};
use vendors::{
    Alpaca, LiveStream, MarketMessage, RecentMinutes, StreamConfig, SystemClock, VendorError, Wanted,
};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SYMBOLS: usize = 500;
/// Of so many symbols one is traded.
const TRADED_EVERY: usize = 25;
const MINUTE_NS: i64 = 60_000_000_000;
/// A minute in a second, in thousandths.
const PACE: u64 = 60_000;
/// Tuesday, 2026-01-06, the open: a session's 390 minutes are ahead.
const OPEN_NS: i64 = 1_767_709_800 * 1_000_000_000;
/// Where in a minute the connection is cut: shortly before its end, so that its bars are missed.
const CUT_NS: i64 = 57_000_000_000;
/// What the first seconds measure is the start.
const WARM_UP: usize = 3;
/// The bars, in milliseconds.
const TAPE_MS: f64 = 50.0;
const ORDER_MS: f64 = 25.0;
const GAP_MS: f64 = 5_000.0;

/// The vendor behind the port, with what the program gives it.
struct Market {
    http: HttpConfig,
    stream: StreamConfig,
}

#[async_trait]
impl LiveMarkets for Market {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn open(&self) -> Result<Box<dyn LiveMarket>, String> {
        let made = || -> Result<Source, VendorError> {
            let clock = Arc::new(SystemClock::new(now_ns, 1));
            let history = Alpaca::new(self.http.clone(), "sip", clock.clone())?;
            Ok(Source { history, stream: Alpaca::stream(self.stream.clone(), clock)? })
        };
        made().map(|source| Box::new(source) as _).map_err(|error| error.to_string())
    }

    async fn actions(&self, _: &[String], _: NaiveDate) -> Result<DayActions, String> {
        Ok(DayActions::default())
    }
}

struct Source {
    stream: LiveStream<MarketMessage>,
    history: Alpaca,
}

#[async_trait]
impl LiveMarket for Source {
    async fn next(&mut self) -> Vec<Heard> {
        self.stream.next().await.into_iter().map(told::heard).collect()
    }

    async fn minutes(
        &mut self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Vec<Minute>, String> {
        let found = self.history.minutes(symbols, from_ns, to_ns, now_ns).await;
        let found = found.map_err(|error| error.to_string())?;
        let minute = |(symbol, quoted)| Minute { symbol, quote: told::quote(quoted), revised: false };
        Ok(found.into_iter().map(minute).collect())
    }

    fn paused_for(&self) -> Option<Duration> {
        self.history.paused_for()
    }

    fn last_frame_ns(&self) -> i64 {
        self.stream.last_frame_ns()
    }
}

/// What the readers beside the services were given.
#[derive(Default)]
struct Seen {
    /// When each minute came, by symbol and close.
    bars: HashMap<(String, i64), Instant>,
    /// Bars and revisions of a minute that was there already.
    again: u64,
    /// When a bar of a traded symbol was handed to the tape, by its event's id; UTC nanoseconds.
    handed: HashMap<String, i64>,
    signals: u64,
    denied: u64,
    /// Intents: the bar that caused them, and when they came.
    orders: Vec<(String, i64)>,
}

type Shared = Arc<Mutex<Seen>>;

/// The interruption.
struct Cut {
    at: Instant,
    market_ns: i64,
    /// The market's time when the stream first told bars again.
    resumed_ns: Option<i64>,
}

impl Cut {
    /// Whether a minute that ended at `close_ns` fell into it. Where the stream was heard again it is past.
    fn missed(&self, close_ns: i64) -> bool {
        let resumed_ns = self.resumed_ns.map_or(i64::MAX, |ns| ns - ns.rem_euclid(MINUTE_NS));
        self.market_ns < close_ns && close_ns < resumed_ns
    }

    /// The same with the minute that was told first afterwards: it waited for those before it.
    fn delayed(&self, close_ns: i64) -> bool {
        self.missed(close_ns) || self.resumed_ns.is_some_and(|ns| close_ns == ns - ns.rem_euclid(MINUTE_NS))
    }
}

/// When the market's clock passed each minute's end, and the interruption.
struct Course {
    ends: HashMap<i64, Instant>,
    cut: Option<Cut>,
}

fn symbols() -> Vec<String> {
    (0..SYMBOLS).map(|number| format!("S{number:03}")).collect()
}

/// An account that nothing stops, at prices of a past session, and a strategy that turns with nearly every minute.
fn configuration() -> String {
    let traded: Vec<String> = symbols().into_iter().step_by(TRADED_EVERY).collect();
    format!(
        "[account.paper]\ncash = 100000000\nmax_position = 1\nmax_exposure = 10\nmax_order_value = 100000000\n\
         max_daily_loss = 1\nmax_price_age_s = 4000000000\n\
         [strategy.turns]\nkind = \"sma_cross\"\nsymbols = {traded:?}\ntimeframe = \"1m\"\nsizing = \"fixed:10\"\n\
         params = {{ fast = 1, slow = 2 }}\n"
    )
}

fn main() -> anyhow::Result<()> {
    // The vendor's work is not the program's: it has a thread of its own.
    let outside = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let script = Script { start_ns: OPEN_NS, skip_closed: true, ..Script::of_symbols(SYMBOLS) };
    let script = Script { trades_per_minute: 0, quotes_per_minute: 10, ..script };
    let market = outside.block_on(Vendors::start(script))?;
    let mut settings = market.stand.settings();
    settings.requests_per_minute.alpaca_data = None;
    market.stand.set(settings);
    with_deck(&configuration(), async |home: &Path| measure(home, &market).await)
}

async fn measure(home: &Path, market: &Vendors) -> anyhow::Result<()> {
    let options = ready(home, "stream bench").await?;
    let tape: Tape = Arc::new(connect(options.clone()).await?);
    let beside: Tape = Arc::new(connect(options).await?);
    follow(OPEN_NS);
    let packed = std::env::var("TAPEDECK_STREAM_FORMAT").map_or(true, |format| format != "json");
    let shutdown = CancellationToken::new();
    let context = Context {
        tape: Arc::clone(&tape),
        clock: ClockMode::Wall,
        health: Health::default(),
        shutdown: shutdown.clone(),
    };
    let service = tokio::spawn(run(context, service(), Arc::new(source(market, packed))));
    let seen = Shared::default();
    let head = beside.state(TRADING).await?.last_sequence;
    let readers = [
        tokio::spawn(read_bars(Arc::clone(&beside), Arc::clone(&seen))),
        tokio::spawn(read_orders(beside, head, Arc::clone(&seen))),
    ];
    while reported(&tape).await?.is_none_or(|said| said.state != "live") {
        anyhow::ensure!(!service.is_finished(), "the live service ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let given = std::env::var("TAPEDECK_STREAM_SECONDS").ok().map(|text| text.parse::<u64>()).transpose();
    let seconds = given.context("TAPEDECK_STREAM_SECONDS: expected seconds")?.unwrap_or(60);
    let course = go(market, Duration::from_secs(seconds)).await;

    let expected = expected(market);
    let sent = |kind: &str| -> u64 {
        let connections = market.stand.ledger.connections();
        connections.iter().filter_map(|connection| connection.sent.get(kind)).sum()
    };
    // The source reports every five seconds.
    let mut said = SourceReported::default();
    for _ in 0..100 {
        said = reported(&tape).await?.unwrap_or_default();
        if seen.lock().await.bars.len() >= expected.len() && said.quotes >= sent("q") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    shutdown.cancel();
    service.await??;
    for reader in readers {
        if reader.is_finished() {
            reader.await??;
            anyhow::bail!("a reader ended");
        }
        reader.abort();
    }
    let seen = seen.lock().await;
    let lost = expected.iter().filter(|minute| !seen.bars.contains_key(*minute)).count();
    println!(
        "{seconds} s in {}: {} bars of {SYMBOLS} symbols, {lost} of them lost, {} came twice; {} were told by {} \
         connections, {} are of history; {} quotes told, {} heard, {} on the tape",
        if packed { "MessagePack" } else { "JSON" },
        expected.len(),
        seen.again,
        sent("b"),
        said.reconnects + 1,
        said.gap_bars,
        sent("q"),
        said.quotes,
        said.ticks
    );
    report(&seen, &course);
    anyhow::ensure!(lost == 0, "{lost} bars are lost");
    anyhow::ensure!(seen.again == 0, "{} bars came twice", seen.again);
    anyhow::ensure!(said.quotes == sent("q"), "{} quotes were told, {} heard", sent("q"), said.quotes);
    Ok(())
}

fn source(market: &Vendors, packed: bool) -> Market {
    let credentials = Credentials::Alpaca {
        key: tapedeck_vendors::KEY.to_owned().into(),
        secret: tapedeck_vendors::SECRET.to_owned().into(),
    };
    let addresses = market.addresses();
    let stream = StreamConfig {
        url: format!("{}/v2/sip", addresses.ws(Vendor::AlpacaData)),
        credentials: credentials.clone(),
        symbols: symbols(),
        wanted: Wanted { quotes: true, trades: false },
        packed,
        silence: Duration::from_secs(600),
    };
    let http = HttpConfig::new(addresses.http(Vendor::AlpacaData), credentials, 10_000);
    let (answer_timeout, deadline) = (Duration::from_secs(8), Duration::from_secs(20));
    Market { http: HttpConfig { answer_timeout, deadline, ..http }, stream }
}

/// As `[live]` has it by default, but for what a minute that lasts a second makes another thing.
fn service() -> LiveConfig {
    LiveConfig {
        symbols: symbols(),
        timeframes: vec![Timeframe::M5, Timeframe::H1, Timeframe::D1],
        fresh: Duration::from_secs(86_400),
        grace: Duration::from_secs(5),
        recheck: Duration::from_secs(300),
        ticks_every: Duration::from_secs(1),
        standards: Standards { rules: Some(Rules::default()), ..Standards::default() },
        instance: "bench".into(),
    }
}

/// Lets the market go on, and cuts the connection in the middle.
async fn go(market: &Vendors, lasting: Duration) -> Course {
    let stand = &market.stand;
    let mut course = Course { ends: HashMap::new(), cut: None };
    let began = Instant::now();
    stand.set_pace(PACE);
    let mut passed_ns = OPEN_NS;
    while began.elapsed() < lasting {
        let market_ns = stand.market(|market| market.now_ns());
        follow(market_ns);
        while passed_ns + MINUTE_NS <= market_ns {
            passed_ns += MINUTE_NS;
            course.ends.insert(passed_ns, Instant::now());
        }
        match &mut course.cut {
            None if began.elapsed() >= lasting / 2 && market_ns.rem_euclid(MINUTE_NS) >= CUT_NS => {
                stand.hang_up(HangUp { vendor: Vendor::AlpacaData, code: None });
                course.cut = Some(Cut { at: Instant::now(), market_ns, resumed_ns: None });
            }
            Some(cut) if cut.resumed_ns.is_none() => {
                let connections = stand.ledger.connections();
                let tells = connections.iter().skip(1).any(|connection| connection.sent.contains_key("b"));
                cut.resumed_ns = tells.then_some(market_ns);
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stand.set_pace(0);
    follow(stand.market(|market| market.now_ns()));
    course
}

/// The minutes that the market's clock has passed, by symbol and close.
fn expected(market: &Vendors) -> HashSet<(String, i64)> {
    market.stand.market(|market| {
        let now_ns = market.now_ns();
        let frame = (Frame::Minutes(1), Anchor::Clock);
        let of = |symbol: String| {
            let bars = market.bars(&symbol, frame, (OPEN_NS, now_ns), Adjustment::RAW);
            let closes = bars.into_iter().map(|bar| bar.start_ns + MINUTE_NS);
            let ended: Vec<i64> = closes.filter(|close_ns| *close_ns <= now_ns).collect();
            ended.into_iter().map(move |close_ns| (symbol.clone(), close_ns))
        };
        symbols().into_iter().flat_map(of).collect()
    })
}

fn report(seen: &Seen, course: &Course) {
    let mut first: Vec<i64> = course.ends.keys().copied().collect();
    first.sort_unstable();
    let from_ns = first.get(WARM_UP).copied().unwrap_or_default();
    let delayed = |close_ns: i64| course.cut.as_ref().is_some_and(|cut| cut.delayed(close_ns));
    let lags = seen.bars.iter().filter(|((_, close_ns), _)| *close_ns >= from_ns && !delayed(*close_ns));
    let lags = lags.filter_map(|((_, close_ns), at)| {
        Some(millis(at.saturating_duration_since(*course.ends.get(close_ns)?)))
    });
    held("bar → tape, minute's end to delivery", lags.collect(), 99, TAPE_MS);
    let orders =
        seen.orders.iter().filter_map(|(bar, at_ns)| Some((at_ns - seen.handed.get(bar)?) as f64 / 1e6));
    let orders: Vec<f64> = orders.collect();
    println!("{} signals, {} denied, {} orders with their bar", seen.signals, seen.denied, orders.len());
    held("bar → order submitted, delivered", orders, 99, ORDER_MS);
    let Some(cut) = &course.cut else {
        println!("the connection was not cut");
        return;
    };
    let missed = seen.bars.iter().filter(|((_, close_ns), _)| cut.missed(*close_ns));
    let missed: Vec<f64> = missed.map(|(_, at)| millis(at.saturating_duration_since(cut.at))).collect();
    let count = missed.len();
    held(&format!("cut to delivery of {count} missed bars"), missed, 100, GAP_MS);
}

/// Prints a distribution, and whether so many per cent of it came within a time.
fn held(name: &str, mut times: Vec<f64>, percent: usize, most_ms: f64) {
    if times.is_empty() {
        println!("{name}: none");
        return;
    }
    times.sort_by(f64::total_cmp);
    let part = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
    let verdict = if part(percent) <= most_ms { "within" } else { "ABOVE" };
    println!(
        "{name:40} p50 {:7.2} ms  p99 {:7.2} ms  max {:7.2} ms; {percent} % {verdict} {most_ms:.0} ms",
        part(50),
        part(99),
        part(100)
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Puts the clock to a time.
fn follow(ns: i64) {
    clock::set_offset_ns(ns - machine_ns());
}

/// The machine's clock, by which recorded times are made.
fn machine_ns() -> i64 {
    chrono::Utc::now().timestamp_nanos_opt().unwrap_or_default()
}

async fn reported(tape: &Tape) -> anyhow::Result<Option<SourceReported>> {
    Ok(match tape.last(LOGS, "log.alpaca.source").await?.map(|recorded| recorded.event.body) {
        Some(Some(Body::SourceReported(said))) => Some(said),
        _ => None,
    })
}

/// Notes when each minute is delivered, and when those of traded symbols were handed to the tape.
async fn read_bars(tape: Tape, seen: Shared) -> anyhow::Result<()> {
    let traded: HashSet<String> = symbols().into_iter().step_by(TRADED_EVERY).collect();
    let filters = ["bar", "revision"].map(|kind| format!("market.{kind}.{}.>", Timeframe::M1));
    let mut reader = tape.read(MARKET, &filters, 1).await?;
    loop {
        let batch = reader.batch(4_096).await?;
        let at = Instant::now();
        let mut seen = seen.lock().await;
        for delivery in batch {
            let Delivery::Event(recorded) = delivery else { anyhow::bail!("undecodable") };
            let event = recorded.event;
            let Some(Body::Bar(bar)) = event.body else {
                seen.again += 1;
                continue;
            };
            let close_ns = event.event_time.as_ref().and_then(contracts::from_timestamp);
            let close_ns = close_ns.context("a bar without a time")?;
            if traded.contains(&bar.symbol) {
                let handed = event.recorded_time.as_ref().and_then(contracts::from_timestamp);
                seen.handed.insert(event.id, handed.context("a bar without a recorded time")?);
            }
            if seen.bars.contains_key(&(bar.symbol.clone(), close_ns)) {
                seen.again += 1;
                continue;
            }
            seen.bars.insert((bar.symbol, close_ns), at);
        }
    }
}

/// Notes signals, denials and intents.
async fn read_orders(tape: Tape, head: u64, seen: Shared) -> anyhow::Result<()> {
    let mut reader = tape.read(TRADING, &[], head + 1).await?;
    loop {
        let batch = reader.batch(512).await?;
        let at_ns = machine_ns();
        let mut seen = seen.lock().await;
        for delivery in batch {
            let Delivery::Event(recorded) = delivery else { anyhow::bail!("undecodable") };
            match &recorded.event.body {
                Some(Body::Signal(_)) => seen.signals += 1,
                Some(Body::RiskDecision(decision)) if decision.orders.is_empty() => seen.denied += 1,
                Some(Body::OrderSubmitted(_)) => {
                    seen.orders.push((recorded.event.correlation_id.clone(), at_ns));
                }
                _ => {}
            }
        }
    }
}
