//! Reconciling: what a broker says of an order as a whole, against what the tape has seen of it.
//!
//! Reports can be lost, doubled and reordered; how an order stands at the broker cannot. [`reconcile`] answers
//! with the reports that are missing. Folding them through [`super::decide::report`] brings the order to the
//! broker's truth, whatever was folded before.
//!
//! Deliberately absent: asking the broker, and what becomes of the position.

use super::{BrokerReport, CENT, Execution, OrderState, OrderStatus, Terms};
use crate::money::{Amount, Price, Quantity};

/// How an order stands at its broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It works it.
    Working,
    /// It holds it without working it.
    Suspended(String),
    /// Everything was filled.
    Filled,
    /// It was cancelled.
    Cancelled(String),
    /// Its time in force is over.
    Expired(String),
    /// It was refused.
    Rejected(String),
}

/// An order as its broker knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerTruth {
    /// Client order id of the terms that it works or worked last.
    pub client_order_id: String,
    /// Broker's own id of them.
    pub broker_order_id: String,
    /// How it stands.
    pub standing: Standing,
    /// Shares of the whole order.
    pub quantity: Quantity,
    /// Limit price.
    pub limit: Option<Price>,
    /// Stop price.
    pub stop: Option<Price>,
    /// Every execution that counts, as it counts now.
    pub executions: Vec<Execution>,
}

/// The reports that bring `order` to `truth`, in the order in which they are to be folded.
#[must_use]
pub fn reconcile(order: &OrderState, truth: &BrokerTruth) -> Vec<BrokerReport> {
    let mut reports = Vec::new();
    if order.status == OrderStatus::Approved {
        // Nothing was sent, as far as the tape knows: its submission comes first.
        return reports;
    }
    let rejected = matches!(truth.standing, Standing::Rejected(_));
    let terms = |price: Option<Price>, known: Option<i64>| price.is_some_and(|price| Some(price.0) != known);
    let replaced = truth.client_order_id != order.client_order_id
        || (order.spec.notional_e9.is_none() && truth.quantity.0 != order.spec.quantity_e9)
        || terms(truth.limit, order.spec.limit_price_e9)
        || terms(truth.stop, order.spec.stop_price_e9);
    if !rejected && order.accepted_ns.is_none() {
        reports.push(BrokerReport::Accepted { broker_order_id: truth.broker_order_id.clone() });
    }
    // What is void goes first, so that what takes its place has room.
    let void = order.executions.iter().filter(|known| {
        !known.is_busted() && truth.executions.iter().all(|execution| execution.execution_id != known.id)
    });
    reports.extend(void.map(|known| BrokerReport::Busted {
        correction_id: format!("reconciled-{}", known.id),
        execution_id: known.id.clone(),
        reason: "the broker does not know it any more".to_owned(),
    }));
    // Then what takes shares back, then the terms, then what adds some: each finds the room that it needs.
    let (mut less, mut more) = (Vec::new(), Vec::new());
    for execution in &truth.executions {
        match order.execution(&execution.execution_id) {
            None => more.push(BrokerReport::Filled(execution.clone())),
            Some(known) => {
                let as_known = (known.quantity, known.price, known.commission);
                if as_known != (execution.quantity, execution.price, execution.commission) {
                    let side = if execution.quantity > known.quantity { &mut more } else { &mut less };
                    side.push(correction(known.corrections.len(), execution));
                }
            }
        }
    }
    reports.extend(less);
    if replaced {
        reports.push(BrokerReport::Replaced(Terms {
            client_order_id: truth.client_order_id.clone(),
            broker_order_id: truth.broker_order_id.clone(),
            quantity: truth.quantity,
            limit: truth.limit,
            stop: truth.stop,
        }));
    }
    reports.extend(more);
    if !replaced && order.replace.as_ref().is_some_and(|replace| replace.requested) {
        reports
            .push(BrokerReport::ReplaceRejected { reason: "the broker works the terms before".to_owned() });
    }
    reports.extend(ending(order, truth));
    reports
}

fn correction(number: usize, execution: &Execution) -> BrokerReport {
    BrokerReport::Corrected {
        correction_id: format!("reconciled-{}-{number}", execution.execution_id),
        execution: execution.clone(),
    }
}

/// How the order stands at the broker, where the tape says otherwise.
fn ending(order: &OrderState, truth: &BrokerTruth) -> impl Iterator<Item = BrokerReport> {
    let works = matches!(truth.standing, Standing::Working | Standing::Suspended(_));
    let reopened = (works && order.status.is_ended())
        .then(|| BrokerReport::Reopened { broker_order_id: truth.broker_order_id.clone() });
    // Whoever holds an order has opened it again first.
    let rest = match &truth.standing {
        Standing::Working if reopened.is_some() => None,
        Standing::Working if order.status == OrderStatus::Suspended || !order.resolving.is_empty() => {
            Some(BrokerReport::Accepted { broker_order_id: truth.broker_order_id.clone() })
        }
        Standing::Working => None,
        Standing::Filled => {
            // The last fill says so itself, unless something of it was taken back or restated since.
            let sum = |of: fn(&Execution) -> i128| {
                truth.executions.iter().fold(0_i128, |sum, fill| sum.saturating_add(of(fill)))
            };
            let (short, reason) = match order.spec.notional_e9 {
                Some(amount) => {
                    let spent = sum(|fill| Amount::notional(fill.price, fill.quantity).0);
                    let unspent = i128::from(amount).saturating_sub(spent);
                    (unspent >= CENT.0, "filled for less than its amount, as its fills stand now")
                }
                None => {
                    let filled = sum(|fill| i128::from(fill.quantity.0));
                    (filled < i128::from(truth.quantity.0), "filled, and a part of it was busted")
                }
            };
            short.then(|| BrokerReport::Cancelled { reason: reason.to_owned() })
        }
        Standing::Suspended(reason) => Some(BrokerReport::Suspended { reason: reason.clone() }),
        Standing::Cancelled(reason) => Some(BrokerReport::Cancelled { reason: reason.clone() }),
        Standing::Expired(reason) => Some(BrokerReport::Expired { reason: reason.clone() }),
        Standing::Rejected(reason) => Some(BrokerReport::Rejected { reason: reason.clone() }),
    };
    reopened.into_iter().chain(rest)
}
