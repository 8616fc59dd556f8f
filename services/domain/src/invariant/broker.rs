//! The tape and a broker, held against each other.

use std::collections::{BTreeMap, BTreeSet};

use super::watch::Watch;
use super::{Invariant, Violation};
use crate::money::{Price, Quantity};
use crate::order::{OrderState, OrderStatus};

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

/// The first difference between the tape and `orders`, which are all that the broker named `broker` ever had.
///
/// With `settled` nothing is under way between the two: what one of them knows the other must know. Without
/// it only what can never be right is found: an order without intent, an order twice, a fill that the broker
/// does not know.
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

/// A group that is half open in silence: a leg was refused, and another one is open and nobody asked for its
/// end.
#[must_use]
pub fn half_open(watch: &Watch) -> Option<Violation> {
    let book = watch.book();
    let refused = |order: &OrderState| {
        let legs = (0..LEGS_MAX).filter(|leg| *leg != order.spec.leg);
        legs.map(|leg| contracts::order_id(&order.signal_id, leg))
            .find(|leg| book.order(leg).is_some_and(|order| order.status == OrderStatus::Rejected))
    };
    let open = book.open_orders().filter(|order| !order.signal_id.is_empty() && !order.cancel_requested);
    let (order, leg) = open.filter_map(|order| Some((order, refused(order)?))).next()?;
    let detail = format!("order {} is open, and leg {leg} of its group was refused", order.id());
    Some(Violation::new(Invariant::OrdersEnd, book.sequence(), detail))
}
