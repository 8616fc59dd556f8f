//! Parquet: the same bars as from text, and column types that occur.

use std::path::{Path, PathBuf};

use domain::bar::Timeframe;
use domain::money::{Price, Volume};
use ingest::file::{FileError, Opened, ReadOptions};
use polars::prelude::*;

use crate::support::{bar_files, read_file, told};

fn save(dir: &tempfile::TempDir, columns: Vec<Column>) -> PathBuf {
    let height = columns[0].len();
    let mut frame = DataFrame::new(height, columns).unwrap();
    let path = dir.path().join("bars.any");
    let file = std::fs::File::create(&path).unwrap();
    ParquetWriter::new(file).with_row_group_size(Some(3)).finish(&mut frame).unwrap();
    path
}

fn hours(count: i64) -> Vec<i64> {
    (0..count).map(|hour| 1_577_977_200_000 + hour * 3_600_000).collect()
}

fn numbers(count: usize) -> Vec<Column> {
    let prices = |name: &str, price: f64| Column::new(name.into(), vec![price; count]);
    vec![prices("open", 10.1), prices("high", 11.3), prices("low", 9.7), prices("close", 10.123_456_789)]
}

fn times(unit: TimeUnit, zone: Option<&str>, values: Vec<i64>) -> Column {
    let zone = zone.map(|zone| TimeZone::opt_try_new(Some(zone)).unwrap().unwrap());
    Int64Chunked::from_vec("timestamp".into(), values).into_datetime(unit, zone).into_series().into()
}

fn options() -> ReadOptions {
    ReadOptions { symbol: Some("X".into()), timeframe: Some(Timeframe::H1), ..ReadOptions::default() }
}

#[test]
fn floats_stand_for_the_shortest_decimal() {
    let dir = tempfile::tempdir().unwrap();
    let mut columns = vec![times(TimeUnit::Milliseconds, Some("UTC"), hours(5))];
    columns.extend(numbers(5));
    columns.push(Column::new("volume".into(), [100.0, 0.1 + 0.2, 1234.5675, 1234.5665, 1.0]));
    let chunk = read_file(&save(&dir, columns), &options()).unwrap();
    assert_eq!(told(&chunk.rejected), Vec::<String>::new());
    assert_eq!(chunk.rows.len(), 5, "over two row groups");
    let bar = chunk.rows[0].bar;
    assert_eq!((bar.open, bar.high), (Price(10_100_000_000), Price(11_300_000_000)));
    assert_eq!((bar.low, bar.close), (Price(9_700_000_000), Price(10_123_456_789)));
    let volumes: Vec<Volume> = chunk.rows.iter().map(|row| row.bar.volume).collect();
    // Rounded half to even at a thousandth of a share.
    assert_eq!(volumes, [100_000, 300, 1_234_568, 1_234_566, 1_000].map(Volume));
    assert_eq!(chunk.rows[4].line, 5);
}

#[test]
fn times_with_and_without_zone() {
    for (unit, factor) in
        [(TimeUnit::Milliseconds, 1), (TimeUnit::Microseconds, 1_000), (TimeUnit::Nanoseconds, 1_000_000)]
    {
        let dir = tempfile::tempdir().unwrap();
        let values: Vec<i64> = hours(2).iter().map(|ms| ms * factor).collect();
        let file = |zone| {
            let mut columns = vec![times(unit, zone, values.clone())];
            columns.extend(numbers(2));
            columns.push(Column::new("volume".into(), [1_i64, 2]));
            save(&dir, columns)
        };
        let zoned = read_file(&file(Some("America/New_York")), &options()).unwrap();
        assert_eq!(zoned.rows[0].bar.start_ns, 1_577_977_200_000_000_000);
        let naive = file(None);
        let error = read_file(&naive, &options()).unwrap_err();
        assert!(matches!(error, FileError::Unstated { .. }), "{error}");
        // 15:00 on New York's clock is 20:00 UTC.
        let local = ReadOptions { timezone: Some(chrono_tz::America::New_York), ..options() };
        let local = read_file(&naive, &local).unwrap();
        assert_eq!(local.rows[0].bar.start_ns, 1_577_977_200_000_000_000 + 5 * 3_600_000_000_000);
    }
}

/// As pandas writes an index of dates in a zone: in New York it is still the evening before.
#[test]
fn a_daily_bar_at_midnight_of_a_zone_is_that_of_its_date() {
    let dir = tempfile::tempdir().unwrap();
    let daily = ReadOptions { timeframe: Some(Timeframe::D1), ..options() };
    // Midnight of 2020-01-07 and 2020-01-08 in Berlin, and the same in New York and in India; by name and by offset.
    for (zone, first) in [
        ("Europe/Berlin", 1_578_351_600_000),
        ("America/New_York", 1_578_373_200_000),
        ("+01:00", 1_578_351_600_000),
        ("-05:00", 1_578_373_200_000),
        ("+05:30", 1_578_335_400_000),
    ] {
        let mut columns = vec![times(TimeUnit::Milliseconds, Some(zone), vec![first, first + 86_400_000])];
        columns.extend(numbers(2));
        columns.push(Column::new("volume".into(), [1_i64, 2]));
        let chunk = read_file(&save(&dir, columns), &daily).unwrap();
        let closes: Vec<i64> = chunk.rows.iter().map(|row| row.bar.close_ns).collect();
        // 21:00 UTC.
        assert_eq!(closes, [1_578_430_800_000_000_000, 1_578_517_200_000_000_000], "{zone}");
    }
}

