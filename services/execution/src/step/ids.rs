//! Ids of the events that fold a broker's reports.

use contracts::event_id;
use domain::order::{BrokerReport, OrderState, REOPENED};

use crate::event;

/// The id of an event that an order may have more than once: it names the event before it.
fn again(order: &OrderState, name: &str) -> String {
    event::order_event_id(order, &format!("{name}/{}", order.last_sequence))
}

/// The id of the event that folds a report. What can happen once in an order's life has one id.
pub(super) fn report_id(order: &OrderState, report: &BrokerReport, cause_id: Option<&str>) -> String {
    match report {
        BrokerReport::Filled(execution) => event::fill_id(order, &execution.execution_id),
        // What the broker says once in an order's life has one id; what it may say again has one for each time.
        BrokerReport::Accepted { .. } if order.accepted_ns.is_some() => again(order, "accepted"),
        BrokerReport::Reopened { .. } => again(order, "reopened"),
        BrokerReport::Unresolved { doing, .. } => again(order, &format!("unresolved/{doing}")),
        // Terms that changed under the same ids, by hand at the broker, may change again.
        BrokerReport::Replaced(terms) if terms.client_order_id == order.client_order_id => {
            again(order, &format!("restated/{}", terms.broker_order_id))
        }
        BrokerReport::Replaced(terms) => event::order_event_id(
            order,
            &format!("replaced/{}/{}", terms.client_order_id, terms.broker_order_id),
        ),
        BrokerReport::ReplaceRejected { .. } => {
            let revision = order.replace.as_ref().map_or(0, |replace| replace.revision);
            again(order, &format!("replace_rejected/{revision}"))
        }
        BrokerReport::Corrected { correction_id, .. } | BrokerReport::Busted { correction_id, .. } => {
            event::order_event_id(order, &format!("correction/{correction_id}"))
        }
        BrokerReport::Accepted { .. } => event::order_event_id(order, "accepted"),
        BrokerReport::Rejected { .. } | BrokerReport::Cancelled { .. } | BrokerReport::Expired { .. }
            if order.reason == REOPENED =>
        {
            again(order, "ended")
        }
        BrokerReport::Rejected { .. } => event::order_event_id(order, "rejected"),
        BrokerReport::Cancelled { .. } => event::order_event_id(order, "cancelled"),
        BrokerReport::Expired { .. } => event::order_event_id(order, "expired"),
        BrokerReport::CancelRejected { .. } => {
            event_id(cause_id.unwrap_or(order.id()), "execution/cancel_rejected", 0)
        }
        BrokerReport::Suspended { .. } => again(order, "suspended"),
        BrokerReport::Triggered { .. } => event::order_event_id(order, "triggered"),
        // A trailing stop moves one way only, so that no place is taken twice but by a split, or under new terms, which
        // may have put it back to where it stood when they were asked for.
        BrokerReport::Trailed { extreme, .. } => {
            let terms = match order.spec.revision {
                0 => String::new(),
                revision => format!("/{revision}"),
            };
            event::order_event_id(order, &format!("trailed/{}/{}{terms}", extreme.0, order.adjusted_by))
        }
    }
}
