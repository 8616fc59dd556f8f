//! The process manager's one question: what to do next for an order.

use super::{OrderState, OrderStatus};

/// What the process manager has to do next for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Record the intent ([`decide::submit`]), then send the order.
    MustSubmit,
    /// A cancel came before anything was sent: record the end ([`decide::withdraw`]); never send it.
    MustWithdraw,
    /// The intent is recorded and the answer is not: ask the broker for the client order id. Only when
    /// it does not know it, send the order, with the same id.
    MustAsk,
    /// The broker works it; its reports move it on.
    Working,
    /// Ask the broker to cancel.
    MustCancel,
    /// Record the intent to replace its terms ([`super::decide::request_replace`]), then ask the broker; where the
    /// intent is recorded and the answer is not, ask the broker for the client order id of the new terms first.
    MustReplace,
    /// It ended before its new terms were asked for: record that they are void ([`super::decide::refuse_replace`]).
    MustForgo,
    /// Over.
    Done,
}

/// What to do next for `order`.
#[must_use]
pub fn phase(order: &OrderState) -> Phase {
    if order.replace.is_some() {
        if order.status.is_ended() {
            return Phase::MustForgo;
        }
        // A cancel makes new terms void; it is the broker's answer to it that ends the order.
        if order.can_replace() && !order.cancel_requested {
            return Phase::MustReplace;
        }
    }
    match (order.status, order.cancel_requested) {
        (OrderStatus::Approved, false) => Phase::MustSubmit,
        (OrderStatus::Approved, true) => Phase::MustWithdraw,
        // Whether there is anything to cancel is known only after the broker's answer.
        (OrderStatus::Submitted, _) => Phase::MustAsk,
        (OrderStatus::Accepted | OrderStatus::Suspended, false) => Phase::Working,
        (OrderStatus::Accepted | OrderStatus::Suspended, true) => Phase::MustCancel,
        (OrderStatus::Filled | OrderStatus::Cancelled | OrderStatus::Rejected | OrderStatus::Expired, _) => {
            Phase::Done
        }
    }
}
