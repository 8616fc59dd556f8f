//! One leg of a signal against the policy.

use contracts::order_id;
use contracts::v1::{Intent, OrderSpec, OrderType, RiskInput, RiskLimits, Side, SignalLeg, TimeInForce};

use super::rule::{Checked, Denial, Rule, deny};
use super::view::side_of;
use super::{Policy, RiskView};
use crate::money::{Amount, E9, Price, Quantity};
use crate::order::signed;
use crate::sizing;

/// What earlier legs of the same signal take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    exposure: Amount,
    bought: Amount,
}

/// A leg with everything its decision looks at.
pub(super) struct Leg<'view> {
    pub signal_id: &'view str,
    pub strategy: &'view str,
    pub view: &'view RiskView,
    pub leg: &'view SignalLeg,
    pub input: &'view RiskInput,
    pub share_e9: i64,
}

impl Leg<'_> {
    /// The order that serves this leg, or why there is none.
    pub fn decide(&self, running: &mut Running) -> Checked<OrderSpec> {
        if self.leg.intent() == Intent::Exit { self.exit() } else { self.enter(running) }
    }

    fn policy(&self) -> &Policy {
        &self.view.policy
    }

    fn position(&self) -> Quantity {
        Quantity(self.input.strategy_position_e9)
    }

    fn price(&self) -> Price {
        Price(self.input.price_e9)
    }

    /// The price at which the order is valued: the worse of reference and limit.
    fn worst_price(&self) -> Price {
        Price(self.input.price_e9.max(self.limit_price().unwrap_or_default()))
    }

    fn limit_price(&self) -> Option<i64> {
        (self.leg.order_type() == OrderType::Limit).then_some(self.leg.limit_price_e9).flatten()
    }

    fn spec(&self, side: Side, quantity: Quantity, reducing: bool) -> OrderSpec {
        let order_type = match self.leg.order_type() {
            OrderType::Unspecified => OrderType::Market,
            stated => stated,
        };
        let time_in_force = match self.leg.time_in_force() {
            TimeInForce::Unspecified => TimeInForce::Day,
            stated => stated,
        };
        OrderSpec {
            order_id: order_id(self.signal_id, self.input.leg),
            account: self.view.account.clone(),
            strategy: self.strategy.to_owned(),
            symbol: self.leg.symbol.clone(),
            side: side.into(),
            order_type: order_type.into(),
            time_in_force: time_in_force.into(),
            quantity_e9: quantity.0,
            limit_price_e9: self.limit_price(),
            stop_price_e9: None,
            leg: self.input.leg,
            reducing,
        }
    }

    /// Closes what the strategy holds and is not on its way out already. Only what makes the order
    /// impossible or absurd stops it.
    fn exit(&self) -> Checked<OrderSpec> {
        let held = self.position();
        let leaving = Quantity(self.input.strategy_reserved_e9);
        let left = held.checked_add(leaving).unwrap_or_default();
        if left.0.signum() != held.0.signum() || left == Quantity::ZERO {
            let on_its_way = leaving.abs();
            let reason = format!("holds {held}, of which {on_its_way} is on its way out");
            return deny(Rule::NoPosition, reason);
        }
        self.check_session()?;
        if let (Some(limits), true) = (&self.policy().limits, self.price().0 > 0) {
            self.check_collar(limits)?;
        }
        let wanted = self.leg.quantity_e9.map_or(left.abs(), |wanted| Quantity(wanted).min(left.abs()));
        Ok(self.spec(side_of(Intent::Exit, held), wanted, true))
    }

    fn enter(&self, running: &mut Running) -> Checked<OrderSpec> {
        let side = side_of(self.leg.intent(), self.position());
        self.check_not_held(side)?;
        if self.input.halted {
            return deny(Rule::Halted, "trading is halted; only reducing orders pass");
        }
        self.check_session()?;
        let Some(limits) = &self.policy().limits else {
            return deny(Rule::LimitsMissing, "the account has no limits, expected a configuration");
        };
        self.check_price(limits)?;
        self.check_collar(limits)?;
        let equity = self.check_equity(limits)?;
        if side == Side::Sell && !limits.allow_short {
            return deny(Rule::ShortNotAllowed, "the account allows no short positions");
        }
        let quantity = self.size(side, equity)?;
        let value = Amount::notional(self.worst_price(), quantity);
        self.check_value(limits, equity, side, quantity, value, running)?;
        let add = |sum: Amount| sum.checked_add(value).ok_or_else(overflow);
        running.exposure = add(running.exposure)?;
        if side == Side::Buy {
            running.bought = add(running.bought)?;
        }
        Ok(self.spec(side, quantity, false))
    }

    /// An entry without a quantity of its own wants a position to be there; one with a quantity adds it.
    fn check_not_held(&self, side: Side) -> Checked {
        let coming = self.position().checked_add(Quantity(self.input.strategy_reserved_e9));
        let coming = coming.ok_or_else(overflow)?;
        let same_side = match side {
            Side::Buy => coming > Quantity::ZERO,
            Side::Sell | Side::Unspecified => coming < Quantity::ZERO,
        };
        if same_side && self.leg.quantity_e9.is_none() {
            return deny(Rule::AlreadyHeld, format!("holds or is about to hold {coming}"));
        }
        Ok(())
    }

    fn check_session(&self) -> Checked {
        if self.input.session_accepts {
            return Ok(());
        }
        deny(Rule::MarketClosed, "neither this session nor the next takes the order with its time in force")
    }

    fn check_price(&self, limits: &RiskLimits) -> Checked {
        let (age, most) = (self.input.price_age_ms, limits.max_price_age_ms);
        if self.price().0 <= 0 {
            return deny(Rule::StalePrice, format!("there is no price of {}", self.leg.symbol));
        }
        if age < 0 || age > most {
            return deny(Rule::StalePrice, format!("the price is {age} ms old, expected 0 to {most} ms"));
        }
        Ok(())
    }

    fn check_collar(&self, limits: &RiskLimits) -> Checked {
        let Some(limit) = self.limit_price().map(Price) else { return Ok(()) };
        let reference = self.price();
        let distance = (i128::from(limit.0) - i128::from(reference.0)).abs();
        let allowed = i128::from(reference.0) * i128::from(limits.price_collar_fraction_e9);
        if distance * i128::from(E9) <= allowed {
            return Ok(());
        }
        let collar = Quantity(limits.price_collar_fraction_e9);
        deny(
            Rule::PriceCollar,
            format!("limit {limit} is more than {collar} of the price {reference} away from it"),
        )
    }

    /// The account's equity, after the daily loss has been held against it.
    fn check_equity(&self, limits: &RiskLimits) -> Checked<Amount> {
        let (Some(equity), Some(day_pnl)) = (&self.input.equity, &self.input.day_pnl) else {
            return deny(Rule::NoMark, "the account was never valued, expected a mark");
        };
        let (equity, day_pnl) = (Amount::from_wire(Some(equity)), Amount::from_wire(Some(day_pnl)));
        if equity <= Amount::ZERO {
            return deny(Rule::NoMark, format!("equity is {equity}, expected a positive amount"));
        }
        let start = equity.checked_sub(day_pnl).ok_or_else(overflow)?;
        let most = start.times_e9(limits.max_daily_loss_fraction_e9).ok_or_else(overflow)?;
        // At the limit it is reached: a limit of 0 allows nothing.
        if -day_pnl >= most {
            return deny(Rule::DailyLoss, format!("the day's result is {day_pnl}, expected above -{most}"));
        }
        Ok(equity)
    }

    /// Shares of the order: what the leg states, or the sized position plus what must be covered first.
    fn size(&self, side: Side, equity: Amount) -> Checked<Quantity> {
        if let Some(stated) = self.leg.quantity_e9 {
            return Ok(Quantity(stated));
        }
        let Some(sizing) = &self.policy().sizing else {
            return deny(Rule::LimitsMissing, "the strategy states no sizing, or its parameters are invalid");
        };
        let cap = self.policy().position_cap_e9;
        let sized = sizing::shares(sizing, self.share_e9, cap, equity, self.worst_price());
        let sized = sized.or_else(|error| deny(Rule::SizeZero, error.to_string()))?;
        if sized <= Quantity::ZERO {
            return deny(
                Rule::SizeZero,
                format!("less than one share at {} with {equity}", self.worst_price()),
            );
        }
        // Opposite of the side when the strategy holds the other way and nothing covers it yet.
        let coming = self.position().checked_add(Quantity(self.input.strategy_reserved_e9));
        let to_cover = match (side, coming.ok_or_else(overflow)?) {
            (Side::Buy, coming) if coming < Quantity::ZERO => coming.abs(),
            (Side::Sell, coming) if coming > Quantity::ZERO => coming.abs(),
            _ => Quantity::ZERO,
        };
        sized.checked_add(to_cover).ok_or_else(overflow)
    }

    fn check_value(
        &self,
        limits: &RiskLimits,
        equity: Amount,
        side: Side,
        quantity: Quantity,
        value: Amount,
        running: &Running,
    ) -> Checked {
        let most = Amount::from_wire(limits.max_order_value.as_ref());
        if value > most {
            return deny(Rule::MaxOrderValue, format!("the order is worth {value}, expected at most {most}"));
        }
        self.check_position(limits, equity, side, quantity)?;

        let held = Amount::from_wire(self.input.gross_exposure.as_ref());
        let reserved = Amount::from_wire(self.input.reserved_exposure.as_ref());
        let sum =
            |parts: [Amount; 3]| parts.into_iter().try_fold(value, Amount::checked_add).ok_or_else(overflow);
        let exposure = sum([held, reserved, running.exposure])?;
        let most = equity.times_e9(limits.max_exposure_fraction_e9).ok_or_else(overflow)?;
        if exposure > most {
            return deny(
                Rule::MaxExposure,
                format!("gross exposure would be {exposure}, expected at most {most}"),
            );
        }
        let cash = Amount::from_wire(self.input.cash.as_ref());
        let spent = sum([reserved, running.bought, Amount::ZERO])?;
        if side == Side::Buy && !limits.allow_short && spent > cash {
            return deny(
                Rule::InsufficientCash,
                format!("approved and new buys come to {spent}, expected at most the cash, {cash}"),
            );
        }
        Ok(())
    }

    fn check_position(&self, limits: &RiskLimits, equity: Amount, side: Side, quantity: Quantity) -> Checked {
        let coming = Quantity(self.input.account_position_e9)
            .checked_add(Quantity(self.input.account_reserved_e9))
            .and_then(|coming| coming.checked_add(signed(side, quantity)))
            .ok_or_else(overflow)?;
        let value = Amount::notional(self.worst_price(), coming).abs();
        let most = equity.times_e9(limits.max_position_fraction_e9).ok_or_else(overflow)?;
        if value <= most {
            return Ok(());
        }
        deny(Rule::MaxPosition, format!("{coming} shares would be worth {value}, expected at most {most}"))
    }
}

/// A sum that leaves its range cannot be held against a limit.
fn overflow() -> Denial {
    Denial::new(Rule::InvalidSignal, "a sum overflows, expected quantities and prices in range")
}
