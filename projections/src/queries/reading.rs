//! Reading columns, and writing numbers as decimal text.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Serialize, Serializer};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::table::malformed;
use crate::write::sequence;

/// A row whose columns are read by name.
#[derive(Clone, Copy)]
pub(super) struct Reading<'row>(pub &'row PgRow);

type Read<T> = Result<T, sqlx::Error>;

impl Reading<'_> {
    pub(super) fn text(self, column: &str) -> Read<String> {
        self.0.try_get(column)
    }

    pub(super) fn text_or_none(self, column: &str) -> Read<Option<String>> {
        self.0.try_get(column)
    }

    pub(super) fn int(self, column: &str) -> Read<i64> {
        self.0.try_get(column)
    }

    pub(super) fn int_or_none(self, column: &str) -> Read<Option<i64>> {
        self.0.try_get(column)
    }

    pub(super) fn flag(self, column: &str) -> Read<bool> {
        self.0.try_get(column)
    }

    pub(super) fn flag_or_none(self, column: &str) -> Read<Option<bool>> {
        self.0.try_get(column)
    }

    pub(super) fn bytes(self, column: &str) -> Read<Vec<u8>> {
        self.0.try_get(column)
    }

    /// A sequence or a count.
    pub(super) fn sequence(self, column: &str) -> Read<u64> {
        Ok(sequence(self.int(column)?))
    }

    pub(super) fn sequence_or_none(self, column: &str) -> Read<Option<u64>> {
        Ok(self.int_or_none(column)?.map(sequence))
    }

    /// A number that the statement casts to text.
    pub(super) fn exact<T: FromStr<Err: Display>>(self, column: &str) -> Read<T> {
        let text: &str = self.0.try_get(column)?;
        text.parse().map_err(|error| malformed(column, error))
    }

    pub(super) fn exact_or_none<T: FromStr<Err: Display>>(self, column: &str) -> Read<Option<T>> {
        let text: Option<&str> = self.0.try_get(column)?;
        text.map(|text| text.parse().map_err(|error| malformed(column, error))).transpose()
    }

    /// JSON that the statement casts to text.
    pub(super) fn json<T: DeserializeOwned>(self, column: &str) -> Read<T> {
        let text: &str = self.0.try_get(column)?;
        serde_json::from_str(text).map_err(|error| malformed(column, error))
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(self, column: &str) -> Read<Option<T>> {
        let text: Option<&str> = self.0.try_get(column)?;
        text.map(|text| serde_json::from_str(text).map_err(|error| malformed(column, error))).transpose()
    }
}

/// Maps every row of an answer.
pub(super) fn read_all<T>(
    rows: &[PgRow],
    read: impl Fn(Reading<'_>) -> Result<T, sqlx::Error>,
) -> Result<Vec<T>, sqlx::Error> {
    rows.iter().map(|row| read(Reading(row))).collect()
}

/// Writes a number as a decimal string.
pub(super) fn decimal<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Writes a number as a decimal string, or nothing as null.
pub(super) fn decimal_or_null<T: Display, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_ref().map(ToString::to_string).serialize(serializer)
}
