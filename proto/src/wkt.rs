//! The well-known types of protobuf that the schema uses, with their proto3-JSON form.
//!
//! Our own rather than a crate's, because the form is part of the contract: a time is written in UTC with
//! `Z`, as protobuf's own implementations write it. Deliberately absent: every type the schema does not use.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::{Unexpected, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct Timestamp {
    /// Seconds of UTC since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// Nanoseconds within the second, from 0 to 999,999,999.
    #[prost(int32, tag = "2")]
    pub nanos: i32,
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = u32::try_from(self.nanos).ok();
        let time = nanos.and_then(|nanos| DateTime::<Utc>::from_timestamp(self.seconds, nanos));
        let time = time.ok_or_else(|| {
            S::Error::custom(format!("time of {} s and {} ns is out of range", self.seconds, self.nanos))
        })?;
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an RFC 3339 time such as \"2026-01-02T15:00:00Z\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
        let time = DateTime::parse_from_rfc3339(text)
            .map_err(|_| E::invalid_value(Unexpected::Str(text), &self))?
            .to_utc();
        // RFC 3339 may carry a leap second as a nanosecond above the second; protobuf may not.
        let nanos = i32::try_from(time.timestamp_subsec_nanos().min(999_999_999)).unwrap_or_default();
        Ok(Timestamp { seconds: time.timestamp(), nanos })
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimestampVisitor)
    }
}
