//! Writing and reading events: protobuf by default, proto3-JSON where a header says so.

use prost::Message as _;

use crate::json::JsonError;
use crate::v1::Event;

/// How a payload is encoded, as its `Content-Type` header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    /// Protobuf; the default when there is no header.
    Protobuf,
    /// Proto3-JSON, `application/json`.
    Json,
}

impl ContentType {
    /// The type a `Content-Type` header names; protobuf when there is none.
    #[must_use]
    pub fn from_header(header: Option<&str>) -> Self {
        match header {
            Some(value) if value.trim_start().starts_with("application/json") => Self::Json,
            _ => Self::Protobuf,
        }
    }
}

/// A payload that is no event. Permanent: reading it again gives the same answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not the protobuf form of an event.
    #[error("not a protobuf tapedeck.v1.Event: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// Not the JSON form of an event; the message names the field.
    #[error("not a proto3-JSON tapedeck.v1.Event: {0}")]
    Json(#[from] JsonError),
    /// A required field is missing or out of range.
    #[error("field `{field}`: {problem}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// Value and expectation in words.
        problem: String,
    },
}

/// The protobuf form of an event.
#[must_use]
pub fn encode(event: &Event) -> Vec<u8> {
    event.encode_to_vec()
}

/// Reads a payload of unknown form: JSON when its first character is `{`, else protobuf.
///
/// No protobuf `Event` starts with `{` (0x7b would be field 15 with an unused wire type). White space in
/// front of the `{` is ambiguous: a line feed is also the tag of the id, and what follows its length. Then
/// it is protobuf if it can be read as such, which no JSON text can.
pub fn decode(payload: &[u8]) -> Result<Event, DecodeError> {
    if payload.first() == Some(&b'{') {
        return decode_as(ContentType::Json, payload);
    }
    let protobuf = decode_as(ContentType::Protobuf, payload);
    let first = payload.iter().find(|byte| !byte.is_ascii_whitespace());
    if protobuf.is_err() && first == Some(&b'{') {
        return decode_as(ContentType::Json, payload);
    }
    protobuf
}

/// Reads a payload of the given form and checks what every event must have: an id and a body.
pub fn decode_as(content: ContentType, payload: &[u8]) -> Result<Event, DecodeError> {
    let event = match content {
        ContentType::Protobuf => Event::decode(payload)?,
        ContentType::Json => crate::json::read(payload)?,
    };
    if event.id.is_empty() || event.id.len() > 64 || !event.id.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(DecodeError::Field {
            field: "id",
            problem: format!("{:?}, expected 1 to 64 printable characters", event.id),
        });
    }
    if event.body.is_none() {
        return Err(DecodeError::Field { field: "body", problem: "missing or of an unknown type".into() });
    }
    Ok(event)
}

/// The proto3-JSON form of an event, on one line.
pub fn to_json(event: &Event) -> Result<String, serde_json::Error> {
    serde_json::to_string(event)
}
