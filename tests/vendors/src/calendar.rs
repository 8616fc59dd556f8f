//! The sessions of the New York Stock Exchange, 2020 to 2027, as the vendors' calendars give them.
//!
//! A table of its own: the stand-in must not share a mistake with the product's calendar. Outside of the table
//! there is no session.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Weekday};
use chrono_tz::{America::New_York, Tz};

/// Nanoseconds of a second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds of a minute.
pub const MINUTE: i64 = 60 * SECOND;

/// Closed besides weekends: year, then month and day.
const CLOSED: [(i32, &[u32]); 8] = [
    (2020, &[101, 120, 217, 410, 525, 703, 907, 1126, 1225]),
    (2021, &[101, 118, 215, 402, 531, 705, 906, 1125, 1224]),
    (2022, &[117, 221, 415, 530, 620, 704, 905, 1124, 1226]),
    (2023, &[102, 116, 220, 407, 529, 619, 704, 904, 1123, 1225]),
    (2024, &[101, 115, 219, 329, 527, 619, 704, 902, 1128, 1225]),
    (2025, &[101, 109, 120, 217, 418, 526, 619, 704, 901, 1127, 1225]),
    (2026, &[101, 119, 216, 403, 525, 619, 703, 907, 1126, 1225]),
    (2027, &[101, 118, 215, 326, 531, 618, 705, 906, 1125, 1224]),
];
/// Closing at 13:00.
const EARLY: [(i32, &[u32]); 8] = [
    (2020, &[1127, 1224]),
    (2021, &[1126]),
    (2022, &[1125]),
    (2023, &[703, 1124]),
    (2024, &[703, 1129, 1224]),
    (2025, &[703, 1128, 1224]),
    (2026, &[1127, 1224]),
    (2027, &[1126]),
];

/// A trading day. Times are UTC nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The date in New York.
    pub date: NaiveDate,
    /// 09:30 in New York.
    pub open_ns: i64,
    /// 16:00 in New York, or 13:00 on an early close.
    pub close_ns: i64,
    /// How many sessions came before it in the table.
    pub ordinal: i64,
}

impl Session {
    /// Whether it closes at 13:00.
    #[must_use]
    pub const fn is_early(&self) -> bool {
        self.close_ns - self.open_ns < 390 * MINUTE
    }

    /// Its minutes.
    #[must_use]
    pub const fn minutes(&self) -> i64 {
        (self.close_ns - self.open_ns) / MINUTE
    }
}

/// The moment of a clock time in New York.
#[must_use]
pub fn at(date: NaiveDate, hour: u32, minute: u32) -> i64 {
    let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or_default();
    // Nobody trades in the hour that a change of clocks takes away or doubles.
    let moment = New_York.from_local_datetime(&date.and_time(time)).earliest();
    moment.and_then(|moment| moment.timestamp_nanos_opt()).unwrap_or_default()
}

/// A moment as New York's clocks show it.
#[must_use]
pub fn new_york(at_ns: i64) -> DateTime<Tz> {
    New_York.timestamp_nanos(at_ns)
}

/// The date in New York.
#[must_use]
pub fn date_of(at_ns: i64) -> NaiveDate {
    new_york(at_ns).date_naive()
}

fn table() -> &'static BTreeMap<NaiveDate, Session> {
    static TABLE: OnceLock<BTreeMap<NaiveDate, Session>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let listed = |table: &[(i32, &[u32])], date: NaiveDate| {
            let day = date.month() * 100 + date.day();
            table.iter().any(|(year, days)| *year == date.year() && days.contains(&day))
        };
        let first = NaiveDate::from_ymd_opt(2020, 1, 1).unwrap_or_default();
        let days = first.iter_days().take_while(|date| date.year() <= 2027);
        let open = days
            .filter(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun) && !listed(&CLOSED, *date));
        let session = |(ordinal, date): (i64, NaiveDate)| {
            let close_ns = if listed(&EARLY, date) { at(date, 13, 0) } else { at(date, 16, 0) };
            (date, Session { date, open_ns: at(date, 9, 30), close_ns, ordinal })
        };
        (0..).zip(open).map(session).collect()
    })
}

