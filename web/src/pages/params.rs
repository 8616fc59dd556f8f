//! A page's query: its filters and where in a list it is. Everything a page shows follows from its address,
//! so that it can be kept, sent on and gone back to.

use std::fmt;

use crate::error::PageError;
use crate::url::escape;
use crate::view::{from_time, to_time};

/// Names and values in the order of the address. A field left empty counts as absent, so that a plain form
/// needs no script.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Params(Vec<(String, String)>);

/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 256;

impl Params {
    /// The value of a field; `None` when it is absent or empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// Every value of a field as it stands in the address, empty ones too.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The value of a field as an owned filter.
    #[must_use]
    pub fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The value of a field that is one of `choices`, or an error that names them.
    pub fn one_of(&self, name: &'static str, choices: &[&str]) -> Result<Option<String>, PageError> {
        match self.get(name) {
            Some(value) if !choices.contains(&value) => {
                Err(PageError::field(name, value, format!("one of {}", choices.join(", "))))
            }
            value => Ok(value.map(str::to_owned)),
        }
    }

    /// A whole number from 1 to `most`, or `otherwise` when absent.
    pub fn number(&self, name: &'static str, otherwise: u32, most: u32) -> Result<u32, PageError> {
        let Some(value) = self.get(name) else { return Ok(otherwise) };
        let number = value.parse().ok().filter(|number| (1..=most).contains(number));
        number.ok_or_else(|| PageError::field(name, value, format!("a whole number from 1 to {most}")))
    }

    /// A sequence that an earlier answer of a list named, `None` when absent.
    pub fn sequence(&self, name: &'static str) -> Result<Option<u64>, PageError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let sequence = text.parse().map(Some);
        sequence.map_err(|_| PageError::field(name, text, "a sequence that an earlier answer named"))
    }

    /// Refuses fields other than `known`.
    pub fn only(&self, known: &[&str]) -> Result<(), PageError> {
        match self.0.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                let expected = if known.is_empty() { "no field".to_owned() } else { known.join(", ") };
                Err(PageError::field("query", name, format!("only {expected}")))
            }
            None => Ok(()),
        }
    }

    /// Refuses a range of times, in the fields `from` and `to`, that ends before it begins.
    pub fn ordered(&self) -> Result<(), PageError> {
        let (Some(from), Some(to)) = (self.get("from"), self.get("to")) else { return Ok(()) };
        let (Some(from_ns), Some(to_ns)) = (from_time(from), to_time(to)) else { return Ok(()) };
        // Beyond the ends of nanoseconds all times are one.
        if from_ns < to_ns || from_ns == i64::MIN || to_ns == i64::MAX {
            return Ok(());
        }
        Err(PageError::field("to", to, format!("a time that is not before `from`, {from}")))
    }

    /// Refuses what no page could mean.
    pub fn check(&self) -> Result<(), PageError> {
        match self.0.iter().find(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            Some((_, value)) => {
                Err(PageError::field("query", value, format!("values of at most {VALUE_BYTES_MAX} bytes")))
            }
            None => Ok(()),
        }
    }

    /// The same with `name` set to `value`; the empty value stays, so that a panel of nobody says so.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.without(&[name]);
        changed.0.push((name.to_owned(), value.to_owned()));
        changed
    }

    /// The same without some fields.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
    }

    /// Names and values, in the order of the address.
    #[must_use]
    pub fn into_fields(self) -> Vec<(String, String)> {
        self.0
    }

    /// The same without the fields that were left empty, for an address that takes no empty one.
    #[must_use]
    pub fn filled(&self) -> Self {
        Self(self.0.iter().filter(|(_, value)| !value.trim().is_empty()).cloned().collect())
    }

    /// The address `path` with these fields.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        let query = self.to_string();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

impl fmt::Display for Params {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let and = if index == 0 { "" } else { "&" };
            write!(formatter, "{and}{}={}", escape(name), escape(value))?;
        }
        Ok(())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Params {
    fn from(fields: [(&str, &str); N]) -> Self {
        Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_field_is_absent_and_an_address_keeps_the_rest() {
        let params = Params::from([("status", ""), ("symbol", " BRK.B "), ("strategy", "a&b")]);
        assert_eq!(params.get("status"), None);
        assert_eq!(params.get("symbol"), Some("BRK.B"));
        let next = params.without(&["status", "symbol"]).with("before", "7.3");
        assert_eq!(next.link("/orders"), "/orders?strategy=a%26b&before=7.3");
        assert_eq!(Params::default().link("/orders"), "/orders");
        assert_eq!(params.filled(), params.without(&["status"]));
    }

    #[test]
    fn a_range_ends_after_it_begins() {
        let ordered = |from: &str, to: &str| {
            let params = Params::from([("from", from), ("to", to)]);
            params.ordered().map_err(|error| error.to_string())
        };
        for (from, to) in [
            ("2026-01-06", "2026-01-06"),
            ("2026-01-06T15:00:00Z", "2026-01-06T15:00:00Z"),
            ("2026-01-06T15:00:00Z", "2026-01-06"),
            ("", "2026-01-06"),
            ("0001-01-01", "0001-01-02"),
            ("9998-01-01", "9999-01-01"),
            ("soon", "2026-01-06"),
        ] {
            assert_eq!(ordered(from, to), Ok(()), "{from} to {to}");
        }
        assert_eq!(
            ordered("2026-01-07", "2026-01-06").unwrap_err(),
            "to = \"2026-01-06\": expected a time that is not before `from`, 2026-01-07"
        );
        assert!(ordered("2026-01-06T15:00:01Z", "2026-01-06T15:00:00Z").is_err());
        assert!(ordered("9999-01-01", "0001-01-01").is_err());
    }

    #[test]
    fn a_wrong_value_names_its_field() {
        let params = Params::from([("side", "up"), ("limit", "1000")]);
        let error = params.one_of("side", &["buy", "sell"]).unwrap_err();
        assert_eq!(error.to_string(), "side = \"up\": expected one of buy, sell");
        let error = params.number("limit", 50, 200).unwrap_err();
        assert_eq!(error.to_string(), "limit = \"1000\": expected a whole number from 1 to 200");
    }
}
