//! Times as text. A page carries UTC; the browser rewrites it into the zone its reader chose. Market
//! times are always in the exchange's zone and say so.

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::America::New_York;

/// An instant on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub i64);

impl Instant {
    fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.0)
    }

    /// RFC 3339 in UTC, to the millisecond; what the browser reads.
    #[must_use]
    pub fn iso(self) -> String {
        self.utc().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Date and time in UTC, the form before the browser has rewritten it.
    #[must_use]
    pub fn full(self) -> String {
        self.utc().format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Month, day, hour and minute in UTC.
    #[must_use]
    pub fn short(self) -> String {
        self.utc().format("%m-%d %H:%M").to_string()
    }
}

/// An instant in exchange time: `Tue 6 Jan 2026, 14:30 ET`.
#[must_use]
pub fn market_time(instant_ns: i64) -> String {
    let market = DateTime::from_timestamp_nanos(instant_ns).with_timezone(&New_York);
    market.format("%a %-d %b %Y, %H:%M ET").to_string()
}

/// A length of time in its two largest units: `2 d 3 h`, `1 h 30 min`, `45 s`; never negative.
#[must_use]
pub fn duration_words(nanos: i64) -> String {
    let seconds = nanos.max(0) / 1_000_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, 0) => format!("{hours} h"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, 0, _) => format!("{days} d"),
        _ => format!("{days} d {hours} h"),
    }
}

/// A latency with two or three digits that count: `0.42 ms`, `17 ms`, `1.25 s`, `1 h 30 min`.
#[must_use]
pub fn latency(nanos: i64) -> String {
    let sign = if nanos < 0 { "−" } else { "" };
    let size = nanos.saturating_abs();
    let micros = size / 1_000;
    match micros {
        0..10_000 => format!("{sign}{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
        10_000..1_000_000 => format!("{sign}{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{sign}{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000),
        _ => format!("{sign}{}", duration_words(size)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn market_time_follows_daylight_saving() {
        // 2026-01-06 19:30 UTC is 14:30 in New York; in July the same UTC time is 15:30.
        assert_eq!(market_time(1_767_727_800 * SECOND), "Tue 6 Jan 2026, 14:30 ET");
        assert_eq!(market_time(1_783_366_200 * SECOND), "Mon 6 Jul 2026, 15:30 ET");
    }

    #[test]
    fn durations_keep_their_two_largest_units() {
        for (seconds, words) in
            [(-5, "0 s"), (45, "45 s"), (5_400, "1 h 30 min"), (3_600, "1 h"), (97_200, "1 d 3 h")]
        {
            assert_eq!(duration_words(seconds * SECOND), words);
        }
    }

    #[test]
    fn latencies_keep_the_digits_that_count() {
        for (nanos, text) in [
            (0, "0.00 ms"),
            (420_000, "0.42 ms"),
            (-1_500_000, "−1.50 ms"),
            (17_300_000, "17 ms"),
            (1_254_000_000, "1.25 s"),
            (5_400 * SECOND, "1 h 30 min"),
        ] {
            assert_eq!(latency(nanos), text);
        }
    }

    #[test]
    fn the_browser_reads_milliseconds_in_utc() {
        assert_eq!(Instant(1_767_727_800 * SECOND + 5_000_000).iso(), "2026-01-06T19:30:00.005Z");
    }
}
