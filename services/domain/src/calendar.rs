//! The exchange calendar: sessions, early closes and daylight saving time as UTC instants.
//!
//! A [`Market`] names one of three: the New York Stock Exchange, a market that is open five days a week around the
//! clock (currencies), and one that never closes. A calendar knows the dates from [`Calendar::first_date`] to [`Calendar::last_date`]. Outside of them
//! every question is an error, never a guess: who cannot know whether the market is open opens nothing.
//! A table is computed once per process; a look-up is a binary search over some ten thousand rows.
//!
//! Deliberately absent: the present time (an argument), and sessions outside regular hours.

mod market;
mod rules;
mod session;

use std::sync::LazyLock;

use chrono::{Days, NaiveDate};

pub use market::{Market, UnknownMarket};
pub use session::Session;
use session::{date_in_new_york, midnight_in_new_york, new_york_session};

/// A question about a time of which the calendar knows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("calendar {exchange} knows {first} to {last} and cannot answer for {asked}")]
pub struct OutOfRange {
    /// Market identifier code of the calendar.
    pub exchange: &'static str,
    /// First date known.
    pub first: NaiveDate,
    /// Last date known.
    pub last: NaiveDate,
    /// Date in exchange time that was asked about.
    pub asked: NaiveDate,
}

/// Sessions of one exchange.
#[derive(Debug)]
pub struct Calendar {
    market: Market,
    exchange: &'static str,
    first: NaiveDate,
    last: NaiveDate,
    start_ns: i64,
    end_ns: i64,
    sessions: Vec<Session>,
}

static XNYS: LazyLock<Calendar> = LazyLock::new(|| {
    const FIRST: NaiveDate = date(1998, 1, 1);
    const LAST: NaiveDate = date(2030, 12, 31);
    Calendar {
        market: Market::Xnys,
        exchange: Market::Xnys.name(),
        first: FIRST,
        last: LAST,
        start_ns: midnight_in_new_york(FIRST),
        end_ns: midnight_in_new_york(LAST + Days::new(1)),
        sessions: FIRST
            .iter_days()
            .take_while(|date| *date <= LAST)
            .filter(|date| rules::is_session(*date))
            .map(|date| new_york_session(date, rules::closes_early(date)))
            .collect(),
    }
});

