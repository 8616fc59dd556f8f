//! Options of `tapedeck strategy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Strategies.
#[derive(Debug, Subcommand)]
pub enum StrategyCommand {
    /// List the tape's strategies: state, signals, orders, fills, hit rate, profit and loss
    List,
    /// Show all that is known of one strategy: parameters, subscription and its lag, figures
    Show {
        /// Strategy's name
        name: String,
    },
    /// Let a strategy's signals take effect
    Enable {
        /// Strategy's name
        name: String,
        /// `shadow` records signals without orders; `paper` orders, but opens nothing on an account that trades with money;
        /// `live` does, where the account is confirmed for it
        #[arg(long, default_value = "paper", value_name = "shadow|paper|live")]
        mode: String,
        /// In shadow mode, in which it manages nothing, what becomes of its positions: they stay in its name (keep), they
        /// are closed at the market (flatten), or another strategy takes them over (hand-over) [default: asked on a
        /// terminal; else it has to be stated where it holds something]
        #[arg(long, value_name = "keep|flatten|hand-over")]
        positions: Option<String>,
        /// Who takes the positions over: an enabled strategy of the same account, or `manual`
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
    },
    /// Stop a strategy's signals; what becomes of its positions is asked for, or stated
    Disable {
        /// Strategy's name
        name: String,
        /// What becomes of its positions: the strategy goes on to close them (keep), they are closed at the market
        /// (flatten), or another one takes them over (hand-over) [default: asked on a terminal; else it has to be stated
        /// where it holds something]
        #[arg(long, value_name = "keep|flatten|hand-over")]
        positions: Option<String>,
        /// Who takes the positions over: an enabled strategy of the same account, or `manual`
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason)]
        reason: String,
    },
    /// List the built-in kinds with their parameters
    Kinds,
    /// Register an external strategy: its user, its consumers and its name on the tape
    Register(Register),
    /// End an external strategy's registration; its user and consumers go, its history stays; what becomes of what it
    /// holds is asked for, or stated
    Remove {
        /// Strategy's name
        name: String,
        /// What becomes of its positions: they stay in its name and nobody manages them (keep), they are closed at the
        /// market (flatten), or another strategy takes them over (hand-over) [default: asked on a terminal; else it has
        /// to be stated where it holds something]
        #[arg(long, value_name = "keep|flatten|hand-over")]
        positions: Option<String>,
        /// Who takes the positions over: an enabled strategy of the same account, or `manual`
        #[arg(long, value_name = "NAME")]
        to: Option<String>,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
        reason: String,
    },
    /// Hand over to another strategy, with account and mode, at one position of the tape
    Replace(Replace),
    /// Hold a strategy's signals against later prices, as if nobody had traded them
    Score {
        /// Strategy's name
        name: String,
    },
    /// Show two strategies beside each other: their scores, and which signals both gave
    Compare {
        /// One strategy
        name: String,
        /// The other one, for example its next version in shadow mode
        other: String,
    },
    /// Hand over to the next version, which has run in shadow mode beside the old one
    Switch {
        /// Strategy that is enabled now
        name: String,
        /// Its next version, enabled in shadow mode
        #[arg(long, value_name = "OTHER")]
        to: String,
        /// What becomes of its positions: the old one goes on to close them (keep), they are closed at the market
        /// (flatten), or the next one takes them over (hand-over) [default: asked on a terminal; else it has to be stated
        /// where it holds something]
        #[arg(long, value_name = "keep|flatten|hand-over")]
        positions: Option<String>,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
        reason: String,
    },
    /// Give an external strategy a new password; the old one ends at once
    Rotate {
        /// Strategy's name
        name: String,
        /// File to write the credentials to, readable by you alone [default: print them, once]
        #[arg(long, value_name = "FILE")]
        credentials: Option<PathBuf>,
    },
    /// Write a working external strategy to a new directory
    New {
        /// Strategy's name, also the directory's
        name: String,
        /// Language
        #[arg(long, value_enum, value_name = "LANGUAGE")]
        lang: Language,
        /// Directory to write to [default: NAME]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Options of `strategy register`.
#[derive(Clone, Debug, Args)]
pub struct Register {
    /// Strategy's name: 1 to 40 lowercase letters, digits and _
    pub name: String,
    /// Subjects that it reads, separated by commas: at least one of `market.>`, and `news.article.>` or those of symbols
    #[arg(long, value_delimiter = ',', default_values_t = runtime::DEFAULT_SUBJECTS.map(str::to_owned), value_name = "SUBJECT,…")]
    pub subjects: Vec<String>,
    /// Enable it at once, in this mode [default: disabled until `strategy enable`]
    #[arg(long, value_name = "shadow|paper")]
    pub mode: Option<String>,
    /// Account it trades on
    #[arg(long, default_value = "paper", value_name = "ACCOUNT")]
    pub account: String,
    /// Size of an entry: fixed:SHARES, fraction:SHARE_OF_EQUITY, notional:MONEY, equal_weight[:SHARE], atr:SHARE,
    /// volatility:SHARE, half_kelly[:MOST] or risk_parity:SHARE, with options such as ,cap=0.2,lot=100
    #[arg(long, default_value = "fraction:0.1", value_name = "SIZING")]
    pub sizing: String,
    /// What becomes of the orders of a signal that states no policy of its own when one of them fails: none, complete,
    /// unwind or alert
    #[arg(long, default_value = "none", value_name = "POLICY")]
    pub group_policy: String,
    /// File to write the credentials to, readable by you alone [default: print them, once]
    #[arg(long, value_name = "FILE")]
    pub credentials: Option<PathBuf>,
}

/// Options of `strategy replace`.
#[derive(Clone, Debug, Args)]
pub struct Replace {
    /// Strategy that is enabled now
    pub name: String,
    /// Registered strategy that takes over
    #[arg(long, value_name = "OTHER")]
    pub with: String,
    /// What becomes of its positions: the old one goes on to close them (keep), they are closed at the market (flatten),
    /// or the next one takes them over (hand-over) [default: asked on a terminal; else it has to be stated where it holds
    /// something]
    #[arg(long, value_name = "keep|flatten|hand-over")]
    pub positions: Option<String>,
    /// Reason, for the audit
    #[arg(long, default_value = "", value_name = "TEXT", value_parser = super::reason, hide_default_value = true)]
    pub reason: String,
}

/// A language of `strategy new`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust with async-nats and protobuf.
    Rust,
    /// Python with nats-py and JSON.
    Python,
}
