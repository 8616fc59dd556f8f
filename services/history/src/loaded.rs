//! What is asked for, and what loading gave.

use std::path::PathBuf;

use chrono::NaiveDate;
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use domain::series::MarketData;

use crate::file::Rejected;

/// Dates to take, both included, in exchange time; open ends take everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// First date.
    pub from: Option<NaiveDate>,
    /// Last date.
    pub to: Option<NaiveDate>,
}

impl Range {
    /// The closes that lie in the range: `from <= close < to`.
    #[must_use]
    pub fn closes(&self, calendar: &Calendar) -> std::ops::Range<i64> {
        // A session's close at midnight is the first instant of the next date, and still its own.
        let start = |date: NaiveDate| calendar.start_of(date).saturating_add(1);
        let from = self.from.map_or(i64::MIN, start);
        let to = self.to.map_or(i64::MAX, |to| to.succ_opt().map_or(i64::MAX, start));
        from..to
    }
}

/// Which version of a bar that the tape states more than once is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Revisions {
    /// The newest one, from the start.
    #[default]
    Latest,
    /// What was known at the time, for a run that begins at `from_ns` (UTC nanoseconds): a bar that closes at or after
    /// it as it was first stated, because a running strategy takes no revision; one that closed before it, which warms
    /// up, in the newest version known by then. The first statement of a bar counts from its close, whenever it came
    /// onto the tape.
    AsKnown {
        /// First instant of the run.
        from_ns: i64,
    },
}

/// Which part of a history is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Symbols; none means all.
    pub symbols: Vec<String>,
    /// Timeframes; none means all.
    pub timeframes: Vec<Timeframe>,
    /// Dates.
    pub range: Range,
    /// The market whose dates and sessions hold.
    pub market: Market,
    /// Which versions of bars; files hold each bar once.
    pub revisions: Revisions,
}

impl Selection {
    /// Whether a series belongs to it.
    #[must_use]
    pub fn holds(&self, symbol: &str, timeframe: Timeframe) -> bool {
        (self.symbols.is_empty() || self.symbols.iter().any(|wanted| wanted == symbol))
            && (self.timeframes.is_empty() || self.timeframes.contains(&timeframe))
    }
}

/// A history in columns.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The columns and the corporate actions.
    pub data: MarketData,
    /// Hash of the columns and actions, see [`crate::data_hash`].
    pub hash: String,
    /// Bars in the columns.
    pub bars: u64,
    /// Files that hold corporate actions; all others hold bars.
    pub files_of_actions: Vec<PathBuf>,
    /// Rows read from files, bars or not.
    pub read: u64,
    /// Rows of files that say again what another row said.
    pub duplicates: u64,
    /// Rows of files that did not go in.
    pub rejected: Vec<Rejected>,
    /// What the user should know of how the history came about, in words.
    pub notes: Vec<String>,
}
