//! Options of `tapedeck bars`, `tapedeck actions` and `tapedeck findings`.

use clap::Args;
use domain::bar::Timeframe;
use domain::corporate_action::Adjustment;

/// Options of `bars`.
#[derive(Clone, Debug, Args)]
pub struct Bars {
    /// Symbol; without one, list the symbols that have bars
    #[arg(value_name = "SYMBOL", value_parser = super::symbol)]
    pub symbol: Option<String>,
    /// 1m, 5m, 15m, 30m, 1h or 1d [default: that of the newest bar]
    #[arg(long, value_name = "TIMEFRAME")]
    pub timeframe: Option<Timeframe>,
    /// raw (as traded), split (in the newest bar's shares) or total-return (dividends reinvested as well)
    #[arg(long, default_value_t = Adjustment::Split, value_name = "raw|split|total-return")]
    pub adjustment: Adjustment,
    /// Lengths of simple moving averages in bars, for example 20,50
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    pub sma: Vec<usize>,
    /// First close: a date of exchange time or an instant (RFC 3339)
    #[arg(long, value_name = "DATE|TIME")]
    pub from: Option<String>,
    /// Last close: a date of exchange time or an instant (RFC 3339)
    #[arg(long, value_name = "DATE|TIME")]
    pub to: Option<String>,
    /// As it was known then, revisions and splits too: a date of exchange time (its end) or an instant (RFC 3339)
    /// [default: now]
    #[arg(long, value_name = "DATE|TIME", requires = "symbol")]
    pub as_of: Option<String>,
    /// At most so many, the newest, up to 10000
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
}

/// Options of `actions`.
#[derive(Clone, Debug, Args)]
pub struct Actions {
    /// Symbol [default: all]
    #[arg(value_name = "SYMBOL", value_parser = super::symbol)]
    pub symbol: Option<String>,
    /// First ex-date, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub from: Option<chrono::NaiveDate>,
    /// Last ex-date, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub to: Option<chrono::NaiveDate>,
}

/// Options of `findings`.
#[derive(Clone, Debug, Args)]
pub struct Findings {
    /// Symbol [default: all]
    #[arg(value_name = "SYMBOL", value_parser = super::symbol)]
    pub symbol: Option<String>,
    /// At most so many, up to 200
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: u32,
    /// Only older than this cursor, printed by the page before
    #[arg(long, value_name = "CURSOR")]
    pub before: Option<u64>,
}
