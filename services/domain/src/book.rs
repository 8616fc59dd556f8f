//! The book: THE fold of TRADING.
//!
//! Projections, execution, risk and the strategy host all fold the trading stream with
//! [`Book::apply`] and nothing else, so that a read model, a service's memory and a replay can never
//! disagree. A service loads the rows of the read model with [`Book::from_parts`] at their checkpoint and
//! goes on folding.
//!
//! Invariants:
//! - cash + Σ cost basis − gross realised P&L + fees = deposits + dividends, exactly
//!   ([`identity::check_identity`]); commissions are not in the cost basis;
//! - an event is folded once: a sequence at or below the last one changes nothing;
//! - an event is folded whole or not at all: on an error the book is as it was, and the caller parks the
//!   event and goes on with [`Book::skip`];
//! - nothing wraps: a sum that leaves its range is an error that names its field.
//!
//! Orders that have ended leave memory after [`SETTLED_ORDERS_MAX`] others; an event of such an order is
//! [`FoldError::OrderNotLoaded`], upon which the caller loads it from the read model
//! ([`Book::admit`]) and folds again.
//!
//! Deliberately absent: the history of what was folded (the read model's), prices (an argument, but for those that brokers
//! outside stated of what they hold), clocks.

mod account;
mod ahead;
mod apply;
mod approvals;
mod entry;
mod error;
mod groups;
pub mod history;
pub mod identity;
mod in_name;
mod limits;
mod lots;
mod mark;
pub mod pairs;
mod position;
mod prices;
mod query;
mod restate;
mod shared;
mod strategies;
mod tally;
mod transfer;

use std::collections::{BTreeMap, VecDeque};

use contracts::v1::{Event, RiskTally};
use serde::{Deserialize, Serialize};

pub use account::{AccountConfig, AccountState, Halt, Mark, kill_state};
pub use approvals::{APPROVALS_NS, Approval, Rate, decided_ns};
pub use entry::{cash_in_lieu_entries, dividend_entries, split_entries};
pub use error::FoldError;
pub use groups::{CLOSING_LEG, GROUP_PATIENCE_NS, GroupStep, is_cancel_due};
pub use in_name::InName;
pub use limits::{LimitSet, Scope};
pub use lots::{Lot, Lots};
pub use mark::{MarkError, margin_change, mark, starts_session};
pub use position::{PositionKey, PositionState, Traded};
pub use prices::{HALT, KnownFinding, KnownPrice, Prices, RESUMPTION};
pub use query::Reserved;
pub use restate::refold;
pub use strategies::{PendingSignal, Stopping, StrategyState, Warmth};
pub use tally::{Kill, RECENT_ANSWERS, RECENT_TRADES};

use approvals::Approvals;
use shared::Shared;

use crate::order::OrderState;

/// Orders that have ended and stay in memory, so that a late fill finds its order.
pub const SETTLED_ORDERS_MAX: usize = 1024;

/// Everything that TRADING says, as of one sequence.
///
/// Its stored form is that of its fields: it is read back exactly, and only by the version of the fold that wrote it. A copy
/// shares with it whatever neither of them changes afterwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    sequence: u64,
    accounts: Shared<BTreeMap<String, AccountState>>,
    #[serde(with = "shared::as_pairs")]
    positions: Shared<BTreeMap<PositionKey, PositionState>>,
    #[serde(with = "shared::as_pairs")]
    lots: Shared<BTreeMap<PositionKey, Lots>>,
    /// Orders of the groups that something may still have to be done about, by the signal they serve.
    groups: Shared<BTreeMap<String, Vec<String>>>,
    orders: Shared<BTreeMap<String, Shared<OrderState>>>,
    settled: Shared<BTreeMap<String, Shared<OrderState>>>,
    settled_order: Shared<VecDeque<String>>,
    strategies: Shared<BTreeMap<String, StrategyState>>,
    pending: Shared<BTreeMap<String, Shared<PendingSignal>>>,
    halt: Option<Halt>,
    #[serde(with = "shared::as_pairs")]
    limit_sets: Shared<BTreeMap<Scope, LimitSet>>,
    #[serde(with = "shared::as_pairs")]
    tallies: Shared<BTreeMap<(String, String), RiskTally>>,
    approvals: Shared<Approvals>,
}

/// The rows a book is made of, as the read model holds them.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Last TRADING sequence folded into the rows.
    pub sequence: u64,
    /// Every account.
    pub accounts: Vec<AccountState>,
    /// Every position, flat ones included.
    pub positions: Vec<PositionState>,
    /// The lots of positions; one without is flat.
    pub lots: Vec<(PositionKey, Lots)>,
    /// Every order that has not ended or whose group is active; ended ones are welcome.
    pub orders: Vec<OrderState>,
    /// Every strategy.
    pub strategies: Vec<StrategyState>,
    /// Every signal without a decision.
    pub pending: Vec<PendingSignal>,
    /// The halt of all accounts, where there is one.
    pub halt: Option<Halt>,
    /// Every set of limits.
    pub limits: Vec<LimitSet>,
    /// What is remembered for breakers and sizing.
    pub tallies: Vec<RiskTally>,
    /// Approvals of the last day; needed only where a rate is limited.
    pub approvals: Vec<Approval>,
}

