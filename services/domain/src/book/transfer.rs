//! Shares that change hands without a trade: from one strategy to another, and those found at the broker.

use contracts::v1::{AccountEntry, BrokerReconciled, PositionTransferred};

use super::{Book, Changes, FoldError, PositionKey, PositionState, Traded};
use crate::money::{Amount, Price, Quantity};

impl PositionState {
    /// Takes `change` shares (signed) worth `value` (of the same sign). As a trade at that value, without cash.
    pub(super) fn receive(&mut self, change: Quantity, value: Amount) -> Result<Traded, FoldError> {
        let held = self.quantity;
        let overflow = |field| FoldError::overflow(field, format!("position {}", self.key));
        let closing = if held.0.signum() * change.0.signum() < 0 {
            change.abs().min(held.abs())
        } else {
            Quantity::ZERO
        };
        let closing_value =
            super::position::share_of(value, closing, change).ok_or_else(|| overflow("cost"))?;
        let returned = super::position::share_of(self.cost, closing, held).ok_or_else(|| overflow("cost"))?;
        let opening = value.checked_sub(closing_value).ok_or_else(|| overflow("cost"))?;
        let realized = (-closing_value).checked_sub(returned).ok_or_else(|| overflow("realized_pnl"))?;
        let cost = self.cost.checked_sub(returned).and_then(|cost| cost.checked_add(opening));
        let cost = cost.ok_or_else(|| overflow("cost"))?;
        let quantity = held.checked_add(change).ok_or_else(|| overflow("quantity"))?;
        let sum = self.realized_pnl.checked_add(realized).ok_or_else(|| overflow("realized_pnl"))?;
        (self.cost, self.quantity, self.realized_pnl) = (cost, quantity, sum);
        Ok(Traded { cash: Amount::ZERO, realized, opened: Amount::ZERO })
    }

    /// The cost that `shares` (of the position's sign) take with them.
    #[must_use]
    pub fn cost_of_shares(&self, shares: Quantity) -> Option<Amount> {
        super::position::share_of(self.cost, shares.abs(), self.quantity)
    }
}

impl Book {
    /// Shares that another strategy takes over.
    pub(super) fn transferred(
        &mut self,
        event: &PositionTransferred,
        event_ns: i64,
    ) -> Result<Changes, FoldError> {
        let (quantity, cost) = (Quantity(event.quantity_e9), Amount::from_wire(event.cost.as_ref()));
        let mut from =
            self.position_row(PositionKey::new(&event.account, &event.from_strategy, &event.symbol));
        let mut to = self.position_row(PositionKey::new(&event.account, &event.to_strategy, &event.symbol));
        let held = from.quantity.0.signum() == quantity.0.signum() && quantity.abs() <= from.quantity.abs();
        if !held || from.key == to.key {
            let problem = format!("{quantity} of {}, expected shares that {} holds", from.quantity, from.key);
            return Err(FoldError::field("position_transferred.quantity_e9", problem));
        }
        if from.cost_of_shares(quantity) != Some(cost) {
            let problem = format!("{cost}, expected the cost of {quantity} shares of {}", from.key);
            return Err(FoldError::field("position_transferred.cost", problem));
        }
        from.receive(Quantity(-quantity.0), -cost)?;
        let taken = to.receive(quantity, cost)?;
        (from.updated_ns, to.updated_ns) = (event_ns, event_ns);
        let mut account = self.account_row(&event.account);
        let realized = account.realized_pnl.checked_add(taken.realized);
        account.realized_pnl = realized.ok_or_else(|| account.overflow("realized_pnl"))?;
        let mut changes = self.store_account(account);
        let lots = self.lots.entry(from.key.clone()).or_default().take(quantity);
        let into = self.lots.entry(to.key.clone()).or_default();
        for lot in lots {
            into.receive(lot.quantity, lot.cost, lot.opened_ns);
        }
        self.store_position(from, &mut changes);
        self.store_position(to, &mut changes);
        Ok(changes)
    }

    /// Shares found at the broker, that nobody on this tape had traded, or that are there no more: they count as brought in
    /// at their cost, and on the day at what they are worth, where the entry states a price.
    pub(super) fn found(&mut self, entry: &AccountEntry, event_ns: i64) -> Result<Changes, FoldError> {
        let (quantity, cost) = (Quantity(entry.quantity_e9), Amount::from_wire(entry.amount.as_ref()));
        if quantity == Quantity::ZERO {
            return Err(FoldError::field("account_entry.quantity_e9", "0, expected the shares found"));
        }
        let mut position =
            self.position_row(PositionKey::new(&entry.account, &entry.strategy, &entry.symbol));
        let traded = position.receive(quantity, cost)?;
        position.updated_ns = event_ns;
        let mut account = self.account_row(&entry.account);
        let price = entry.price_e9.map(Price).filter(|price| price.0 > 0);
        account.brought_in(cost, price.map_or(cost, |price| Amount::notional(price, quantity)))?;
        let realized = account.realized_pnl.checked_add(traded.realized);
        account.realized_pnl = realized.ok_or_else(|| account.overflow("realized_pnl"))?;
        let net = self.net_quantity(&entry.account, &entry.symbol).checked_add(quantity);
        // The price of shares that are gone is no new one.
        if let Some(price) = price.filter(|_| net != Some(Quantity::ZERO)) {
            account.tell(&entry.symbol, price, event_ns);
        }
        let mut changes = self.store_account(account);
        self.lots.entry(position.key.clone()).or_default().receive(quantity, cost, event_ns);
        self.store_position(position, &mut changes);
        Ok(changes)
    }

    /// Prices that the broker states of what the account holds.
    pub(super) fn reconciled(&mut self, event: &BrokerReconciled, event_ns: i64) -> Changes {
        if event.prices.is_empty() {
            return Changes::default();
        }
        let mut account = self.account_row(&event.account);
        for stated in &event.prices {
            account.tell(&stated.symbol, Price(stated.price_e9), event_ns);
        }
        // What is held no more has no price of its own.
        account.told_prices.retain(|told| self.net_quantity(&event.account, &told.symbol) != Quantity::ZERO);
        self.store_account(account)
    }
}
