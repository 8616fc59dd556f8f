//! Options of `tapedeck tape`.

use clap::Subcommand;

/// What to do with the tapes of this home.
#[derive(Clone, Debug, Subcommand)]
pub enum TapeCommand {
    /// List the tapes: kind, size, and whether a process runs one
    List,
    /// Let commands without --tape speak of this one
    Use {
        /// Tape
        name: String,
    },
    /// Remove tapes with every event on them; asks first, unless --yes is given
    Remove {
        /// Tapes
        #[arg(required = true)]
        names: Vec<String>,
    },
}