/// What one event changed, by key, so that exactly these rows are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Accounts.
    pub accounts: Vec<String>,
    /// Positions.
    pub positions: Vec<PositionKey>,
    /// Orders, by id.
    pub orders: Vec<String>,
    /// Strategies.
    pub strategies: Vec<String>,
    /// Signals that became pending or were decided, by id.
    pub signals: Vec<String>,
    /// Whether the halt of all accounts began or ended.
    pub halt: bool,
    /// Sets of limits, by scope.
    pub limits: Vec<Scope>,
    /// What is remembered, by account and strategy.
    pub tallies: Vec<(String, String)>,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Book {
    /// A book of rows. Rows of the same key: the last one counts.
    #[must_use]
    pub fn from_parts(parts: Parts) -> Self {
        let mut book = Self {
            sequence: parts.sequence,
            accounts: parts.accounts.into_iter().map(|row| (row.account.clone(), row)).collect(),
            positions: parts.positions.into_iter().map(|row| (row.key.clone(), row)).collect(),
            lots: parts.lots.into_iter().collect(),
            strategies: parts.strategies.into_iter().map(|row| (row.strategy.clone(), row)).collect(),
            pending: parts.pending.into_iter().map(|row| (row.event.id.clone(), Shared::from(row))).collect(),
            halt: parts.halt,
            limit_sets: parts.limits.into_iter().map(|row| (row.scope.clone(), row)).collect(),
            tallies: parts
                .tallies
                .into_iter()
                .map(|row| ((row.account.clone(), row.strategy.clone()), row))
                .collect(),
            approvals: Approvals::of(parts.approvals).into(),
            ..Self::default()
        };
        for order in parts.orders {
            book.admit(order);
        }
        book
    }

    /// The rows of this book. Ended orders that are still in memory are included.
    #[must_use]
    pub fn to_parts(&self) -> Parts {
        Parts {
            sequence: self.sequence,
            accounts: self.accounts.values().cloned().collect(),
            positions: self.positions.values().cloned().collect(),
            lots: self.lots.iter().map(|(key, lots)| (key.clone(), lots.clone())).collect(),
            orders: self.open_orders().chain(self.ended_orders()).cloned().collect(),
            strategies: self.strategies.values().cloned().collect(),
            pending: self.pending_signals().cloned().collect(),
            halt: self.halt.clone(),
            limits: self.limit_sets.values().cloned().collect(),
            tallies: self.tallies.values().cloned().collect(),
            approvals: self.approvals.rows(),
        }
    }

    /// Folds the event stored at `sequence` of TRADING and says what changed.
    ///
    /// A sequence at or below the last one folded changes nothing. On an error nothing has changed
    /// either; see [`Book::skip`].
    pub fn apply(&mut self, sequence: u64, event: &Event) -> Result<Changes, FoldError> {
        if sequence <= self.sequence {
            return Ok(Changes::default());
        }
        let changes = self.fold(sequence, event)?;
        self.sequence = self.sequence.max(sequence);
        Ok(changes)
    }

    /// Passes over a message that cannot be folded and was parked.
    pub fn skip(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
    }

    /// Notes that an order is to be cancelled, because an approved one takes its place.
    pub fn expect_cancel(&mut self, order_id: &str) {
        if let Some(order) = self.orders.get_mut(order_id) {
            order.cancel_requested = true;
        }
    }

    /// Takes an order loaded from the read model into memory, in place of one of the same id.
    pub fn admit(&mut self, order: OrderState) {
        let id = order.id().to_owned();
        if order.group_stage.is_active() {
            let group = self.groups.entry(order.signal_id.clone()).or_default();
            if !group.contains(&id) {
                group.push(id.clone());
            }
        }
        if !order.status.is_ended() {
            // An end that was taken back leaves the ended ones; without one these stay as they are, shared.
            if self.settled.contains_key(&id) {
                self.settled.remove(&id);
            }
            self.orders.insert(id, order.into());
            return;
        }
        self.orders.remove(&id);
        if self.settled.insert(id.clone(), order.into()).is_none() {
            self.settled_order.push_back(id);
        }
        let most = SETTLED_ORDERS_MAX + self.grouped();
        while self.settled_order.len() > most {
            let Some(oldest) = self.settled_order.pop_front() else { break };
            if self.settled.get(&oldest).is_some_and(|order| order.group_stage.is_active()) {
                // Its group still needs it.
                self.settled_order.push_back(oldest);
                continue;
            }
            self.settled.remove(&oldest);
        }
    }
}
