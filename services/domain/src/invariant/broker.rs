//! The tape and a broker, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use contracts::v1::GroupPolicy;

use super::watch::Watch;
use super::{Invariant, Violation};
use crate::book::CLOSING_LEG;
use crate::money::{Price, Quantity};
use crate::order::{GroupStage, OrderState, OrderStatus};

/// Most legs of a signal that are looked at as one group.
const LEGS_MAX: u32 = 16;

/// An order as a broker states it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtBroker {
    /// Client order id that it was sent under.
    pub client_order_id: String,
    /// Whether the broker still works it.
    pub working: bool,
    /// Quantity and price of each execution that stands, by the broker's id.
    pub executions: BTreeMap<String, (Quantity, Price)>,
}

/// The first difference between the tape and `orders`, which the broker named `broker` has or had.
///
/// With `settled` they are all that it ever had, and nothing is under way between the two: what one of them knows the other
/// must know. Without it only what can never be right is found, in each of them by itself: an order without intent, an order
/// twice, a fill that the broker does not know.
#[must_use]
pub fn compare_broker(watch: &Watch, broker: &str, orders: &[AtBroker], settled: bool) -> Option<Violation> {
    let sequence = watch.book().sequence();
    let violation = |invariant, detail: String| Some(Violation::new(invariant, sequence, detail));
    let mut seen = BTreeSet::new();
    for order in orders {
        let client = &order.client_order_id;
        if !seen.insert(client.as_str()) {
            return violation(Invariant::NoOrderTwice, format!("broker {broker} has {client} twice"));
        }
        let Some(order_id) = watch.clients.get(client) else {
            let detail = format!("broker {broker} has {client}, for which the tape holds no intent");
            return violation(Invariant::NoOrderTwice, detail);
        };
        let followed = &watch.orders[order_id];
        for (id, execution) in &followed.executions {
            if order.executions.get(id) != Some(execution) {
                let detail = format!(
                    "fill {id} of order {order_id} is {execution:?}, at broker {broker} {:?}",
                    order.executions.get(id)
                );
                return violation(Invariant::FillsAgree, detail);
            }
        }
        if !settled {
            continue;
        }
        if let Some(id) = order.executions.keys().find(|id| !followed.executions.contains_key(*id)) {
            let detail =
                format!("execution {id} of order {order_id} at broker {broker} is no fill on the tape");
            return violation(Invariant::FillsAgree, detail);
        }
        let status = watch.book().order(order_id).map(|order| order.status);
        if let Some(status) = status.filter(|status| status.is_ended() == order.working) {
            let stands = if order.working { "works" } else { "works no longer" };
            let detail =
                format!("order {order_id} is {} on the tape and {stands} at broker {broker}", status.name());
            return violation(Invariant::OrdersEnd, detail);
        }
    }
    if settled { unknown(watch, broker, &seen) } else { None }
}

/// An open order, or a filled one, that the broker does not have.
fn unknown(watch: &Watch, broker: &str, seen: &BTreeSet<&str>) -> Option<Violation> {
    let sequence = watch.book().sequence();
    let open = watch.book().open_orders().find(|order| match order.status {
        OrderStatus::Approved => true,
        _ => order.broker == broker && !seen.contains(order.client_order_id.as_str()),
    });
    if let Some(order) = open {
        let detail = format!("order {} is {}, broker {broker} has none", order.id(), order.status.name());
        return Some(Violation::new(Invariant::OrdersEnd, sequence, detail));
    }
    let filled = watch.clients.iter().find(|(client, order_id)| {
        let of_broker = watch.book().order(order_id).is_some_and(|order| order.broker == broker);
        of_broker && !watch.orders[*order_id].executions.is_empty() && !seen.contains(client.as_str())
    })?;
    let detail = format!("order {} has fills, broker {broker} never had it", filled.1);
    Some(Violation::new(Invariant::FillsAgree, sequence, detail))
}

