//! One message: as a row of a list, and with everything that can be said of it.

use contracts::from_timestamp;
use contracts::v1::Event;
use event_log::{Stored, Tape};
use serde_json::Value;

use super::BrowseError;

/// Bytes of a payload that a page shows as hex.
const HEX_BYTES_MAX: usize = 16 * 1024;
/// Fields of a decoded event that a page lists.
const FIELDS_MAX: usize = 500;

/// One message in short.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = EventInShort)]
pub struct Row {
    /// Stream.
    pub stream: &'static str,
    /// Sequence within it.
    pub sequence: u64,
    /// Subject.
    pub subject: String,
    /// When the server stored it, UTC nanoseconds.
    pub stored_ns: i64,
    /// When what it tells of happened, UTC nanoseconds.
    pub event_time_ns: Option<i64>,
    /// When its writer wrote it, UTC nanoseconds.
    pub recorded_time_ns: Option<i64>,
    /// For example `risk_decision`; empty for a message that cannot be read.
    pub kind: &'static str,
    /// The event in words; for a message that cannot be read, why.
    pub summary: String,
    /// Event id.
    pub event_id: String,
    /// First event of its chain.
    pub correlation_id: String,
    /// Event that caused it.
    pub causation_id: String,
    /// Who wrote it.
    pub source: String,
    /// Whether it can be read.
    pub readable: bool,
}

/// Describes a message in short, whatever it holds.
#[must_use]
pub fn row(stream: &'static str, stored: &Stored) -> Row {
    let mut row = Row {
        stream,
        sequence: stored.sequence,
        subject: stored.subject.clone(),
        stored_ns: stored.stored_ns,
        event_time_ns: None,
        recorded_time_ns: None,
        kind: "",
        summary: String::new(),
        event_id: String::new(),
        correlation_id: String::new(),
        causation_id: String::new(),
        source: String::new(),
        readable: false,
    };
    match stored.decode() {
        Ok(event) => fill(&mut row, event),
        Err(error) => row.summary = error.to_string(),
    }
    row
}

fn fill(row: &mut Row, event: Event) {
    let described = projections::describe(&event);
    row.readable = true;
    row.kind = described.kind;
    row.summary = described.text;
    row.event_time_ns = event.event_time.as_ref().and_then(from_timestamp);
    row.recorded_time_ns = event.recorded_time.as_ref().and_then(from_timestamp);
    row.event_id = event.id;
    row.correlation_id = event.correlation_id;
    row.causation_id = event.causation_id;
    row.source = event.source;
}

/// Everything about one message.
#[derive(Clone, Debug)]
pub struct Message {
    /// In short.
    pub row: Row,
    /// Headers of its sender.
    pub headers: Vec<(String, String)>,
    /// The event in its proto3-JSON form; `None` when it cannot be read.
    pub json: Option<Value>,
    /// Length of the payload in bytes.
    pub bytes: usize,
    payload: Vec<u8>,
}

/// The message at a sequence; `None` when there is none.
pub async fn message(
    tape: &Tape,
    stream: &'static str,
    sequence: u64,
) -> Result<Option<Message>, BrowseError> {
    if sequence == 0 {
        return Ok(None);
    }
    let found = tape.stored_from(stream, ">", sequence, 1).await?.pop();
    Ok(found.filter(|stored| stored.sequence == sequence).map(|stored| Message::new(stream, stored)))
}

impl Message {
    fn new(stream: &'static str, stored: Stored) -> Self {
        Self {
            row: row(stream, &stored),
            json: stored.decode().ok().and_then(|event| serde_json::to_value(event).ok()),
            bytes: stored.payload.len(),
            headers: stored.headers,
            payload: stored.payload,
        }
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The fields of the event by path, for example `signal.legs[0].symbol`; at most 500.
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        if let Some(json) = &self.json {
            flatten(String::new(), json, &mut fields);
        }
        fields
    }

    /// The payload as lines of offset, sixteen bytes and their letters; at most 16 KiB of it.
    #[must_use]
    pub fn hex(&self) -> String {
        let shown = &self.payload[..self.payload.len().min(HEX_BYTES_MAX)];
        let mut text: String =
            shown.chunks(16).enumerate().map(|(at, line)| hex_line(at * 16, line)).collect();
        if shown.len() < self.payload.len() {
            text.push_str(&format!("… {} more bytes\n", self.payload.len() - shown.len()));
        }
        text
    }
}

fn hex_line(offset: usize, bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let printable = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
    let letters: String = bytes.iter().map(printable).collect();
    format!("{offset:08x}  {:<47}  {letters}\n", digits.join(" "))
}

fn flatten(path: String, value: &Value, fields: &mut Vec<(String, String)>) {
    if fields.len() >= FIELDS_MAX {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(path, member, fields);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                flatten(format!("{path}[{at}]"), item, fields);
            }
        }
        Value::String(text) => fields.push((path, text.clone())),
        other => fields.push((path, other.to_string())),
    }
}
