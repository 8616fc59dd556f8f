//! Bars as files that the reader of this crate takes: delimited text or Parquet.
//!
//! Text is exact. Parquet holds prices and volumes as floating-point numbers; a value that such a number would not
//! give back is an error that names it.

use std::io::{Error, ErrorKind, Write};
use std::path::Path;

use domain::money::{Price, Volume};
use domain::series::BarSeries;
use polars::prelude::{Column, DataFrame, Int64Chunked, IntoSeries as _, ParquetWriter, TimeUnit, TimeZone};

use super::fast::scaled;

const HEADER: &str = "symbol,timeframe,start_utc,open,high,low,close,volume";

/// Writes `series` one after the other: Parquet when the name ends in `.parquet`, else text.
pub fn save(path: &Path, series: &[BarSeries]) -> Result<(), Error> {
    let file = std::fs::File::create(path)?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet")) {
        return write_parquet(file, series);
    }
    let mut out = std::io::BufWriter::new(file);
    write_text(&mut out, series)?;
    out.flush()
}

/// Writes comma-separated text.
pub fn write_text(out: &mut dyn Write, series: &[BarSeries]) -> Result<(), Error> {
    writeln!(out, "{HEADER}")?;
    for one in series {
        for bar in (0..one.len()).filter_map(|row| one.bar(row)) {
            let start = chrono::DateTime::from_timestamp_nanos(bar.start_ns);
            writeln!(
                out,
                "{},{},{},{},{},{},{},{}",
                one.symbol,
                one.timeframe,
                start.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
                bar.open,
                bar.high,
                bar.low,
                bar.close,
                bar.volume
            )?;
        }
    }
    Ok(())
}

fn write_parquet(out: std::fs::File, series: &[BarSeries]) -> Result<(), Error> {
    let other = |error: polars::error::PolarsError| Error::other(error.to_string());
    let rows = series.iter().map(BarSeries::len).sum();
    let text = |of: fn(&BarSeries) -> &str| -> Vec<&str> {
        series.iter().flat_map(|one| std::iter::repeat_n(of(one), one.len())).collect()
    };
    let numbers = |name: &str, of: fn(&BarSeries) -> &domain::series::Column, scale: i64| {
        let mut numbers = Vec::with_capacity(rows);
        for value in series.iter().flat_map(|one| of(one).values()) {
            let number = if scale == 1_000 { Volume(*value).to_f64() } else { Price(*value).to_f64() };
            if scaled(number, scale) != Some(*value) {
                let problem = format!("{name} {number}: no floating-point number gives it back, write text");
                return Err(Error::new(ErrorKind::InvalidData, problem));
            }
            numbers.push(number);
        }
        Ok(Column::new(name.into(), numbers))
    };
    let starts: Vec<i64> = series.iter().flat_map(|one| one.start_ns.values()).copied().collect();
    let utc = TimeZone::opt_try_new(Some("UTC")).map_err(other)?;
    let starts = Int64Chunked::from_vec("start_utc".into(), starts);
    let starts = starts.into_datetime(TimeUnit::Nanoseconds, utc).into_series();
    let columns = vec![
        Column::new("symbol".into(), text(|one| &one.symbol)),
        Column::new("timeframe".into(), text(|one| one.timeframe.name())),
        starts.into(),
        numbers("open", |one| &one.open, 1_000_000_000)?,
        numbers("high", |one| &one.high, 1_000_000_000)?,
        numbers("low", |one| &one.low, 1_000_000_000)?,
        numbers("close", |one| &one.close, 1_000_000_000)?,
        numbers("volume", |one| &one.volume, 1_000)?,
    ];
    let mut frame = DataFrame::new(rows, columns).map_err(other)?;
    ParquetWriter::new(out).finish(&mut frame).map_err(other)?;
    Ok(())
}
