//! Reading files of bars and of corporate actions, row by row.
//!
//! A file is recognised by its content (gzip, Parquet, else delimited text) and by its header. What a
//! file does not say (symbol, timeframe, time zone, whether prices are adjusted) must be stated by an
//! option, which overrules no file ([`check_stated`]); nothing is guessed. Every row is either a checked bar or a [`Rejected`] with its line; a value
//! is never altered on the way, but for the case of a symbol and what a volume has beyond a thousandth. Memory is bounded by the chunk, however long the file.
//!
//! [`load`] reads whole files into columns, on a faster way where a Parquet file allows it, with the same outcome.
//!
//! [`check_whole`] finds out before anything is done with a file whether it is damaged further on.
//!
//! [`RowCheck`] checks rows that a vendor sent in the same way.
//!
//! Deliberately absent: the tape. Import, the recorded source and backtests read the same way.

mod actions;
mod bars;
mod check;
mod fast;
mod load;
mod pages;
mod columns;
mod error;
mod infer;
mod parquet;
mod quoted;
mod save;
mod stated;
mod table;
mod text;
mod time;
mod whole;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono_tz::Tz;
use domain::bar::{Bar, Timeframe};
use domain::calendar::Market;

pub use actions::{Action, ActionFile, KnownActions};
pub use bars::{BarFile, Chunk};
pub use error::FileError;
pub use load::{load, named};
pub use quoted::RowCheck;
pub use save::{save, write_text};
pub use stated::check_stated;
pub use whole::check_whole;

/// What a file does not say itself.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// Symbol of every row, for a file without a symbol column.
    pub symbol: Option<String>,
    /// Timeframe of every row, for a file without a timeframe column.
    pub timeframe: Option<Timeframe>,
    /// Time zone of times that carry none.
    pub timezone: Option<Tz>,
    /// Whether prices are adjusted.
    pub adjusted: Adjusted,
    /// The market in whose hours the bars lie.
    pub market: Market,
    /// The latest close that a bar may have, UTC nanoseconds; without it bars of any time are read.
    pub latest_ns: Option<i64>,
}

/// Whether a file's prices are adjusted for splits or dividends. The tape holds raw prices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adjusted {
    /// Nothing was stated: raw, unless the file hints at adjusted prices; then it is refused.
    #[default]
    Unstated,
    /// Raw prices.
    None,
    /// Adjusted prices; they are imported with the finding `adjusted_prices` on the tape.
    Yes,
}

/// A word that is neither `none` nor `yes`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("adjusted {0:?}, expected `none` (raw prices) or `yes` (adjusted, recorded as a finding)")]
pub struct UnknownAdjusted(pub String);

impl FromStr for Adjusted {
    type Err = UnknownAdjusted;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "yes" => Ok(Self::Yes),
            other => Err(UnknownAdjusted(other.to_owned())),
        }
    }
}

/// One symbol in one timeframe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// Symbol in the form of the tape, however the file writes it.
    pub symbol: String,
    /// Timeframe.
    pub timeframe: Timeframe,
}

/// A row that became a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Line in the file; the header is line 1. Rows of a Parquet file count from 1.
    pub line: u64,
    /// Index of its [`Series`] in the order in which the file first names them.
    pub series: usize,
    /// The bar.
    pub bar: Bar,
    /// True when the bar lies after an early close, before the ordinary one.
    pub after_early_close: bool,
}

/// A row that did not go in, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rejected {
    /// Name of the file, when several are read together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in the file; the header is line 1. Rows of a Parquet file count from 1.
    pub line: u64,
    /// Field at fault.
    pub field: &'static str,
    /// The field's text as it stands in the file.
    pub value: String,
    /// What is wrong with it and what was expected.
    pub reason: String,
    /// What it is rejected for, where that is counted.
    #[serde(skip)]
    pub kind: RejectedKind,
}

/// What rows are rejected for that are counted by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RejectedKind {
    /// Anything else.
    #[default]
    Other,
    /// They lie outside the market's hours.
    OutsideHours,
    /// They are older than the row before them of their series.
    OutOfOrder,
}

impl Rejected {
    /// A row of a file that is told by itself, rejected for nothing that is counted.
    #[must_use]
    pub fn new(line: u64, field: &'static str, value: String, reason: String) -> Self {
        Self { file: None, line, field, value, reason, kind: RejectedKind::Other }
    }

    /// Whether the row lies outside the market's hours; another calendar may have it inside.
    #[must_use]
    pub fn is_outside_hours(&self) -> bool {
        self.kind == RejectedKind::OutsideHours
    }

    /// Whether the row is older than the one before it of its series.
    #[must_use]
    pub fn is_out_of_order(&self) -> bool {
        self.kind == RejectedKind::OutOfOrder
    }
}

/// An opened file, recognised by its header.
#[derive(Debug)]
pub enum Opened {
    /// Bars.
    Bars(Box<BarFile>),
    /// Corporate actions.
    Actions(ActionFile),
}

/// Whether `path` holds corporate actions, by its header alone: what else is wrong with the file shows when it is opened.
pub fn holds_actions(path: &Path) -> Result<bool, FileError> {
    Ok(actions::is_header(table::open(path)?.header()))
}

/// Opens and recognises `path`. Everything that would make the whole file unreadable fails here, before
/// a single row is taken.
pub fn open(path: &Path, options: &ReadOptions) -> Result<Opened, FileError> {
    let table = table::open(path)?;
    if actions::is_header(table.header()) {
        return Ok(Opened::Actions(ActionFile::new(table)));
    }
    let columns = columns::Columns::recognise(path, table.header())?;
    let timeframe = infer::timeframe(path, &columns, options)?;
    Ok(Opened::Bars(Box::new(BarFile::new(PathBuf::from(path), table, columns, options, timeframe)?)))
}
