//! Lists that come in parts.

use base::{decode, encode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::PageError;

/// Items of a part when the query does not say.
pub const LIMIT: u32 = 50;
/// Most items of a part.
pub const LIMIT_MAX: u32 = 200;

/// One part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// The `cursor` of the part that follows; null when this is the last.
    pub next: Option<String>,
}

/// The place that a cursor names.
pub fn place(cursor: Option<&str>) -> Result<Option<u64>, PageError> {
    let Some(text) = cursor else { return Ok(None) };
    let place =
        decode(text).ok_or_else(|| PageError::field("cursor", text, "the `next` of an earlier answer"))?;
    Ok(Some(place))
}

/// The cursor of a place.
pub fn cursor(place: u64) -> String {
    encode(place)
}

/// A place as text that nobody takes for a number to count with: the digits and what they add up to.
mod base {
    pub fn encode(place: u64) -> String {
        let check = blake3::hash(&place.to_be_bytes()).to_hex();
        format!("{place:x}-{}", &check[..8])
    }

    pub fn decode(text: &str) -> Option<u64> {
        let (place, _) = text.split_once('-')?;
        let place = u64::from_str_radix(place, 16).ok()?;
        (encode(place) == text).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_an_answer_gave_or_an_error() {
        for value in [0, 1, 77, u64::MAX] {
            assert_eq!(place(Some(&cursor(value))).unwrap(), Some(value));
        }
        assert_eq!(place(None).unwrap(), None);
        for text in ["", "1", "4d-00000000", "+4d-1", "zz"] {
            let error = place(Some(text)).unwrap_err().to_string();
            assert!(error.starts_with("cursor = "), "{error}");
        }
    }
}
