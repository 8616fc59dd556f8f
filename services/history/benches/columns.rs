//! Loading a million bars: from a segment, from Parquet, from text.
//!
//! Ten symbols of 100,000 one-minute bars around the clock. Each figure is the median of many loads by this process,
//! with the files in the system's cache, hash of the data included.
//!
//! Run with `cargo bench --profile dev -p history --bench columns`; `-- DIR` keeps the files in a directory.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its figures and fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use contracts::v1::event::Body;
use contracts::v1::{Event, Origin};
use contracts::{Subject, bar_id, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Market;
use domain::money::{Price, Volume};
use domain::series::BarSeries;
use event_log::{Append, Expect, MemoryLog, Tape};
use history::file::ReadOptions;
use history::{Loaded, Selection, segments};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 15;
const MINUTE_NS: i64 = 60_000_000_000;

fn main() {
    let kept = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
    let temporary = tempfile::tempdir().unwrap();
    let dir = kept.map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let series: Vec<BarSeries> = (0..10).map(series).collect();
    let [parquet, text] = ["bars.parquet", "bars.csv"].map(|name| dir.join(name));
    history::file::save(&parquet, &series).unwrap();
    history::file::save(&text, &series).unwrap();
    let segments = dir.join("segments");
    fill(&segments, &series);
    let selection = Selection { market: Market::TwentyFourSeven, ..Selection::default() };
    let expected = history::data_hash(&domain::series::MarketData { series, actions: Vec::new() });
    let mapped = segments::open(&segments).unwrap();
    measure("segment", ROUNDS, &expected, || mapped.load(&selection).unwrap());
    let from = |path: &Path| {
        history::file::load("import", &[path.to_owned()], &ReadOptions::default(), &selection).unwrap()
    };
    measure("parquet", ROUNDS, &expected, || from(&parquet));
    measure("text", 5, &expected, || from(&text));
}

fn measure(name: &str, rounds: usize, expected: &str, load: impl Fn() -> Loaded) {
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let began = Instant::now();
            let loaded = load();
            let elapsed = began.elapsed().as_secs_f64() * 1e3;
            assert_eq!((loaded.bars, loaded.hash.as_str()), (1_000_000, expected), "{name}");
            elapsed
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name}: 1,000,000 bars in {:.1} ms (best {:.1} ms)", times[times.len() / 2], times[0]);
}

fn series(symbol: i64) -> BarSeries {
    let bars: Vec<Bar> = (0..100_000)
        .map(|minute| {
            let start_ns = 1_577_836_800_000_000_000 + minute * MINUTE_NS;
            let price =
                |step: i64| Price((100 + symbol) * 1_000_000_000 + (minute * step) % 997 * 10_000_000);
            let (open, close) = (price(7), price(11));
            Bar {
                start_ns,
                close_ns: start_ns + MINUTE_NS,
                open,
                high: open.max(close),
                low: open.min(close),
                close,
                volume: Volume((minute % 1_000 + 1) * 1_000),
            }
        })
        .collect();
    BarSeries::of("import", &format!("SYM{symbol}"), Timeframe::M1, &bars)
}

/// Segments of the series, by way of a tape in memory.
fn fill(dir: &Path, series: &[BarSeries]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tape: Tape = Arc::new(MemoryLog::new());
        for one in series {
            let events: Vec<Append> =
                (0..one.len()).map(|row| append(&one.symbol, &one.bar(row).unwrap())).collect();
            for batch in events.chunks(1_000) {
                tape.append_batch(batch.to_vec()).await.unwrap();
            }
        }
        segments::open(dir).unwrap().catch_up(&tape).await.unwrap();
    });
}

fn append(symbol: &str, bar: &Bar) -> Append {
    let id = bar_id("import", symbol, "1m", bar.close_ns);
    let event = Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(to_timestamp(bar.close_ns)),
        source: "import".to_owned(),
        schema_version: 1,
        body: Some(Body::Bar(bar.to_wire(symbol, Timeframe::M1, Origin::Import))),
        ..Event::default()
    };
    Append { subject: Subject::bar("1m", symbol), event, expect: Expect::Nothing }
}
