//! Options of `tapedeck news`.

use clap::{Args, Subcommand, ValueEnum};

/// What to do with news.
#[derive(Clone, Debug, Subcommand)]
pub enum NewsCommand {
    /// Ask a vendor for articles and append those that the tape lacks, with their sentiment
    Fetch(NewsFetch),
    /// List articles of the tape, those that were appended last first
    List(NewsList),
}

/// Vendors of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NewsVendor {
    /// Alpaca's news, without delay
    Alpaca,
    /// NewsAPI, whose plan for developers is a day late
    Newsapi,
}

/// Options of `news fetch`.
#[derive(Clone, Debug, Args)]
pub struct NewsFetch {
    /// Vendor to ask
    #[arg(long, value_enum, value_name = "NAME")]
    pub source: NewsVendor,
    /// Symbols, for example AAPL,BRK.B
    #[arg(long, required = true, value_delimiter = ',', value_name = "SYMBOL,...")]
    pub symbols: Vec<String>,
    /// First date, in New York, or an instant (RFC 3339) [default: seven days ago]
    #[arg(long, value_name = "DATE|TIME")]
    pub from: Option<String>,
    /// Last date, or an instant [default: now]
    #[arg(long, value_name = "DATE|TIME")]
    pub to: Option<String>,
    /// Words to look for instead of the symbol, at a vendor that knows no symbols; for one symbol only
    #[arg(long, value_name = "TEXT")]
    pub words: Option<String>,
    /// Headlines of the moment only, from newsapi
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub headlines: bool,
}

/// Options of `news list`.
#[derive(Clone, Debug, Args)]
pub struct NewsList {
    /// Only of this symbol
    #[arg(long, value_name = "SYMBOL", value_parser = super::symbol)]
    pub symbol: Option<String>,
    /// At most so many, up to 1000
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub limit: usize,
    /// Only older than this cursor, printed by the page before
    #[arg(long, value_name = "CURSOR")]
    pub before: Option<u64>,
}
