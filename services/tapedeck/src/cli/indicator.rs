//! Options of `tapedeck indicator`.

use std::path::PathBuf;

use clap::Args;
use domain::indicator::catalogue::Request;

use super::BarFormat;

/// Options of `indicator`.
#[derive(Clone, Debug, Args)]
pub struct Indicator {
    /// Name and parameters, for example rsi, sma:length=50 or macd:fast=12,slow=26
    #[arg(value_name = "NAME[:key=value,…]", required_unless_present = "list")]
    pub request: Option<Request>,
    /// List every indicator with its parameters, figures and warm-up
    #[arg(long, conflicts_with_all = ["request", "bars", "symbol", "as_of", "csv"])]
    pub list: bool,
    /// Files of bars: CSV, gzip or Parquet [default: the tape's bars of --symbol]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub bars: Vec<PathBuf>,
    /// Which series, and how files are to be read
    #[command(flatten)]
    pub format: BarFormat,
    /// Second series of beta and correlation: a symbol of the same files or tape, or a file
    #[arg(long, value_name = "SYMBOL|FILE")]
    pub against: Option<String>,
    /// Splits of the files' symbols, CSV [default: none; the tape knows its own]
    #[arg(long, value_name = "FILE", requires = "bars")]
    pub actions: Option<PathBuf>,
    /// When the market is open, in whose hours the files' bars lie: XNYS, 24x5 or 24x7 [default: XNYS]
    #[arg(long, value_name = "CALENDAR", requires = "bars")]
    pub calendar: Option<String>,
    /// First close printed: a date of exchange time or an instant (RFC 3339); earlier bars warm up
    #[arg(long, value_name = "DATE|TIME")]
    pub from: Option<String>,
    /// Last close printed: a date of exchange time or an instant (RFC 3339)
    #[arg(long, value_name = "DATE|TIME")]
    pub to: Option<String>,
    /// The tape's bars as they were known then, revisions and splits too: a date of exchange time (its end) or an
    /// instant (RFC 3339) [default: now]
    #[arg(long, value_name = "DATE|TIME", conflicts_with = "bars")]
    pub as_of: Option<String>,
    /// CSV instead of a table
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}
