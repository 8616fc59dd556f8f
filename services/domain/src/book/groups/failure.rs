//! What went wrong with a group of orders.

use contracts::v1::GroupKind;

use super::{CLOSING_LEG, GROUP_PATIENCE_NS, is_open};
use crate::money::Quantity;
use crate::order::{GroupStage, OrderState, OrderStatus};

/// One thing that went wrong with a group.
pub(super) struct Failure<'book> {
    pub order: &'book OrderState,
    pub how: &'static str,
}

/// The first order of the group that failed and of which that was not stated. Exits of a bracket end unfilled when the other
/// one fills or the entry ends: of them only a refusal is a failure.
pub(super) fn failure<'book>(orders: &[&'book OrderState], now_ns: i64) -> Option<Failure<'book>> {
    let legs = || orders.iter().filter(|order| order.spec.leg < CLOSING_LEG);
    let several = legs().map(|order| order.spec.leg).max() > legs().map(|order| order.spec.leg).min();
    let failed = |order: &&&'book OrderState| match order.status {
        OrderStatus::Rejected => Some("rejected"),
        _ if !several || order.spec.group() != GroupKind::Unspecified => None,
        OrderStatus::Expired if order.unfilled() > Quantity::ZERO => Some("expired"),
        OrderStatus::Cancelled if order.unfilled() > Quantity::ZERO => Some("cancelled"),
        _ => None,
    };
    let untold = || legs().filter(|order| order.group_stage != GroupStage::Stated);
    // A refusal is the cause of the cancels that follow from it.
    let refused = untold().find(|order| order.status == OrderStatus::Rejected);
    let refused = refused.map(|order| Failure { order, how: "rejected" });
    let ended =
        refused.or_else(|| untold().find_map(|order| failed(&order).map(|how| Failure { order, how })));
    if ended.is_some() || !several {
        return ended;
    }
    let filled = legs().any(|order| order.unfilled() == Quantity::ZERO);
    let stuck = |order: &&&'book OrderState| {
        let since_ns = order.accepted_ns.or(order.submitted_ns).unwrap_or(order.approved_ns);
        // An exit waits for its price as long as it takes; the entry that it belongs to does not.
        let waits = order.spec.group() == GroupKind::Oco || !order.spec.parent_id.is_empty();
        is_open(order) && !waits && now_ns.saturating_sub(since_ns) >= GROUP_PATIENCE_NS
    };
    let found = untold().find(|order| filled && now_ns > i64::MIN && stuck(order));
    found.map(|order| Failure { order, how: "stuck" })
}
