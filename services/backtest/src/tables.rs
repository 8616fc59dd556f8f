//! Trades and equity as files: CSV, or Parquet where the name says so.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use analytics::sheet::TradeRow;
use chrono::{DateTime, SecondsFormat};
use domain::performance::{EquityRow, Trade};
use polars::prelude::{
    Column, DataFrame, Int64Chunked, IntoSeries as _, NamedFrom as _, ParquetWriter, PolarsError, Series,
    TimeUnit, TimeZone,
};

/// A table that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The columns do not make a table.
    #[error(transparent)]
    Parquet(#[from] PolarsError),
}

/// Writes closed trades: `symbol,side,quantity,entry_time,entry_price,exit_time,exit_price,commission,pnl,strategy`.
pub fn write_trades(path: &Path, trades: &[Trade]) -> Result<(), TableError> {
    if is_parquet(path) {
        let number = |of: &dyn Fn(&Trade) -> f64| trades.iter().map(of).collect::<Vec<_>>();
        let text = |of: fn(&Trade) -> &str| trades.iter().map(of).collect::<Vec<_>>();
        let columns = vec![
            Series::new("symbol".into(), text(|trade| &trade.symbol)),
            Series::new("side".into(), text(|trade| trade.side.name())),
            Series::new("quantity".into(), number(&|trade| trade.quantity.to_f64())),
            times("entry_time", trades.iter().map(|trade| trade.entry_ns).collect())?,
            Series::new("entry_price".into(), number(&|trade| trade.entry_price.to_f64())),
            times("exit_time", trades.iter().map(|trade| trade.exit_ns).collect())?,
            Series::new("exit_price".into(), number(&|trade| trade.exit_price.to_f64())),
            Series::new("commission".into(), number(&|trade| trade.commission.to_f64())),
            Series::new("pnl".into(), number(&|trade| trade.pnl.to_f64())),
            Series::new("strategy".into(), text(|trade| &trade.strategy)),
        ];
        return parquet(path, trades.len(), columns);
    }
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "{}", TradeRow::COLUMNS.join(","))?;
    for trade in trades {
        writeln!(
            file,
            "{},{},{},{},{},{},{},{},{},{}",
            trade.symbol,
            trade.side.name(),
            trade.quantity,
            utc(trade.entry_ns),
            trade.entry_price,
            utc(trade.exit_ns),
            trade.exit_price,
            trade.commission,
            trade.pnl,
            trade.strategy
        )?;
    }
    Ok(file.flush()?)
}

/// Writes equity: `time,equity,cash,exposure`.
pub fn write_equity(path: &Path, rows: &[EquityRow]) -> Result<(), TableError> {
    if is_parquet(path) {
        let number = |of: &dyn Fn(&EquityRow) -> f64| rows.iter().map(of).collect::<Vec<_>>();
        let columns = vec![
            times("time", rows.iter().map(|row| row.time_ns).collect())?,
            Series::new("equity".into(), number(&|row| row.equity.to_f64())),
            Series::new("cash".into(), number(&|row| row.cash.to_f64())),
            Series::new("exposure".into(), number(&|row| row.exposure.to_f64())),
        ];
        return parquet(path, rows.len(), columns);
    }
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "time,equity,cash,exposure")?;
    for row in rows {
        writeln!(file, "{},{},{},{}", utc(row.time_ns), row.equity, row.cash, row.exposure)?;
    }
    Ok(file.flush()?)
}

fn is_parquet(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}

fn utc(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn times(name: &str, values: Vec<i64>) -> Result<Series, PolarsError> {
    let utc = TimeZone::opt_try_new(Some("UTC"))?;
    // A cast would lose the zone: polars keeps one there only with all of its time zones compiled in.
    Ok(Int64Chunked::from_vec(name.into(), values).into_datetime(TimeUnit::Nanoseconds, utc).into_series())
}

fn parquet(path: &Path, height: usize, columns: Vec<Series>) -> Result<(), TableError> {
    let columns = columns.into_iter().map(Column::from).collect();
    let mut frame = DataFrame::new(height, columns)?;
    ParquetWriter::new(File::create(path)?).finish(&mut frame)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::money::Amount;
    use polars::prelude::{DataType, ParquetReader, SerReader as _};

    use super::*;

    #[test]
    fn times_in_parquet_are_utc_as_in_csv() {
        let directory = tempfile::tempdir().unwrap();
        let (parquet, csv) = (directory.path().join("equity.parquet"), directory.path().join("equity.csv"));
        let time_ns = 1_577_977_200_000_000_000;
        let row = EquityRow { time_ns, equity: Amount::ZERO, cash: Amount::ZERO, exposure: Amount::ZERO };
        write_equity(&parquet, &[row]).unwrap();
        write_equity(&csv, &[row]).unwrap();

        let frame = ParquetReader::new(File::open(&parquet).unwrap()).finish().unwrap();
        let time = frame.column("time").unwrap();
        let utc = TimeZone::opt_try_new(Some("UTC")).unwrap();
        assert_eq!(time.dtype(), &DataType::Datetime(TimeUnit::Nanoseconds, utc));
        let text = std::fs::read_to_string(&csv).unwrap();
        assert_eq!(text, "time,equity,cash,exposure\n2020-01-02T15:00:00Z,0,0,0\n");

        write_trades(&directory.path().join("trades.parquet"), &[]).unwrap();
        let trades = File::open(directory.path().join("trades.parquet")).unwrap();
        let trades = ParquetReader::new(trades).finish().unwrap();
        for name in ["entry_time", "exit_time"] {
            assert_eq!(trades.column(name).unwrap().dtype(), time.dtype(), "{name}");
        }
    }
}