/// The session of a date, if there is one.
#[must_use]
pub fn session(date: NaiveDate) -> Option<Session> {
    table().get(&date).copied()
}

/// The sessions from one date to another, both included.
pub fn sessions(from: NaiveDate, to: NaiveDate) -> impl DoubleEndedIterator<Item = Session> {
    let to = to.max(from);
    table().range(from..=to).map(|(_, session)| *session)
}

/// The session that is open at a moment.
#[must_use]
pub fn open_at(at_ns: i64) -> Option<Session> {
    session(date_of(at_ns)).filter(|session| (session.open_ns..session.close_ns).contains(&at_ns))
}

/// The first session that opens after a moment.
#[must_use]
pub fn next_open(at_ns: i64) -> Option<Session> {
    table().range(date_of(at_ns)..).map(|(_, session)| *session).find(|session| session.open_ns > at_ns)
}

/// The first session that closes after a moment.
#[must_use]
pub fn next_close(at_ns: i64) -> Option<Session> {
    table().range(date_of(at_ns)..).map(|(_, session)| *session).find(|session| session.close_ns > at_ns)
}

/// The last session before a date.
#[must_use]
pub fn before(date: NaiveDate) -> Option<Session> {
    table().range(..date).next_back().map(|(_, session)| *session)
}

/// The weekdays without a session or with an early close, from a date on.
pub fn special_days(from: NaiveDate) -> impl Iterator<Item = (NaiveDate, Option<Session>)> {
    let days = from.iter_days().take_while(|date| date.year() <= 2027);
    days.filter(|date| !matches!(date.weekday(), Weekday::Sat | Weekday::Sun))
        .map(|date| (date, session(date)))
        .filter(|(_, session)| session.is_none_or(|session| session.is_early()))
}

/// Two sessions later, when a sale of this date was settled until 2024; one later since.
#[must_use]
pub fn settlement(date: NaiveDate) -> Option<NaiveDate> {
    let change = NaiveDate::from_ymd_opt(2024, 5, 28)?;
    let sessions = if date < change { 2 } else { 1 };
    let after = date.checked_add_days(Days::new(1))?;
    table().range(after..).nth(sessions - 1).map(|(date, _)| *date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_have_as_many_sessions_as_the_exchange_had() {
        let counts = (2020..=2027).map(|year| table().keys().filter(|date| date.year() == year).count());
        assert_eq!(counts.collect::<Vec<_>>(), [253, 252, 251, 250, 252, 250, 251, 251]);
    }

    #[test]
    fn early_closes_and_days_out_of_the_rule_are_those_of_the_exchange() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap_or_default();
        let early = table().values().filter(|session| session.is_early());
        let early: Vec<String> = early.map(|session| session.date.to_string()).collect();
        let expected = [
            "2020-11-27",
            "2020-12-24",
            "2021-11-26",
            "2022-11-25",
            "2023-07-03",
            "2023-11-24",
            "2024-07-03",
            "2024-11-29",
            "2024-12-24",
            "2025-07-03",
            "2025-11-28",
            "2025-12-24",
            "2026-11-27",
            "2026-12-24",
            "2027-11-26",
        ];
        assert_eq!(early, expected);
        // New Year's Day on a Saturday moves nothing, Juneteenth is kept from 2022 on, and one day was of mourning.
        for open in ["2021-12-31", "2021-06-18", "2025-01-08"] {
            assert!(session(date(open)).is_some(), "{open}");
        }
        for closed in ["2022-06-20", "2025-01-09", "2021-07-05", "2027-12-24"] {
            assert!(session(date(closed)).is_none(), "{closed}");
        }
    }

    #[test]
    fn summer_and_winter_open_an_hour_apart_in_utc() {
        let open = |month, day| {
            let session = NaiveDate::from_ymd_opt(2026, month, day).and_then(session);
            session.map(|session| DateTime::from_timestamp_nanos(session.open_ns).format("%H:%M").to_string())
        };
        assert_eq!(open(1, 5).as_deref(), Some("14:30"));
        assert_eq!(open(7, 6).as_deref(), Some("13:30"));
        assert_eq!(open(7, 3), None);
    }
}
