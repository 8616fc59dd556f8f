//! What an append looks like on the wire, and what a stored message is when read: shared by all
//! adapters, so that the in-memory tape cannot be kinder than the real one.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use contracts::v1::Event;
use contracts::{ContentType, DecodeError, Subject, stream_of};

use crate::clock::Clock;
use crate::filter::{covers, is_well_formed};
use crate::{Append, AppendError, Delivery, Expect, LogError, Recorded, TraceParent};

/// Most events of one atomic batch; the server's own limit.
pub const MAX_BATCH: usize = 1_000;

/// An append that has been checked and encoded.
#[derive(Clone, Debug)]
pub(crate) struct Encoded {
    pub stream: &'static str,
    pub subject: Subject,
    pub id: String,
    pub payload: Bytes,
    pub expect: Expect,
    /// Trace context that the message carries beside the event.
    pub trace: Option<TraceParent>,
}

impl Encoded {
    /// Filter and sequence this append expects, where it expects any.
    pub fn expected(&self) -> Option<(&str, u64)> {
        match &self.expect {
            Expect::Nothing => None,
            Expect::Last { filter, sequence } => Some((filter, *sequence)),
        }
    }
}

/// Checks one append and encodes its event with the recorded time set.
pub(crate) fn encode(entry: Append, clock: &Clock, max_payload: usize) -> Result<Encoded, AppendError> {
    let Append { subject, mut event, expect } = entry;
    let stream = stream_of(subject.as_str())
        .ok_or_else(|| AppendError::Refused(format!("subject {subject}: no stream of the tape holds it")))?;
    if let Expect::Last { filter, .. } = &expect {
        check_filter(filter, &subject)?;
    }
    if event.body.is_none() {
        return Err(AppendError::Refused(format!("subject {subject}: the event has no body")));
    }
    if event.id.is_empty() || event.id.len() > 64 || !event.id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(AppendError::Refused(format!(
            "event id {:?}: expected 1 to 64 printable characters",
            event.id
        )));
    }
    event.recorded_time = Some(contracts::to_timestamp(clock.now_ns()));
    let payload = contracts::encode(&event);
    if payload.len() > max_payload {
        return Err(AppendError::Refused(format!(
            "event {} is {} bytes long, at most {max_payload} are allowed",
            event.id,
            payload.len()
        )));
    }
    Ok(Encoded { stream, subject, id: event.id, payload: payload.into(), expect, trace: None })
}

/// The server does not check that a filter covers the subject; an expectation beside the point would
/// guard nothing.
fn check_filter(filter: &str, subject: &Subject) -> Result<(), AppendError> {
    if !is_well_formed(filter) {
        return Err(AppendError::Refused(format!("filter {filter:?} is malformed")));
    }
    if !covers(filter, subject.as_str()) {
        return Err(AppendError::Refused(format!("filter {filter} does not cover subject {subject}")));
    }
    Ok(())
}

/// Checks and encodes each of many appends to one stream, the first one's.
pub(crate) fn encode_each(
    entries: Vec<Append>,
    clock: &Clock,
    max_payload: usize,
) -> Vec<Result<Encoded, AppendError>> {
    let stream = entries.iter().find_map(|entry| stream_of(entry.subject.as_str()));
    let check = |encoded: Encoded| {
        if Some(encoded.stream) == stream {
            return Ok(encoded);
        }
        Err(AppendError::Refused(format!("{}: the entries span two streams", encoded.subject)))
    };
    entries.into_iter().map(|entry| encode(entry, clock, max_payload).and_then(check)).collect()
}

