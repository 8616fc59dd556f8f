//! Options of `tapedeck backfill` and `tapedeck ingest`.

use clap::{Args, Subcommand, ValueEnum};
use domain::bar::Timeframe;

/// Options of `backfill`.
#[derive(Clone, Debug, Args)]
pub struct Backfill {
    /// Vendor to ask
    #[arg(long, value_enum, value_name = "NAME")]
    pub source: Vendor,
    /// Symbols, for example AAPL,BRK.B
    #[arg(long, required = true, value_delimiter = ',', value_name = "SYMBOL,...")]
    pub symbols: Vec<String>,
    /// Timeframe of the bars: 1m, 5m, 15m, 30m, 1h or 1d
    #[arg(long, default_value_t = Timeframe::H1, value_name = "TIMEFRAME")]
    pub timeframe: Timeframe,
    /// First date, in New York [default: two years ago, or as far back as the source reaches]
    #[arg(long, value_name = "DATE")]
    pub from: Option<chrono::NaiveDate>,
    /// Last date [default: today]
    #[arg(long, value_name = "DATE")]
    pub to: Option<chrono::NaiveDate>,
    /// Then run this strategy over what the tape holds of the symbols, and record the run, as `backtest` does
    #[arg(long, value_name = "NAME[:K=V,...]")]
    pub backtest: Option<String>,
}

/// Vendors of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Vendor {
    /// Yahoo's charts; no key
    Yahoo,
    /// Alpaca's market data
    Alpaca,
    /// Massive, which was Polygon
    Massive,
}

/// What to do with what came onto the tape.
#[derive(Clone, Debug, Subcommand)]
pub enum IngestCommand {
    /// Show how the live source and that of news are, and each source's series and articles: first and last, missing
    /// sessions, last success and last error
    Status {
        /// This source only
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
        /// These symbols only
        #[arg(long, value_delimiter = ',', value_name = "SYMBOL,...")]
        symbols: Vec<String>,
    },
}
