//! Commands that go back over a tape: their options.

use clap::Args;

/// Options of `replay`.
#[derive(Clone, Debug, Args)]
pub struct Replay {
    /// Prove from this event of TRADING or instant of market time on [default: the first event]
    #[arg(long, value_name = "SEQ|TIME")]
    pub from: Option<String>,
    /// Prove through this event of TRADING or instant of market time [default: the last event]
    #[arg(long, value_name = "SEQ|TIME")]
    pub to: Option<String>,
    /// Also hold the read model against the fold of the tape
    #[arg(long)]
    pub verify: bool,
}
