//! Events of execution: their ids, causes and expectations.
//!
//! An id follows from what caused the event, so that an instant or an order handled again after a crash
//! yields the same events. Every append states what must be last in its aggregate: the order's filter for
//! order events and fills, `account.<a>.>` for marks and entries. Two executions can therefore never both
//! write.

use contracts::v1::event::Body;
use contracts::v1::{Basis, Event, GroupHandled};
use contracts::{Subject, chain_id, event_id, stream, to_timestamp};
use domain::order::OrderState;
use event_log::{Append, Expect};

/// Name of the service, the source of its events.
pub const SERVICE: &str = "execution";

/// The metadata that an event has apart from its body.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// The event's id.
    pub id: String,
    /// Market time of the event, UTC nanoseconds.
    pub event_ns: i64,
    /// Event that caused it.
    pub causation_id: String,
    /// First event of the chain.
    pub correlation_id: String,
    /// Last sequences folded of MARKET and TRADING.
    pub basis: (u64, u64),
}

/// Id of the event that submits `order`: a pure function of the decision and the order.
pub(crate) fn submitted_id(order: &OrderState) -> String {
    chain_id::submitted(&order.decision_id, &order.spec)
}

/// Id of a broker's answer or another single event in the life of `order`, by the event's name.
pub(crate) fn order_event_id(order: &OrderState, name: &str) -> String {
    chain_id::order_event(&submitted_id(order), name)
}

/// Id of the fill that the broker reported under `execution_id`.
pub(crate) fn fill_id(order: &OrderState, execution_id: &str) -> String {
    chain_id::fill(&submitted_id(order), execution_id)
}

/// Id of the entry that the corporate action or bar `cause_id` makes on a position.
pub(crate) fn entry_id(cause_id: &str, account: &str, strategy: &str) -> String {
    chain_id::entry(cause_id, account, strategy)
}

/// Id of the restatement or the end that the corporate action `cause_id` makes of an order.
pub(crate) fn adjustment_id(cause_id: &str, order_id: &str) -> String {
    chain_id::adjustment(cause_id, order_id)
}

/// Id of the mark of `account` at an instant.
pub(crate) fn mark_id(account: &str, event_ns: i64) -> String {
    chain_id::mark(account, event_ns)
}

/// Id of the margin call of `account`, or of its end, at an instant.
pub(crate) fn margin_id(account: &str, event_ns: i64) -> String {
    event_id(&format!("{account}@{event_ns}"), "execution/margin", 0)
}

/// Id of the entry that books what a broker outside knows under `activity_id`.
pub(crate) fn activity_id(account: &str, activity_id: &str) -> String {
    event_id(&format!("{account}/{activity_id}"), "execution/activity", 0)
}

/// The append of an event of `order`, expecting what the order's fold saw last.
pub(crate) fn of_order(order: &OrderState, meta: Meta, body: Body) -> Option<Append> {
    let event = event(meta, body);
    let subject = Subject::for_event(&event, Some(&order.spec))?;
    let expect = Expect::Last { filter: Subject::order_filter(&order.spec), sequence: order.last_sequence };
    Some(Append { subject, event, expect })
}

/// The filter under which everything that concerns an account's value is one aggregate.
pub(crate) fn account_filter(account: &str) -> String {
    format!("account.{}.>", contracts::escape(account))
}

/// The append of an event of `account`, expecting `sequence` to be its last.
pub(crate) fn of_account(account: &str, sequence: u64, meta: Meta, body: Body) -> Option<Append> {
    let event = event(meta, body);
    let subject = Subject::for_event(&event, None)?;
    Some(Append { subject, event, expect: Expect::Last { filter: account_filter(account), sequence } })
}

/// The append of what is done about a group. The group is its own aggregate: `control.group.<id>.>`.
pub(crate) fn of_group(handled: &GroupHandled, meta: Meta) -> Append {
    let event = event(meta, Body::GroupHandled(handled.clone()));
    let subject = Subject::of(&["control", "group", &handled.group_id, "handled"]);
    Append { subject, event, expect: Expect::Nothing }
}

/// The basis of a decision: the last sequences folded of MARKET and TRADING.
pub(crate) fn basis((market, trading): (u64, u64)) -> Vec<Basis> {
    let basis = |stream: &str, sequence| Basis { stream: stream.to_owned(), sequence };
    vec![basis(stream::MARKET, market), basis(stream::TRADING, trading)]
}

fn event(meta: Meta, body: Body) -> Event {
    Event {
        id: meta.id,
        event_time: Some(to_timestamp(meta.event_ns)),
        source: SERVICE.to_owned(),
        correlation_id: meta.correlation_id,
        causation_id: meta.causation_id,
        basis: basis(meta.basis),
        body: Some(body),
        ..Event::default()
    }
}
