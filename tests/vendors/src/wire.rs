//! Records on the wire: one list of fields, written as JSON or as MessagePack.
//!
//! The two differ in more than bytes: a time is text in JSON and the Timestamp extension in MessagePack.

use chrono::{DateTime, SecondsFormat};
use rmp::encode;
use serde_json::{Map, Value};

/// A value of a field.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A whole number.
    Whole(i64),
    /// A float.
    Number(f64),
    /// A text.
    Text(String),
    /// A moment, in UTC nanoseconds.
    Time(i64),
    /// Texts.
    Texts(Vec<String>),
}

/// Fields in order.
pub type Record = Vec<(&'static str, Cell)>;

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&[String]> for Cell {
    fn from(values: &[String]) -> Self {
        Self::Texts(values.to_vec())
    }
}

/// RFC 3339 in UTC, with as many places as the moment has.
#[must_use]
pub fn rfc3339(at_ns: i64) -> String {
    let moment = DateTime::from_timestamp_nanos(at_ns);
    let format = match at_ns.rem_euclid(1_000_000_000) {
        0 => SecondsFormat::Secs,
        part if part % 1_000_000 == 0 => SecondsFormat::Millis,
        part if part % 1_000 == 0 => SecondsFormat::Micros,
        _ => SecondsFormat::Nanos,
    };
    moment.to_rfc3339_opts(format, true)
}

/// The record as a JSON value.
#[must_use]
pub fn json(record: &Record) -> Value {
    let value = |cell: &Cell| match cell {
        Cell::Whole(value) => Value::from(*value),
        Cell::Number(value) => Value::from(*value),
        Cell::Text(value) => Value::from(value.as_str()),
        Cell::Time(at_ns) => Value::from(rfc3339(*at_ns)),
        Cell::Texts(values) => Value::from(values.clone()),
    };
    Value::Object(record.iter().map(|(name, cell)| ((*name).to_owned(), value(cell))).collect::<Map<_, _>>())
}

/// The record as a MessagePack map.
#[must_use]
pub fn msgpack(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(record.len() * 12);
    write_record(&mut out, record).unwrap_or_default();
    out
}

fn write_record(out: &mut Vec<u8>, record: &Record) -> Result<(), encode::ValueWriteError> {
    encode::write_map_len(out, length(record.len()))?;
    for (name, cell) in record {
        encode::write_str(out, name)?;
        match cell {
            Cell::Whole(value) => {
                encode::write_sint(out, *value)?;
            }
            Cell::Number(value) => encode::write_f64(out, *value)?,
            Cell::Text(value) => encode::write_str(out, value)?,
            Cell::Time(at_ns) => write_timestamp(out, *at_ns)?,
            Cell::Texts(values) => {
                encode::write_array_len(out, length(values.len()))?;
                for value in values {
                    encode::write_str(out, value)?;
                }
            }
        }
    }
    Ok(())
}

/// The extension −1 in its form of 12 bytes, which holds every moment.
fn write_timestamp(out: &mut Vec<u8>, at_ns: i64) -> Result<(), encode::ValueWriteError> {
    encode::write_ext_meta(out, 12, -1)?;
    let nanos = u32::try_from(at_ns.rem_euclid(1_000_000_000)).unwrap_or_default();
    out.extend_from_slice(&nanos.to_be_bytes());
    out.extend_from_slice(&at_ns.div_euclid(1_000_000_000).to_be_bytes());
    Ok(())
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Already written values as one array.
#[must_use]
pub fn array<'a>(values: impl ExactSizeIterator<Item = &'a [u8]>, packed: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * 128);
    if packed {
        encode::write_array_len(&mut out, length(values.len())).unwrap_or(rmp::Marker::Null);
        values.for_each(|value| out.extend_from_slice(value));
        return out;
    }
    out.push(b'[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(value);
    }
    out.push(b']');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_text_in_json_and_an_extension_in_messagepack() {
        let record: Record = vec![("T", "t".into()), ("p", 187.5.into()), ("t", Cell::Time(1_500_000_001))];
        assert_eq!(
            json(&record),
            serde_json::json!({"T": "t", "p": 187.5, "t": "1970-01-01T00:00:01.500000001Z"})
        );
        let packed = msgpack(&record);
        assert_eq!(packed[0], 0x83, "a map of three");
        let seconds: [u8; 15] = [0xC7, 12, 0xFF, 0x1D, 0xCD, 0x65, 0x01, 0, 0, 0, 0, 0, 0, 0, 1];
        assert!(packed.ends_with(&seconds), "{packed:x?}");
        assert_eq!(array([b"1".as_slice(), b"2"].into_iter(), false), b"[1,2]");
        assert_eq!(array([b"\x01".as_slice()].into_iter(), true), b"\x91\x01");
    }
}
