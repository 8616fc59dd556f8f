//! What to be careful about before believing a result.
//!
//! Each check is a function of what a run left; who runs variants (sweeps, later signals, longer warm-up) is the
//! engine's host.

use domain::money::Amount;
use serde::{Deserialize, Serialize};

mod cliff;
mod evidence;
mod split;
mod variants;

pub use cliff::{GridPoint, parameter_cliff};
pub use evidence::{SharpeEvidence, Trials};
pub use split::{split_like, split_without_jump, unstated_split};
pub use variants::{delay, look_ahead, warm_up};

/// Closed trades below which averages say little.
pub const TRADES_MIN: usize = 30;
/// Daily returns below which annual numbers say little.
pub const DAYS_MIN: usize = 252;
/// Probability that a Sharpe ratio has to reach.
pub const CONFIDENCE_MIN: f64 = 0.95;

/// What a warning is about; `docs/metrics.md` has the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Too few closed trades.
    FewTrades,
    /// Too few daily returns.
    ShortHistory,
    /// The best of many trials, no better than luck would make it.
    MultipleTesting,
    /// One trial, and too little to tell its Sharpe ratio from zero.
    UnprovenSharpe,
    /// Neighbouring parameters do far worse.
    ParameterCliff,
    /// Trades depend on data from after them.
    LookAhead,
    /// Signals one bar later lose most of the profit.
    DelaySensitive,
    /// Trades depend on more warm-up than stated.
    WarmUp,
    /// Bars could have hit both a stop and a target.
    AmbiguousBars,
    /// Prices jump as in a split that nobody states.
    UnstatedSplit,
    /// A split is stated and prices do not jump as it would make them.
    SplitWithoutJump,
    /// Cash was below zero on an account that is lent none.
    NegativeCash,
}

impl Kind {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::FewTrades => "few_trades",
            Self::ShortHistory => "short_history",
            Self::MultipleTesting => "multiple_testing",
            Self::UnprovenSharpe => "unproven_sharpe",
            Self::ParameterCliff => "parameter_cliff",
            Self::LookAhead => "look_ahead",
            Self::DelaySensitive => "delay_sensitive",
            Self::WarmUp => "warm_up",
            Self::AmbiguousBars => "ambiguous_bars",
            Self::UnstatedSplit => "unstated_split",
            Self::SplitWithoutJump => "split_without_jump",
            Self::NegativeCash => "negative_cash",
        }
    }
}

impl Kind {
    /// Its name for people.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::FewTrades => "Few trades",
            Self::ShortHistory => "Short history",
            Self::MultipleTesting => "Multiple testing",
            Self::UnprovenSharpe => "Unproven Sharpe ratio",
            Self::ParameterCliff => "Parameter cliff",
            Self::LookAhead => "Look-ahead",
            Self::DelaySensitive => "Sensitive to delay",
            Self::WarmUp => "Warm-up too short",
            Self::AmbiguousBars => "Ambiguous bars",
            Self::UnstatedSplit => "Unstated split",
            Self::SplitWithoutJump => "Split without a jump",
            Self::NegativeCash => "Negative cash",
        }
    }
}

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What it is about.
    pub kind: Kind,
    /// One sentence with the number and the threshold.
    pub text: String,
}

impl Warning {
    pub(crate) fn new(kind: Kind, text: String) -> Self {
        Self { kind, text }
    }
}

/// How often and how far the cash of an account that is lent none was below zero; `cash` at each instant.
#[must_use]
pub fn negative_cash(cash: impl Iterator<Item = Amount>) -> Option<Warning> {
    let (mut instants, mut least) = (0_usize, Amount::ZERO);
    for cash in cash.filter(|cash| *cash < Amount::ZERO) {
        (instants, least) = (instants + 1, least.min(cash));
    }
    let text = format!(
        "Cash was below zero at {instants} instants, at worst {least}: an order is approved at the last close and paid \
         at the price of its fill, which may be worse."
    );
    (instants > 0).then(|| Warning::new(Kind::NegativeCash, text))
}

/// The warnings that follow from the numbers of one run.
#[must_use]
pub fn of_run(trades: usize, days: usize, ambiguous_bars: u64, evidence: &SharpeEvidence) -> Vec<Warning> {
    let mut found = Vec::new();
    if trades < TRADES_MIN {
        let text = format!("{trades} closed trades; averages over fewer than {TRADES_MIN} say little.");
        found.push(Warning::new(Kind::FewTrades, text));
    }
    if days < DAYS_MIN {
        let text = format!("{days} daily returns; annual numbers from fewer than {DAYS_MIN} say little.");
        found.push(Warning::new(Kind::ShortHistory, text));
    }
    found.extend(evidence.warning());
    if ambiguous_bars > 0 {
        let text = format!(
            "{ambiguous_bars} bars could have hit both a stop and a target; the worse was taken. Finer bars decide it."
        );
        found.push(Warning::new(Kind::AmbiguousBars, text));
    }
    found
}
