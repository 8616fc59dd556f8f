//! Lots: the same position by first in, first out.
//!
//! A position's cost is kept as an average ([`super::PositionState`]); beside it stand the lots that it was bought
//! or sold short in. Cash, quantity and Σ (cost − realised profit) are the same under both conventions; only when a
//! profit counts as realised differs. Fractions that a split left are in the lots until they are paid out.
//!
//! Deliberately absent: fees, dividends (neither is in a cost basis).

use std::collections::VecDeque;

use contracts::v1;
use serde::{Deserialize, Serialize};

use crate::money::{Amount, Price, Quantity, div_half_even, stored};

/// What is left of one purchase or short sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// Shares left, negative when short.
    #[serde(with = "stored")]
    pub quantity: Quantity,
    /// Their cost, of the same sign.
    #[serde(with = "stored")]
    pub cost: Amount,
    /// When they were opened, UTC nanoseconds.
    pub opened_ns: i64,
}

/// The lots of a position, oldest first, and what was realised by closing them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lots {
    /// Oldest first.
    pub lots: VecDeque<Lot>,
    /// Gross profit realised, first in, first out.
    pub realized: Amount,
}

impl Lots {
    /// Shares in all lots.
    #[must_use]
    pub fn quantity(&self) -> Quantity {
        Quantity(self.lots.iter().fold(0_i64, |sum, lot| sum.saturating_add(lot.quantity.0)))
    }

    /// Cost of all lots.
    #[must_use]
    pub fn cost(&self) -> Amount {
        Amount(self.lots.iter().fold(0_i128, |sum, lot| sum.saturating_add(lot.cost.0)))
    }

    /// Trades `change` shares (signed) at `price`.
    pub(super) fn trade(&mut self, change: Quantity, price: Price, at_ns: i64) {
        self.receive(change, Amount::notional(price, change), at_ns);
    }

    /// Takes `change` shares (signed) worth `value` (of the same sign): the oldest lots of the other side are closed
    /// first, what goes beyond opens a lot.
    pub(super) fn receive(&mut self, change: Quantity, value: Amount, opened_ns: i64) {
        let (mut left, mut value) = (change.0, value.0);
        while left != 0 {
            let Some(oldest) =
                self.lots.front_mut().filter(|lot| lot.quantity.0.signum() * left.signum() < 0)
            else {
                break;
            };
            let closing = left.saturating_abs().min(oldest.quantity.0.saturating_abs());
            let (cost, worth) = (part(oldest.cost.0, closing, oldest.quantity.0), part(value, closing, left));
            self.realized.0 = self.realized.0.saturating_sub(worth).saturating_sub(cost);
            oldest.cost.0 = oldest.cost.0.saturating_sub(cost);
            oldest.quantity.0 -= oldest.quantity.0.signum() * closing;
            value = value.saturating_sub(worth);
            left -= left.signum() * closing;
            if oldest.quantity == Quantity::ZERO {
                self.lots.pop_front();
            }
        }
        if left != 0 {
            self.lots.push_back(Lot { quantity: Quantity(left), cost: Amount(value), opened_ns });
        }
    }

    /// Takes out `shares` (of the position's sign), oldest first, as lots of their own.
    pub(super) fn take(&mut self, shares: Quantity) -> Vec<Lot> {
        let (mut left, mut taken) = (shares.0.saturating_abs(), Vec::new());
        while left > 0 {
            let Some(oldest) = self.lots.front_mut() else { break };
            let moved = left.min(oldest.quantity.0.saturating_abs());
            let cost = part(oldest.cost.0, moved, oldest.quantity.0);
            let quantity = Quantity(oldest.quantity.0.signum() * moved);
            taken.push(Lot { quantity, cost: Amount(cost), opened_ns: oldest.opened_ns });
            oldest.quantity.0 -= quantity.0;
            oldest.cost.0 -= cost;
            left -= moved;
            if oldest.quantity == Quantity::ZERO {
                self.lots.pop_front();
            }
        }
        taken
    }

    /// Restates the lots so that they hold `total` shares together; the newest takes what rounding leaves.
    pub(super) fn split(&mut self, total: Quantity) {
        let before = self.quantity().0;
        if before == 0 {
            return;
        }
        let mut left = total.0;
        let newest = self.lots.len().saturating_sub(1);
        for (place, lot) in self.lots.iter_mut().enumerate() {
            let scaled = i128::from(lot.quantity.0) * i128::from(total.0) / i128::from(before);
            let scaled = if place == newest { left } else { i64::try_from(scaled).unwrap_or(left) };
            left -= scaled;
            lot.quantity = Quantity(scaled);
        }
    }

    /// Pays out `fraction` shares for `amount`.
    pub(super) fn cash_in_lieu(&mut self, fraction: Quantity, amount: Amount) {
        let taken = self.take(fraction);
        let cost = taken.iter().fold(0_i128, |sum, lot| sum.saturating_add(lot.cost.0));
        self.realized.0 = self.realized.0.saturating_add(amount.0).saturating_sub(cost);
    }

    /// As the tape states them.
    #[must_use]
    pub fn to_wire(&self) -> Vec<v1::Lot> {
        let lot = |lot: &Lot| v1::Lot {
            quantity_e9: lot.quantity.0,
            cost: lot.cost.to_wire(),
            opened_at: Some(contracts::to_timestamp(lot.opened_ns)),
        };
        self.lots.iter().map(lot).collect()
    }

    /// As the tape stated them.
    pub(super) fn from_wire(stated: &v1::PositionStated) -> Self {
        let lot = |lot: &v1::Lot| Lot {
            quantity: Quantity(lot.quantity_e9),
            cost: Amount::from_wire(lot.cost.as_ref()),
            opened_ns: lot.opened_at.as_ref().and_then(contracts::from_timestamp).unwrap_or_default(),
        };
        let realized = Amount::from_wire(stated.fifo_realized_pnl.as_ref());
        Self { lots: stated.lots.iter().map(lot).collect(), realized }
    }
}

/// The share of `whole` that `shares` of `of` have, rounded half to even; all of it where they are all.
fn part(whole: i128, shares: i64, of: i64) -> i128 {
    let of = of.saturating_abs();
    if shares >= of {
        return whole;
    }
    match whole.checked_mul(i128::from(shares)) {
        Some(product) => div_half_even(product, i128::from(of)),
        None => whole / i128::from(of) * i128::from(shares),
    }
}
