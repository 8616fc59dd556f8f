//! One session, and New York's clock.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone};
use chrono_tz::America::New_York;
use contracts::v1;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_SECONDS: i64 = 86_400;
const OPEN_SECONDS: i64 = (9 * 60 + 30) * 60;
const CLOSE_SECONDS: i64 = 16 * 3600;
const EARLY_CLOSE_SECONDS: i64 = 13 * 3600;
/// Days from the first day of the common era, as `chrono` counts, to 1970-01-01.
const EPOCH_FROM_CE: i32 = 719_163;

/// One regular session. Its instants are UTC nanoseconds; it holds `open_ns <= t < close_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Date in exchange time.
    pub date: NaiveDate,
    /// First instant of the session.
    pub open_ns: i64,
    /// First instant after the session.
    pub close_ns: i64,
    /// True when it closes at 13:00 exchange time instead of 16:00.
    pub early_close: bool,
}

impl Session {
    /// Whether `instant_ns` lies in the session.
    #[must_use]
    pub fn contains(&self, instant_ns: i64) -> bool {
        self.open_ns <= instant_ns && instant_ns < self.close_ns
    }

    /// Whether the interval `[start_ns, end_ns)` shares an instant with the session.
    #[must_use]
    pub fn overlaps(&self, start_ns: i64, end_ns: i64) -> bool {
        start_ns < end_ns && start_ns < self.close_ns && self.open_ns < end_ns
    }

    /// The body of the event that says that this session of `exchange` changed to `phase`.
    #[must_use]
    pub fn to_wire(&self, exchange: &str, phase: v1::SessionPhase) -> v1::SessionChange {
        v1::SessionChange {
            exchange: exchange.to_owned(),
            date: self.date.to_string(),
            phase: phase.into(),
            open: Some(contracts::to_timestamp(self.open_ns)),
            close: Some(contracts::to_timestamp(self.close_ns)),
            early_close: self.early_close,
        }
    }
}

/// The regular session of the New York Stock Exchange on `date`: 09:30 to 16:00, or to 13:00.
pub(super) fn new_york_session(date: NaiveDate, early_close: bool) -> Session {
    let close_seconds = if early_close { EARLY_CLOSE_SECONDS } else { CLOSE_SECONDS };
    // Clocks change at two in the morning, so noon UTC (seven or eight in New York) has the offset that
    // holds for the whole session.
    const NOON: NaiveTime = hour(12);
    let midnight = midnight_seconds(date, NOON);
    Session {
        date,
        open_ns: (midnight + OPEN_SECONDS) * SECOND_NS,
        close_ns: (midnight + close_seconds) * SECOND_NS,
        early_close,
    }
}

/// Midnight in New York: clocks never change before two, so the offset at midnight is that of three in
/// the morning UTC, which is the evening before.
pub(super) fn midnight_in_new_york(date: NaiveDate) -> i64 {
    const EVENING_BEFORE: NaiveTime = hour(3);
    midnight_seconds(date, EVENING_BEFORE).saturating_mul(SECOND_NS)
}

/// UTC seconds of midnight on `date` by the offset that New York has at `reference` UTC of that date.
fn midnight_seconds(date: NaiveDate, reference: NaiveTime) -> i64 {
    let offset = New_York.offset_from_utc_datetime(&date.and_time(reference)).fix().local_minus_utc();
    i64::from(date.num_days_from_ce() - EPOCH_FROM_CE) * DAY_SECONDS - i64::from(offset)
}

/// The instant of an afternoon hour in New York on `date`.
pub(super) fn at_in_new_york(date: NaiveDate, hours: u32) -> i64 {
    let seconds = midnight_seconds(date, hour(12)) + i64::from(hours) * 3600;
    seconds.saturating_mul(SECOND_NS)
}

/// The date in New York at `instant_ns`.
pub(super) fn date_in_new_york(instant_ns: i64) -> NaiveDate {
    date_in_new_york_after(instant_ns, 0)
}

/// The date in New York when its clock shows `hours` more than at `instant_ns`.
pub(super) fn date_in_new_york_after(instant_ns: i64, hours: u32) -> NaiveDate {
    let utc = DateTime::from_timestamp_nanos(instant_ns).naive_utc();
    let offset = New_York.offset_from_utc_datetime(&utc).fix();
    (utc + offset + TimeDelta::hours(i64::from(hours))).date()
}

/// An hour known when the program is compiled.
const fn hour(hour: u32) -> NaiveTime {
    match NaiveTime::from_hms_opt(hour, 0, 0) {
        Some(time) => time,
        None => panic!("not an hour"),
    }
}
