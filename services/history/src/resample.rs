//! Longer bars from shorter ones: first, highest, lowest, last, sum.
//!
//! Intraday bars lie on the clock (the bars of 09:30 to 09:59 belong to the hour that starts at 09:00 in New York,
//! as exchanges and vendors have it); a day is a session of the calendar, from its open to its close. No bar crosses
//! a session. An interval without bars has no bar, and a last interval that is not over yet is made of what there is.
//! Ids follow from source, symbol, the longer timeframe and the close, as for every other bar.
//!
//! Deliberately absent: shorter bars from longer ones, which would be invented.

use domain::bar::{Bar, Timeframe};
use domain::calendar::{Calendar, OutOfRange, Session};
use domain::money::Volume;
use domain::series::BarSeries;

use crate::parts::Parts;

/// Why bars cannot be made longer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// The timeframe wanted is no multiple of the one there is.
    #[error("{symbol}: bars of {from} cannot be made into bars of {to}, expected a longer timeframe")]
    Timeframe {
        /// Symbol.
        symbol: String,
        /// Timeframe of the bars.
        from: Timeframe,
        /// Timeframe wanted.
        to: Timeframe,
    },
    /// A bar lies outside of the dates that the calendar knows.
    #[error(transparent)]
    Calendar(#[from] OutOfRange),
    /// A bar lies outside of every session, so that it is of no day.
    #[error("{symbol}: the bar that starts at {start} lies outside of the sessions of {market}")]
    Closed {
        /// Symbol.
        symbol: String,
        /// Start of the bar.
        start: String,
        /// Calendar.
        market: &'static str,
    },
    /// The sum of the volumes is beyond what is kept.
    #[error("{symbol}: volume of the bar that starts at {start} is out of range")]
    Volume {
        /// Symbol.
        symbol: String,
        /// Start of the longer bar.
        start: String,
    },
}

/// Makes bars of `to` from `series`, which is of a shorter timeframe; one of the same timeframe stays as it is.
///
/// Bars after an early close belong to no session; they count in intraday bars and not in daily ones.
pub fn resample(series: &BarSeries, to: Timeframe, calendar: &Calendar) -> Result<BarSeries, ResampleError> {
    let from = series.timeframe;
    if from == to {
        return Ok(series.clone());
    }
    if from > to {
        return Err(ResampleError::Timeframe { symbol: series.symbol.to_string(), from, to });
    }
    let mut places = Places::new(to, calendar);
    let mut parts = Parts::default();
    let mut open: Option<Bar> = None;
    for row in 0..series.len() {
        let Some(bar) = series.bar(row) else { break };
        let Some((start_ns, close_ns)) = places.place(&bar, &series.symbol)? else { continue };
        match &mut open {
            Some(long) if long.start_ns == start_ns && long.close_ns == close_ns => {
                long.high = long.high.max(bar.high);
                long.low = long.low.min(bar.low);
                long.close = bar.close;
                let sum = long.volume.0.checked_add(bar.volume.0);
                long.volume = Volume(sum.ok_or_else(|| ResampleError::Volume {
                    symbol: series.symbol.to_string(),
                    start: shown(start_ns),
                })?);
            }
            other => {
                if let Some(done) = other.replace(Bar { start_ns, close_ns, ..bar }) {
                    parts.push(&done);
                }
            }
        }
    }
    if let Some(done) = open {
        parts.push(&done);
    }
    Ok(parts.into_series(&series.source, &series.symbol, to))
}

/// Where bars belong; most belong to the session of the bar before.
#[derive(Debug)]
pub struct Places<'a> {
    to: Timeframe,
    calendar: &'a Calendar,
    session: Option<Session>,
}

impl<'a> Places<'a> {
    /// The places among bars of `to`.
    #[must_use]
    pub const fn new(to: Timeframe, calendar: &'a Calendar) -> Self {
        Self { to, calendar, session: None }
    }

    /// Start and close of the longer bar that `bar` belongs to; `None` for a bar after an early close, which is of no
    /// day.
    pub fn place(&mut self, bar: &Bar, symbol: &str) -> Result<Option<(i64, i64)>, ResampleError> {
        if self.to != Timeframe::D1 {
            let start_ns = bar.start_ns - bar.start_ns.rem_euclid(self.to.nanos());
            return Ok(Some((start_ns, start_ns + self.to.nanos())));
        }
        if !self.session.is_some_and(|session| session.contains(bar.start_ns)) {
            self.session = self.calendar.overlapping(bar.start_ns, bar.close_ns)?;
        }
        if let Some(session) = self.session {
            return Ok(Some((session.open_ns, session.close_ns)));
        }
        let of_date = self.calendar.session(self.calendar.date_of(bar.start_ns))?;
        if of_date.is_some_and(|session| session.early_close && session.close_ns <= bar.start_ns) {
            return Ok(None);
        }
        Err(ResampleError::Closed {
            symbol: symbol.to_owned(),
            start: shown(bar.start_ns),
            market: self.calendar.exchange(),
        })
    }
}

fn shown(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339()
}
