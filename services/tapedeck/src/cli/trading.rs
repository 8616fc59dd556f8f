//! Commands about orders, positions and accounts: their options.

use clap::{Args, Subcommand, ValueEnum};

/// Orders.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// List orders, newest first
    List {
        /// Only open ones
        #[arg(long)]
        open: bool,
        /// Only of this strategy
        #[arg(long, value_name = "NAME")]
        strategy: Option<String>,
        /// Only of this symbol
        #[arg(long, value_name = "SYMBOL")]
        symbol: Option<String>,
        /// Only of this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Only with this status, for example `filled`
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Only `buy` or `sell`
        #[arg(long, value_name = "buy|sell")]
        side: Option<String>,
        /// At most so many, up to 200
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        /// Only older than this cursor, printed by the page before
        #[arg(long, value_name = "CURSOR")]
        before: Option<projections::queries::Cursor>,
    },
    /// Show one order with its history and fills
    Show {
        /// Order's id
        id: String,
    },
    /// Ask for an order to be cancelled
    Cancel {
        /// Order's id
        id: String,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
}

/// Options of `positions`.
#[derive(Clone, Debug, Args)]
pub struct Positions {
    /// Only of this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Also positions that are flat and have a result
    #[arg(long)]
    pub flat: bool,
    /// State after an event of TRADING (seq:N) or at an instant of market time (RFC 3339) [default: now]
    #[arg(long, value_name = "seq:N|TIME")]
    pub as_of: Option<String>,
}

/// Options of `account`.
#[derive(Clone, Debug, Args)]
pub struct AccountOptions {
    /// Account [default: all]
    #[arg(value_name = "NAME")]
    pub account: Option<String>,
    /// State after an event of TRADING (seq:N) or at an instant of market time (RFC 3339) [default: now]
    #[arg(long, value_name = "seq:N|TIME")]
    pub as_of: Option<String>,
}

/// Options of `report`.
#[derive(Clone, Debug, Args)]
pub struct ReportOptions {
    /// Account [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// From this date (New York) or instant (RFC 3339) on
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// To this date or instant, included
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Compare with this symbol, bought and held
    #[arg(long, value_name = "SYMBOL")]
    pub benchmark: Option<String>,
    /// Write the tear sheet as one page that opens offline
    #[arg(long, value_name = "FILE")]
    pub html: Option<std::path::PathBuf>,
}

/// Options of `halt` and `resume`.
#[derive(Clone, Debug, Args)]
pub struct Halt {
    /// Account [default: all]
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pub account: String,
    /// Strategy [default: all]
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pub strategy: String,
    /// What may still be sent (of halt) [default: reduce-only]
    #[arg(long, value_enum, value_name = "STATE")]
    pub state: Option<StopState>,
    /// Reason, for the audit
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub reason: String,
}

/// What may still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StopState {
    /// Orders that reduce a position.
    ReduceOnly,
    /// No order of a strategy at all.
    Halted,
}
