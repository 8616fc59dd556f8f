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
        Ok(date) => midnight(date.checked_add_days(Days::new(1))?),
        Err(_) => instant(text)?.checked_add(1),
    }
}

fn instant(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok()?.timestamp_nanos_opt()
}

fn midnight(date: NaiveDate) -> Option<i64> {
    // New York changes its clocks at two in the morning: midnight is always one instant.
    New_York.from_local_datetime(&date.and_time(NaiveTime::MIN)).single()?.timestamp_nanos_opt()
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
    }
}
