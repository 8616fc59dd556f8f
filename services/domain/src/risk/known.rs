//! How a decision comes to know of an event.

use contracts::v1::event::Body;

/// Whether a decision knows of an event of TRADING by the read models alone: a control event, an entry, a correction and
/// whatever else changes an account for another reason than a trade. Not so what it takes from the tape: what everything is
/// worth, what becomes of orders, their fills, signals and decisions; nor what the monitor measured, which no decision looks
/// at.
#[must_use]
pub fn is_read(body: &Body) -> bool {
    !matches!(
        body,
        Body::Signal(_)
            | Body::RiskDecision(_)
            | Body::RiskMeasured(_)
            | Body::AlertRaised(_)
            | Body::AccountMarked(_)
            | Body::OrderSubmitted(_)
            | Body::OrderAccepted(_)
            | Body::OrderRejected(_)
            | Body::OrderCancelRequested(_)
            | Body::OrderCancelled(_)
            | Body::OrderCancelRejected(_)
            | Body::OrderReplaceRequested(_)
            | Body::OrderReplaced(_)
            | Body::OrderReplaceRejected(_)
            | Body::OrderExpired(_)
            | Body::OrderSuspended(_)
            | Body::OrderTriggered(_)
            | Body::OrderTrailed(_)
            | Body::Fill(_)
    )
}
