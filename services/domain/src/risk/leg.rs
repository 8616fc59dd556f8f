//! One leg of a signal under its names: from the recorded input to the orders that serve it.

use contracts::v1::{GroupKind, Intent, OrderSpec, OrderType, RiskInput, Side, SignalLeg, TimeInForce};
use contracts::{child_order_id, order_id};

use super::guard::{Guarded, Guards, denial};
use super::kernel::{Deny, LegInput, LegTerms, Running, Sized, decide_leg, worst_price};
use super::rule::{Checked, Denial, Rule, deny};
use super::{RiskView, SessionAnswer};
use crate::money::{Amount, Price, Quantity};
use crate::order::signed;
use crate::sizing::{self, Measured};

/// A leg with everything its decision looks at.
pub(super) struct Leg<'view> {
    pub signal_id: &'view str,
    pub strategy: &'view str,
    pub view: &'view RiskView,
    pub leg: &'view SignalLeg,
    pub input: &'view RiskInput,
    pub share_e9: i64,
}

/// What became of a leg that nothing stands against.
pub(super) enum Done {
    /// Its orders are there.
    Ordered,
    /// It needs none, because its target is reached; in these words where no other leg needs one.
    OnTarget(Denial),
}

/// The recorded input as plain numbers.
pub(super) fn numbers(input: &RiskInput) -> LegInput {
    let amount =
        |money: &Option<contracts::v1::Money>| money.as_ref().map(|money| Amount::from_wire(Some(money)));
    LegInput {
        price: Price(input.price_e9),
        price_age_ms: input.price_age_ms,
        strategy_position: Quantity(input.strategy_position_e9),
        account_position: Quantity(input.account_position_e9),
        strategy_reserved: Quantity(input.strategy_reserved_e9),
        account_reserved: Quantity(input.account_reserved_e9),
        equity: amount(&input.equity),
        cash: amount(&input.cash).unwrap_or_default(),
        gross_exposure: amount(&input.gross_exposure).unwrap_or_default(),
        reserved_exposure: amount(&input.reserved_exposure).unwrap_or_default(),
        day_pnl: amount(&input.day_pnl),
        strategy_symbols: input.strategy_symbols,
        session: SessionAnswer::recorded(input),
        halted: input.halted,
        margin_called: input.margin_called,
        symbol_halted: input.symbol_halt.is_some(),
        measured: input.sizing.as_ref().map(Measured::of).unwrap_or_default(),
    }
}

/// The terms of a leg as plain numbers.
pub(super) fn terms(leg: &SignalLeg, share_e9: i64) -> LegTerms {
    let order_type = order_type(leg);
    let limits = matches!(order_type, OrderType::Limit | OrderType::StopLimit);
    let stops = matches!(order_type, OrderType::Stop | OrderType::StopLimit);
    LegTerms {
        intent: leg.intent(),
        order_type,
        limit: leg.limit_price_e9.filter(|_| limits).map(Price),
        stop: leg.stop_price_e9.filter(|_| stops).map(Price),
        share_e9: if leg.intent() == Intent::Target { leg.weight_e9 } else { share_e9 },
        quantity: leg.quantity_e9.map(Quantity),
        estimated: false,
    }
}

pub(super) fn order_type(leg: &SignalLeg) -> OrderType {
    match leg.order_type() {
        OrderType::Unspecified => OrderType::Market,
        stated => stated,
    }
}

pub(super) fn time_in_force(leg: &SignalLeg) -> TimeInForce {
    match leg.time_in_force() {
        TimeInForce::Unspecified => TimeInForce::Day,
        stated => stated,
    }
}

