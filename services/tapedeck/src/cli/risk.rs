//! Commands on risk: limits by scope, breakers, the kill switch.

use clap::{ArgGroup, Args, Subcommand};

/// What limits are of.
#[derive(Clone, Debug, Args)]
pub struct ScopeOptions {
    /// Account [default: each one]
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pub account: String,
    /// Strategy, or `manual` for what is traded by hand [default: each one]
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pub strategy: String,
    /// Symbol [default: each one]
    #[arg(
        long,
        default_value = "",
        value_name = "SYMBOL",
        hide_default_value = true,
        value_parser = super::symbol_or_each
    )]
    pub symbol: String,
}

/// Limits by account, strategy and symbol.
#[derive(Debug, Subcommand)]
pub enum LimitsCommand {
    /// List the limits in force, and what is used of the accounts' own ones
    List {
        /// Only those that hold for this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
    /// State or end limits of a scope, for example `set --account paper max_leverage=1.5 max_open_orders=none`
    Set {
        /// What they are of
        #[command(flatten)]
        scope: ScopeOptions,
        /// Limits by name; `none` ends one
        #[arg(required = true, value_name = "NAME=VALUE")]
        limits: Vec<String>,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
    /// End all limits of a scope
    Clear {
        /// What they are of
        #[command(flatten)]
        scope: ScopeOptions,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
    /// List statements of limits, newest first, with author and reason
    History {
        /// At most so many, up to 200
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// List every limit there is, with what its value must be
    Names,
}

/// Circuit breakers.
#[derive(Debug, Subcommand)]
pub enum BreakerCommand {
    /// List breakers that tripped, stops and kill switches in force
    List,
    /// End a breaker and measure anew from here
    Reset {
        /// Account
        #[arg(long, value_name = "NAME")]
        account: String,
        /// Strategy, for a breaker of one
        #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
        strategy: String,
        /// Which, for example drawdown [default: all of them]
        #[arg(value_name = "BREAKER")]
        breaker: Option<String>,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
}

/// Options of `kill`.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("scope").args(["account", "strategy", "all"]).required(true).multiple(true))]
pub struct Kill {
    /// Account
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pub account: String,
    /// Strategy, or `manual` for what is traded by hand
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pub strategy: String,
    /// Everything
    #[arg(long, conflicts_with_all = ["account", "strategy"])]
    pub all: bool,
    /// Also close every position
    #[arg(long)]
    pub flatten: bool,
    /// Reason, for the audit
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub reason: String,
}

/// Options of `risk`.
#[derive(Clone, Debug, Args)]
pub struct RiskOptions {
    /// Only of this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
}
