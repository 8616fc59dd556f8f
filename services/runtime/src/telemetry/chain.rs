//! Traces of decision chains: one trace from the bar to the fill, one span per event.
//!
//! An event's span is the step that made it: it begins when this process was given the event's cause and
//! ends when the tape has stored the event. Its context travels in the message's header. Whoever is given
//! a message remembers the header by the event's id, and an event it causes joins that trace.
//!
//! Where no header was seen (a restart lies between, or the cause was written without one) the context
//! follows from the ids: a chain's trace id is its correlation id, an event's span id the first half of its
//! own id. So an order that fills days later still joins its bar's trace, and the id of a trace is known to
//! whoever knows a chain. Nothing of this is in the event.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use contracts::stream;
use contracts::v1::Event;
use event_log::{Append, TraceParent};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::now_ns;

/// Contexts remembered; whatever is older follows from the ids.
const REMEMBERED_MAX: usize = 1 << 15;

/// Takes a finished span. Must not block.
pub(super) type Sink = Box<dyn Fn(SpanData) + Send + Sync>;

/// The chains that pass this process.
pub(super) struct Chains {
    sink: Sink,
    ratio: f64,
    scope: InstrumentationScope,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    by_id: HashMap<u128, Cause>,
    order: VecDeque<u128>,
}

/// A message this process knows the context of.
#[derive(Clone, Copy)]
struct Cause {
    trace: TraceParent,
    at_ns: i64,
}

impl Chains {
    /// Sends spans of the share `ratio` of all chains (0 to 1) to `sink`.
    pub fn new(ratio: f64, sink: Sink) -> Arc<Self> {
        let scope = InstrumentationScope::builder("tapedeck").build();
        Arc::new(Self { sink, ratio, scope, heard: Mutex::default() })
    }

    /// Remembers the context of a message that was delivered.
    pub fn heard(&self, event_id: &str, trace: TraceParent) {
        if let Some(id) = hex_id(event_id) {
            self.remember(id, Cause { trace, at_ns: now_ns() });
        }
    }

    fn remember(&self, id: u128, cause: Cause) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Several services of one process are given the same message; the first of them counts.
        if heard.by_id.contains_key(&id) {
            return;
        }
        heard.by_id.insert(id, cause);
        heard.order.push_back(id);
        if heard.order.len() > REMEMBERED_MAX
            && let Some(oldest) = heard.order.pop_front()
        {
            heard.by_id.remove(&oldest);
        }
    }

    fn cause(&self, id: u128) -> Option<Cause> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(&id).copied()
    }

    /// The step that an append is; `None` for what belongs to no chain.
    pub fn begin(self: &Arc<Self>, entry: &Append, stream: &'static str) -> Option<Step> {
        if stream != stream::MARKET && stream != stream::TRADING {
            return None;
        }
        let event = &entry.event;
        let own = hex_id(&event.id)?;
        let cause_id = hex_id(&event.causation_id);
        let cause = cause_id.and_then(|id| self.cause(id));
        let (trace_id, parent, sampled) = match cause {
            Some(cause) => (cause.trace.trace_id, cause.trace.span_id, cause.trace.sampled),
            None => {
                let trace_id = hex_id(&event.correlation_id).unwrap_or(own);
                (trace_id, cause_id.map_or(0, span_id), self.samples(trace_id))
            }
        };
        let trace = TraceParent { trace_id, span_id: span_id(own), sampled };
        let began_ns = cause.map_or_else(now_ns, |cause| cause.at_ns);
        let span = sampled.then(|| self.span(entry, stream, trace, parent, began_ns));
        Some(Step { chains: Arc::clone(self), own, trace, span })
    }

    /// Whether a chain is among those that are recorded: every process says the same of one chain.
    fn samples(&self, trace_id: u128) -> bool {
        // The lower half of a trace id is evenly spread; compared as the ratio sampler of the SDK does.
        let low = u64::try_from(trace_id & u128::from(u64::MAX)).unwrap_or(u64::MAX) >> 1;
        (low as f64) < self.ratio * (1u64 << 63) as f64
    }

    fn span(
        &self,
        entry: &Append,
        stream: &'static str,
        trace: TraceParent,
        parent: u64,
        began_ns: i64,
    ) -> Box<SpanData> {
        let began = instant(began_ns);
        let Event { id, source, event_time, .. } = &entry.event;
        let mut attributes = vec![
            KeyValue::new("messaging.system", "nats"),
            KeyValue::new("messaging.destination.name", entry.subject.as_str().to_owned()),
            KeyValue::new("messaging.message.id", id.clone()),
            KeyValue::new("tapedeck.stream", stream),
            KeyValue::new("tapedeck.source", source.clone()),
        ];
        if let Some(event_ns) = event_time.as_ref().and_then(contracts::from_timestamp) {
            attributes.push(KeyValue::new("tapedeck.event_time_ns", event_ns));
        }
        Box::new(SpanData {
            span_context: SpanContext::new(
                TraceId::from(trace.trace_id),
                SpanId::from(trace.span_id),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: SpanId::from(parent),
            parent_span_is_remote: parent != 0,
            span_kind: SpanKind::Producer,
            name: "".into(),
            start_time: began,
            end_time: began,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: self.scope.clone(),
        })
    }
}

/// One event on its way to the tape.
pub(super) struct Step {
    chains: Arc<Chains>,
    own: u128,
    trace: TraceParent,
    /// Present where the chain is recorded.
    span: Option<Box<SpanData>>,
}