impl Leg<'_> {
    /// The orders that serve this leg, or why there are none. Orders whose place they take are added to
    /// `cancels`.
    pub fn decide(
        &self,
        running: &mut Running,
        guards: &mut Guards,
        orders: &mut Vec<OrderSpec>,
        cancels: &mut Vec<String>,
    ) -> Checked<Done> {
        let (input, mut terms) = (numbers(self.input), terms(self.leg, self.share_e9));
        if let Some(notional) = self.leg.notional_e9.filter(|_| input.price.0 > 0) {
            // An estimate: how many shares the amount buys is known with the fill.
            let shares = i128::from(notional) * i128::from(crate::money::E9) / i128::from(input.price.0);
            terms.quantity = i64::try_from(shares).ok().map(Quantity);
            terms.estimated = true;
        }
        let sized = decide_leg(&self.view.policy, &input, &terms, running);
        let refused = |denied: Deny| denial(denied, &self.leg.symbol, self.input);
        let sized = match sized {
            Err(denied @ Deny::OnTarget { .. }) => return Ok(Done::OnTarget(refused(denied))),
            sized => sized.map_err(refused)?,
        };
        self.check_opens(sized)?;
        let exits = [self.leg.take_profit_price_e9, self.leg.stop_loss_price_e9];
        guards.check(&Guarded {
            policy: &self.view.policy,
            input: self.input,
            terms: &terms,
            sized,
            orders: 1 + exits.iter().flatten().map(|_| 1).sum::<u32>(),
            price: worst_price(&input, &terms),
            running,
        })?;
        // What trades against the position takes the place of what protects it.
        let change = if sized.side == Side::Buy { 1 } else { -1 };
        if self.input.strategy_position_e9.signum() * change < 0 {
            cancels.extend(self.input.protective_orders.iter().cloned());
        }
        match self.leg.intent() {
            Intent::Exit => self.exits(sized, orders),
            _ => self.entry(sized, orders),
        }
        Ok(Done::Ordered)
    }

    /// Shares that the strategy holds against `side`: what an order on it closes before it opens anything.
    fn held_against(&self, side: Side) -> Quantity {
        let held = Quantity(self.input.strategy_position_e9);
        let against = held.0.signum() * signed(side, Quantity(1)).0 < 0;
        if against { held.abs() } else { Quantity::ZERO }
    }

    /// Exits close what their entry opens. Those of an order that opens nothing would open again what it closes, and pass
    /// for orders that only reduce; an operator closes with one order and opens with another.
    fn check_opens(&self, sized: Sized) -> Checked {
        let exits = [
            ("take profit price", self.leg.take_profit_price_e9),
            ("stop loss price", self.leg.stop_loss_price_e9),
        ];
        let stated = exits.into_iter().find_map(|(field, price)| Some((field, Price(price?))));
        let closes = self.held_against(sized.side);
        let opens = match self.leg.intent() {
            // Its exits are itself.
            Intent::Exit => return Ok(()),
            // All that an entry may do is end what is held: it has no exits.
            Intent::EnterShort if sized.reducing => return Ok(()),
            Intent::Buy | Intent::Sell => closes == Quantity::ZERO,
            _ => sized.quantity > closes,
        };
        let Some((field, price)) = stated.filter(|_| !opens) else { return Ok(()) };
        let (trades, quantity) = (if sized.side == Side::Buy { "buys" } else { "sells" }, sized.quantity);
        let held = Quantity(self.input.strategy_position_e9);
        let reason = format!(
            "{field} is {price}, expected none, because exits are for an order that opens a position or adds to it; \
             this one {trades} {quantity} while {held} are held"
        );
        deny(Rule::InvalidSignal, reason)
    }

    fn spec(&self, sized: Sized) -> OrderSpec {
        let terms = terms(self.leg, self.share_e9);
        let trails = terms.order_type == OrderType::TrailingStop;
        OrderSpec {
            order_id: order_id(self.signal_id, self.input.leg),
            account: self.view.account.clone(),
            strategy: self.strategy.to_owned(),
            symbol: self.leg.symbol.clone(),
            side: sized.side.into(),
            order_type: terms.order_type.into(),
            time_in_force: time_in_force(self.leg).into(),
            quantity_e9: sized.quantity.0,
            limit_price_e9: terms.limit.map(|price| self.on_tick(price, sized.side)),
            stop_price_e9: terms.stop.map(|price| price.0),
            leg: self.input.leg,
            reducing: sized.reducing,
            trail_price_e9: self.leg.trail_price_e9.filter(|_| trails),
            trail_rate_e9: self.leg.trail_rate_e9.filter(|_| trails),
            extended_hours: self.leg.extended_hours,
            notional_e9: self.leg.notional_e9,
            ..OrderSpec::default()
        }
    }

    /// A limit price on the tick that the sizing states.
    fn on_tick(&self, price: Price, side: Side) -> i64 {
        let sizing = self.view.policy.sizing.as_ref();
        sizing.map_or(price, |sizing| sizing::on_tick(sizing, price, side == Side::Buy)).0
    }

    /// An entry, and the exits that work once it fills: until cancelled, so that a position which outlives
    /// its entry's day stays protected; for the shares that it opens, which of one against the position are those
    /// beyond it.
    fn entry(&self, sized: Sized, orders: &mut Vec<OrderSpec>) {
        let mut entry = self.spec(sized);
        let group = match (self.leg.take_profit_price_e9, self.leg.stop_loss_price_e9) {
            (None, None) => return orders.push(entry),
            _ if entry.reducing && self.leg.intent() == Intent::EnterShort => return orders.push(entry),
            (Some(_), Some(_)) => GroupKind::Bracket,
            _ => GroupKind::Oto,
        };
        entry.group = group.into();
        entry.group_id.clone_from(&entry.order_id);
        let side = if sized.side == Side::Buy { Side::Sell } else { Side::Buy };
        let exit = OrderSpec {
            side: side.into(),
            time_in_force: TimeInForce::Gtc.into(),
            quantity_e9: sized.quantity.0.saturating_sub(self.held_against(sized.side).0),
            reducing: true,
            parent_id: entry.order_id.clone(),
            ..entry.clone()
        };
        let id = entry.order_id.clone();
        orders.push(entry);
        orders.extend(self.target(&exit, child_order_id(&id, 0)));
        orders.extend(self.stop(&exit, child_order_id(&id, 1)));
    }

    /// An exit: one order, or a target and a stop of which one cancels the other.
    fn exits(&self, sized: Sized, orders: &mut Vec<OrderSpec>) {
        let exit = self.spec(sized);
        match (self.leg.take_profit_price_e9, self.leg.stop_loss_price_e9) {
            (None, None) => orders.push(exit),
            (Some(_), Some(_)) => {
                let id = exit.order_id.clone();
                let exit = OrderSpec { group: GroupKind::Oco.into(), group_id: id.clone(), ..exit };
                orders.extend(self.target(&exit, id.clone()));
                orders.extend(self.stop(&exit, child_order_id(&id, 1)));
            }
            _ => {
                let id = exit.order_id.clone();
                orders.extend(self.target(&exit, id.clone()));
                orders.extend(self.stop(&exit, id));
            }
        }
    }

    fn target(&self, exit: &OrderSpec, order_id: String) -> Option<OrderSpec> {
        let limit_price_e9 = Some(self.on_tick(Price(self.leg.take_profit_price_e9?), exit.side()));
        Some(OrderSpec { order_type: OrderType::Limit.into(), limit_price_e9, ..unpriced(exit, order_id) })
    }

    fn stop(&self, exit: &OrderSpec, order_id: String) -> Option<OrderSpec> {
        let stop_price_e9 = Some(self.leg.stop_loss_price_e9?);
        Some(OrderSpec { order_type: OrderType::Stop.into(), stop_price_e9, ..unpriced(exit, order_id) })
    }
}

/// An exit under an id of its own, without any price.
fn unpriced(exit: &OrderSpec, order_id: String) -> OrderSpec {
    OrderSpec {
        order_id,
        limit_price_e9: None,
        stop_price_e9: None,
        trail_price_e9: None,
        trail_rate_e9: None,
        ..exit.clone()
    }
}
