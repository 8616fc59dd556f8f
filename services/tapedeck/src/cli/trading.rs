//! Commands about orders, positions and accounts: their options.

use clap::{Args, Subcommand, ValueEnum};
use domain::money::{Price, Quantity};

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
        #[arg(long, value_name = "SYMBOL", value_parser = super::symbol)]
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
    /// Place an order by hand; it passes the same risk checks as those of strategies
    Place(Place),
    /// Ask for new terms of an open order; what is not stated stays
    Replace {
        /// Order's id
        id: String,
        /// Shares of the whole order, those filled included
        #[arg(long, value_name = "SHARES", allow_negative_numbers = true)]
        qty: Option<Quantity>,
        /// Limit price
        #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
        limit: Option<Price>,
        /// Stop price
        #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
        stop: Option<Price>,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
        reason: String,
    },
    /// List what was done about groups of orders that were not whole, and about stopped strategies
    Groups {
        /// At most so many, up to 200
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Ask for an order to be cancelled
    Cancel {
        /// Order's id
        id: String,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason)]
        reason: String,
    },
}

/// Options of `order place`.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// `buy` or `sell`
    #[arg(value_name = "buy|sell")]
    pub side: String,
    /// Symbol
    #[arg(value_parser = super::symbol)]
    pub symbol: String,
    /// Shares; fractions for the day only
    #[arg(
        long,
        value_name = "SHARES",
        allow_negative_numbers = true,
        conflicts_with = "notional",
        required_unless_present = "notional"
    )]
    pub qty: Option<Quantity>,
    /// Amount of the currency instead of shares, at the market for the day; not against a short position, nor to open one
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    pub notional: Option<Price>,
    /// Type [default: by the prices that are stated, market without any]
    #[arg(long = "type", value_name = "market|limit|stop|stop_limit|trailing_stop")]
    pub order_type: Option<String>,
    /// Limit price
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub limit: Option<Price>,
    /// Stop price
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub stop: Option<Price>,
    /// Distance of a trailing stop in the currency
    #[arg(long, value_name = "AMOUNT", allow_negative_numbers = true)]
    pub trail: Option<Price>,
    /// The same as a share of the price, for example 0.05
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub trail_rate: Option<Price>,
    /// Limit price of an exit that takes the profit once it fills
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub take_profit: Option<Price>,
    /// Stop price of an exit that stops the loss once it fills
    #[arg(long, value_name = "PRICE", allow_negative_numbers = true)]
    pub stop_loss: Option<Price>,
    /// How long it works
    #[arg(long, default_value = "day", value_name = "day|gtc|ioc|fok|opg|cls")]
    pub tif: String,
    /// Trade outside of the regular session too (limit orders)
    #[arg(long)]
    pub extended_hours: bool,
    /// Account [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Reason, for the audit
    #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
    pub reason: String,
    /// Do not wait for risk's answer
    #[arg(long)]
    pub no_wait: bool,
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
    #[arg(long, value_name = "SYMBOL", value_parser = super::symbol)]
    pub benchmark: Option<String>,
    /// Write the tear sheet as one page that opens offline
    #[arg(long, value_name = "FILE")]
    pub html: Option<std::path::PathBuf>,
}

/// Options of `halt`.
#[derive(Clone, Debug, Args)]
pub struct Halt {
    /// What is stopped.
    #[command(flatten)]
    pub stopped: Stopped,
    /// What may still be sent [default: reduce-only]
    #[arg(long, value_enum, value_name = "STATE")]
    pub state: Option<StopState>,
}

/// Options of `halt` and `resume`: what is stopped, or goes on.
#[derive(Clone, Debug, Args)]
pub struct Stopped {
    /// Account [default: all]
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub account: Option<String>,
    /// Strategy, or `manual` for what is traded by hand [default: all]
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub strategy: Option<String>,
    /// Reason, for the audit
    #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
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
