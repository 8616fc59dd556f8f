//! Ids of the decision chain: who makes which event of what cause.
//!
//! A service, a replay and the backtest engine make the same event of the same cause, so the names of the
//! handlers stand here, once.

use crate::id::{EventId, event_id};

/// Who answers a signal.
pub const RISK: &str = "risk";
/// Who submits an order.
pub const SUBMIT: &str = "execution/submit";
/// Who says what a broker answered, before the event's name.
pub const EXECUTION: &str = "execution/";
/// Who says what a broker filled, before its id of the execution.
pub const FILL: &str = "execution/fill/";

/// Who makes the signals of the built-in strategy `strategy`.
#[must_use]
pub fn strategy_handler(strategy: &str) -> String {
    format!("strategy/{strategy}")
}

/// Id of the `index`-th signal that the built-in strategy `strategy` makes of the event `cause`.
#[must_use]
pub fn signal(cause: &str, strategy: &str, index: u32) -> EventId {
    event_id(cause, &strategy_handler(strategy), index)
}

/// Id of the decision that answers the signal `signal_id`.
#[must_use]
pub fn decision(signal_id: &str) -> EventId {
    event_id(signal_id, RISK, 0)
}

/// Id of the event that submits the order of leg `leg`; `cause` is the decision that approved it, or the order
/// itself where no decision did.
#[must_use]
pub fn submitted(cause: &str, leg: u32) -> EventId {
    event_id(cause, SUBMIT, leg)
}

/// Id of a broker's answer or another single event in an order's life, by the event's name.
#[must_use]
pub fn order_event(submitted_id: &str, name: &str) -> EventId {
    event_id(submitted_id, &format!("{EXECUTION}{name}"), 0)
}

/// Id of the fill that the broker reported under `execution_id`.
#[must_use]
pub fn fill(submitted_id: &str, execution_id: &str) -> EventId {
    event_id(submitted_id, &format!("{FILL}{execution_id}"), 0)
}

/// Id of the entry that the corporate action or bar `cause` makes on a position.
#[must_use]
pub fn entry(cause: &str, account: &str, strategy: &str) -> EventId {
    event_id(cause, &format!("execution/entry/{account}/{strategy}"), 0)
}

/// Id of the restatement or the end that the corporate action `cause` makes of an order.
#[must_use]
pub fn adjustment(cause: &str, order_id: &str) -> EventId {
    event_id(cause, &format!("execution/adjust/{order_id}"), 0)
}

/// Id of the mark of `account` at an instant.
#[must_use]
pub fn mark(account: &str, event_ns: i64) -> EventId {
    event_id(&format!("{account}@{event_ns}"), "execution/mark", 0)
}

/// Id of the margin call of `account`, or of its end, at an instant.
#[must_use]
pub fn margin(account: &str, event_ns: i64) -> EventId {
    event_id(&format!("{account}@{event_ns}"), "execution/margin", 0)
}
