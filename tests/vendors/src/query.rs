//! Queries: what vendors read out of an address, and how they page.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::calendar;

/// The parameters of a request.
pub type Query = axum::extract::Query<Parameters>;

/// Parameters by name; of a name that is given twice the last.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// A parameter that is given and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether a parameter is given, even without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every parameter.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A list, parted by commas.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let parts = self.get(name).unwrap_or_default().split(',').map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// A number, `usual` when it is not given.
    ///
    /// # Errors
    /// When it is no number.
    pub fn number(&self, name: &str, usual: usize) -> Result<usize, String> {
        match self.get(name) {
            None => Ok(usual),
            Some(text) => text.parse().map_err(|_| format!("invalid {name}: {text}")),
        }
    }

    /// Yes or no, `usual` when it is not given.
    #[must_use]
    pub fn flag(&self, name: &str, usual: bool) -> bool {
        self.get(name).map_or(usual, |value| value.eq_ignore_ascii_case("true") || value == "1")
    }

    /// A moment, as RFC 3339 or a date in New York.
    ///
    /// # Errors
    /// When it is neither.
    pub fn moment(&self, name: &str) -> Result<Option<i64>, String> {
        let Some(text) = self.get(name) else { return Ok(None) };
        moment(text).map(Some).ok_or_else(|| format!("invalid {name}: {text}"))
    }

    /// A date.
    #[must_use]
    pub fn date(&self, name: &str) -> Option<NaiveDate> {
        let text = self.get(name)?;
        NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()
    }
}

/// A moment, as RFC 3339 (without an offset it is UTC) or a date in New York.
#[must_use]
pub fn moment(text: &str) -> Option<i64> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(&text.replace(' ', "T")) {
        return moment.timestamp_nanos_opt();
    }
    if let Ok(moment) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
        return moment.and_utc().timestamp_nanos_opt();
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| calendar::at(date, 0, 0))
}

/// A page of `rows` from `offset` on, and where the next one begins, if there is more.
pub fn page<T>(rows: Vec<T>, offset: usize, limit: usize) -> (Vec<T>, Option<usize>) {
    let next = offset.saturating_add(limit);
    let more = next < rows.len();
    (rows.into_iter().skip(offset).take(limit).collect(), more.then_some(next))
}

/// An offset as an opaque token.
#[must_use]
pub fn token(offset: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("row:{offset}"))
}

/// The offset in a token.
#[must_use]
pub fn offset(token: &str) -> Option<usize> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix("row:")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_where_the_rows_end() {
        let rows = || (0..5).collect::<Vec<_>>();
        assert_eq!(page(rows(), 0, 2), (vec![0, 1], Some(2)));
        assert_eq!(page(rows(), 4, 2), (vec![4], None));
        assert_eq!(page(rows(), 0, 5), (rows(), None));
        assert_eq!(page(rows(), 9, 5), (vec![], None));
        assert_eq!(offset(&token(17)), Some(17));
        assert_eq!(offset("nonsense"), None);
    }

    #[test]
    fn moments_are_read_in_each_form() {
        assert_eq!(moment("2026-01-05T14:30:00Z"), moment("2026-01-05T09:30:00-05:00"));
        assert_eq!(moment("2026-01-05T05:00:00"), moment("2026-01-05"));
        assert_eq!(moment("yesterday"), None);
    }
}
