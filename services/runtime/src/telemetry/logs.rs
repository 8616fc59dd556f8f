//! Log lines as events: a layer that hands them to a bounded queue, and the publisher that puts them on
//! LOGS.
//!
//! Nobody ever waits for a log line. A line that finds the queue full is counted, and the count is said on
//! LOGS and in the metrics as soon as there is room. What the publisher itself causes to be logged goes
//! nowhere, so that a tape that fails cannot feed on its own complaints. Values that look like secrets are
//! left out before anything leaves the process.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, LogField, LogRecord};
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, Expect, Tape};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::layer::{Context, Layer};

use crate::clock::now_ns;
use crate::metrics::metrics;

/// Lines that wait to be published, at most.
const WAITING_MAX: usize = 8_192;
/// Lines appended without waiting for each other.
const BATCH_MAX: usize = 512;
/// How long lines are gathered: one append for many costs a busy tape less.
const GATHER: Duration = Duration::from_millis(100);
/// Longest message and longest value of a field, in bytes.
const TEXT_BYTES_MAX: usize = 4_096;
/// Time that what is left gets at the end.
const LAST_MAX: Duration = Duration::from_secs(2);
/// What stands for a value that is left out.
const HIDDEN: &str = "(hidden)";
/// Parts of names whose values are left out.
const SECRET_NAMES: [&str; 7] =
    ["password", "passwd", "secret", "token", "credential", "authorization", "api_key"];

/// One line on its way.
struct Line {
    time_ns: i64,
    level: &'static str,
    target: &'static str,
    message: String,
    fields: Vec<LogField>,
}

/// The layer: hands lines to the publisher, or counts them.
pub struct LogLayer {
    lines: mpsc::Sender<Line>,
    dropped: Arc<AtomicU64>,
}

/// The other end; runs once there is a tape.
pub struct LogPublisher {
    lines: mpsc::Receiver<Line>,
    dropped: Arc<AtomicU64>,
}

/// A layer and its publisher.
#[must_use]
pub fn log_stream() -> (LogLayer, LogPublisher) {
    let (sender, lines) = mpsc::channel(WAITING_MAX);
    let dropped = Arc::new(AtomicU64::new(0));
    (LogLayer { lines: sender, dropped: Arc::clone(&dropped) }, LogPublisher { lines, dropped })
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        // Taken first: a full queue costs the caller next to nothing.
        let Ok(place) = self.lines.try_reserve() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            metrics().log_lines_dropped.with(&[]).increment();
            return;
        };
        let mut seen = Seen::default();
        event.record(&mut seen);
        place.send(Line {
            time_ns: now_ns(),
            level: event.metadata().level().as_str(),
            target: event.metadata().target(),
            message: redact(&seen.message),
            fields: seen.fields,
        });
    }
}

/// The fields of a line.
#[derive(Default)]
struct Seen {
    message: String,
    fields: Vec<LogField>,
}

impl Seen {
    fn keep(&mut self, name: &str, value: &str) {
        if name == "message" {
            value.clone_into(&mut self.message);
            return;
        }
        let lower = name.to_ascii_lowercase();
        let secret = SECRET_NAMES.iter().any(|part| lower.contains(part));
        let value = if secret { HIDDEN.to_owned() } else { redact(value) };
        self.fields.push(LogField { name: name.to_owned(), value });
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        // Writing into a text cannot fail.
        let _ = write!(text, "{value:?}");
        self.keep(field.name(), &text);
    }
}

/// The text, shortened, without user and password of any URL in it.
fn redact(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    let mut rest = &text[..end];
    let mut clean = String::with_capacity(rest.len());
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let authority = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(sign) => {
                clean.push_str(HIDDEN);
                &after[sign..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    if end < text.len() {
        clean.push('…');
    }
    clean
}

/// The service whose module logged; what belongs to none is the program's own.
fn service(line: &Line) -> String {
    if let Some(field) = line.fields.iter().find(|field| field.name == "service") {
        return field.value.clone();
    }
    let module = line.target.split("::").next().unwrap_or_default();
    match module {
        "ingest" | "strategy" | "risk" | "execution" | "web" | "broker" => module.to_owned(),
        "projections" => "projector".to_owned(),
        _ => "tapedeck".to_owned(),
    }
}

impl LogPublisher {
    /// Publishes until shutdown, then what is left, within bounded time. `run` names this process.
    pub async fn run(mut self, tape: &Tape, run: &str, shutdown: &CancellationToken) {
        let publishing = async {
            let mut number: u32 = 0;
            let mut lines = Vec::new();
            loop {
                tokio::select! {
                    received = self.lines.recv_many(&mut lines, BATCH_MAX) => if received == 0 { return },
                    () = shutdown.cancelled() => break,
                }
                self.publish(tape, run, &mut number, &mut lines).await;
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = shutdown.cancelled() => break,
                }
            }
            let last = async {
                while self.lines.try_recv().map(|line| lines.push(line)).is_ok() {
                    if lines.len() == BATCH_MAX {
                        self.publish(tape, run, &mut number, &mut lines).await;
                    }
                }
                self.publish(tape, run, &mut number, &mut lines).await;
            };
            // What does not get there in time stands on stderr.
            let _ = tokio::time::timeout(LAST_MAX, last).await;
        };
        publishing.with_subscriber(NoSubscriber::default()).await;
    }

    async fn publish(&self, tape: &Tape, run: &str, number: &mut u32, lines: &mut Vec<Line>) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            lines.push(Line {
                time_ns: now_ns(),
                level: "WARN",
                target: module_path!(),
                message: format!("{dropped} log lines were dropped: more came than the tape could take"),
                fields: vec![LogField { name: "dropped".to_owned(), value: dropped.to_string() }],
            });
        }
        let entries: Vec<Append> = lines
            .drain(..)
            .map(|line| {
                *number = number.wrapping_add(1);
                entry(line, run, *number)
            })
            .collect();
        if entries.is_empty() {
            return;
        }
        let failed = tape.append_pipelined(entries).await.iter().filter(|outcome| outcome.is_err()).count();
        let failed = u64::try_from(failed).unwrap_or_default();
        // Not tried again: lines would pile up behind a tape that is gone. They are counted like the others.
        self.dropped.fetch_add(failed, Ordering::Relaxed);
        metrics().log_lines_dropped.with(&[]).add(failed);
    }
}

