//! Options of `tapedeck history` and `tapedeck resample`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::bar::Timeframe;
use domain::calendar::Market;

use super::BarFormat;

/// What to do with the history segments of a tape.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum HistoryCommand {
    /// List segments, their ranges and what they hold
    List,
    /// Read what the tape holds beyond the segments
    Sync,
    /// Compare every column of every segment with its hash; exit 7 when one is damaged
    Verify,
    /// Remove the segments; the next backtest reads the tape anew
    Clear,
}

/// Options of `resample`.
#[derive(Clone, Debug, Args)]
pub struct Resample {
    /// Files of bars: CSV, gzip or Parquet
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Timeframe wanted: 5m, 15m, 30m, 1h or 1d
    #[arg(long, value_name = "TIMEFRAME")]
    pub to: Timeframe,
    /// Where to write, as Parquet when its name ends in .parquet, else as CSV [default: CSV on stdout]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// When the market is open: XNYS, 24x5 (Sunday to Friday 17:00 in New York) or 24x7
    #[arg(long, default_value_t = Market::Xnys, value_name = "XNYS|24x5|24x7")]
    pub calendar: Market,
    /// What the files do not say themselves
    #[command(flatten)]
    pub format: BarFormat,
}
