//! What an order takes of the account: position, exposure, cash, margin.

use contracts::v1::{AccountKind, OrderType, RiskLimits, Side};

use super::{Deny, INITIAL_MARGIN_E9, Leg, Running, most_of, worst_price};
use crate::matching::outlay;
use crate::money::{Amount, E9, Quantity};
use crate::order::signed;

impl Leg<'_> {
    pub(super) fn check_value(
        &self,
        limits: &RiskLimits,
        equity: Amount,
        side: Side,
        quantity: Quantity,
        value: Amount,
        running: &Running,
    ) -> Result<(), Deny> {
        let most = Amount::from_wire(limits.max_order_value.as_ref());
        if value > most {
            return Err(Deny::MaxOrderValue { value, most });
        }
        let coming = self.input.account_position.checked_add(self.input.account_reserved);
        let coming = coming.ok_or(Deny::Overflow)?;
        let after = coming.checked_add(signed(side, quantity)).ok_or(Deny::Overflow)?;
        let price = worst_price(self.input, self.terms);
        let after_value = Amount::notional(price, after).abs();
        let most = most_of(equity, limits.max_position_fraction_e9);
        if after_value > most {
            return Err(Deny::MaxPosition { coming: after, value: after_value, most });
        }
        let (held, reserved) = (self.input.gross_exposure, self.input.reserved_exposure);
        let others = held.checked_add(reserved).and_then(|sum| sum.checked_add(running.exposure));
        let others = others.and_then(|sum| sum.checked_sub(running.freed)).ok_or(Deny::Overflow)?;
        let exposure = others.checked_add(value).ok_or(Deny::Overflow)?;
        let most = most_of(equity, limits.max_exposure_fraction_e9);
        if exposure > most {
            return Err(Deny::MaxExposure { exposure, most });
        }
        if side == Side::Buy && self.spends_cash() {
            self.check_cash(quantity, running)?;
        }
        // Without a kind money is not lent; shares are, where the limits allow shorts.
        let lends = match self.policy.kind {
            AccountKind::Margin => true,
            AccountKind::Unspecified => limits.allow_short,
            AccountKind::Cash => false,
        };
        if !lends {
            return Ok(());
        }
        let opened = after_value.checked_sub(Amount::notional(price, coming).abs());
        self.check_margin(others, opened.ok_or(Deny::Overflow)?, equity)
    }

    /// Regulation T: half of everything held, ordered and opened must be the account's own. Equity does not
    /// grow with the proceeds of a short sale, so that they buy nothing.
    fn check_margin(&self, others: Amount, opened: Amount, equity: Amount) -> Result<(), Deny> {
        if opened <= Amount::ZERO {
            return Ok(());
        }
        let exposure = others.checked_add(opened).ok_or(Deny::Overflow)?;
        let required = exposure.times_e9(INITIAL_MARGIN_E9).ok_or(Deny::Overflow)?;
        if required > equity { Err(Deny::InsufficientBuyingPower { required, equity }) } else { Ok(()) }
    }

    /// Whether buys are paid from the cash alone.
    fn spends_cash(&self) -> bool {
        self.policy.kind != AccountKind::Margin
    }

    fn check_cash(&self, quantity: Quantity, running: &Running) -> Result<(), Deny> {
        let (spent, cash) = (self.spent(quantity, running)?, self.cash(running)?);
        if spent > cash { Err(Deny::InsufficientCash { spent, cash }) } else { Ok(()) }
    }

    fn cash(&self, running: &Running) -> Result<Amount, Deny> {
        self.input.cash.checked_add(running.freed).ok_or(Deny::Overflow)
    }

    /// Value of what is approved, and of what earlier legs of the signal buy.
    fn others(&self, running: &Running) -> Result<Amount, Deny> {
        self.input.reserved_exposure.checked_add(running.bought).ok_or(Deny::Overflow)
    }

    /// What approved and new buys take of the cash when `quantity` is bought too: their value, with the slippage and
    /// commission of one order for all of it at the price of this one.
    fn spent(&self, quantity: Quantity, running: &Running) -> Result<Amount, Deny> {
        let price = worst_price(self.input, self.terms);
        let others = self.others(running)?;
        let spent = others.checked_add(Amount::notional(price, quantity)).ok_or(Deny::Overflow)?;
        let shares = others.0.max(0).saturating_mul(E9.into()) / i128::from(price.0.max(1));
        let shares = i64::try_from(shares).unwrap_or(i64::MAX);
        let all = Quantity(quantity.0.saturating_add(shares));
        let slips = !matches!(self.terms.order_type, OrderType::Limit | OrderType::StopLimit);
        let costs = outlay(&self.policy.costs, price, all, slips)
            .and_then(|outlay| outlay.checked_sub(Amount::notional(price, all)));
        spent.checked_add(costs.ok_or(Deny::Overflow)?).ok_or(Deny::Overflow)
    }

    /// The shares of a size in money: where the cash pays for their value and not for their costs, as many lots fewer
    /// as pay for the costs.
    pub(super) fn leave_costs(
        &self,
        side: Side,
        quantity: Quantity,
        lot_e9: i64,
        equity: Amount,
        running: &Running,
    ) -> Result<Quantity, Deny> {
        if side != Side::Buy || !self.spends_cash() {
            return Ok(quantity);
        }
        let (price, cash) = (worst_price(self.input, self.terms), self.cash(running)?);
        let value = self.others(running)?.checked_add(Amount::notional(price, quantity));
        if value.ok_or(Deny::Overflow)? > cash || self.spent(quantity, running)? <= cash {
            return Ok(quantity);
        }
        let lot_e9 = lot_e9.max(1);
        let (mut fits, mut over) = (0, quantity.0 / lot_e9 + 1);
        while over - fits > 1 {
            let middle = fits + (over - fits) / 2;
            if self.spent(Quantity(middle * lot_e9), running)? <= cash {
                fits = middle;
            } else {
                over = middle;
            }
        }
        if fits == 0 {
            return Err(Deny::SizeZero { price, equity });
        }
        Ok(Quantity(fits * lot_e9))
    }
}
