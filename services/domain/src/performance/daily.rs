//! From an equity curve with one point per instant to one value per session.

use chrono::NaiveDate;

use crate::calendar::{Calendar, OutOfRange};
use crate::money::Amount;

/// Equity of an account at one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EquityPoint {
    /// Event time, UTC nanoseconds.
    pub time_ns: i64,
    /// Equity then.
    pub equity: Amount,
}

/// Equity at a session's close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayClose {
    /// The session's date in exchange time.
    pub date: NaiveDate,
    /// Equity at its close.
    pub equity: Amount,
}

/// A daily equity series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DailyEquity {
    /// Equity at the first point of the curve.
    pub start: Amount,
    /// Closes of the sessions that ended within the curve, one per session.
    pub closes: Vec<DayClose>,
}

impl DailyEquity {
    /// Starting equity and closes as one series, as [`super::Performance::of`] takes it.
    #[must_use]
    pub fn values(&self) -> Vec<Amount> {
        std::iter::once(self.start).chain(self.closes.iter().map(|close| close.equity)).collect()
    }
}

/// The daily closes of an equity curve; `None` when it is empty.
///
/// The value of a session is the last point at or before its close. A session without a point of its own
/// keeps the value before it, as nothing has been marked since. A session counts once the curve reaches
/// its close, so that a day in progress is not taken for a day's result. `points` ascend by time; of
/// points with equal times the last counts.
pub fn daily_equity(points: &[EquityPoint], calendar: &Calendar) -> Result<Option<DailyEquity>, OutOfRange> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(None) };
    let sessions = calendar.sessions(calendar.date_of(first.time_ns), calendar.date_of(last.time_ns))?;
    let within = |close_ns| first.time_ns < close_ns && close_ns <= last.time_ns;
    let mut upcoming = points.iter().peekable();
    let mut equity = first.equity;
    let mut closes = Vec::new();
    for session in sessions.iter().filter(|session| within(session.close_ns)) {
        while let Some(point) = upcoming.next_if(|point| point.time_ns <= session.close_ns) {
            equity = point.equity;
        }
        closes.push(DayClose { date: session.date, equity });
    }
    Ok(Some(DailyEquity { start: first.equity, closes }))
}
