//! Decisions on an order: which event, if any, a command or a broker's report adds.
//!
//! `Ok(None)` means that the tape already says so: repeating a command or a report adds nothing. A
//! rejection is data; it changes nothing and names what was expected.

use contracts::v1::event::Body;
use contracts::v1::{
    Fill, OrderAccepted, OrderAdjusted, OrderCancelRejected, OrderCancelRequested, OrderCancelled,
    OrderExpired, OrderRejected, OrderSubmitted, OrderSuspended, OrderTrailed, OrderTriggered,
    OrderUnresolved,
};
use contracts::{client_order_id, to_timestamp};

pub use super::replace::{refuse as refuse_replace, request as request_replace};
pub use super::report::{BrokerReport, Execution};
use super::{OrderState, OrderStatus, correct, replace};
use crate::corporate_action::SplitRatio;
use crate::money::{Price, Quantity};

/// Why a command or a report adds no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The order has ended.
    #[error("order {order_id} is {}, expected an open order", status.name())]
    Ended {
        /// Order.
        order_id: String,
        /// How it ended.
        status: OrderStatus,
    },
    /// The broker reports on an order whose submission is not on the tape.
    #[error("order {order_id} is not submitted, expected no report of a broker")]
    NotSubmitted {
        /// Order.
        order_id: String,
    },
    /// The order was submitted already, so it can only be cancelled at the broker.
    #[error("order {order_id} is {}, expected an order that was never submitted", status.name())]
    AlreadySubmitted {
        /// Order.
        order_id: String,
        /// Where it stands.
        status: OrderStatus,
    },
    /// A report would fill more than was ordered.
    #[error("order {order_id}: execution {execution_id} of {quantity}, expected at most {unfilled}")]
    Overfill {
        /// Order.
        order_id: String,
        /// Broker's id of the execution.
        execution_id: String,
        /// Reported quantity.
        quantity: Quantity,
        /// What is left.
        unfilled: Quantity,
    },
    /// A correction names an execution that the tape does not know.
    #[error("order {order_id}: execution {execution_id} is not known, expected one that was reported before")]
    UnknownExecution {
        /// Order.
        order_id: String,
        /// Broker's id of the execution.
        execution_id: String,
    },
    /// A value is out of range.
    #[error("order {order_id}: `{field}` is {value}, expected {expected}")]
    Invalid {
        /// Order.
        order_id: String,
        /// Field of the report or command.
        field: &'static str,
        /// Its value.
        value: String,
        /// The allowed range.
        expected: &'static str,
    },
}

/// The outcome of a decision: one event, none because the tape already says so, or a rejection.
pub type Decision = Result<Option<Body>, Rejection>;

/// Records the intent to send the order to `broker`.
pub fn submit(order: &OrderState, broker: &str) -> Decision {
    if order.status.is_ended() || (order.status == OrderStatus::Approved && order.cancel_requested) {
        return Err(ended(order));
    }
    if order.status != OrderStatus::Approved {
        return Ok(None);
    }
    Ok(Some(Body::OrderSubmitted(OrderSubmitted {
        order: Some(order.spec.clone()),
        client_order_id: client_order_id(order.id()),
        broker: broker.to_owned(),
    })))
}

/// Records that an operator or a service wants the order cancelled.
pub fn request_cancel(order: &OrderState, actor: &str, reason: &str) -> Decision {
    if order.status.is_ended() {
        return Err(ended(order));
    }
    if order.cancel_requested {
        return Ok(None);
    }
    Ok(Some(Body::OrderCancelRequested(OrderCancelRequested {
        order_id: order.id().to_owned(),
        actor: actor.to_owned(),
        reason: reason.to_owned(),
    })))
}

/// Ends an order that was never sent, because its cancel came first.
pub fn withdraw(order: &OrderState) -> Decision {
    if order.status == OrderStatus::Cancelled {
        return Ok(None);
    }
    if order.status != OrderStatus::Approved {
        return Err(Rejection::AlreadySubmitted { order_id: order.id().to_owned(), status: order.status });
    }
    Ok(Some(cancelled(order, "cancelled before it was sent")))
}