/// Checks and encodes a batch: 1 to 1,000 events of one stream, each id once, and expectations that can
/// all be judged against the stream as it is before the batch.
pub(crate) fn encode_batch(
    entries: Vec<Append>,
    clock: &Clock,
    max_payload: usize,
) -> Result<Vec<Encoded>, AppendError> {
    if entries.is_empty() || entries.len() > MAX_BATCH {
        return Err(AppendError::Refused(format!(
            "batch of {} events, expected 1 to {MAX_BATCH}",
            entries.len()
        )));
    }
    let batch =
        entries.into_iter().map(|entry| encode(entry, clock, max_payload)).collect::<Result<Vec<_>, _>>()?;
    let mut ids = HashSet::with_capacity(batch.len());
    let mut written = HashSet::with_capacity(batch.len());
    let mut expected = HashMap::new();
    for entry in &batch {
        if entry.stream != batch[0].stream {
            return Err(AppendError::Refused(format!(
                "batch spans the streams {} and {}",
                batch[0].stream, entry.stream
            )));
        }
        if !ids.insert(entry.id.as_str()) {
            return Err(AppendError::Refused(format!("event id {} is twice in the batch", entry.id)));
        }
        if let Some((filter, sequence)) = entry.expected() {
            let changed = expected.insert(filter, sequence).is_some_and(|before| before != sequence);
            if changed || written.contains(filter) {
                return Err(AppendError::Refused(format!(
                    "{filter}: state the expectation once, on the first event of the batch under it"
                )));
            }
        }
        written.insert(entry.subject.as_str());
    }
    Ok(batch)
}

/// Reads a payload. Without a `Content-Type` the first byte tells JSON from protobuf, so that a plain client need not
/// know about headers.
fn read(content_type: Option<&str>, payload: &[u8]) -> Result<Event, DecodeError> {
    match content_type {
        Some(_) => contracts::decode_as(ContentType::from_header(content_type), payload),
        None => contracts::decode(payload),
    }
}

/// The event that a stored message is. Whoever reads the tape, in whatever way, reads it here, so that what is no event
/// under its subject is none to anybody.
pub(crate) fn decode(
    subject: &str,
    content_type: Option<&str>,
    payload: &[u8],
) -> Result<Event, DecodeError> {
    contracts::admit_size(subject, payload.len())?;
    let event = read(content_type, payload)?;
    contracts::admit(subject, &event)?;
    Ok(event)
}

/// The id in a payload, whatever may stand under its subject: by it a message is known again, also one that an earlier
/// program took for an event and this one does not.
pub(crate) fn id(content_type: Option<&str>, payload: &[u8]) -> Option<String> {
    Some(read(content_type, payload).ok()?.id)
}

/// Whether a message under the subject `stored` may be an earlier copy of one that is to stand under `subject`.
///
/// The server compares ids whatever the subject, ids follow from causes that others know too, and whoever may publish a
/// strategy's signals may give them any id. So a signal is a copy of nothing but a signal of the same strategy.
pub(crate) fn is_of_one_author(stored: &str, subject: &str) -> bool {
    fn author(subject: &str) -> Option<&str> {
        subject.strip_prefix("signal.").map(|rest| rest.split('.').next().unwrap_or(rest))
    }
    author(stored) == author(subject)
}

/// A stored message as an event.
pub(crate) fn recorded(
    sequence: u64,
    subject: &str,
    content_type: Option<&str>,
    payload: &[u8],
) -> Result<Recorded, LogError> {
    readable(delivery(sequence, subject, content_type, payload))
}

/// The event that a message is.
pub(crate) fn readable(delivery: Delivery) -> Result<Recorded, LogError> {
    match delivery {
        Delivery::Event(recorded) => Ok(recorded),
        Delivery::Undecodable { sequence, subject, error, .. } => {
            Err(LogError::new(format!("decode sequence {sequence} ({subject})"), error))
        }
    }
}

/// A stored message as a reader delivers it.
pub(crate) fn delivery(sequence: u64, subject: &str, content_type: Option<&str>, payload: &[u8]) -> Delivery {
    match decode(subject, content_type, payload) {
        Ok(event) => Delivery::Event(Recorded { sequence, subject: subject.to_owned(), event }),
        Err(error) => {
            Delivery::Undecodable { sequence, subject: subject.to_owned(), payload: payload.to_vec(), error }
        }
    }
}
