//! What an event must be, and the pure ways to it from the steps that are possible.

use contracts::v1::Event;
use contracts::v1::event::Body;
use contracts::{Subject, from_timestamp};
use event_log::{Append, Recorded};

use crate::machine::{Machine, Work};
use crate::step::Step;

/// What an event of TRADING must be.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every answer is an append")]
pub enum Derived {
    /// Not execution's, or an answer of a broker outside: it is taken as it is.
    Input,
    /// This.
    Event(Append),
    /// Nothing of its kind follows from what came before.
    Nothing,
}

impl Derived {
    /// Whether it is the event of this id.
    #[must_use]
    pub fn is(&self, id: &str) -> bool {
        matches!(self, Self::Event(append) if append.event.id == id)
    }
}

/// The steps with another cause.
pub(super) fn caused(steps: &[Step], cause: &str) -> Vec<Step> {
    let mut steps = steps.to_vec();
    for step in &mut steps {
        if let Step::Report { cause_id, .. } = step {
            *cause_id = Some(cause.to_owned());
        }
    }
    steps
}

/// The intent to send an order, one that risk approved or one that a kill switch asks for.
pub(super) fn sent(machine: &Machine, event: &Event) -> Derived {
    let Some(Body::OrderSubmitted(submitted)) = &event.body else { return Derived::Nothing };
    let order_id = submitted.order.as_ref().map_or("", |order| &order.order_id).to_owned();
    let broker = submitted.broker.clone();
    let mut steps = vec![Step::Submit { order_id, broker: broker.clone() }];
    for work in machine.flattening() {
        if let Work::Flatten { kill_id, order, .. } = work {
            steps.push(Step::Flatten { kill_id, order, broker: broker.clone() });
        }
    }
    decided(machine, &steps, event)
}

/// What execution asks to cancel by itself: what is left of a group of which a leg failed, and an entry whose day is over. When
/// it saw that the day was over is its own clock's to say.
pub(super) fn requested(machine: &Machine, order_id: &str, event: &Event) -> Derived {
    let failed = machine.book().order(order_id).and_then(|order| machine.failed_leg(order));
    let mut steps = Vec::new();
    steps.extend(failed.map(|failed| Step::Unwind { order_id: order_id.to_owned(), failed }));
    if let Some(event_ns) = event.event_time.as_ref().and_then(from_timestamp) {
        steps.push(Step::EndDay { order_id: order_id.to_owned(), event_ns });
    }
    decided(machine, &steps, event)
}

/// The event that the first of `steps` with the recorded id comes to; failing that, the first of its kind.
pub(super) fn decided(machine: &Machine, steps: &[Step], event: &Event) -> Derived {
    among(steps.iter().filter_map(|step| machine.decide(step).ok().flatten()), event)
}

/// The first of `appends` with the recorded id; failing that, the first of its kind.
pub(super) fn among(appends: impl IntoIterator<Item = Append>, event: &Event) -> Derived {
    let mut alike = None;
    for append in appends {
        if append.event.id == event.id {
            return Derived::Event(append);
        }
        if alike.is_none() && is_alike(&append.event, event) {
            alike = Some(append);
        }
    }
    alike.map_or(Derived::Nothing, Derived::Event)
}

/// Whether one of `steps` comes to the event, by what it says and by its cause.
pub(super) fn is_the(machine: &Machine, steps: &[Step], event: &Event) -> bool {
    matches!(decided(machine, steps, event), Derived::Event(append)
        if append.event.id == event.id
            && append.event.body == event.body
            && append.event.causation_id == event.causation_id)
}

/// Whether two events are of one kind and of the same order or account, so that one stands for the other.
fn is_alike(derived: &Event, recorded: &Event) -> bool {
    let (Some(left), Some(right)) = (&derived.body, &recorded.body) else { return false };
    if std::mem::discriminant(left) != std::mem::discriminant(right) {
        return false;
    }
    match (left, right) {
        (Body::AccountMarked(left), Body::AccountMarked(right)) => left.account == right.account,
        (Body::AccountEntry(left), Body::AccountEntry(right)) => {
            (&left.account, &left.strategy, &left.symbol) == (&right.account, &right.strategy, &right.symbol)
        }
        // Of neither where they are of no order.
        _ => contracts::order_of(left) == contracts::order_of(right),
    }
}

/// The order of what a broker reports.
pub(super) fn reported(body: &Body) -> Option<&str> {
    let is_report = matches!(
        body,
        Body::OrderAccepted(_)
            | Body::OrderRejected(_)
            | Body::OrderCancelRejected(_)
            | Body::OrderCancelled(_)
            | Body::OrderExpired(_)
            | Body::OrderTriggered(_)
            | Body::OrderTrailed(_)
            | Body::Fill(_)
    );
    contracts::order_of(body).filter(|_| is_report)
}

/// Whether an event may change whether an account can be valued.
pub(super) fn revalues(body: &Body) -> bool {
    matches!(
        body,
        Body::Fill(_)
            | Body::FillCorrected(_)
            | Body::FillBusted(_)
            | Body::AccountEntry(_)
            | Body::BrokerReconciled(_)
    )
}

/// The order that an event belongs to.
pub(super) fn order_of(recorded: &Recorded) -> Option<String> {
    let subject = Subject::parse(&recorded.subject).ok()?;
    let mut tokens = subject.tokens();
    let of_order = matches!(tokens.next().as_deref(), Some("order" | "fill"));
    of_order.then(|| tokens.nth(3)).flatten()
}
