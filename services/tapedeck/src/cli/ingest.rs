//! Options of `tapedeck backfill` and `tapedeck ingest`.

use clap::{Args, Subcommand, ValueEnum};
use domain::bar::{Timeframe, UnknownTimeframe};

/// Options of `backfill`.
#[derive(Clone, Debug, Args)]
pub struct Backfill {
    /// Vendor to ask
    #[arg(long, value_enum, value_name = "NAME")]
    pub source: Vendor,
    /// Symbols, for example AAPL,BRK.B
    #[arg(long, required = true, value_delimiter = ',', value_name = "SYMBOL,...")]
    pub symbols: Vec<String>,
    /// Timeframe of the bars: 1m, 5m, 15m, 30m, 1h or 1d; a tape has no weeks and months
    #[arg(long, default_value_t = Timeframe::H1, value_name = "TIMEFRAME", value_parser = timeframe)]
    pub timeframe: Timeframe,
    /// First date, in New York [default: two years ago, or as far back as the source reaches]
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub from: Option<chrono::NaiveDate>,
    /// Last date [default: today]
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub to: Option<chrono::NaiveDate>,
    /// Then run this strategy over what the tape holds of the symbols, and record the run, as `backtest` does
    #[arg(long, value_name = "NAME[:K=V,...]")]
    pub backtest: Option<String>,
}

/// A timeframe; of one that vendors have and a tape has not, what to ask for in its place.
fn timeframe(text: &str) -> Result<Timeframe, String> {
    text.parse().map_err(|error: UnknownTimeframe| {
        let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
        match unit.to_ascii_lowercase().as_str() {
            "w" | "wk" | "week" | "mo" | "mon" | "month" | "q" | "quarter" | "y" | "year" => {
                format!("{error}: a tape has no bars longer than a session; ask for their days, 1d")
            }
            _ => error.to_string(),
        }
    })
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
        #[arg(long, value_name = "NAME", value_parser = super::name)]
        source: Option<String>,
        /// These symbols only
        #[arg(long, value_delimiter = ',', value_name = "SYMBOL,...", value_parser = super::name)]
        symbols: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use clap::error::ErrorKind;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn an_empty_filter_is_not_an_empty_table() {
        for filter in [["--source", ""], ["--symbols", ""], ["--symbols", "AAPL,"]] {
            let line = ["tapedeck", "ingest", "status", filter[0], filter[1]];
            let refused = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ValueValidation, "{filter:?}: {refused}");
        }
        let line = ["tapedeck", "ingest", "status", "--symbols", "AAPL,@pair"];
        assert!(Cli::try_parse_from(line).is_ok());
    }

    #[test]
    fn of_a_text_that_is_no_date_it_is_said_that_one_was_expected() {
        for option in ["--from", "--to"] {
            let line =
                ["tapedeck", "backfill", "--source", "yahoo", "--symbols", "AAPL", option, "2018-13-02"];
            let refused = Cli::try_parse_from(line).unwrap_err().to_string();
            assert!(refused.contains(option) && refused.contains("expected a date, YYYY-MM-DD"), "{refused}");
        }
    }

    #[test]
    fn of_weeks_and_months_it_is_said_that_their_days_are_to_be_asked_for() {
        assert_eq!(timeframe("1d"), Ok(Timeframe::D1));
        for longer in ["1w", "1Week", "1mo", "3Month", "1wk"] {
            let refused = timeframe(longer).unwrap_err();
            assert!(refused.contains("ask for their days, 1d"), "{longer}: {refused}");
        }
        let refused = timeframe("2h").unwrap_err();
        assert!(refused.ends_with("expected one of 1m, 5m, 15m, 30m, 1h, 1d"), "{refused}");
    }
}