/// Folds a broker's report into an event.
pub fn report(order: &OrderState, report: &BrokerReport) -> Decision {
    if order.status == OrderStatus::Approved {
        return Err(Rejection::NotSubmitted { order_id: order.id().to_owned() });
    }
    let order_id = order.id().to_owned();
    let open = !order.status.is_ended();
    // A report on the end of an order that has ended repeats what is known, or comes too late to matter.
    Ok(match report {
        BrokerReport::Filled(execution) => return fill(order, execution),
        BrokerReport::Accepted { broker_order_id } => {
            let known = order.accepted_ns.is_some()
                && order.status != OrderStatus::Suspended
                && order.resolving.is_empty();
            (open && !known).then(|| accepted(order_id, broker_order_id, false))
        }
        BrokerReport::Rejected { reason } => {
            let reason = reason.clone();
            open.then_some(Body::OrderRejected(OrderRejected { order_id, reason }))
        }
        BrokerReport::Cancelled { reason } => open.then(|| cancelled(order, reason)),
        BrokerReport::CancelRejected { reason } => {
            let reason = reason.clone();
            let body = Body::OrderCancelRejected(OrderCancelRejected { order_id, reason });
            order.cancel_requested.then_some(body)
        }
        BrokerReport::Expired { reason } => {
            let reason = reason.clone();
            open.then_some(Body::OrderExpired(OrderExpired { order_id, reason }))
        }
        BrokerReport::Triggered { stop, at_ns } => {
            let (stop_price_e9, triggered_at) = (stop.0, Some(to_timestamp(*at_ns)));
            let body = Body::OrderTriggered(OrderTriggered { order_id, stop_price_e9, triggered_at });
            (open && order.triggered_ns.is_none()).then_some(body)
        }
        BrokerReport::Trailed { extreme, stop } => {
            let news = order.extreme != Some(*extreme) || order.spec.stop_price_e9 != Some(stop.0);
            let (extreme_price_e9, stop_price_e9) = (extreme.0, stop.0);
            let body = Body::OrderTrailed(OrderTrailed { order_id, extreme_price_e9, stop_price_e9 });
            (open && order.triggered_ns.is_none() && news).then_some(body)
        }
        BrokerReport::Replaced(terms) => return replace::replaced(order, terms),
        BrokerReport::ReplaceRejected { reason } => return replace::refuse(order, reason),
        BrokerReport::Corrected { correction_id, execution } => {
            return correct::corrected(order, correction_id, execution);
        }
        BrokerReport::Busted { correction_id, execution_id, reason } => {
            return correct::busted(order, correction_id, execution_id, reason);
        }
        BrokerReport::Reopened { broker_order_id } => {
            (!open).then(|| accepted(order_id, broker_order_id, true))
        }
        BrokerReport::Unresolved { doing, problem } => {
            let news = open && order.resolving != *doing;
            let (doing, problem) = ((*doing).to_owned(), problem.clone());
            news.then_some(Body::OrderUnresolved(OrderUnresolved { order_id, doing, problem }))
        }
        BrokerReport::Suspended { reason } => {
            let reason = reason.clone();
            let news = open && order.status != OrderStatus::Suspended;
            news.then_some(Body::OrderSuspended(OrderSuspended { order_id, reason }))
        }
    })
}

