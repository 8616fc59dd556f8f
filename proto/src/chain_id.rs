//! Ids of the decision chain: who makes which event of what cause.
//!
//! A service, a replay and the backtest engine make the same event of the same cause, so the names of the
//! handlers stand here, once.

use std::borrow::Cow;

use crate::MANUAL;
use crate::id::{EventId, event_id, signal_id};
use crate::v1::event::Body;
use crate::v1::{Event, OrderSpec};

/// Who answers a signal.
pub const RISK: &str = "risk";
/// Who submits an order.
pub const SUBMIT: &str = "execution/submit";
/// Who says what a broker answered, before the event's name.
pub const EXECUTION: &str = "execution/";
/// Who says what a broker filled, before its id of the execution.
pub const FILL: &str = "execution/fill/";

/// Most signals that one event may cause.
pub const SIGNALS_MAX: u32 = 1_000;
/// Digits of an event's id.
const ID_DIGITS: usize = 32;

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

/// Whether `event`, a signal of `strategy`, has an id as ids are that follow from a cause, and this one does not follow
/// from its own strategy and cause: it may be the id of somebody else's next signal, which must not be answered with it.
///
/// Another wrong id, a word or a number, can be nobody's. Operators' signals are named by whoever asks for them.
#[must_use]
pub fn is_foreign(event: &Event, strategy: &str) -> bool {
    let is_digit = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    if strategy == MANUAL || event.id.len() != ID_DIGITS || !event.id.bytes().all(is_digit) {
        return false;
    }
    let (cause, handler) = (event.causation_id.as_str(), strategy_handler(strategy));
    let is_own =
        |index| event_id(cause, &handler, index) == event.id || signal_id(strategy, cause, index) == event.id;
    cause.is_empty() || !(0..SIGNALS_MAX).any(is_own)
}

/// Id of the decision that answers the signal `signal_id`.
#[must_use]
pub fn decision(signal_id: &str) -> EventId {
    event_id(signal_id, RISK, 0)
}

/// Id of the event that submits `order`; `decision_id` is the decision that approved it, empty where no decision
/// did. Orders of one group share a leg, so that all but the first of them are told apart by their own ids.
#[must_use]
pub fn submitted(decision_id: &str, order: &OrderSpec) -> EventId {
    let cause = if decision_id.is_empty() { order.order_id.as_str() } else { decision_id };
    event_id(cause, &of_group(SUBMIT, order), order.leg)
}

/// Id of the request to cancel `order` because of `cause`, the event that ended another leg.
#[must_use]
pub fn unwind(cause: &str, order: &OrderSpec) -> EventId {
    event_id(cause, &of_group("execution/unwind", order), order.leg)
}

/// Id of the same request once more, after the broker refused the one before at `refused_ns` of market time.
#[must_use]
pub fn unwind_again(cause: &str, order: &OrderSpec, refused_ns: i64) -> EventId {
    event_id(cause, &format!("{}/{refused_ns}", of_group("execution/unwind", order)), order.leg)
}

fn of_group<'name>(name: &'name str, order: &OrderSpec) -> Cow<'name, str> {
    let first = order.group_id.is_empty() || order.group_id == order.order_id;
    if first { Cow::Borrowed(name) } else { Cow::Owned(format!("{name}/{}", order.order_id)) }
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

/// Id of what is done about the group `group_id` in `state`, which names its orders, how they stand and what is done.
#[must_use]
pub fn group(group_id: &str, state: &str) -> EventId {
    event_id(group_id, &format!("execution/group/{state}"), 0)
}

/// Id of the transfer of `symbol` on `account` that the control event `cause` asked for.
#[must_use]
pub fn transfer(cause: &str, account: &str, symbol: &str) -> EventId {
    event_id(cause, &format!("execution/transfer/{account}/{symbol}"), 0)
}

/// Id of what a breaker does at the mark of `account` at an instant.
#[must_use]
pub fn breaker(account: &str, event_ns: i64, body: &Body) -> EventId {
    let (what, kind, strategy) = match body {
        Body::BreakerTripped(event) => ("tripped", event.kind, event.strategy.as_str()),
        Body::BreakerReset(event) => ("reset", event.kind, event.strategy.as_str()),
        _ => ("other", 0, ""),
    };
    event_id(&format!("{account}@{event_ns}"), &format!("execution/breaker/{what}/{kind}/{strategy}"), 0)
}
