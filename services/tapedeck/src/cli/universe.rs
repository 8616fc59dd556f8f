//! Options of `tapedeck universe` and `tapedeck quotes`.

use clap::{Args, Subcommand};

/// What to do with the groups of symbols of the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum UniverseCommand {
    /// List the groups with their symbols
    List,
    /// Say of each symbol whether it is listed and has bars of late, as the tape has it; exit 6 when one has ended
    Check(UniverseCheck),
}

/// Options of `universe check`.
#[derive(Clone, Debug, Args)]
pub struct UniverseCheck {
    /// Symbols, or groups such as @tech [default: every group]
    #[arg(long, value_delimiter = ',', value_name = "SYMBOL,...")]
    pub symbols: Vec<String>,
}

/// Options of `quotes`.
#[derive(Clone, Debug, Args)]
pub struct Quotes {
    /// Symbols, or groups such as @tech [default: those that are streamed]
    #[arg(long, value_delimiter = ',', value_name = "SYMBOL,...")]
    pub symbols: Vec<String>,
}