#[test]
fn dates_texts_integers_and_missing_values() {
    let dir = tempfile::tempdir().unwrap();
    let dates = Series::new("Date".into(), [18_263_i32, 18_264, 18_267]).cast(&DataType::Date).unwrap();
    let columns = vec![
        dates.into(),
        Column::new("Ticker".into(), ["X", "X", "X"]),
        Column::new("o".into(), [10_i32, 10, 10]),
        Column::new("h".into(), [11_u16, 11, 11]),
        Column::new("l".into(), [9_i8, 9, 9]),
        Column::new("c".into(), ["10.5", "10.5", " "]),
        Column::new("v".into(), [Some(5_i64), None, Some(7)]),
    ];
    let daily = ReadOptions { timeframe: Some(Timeframe::D1), ..ReadOptions::default() };
    let chunk = read_file(&save(&dir, columns), &daily).unwrap();
    assert_eq!(chunk.rows.len(), 1);
    assert_eq!((chunk.rows[0].bar.close, chunk.rows[0].bar.volume), (Price(10_500_000_000), Volume(5_000)));
    assert_eq!(
        told(&chunk.rejected),
        ["2 volume: missing, expected a number", "3 close: missing, expected a number",]
    );
}

/// `categories.parquet` is as pandas writes text that it keeps as categories: what its writer notes in the footer are
/// dictionaries, Parquet's own types are text. The zone of its times, midnights of Berlin, is only in those notes.
#[test]
fn categories_are_text() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/categories.parquet");
    let chunk = read_file(&file, &ReadOptions::default()).unwrap();
    assert_eq!(told(&chunk.rejected), Vec::<String>::new());
    let days: Vec<_> = chunk
        .rows
        .iter()
        .map(|row| {
            let series = &chunk.series[row.series];
            (series.symbol.as_str(), series.timeframe, row.bar.close_ns, row.bar.close)
        })
        .collect();
    // 21:00 UTC on 2020-01-07 and on the day after.
    let (first, second) = (1_578_430_800_000_000_000, 1_578_517_200_000_000_000);
    let day = |symbol, close_ns, close| (symbol, Timeframe::D1, close_ns, Price(close));
    assert_eq!(
        days,
        [day("X", first, 11_000_000_000), day("Y", first, 12_000_000_000), day("X", second, 13_000_000_000)]
    );
    let selection = history::Selection::default();
    let loaded = ingest::file::load("test", &[file], &ReadOptions::default(), &selection).unwrap();
    assert_eq!((loaded.read, loaded.rejected.len()), (3, 0), "by columns, too");
}

/// A file all of whose columns are categories.
#[test]
fn actions_of_categories_alone_are_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/categories-actions.parquet");
    let opened = ingest::file::open(&file, &ReadOptions::default()).unwrap();
    let Opened::Actions(actions) = opened else { panic!("expected actions, got {opened:?}") };
    let read = actions.read().unwrap();
    assert_eq!((read.actions.len(), told(&read.rejected)), (3, Vec::new()));
    assert_eq!((read.actions[1].symbol.as_str(), read.actions[1].value_e9), ("Y", 500_000_000));
}

#[test]
fn numbers_that_are_none_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let mut columns = vec![times(TimeUnit::Milliseconds, Some("UTC"), hours(3))];
    columns.extend(numbers(3));
    columns.push(Column::new("volume".into(), [f64::NAN, f64::INFINITY, 1e30]));
    let chunk = read_file(&save(&dir, columns), &options()).unwrap();
    assert_eq!(chunk.rejected.len(), 3, "{:?}", chunk.rejected);
}

/// Text and Parquet of the same real bars are the same bars.
#[test]
fn a_real_file_survives_the_round_trip() {
    let source: &Path = &bar_files()[0];
    let text = read_file(source, &ReadOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let column = |name: &str, value: fn(&domain::bar::Bar) -> f64| {
        Column::new(name.into(), text.rows.iter().map(|row| value(&row.bar)).collect::<Vec<_>>())
    };
    let starts = text.rows.iter().map(|row| row.bar.start_ns).collect();
    let columns = vec![
        times(TimeUnit::Nanoseconds, Some("UTC"), starts),
        column("open", |bar| bar.open.to_f64()),
        column("high", |bar| bar.high.to_f64()),
        column("low", |bar| bar.low.to_f64()),
        column("close", |bar| bar.close.to_f64()),
        column("volume", |bar| bar.volume.to_f64()),
    ];
    let options = ReadOptions { symbol: Some("AAPL".into()), ..ReadOptions::default() };
    let path = dir.path().join("aapl.parquet");
    let mut frame = DataFrame::new(text.rows.len(), columns).unwrap();
    ParquetWriter::new(std::fs::File::create(&path).unwrap()).finish(&mut frame).unwrap();
    let parquet = read_file(&path, &options).unwrap();
    let bars = |chunk: &ingest::file::Chunk| chunk.rows.iter().map(|row| row.bar).collect::<Vec<_>>();
    assert_eq!(bars(&parquet), bars(&text));
    assert_eq!(parquet.series, text.series, "the hour is told from the spacing");
}