impl Calendar {
    /// The New York Stock Exchange. Cheap after the first call.
    #[must_use]
    pub fn xnys() -> &'static Self {
        &XNYS
    }

    /// The market whose calendar this is.
    #[must_use]
    pub fn market(&self) -> Market {
        self.market
    }

    /// Market identifier code, for example `XNYS`.
    #[must_use]
    pub fn exchange(&self) -> &'static str {
        self.exchange
    }

    /// First date the calendar knows.
    #[must_use]
    pub fn first_date(&self) -> NaiveDate {
        self.first
    }

    /// Last date the calendar knows.
    #[must_use]
    pub fn last_date(&self) -> NaiveDate {
        self.last
    }

    /// Date in exchange time at `instant_ns`; answers for every instant. A date of [`Market::TwentyFourFive`]
    /// begins at 17:00 of the day before, one of [`Market::TwentyFourSeven`] is a date in UTC.
    #[must_use]
    pub fn date_of(&self, instant_ns: i64) -> NaiveDate {
        match self.market {
            Market::Xnys => date_in_new_york(instant_ns),
            other => other.date_of(instant_ns),
        }
    }

    /// UTC instant at which `date` begins: midnight, exchange time, except as [`Self::date_of`] says. Dates
    /// beyond the range of 64-bit nanoseconds (1677–2262) saturate.
    #[must_use]
    pub fn start_of(&self, date: NaiveDate) -> i64 {
        match self.market {
            Market::Xnys => midnight_in_new_york(date),
            other => other.start_of(date),
        }
    }

    /// The session on `date`, or `None` when the exchange is closed that day.
    pub fn session(&self, date: NaiveDate) -> Result<Option<Session>, OutOfRange> {
        self.known_date(date)?;
        let index = self.sessions.partition_point(|session| session.date < date);
        Ok(self.sessions.get(index).copied().filter(|session| session.date == date))
    }

    /// The sessions from `from` to `to`, both included, in order; none when `to` is before `from`.
    pub fn sessions(&self, from: NaiveDate, to: NaiveDate) -> Result<&[Session], OutOfRange> {
        self.known_date(from)?;
        self.known_date(to)?;
        let start = self.sessions.partition_point(|session| session.date < from);
        let end = self.sessions.partition_point(|session| session.date <= to);
        Ok(self.sessions.get(start..end).unwrap_or_default())
    }

    /// The sessions from that of a bar that closes at `first_close_ns` to that of one that closes at `last_close_ns`: a
    /// close at midnight belongs to the date that ends there.
    pub fn sessions_of_closes(
        &self,
        first_close_ns: i64,
        last_close_ns: i64,
    ) -> Result<&[Session], OutOfRange> {
        let date = |close_ns: i64| self.date_of(close_ns.saturating_sub(1));
        self.sessions(date(first_close_ns), date(last_close_ns))
    }

    /// The session that is in progress at `instant_ns`: `open_ns <= instant_ns < close_ns`.
    pub fn session_at(&self, instant_ns: i64) -> Result<Option<Session>, OutOfRange> {
        let session = self.first_closing_after(instant_ns)?;
        Ok(session.filter(|session| session.contains(instant_ns)))
    }

    /// Whether the market is open at `instant_ns`.
    pub fn is_open(&self, instant_ns: i64) -> Result<bool, OutOfRange> {
        Ok(self.session_at(instant_ns)?.is_some())
    }

    /// The first session that shares an instant with `[start_ns, end_ns)`: the one a bar of that interval
    /// belongs to. `None` when the exchange is closed throughout, or when the interval is empty.
    pub fn overlapping(&self, start_ns: i64, end_ns: i64) -> Result<Option<Session>, OutOfRange> {
        let session = self.first_closing_after(start_ns)?;
        if end_ns > self.end_ns {
            return Err(self.out_of_range(self.date_of(end_ns)));
        }
        Ok(session.filter(|session| session.overlaps(start_ns, end_ns)))
    }

    /// The same for a bar that most often belongs to the session of the bar before it, `before`.
    pub fn overlapping_after(
        &self,
        before: Option<Session>,
        start_ns: i64,
        end_ns: i64,
    ) -> Result<Option<Session>, OutOfRange> {
        match before.filter(|session| session.overlaps(start_ns, end_ns)) {
            Some(session) => Ok(Some(session)),
            None => self.overlapping(start_ns, end_ns),
        }
    }

    /// The session in progress at `instant_ns`, else the next one: the session to which a day order
    /// decided at that instant belongs. An error when that session lies beyond the known dates.
    pub fn current_or_next(&self, instant_ns: i64) -> Result<Session, OutOfRange> {
        self.first_closing_after(instant_ns)?.ok_or_else(|| self.out_of_range(self.date_of(self.end_ns)))
    }

    /// The first session that opens after `instant_ns`. An error when it lies beyond the known dates.
    pub fn next_session_after(&self, instant_ns: i64) -> Result<Session, OutOfRange> {
        self.known_instant(instant_ns)?;
        let index = self.sessions.partition_point(|session| session.open_ns <= instant_ns);
        let session = self.sessions.get(index).copied();
        session.ok_or_else(|| self.out_of_range(self.date_of(self.end_ns)))
    }

    /// The last session that closed at or before `instant_ns`. An error when it lies before the known
    /// dates.
    pub fn previous_session_before(&self, instant_ns: i64) -> Result<Session, OutOfRange> {
        self.known_instant(instant_ns)?;
        let index = self.sessions.partition_point(|session| session.close_ns <= instant_ns);
        let session = index.checked_sub(1).and_then(|index| self.sessions.get(index)).copied();
        session.ok_or_else(|| self.out_of_range(self.date_of(self.start_ns - 1)))
    }

    fn first_closing_after(&self, instant_ns: i64) -> Result<Option<Session>, OutOfRange> {
        self.known_instant(instant_ns)?;
        let index = self.sessions.partition_point(|session| session.close_ns <= instant_ns);
        Ok(self.sessions.get(index).copied())
    }

    fn known_date(&self, date: NaiveDate) -> Result<(), OutOfRange> {
        let known = self.first <= date && date <= self.last;
        if known { Ok(()) } else { Err(self.out_of_range(date)) }
    }

    fn known_instant(&self, instant_ns: i64) -> Result<(), OutOfRange> {
        let known = self.start_ns <= instant_ns && instant_ns < self.end_ns;
        if known { Ok(()) } else { Err(self.out_of_range(self.date_of(instant_ns))) }
    }

    fn out_of_range(&self, asked: NaiveDate) -> OutOfRange {
        OutOfRange { exchange: self.exchange, first: self.first, last: self.last, asked }
    }
}

/// A date known when the program is compiled; anything else is a mistake in this file.
const fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    match NaiveDate::from_ymd_opt(year, month, day) {
        Some(date) => date,
        None => panic!("not a date"),
    }
}
