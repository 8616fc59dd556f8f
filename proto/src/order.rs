//! The order that an event is about.

use crate::v1::event::Body;

/// Id of the order that an event of its life names: what [`crate::Subject::for_event`] wants the order of.
#[must_use]
pub fn order_of(body: &Body) -> Option<&str> {
    Some(match body {
        Body::OrderSubmitted(event) => &event.order.as_ref()?.order_id,
        Body::OrderAccepted(event) => &event.order_id,
        Body::OrderRejected(event) => &event.order_id,
        Body::OrderCancelRequested(event) => &event.order_id,
        Body::OrderCancelled(event) => &event.order_id,
        Body::OrderCancelRejected(event) => &event.order_id,
        Body::OrderReplaceRequested(event) => &event.order_id,
        Body::OrderReplaced(event) => &event.order_id,
        Body::OrderReplaceRejected(event) => &event.order_id,
        Body::OrderExpired(event) => &event.order_id,
        Body::OrderSuspended(event) => &event.order_id,
        Body::OrderUnresolved(event) => &event.order_id,
        Body::OrderAdjusted(event) => &event.order_id,
        Body::OrderTriggered(event) => &event.order_id,
        Body::OrderTrailed(event) => &event.order_id,
        Body::Fill(event) => &event.order_id,
        Body::FillCorrected(event) => &event.order_id,
        Body::FillBusted(event) => &event.order_id,
        _ => return None,
    })
}