/// The differences between the tape and what the broker of `account`, which is in use, says now: `orders` are those of the
/// account's open orders that it knows, and those of this program that it lists as open itself. What it had before is not
/// asked for again. What is under way between the two differs for a while: only what stays is at fault.
///
/// Executions are held against the book's, which are in the order's present terms, as the broker's are after a split.
#[must_use]
pub fn compare_open(watch: &Watch, account: &str, orders: &[AtBroker]) -> Vec<Violation> {
    let (book, mut found, mut seen) = (watch.book(), Vec::new(), BTreeSet::new());
    let mut say = |invariant, detail: String| {
        found.push(Violation::new(invariant, book.sequence(), detail));
    };
    for at in orders {
        let client = &at.client_order_id;
        if !seen.insert(client.as_str()) {
            say(Invariant::NoOrderTwice, format!("the broker of {account} has {client} twice"));
            continue;
        }
        let Some(order_id) = watch.clients.get(client) else {
            let detail = format!("the broker of {account} has {client}, for which the tape holds no intent");
            say(Invariant::NoOrderTwice, detail);
            continue;
        };
        // One that ended long ago is in no book any more.
        let order = book.order(order_id);
        let status = order.map_or("ended", |order| order.status.name());
        if order.is_none_or(|order| order.status.is_ended()) == at.working {
            let stands = if at.working { "works" } else { "works no longer" };
            let detail =
                format!("order {order_id} of {account} is {status} on the tape and {stands} at its broker");
            say(Invariant::OrdersEnd, detail);
        }
        let Some(order) = order else { continue };
        let counts = order.executions.iter().filter(|known| !known.is_busted());
        let known: BTreeMap<_, _> =
            counts.map(|known| (known.id.clone(), (known.quantity, known.price))).collect();
        let ids: BTreeSet<_> = known.keys().chain(at.executions.keys()).collect();
        if let Some(id) = ids.into_iter().find(|id| known.get(*id) != at.executions.get(*id)) {
            let (ours, theirs) = (known.get(id), at.executions.get(id));
            let detail = format!("execution {id} of order {order_id} is {ours:?}, at its broker {theirs:?}");
            say(Invariant::FillsAgree, detail);
        }
    }
    let missing = book.open_orders().filter(|order| {
        let sent = order.status != OrderStatus::Approved && order.spec.account == account;
        sent && !seen.contains(order.client_order_id.as_str())
    });
    for order in missing {
        let detail =
            format!("order {} is {}, the broker of {account} has none", order.id(), order.status.name());
        say(Invariant::OrdersEnd, detail);
    }
    found
}

/// A group that is half open in silence: a leg was refused, and another one is open and nobody asked for its
/// end. A group with a policy is spoken of once an event says what becomes of it.
#[must_use]
pub fn half_open(watch: &Watch) -> Option<Violation> {
    let book = watch.book();
    let is_leg = |order: &&OrderState| {
        order.spec.leg < LEGS_MAX && order.id() == contracts::order_id(&order.signal_id, order.spec.leg)
    };
    // Few are refused, so that they are looked for first.
    let refused = book.ended_orders().filter(|order| order.status == OrderStatus::Rejected).filter(is_leg);
    let refused: Vec<&OrderState> = refused.filter(|leg| !is_spoken_of(leg)).collect();
    if refused.is_empty() {
        return None;
    }
    // Of one whose cancel was refused the refusal speaks: it is asked for again after a while.
    let silent = |order: &&OrderState| {
        let asked = order.cancel_requested || order.cancel_refused_ns.is_some();
        !order.signal_id.is_empty() && !asked && !is_spoken_of(order)
    };
    let (order, leg) = book.open_orders().filter(silent).find_map(|order| {
        let of_group =
            |leg: &&&OrderState| leg.signal_id == order.signal_id && leg.spec.leg != order.spec.leg;
        refused.iter().find(of_group).map(|leg| (order, leg.id()))
    })?;
    let detail = format!("order {} is open, and leg {leg} of its group was refused", order.id());
    Some(Violation::new(Invariant::OrdersEnd, book.sequence(), detail))
}

/// Whether an event says what becomes of the group of `order`, or it is one of those that close or complete a group.
fn is_spoken_of(order: &OrderState) -> bool {
    let handled = !matches!(order.group_stage, GroupStage::None | GroupStage::Watched);
    order.spec.leg >= CLOSING_LEG || (handled && order.spec.group_policy() != GroupPolicy::Unspecified)
}
