//! Alpaca's times: text in JSON, UTC nanoseconds as MessagePack's extension for times is read here.

use chrono::DateTime;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// A time as text or as UTC nanoseconds.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum At {
    /// UTC nanoseconds.
    Ns(i64),
    /// RFC 3339.
    Text(String),
}

impl At {
    /// UTC nanoseconds; an error says what is no time.
    pub(crate) fn ns(&self) -> Result<i64, String> {
        match self {
            Self::Ns(ns) => Ok(*ns),
            Self::Text(text) => {
                let time =
                    DateTime::parse_from_rfc3339(text).ok().and_then(|time| time.timestamp_nanos_opt());
                time.ok_or_else(|| format!("{text:?} is no time"))
            }
        }
    }
}

/// Reads a time that may be missing or null.
pub(super) fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let at = Option::<At>::deserialize(deserializer)?;
    at.map(|at| at.ns()).transpose().map_err(D::Error::custom)
}
