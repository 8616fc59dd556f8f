//! New terms for an order that is under way: judged as the order that it becomes, without the one that it was.
//!
//! They are an operator's to ask for, of one order of the account at a time: the order keeps its strategy, symbol and side,
//! and is judged on what that strategy holds and under the limits that cover it. Until its broker has answered, the larger
//! of both terms counts for everything else that is decided.

use contracts::v1::{Intent, OrderSpec, OrderType, RiskInput, Side, SignalLeg, TimeInForce};

use super::RiskView;
use super::guard::{Guarded, Guards, denial};
use super::kernel::{Running, decide_leg, worst_price};
use super::leg::{numbers, terms};
use super::rule::{Checked, Denial, Rule};
use crate::book::Book;
use crate::money::{Price, Quantity};
use crate::order::{OrderState, OrderStatus, words};

/// The order with its new terms, or why it keeps those it has.
pub(super) fn decide(
    view: &RiskView,
    leg: &SignalLeg,
    input: &RiskInput,
    running: &mut Running,
    guards: &mut Guards,
) -> Checked<OrderSpec> {
    let deny = |reason: String| Err(Denial::new(Rule::InvalidSignal, reason));
    let Some(order) = &input.replaced else {
        return deny(format!("order {} is not open, expected one whose terms can be replaced", leg.replaces));
    };
    if let Some(other) = another(order, &view.account, leg) {
        return deny(other);
    }
    if input.replaced_cancelled {
        let id = &order.order_id;
        return deny(format!("order {id} is to be cancelled, expected one whose terms can be replaced"));
    }
    if input.replaced_pending > 0 {
        let (id, revision) = (&order.order_id, input.replaced_pending);
        return deny(format!(
            "new terms of order {id} are under way (revision {revision}), expected none: ask again once its broker \
             has answered"
        ));
    }
    let filled = Quantity(input.replaced_filled_e9);
    let spec = OrderSpec {
        quantity_e9: leg.quantity_e9.unwrap_or(order.quantity_e9),
        limit_price_e9: leg.limit_price_e9.or(order.limit_price_e9),
        stop_price_e9: leg.stop_price_e9.or(order.stop_price_e9),
        revision: order.revision + 1,
        ..order.clone()
    };
    if order.notional_e9.is_some() {
        return deny(format!("order {} is for an amount, whose terms cannot be replaced", order.order_id));
    }
    if leg.stop_price_e9.is_some() && order.order_type() == OrderType::TrailingStop {
        return deny(format!(
            "stop price: order {} trails its own, expected new terms without one",
            order.order_id
        ));
    }
    let changed = |new: &OrderSpec| {
        (new.quantity_e9, new.limit_price_e9, new.stop_price_e9)
            != (order.quantity_e9, order.limit_price_e9, order.stop_price_e9)
    };
    if !changed(&spec) {
        return deny(format!("order {}: expected terms other than it has", order.order_id));
    }
    if spec.quantity_e9 <= filled.0 {
        let quantity = Quantity(spec.quantity_e9);
        return deny(format!("quantity is {quantity}, expected more than the {filled} that are filled"));
    }
    let whole = |quantity: i64| Quantity(quantity).whole() == Quantity(quantity);
    if spec.quantity_e9 != order.quantity_e9 && !(whole(spec.quantity_e9) && whole(order.quantity_e9)) {
        return deny("the quantity of an order with fractions of a share cannot be replaced".to_owned());
    }
    for (field, price, used) in [
        ("limit price", leg.limit_price_e9, order.limit_price_e9),
        ("stop price", leg.stop_price_e9, order.stop_price_e9),
    ] {
        if price.is_some_and(|price| price <= 0) || (price.is_some() && used.is_none()) {
            let value = Price(price.unwrap_or_default());
            return deny(format!("{field} is {value}, expected a positive price for an order that has one"));
        }
    }
    let as_new = SignalLeg {
        quantity_e9: Some(spec.quantity_e9 - filled.0),
        order_type: order.order_type,
        limit_price_e9: spec.limit_price_e9,
        stop_price_e9: spec.stop_price_e9,
        ..leg.clone()
    };
    let (numbers, terms) = (numbers(input), terms(&as_new, 0));
    let sized = decide_leg(&view.policy, &numbers, &terms, running);
    let sized = sized.map_err(|denied| denial(denied, &leg.symbol, input))?;
    guards.check(&Guarded {
        policy: &view.policy,
        input,
        terms: &terms,
        sized,
        orders: 1,
        price: worst_price(&numbers, &terms),
        running,
    })?;
    Ok(OrderSpec { reducing: sized.reducing, ..spec })
}

/// In words, why an order is not the one that a leg may ask new terms of: another account's, in another symbol or on the
/// other side.
fn another(order: &OrderSpec, account: &str, leg: &SignalLeg) -> Option<String> {
    let side = |side: Side| if side == Side::Sell { "sell" } else { "buy" };
    let asked = if leg.intent() == Intent::Sell { Side::Sell } else { Side::Buy };
    let parts = [
        ("account", order.account.as_str(), account),
        ("symbol", order.symbol.as_str(), leg.symbol.as_str()),
        ("side", side(order.side()), side(asked)),
    ];
    let (part, own, asked) = parts.into_iter().find(|(_, own, asked)| own != asked)?;
    Some(format!("the {part} of order {} is {own}, expected {asked}", order.order_id))
}

