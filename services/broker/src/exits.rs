//! Names of adapters, and what brokers want to know of exits.

use contracts::child_order_id;
use contracts::v1::{GroupKind, OrderSpec};

/// Name of the simulated adapter on the tape.
pub const SIMULATED: &str = "simulated";
/// Name of Alpaca's adapter on the tape.
pub const ALPACA: &str = "alpaca";

/// Whether the broker of this name takes an exit only once its entry is done: there an exit is an order like any other,
/// which would open a position of its own.
#[must_use]
pub fn wants_entries_first(broker: &str) -> bool {
    broker == ALPACA
}

/// The other one of a pair of exits of which one ends the other: the take-profit's for the stop and the other way
/// round; `None` for any other order.
#[must_use]
pub fn other_exit(order: &OrderSpec) -> Option<String> {
    let group = order.group_id.as_str();
    let target = match order.group() {
        GroupKind::Oco => group.to_owned(),
        GroupKind::Bracket if !order.parent_id.is_empty() => child_order_id(group, 0),
        _ => return None,
    };
    if is_stop(order) {
        return Some(target);
    }
    (order.order_id == target).then(|| child_order_id(group, 1))
}

/// Whether an order is the exit of its group that stops the loss.
#[must_use]
pub fn is_stop(order: &OrderSpec) -> bool {
    !order.group_id.is_empty() && order.order_id == child_order_id(&order.group_id, 1)
}