fn entry(line: Line, run: &str, number: u32) -> Append {
    let service = service(&line);
    let mut fields = line.fields;
    let correlation = fields.iter().find(|field| field.name == "correlation_id");
    let correlation_id = correlation.map(|field| field.value.clone()).unwrap_or_default();
    fields.retain(|field| field.name != "service" && field.name != "correlation_id");
    fields.push(LogField { name: "run".to_owned(), value: run.to_owned() });
    let subject = Subject::of(&["log", &service, &line.level.to_ascii_lowercase()]);
    let record = LogRecord {
        service: service.clone(),
        level: line.level.to_owned(),
        target: line.target.to_owned(),
        message: line.message,
        fields,
    };
    let event = Event {
        id: event_id(run, "log", number),
        event_time: Some(to_timestamp(line.time_ns)),
        source: service,
        correlation_id,
        body: Some(Body::LogRecord(record)),
        ..Event::default()
    };
    Append { subject, event, expect: Expect::Nothing }
}

/// The publisher that waits for a tape: logging begins before there is one.
static WAITING: Mutex<Option<LogPublisher>> = Mutex::new(None);

/// Keeps a publisher until the services of the process have a tape for it.
pub fn keep_publisher(publisher: LogPublisher) {
    *WAITING.lock().unwrap_or_else(PoisonError::into_inner) = Some(publisher);
}

/// The publisher kept, once.
#[must_use]
pub fn take_publisher() -> Option<LogPublisher> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use contracts::stream;
    use event_log::MemoryLog;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    async fn records(tape: &Tape) -> Vec<(String, LogRecord, String)> {
        let mut records = Vec::new();
        for sequence in 1..=tape.state(stream::LOGS).await.unwrap().last_sequence {
            let recorded = tape.get(stream::LOGS, sequence).await.unwrap().unwrap();
            let Some(Body::LogRecord(record)) = recorded.event.body else { panic!("no log record") };
            records.push((recorded.subject, record, recorded.event.correlation_id));
        }
        records
    }

    async fn published(log: impl FnOnce()) -> Vec<(String, LogRecord, String)> {
        let (layer, publisher) = log_stream();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let tape: Tape = Arc::new(MemoryLog::new());
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        publisher.run(&tape, "0123", &shutdown).await;
        records(&tape).await
    }

    #[tokio::test]
    async fn a_line_becomes_a_record_of_its_service_with_its_fields() {
        let lines = published(|| {
            tracing::warn!(target: "risk::shell", correlation_id = "c0ffee", lag = 7, "too far behind");
            tracing::info!(service = "web", "serving");
        })
        .await;
        let (subject, record, correlation) = &lines[0];
        assert_eq!((subject.as_str(), record.message.as_str()), ("log.risk.warn", "too far behind"));
        assert_eq!((record.target.as_str(), correlation.as_str()), ("risk::shell", "c0ffee"));
        let fields: Vec<_> = record.fields.iter().map(|f| (f.name.as_str(), f.value.as_str())).collect();
        assert_eq!(fields, [("lag", "7"), ("run", "0123")]);
        assert_eq!(lines[1].0, "log.web.info");
    }

    #[tokio::test]
    async fn secrets_do_not_leave_the_process() {
        let lines = published(|| {
            tracing::info!(
                api_token = "hunter2",
                url = "nats://deck:hunter2@127.0.0.1:4222",
                "connected to postgres://deck:hunter2@localhost/tape and https://example.org/a@b"
            );
        })
        .await;
        let text = format!("{:?}", lines[0]);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("nats://(hidden)@127.0.0.1:4222"), "{text}");
        assert!(text.contains("https://example.org/a@b"), "{text}");
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_and_said_and_nobody_waits() {
        let lines = published(|| {
            for number in 0..WAITING_MAX + 3 {
                tracing::info!(number, "much");
            }
        })
        .await;
        assert_eq!(lines.len(), WAITING_MAX + 1);
        let said = lines.iter().find(|(_, record, _)| record.message.contains("dropped")).unwrap();
        assert_eq!(said.1.message, "3 log lines were dropped: more came than the tape could take");
    }

    #[test]
    fn long_text_is_cut_at_a_letter() {
        let cut = redact(&"é".repeat(TEXT_BYTES_MAX));
        assert!(cut.len() <= TEXT_BYTES_MAX + '…'.len_utf8() && cut.ends_with('…'));
    }
}
