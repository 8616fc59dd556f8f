//! What passes the tape, counted and traced.
//!
//! Every append and delivery of the process's tape handle comes by here, so that no service has to count
//! for itself. Without an exporter no trace context is made and no header is written.

use std::sync::Arc;
use std::time::Instant;

use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{Event, Verdict};
use event_log::{Append, AppendError, Appended, Delivery, Observer, Pending, TraceParent};

use super::chain::{Chains, Step};
use super::kind::{kind, order_status};
use crate::metrics::{Counter, Histogram, metrics};

/// Watches the tape for the metrics of this process and, where an exporter is configured, for traces.
pub struct TapeObserver {
    streams: Vec<Stream>,
    chains: Option<Arc<Chains>>,
}

/// The series of one stream, kept so that a message costs no look-up.
struct Stream {
    name: &'static str,
    read: Arc<Counter>,
    latency: Arc<Histogram>,
}

impl TapeObserver {
    /// Counts, and traces by `chains` where there is one.
    #[must_use]
    pub(super) fn new(chains: Option<Arc<Chains>>) -> Arc<Self> {
        let names = [
            stream::MARKET,
            stream::REFERENCE,
            stream::TRADING,
            stream::AUDIT,
            stream::PARKED,
            stream::LOGS,
            stream::QUOTES,
        ];
        let streams = names.into_iter().map(|name| Stream {
            name,
            read: metrics().events_read.with(&[name]),
            latency: metrics().append_latency.with(&[name]),
        });
        Arc::new(Self { streams: streams.collect(), chains })
    }
}

impl Observer for TapeObserver {
    fn appending(&self, entry: &Append) -> Box<dyn Pending> {
        let stream = contracts::stream_of(entry.subject.as_str()).unwrap_or("none");
        let latency = self.streams.iter().find(|known| known.name == stream);
        Box::new(UnderWay {
            stream,
            kind: kind(entry.event.body.as_ref()),
            latency: latency.map(|known| Arc::clone(&known.latency)),
            outcome: Outcome::of(&entry.event),
            step: self.chains.as_ref().and_then(|chains| chains.begin(entry, stream)),
            began: Instant::now(),
        })
    }

    fn delivered(&self, stream: &str, delivery: &Delivery, trace: Option<TraceParent>) {
        if let Some(known) = self.streams.iter().find(|known| known.name == stream) {
            known.read.increment();
        }
        if let (Some(chains), Some(trace), Delivery::Event(recorded)) = (&self.chains, trace, delivery) {
            chains.heard(&recorded.event.id, trace);
        }
    }
}

/// An append under way.
struct UnderWay {
    stream: &'static str,
    kind: &'static str,
    latency: Option<Arc<Histogram>>,
    outcome: Outcome,
    step: Option<Step>,
    began: Instant,
}

impl Pending for UnderWay {
    fn trace(&self) -> Option<TraceParent> {
        self.step.as_ref().map(Step::trace)
    }

    fn answered(&self, outcome: &Result<Appended, AppendError>) {
        match outcome {
            Ok(stored) => {
                if let Some(latency) = &self.latency {
                    latency.observe(self.began.elapsed());
                }
                if stored.duplicate {
                    return;
                }
                metrics().events_appended.with(&[self.stream, self.kind]).increment();
                self.outcome.count();
                if let Some(step) = &self.step {
                    step.end(stored.sequence, self.kind);
                }
            }
            Err(error) => {
                let reason = match error {
                    AppendError::Conflict { .. } => "conflict",
                    AppendError::Refused(_) => "refused",
                    AppendError::Unavailable(_) => "unavailable",
                };
                metrics().append_failures.with(&[self.stream, reason]).increment();
            }
        }
    }
}

/// What an event means to the metrics of trading.
enum Outcome {
    Nothing,
    Signal { strategy: String },
    Decision { account: String, verdict: &'static str, rule: String },
    Order { status: &'static str },
    Fill { account: String, last: bool },
}

impl Outcome {
    fn of(event: &Event) -> Self {
        match &event.body {
            Some(Body::Signal(signal)) => Self::Signal { strategy: signal.strategy.clone() },
            Some(Body::RiskDecision(decision)) => Self::Decision {
                account: decision.account.clone(),
                verdict: match decision.verdict() {
                    Verdict::Approved => "approved",
                    Verdict::Shadowed => "shadowed",
                    Verdict::Denied | Verdict::Unspecified => "denied",
                },
                rule: decision.rule.clone(),
            },
            Some(Body::Fill(fill)) => {
                Self::Fill { account: fill.account.clone(), last: fill.remaining_e9 == 0 }
            }
            Some(body) => order_status(body).map_or(Self::Nothing, |(_, status)| Self::Order { status }),
            None => Self::Nothing,
        }
    }

    fn count(&self) {
        let metrics = metrics();
        match self {
            Self::Nothing => {}
            Self::Signal { strategy } => metrics.signals.with(&[strategy]).increment(),
            Self::Decision { account, verdict, rule } => {
                metrics.risk_decisions.with(&[account, verdict]).increment();
                if *verdict == "denied" {
                    metrics.risk_denials.with(&[rule]).increment();
                }
            }
            Self::Order { status } => metrics.orders.with(&[status]).increment(),
            Self::Fill { account, last } => {
                metrics.fills.with(&[account]).increment();
                if *last {
                    metrics.orders.with(&["filled"]).increment();
                }
            }
        }
    }
}