/// Restates or ends an open order on the ex-date of a split.
///
/// A forward split restates quantity (down to whole shares) and prices; a reverse split cancels the
/// order, as exchanges do, because its size no longer says what was meant.
pub fn adjust(order: &OrderState, ratio: SplitRatio, action_id: &str) -> Decision {
    if order.status.is_ended() {
        return Err(ended(order));
    }
    if order.adjusted_by == action_id {
        return Ok(None);
    }
    let (new, old) = ratio.terms();
    if ratio.is_reverse() {
        return Ok(Some(cancelled(order, &format!("reverse split, {new} for {old} shares"))));
    }
    let unadjustable = |field, value: String| Rejection::Invalid {
        order_id: order.id().to_owned(),
        field,
        value,
        expected: "a value that the split leaves in range",
    };
    let quantity = Quantity(order.spec.quantity_e9);
    let adjusted = ratio.split_quantity(quantity);
    let adjusted = adjusted.map_err(|_| unadjustable("quantity_e9", quantity.to_string()))?.held.whole();
    if adjusted == Quantity::ZERO {
        return Ok(Some(cancelled(order, "nothing is left of the order after the split")));
    }
    let price = |price: Option<i64>, field| match price.map(Price) {
        None => Ok(None),
        Some(price) => match ratio.adjust_price(price) {
            Ok(adjusted) if adjusted.0 > 0 => Ok(Some(adjusted.0)),
            _ => Err(unadjustable(field, price.to_string())),
        },
    };
    Ok(Some(Body::OrderAdjusted(OrderAdjusted {
        order_id: order.id().to_owned(),
        quantity_e9: adjusted.0,
        limit_price_e9: price(order.spec.limit_price_e9, "limit_price_e9")?,
        stop_price_e9: price(order.spec.stop_price_e9, "stop_price_e9")?,
        action_id: action_id.to_owned(),
        trail_price_e9: price(order.spec.trail_price_e9, "trail_price_e9")?,
        extreme_price_e9: price(order.extreme.map(|extreme| extreme.0), "extreme_price_e9")?,
    })))
}

fn fill(order: &OrderState, execution: &Execution) -> Decision {
    let order_id = order.id().to_owned();
    if !execution.execution_id.is_empty() && order.execution(&execution.execution_id).is_some() {
        return Ok(None);
    }
    let invalid = |field, value: String, expected| {
        Err(Rejection::Invalid { order_id: order_id.clone(), field, value, expected })
    };
    if execution.execution_id.is_empty() {
        return invalid("execution_id", String::new(), "the broker's id of the execution");
    }
    if execution.quantity.0 <= 0 {
        return invalid("quantity", execution.quantity.to_string(), "a positive quantity");
    }
    if execution.price.0 <= 0 {
        return invalid("price", execution.price.to_string(), "a positive price");
    }
    let unfilled = order.unfilled();
    let Some(remaining) = order.after(execution.quantity, execution.price) else {
        let (execution_id, quantity) = (execution.execution_id.clone(), execution.quantity);
        return Err(Rejection::Overfill { order_id, execution_id, quantity, unfilled });
    };
    let Some(commission) = execution.commission.to_wire() else {
        return invalid("commission", execution.commission.to_string(), "an amount of 64-bit units");
    };
    Ok(Some(Body::Fill(Fill {
        order_id,
        account: order.spec.account.clone(),
        strategy: order.spec.strategy.clone(),
        symbol: order.spec.symbol.clone(),
        side: order.spec.side,
        number: order.fills.saturating_add(1),
        quantity_e9: execution.quantity.0,
        price_e9: execution.price.0,
        commission: Some(commission),
        execution_id: execution.execution_id.clone(),
        executed_at: Some(to_timestamp(execution.executed_ns)),
        remaining_e9: remaining.0,
        slippage_e9: execution.slippage.0,
        leg: order.spec.leg,
        ambiguous: execution.ambiguous,
    })))
}

fn accepted(order_id: String, broker_order_id: &str, reopened: bool) -> Body {
    Body::OrderAccepted(OrderAccepted { order_id, broker_order_id: broker_order_id.to_owned(), reopened })
}

fn cancelled(order: &OrderState, reason: &str) -> Body {
    Body::OrderCancelled(OrderCancelled { order_id: order.id().to_owned(), reason: reason.to_owned() })
}

fn ended(order: &OrderState) -> Rejection {
    Rejection::Ended { order_id: order.id().to_owned(), status: order.status }
}
