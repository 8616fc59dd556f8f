//! The port of reference data: what a vendor states of a symbol now.
//!
//! Invariants: a number leaves this crate with every digit that was sent and is never made up; what a vendor does not
//! state is left empty. Deliberately absent: history, for none of these vendors says what it stated earlier; what
//! is on the tape already, which whoever asks compares.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, NaiveDate};
use contracts::v1::Figure;
use contracts::v1::event::Body;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::VendorError;

/// A vendor of reference data.
#[async_trait]
pub trait ReferenceData: fmt::Debug + Send + Sync {
    /// Name of the source on the tape.
    fn name(&self) -> &'static str;

    /// What the vendor states of a symbol, as the bodies of events of REFERENCE. A symbol that it does not know is
    /// [`crate::Refusal::Unknown`].
    async fn facts(&self, symbol: &str) -> Result<Vec<Body>, VendorError>;
}

/// A number as it was sent, plain or as `{"raw": …}`; nothing for null, `{}`, and what is no finite number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) Option<String>);

impl Number {
    /// As decimal text; empty where there is none.
    pub(crate) fn text(&self) -> String {
        self.0.clone().unwrap_or_default()
    }

    /// As a whole number.
    pub(crate) fn whole(&self) -> Option<i64> {
        let text = self.0.as_deref()?;
        text.split_once('.').map_or(text, |(whole, _)| whole).parse().ok()
    }

    /// As a small whole number.
    pub(crate) fn small(&self) -> Option<i32> {
        self.whole().and_then(|whole| i32::try_from(whole).ok())
    }

    /// Seconds since 1970 as a date.
    pub(crate) fn date(&self) -> String {
        let date = self.whole().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        date.map(|time| time.date_naive().to_string()).unwrap_or_default()
    }

    /// As a figure of that name.
    pub(crate) fn figure(&self, name: &str) -> Option<Figure> {
        Some(Figure { name: name.to_owned(), value: self.0.clone()? })
    }
}

impl From<&Value> for Number {
    fn from(value: &Value) -> Self {
        Self(match value {
            Value::Number(number) if number.is_f64() => {
                // The shortest text that names it, and never with an exponent.
                number.as_f64().filter(|number| number.is_finite()).map(|number| number.to_string())
            }
            Value::Number(number) => Some(number.to_string()),
            Value::Object(fields) => fields.get("raw").and_then(|raw| Self::from(raw).0),
            _ => None,
        })
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(&Value::deserialize(deserializer)?))
    }
}

/// A date of a vendor's, alone or at the beginning of a time; empty for what is none.
pub(crate) fn date_of(text: Option<&str>) -> String {
    let date = text.and_then(|text| text.get(..10)).and_then(|text| text.parse::<NaiveDate>().ok());
    date.map(|date| date.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_digits_and_nothing_is_made_up() {
        for (sent, read) in [
            (json!(391_000_000_000_i64), Some("391000000000")),
            (json!(0.1), Some("0.1")),
            (json!(1e21), Some("1000000000000000000000")),
            (json!(1e-7), Some("0.0000001")),
            (json!({"raw": -2.5, "fmt": "-2.50"}), Some("-2.5")),
            (json!({}), None),
            (json!(null), None),
            (json!("Infinity"), None),
        ] {
            assert_eq!(Number::from(&sent).0.as_deref(), read, "{sent}");
        }
        assert_eq!(Number::from(&json!(1_767_225_600)).date(), "2026-01-01");
        assert_eq!(Number::from(&json!(38.0)).small(), Some(38));
        assert_eq!(date_of(Some("2025-11-03T00:00:00Z")), "2025-11-03");
        assert_eq!(date_of(Some("soon")), "");
    }
}
