//! Tables as the projector sees them, and rows on their way there.
//!
//! A table either only grows (its key is the stream sequence) or holds the present state per key. The
//! definitions here and the DDL in `migrations` are held together by a test.

use std::collections::BTreeMap;

use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;

/// How a column travels and what it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Bool,
    Text,
    Bytes,
    /// Sent as text and cast, so that every digit arrives.
    Cast(&'static str),
}

pub(crate) const PRICE: Kind = Kind::Cast("numeric(19,9)");
pub(crate) const VOLUME: Kind = Kind::Cast("numeric(19,3)");
pub(crate) const MONEY: Kind = Kind::Cast("numeric(38,9)");
pub(crate) const JSON: Kind = Kind::Cast("jsonb");
pub(crate) const DATE: Kind = Kind::Cast("date");

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// Written with the first row of a key and kept from then on.
    pub once: bool,
}

pub(crate) const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, once: false }
}

pub(crate) const fn once(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, once: true }
}

/// One table of a projection's schema.
#[derive(Debug)]
pub(crate) struct Table {
    pub name: &'static str,
    /// The key, as many of the first columns as there are.
    pub key: &'static [&'static str],
    /// Whether a key's row is replaced; otherwise every row is new.
    pub replaced: bool,
    pub columns: &'static [Column],
}

/// One value on its way to a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<u64> for Cell {
    /// Sequences and counts; none reaches 2⁶³.
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Cell {
    /// Postgres holds no NUL in text; the replacement character says that one was there.
    fn from(value: &str) -> Self {
        if value.contains('\0') {
            Self::Text(value.replace('\0', "\u{fffd}"))
        } else {
            Self::Text(value.to_owned())
        }
    }
}

impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Self::from(value.as_str())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        if value.contains('\0') { Self::from(value.as_str()) } else { Self::Text(value) }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A number in decimal.
pub(crate) fn decimal(value: impl std::fmt::Display) -> Cell {
    Cell::Text(value.to_string())
}

/// Rows of one table, at most one per key.
#[derive(Debug)]
pub(crate) struct Rows {
    pub table: &'static Table,
    grown: Vec<Vec<Cell>>,
    replaced: BTreeMap<Vec<Cell>, Vec<Cell>>,
}

impl Rows {
    pub(crate) fn new(table: &'static Table) -> Self {
        Self { table, grown: Vec::new(), replaced: BTreeMap::new() }
    }

    /// Adds a row, its cells in the order of the table's columns. A later row of the same key replaces
    /// an earlier one, but for the columns that are written once.
    pub(crate) fn push(&mut self, mut row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.table.columns.len(), "columns of {}", self.table.name);
        if !self.table.replaced {
            self.grown.push(row);
            return;
        }
        let key = row.iter().take(self.table.key.len()).cloned().collect::<Vec<_>>();
        if let Some(earlier) = self.replaced.get_mut(&key) {
            for (index, column) in self.table.columns.iter().enumerate().filter(|(_, column)| column.once) {
                debug_assert!(column.once);
                row[index] = earlier[index].clone();
            }
            *earlier = row;
        } else {
            self.replaced.insert(key, row);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.grown.is_empty() && self.replaced.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<Vec<Cell>> {
        if self.table.replaced {
            std::mem::take(&mut self.replaced).into_values().collect()
        } else {
            std::mem::take(&mut self.grown)
        }
    }
}

/// `UNNEST($n::bigint[], …) AS u(…)` for the columns, parameters counted from `first`.
pub(crate) fn unnest(columns: &[Column], first: usize) -> String {
    let arrays: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| format!("${}::{}[]", first + index, array_type(column.kind)))
        .collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
    format!("UNNEST({}) AS u({})", arrays.join(", "), names.join(", "))
}

fn array_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Bool => "boolean",
        Kind::Bytes => "bytea",
        Kind::Text | Kind::Cast(_) => "text",
    }
}

/// The columns of `u`, cast to what they become.
pub(crate) fn selected(columns: &[Column]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|column| match column.kind {
            Kind::Cast(kind) => format!("u.{}::{kind}", column.name),
            _ => format!("u.{}", column.name),
        })
        .collect();
    columns.join(", ")
}

/// `INSERT INTO schema.table … SELECT … FROM UNNEST(…), guard …` with parameters from `first`.
pub(crate) fn insert(schema: &str, table: &Table, first: usize) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let mut statement = format!(
        "INSERT INTO {schema}.{} ({}) SELECT {} FROM guard, {}",
        table.name,
        names.join(", "),
        selected(table.columns),
        unnest(table.columns, first)
    );
    if table.replaced {
        let changed: Vec<String> = table
            .columns
            .iter()
            .filter(|column| !column.once && !table.key.contains(&column.name))
            .map(|column| format!("{0} = EXCLUDED.{0}", column.name))
            .collect();
        statement.push_str(&format!(
            " ON CONFLICT ({}) DO UPDATE SET {}",
            table.key.join(", "),
            changed.join(", ")
        ));
    }
    statement
}

/// Binds rows as one array per column.
pub(crate) fn bind<'q>(
    mut query: Query<'q, Postgres, PgArguments>,
    columns: &[Column],
    mut rows: Vec<Vec<Cell>>,
) -> Query<'q, Postgres, PgArguments> {
    for (index, column) in columns.iter().enumerate() {
        let cells = rows.iter_mut().map(|row| std::mem::replace(&mut row[index], Cell::Null));
        query = match column.kind {
            Kind::Int => query.bind(
                cells
                    .map(|cell| if let Cell::Int(value) = cell { Some(value) } else { None })
                    .collect::<Vec<_>>(),
            ),
            Kind::Bool => query.bind(
                cells
                    .map(|cell| if let Cell::Bool(value) = cell { Some(value) } else { None })
                    .collect::<Vec<_>>(),
            ),
            Kind::Bytes => query.bind(
                cells
                    .map(|cell| if let Cell::Bytes(value) = cell { Some(value) } else { None })
                    .collect::<Vec<_>>(),
            ),
            Kind::Text | Kind::Cast(_) => query.bind(
                cells
                    .map(|cell| if let Cell::Text(value) = cell { Some(value) } else { None })
                    .collect::<Vec<_>>(),
            ),
        };
    }
    query
}

/// A column's value, telling column and problem when it is not what it should be.
pub(crate) fn malformed(column: &str, problem: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: problem.to_string().into() }
}
