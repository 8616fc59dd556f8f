//! Reading proto3-JSON so that a wrong field is named: its path, its value and what was expected there.
//!
//! Deliberately absent: any knowledge of the messages. The path comes from the reader, the value from
//! the text itself, the expectation from the reader's complaint.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use crate::v1::Event;

/// Most characters of a wrong value that an error repeats.
const VALUE_SHOWN_MAX: usize = 80;

/// A text that is not the JSON form of an event.
#[derive(Clone, Debug, thiserror::Error)]
pub struct JsonError {
    /// Path of the wrong field, for example `signal.legs[0].quantityE9`; empty when the text is not JSON.
    pub field: String,
    /// Value and expectation in words.
    pub problem: String,
    /// What the reader said.
    #[source]
    pub source: Arc<serde_json::Error>,
}

impl fmt::Display for JsonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return write!(formatter, "{}", self.source);
        }
        write!(formatter, "field `{}`: {}", self.field, self.problem)?;
        match (self.source.line(), self.source.column()) {
            (0, _) => Ok(()),
            (line, column) => write!(formatter, " (line {line}, column {column})"),
        }
    }
}

/// Reads the JSON form of an event.
pub(crate) fn read(payload: &[u8]) -> Result<Event, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let event = serde_path_to_error::deserialize(&mut reader).map_err(|error| explain(payload, error))?;
    // Whatever follows the event is wrong, but belongs to no field.
    let end = reader.end();
    end.map_err(|source| JsonError {
        field: String::new(),
        problem: String::new(),
        source: Arc::new(source),
    })?;
    finite(&event)?;
    Ok(event)
}

/// Refuses what is no number: JSON cannot write it, so that nobody could read the event again.
fn finite(event: &Event) -> Result<(), JsonError> {
    let no_number =
        |source| JsonError { field: String::new(), problem: String::new(), source: Arc::new(source) };
    let written = serde_json::to_value(event).map_err(no_number)?;
    // Fields without a value are left out; a null is a number that JSON does not have.
    let Some(field) = null_in(&written) else { return Ok(()) };
    let problem = "not finite, expected a finite number".to_owned();
    let source = serde::de::Error::custom(&problem);
    Err(JsonError { field, problem, source: Arc::new(source) })
}

/// Path of the first null.
fn null_in(value: &Value) -> Option<String> {
    let join = |head: String, rest: String| match rest.chars().next() {
        None | Some('[') => head + &rest,
        Some(_) => format!("{head}.{rest}"),
    };
    match value {
        Value::Null => Some(String::new()),
        Value::Object(fields) => {
            fields.iter().find_map(|(key, value)| Some(join(key.clone(), null_in(value)?)))
        }
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| Some(join(format!("[{index}]"), null_in(item)?)))
        }
        _ => None,
    }
}

fn explain(payload: &[u8], error: serde_path_to_error::Error<serde_json::Error>) -> JsonError {
    let path = error.path().clone();
    let source = error.into_inner();
    let said = complaint(&source);
    let document = serde_json::from_slice::<Value>(payload).ok();
    let Some(document) = document.filter(|_| source.is_data()) else {
        return JsonError { field: String::new(), problem: String::new(), source: Arc::new(source) };
    };
    let (field, problem) = if let Some(unknown) = quoted(&said, "unknown field `") {
        // The reader stands at the message or, by version, already at the key itself.
        let mut field = path.to_string();
        let at_key = matches!(path.iter().next_back(), Some(Segment::Map { key }) if key == unknown);
        if !at_key {
            field = if field == "." { unknown.to_owned() } else { format!("{field}.{unknown}") };
        }
        (field, format!("not a field of the message{}", expectation(&said).unwrap_or_default()))
    } else {
        let value = value_at(&document, &path).map(shown).unwrap_or_default();
        let expected = expectation(&said).unwrap_or_else(|| format!(": {said}"));
        (path.to_string(), format!("{value}{expected}"))
    };
    JsonError { field, problem, source: Arc::new(source) }
}

/// What the reader says, without the place.
fn complaint(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// `, expected …` in the words of the reader, where it says what it expected.
fn expectation(said: &str) -> Option<String> {
    let number = |words: &str| Some(format!(", expected {words}"));
    match said {
        "invalid digit found in string" | "cannot parse integer from empty string" => {
            number("a whole number")
        }
        "number too large to fit in target type" | "number too small to fit in target type" => {
            number("a whole number that fits its type")
        }
        "invalid float literal" | "cannot parse float from empty string" => number("a number"),
        _ if said.starts_with("data did not match any variant of untagged enum") => number("a number"),
        _ => {
            let at = said.rfind(", expected ").map(|at| &said[at..]);
            // An unknown variant or field lists what there is; its list may hold no such words.
            at.map(|expected| expected.replace(", expected one of: ", ", expected one of "))
        }
    }
}

fn quoted<'a>(said: &'a str, before: &str) -> Option<&'a str> {
    said.strip_prefix(before)?.split('`').next()
}

fn value_at<'a>(document: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(document, |value, segment| match segment {
        Segment::Seq { index } => value.get(index),
        Segment::Map { key } => value.get(key),
        Segment::Enum { .. } | Segment::Unknown => None,
    })
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() <= VALUE_SHOWN_MAX {
        return text;
    }
    text.chars().take(VALUE_SHOWN_MAX).chain(['…']).collect()
}