/// The open order that a leg asks new terms of, where the signal is an operator's.
pub(super) fn replaced<'book>(book: &'book Book, manual: bool, leg: &SignalLeg) -> Option<&'book OrderState> {
    let known = book.order(&leg.replaces).filter(|_| manual);
    // One that has ended may have left memory: it is not told from one that never was. An exit that waits for its entry is
    // not open yet: nobody could answer to its new terms before that fills.
    known.filter(|order| !order.status.is_ended() && !waits_for_entry(order))
}

fn waits_for_entry(order: &OrderState) -> bool {
    order.status == OrderStatus::Approved && !order.spec.parent_id.is_empty()
}

/// States the order that a leg replaces, and takes it out of what is reserved.
pub(super) fn state(order: &OrderState, account: &str, leg: &SignalLeg, input: &mut RiskInput) {
    // The number that the next terms are to be above, those that were refused included.
    input.replaced = Some(OrderSpec { revision: order.last_revision(), ..order.spec.clone() });
    input.replaced_filled_e9 = order.filled.0;
    input.replaced_pending = order.replace.as_ref().map_or(0, |replace| replace.revision);
    input.replaced_cancelled = order.cancel_requested;
    let under_way = input.replaced_pending > 0 || input.replaced_cancelled;
    // What is denied goes on to count.
    if under_way || another(&order.spec, account, leg).is_some() {
        return;
    }
    if !order.is_protective() {
        let reserved = order.reserved_signed().0;
        input.strategy_reserved_e9 = input.strategy_reserved_e9.saturating_sub(reserved);
        input.account_reserved_e9 = input.account_reserved_e9.saturating_sub(reserved);
    }
    let reserved = crate::money::Amount::from_wire(input.reserved_exposure.as_ref());
    if let Some(others) = reserved.checked_sub(order.reserved_value()) {
        input.reserved_exposure = others.to_wire();
    }
}

/// What a leg for an operator's order must state beyond what every order must.
pub(super) fn check_order(leg: &SignalLeg) -> Result<(), (&'static str, String, &'static str)> {
    let order_type = super::leg::order_type(leg);
    let time_in_force = super::leg::time_in_force(leg);
    let day = time_in_force == TimeInForce::Day;
    match (leg.quantity_e9, leg.notional_e9) {
        (None, None) if leg.replaces.is_empty() => {
            return Err(("quantity_e9", "missing".to_owned(), "a quantity or an amount"));
        }
        (Some(_), Some(_)) => {
            return Err(("notional_e9", "stated beside a quantity".to_owned(), "one of the two"));
        }
        (None, Some(notional)) if notional < crate::money::E9 => {
            return Err(("notional_e9", Price(notional).to_string(), "at least 1"));
        }
        (None, Some(_)) if order_type != OrderType::Market || !day => {
            let (term, kind) = (words::time_in_force(time_in_force), words::order_type(order_type));
            let value = format!("stated for a {term} {kind} order");
            return Err(("notional_e9", value, "a market order for the day"));
        }
        (Some(quantity), None)
            if Quantity(quantity).whole() != Quantity(quantity)
                && (!day || order_type == OrderType::TrailingStop) =>
        {
            let value = Quantity(quantity).to_string();
            let expected =
                "a whole number of shares, because parts of a share work for the day alone and do not trail";
            return Err(("quantity_e9", value, expected));
        }
        _ => {}
    }
    // Exits are orders until cancelled, for the shares of their entry, and how many an amount buys is known with the fill. Parts
    // of a share work for the day alone: a broker would refuse the exits once the entry has filled.
    let is_whole = leg.quantity_e9.is_none_or(|quantity| Quantity(quantity).whole() == Quantity(quantity));
    let exits =
        [("take_profit_price_e9", leg.take_profit_price_e9), ("stop_loss_price_e9", leg.stop_loss_price_e9)];
    for (field, price) in exits {
        let Some(price) = price else { continue };
        let expected = match leg.notional_e9 {
            Some(_) => "none beside an amount, because exits close a number of shares",
            None if !is_whole => "none beside parts of a share, because exits work until cancelled",
            None => continue,
        };
        return Err((field, Price(price).to_string(), expected));
    }
    Ok(())
}

/// Extended hours are for limit orders that stand alone, for the day or until cancelled.
pub(super) fn check_hours(leg: &SignalLeg) -> Result<(), (&'static str, String, &'static str)> {
    let works = matches!(super::leg::time_in_force(leg), TimeInForce::Day | TimeInForce::Gtc);
    let alone = leg.take_profit_price_e9.is_none() && leg.stop_loss_price_e9.is_none();
    if leg.extended_hours && !(super::leg::order_type(leg) == OrderType::Limit && works && alone) {
        let expected = "a limit order for the day or until cancelled, without exits of its own";
        return Err(("extended_hours", "true".to_owned(), expected));
    }
    Ok(())
}