impl Step {
    /// What the message carries.
    pub fn trace(&self) -> TraceParent {
        self.trace
    }

    /// The tape has stored the event.
    pub fn end(&self, sequence: u64, kind: &'static str) {
        let at_ns = now_ns();
        self.chains.remember(self.own, Cause { trace: self.trace, at_ns });
        let Some(span) = &self.span else { return };
        let mut span = SpanData::clone(span);
        span.name = kind.into();
        span.end_time = instant(at_ns).max(span.start_time);
        span.attributes.push(KeyValue::new("tapedeck.sequence", i64::try_from(sequence).unwrap_or(i64::MAX)));
        (self.chains.sink)(span);
    }
}

/// An event id as the number that its 32 hex digits are.
fn hex_id(id: &str) -> Option<u128> {
    if id.len() != 32 {
        return None;
    }
    u128::from_str_radix(id, 16).ok().filter(|id| *id != 0)
}

/// The span of the event with this id.
fn span_id(id: u128) -> u64 {
    u64::try_from(id >> 64).unwrap_or(u64::MAX).max(1)
}

fn instant(ns: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(ns).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use contracts::Subject;
    use contracts::v1::event::Body;
    use contracts::v1::{Bar, Signal};
    use event_log::Expect;

    use super::*;

    fn chains(ratio: f64) -> (Arc<Chains>, Arc<Mutex<Vec<SpanData>>>) {
        let spans = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&spans);
        (Chains::new(ratio, Box::new(move |span| sink.lock().unwrap().push(span))), spans)
    }

    fn bar(id: &str) -> Append {
        let event = Event {
            id: id.to_owned(),
            correlation_id: id.to_owned(),
            body: Some(Body::Bar(Bar::default())),
            ..Event::default()
        };
        Append { subject: Subject::bar("1h", "A"), event, expect: Expect::Nothing }
    }

    fn signal(id: &str, cause: &Append) -> Append {
        let event = Event {
            id: id.to_owned(),
            correlation_id: cause.event.correlation_id.clone(),
            causation_id: cause.event.id.clone(),
            body: Some(Body::Signal(Signal::default())),
            ..Event::default()
        };
        Append { subject: Subject::signal("s", "A"), event, expect: Expect::Nothing }
    }

    const BAR: &str = "00112233445566778899aabbccddeeff";
    const SIGNAL: &str = "ffeeddccbbaa99887766554433221100";

    #[test]
    fn an_event_joins_the_trace_of_its_cause_whether_or_not_the_header_was_seen() {
        let cause = bar(BAR);
        let (writer, written) = chains(1.0);
        let first = writer.begin(&cause, stream::MARKET).unwrap();
        first.end(1, "bar");
        // Another process, once with the header and once without.
        for with_header in [true, false] {
            let (reader, spans) = chains(1.0);
            if with_header {
                reader.heard(BAR, first.trace());
            }
            let second = reader.begin(&signal(SIGNAL, &cause), stream::TRADING).unwrap();
            second.end(2, "signal");
            assert_eq!(second.trace().trace_id, first.trace().trace_id);
            assert_eq!(spans.lock().unwrap()[0].parent_span_id, SpanId::from(first.trace().span_id));
        }
        let root = &written.lock().unwrap()[0];
        assert_eq!(format!("{}", root.span_context.trace_id()), BAR, "the trace id is the correlation id");
        assert_eq!((root.parent_span_id, root.name.as_ref()), (SpanId::INVALID, "bar"));
    }

    #[test]
    fn a_foreign_trace_goes_on() {
        let (chains, spans) = chains(0.0);
        let foreign: TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
        chains.heard(BAR, foreign);
        let step = chains.begin(&signal(SIGNAL, &bar(BAR)), stream::TRADING).unwrap();
        step.end(1, "signal");
        assert_eq!((step.trace().trace_id, step.trace().sampled), (foreign.trace_id, true));
        assert_eq!(spans.lock().unwrap()[0].parent_span_id, SpanId::from(foreign.span_id));
    }

    #[test]
    fn a_share_of_the_chains_is_recorded_and_every_process_takes_the_same() {
        let ids: Vec<String> = (0..4_000).map(|n| contracts::event_id("sample", "test", n)).collect();
        let taken = |ratio| {
            let (chains, _) = chains(ratio);
            let step = |id: &String| chains.begin(&bar(id), stream::MARKET).unwrap();
            ids.iter().filter(|id| step(id).trace().sampled).cloned().collect::<Vec<_>>()
        };
        assert_eq!((taken(0.0).len(), taken(1.0).len()), (0, ids.len()));
        let quarter = taken(0.25);
        assert!((850..1_150).contains(&quarter.len()), "{}", quarter.len());
        assert_eq!(quarter, taken(0.25));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (chains, _) = chains(1.0);
        let trace = TraceParent { trace_id: 1, span_id: 1, sampled: true };
        for number in 0..u32::try_from(REMEMBERED_MAX).unwrap() + 10 {
            chains.heard(&contracts::event_id("bound", "test", number), trace);
        }
        let heard = chains.heard.lock().unwrap();
        assert_eq!((heard.by_id.len(), heard.order.len()), (REMEMBERED_MAX, REMEMBERED_MAX));
    }

    #[test]
    fn heartbeats_and_strange_ids_belong_to_no_chain() {
        let (chains, _) = chains(1.0);
        assert!(chains.begin(&bar(BAR), stream::LOGS).is_none());
        assert!(chains.begin(&bar("not hex"), stream::MARKET).is_none());
    }
}
