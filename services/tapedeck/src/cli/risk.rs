//! Commands on risk: limits by scope, breakers, the kill switch.

use clap::{ArgGroup, Args, Subcommand};

/// What limits are of.
#[derive(Clone, Debug, Args)]
pub struct ScopeOptions {
    /// Account [default: each one]
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub account: Option<String>,
    /// Strategy, or `manual` for what is traded by hand [default: each one]
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub strategy: Option<String>,
    /// Symbol [default: each one]
    #[arg(long, value_name = "SYMBOL", value_parser = super::symbol)]
    pub symbol: Option<String>,
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
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
        reason: String,
    },
    /// End all limits of a scope
    Clear {
        /// What they are of
        #[command(flatten)]
        scope: ScopeOptions,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
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
        #[arg(long, value_name = "NAME", value_parser = super::name)]
        account: String,
        /// Strategy, for a breaker of one
        #[arg(long, value_name = "NAME", value_parser = super::name)]
        strategy: Option<String>,
        /// Which, for example drawdown [default: all of them]
        #[arg(value_name = "BREAKER")]
        breaker: Option<String>,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
        reason: String,
    },
}

/// Options of `kill`.
#[derive(Clone, Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("scope").args(["account", "strategy", "all"]).required(true).multiple(true))]
pub struct Kill {
    /// Account
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub account: Option<String>,
    /// Strategy, or `manual` for what is traded by hand
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub strategy: Option<String>,
    /// Everything
    #[arg(long, conflicts_with_all = ["account", "strategy"])]
    pub all: bool,
    /// Also close every position
    #[arg(long)]
    pub flatten: bool,
    /// Reason, for the audit
    #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
    pub reason: String,
}

/// Options of `risk`.
#[derive(Clone, Debug, Args)]
pub struct RiskOptions {
    /// Only of this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use clap::error::ErrorKind;

    use crate::cli::Cli;

    #[test]
    fn a_reason_is_a_line_of_a_bounded_length() {
        let long = "x".repeat(201);
        for reason in ["two\nlines", "\u{1b}[31mred", &long] {
            let line = ["tapedeck", "halt", "--reason", reason];
            let refused = Cli::try_parse_from(line).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ValueValidation, "{reason:?}: {refused}");
        }
        assert!(Cli::try_parse_from(["tapedeck", "halt", "--reason", &long[1..]]).is_ok());
    }

    #[test]
    fn what_may_still_be_sent_is_said_by_a_halt_alone() {
        assert!(Cli::try_parse_from(["tapedeck", "halt", "--state", "halted"]).is_ok());
        let refused = Cli::try_parse_from(["tapedeck", "resume", "--state", "halted"]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::UnknownArgument, "{refused}");
    }

    #[test]
    fn an_empty_name_is_not_everything() {
        for line in [
            &["kill", "--strategy", ""][..],
            &["kill", "--account", "", "--flatten"],
            &["halt", "--account", ""],
            &["resume", "--strategy", ""],
            &["limits", "set", "--symbol", "", "max_open_orders=1"],
            &["limits", "clear", "--account", ""],
            &["breaker", "reset", "--account", "paper", "--strategy", ""],
        ] {
            let refused = Cli::try_parse_from([&["tapedeck"][..], line].concat()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ValueValidation, "{line:?}: {refused}");
        }
        for line in [&["kill", "--all"][..], &["halt"], &["resume"], &["limits", "clear"]] {
            assert!(Cli::try_parse_from([&["tapedeck"][..], line].concat()).is_ok(), "{line:?}");
        }
    }
}
