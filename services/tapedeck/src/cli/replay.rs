//! Commands that go back over a tape: their options.

use clap::{Args, Subcommand};

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

/// Options of `at`.
#[derive(Clone, Debug, Args)]
#[command(subcommand_value_name = "positions|orders|account|strategies")]
pub struct At {
    /// State after this event of TRADING or at this instant of market time
    #[arg(value_name = "SEQ|TIME")]
    pub moment: String,
    /// What to show
    #[command(subcommand)]
    pub what: AtCommand,
}

/// What is shown as of a moment.
#[derive(Clone, Debug, Subcommand)]
pub enum AtCommand {
    /// Positions
    Positions {
        /// Only of this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Also positions that are flat and have a result
        #[arg(long)]
        flat: bool,
    },
    /// Orders, newest first
    Orders {
        /// Only open ones
        #[arg(long)]
        open: bool,
        /// Only of this strategy
        #[arg(long, value_name = "NAME")]
        strategy: Option<String>,
        /// Only of this symbol
        #[arg(long, value_name = "SYMBOL", value_parser = super::symbol)]
        symbol: Option<String>,
        /// Only of this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// At most so many, up to 200
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Accounts
    Account {
        /// Account [default: all]
        #[arg(value_name = "NAME")]
        account: Option<String>,
    },
    /// Strategies
    Strategies,
}

/// Options of `parity`.
#[derive(Clone, Debug, Args)]
pub struct Parity {
    /// Date of the session, in exchange time
    #[arg(long, value_name = "DATE")]
    pub session: String,
}

/// Options of `fork`.
#[derive(Clone, Debug, Args)]
pub struct Fork {
    /// Change from the end of the instant in which this event of TRADING or instant of market time stands
    #[arg(long, value_name = "SEQ|TIME")]
    pub at: String,
    /// Run to the end of the instant in which this one stands [default: the end of the tape]
    #[arg(long, value_name = "SEQ|TIME")]
    pub to: Option<String>,
    /// Another parameter of a built-in strategy
    #[arg(long, value_name = "STRATEGY.NAME=VALUE")]
    pub param: Vec<String>,
    /// Another limit of an account, named as in the configuration
    #[arg(long, value_name = "ACCOUNT.NAME=VALUE")]
    pub limit: Vec<String>,
}
