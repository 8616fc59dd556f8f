//! A decimal number of the configuration.

use std::fmt;

use domain::money::Price;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A decimal number, exact at 1e-9, written as a number or as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(pub i64);

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Price(self.0).to_string())
    }
}

/// Reads whichever form is written.
struct Written;

impl Visitor<'_> for Written {
    type Value = Decimal;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a decimal number of at most nine places and at most 9223372036")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Decimal, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Decimal, E> {
        // The shortest text that reads back as this float is what the user wrote.
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Decimal, E> {
        let read = text.parse::<Price>().map(|price| Decimal(price.0));
        read.map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}
