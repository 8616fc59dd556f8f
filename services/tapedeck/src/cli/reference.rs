//! Options of `tapedeck reference`.

use clap::{Args, Subcommand};

use super::Vendor;

/// What to do with facts about companies and listings.
#[derive(Clone, Debug, Subcommand)]
pub enum ReferenceCommand {
    /// Ask a vendor what it states now, and append what differs from what it stated last
    Fetch(ReferenceFetch),
    /// Show what the tape holds about a symbol
    Show(ReferenceShow),
}

/// Options of `reference fetch`.
#[derive(Clone, Debug, Args)]
pub struct ReferenceFetch {
    /// Vendor to ask: yahoo tells profile, statistics, statements, holders and analysts, alpaca and massive the listing
    #[arg(long, value_enum, value_name = "NAME")]
    pub source: Vendor,
    /// Symbols, for example AAPL,BRK.B
    #[arg(long, required = true, value_delimiter = ',', value_name = "SYMBOL,...")]
    pub symbols: Vec<String>,
}

/// Options of `reference show`.
#[derive(Clone, Debug, Args)]
pub struct ReferenceShow {
    /// Symbol
    #[arg(value_name = "SYMBOL", value_parser = super::symbol)]
    pub symbol: String,
    /// As it was known then: a date of exchange time (its end) or an instant (RFC 3339)
    #[arg(long, value_name = "DATE|TIME")]
    pub as_of: Option<String>,
}
