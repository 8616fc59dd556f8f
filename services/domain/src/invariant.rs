//! What must always hold, as code: the nine invariants of the design, each a function of events, books and
//! what a broker states.
//!
//! The simulation checks every event as it is stored and the rest whenever nobody can go on, the checker of a running
//! system while it follows the tape; both run this code. [`Watch`] folds TRADING and looks at every event;
//! [`compare_broker`], [`compare_open`] (of a broker in use), [`compare_book`] and [`compare_acknowledged`] hold what
//! others state against that fold.
//!
//! Invariants of this module: nothing here is taken from the code that it watches where a plain sum says the
//! same (positions are summed from fills once more); a check says what it found and what it expected.
//!
//! Deliberately absent: the tape, brokers, clocks, and the ninth invariant's work, which is a replay's
//! (`backtest::replay`); whoever has one reports it under [`Invariant::ReplayAgrees`].

mod broker;
mod limits;
mod opening;
mod read_model;
mod scopes;
mod watch;

pub use broker::{AtBroker, compare_broker, compare_open, half_open};
pub use read_model::compare_book;
pub use watch::{Acknowledged, Watch, compare_acknowledged};

/// What must always hold. The numbers are those of the design and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// No acknowledged event is lost, and none stands twice.
    NoEventLost,
    /// No order is sent twice, and none without its intent.
    NoOrderTwice,
    /// Positions equal the fold of fills, and fills equal the broker's.
    FillsAgree,
    /// No limit is exceeded by approved plus open exposure.
    WithinLimits,
    /// Cash + Σ cost basis − gross realised P&L + fees = deposits + dividends.
    MoneyAddsUp,
    /// Every order ends or is open at the broker.
    OrdersEnd,
    /// Every read model equals its fold.
    ReadModelIsFold,
    /// A halted account opens nothing: no decision that had read the stop, and no order that is to reduce.
    HaltOpensNothing,
    /// A replay yields the same decisions.
    ReplayAgrees,
}

impl Invariant {
    /// Every invariant, by number.
    pub const ALL: [Self; 9] = [
        Self::NoEventLost,
        Self::NoOrderTwice,
        Self::FillsAgree,
        Self::WithinLimits,
        Self::MoneyAddsUp,
        Self::OrdersEnd,
        Self::ReadModelIsFold,
        Self::HaltOpensNothing,
        Self::ReplayAgrees,
    ];

    /// Its number, from 1.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Its name, as reports and alerts state it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoEventLost => "no_event_lost",
            Self::NoOrderTwice => "no_order_twice",
            Self::FillsAgree => "fills_agree",
            Self::WithinLimits => "within_limits",
            Self::MoneyAddsUp => "money_adds_up",
            Self::OrdersEnd => "orders_end",
            Self::ReadModelIsFold => "read_model_is_fold",
            Self::HaltOpensNothing => "halt_opens_nothing",
            Self::ReplayAgrees => "replay_agrees",
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.number(), self.name())
    }
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {invariant} at TRADING {sequence}: {detail}")]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Last sequence of TRADING when it was found.
    pub sequence: u64,
    /// What was found, and what was expected.
    pub detail: String,
}

impl Violation {
    /// A violation found at `sequence`.
    #[must_use]
    pub fn new(invariant: Invariant, sequence: u64, detail: impl Into<String>) -> Self {
        Self { invariant, sequence, detail: detail.into() }
    }
}
