//! Options of `tapedeck pairs`.

use std::path::PathBuf;

use clap::Args;
use domain::bar::Timeframe;

/// Options of `pairs`.
#[derive(Clone, Debug, Args)]
pub struct Pairs {
    /// Symbol whose logarithm is explained
    #[arg(value_name = "FIRST", value_parser = super::symbol)]
    pub first: String,
    /// Symbol that it is hedged with
    #[arg(value_name = "SECOND", value_parser = super::symbol)]
    pub second: String,
    /// Files of bars and of corporate actions, of as many symbols as you like [default: the tape]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub bars: Vec<PathBuf>,
    /// 1m, 5m, 15m, 30m, 1h or 1d [default: that of the bars]
    #[arg(long, value_name = "TIMEFRAME")]
    pub timeframe: Option<Timeframe>,
    /// Time zone of times in files that carry no offset, for example America/New_York
    #[arg(long, value_name = "ZONE", requires = "bars")]
    pub timezone: Option<String>,
    /// Whether prices in files are adjusted: `none` (raw) or `yes`
    #[arg(long, value_name = "none|yes", requires = "bars")]
    pub adjusted: Option<String>,
    /// When the market is open, in whose hours the files' bars lie: XNYS, 24x5 or 24x7 [default: XNYS]
    #[arg(long, value_name = "CALENDAR", requires = "bars")]
    pub calendar: Option<String>,
    /// First close: a date of exchange time or an instant (RFC 3339)
    #[arg(long, value_name = "DATE|TIME")]
    pub from: Option<String>,
    /// Last close: a date of exchange time or an instant (RFC 3339)
    #[arg(long, value_name = "DATE|TIME")]
    pub to: Option<String>,
}
