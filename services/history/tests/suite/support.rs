//! What the tests share.

use std::path::{Path, PathBuf};

use contracts::v1::event::Body;
use contracts::v1::{BarRevision, Event, Origin};
use contracts::{Subject, bar_id, event_id, to_timestamp};
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use domain::series::{BarSeries, MarketData};
use event_log::{Append, Expect, Tape};
use history::file::ReadOptions;
use history::{Loaded, Selection};

pub const HOUR_NS: i64 = 3_600_000_000_000;
/// 2020-01-02 10:00 in New York.
pub const START_NS: i64 = 1_577_977_200_000_000_000;

/// The real data; a test without them fails.
pub fn data_dir() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    #[expect(clippy::disallowed_methods, reason = "the test data's place is configured by the environment")]
    let dir = std::env::var_os("TAPEDECK_TEST_DATA").map_or_else(beside, PathBuf::from);
    assert!(dir.is_dir(), "no test data at {}; set TAPEDECK_TEST_DATA", dir.display());
    dir
}

/// The files of real bars.
pub fn bar_files() -> Vec<PathBuf> {
    ["AAPL", "BAC", "IBM", "SPY"].map(|symbol| data_dir().join(format!("bars-1h-{symbol}.csv.gz"))).to_vec()
}

pub fn write(dir: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

pub fn load(files: &[PathBuf]) -> Loaded {
    history::file::load("test", files, &ReadOptions::default(), &Selection::default()).unwrap()
}

/// Loads one text under a name.
pub fn text(name: &str, content: &str, options: &ReadOptions, selection: &Selection) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    history::file::load("test", &[write(&dir, name, content)], options, selection).unwrap()
}

pub fn bars(series: &BarSeries) -> Vec<Bar> {
    (0..series.len()).map(|row| series.bar(row).unwrap()).collect()
}

/// Everything that a history says of bars, for comparison.
pub fn told(data: &MarketData) -> Vec<(String, Timeframe, Vec<Bar>)> {
    let told = |series: &BarSeries| (series.symbol.to_string(), series.timeframe, bars(series));
    data.series.iter().map(told).collect()
}

pub fn time(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// The hourly bar of a number; the value tells bars of one time apart.
pub fn bar(number: i64, value: i64) -> Bar {
    let start_ns = START_NS + number * HOUR_NS;
    let price = Price((100 + value) * 1_000_000_000);
    let volume = Volume(1_000 + value);
    Bar { start_ns, close_ns: start_ns + HOUR_NS, open: price, high: price, low: price, close: price, volume }
}

pub fn bar_event(source: &str, symbol: &str, bar: &Bar) -> Append {
    let id = bar_id(source, symbol, "1h", bar.close_ns);
    let body = Body::Bar(bar.to_wire(symbol, Timeframe::H1, Origin::Import));
    append(Subject::bar("1h", symbol), source, id, bar.close_ns, body)
}

pub fn revision_event(source: &str, symbol: &str, bar: &Bar) -> Append {
    let revises = bar_id(source, symbol, "1h", bar.close_ns);
    let id = event_id(&revises, "revision", u32::try_from(bar.volume.0).unwrap());
    let wire = bar.to_wire(symbol, Timeframe::H1, Origin::Import);
    let body = Body::BarRevision(BarRevision { bar: Some(wire), revises });
    append(Subject::of(&["market", "revision", "1h", symbol]), source, id, bar.close_ns, body)
}

fn append(subject: Subject, source: &str, id: String, time_ns: i64, body: Body) -> Append {
    let event = Event {
        correlation_id: id.clone(),
        id,
        event_time: Some(to_timestamp(time_ns)),
        source: source.to_owned(),
        schema_version: 1,
        body: Some(body),
        ..Event::default()
    };
    Append { subject, event, expect: Expect::Nothing }
}

pub async fn put(tape: &Tape, events: Vec<Append>) {
    for chunk in events.chunks(1_000) {
        tape.append_batch(chunk.to_vec()).await.unwrap();
    }
}
