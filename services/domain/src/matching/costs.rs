//! Commission and slippage of the simulated market.

use std::collections::BTreeMap;

use contracts::v1::{Costs, Side};

use crate::money::{Amount, E9, Price, Quantity, div_half_even};

/// Costs of an order that leave their range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order {order_id}: {field} is out of range")]
pub struct CostError {
    /// Order.
    pub order_id: String,
    /// Commission or slippage.
    pub field: &'static str,
}

/// Costs by account.
#[derive(Clone, Debug, Default)]
pub struct CostTable {
    accounts: BTreeMap<String, Costs>,
}

impl CostTable {
    /// States an account's costs.
    pub fn set(&mut self, account: &str, costs: Costs) {
        self.accounts.insert(account.to_owned(), costs);
    }

    /// An account's costs; none where none are stated.
    #[must_use]
    pub fn of(&self, account: &str) -> Costs {
        self.accounts.get(account).copied().unwrap_or_default()
    }
}

/// Commission of one fill: per share plus a share of the value, at least the minimum. Each part is
/// rounded half to even at 1e-9. `None` on overflow.
#[must_use]
pub fn commission(costs: Costs, price: Price, quantity: Quantity) -> Option<Amount> {
    let per_share = Amount::notional(Price(costs.commission_per_share_e9), quantity);
    let by_value = Amount::notional(price, quantity).times_e9(costs.commission_rate_e9)?;
    let minimum = Amount::from_wire(costs.commission_minimum.as_ref());
    Some(per_share.checked_add(by_value)?.max(minimum))
}

/// The price of a market order at `reference`, and the slippage per share, positive when it costs money.
/// Slippage is rounded half to even at 1e-9. `None` when the price would not be positive or overflows.
#[must_use]
pub fn slip(costs: Costs, side: Side, reference: Price) -> Option<(Price, Price)> {
    let product = i128::from(reference.0) * i128::from(costs.slippage_rate_e9);
    let slippage = Price(i64::try_from(div_half_even(product, i128::from(E9))).ok()?);
    let price = match side {
        Side::Buy => reference.checked_add(slippage)?,
        Side::Sell => reference.checked_sub(slippage)?,
        Side::Unspecified => return None,
    };
    (price.0 > 0).then_some((price, slippage))
}
