//! Fields of filters that are times.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::America::New_York;

/// What a time of a filter looks like, for errors.
pub const EXPECTED_TIME: &str = "a date (YYYY-MM-DD, in exchange time) or an instant (RFC 3339)";

/// The first instant of a date in exchange time, or the instant itself; UTC nanoseconds.
#[must_use]
pub fn from_time(text: &str) -> Option<i64> {
    match text.parse::<NaiveDate>() {
        Ok(date) => midnight(date),
        Err(_) => instant(text),
    }
}

/// The instant behind the last one wanted: the end of a date, or just after the instant; UTC nanoseconds.
#[must_use]
pub fn to_time(text: &str) -> Option<i64> {
    match text.parse::<NaiveDate>() {
        Ok(date) => midnight(date.checked_add_days(Days::new(1)).unwrap_or(date)),
        Err(_) => Some(instant(text)?.saturating_add(1)),
    }
}

fn instant(text: &str) -> Option<i64> {
    Some(nanoseconds(&DateTime::parse_from_rfc3339(text).ok()?))
}

fn midnight(date: NaiveDate) -> Option<i64> {
    // New York changes its clocks at two in the morning: midnight is always one instant.
    Some(nanoseconds(&New_York.from_local_datetime(&date.and_time(NaiveTime::MIN)).single()?))
}

/// Before 1677 and after 2262, where the nanoseconds end, the first and the last of them: no event is there.
fn nanoseconds<Z: chrono::TimeZone>(time: &DateTime<Z>) -> i64 {
    let end = if time.timestamp() < 0 { i64::MIN } else { i64::MAX };
    time.timestamp_nanos_opt().unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_of_exchange_time() {
        // Midnight in New York is 05:00 UTC in winter; the day the clocks change has 23 hours.
        assert_eq!(from_time("2026-01-06"), instant("2026-01-06T05:00:00Z"));
        assert_eq!(to_time("2026-01-06"), instant("2026-01-07T05:00:00Z"));
        assert_eq!(to_time("2026-03-08"), instant("2026-03-09T04:00:00Z"));
        assert_eq!(from_time("2026-01-06T09:30:00-05:00"), instant("2026-01-06T14:30:00Z"));
        assert_eq!(from_time("last week"), None);
        assert_eq!(
            (from_time("1500-01-01"), to_time("9999-12-31T23:59:59Z")),
            (Some(i64::MIN), Some(i64::MAX))
        );
    }
}
