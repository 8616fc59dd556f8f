//! The rules of the New York Stock Exchange: which days have no session and which close at 13:00.
//!
//! Valid for 1998–2030. Everything up to 2027 is compared day by day with an independent calendar in the
//! tests; 2028–2030 follow from the rules alone and know no closure that is decreed later. The
//! predicates look at one date at a time, so that no list of years has to be kept by hand.
//!
//! Deliberately absent: times of day and time zones (the table in the parent module adds them).

use chrono::{Datelike, Days, NaiveDate, Weekday};

/// Closures that follow no rule, as (year, month, day): the attacks of 11 September 2001, the funerals of
/// presidents (2004, 2007, 2018, 2025) and Hurricane Sandy (2012).
const DECREED_CLOSURES: [(i32, u32, u32); 10] = [
    (2001, 9, 11),
    (2001, 9, 12),
    (2001, 9, 13),
    (2001, 9, 14),
    (2004, 6, 11),
    (2007, 1, 2),
    (2012, 10, 29),
    (2012, 10, 30),
    (2018, 12, 5),
    (2025, 1, 9),
];

/// Early closes that follow no rule: the eve of 2000, the Friday after Independence Day 2002 (in place of
/// its eve) and the Friday after Christmas 2003.
const DECREED_EARLY_CLOSES: [(i32, u32, u32); 3] = [(1999, 12, 31), (2002, 7, 5), (2003, 12, 26)];

/// The first year in which Juneteenth closed the exchange; in 2021 it was a federal holiday already.
const FIRST_JUNETEENTH: i32 = 2022;

/// Whether the exchange trades on `date`.
pub(super) fn is_session(date: NaiveDate) -> bool {
    let weekend = matches!(date.weekday(), Weekday::Sat | Weekday::Sun);
    !weekend && !is_holiday(date) && !DECREED_CLOSURES.contains(&parts(date))
}

/// Whether a session on `date` closes at 13:00. Meaningful for session dates only.
pub(super) fn closes_early(date: NaiveDate) -> bool {
    let (year, month, day) = parts(date);
    let by_rule = match (month, day, date.weekday()) {
        // The eve of Independence Day, when the holiday itself falls on a weekday.
        (7, 3, Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu) => year != 2002,
        // The day after Thanksgiving.
        (11, 23..=29, Weekday::Fri) => true,
        // Christmas Eve; on a Friday it is the observed holiday.
        (12, 24, Weekday::Mon | Weekday::Tue | Weekday::Wed | Weekday::Thu) => true,
        _ => false,
    };
    by_rule || DECREED_EARLY_CLOSES.contains(&(year, month, day))
}

fn parts(date: NaiveDate) -> (i32, u32, u32) {
    (date.year(), date.month(), date.day())
}

fn is_holiday(date: NaiveDate) -> bool {
    let (year, month, day) = parts(date);
    match (month, day, date.weekday()) {
        // New Year's Day: from Sunday to Monday, but a Saturday is not made up for, because that Friday
        // ends the accounting year.
        (1, 1, _) | (1, 2, Weekday::Mon) => true,
        // Martin Luther King Day and Washington's Birthday, the third Mondays.
        (1 | 2, 15..=21, Weekday::Mon) => true,
        // Memorial Day, the last Monday.
        (5, 25..=31, Weekday::Mon) => true,
        // Labor Day, the first Monday.
        (9, 1..=7, Weekday::Mon) => true,
        // Thanksgiving, the fourth Thursday.
        (11, 22..=28, Weekday::Thu) => true,
        (6, _, _) => year >= FIRST_JUNETEENTH && is_observed(date, 19),
        (7, _, _) => is_observed(date, 4),
        (12, _, _) => is_observed(date, 25),
        _ => is_good_friday(date),
    }
}

/// Whether a holiday on the `holiday`th of this month is observed on `date`: a Saturday's on the Friday
/// before, a Sunday's on the Monday after.
fn is_observed(date: NaiveDate, holiday: u32) -> bool {
    let day = date.day();
    day == holiday
        || (day + 1 == holiday && date.weekday() == Weekday::Fri)
        || (day == holiday + 1 && date.weekday() == Weekday::Mon)
}

fn is_good_friday(date: NaiveDate) -> bool {
    date.weekday() == Weekday::Fri && {
        let sunday = date + Days::new(2);
        (sunday.month(), sunday.day()) == easter(date.year())
    }
}

/// Month and day of Easter Sunday, by the anonymous Gregorian computus (Meeus, Astronomical Algorithms,
/// chapter 8). The year is positive.
fn easter(year: i32) -> (u32, u32) {
    let year = year.unsigned_abs();
    let golden = year % 19;
    let (century, of_century) = (year / 100, year % 100);
    let correction = (century + 8) / 25;
    let epact = (19 * golden + century - century / 4 - (century - correction + 1) / 3 + 15) % 30;
    let weekday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4) % 7;
    let shift = (golden + 11 * epact + 22 * weekday) / 451;
    let day = epact + weekday + 114 - 7 * shift;
    (day / 31, day % 31 + 1)
}
