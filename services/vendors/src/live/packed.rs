//! MessagePack as vendors speak it on streams: maps, lists, texts, numbers and the extension for times, which becomes
//! UTC nanoseconds.
//!
//! Bounded: nothing deeper than [`DEPTH_MAX`], and no list or map longer than the bytes that are left.

use rmp::Marker;
use rmp::encode;
use serde_json::{Map, Number, Value};

/// Deepest nesting; vendors send lists of maps with lists.
const DEPTH_MAX: u32 = 8;
/// The extension of times.
const TIMESTAMP: i8 = -1;

/// What is wrong with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {at}")]
pub(super) struct Malformed {
    problem: &'static str,
    at: usize,
}

/// The one value that a frame holds.
pub(super) fn decode(frame: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader { frame, at: 0 };
    let value = reader.value(0)?;
    if reader.at < frame.len() { Err(reader.malformed("more than one value")) } else { Ok(value) }
}

/// A message to the vendor: a map of texts and lists of texts. Other values are left out.
pub(super) fn encode(message: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // A vector takes everything.
    let _ = write(&mut out, message);
    out
}

fn write(out: &mut Vec<u8>, value: &Value) -> Result<(), encode::ValueWriteError> {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    match value {
        Value::String(text) => encode::write_str(out, text),
        Value::Array(items) => {
            encode::write_array_len(out, length(items.len()))?;
            items.iter().try_for_each(|item| write(out, item))
        }
        Value::Object(fields) => {
            encode::write_map_len(out, length(fields.len()))?;
            fields.iter().try_for_each(|(name, value)| {
                encode::write_str(out, name)?;
                write(out, value)
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            encode::write_nil(out).map_err(encode::ValueWriteError::InvalidMarkerWrite)
        }
    }
}

struct Reader<'frame> {
    frame: &'frame [u8],
    at: usize,
}

impl<'frame> Reader<'frame> {
    fn malformed(&self, problem: &'static str) -> Malformed {
        Malformed { problem, at: self.at }
    }

    fn bytes(&mut self, count: usize) -> Result<&'frame [u8], Malformed> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.frame.len());
        let end = end.ok_or_else(|| self.malformed("the frame ends"))?;
        let bytes = &self.frame[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    /// An unsigned number of `size` bytes, at most 8.
    fn number(&mut self, size: usize) -> Result<u64, Malformed> {
        Ok(self.bytes(size)?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    /// A signed one.
    fn signed(&mut self, size: u32) -> Result<i64, Malformed> {
        let unused = 64 - size * 8;
        let number = self.number(size as usize)?;
        Ok((number << unused).cast_signed() >> unused)
    }

    fn length(&mut self, size: usize) -> Result<usize, Malformed> {
        let length = usize::try_from(self.number(size)?).unwrap_or(usize::MAX);
        // Every item takes a byte at least.
        if length > self.frame.len() - self.at {
            Err(self.malformed("a length beyond the frame"))
        } else {
            Ok(length)
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, Malformed> {
        if depth > DEPTH_MAX {
            return Err(self.malformed("nested too deeply"));
        }
        let marker = Marker::from_u8(self.bytes(1)?.first().copied().unwrap_or_default());
        Ok(match marker {
            Marker::Null => Value::Null,
            Marker::False => Value::Bool(false),
            Marker::True => Value::Bool(true),
            Marker::FixPos(number) => number.into(),
            Marker::FixNeg(number) => number.into(),
            Marker::U8 => self.number(1)?.into(),
            Marker::U16 => self.number(2)?.into(),
            Marker::U32 => self.number(4)?.into(),
            Marker::U64 => self.number(8)?.into(),
            Marker::I8 => self.signed(1)?.into(),
            Marker::I16 => self.signed(2)?.into(),
            Marker::I32 => self.signed(4)?.into(),
            Marker::I64 => self.signed(8)?.into(),
            Marker::F32 => float(f32::from_bits(u32::try_from(self.number(4)?).unwrap_or_default()).into()),
            Marker::F64 => float(f64::from_bits(self.number(8)?)),
            Marker::FixStr(length) => self.text(length.into())?,
            Marker::Str8 => self.length(1).and_then(|length| self.text(length))?,
            Marker::Str16 => self.length(2).and_then(|length| self.text(length))?,
            Marker::Str32 => self.length(4).and_then(|length| self.text(length))?,
            Marker::FixArray(length) => self.list(length.into(), depth)?,
            Marker::Array16 => self.length(2).and_then(|length| self.list(length, depth))?,
            Marker::Array32 => self.length(4).and_then(|length| self.list(length, depth))?,
            Marker::FixMap(length) => self.map(length.into(), depth)?,
            Marker::Map16 => self.length(2).and_then(|length| self.map(length, depth))?,
            Marker::Map32 => self.length(4).and_then(|length| self.map(length, depth))?,
            Marker::FixExt4 => self.time(4)?,
            Marker::FixExt8 => self.time(8)?,
            Marker::Ext8 => self.length(1).and_then(|length| self.time(length))?,
            _ => return Err(self.malformed("neither a number, a text, a list, a map nor a time")),
        })
    }

    fn text(&mut self, length: usize) -> Result<Value, Malformed> {
        let bytes = self.bytes(length)?;
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed("a text that is none"))?;
        Ok(text.into())
    }

    fn list(&mut self, length: usize, depth: u32) -> Result<Value, Malformed> {
        (0..length).map(|_| self.value(depth + 1)).collect::<Result<Vec<_>, _>>().map(Value::Array)
    }

    fn map(&mut self, length: usize, depth: u32) -> Result<Value, Malformed> {
        let mut map = Map::new();
        for _ in 0..length {
            let Value::String(name) = self.value(depth + 1)? else {
                return Err(self.malformed("a name that is no text"));
            };
            map.insert(name, self.value(depth + 1)?);
        }
        Ok(Value::Object(map))
    }

    /// A time in one of its three forms: 4 bytes of seconds, 30 bits of nanoseconds and 34 of seconds, or 4 bytes of
    /// nanoseconds and 8 of seconds.
    fn time(&mut self, length: usize) -> Result<Value, Malformed> {
        let kind = self.signed(1)?;
        if kind != i64::from(TIMESTAMP) {
            return Err(self.malformed("an extension that is no time"));
        }
        let (seconds, nanos) = match length {
            4 => (self.number(4)?.cast_signed(), 0),
            8 => {
                let both = self.number(8)?;
                ((both & 0x3_FFFF_FFFF).cast_signed(), (both >> 34).cast_signed())
            }
            12 => {
                let nanos = self.number(4)?.cast_signed();
                (self.signed(8)?, nanos)
            }
            _ => return Err(self.malformed("a time of another size")),
        };
        let ns = seconds.checked_mul(1_000_000_000).and_then(|ns| ns.checked_add(nanos));
        ns.map(Value::from).ok_or_else(|| self.malformed("a time out of range"))
    }
}

/// Not-a-number and infinities are no numbers of a market.
fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let message = json!({"action": "subscribe", "bars": ["SPY", "BRK.B"], "none": []});
        assert_eq!(decode(&encode(&message)).unwrap(), message);
    }

    #[test]
    fn numbers_and_times_are_read_in_every_form() {
        let check = |bytes: &[u8], expected: Value| assert_eq!(decode(bytes), Ok(expected), "{bytes:x?}");
        check(&[0x7F], json!(127));
        check(&[0xFF], json!(-1));
        check(&[0xCC, 200], json!(200));
        check(&[0xCD, 1, 0], json!(256));
        check(&[0xCE, 0, 1, 0, 0], json!(65_536));
        check(&[0xCF, 0, 0, 0, 1, 0, 0, 0, 0], json!(4_294_967_296_u64));
        check(&[0xD0, 0x80], json!(-128));
        check(&[0xD1, 0xFF, 0], json!(-256));
        check(&[0xD2, 0xFF, 0xFF, 0xFF, 0xFE], json!(-2));
        check(&[0xD3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFD], json!(-3));
        check(&[0xCA, 0x3F, 0x80, 0, 0], json!(1.0));
        check(&[0xCB, 0x40, 0x67, 0x70, 0, 0, 0, 0, 0], json!(187.5));
        check(&[0xCB, 0x7F, 0xF8, 0, 0, 0, 0, 0, 0], Value::Null);
        check(&[0xD6, 0xFF, 0, 0, 0, 2], json!(2_000_000_000));
        // 500,000,001 ns and 1 s.
        let both: u64 = (500_000_001 << 34) | 1;
        let mut bytes = vec![0xD7, 0xFF];
        bytes.extend(both.to_be_bytes());
        check(&bytes, json!(1_500_000_001));
        let long = [0xC7, 12, 0xFF, 0x1D, 0xCD, 0x65, 0x01, 0, 0, 0, 0, 0, 0, 0, 1];
        check(&long, json!(1_500_000_001));
    }

    #[test]
    fn what_is_no_message_is_refused_without_harm() {
        for bad in [
            &[][..],
            &[0xDD, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0xDF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            &[0xDB, 0xFF, 0xFF, 0xFF, 0xFF],
            &[0xA2, b'x'],
            &[0xA1, 0xFF],
            &[0x81, 1, 1],
            &[0xC1],
            &[0xD6, 1, 0, 0, 0, 1],
            &[0xC7, 3, 0xFF, 0, 0, 0],
            &[1, 1],
            &[0x91; 64],
        ] {
            assert!(decode(bad).is_err(), "{bad:x?}");
        }
    }
}
