//! The exchange calendar, against an independent one for every day and against its own properties.

use std::collections::BTreeMap;
use std::io::Read;

use chrono::{DateTime, Datelike, Days, NaiveDate, Weekday};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Session};
use proptest::prelude::*;

use crate::reference;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn instant(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
}

fn session(text: &str) -> Session {
    Calendar::xnys().session(date(text)).unwrap().unwrap()
}

/// Every day from the first to the last known: a session or not, and its open and close. The reference
/// knows what happened up to its release and applies the same published rules to 2028–2030.
#[test]
fn every_day_equals_the_reference() {
    let calendar = Calendar::xnys();
    let (first, last) = (calendar.first_date(), calendar.last_date());
    assert_eq!((first, last), (date("1998-01-01"), date("2030-12-31")));
    let output = reference::python("xnys_calendar.py", &[&first.to_string(), &last.to_string()], "");
    let mut expected: BTreeMap<NaiveDate, (i64, i64)> = output
        .lines()
        .skip(1)
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (date(fields[0]), (fields[1].parse().unwrap(), fields[2].parse().unwrap()))
        })
        .collect();
    assert!(expected.len() > 8_000, "the reference answered {} sessions", expected.len());
    let mut differences = Vec::new();
    for day in first.iter_days().take_while(|day| *day <= last) {
        let ours = calendar.session(day).unwrap().map(|session| (session.open_ns, session.close_ns));
        let theirs = expected.remove(&day);
        if ours != theirs {
            differences.push((day, ours, theirs));
        }
    }
    assert!(differences.is_empty(), "date, ours, reference: {differences:#?}");
    assert!(expected.is_empty(), "sessions of the reference outside the range: {expected:?}");
}

#[test]
fn sessions_per_year_are_the_published_ones() {
    let calendar = Calendar::xnys();
    let count = |year: i32| {
        let (from, to) = (NaiveDate::from_yo_opt(year, 1), NaiveDate::from_ymd_opt(year, 12, 31));
        calendar.sessions(from.unwrap(), to.unwrap()).unwrap().len()
    };
    assert_eq!((2020..=2027).map(count).collect::<Vec<_>>(), [253, 252, 251, 250, 252, 250, 251, 251]);
}

#[test]
fn sessions_follow_daylight_saving_and_close_early() {
    let winter = session("2024-03-08");
    assert_eq!(
        (winter.open_ns, winter.close_ns),
        (instant("2024-03-08T14:30:00Z"), instant("2024-03-08T21:00:00Z"))
    );
    let summer = session("2024-03-11");
    assert_eq!(
        (summer.open_ns, summer.close_ns),
        (instant("2024-03-11T13:30:00Z"), instant("2024-03-11T20:00:00Z"))
    );
    let early = session("2024-11-29");
    assert!(early.early_close && !summer.early_close);
    assert_eq!(early.close_ns, instant("2024-11-29T13:00:00-05:00"));
    // By rule alone: holidays and early closes that the exchange has announced for 2028.
    for closed in ["2028-01-17", "2028-02-21", "2028-04-14", "2028-05-29", "2028-06-19", "2028-07-04"] {
        assert_eq!(Calendar::xnys().session(date(closed)), Ok(None), "{closed}");
    }
    assert!(session("2028-07-03").early_close && session("2028-11-24").early_close);
}

#[test]
fn a_session_holds_its_open_and_not_its_close() {
    let calendar = Calendar::xnys();
    let session = session("2012-10-26");
    assert_eq!(calendar.session_at(session.open_ns), Ok(Some(session)));
    assert_eq!(calendar.session_at(session.close_ns - 1), Ok(Some(session)));
    assert_eq!(calendar.session_at(session.open_ns - 1), Ok(None));
    assert_eq!(calendar.is_open(session.close_ns), Ok(false));
    // The hurricane closed the exchange for the two days after the weekend.
    assert_eq!(calendar.next_session_after(session.open_ns).unwrap().date, date("2012-10-31"));
    assert_eq!(calendar.current_or_next(session.close_ns - 1), Ok(session));
    assert_eq!(calendar.current_or_next(session.close_ns).unwrap().date, date("2012-10-31"));
    assert_eq!(calendar.previous_session_before(session.close_ns), Ok(session));
    assert_eq!(calendar.previous_session_before(session.close_ns - 1).unwrap().date, date("2012-10-25"));
}

#[test]
fn a_bar_belongs_to_the_session_it_overlaps() {
    let calendar = Calendar::xnys();
    let overlap = |start: &str, timeframe: Timeframe| {
        let start_ns = instant(start);
        calendar.overlapping(start_ns, start_ns + timeframe.nanos()).unwrap().map(|session| session.date)
    };
    assert_eq!(overlap("2020-01-06T14:00:00Z", Timeframe::H1), Some(date("2020-01-06")), "09:00 holds 09:30");
    assert_eq!(overlap("2020-01-06T14:00:00Z", Timeframe::M30), None, "ends as the session opens");
    assert_eq!(overlap("2020-01-06T21:00:00Z", Timeframe::H1), None, "starts as the session closes");
    assert_eq!(overlap("2020-01-06T00:00:00Z", Timeframe::D1), Some(date("2020-01-06")));
    assert_eq!(overlap("2020-01-05T14:00:00Z", Timeframe::H1), None, "a Sunday");
    assert_eq!(overlap("2020-11-27T18:00:00Z", Timeframe::H1), None, "after an early close");
    let open_ns = session("2020-01-06").open_ns;
    assert_eq!(calendar.overlapping(open_ns, open_ns), Ok(None), "nothing overlaps an empty interval");
}

