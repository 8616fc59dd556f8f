//! Commands on recorded backtests: their options.

use clap::Subcommand;

/// What is done with recorded backtests.
#[derive(Clone, Debug, Subcommand)]
pub enum RecordedCommand {
    /// List the backtests of the tape, newest first
    List {
        /// Only those of this status
        #[arg(long, value_name = "waiting|running|succeeded|failed|cancelled")]
        status: Option<String>,
        /// Most rows
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        /// Backtests older than this cursor
        #[arg(long, value_name = "CURSOR")]
        before: Option<u64>,
    },
    /// Show one: what was asked, how far it is, what it came to
    Show {
        /// Id of the run, or its beginning
        id: String,
        /// Write its tear sheet: a page that opens offline or, to a file named *.json, the data
        #[arg(long, value_name = "FILE")]
        report: Option<std::path::PathBuf>,
    },
    /// Ask for the end of one
    Cancel {
        /// Id of the run, or its beginning
        id: String,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
        reason: String,
    },
}
