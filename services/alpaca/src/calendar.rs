//! The sessions of the exchange as Alpaca has them, held against this program's own.
//!
//! Days on which an exchange stays closed at short notice stand in no rule: who trades for real asks somebody who knows.

use chrono::{Days, NaiveDate, NaiveTime};
use domain::calendar::{Calendar, Session};
use serde::Deserialize;

/// One session, in New York's time.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Day {
    date: NaiveDate,
    open: String,
    close: String,
}

impl Day {
    /// Open and close, UTC nanoseconds; `None` where a time cannot be read.
    fn bounds(&self) -> Option<(i64, i64)> {
        let midnight_ns = Calendar::xnys().start_of(self.date);
        let at = |text: &str| {
            let time = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
            let since = time.signed_duration_since(NaiveTime::MIN).num_nanoseconds()?;
            midnight_ns.checked_add(since)
        };
        Some((at(&self.open)?, at(&self.close)?))
    }
}

/// Where the two differ from `from` to `to`, both counted in, in words.
pub(crate) fn differences(theirs: &[Day], ours: &[Session], from: NaiveDate, to: NaiveDate) -> Vec<String> {
    let dates = from.iter_days().take_while(|date| *date <= to);
    dates
        .filter_map(|date| {
            let their = theirs.iter().find(|day| day.date == date);
            let our = ours.iter().find(|session| session.date == date);
            match (their, our) {
                (None, Some(_)) => Some(format!("{date}: closed at Alpaca, a session here")),
                (Some(_), None) => Some(format!("{date}: a session at Alpaca, closed here")),
                (Some(their), Some(our)) if their.bounds() != Some((our.open_ns, our.close_ns)) => {
                    Some(format!("{date}: {} to {} at Alpaca, other hours here", their.open, their.close))
                }
                _ => None,
            }
        })
        .collect()
}

/// The last of so many days from a date on.
pub(crate) fn last_of(from: NaiveDate, days: u64) -> NaiveDate {
    from.checked_add_days(Days::new(days.saturating_sub(1))).unwrap_or(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(date: &str, open: &str, close: &str) -> Day {
        Day { date: date.parse().unwrap(), open: open.to_owned(), close: close.to_owned() }
    }

    #[test]
    fn a_day_that_is_closed_at_short_notice_is_found() {
        let (from, to) = ("2026-12-21".parse().unwrap(), "2026-12-28".parse().unwrap());
        let ours = Calendar::xnys().sessions(from, to).unwrap();
        let same = [
            day("2026-12-21", "09:30", "16:00"),
            day("2026-12-22", "09:30", "16:00"),
            day("2026-12-23", "09:30", "16:00"),
            day("2026-12-24", "09:30", "13:00"),
            day("2026-12-28", "09:30", "16:00"),
        ];
        assert_eq!(differences(&same, ours, from, to), [""; 0]);
        let mut other = same.to_vec();
        other[3] = day("2026-12-24", "09:30", "16:00");
        other[1] = day("2026-12-26", "09:30", "16:00");
        assert_eq!(
            differences(&other, ours, from, to),
            [
                "2026-12-22: closed at Alpaca, a session here",
                "2026-12-24: 09:30 to 16:00 at Alpaca, other hours here",
                "2026-12-26: a session at Alpaca, closed here",
            ]
        );
    }
}
