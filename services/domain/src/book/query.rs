//! Questions to the book.

use std::ops::Deref;

use super::{
    AccountState, Book, Halt, Lots, PendingSignal, PositionKey, PositionState, Rate, Scope, StrategyState,
};
use crate::money::{Amount, Quantity};
use crate::order::{OrderState, SIMULATED};

/// What is approved and not filled yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Shares of open buy orders, positive.
    pub buy: Quantity,
    /// Shares of open sell orders, negative.
    pub sell: Quantity,
}

impl Book {
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

    /// The lots of a position, first in, first out; `None` when there never was one.
    #[must_use]
    pub fn lots(&self, key: &PositionKey) -> Option<&Lots> {
        self.lots.get(key)
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
        self.orders.get(order_id).or_else(|| self.settled.get(order_id)).map(Deref::deref)
    }

    /// The orders that ended a short while ago, by id.
    pub fn ended_orders(&self) -> impl Iterator<Item = &OrderState> {
        self.settled.values().map(Deref::deref)
    }

    /// Every order that has not ended, by id.
    pub fn open_orders(&self) -> impl Iterator<Item = &OrderState> {
        self.orders.values().map(Deref::deref)
    }

    /// Shares of `symbol` in open orders of an account, of one strategy or of all; exits that only wait for a
    /// price are not among them.
    #[must_use]
    pub fn reserved(&self, account: &str, strategy: Option<&str>, symbol: &str) -> Reserved {
        let mut reserved = Reserved::default();
        for order in self.open_orders().filter(|order| {
            order.spec.account == account
                && order.spec.symbol == symbol
                && strategy.is_none_or(|strategy| order.spec.strategy == strategy)
                && !order.is_protective()
        }) {
            let remaining = order.reserved_signed();
            let sum = if remaining.0 > 0 { &mut reserved.buy } else { &mut reserved.sell };
            sum.0 = sum.0.saturating_add(remaining.0);
        }
        reserved
    }

    /// Open exits of a strategy in `symbol` that only wait for a price, by id; not those of an entry that has opened nothing
    /// yet and would go on without them.
    pub fn protective_orders<'book>(
        &'book self,
        account: &'book str,
        strategy: &'book str,
        symbol: &'book str,
    ) -> impl Iterator<Item = &'book OrderState> {
        self.open_orders().filter(move |order| {
            order.spec.account == account
                && order.spec.strategy == strategy
                && order.spec.symbol == symbol
                && !order.cancel_requested
                && order.is_protective()
                && gives_way(order)
        })
    }

    /// Event time of an account's last mark, UTC nanoseconds; before the first one, before all times.
    #[must_use]
    pub fn marked_ns(&self, account: &str) -> i64 {
        let mark = self.account(account).and_then(|row| row.mark.as_ref());
        mark.map_or(i64::MIN, |mark| mark.event_ns)
    }

    /// Gross value of an account's open orders that are not merely reducing.
    #[must_use]
    pub fn reserved_exposure(&self, account: &str) -> Amount {
        let orders = self.open_orders().filter(|order| order.spec.account == account);
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
        self.pending.get(signal_id).map(Deref::deref)
    }

    /// Every signal without a decision, by id.
    pub fn pending_signals(&self) -> impl Iterator<Item = &PendingSignal> {
        self.pending.values().map(Deref::deref)
    }

    /// The halt of all accounts.
    #[must_use]
    pub fn halt(&self) -> Option<&Halt> {
        self.halt.as_ref()
    }

    /// Orders approved on an account in a scope, as of `now_ns` on the day that began at `day_ns`.
    #[must_use]
    pub fn rate(&self, account: &str, scope: &Scope, now_ns: i64, day_ns: i64) -> Rate {
        self.approvals.rate(account, scope, now_ns, day_ns)
    }

    /// The halts that hold for `account`: that of all, and its own.
    pub fn halts_of(&self, account: &str) -> impl Iterator<Item = &Halt> {
        let own = self.accounts.get(account).and_then(|row| row.halt.as_ref());
        self.halt.iter().chain(own)
    }

    /// What stops exactly this scope until it is resumed, a kill switch included: a strategy on an account or on all; where
    /// none is named, an account or all of them.
    #[must_use]
    pub fn own_halt(&self, account: &str, strategy: &str) -> Option<Halt> {
        match (account, strategy) {
            ("", "") => self.halt.clone(),
            (account, "") => self.account(account)?.halt.clone(),
            _ => {
                let tally = self.tally(account, strategy)?;
                let since = tally.halted_since.as_ref().and_then(contracts::from_timestamp);
                Some(Halt::of(tally.halt.as_ref()?, since.unwrap_or_default()))
            }
        }
    }

    /// Whether new exposure is stopped on `account`, by its own halt or by the halt of all.
    #[must_use]
    pub fn is_halted(&self, account: &str) -> bool {
        self.halt.is_some() || self.accounts.get(account).is_some_and(|row| row.halt.is_some())
    }
}

/// Whether an exit goes when another order takes its place: it may close something, or its broker holds it with its entry,
/// which ends with it. The latter has no answer before the entry is over; one of the simulated broker's without an answer
/// was sent a moment ago, or before a crash, and its entry would go on.
fn gives_way(exit: &OrderState) -> bool {
    let held = exit.submitted_ns.is_some() && exit.accepted_ns.is_none() && exit.broker != SIMULATED;
    held || exit.tradable.is_none_or(|tradable| tradable > Quantity::ZERO)
}
