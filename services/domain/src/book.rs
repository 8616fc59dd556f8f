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
//! Deliberately absent: the history of what was folded (the read model's), prices (an argument), clocks.

mod account;
mod apply;
mod entry;
mod error;
pub mod identity;
mod mark;
mod position;
mod prices;
mod strategies;

use std::collections::{BTreeMap, VecDeque};

use contracts::v1::Event;

pub use account::{AccountConfig, AccountState, Halt, Mark};
pub use entry::{cash_in_lieu_entries, dividend_entries, split_entries};
pub use error::FoldError;
pub use mark::{MarkError, mark};
pub use position::{PositionKey, PositionState};
pub use prices::{KnownPrice, Prices};
pub use strategies::{PendingSignal, StrategyState, Warmth};

use crate::money::{Amount, Quantity};
use crate::order::OrderState;

/// Orders that have ended and stay in memory, so that a late fill finds its order.
pub const SETTLED_ORDERS_MAX: usize = 1024;

/// Everything that TRADING says, as of one sequence.
#[derive(Clone, Debug, Default)]
pub struct Book {
    sequence: u64,
    accounts: BTreeMap<String, AccountState>,
    positions: BTreeMap<PositionKey, PositionState>,
    orders: BTreeMap<String, OrderState>,
    settled: BTreeMap<String, OrderState>,
    settled_order: VecDeque<String>,
    strategies: BTreeMap<String, StrategyState>,
    pending: BTreeMap<String, PendingSignal>,
    halt: Option<Halt>,
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
    /// Every order that has not ended; ended ones are welcome.
    pub orders: Vec<OrderState>,
    /// Every strategy.
    pub strategies: Vec<StrategyState>,
    /// Every signal without a decision.
    pub pending: Vec<PendingSignal>,
    /// The halt of all accounts, where there is one.
    pub halt: Option<Halt>,
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
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is approved and not filled yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Shares of open buy orders, positive.
    pub buy: Quantity,
    /// Shares of open sell orders, negative.
    pub sell: Quantity,
}

impl Book {
    /// A book of rows. Rows of the same key: the last one counts.
    #[must_use]
    pub fn from_parts(parts: Parts) -> Self {
        let mut book = Self {
            sequence: parts.sequence,
            accounts: parts.accounts.into_iter().map(|row| (row.account.clone(), row)).collect(),
            positions: parts.positions.into_iter().map(|row| (row.key.clone(), row)).collect(),
            strategies: parts.strategies.into_iter().map(|row| (row.strategy.clone(), row)).collect(),
            pending: parts.pending.into_iter().map(|row| (row.event.id.clone(), row)).collect(),
            halt: parts.halt,
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
            orders: self.orders.values().chain(self.settled.values()).cloned().collect(),
            strategies: self.strategies.values().cloned().collect(),
            pending: self.pending.values().cloned().collect(),
            halt: self.halt.clone(),
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
        self.sequence = sequence;
        Ok(changes)
    }

    /// Passes over a message that cannot be folded and was parked.
    pub fn skip(&mut self, sequence: u64) {
        self.sequence = self.sequence.max(sequence);
    }

    /// Takes an order loaded from the read model into memory, in place of one of the same id.
    pub fn admit(&mut self, order: OrderState) {
        let id = order.id().to_owned();
        if !order.status.is_ended() {
            self.orders.insert(id, order);
            return;
        }
        self.orders.remove(&id);
        if self.settled.insert(id.clone(), order).is_none() {
            self.settled_order.push_back(id);
        }
        while self.settled_order.len() > SETTLED_ORDERS_MAX {
            if let Some(oldest) = self.settled_order.pop_front() {
                self.settled.remove(&oldest);
            }
        }
    }

    /// Last TRADING sequence folded.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// An account.
    #[must_use]
    pub fn account(&self, account: &str) -> Option<&AccountState> {
        self.accounts.get(account)
    }

    /// Every account, by name.
    pub fn accounts(&self) -> impl Iterator<Item = &AccountState> {
        self.accounts.values()
    }

    /// A position; `None` when there never was one.
    #[must_use]
    pub fn position(&self, account: &str, strategy: &str, symbol: &str) -> Option<&PositionState> {
        self.positions.get(&PositionKey::new(account, strategy, symbol))
    }

    /// Every position of an account, by strategy and symbol, flat ones included.
    pub fn positions_of<'book>(
        &'book self,
        account: &'book str,
    ) -> impl Iterator<Item = &'book PositionState> {
        let from = PositionKey::new(account, "", "");
        self.positions.range(from..).map(|(_, row)| row).take_while(move |row| row.key.account == account)
    }

    /// Every position, by account, strategy and symbol.
    pub fn positions(&self) -> impl Iterator<Item = &PositionState> {
        self.positions.values()
    }

    /// Shares of `symbol` that an account holds over all strategies, signed.
    #[must_use]
    pub fn net_quantity(&self, account: &str, symbol: &str) -> Quantity {
        let held = self.positions_of(account).filter(|row| row.key.symbol == symbol);
        held.fold(Quantity::ZERO, |sum, row| Quantity(sum.0.saturating_add(row.quantity.0)))
    }

    /// An order that is open or ended a short while ago.
    #[must_use]
    pub fn order(&self, order_id: &str) -> Option<&OrderState> {
        self.orders.get(order_id).or_else(|| self.settled.get(order_id))
    }

    /// Every order that has not ended, by id.
    pub fn open_orders(&self) -> impl Iterator<Item = &OrderState> {
        self.orders.values()
    }

    /// Shares of `symbol` in open orders of an account, of one strategy or of all.
    #[must_use]
    pub fn reserved(&self, account: &str, strategy: Option<&str>, symbol: &str) -> Reserved {
        let mut reserved = Reserved::default();
        for order in self.orders.values().filter(|order| {
            order.spec.account == account
                && order.spec.symbol == symbol
                && strategy.is_none_or(|strategy| order.spec.strategy == strategy)
        }) {
            let remaining = order.remaining_signed();
            let sum = if remaining.0 > 0 { &mut reserved.buy } else { &mut reserved.sell };
            sum.0 = sum.0.saturating_add(remaining.0);
        }
        reserved
    }

    /// Gross value of an account's open orders that are not merely reducing.
    #[must_use]
    pub fn reserved_exposure(&self, account: &str) -> Amount {
        let orders = self.orders.values().filter(|order| order.spec.account == account);
        orders.fold(Amount::ZERO, |sum, order| Amount(sum.0.saturating_add(order.reserved_value().0)))
    }

    /// A strategy.
    #[must_use]
    pub fn strategy(&self, strategy: &str) -> Option<&StrategyState> {
        self.strategies.get(strategy)
    }

    /// Every strategy, by name.
    pub fn strategies(&self) -> impl Iterator<Item = &StrategyState> {
        self.strategies.values()
    }

    /// A signal without a decision.
    #[must_use]
    pub fn pending_signal(&self, signal_id: &str) -> Option<&PendingSignal> {
        self.pending.get(signal_id)
    }

    /// Every signal without a decision, by id.
    pub fn pending_signals(&self) -> impl Iterator<Item = &PendingSignal> {
        self.pending.values()
    }

    /// The halt of all accounts.
    #[must_use]
    pub fn halt(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    /// Whether new exposure is stopped on `account`, by its own halt or by the halt of all.
    #[must_use]
    pub fn is_halted(&self, account: &str) -> bool {
        self.halt.is_some() || self.accounts.get(account).is_some_and(|row| row.halt.is_some())
    }
}
