//! Why a whole file cannot be read.

use std::path::PathBuf;

/// A file that cannot be read at all. The message names what is missing and the option that mends it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// Something that holds no rows that could be read.
    #[error("{}: {problem}", path.display())]
    Unfit {
        /// File.
        path: PathBuf,
        /// What it is, and what was expected.
        problem: &'static str,
    },
    /// The Parquet file is damaged or has column types that are not read.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// File.
        path: PathBuf,
        /// Cause.
        #[source]
        source: Box<polars::error::PolarsError>,
    },
    /// A file so damaged that its decoder gave up on it.
    #[error("{}: damaged: {problem}", path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// The decoder's words.
        problem: String,
    },
    /// A Parquet column whose type is not read.
    #[error(
        "{}: column {column:?} is of type {kind}; expected text, integer, float, date or timestamp",
        path.display()
    )]
    ColumnType {
        /// File.
        path: PathBuf,
        /// Column.
        column: String,
        /// Its type.
        kind: String,
    },
    /// A column that every file of bars has is not there.
    #[error(
        "{}: no column for `{column}` in the header {header:?}; expected one of {expected}",
        path.display()
    )]
    MissingColumn {
        /// File.
        path: PathBuf,
        /// What was looked for.
        column: &'static str,
        /// Header as it is.
        header: String,
        /// Names that are recognised.
        expected: &'static str,
    },
    /// Two columns mean the same.
    #[error("{}: columns {first:?} and {second:?} both mean `{column}`; keep one of them", path.display())]
    AmbiguousColumn {
        /// File.
        path: PathBuf,
        /// Meaning.
        column: &'static str,
        /// First name.
        first: String,
        /// Second name.
        second: String,
    },
    /// The file does not say something that must be known.
    #[error("{}: {problem}; state it with `{option}`", path.display())]
    Unstated {
        /// File.
        path: PathBuf,
        /// What is not said.
        problem: String,
        /// Option that says it.
        option: &'static str,
    },
    /// The file says otherwise than an option.
    #[error(
        "{option} {stated:?}: {} says it itself, {found:?} in line {line}; expected the same, or no {option}",
        path.display()
    )]
    Otherwise {
        /// File.
        path: PathBuf,
        /// Option.
        option: &'static str,
        /// Its value.
        stated: String,
        /// What the file says in the first line that differs.
        found: String,
        /// That line; the header is line 1. Rows of a Parquet file count from 1.
        line: u64,
    },
}