#[test]
fn an_unknown_time_is_an_error() {
    let calendar = Calendar::xnys();
    let error = calendar.session(date("2031-01-01")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "calendar XNYS knows 1998-01-01 to 2030-12-31 and cannot answer for 2031-01-01"
    );
    assert!(calendar.session(date("1997-12-31")).is_err());
    assert!(calendar.sessions(date("1997-12-31"), date("1998-02-01")).is_err());
    for (known, unknown) in [
        ("2030-12-31T23:59:59-05:00", "2031-01-01T00:00:00-05:00"),
        ("1998-01-01T00:00:00-05:00", "1997-12-31T23:59:59-05:00"),
    ] {
        assert_eq!(calendar.is_open(instant(known)), Ok(false));
        let unknown = instant(unknown);
        assert!(calendar.is_open(unknown).is_err() && calendar.session_at(unknown).is_err());
        assert!(calendar.overlapping(unknown, unknown + 1).is_err());
        assert!(
            calendar.next_session_after(unknown).is_err()
                && calendar.previous_session_before(unknown).is_err()
        );
    }
    let end = instant("2030-12-31T23:59:59-05:00");
    assert!(calendar.next_session_after(end).is_err(), "the next session is not known");
    assert!(calendar.current_or_next(end).is_err(), "the next session is not known");
    assert!(
        calendar.overlapping(end, end + Timeframe::H1.nanos()).is_err(),
        "the interval ends in the unknown"
    );
    let start = instant("1998-01-01T12:00:00-05:00");
    assert!(calendar.previous_session_before(start).is_err(), "the session before is not known");
    for extreme in [i64::MIN, i64::MAX] {
        assert!(calendar.is_open(extreme).is_err());
    }
}

#[test]
fn the_wire_form_names_the_session() {
    let session = session("2020-11-27");
    let wire = session.to_wire(Calendar::xnys().exchange(), contracts::v1::SessionPhase::Opened);
    assert_eq!((wire.exchange.as_str(), wire.date.as_str(), wire.early_close), ("XNYS", "2020-11-27", true));
    assert_eq!(contracts::from_timestamp(&wire.open.unwrap()), Some(session.open_ns));
    assert_eq!(contracts::from_timestamp(&wire.close.unwrap()), Some(session.close_ns));
}

proptest! {
    #[test]
    fn questions_about_an_instant_agree(offset in 0..12_000 * 86_400_i64) {
        let calendar = Calendar::xnys();
        let at = calendar.start_of(date("1998-01-05")) + offset * 1_000_000_000;
        let day = calendar.date_of(at);
        prop_assert!(calendar.start_of(day) <= at && at < calendar.start_of(day + Days::new(1)));
        prop_assert!(!matches!(day.weekday(), Weekday::Sat | Weekday::Sun) || calendar.session(day) == Ok(None));
        let (previous, next) = (calendar.previous_session_before(at)?, calendar.next_session_after(at)?);
        let current = calendar.session_at(at)?;
        prop_assert!(previous.close_ns <= at && at < next.open_ns);
        prop_assert_eq!(calendar.is_open(at)?, current.is_some());
        prop_assert_eq!(calendar.current_or_next(at)?, current.unwrap_or(next));
        let between: Vec<_> = calendar.sessions(previous.date, next.date)?.to_vec();
        let expected: Vec<_> = [Some(previous), current, Some(next)].into_iter().flatten().collect();
        prop_assert_eq!(between, expected);
        if let Some(current) = current {
            prop_assert_eq!(current.date, day);
            prop_assert_eq!(calendar.overlapping(at, at + 1)?, Some(current));
        }
    }
}

/// Every recorded bar lies in a session, except for those after an early close.
#[test]
fn recorded_bars_lie_in_sessions() {
    let calendar = Calendar::xnys();
    let (mut bars, mut after_early_close, mut outside) = (0, 0, Vec::new());
    for symbol in ["AAPL", "BAC", "IBM", "SPY"] {
        for row in rows(&format!("bars-1h-{symbol}.csv.gz")) {
            let start_ns = instant(row.split(',').nth(2).unwrap());
            let end_ns = start_ns + Timeframe::H1.nanos();
            bars += 1;
            if calendar.overlapping(start_ns, end_ns).unwrap().is_none() {
                match calendar.session(calendar.date_of(start_ns)).unwrap() {
                    Some(session) if session.early_close && start_ns >= session.close_ns => {
                        after_early_close += 1;
                    }
                    _ => outside.push(row),
                }
            }
        }
    }
    assert_eq!((bars, after_early_close, outside), (163_294, 158, Vec::<String>::new()));
}

pub fn rows(file: &str) -> Vec<String> {
    let mut text = String::new();
    let compressed = std::fs::File::open(reference::data(file)).unwrap();
    flate2::read::GzDecoder::new(compressed).read_to_string(&mut text).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}
