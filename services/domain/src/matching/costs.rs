//! Commission, fees, slippage and the share of a bar's volume in the simulated market.

use std::collections::BTreeMap;

use contracts::v1::{Costs, Side};

use crate::money::{Amount, E9, Price, Quantity, Volume, div_half_even};

/// Costs of an order that leave their range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order {order_id}: {field} is out of range")]
pub struct CostError {
    /// Order.
    pub order_id: String,
    /// Commission or slippage.
    pub field: &'static str,
}

/// Fees on sales of US equities, rates as of 2024-05-22: SEC section 31, 27.80 per million of the value.
pub const US_SALE_FEE_RATE_E9: i64 = 27_800;
/// FINRA's trading activity fee on sales, as of 2024: 0.000166 per share.
pub const US_SALE_FEE_PER_SHARE_E9: i64 = 166_000;
/// Most of FINRA's trading activity fee per trade, as of 2024: 8.30.
pub const US_SALE_FEE_PER_SHARE_MOST: Amount = Amount(8_300_000_000);

/// The fees on sales of US equities, and nothing else.
#[must_use]
pub fn us_sale_fees() -> Costs {
    Costs {
        sale_fee_rate_e9: US_SALE_FEE_RATE_E9,
        sale_fee_per_share_e9: US_SALE_FEE_PER_SHARE_E9,
        sale_fee_per_share_most: US_SALE_FEE_PER_SHARE_MOST.to_wire(),
        ..Costs::default()
    }
}

/// Costs by account.
#[derive(Clone, Debug, Default)]
pub struct CostTable {
    accounts: BTreeMap<String, Costs>,
    none: Costs,
}

impl CostTable {
    /// States an account's costs.
    pub fn set(&mut self, account: &str, costs: Costs) {
        self.accounts.insert(account.to_owned(), costs);
    }

    /// An account's costs; none where none are stated.
    #[must_use]
    pub fn of(&self, account: &str) -> Costs {
        *self.get(account)
    }

    /// An account's costs, where they stand.
    #[must_use]
    pub fn get(&self, account: &str) -> &Costs {
        self.accounts.get(account).unwrap_or(&self.none)
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

/// What one fill costs: its commission, that of the order with the first fill, and the fees on a sale.
/// `None` on overflow.
#[must_use]
pub fn charge(costs: &Costs, side: Side, price: Price, quantity: Quantity, first: bool) -> Option<Amount> {
    let mut sum = commission(*costs, price, quantity)?;
    if first && let Some(per_order) = &costs.commission_per_order {
        sum = sum.checked_add(Amount::from_wire(Some(per_order)))?;
    }
    if side == Side::Sell && (costs.sale_fee_rate_e9 != 0 || costs.sale_fee_per_share_e9 != 0) {
        let by_value = Amount::notional(price, quantity).times_e9(costs.sale_fee_rate_e9)?;
        let mut per_share = Amount::notional(Price(costs.sale_fee_per_share_e9), quantity);
        if let Some(most) = &costs.sale_fee_per_share_most {
            per_share = per_share.min(Amount::from_wire(Some(most)));
        }
        sum = sum.checked_add(by_value)?.checked_add(per_share)?;
    }
    Some(sum)
}

/// The most that one fill of a buy may take of the cash: the value at `reference` with commission and, where the order
/// `slips`, slippage. How much of a bar's volume it will be is not known: as much as the costs allow. `None` on overflow.
#[must_use]
pub fn outlay(costs: &Costs, reference: Price, quantity: Quantity, slips: bool) -> Option<Amount> {
    let mut price = reference;
    if slips {
        let by_volume = Amount(reference.0.into()).times_e9(costs.slippage_volume_rate_e9)?;
        let most_e9 = if costs.volume_share_most_e9 > 0 { costs.volume_share_most_e9.min(E9) } else { E9 };
        let by_volume = Price(i64::try_from(by_volume.times_e9(most_e9)?.0).ok()?);
        let fixed = slip(*costs, Side::Buy, reference)?.0;
        price = fixed.checked_add(Price(costs.slippage_per_share_e9))?.checked_add(by_volume)?;
    }
    Amount::notional(price, quantity).checked_add(charge(costs, Side::Buy, price, quantity, true)?)
}

/// The price of a market order at `reference`, and the slippage per share, positive when it costs money.
/// Slippage is rounded half to even at 1e-9. `None` when the price would not be positive or overflows.
#[must_use]
pub fn slip(costs: Costs, side: Side, reference: Price) -> Option<(Price, Price)> {
    let product = i128::from(reference.0) * i128::from(costs.slippage_rate_e9);
    let slippage = Price(i64::try_from(div_half_even(product, i128::from(E9))).ok()?);
    moved(side, reference, slippage)
}

/// As [`slip`], with the parts per share and by the share of `volume` that `quantity` is. A bar without
/// volume moves the price by the whole rate.
#[must_use]
pub fn slip_volume(
    costs: &Costs,
    side: Side,
    reference: Price,
    quantity: Quantity,
    volume: Volume,
) -> Option<(Price, Price)> {
    if costs.slippage_per_share_e9 == 0 && costs.slippage_volume_rate_e9 == 0 {
        return slip(*costs, side, reference);
    }
    let rate = i128::from(reference.0) * i128::from(costs.slippage_rate_e9);
    let mut slippage = div_half_even(rate, i128::from(E9)).checked_add(costs.slippage_per_share_e9.into())?;
    if costs.slippage_volume_rate_e9 != 0 {
        let impact = i128::from(reference.0) * i128::from(costs.slippage_volume_rate_e9);
        let traded = shares_of(volume).max(i128::from(quantity.0));
        let impact = div_half_even(impact, i128::from(E9)).checked_mul(quantity.0.into())?;
        slippage = slippage.checked_add(div_half_even(impact, traded.max(1)))?;
    }
    moved(side, reference, Price(i64::try_from(slippage).ok()?))
}

/// Most shares of a bar that the account's orders get together: whole ones; everything where the costs do
/// not limit the share of the volume.
#[must_use]
pub fn volume_most(costs: &Costs, volume: Volume) -> Quantity {
    if costs.volume_share_most_e9 <= 0 {
        return Quantity(i64::MAX);
    }
    let most = shares_of(volume).saturating_mul(costs.volume_share_most_e9.into()) / i128::from(E9);
    Quantity(i64::try_from(most).unwrap_or(i64::MAX)).whole()
}

/// A volume in 1e-9 shares.
fn shares_of(volume: Volume) -> i128 {
    i128::from(volume.0.max(0)) * 1_000_000
}

fn moved(side: Side, reference: Price, slippage: Price) -> Option<(Price, Price)> {
    let price = match side {
        Side::Buy => reference.checked_add(slippage)?,
        Side::Sell => reference.checked_sub(slippage)?,
        Side::Unspecified => return None,
    };
    (price.0 > 0).then_some((price, slippage))
}
