//! Keyset paging: parts of a list that is ordered by event time and, within an instant, by sequence,
//! newest first. A cursor names a row's place, so that rows that come meanwhile shift nothing, and every
//! part costs the same however deep it lies.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use sqlx::{Postgres, QueryBuilder};

use super::LIMIT_MAX;
use crate::write::stored;

/// A place in a list: `TIME.SEQUENCE`, both in decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Event time, UTC nanoseconds.
    pub time_ns: i64,
    /// Stream sequence.
    pub sequence: u64,
}

/// Text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cursor {0:?}: expected TIME.SEQUENCE as an earlier part of the list named it")]
pub struct NoCursor(pub String);

impl fmt::Display for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.time_ns, self.sequence)
    }
}

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (time, sequence) = text.split_once('.')?;
            Some(Self { time_ns: time.parse().ok()?, sequence: sequence.parse().ok()? })
        };
        parse().ok_or_else(|| NoCursor(text.chars().take(40).collect()))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// The newest rows.
    #[default]
    Newest,
    /// The rows next to the cursor that are older.
    Before(Cursor),
    /// The rows next to the cursor that are newer.
    After(Cursor),
}

/// A part of a list, newest first.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Part<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// For [`Turn::After`]; `None` when nothing is newer.
    #[schema(value_type = Option<String>)]
    pub newer: Option<Cursor>,
    /// For [`Turn::Before`]; `None` when nothing is older.
    #[schema(value_type = Option<String>)]
    pub older: Option<Cursor>,
}

impl Turn {
    /// Adds the place in the list to a statement whose conditions have begun with `WHERE true`. `columns`
    /// are event time and sequence. Rows at one place stay together: a part may hold a few more than asked.
    pub(super) fn push(self, statement: &mut QueryBuilder<Postgres>, columns: (&str, &str), limit: u32) {
        let (time, sequence) = columns;
        let beyond = match self {
            Self::Newest => None,
            Self::Before(cursor) => Some(("<", cursor)),
            Self::After(cursor) => Some((">", cursor)),
        };
        if let Some((sign, cursor)) = beyond {
            statement.push(format!(" AND ({time}, {sequence}) {sign} ("));
            statement.push_bind(cursor.time_ns).push(", ");
            statement.push_bind(stored(cursor.sequence)).push(")");
        }
        let order = if matches!(self, Self::After(_)) { "ASC" } else { "DESC" };
        statement.push(format!(" ORDER BY {time} {order}, {sequence} {order} FETCH FIRST "));
        // One more than wanted tells whether there is more.
        statement.push_bind(i64::from(limit) + 1).push(" ROWS WITH TIES");
    }

    /// The part that `rows` make, which came in the order asked for.
    pub(super) fn part<T>(self, mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> Cursor) -> Part<T> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > wanted && {
            // Up to the end of the place at which the part is full.
            let last = wanted.checked_sub(1).and_then(|last| rows.get(last)).map(&cursor);
            let end = rows.iter().rposition(|row| Some(cursor(row)) == last).map_or(wanted, |end| end + 1);
            let more = rows.len() > end;
            rows.truncate(end);
            more
        };
        if matches!(self, Self::After(_)) {
            rows.reverse();
        }
        let (first, last) = (rows.first().map(&cursor), rows.last().map(&cursor));
        match self {
            Self::Newest => Part { rows, newer: None, older: last.filter(|_| more) },
            Self::Before(from) => {
                Part { newer: first.or(Some(before(from))), older: last.filter(|_| more), rows }
            }
            Self::After(from) => {
                Part { newer: first.filter(|_| more), older: last.or(Some(after(from))), rows }
            }
        }
    }
}

/// A place just older than `cursor`: a list that ends there still leads back.
fn before(cursor: Cursor) -> Cursor {
    Cursor { sequence: cursor.sequence.saturating_sub(1), ..cursor }
}

/// A place just newer than `cursor`.
fn after(cursor: Cursor) -> Cursor {
    Cursor { sequence: cursor.sequence.saturating_add(1), ..cursor }
}

/// Rows of one part: at least 1, at most [`LIMIT_MAX`].
pub(super) fn rows(limit: u32) -> u32 {
    limit.clamp(1, LIMIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time_ns: i64, sequence: u64) -> Cursor {
        Cursor { time_ns, sequence }
    }

    #[test]
    fn a_cursor_reads_back() {
        assert_eq!("-5.7".parse(), Ok(at(-5, 7)));
        assert_eq!(at(12, 3).to_string(), "12.3");
        assert_eq!("12".parse::<Cursor>(), Err(NoCursor("12".to_owned())));
    }

    #[test]
    fn a_part_ends_where_its_place_ends() {
        let same = |row: &Cursor| *row;
        let part = Turn::Newest.part(vec![at(9, 2), at(9, 1), at(9, 1), at(8, 0)], 2, same);
        assert_eq!((part.rows.len(), part.newer, part.older), (3, None, Some(at(9, 1))));
        let part = Turn::Newest.part(vec![at(9, 2), at(9, 1), at(9, 1)], 2, same);
        assert_eq!((part.rows.len(), part.older), (3, None));
    }

    #[test]
    fn newer_rows_come_newest_first_too() {
        let part = Turn::After(at(1, 1)).part(vec![at(2, 1), at(3, 1), at(4, 1)], 2, |row| *row);
        assert_eq!(part.rows, [at(3, 1), at(2, 1)]);
        assert_eq!((part.newer, part.older), (Some(at(3, 1)), Some(at(2, 1))));
    }

    #[test]
    fn the_end_of_a_list_leads_back() {
        let part = Turn::Before(at(1, 1)).part(Vec::<Cursor>::new(), 2, |row| *row);
        assert_eq!((part.newer, part.older), (Some(at(1, 0)), None));
    }
}
