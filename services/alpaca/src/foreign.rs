//! What bytes in the place of Alpaca's come to, without a connection: for the fuzz target `alpaca`.
//!
//! It calls what the adapter and the stream call. Deliberately absent: requests, and what is remembered between two of
//! them.

use std::collections::BTreeSet;

use domain::order::{BrokerReport, OrderState, reconcile};
use serde_json::Value;

use crate::known::{Known, OnTape};
use crate::moved;
use crate::stream::{self, Told};
use crate::truth::{self, Executions};
use crate::wire::{self, Account, Activity, Asset, MarketClock, Movement, Order, Position, Refusal, Update};

/// What `message`, an answer about an order or a message of the stream, says of `order`, with the executions that
/// `listed` has. Anything else that Alpaca answers is read too, and says nothing of an order.
#[must_use]
pub fn reports_of(order: &OrderState, message: &[u8], listed: &[u8]) -> Vec<BrokerReport> {
    let mut reports = answered(order, message, listed);
    if let Ok(message) = serde_json::from_slice::<Value>(message)
        && message["stream"] == "trade_updates"
        && let Ok(update) = wire::decode::<Update>(message["data"].to_string().as_bytes())
        && let Told::Reports(said) = stream::told(&known_of(order), &update)
    {
        reports.extend(said.into_iter().map(|said| said.report));
    }
    read_others(message);
    reports
}

/// What an answer about the order says.
fn answered(order: &OrderState, message: &[u8], listed: &[u8]) -> Vec<BrokerReport> {
    // One without an id is none that Alpaca could have been asked about.
    let found = wire::decode::<Order>(message).ok().filter(|found| !found.id.is_empty());
    let Some(found) = found else { return Vec::new() };
    let _ = (found.listed_ns(), found.successor(), found.is_pending());
    let _ = truth::as_on_tape(&order.executions, &found);
    let activities: Vec<Activity> = wire::decode(listed).unwrap_or_default();
    let chain = BTreeSet::from([found.id.clone()]);
    let executions = truth::executions(&chain, &activities, found.filled(), &order.executions);
    let Ok(executions) = executions else { return Vec::new() };
    let known = truth::known_as(&order.spec, &found.client_order_id, &found, executions.clone());
    let mut reports: Vec<BrokerReport> = known.reports.into_iter().map(|said| said.report).collect();
    if let Executions::All(all) = executions {
        reports.extend(reconcile(order, &truth::truth(order, &found, all)));
    }
    reports
}

/// A memory that knows the order by its ids, and its executions by those of the tape.
fn known_of(order: &OrderState) -> Known {
    let known = Known::default();
    known.learn(&order.broker_order_id, order.id());
    for executed in &order.executions {
        let on_tape = OnTape { order_id: order.id().to_owned(), execution_id: executed.id.clone() };
        known.executed(&executed.id, on_tape);
    }
    known
}

/// Reads the bytes as everything else that is answered.
fn read_others(message: &[u8]) {
    for movement in wire::decode::<Vec<Movement>>(message).unwrap_or_default() {
        let _ = moved::activity(movement);
    }
    for position in wire::decode::<Vec<Position>>(message).unwrap_or_default() {
        let _ = (position.qty.quantity(), position.cost_basis.amount(), position.price());
    }
    if let Ok(account) = wire::decode::<Account>(message) {
        let _ = (account.cash.amount(), account.equity.amount(), account.buying_power.amount());
    }
    if let Ok(clock) = wire::decode::<MarketClock>(message) {
        let _ = (wire::time_ns(&clock.next_open), wire::time_ns(&clock.next_close));
    }
    let _ = (wire::decode::<Asset>(message), wire::decode::<Refusal>(message));
}
