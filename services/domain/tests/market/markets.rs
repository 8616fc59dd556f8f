//! Markets that are open around the clock, and that the exchange's calendar is one market among them.

use chrono::{DateTime, NaiveDate};
use domain::calendar::{Calendar, Market, Session};

fn instant(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_nanos_opt().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(market: Market, text: &str) -> Option<NaiveDate> {
    market.calendar().session_at(instant(text)).unwrap().map(|session| session.date)
}

fn bounds(session: Session) -> [String; 2] {
    [session.open_ns, session.close_ns].map(|ns| DateTime::from_timestamp_nanos(ns).to_rfc3339())
}

#[test]
fn the_currency_week_runs_from_sunday_to_friday_in_new_york() {
    let market = Market::TwentyFourFive;
    // Winter: New York is five hours behind; summer: four.
    for (closed, open, monday) in [
        ("2018-01-07T21:59:59Z", "2018-01-07T22:00:00Z", "2018-01-08"),
        ("2018-07-08T20:59:59Z", "2018-07-08T21:00:00Z", "2018-07-09"),
    ] {
        assert_eq!((at(market, closed), at(market, open)), (None, Some(date(monday))));
    }
    assert_eq!(at(market, "2018-01-12T22:59:59Z"), Some(date("2018-01-12")), "Friday's last second");
    assert_eq!(at(market, "2018-01-12T23:00:00Z"), None);
    assert_eq!(at(market, "2018-01-09T22:00:00Z"), Some(date("2018-01-10")), "five in the afternoon rolls");
    assert_eq!(at(market, "2018-12-25T12:00:00Z"), Some(date("2018-12-25")), "holidays are not left out");
}

#[test]
fn a_day_on_which_clocks_change_has_another_length() {
    let session = |day| bounds(Market::TwentyFourFive.calendar().session(date(day)).unwrap().unwrap());
    assert_eq!(session("2018-03-12"), ["2018-03-11T21:00:00+00:00", "2018-03-12T21:00:00+00:00"]);
    assert_eq!(session("2018-03-09"), ["2018-03-08T22:00:00+00:00", "2018-03-09T23:00:00+00:00"]);
    assert_eq!(session("2018-11-05"), ["2018-11-04T22:00:00+00:00", "2018-11-05T22:00:00+00:00"]);
    assert!(Market::TwentyFourFive.calendar().session(date("2018-03-10")).unwrap().is_none());
}

#[test]
fn around_the_clock_days_are_those_of_utc() {
    let calendar = Market::TwentyFourSeven.calendar();
    let session = calendar.session(date("2018-03-11")).unwrap().unwrap();
    assert_eq!(bounds(session), ["2018-03-11T00:00:00+00:00", "2018-03-12T00:00:00+00:00"]);
    assert_eq!(at(Market::TwentyFourSeven, "2018-03-10T23:59:59Z"), Some(date("2018-03-10")));
}

#[test]
fn a_close_at_midnight_is_of_the_session_that_ends_there() {
    let calendar = Market::TwentyFourSeven.calendar();
    let dates = |first: &str, last: &str| -> Vec<String> {
        let sessions = calendar.sessions_of_closes(instant(first), instant(last)).unwrap();
        sessions.iter().map(|session| session.date.to_string()).collect()
    };
    assert_eq!(dates("2018-03-10T00:00:00Z", "2018-03-11T00:00:00Z"), ["2018-03-09", "2018-03-10"]);
    assert_eq!(dates("2018-03-10T00:00:01Z", "2018-03-11T00:00:01Z"), ["2018-03-10", "2018-03-11"]);
}

#[test]
fn every_session_holds_its_date_and_follows_the_one_before() {
    for market in Market::ALL {
        let calendar = market.calendar();
        assert_eq!(calendar.market(), market);
        let sessions = calendar.sessions(calendar.first_date(), calendar.last_date()).unwrap();
        for pair in sessions.windows(2) {
            assert!(pair[0].close_ns <= pair[1].open_ns, "{market}: {pair:?}");
        }
        for session in sessions.iter().step_by(7) {
            assert_eq!(calendar.date_of(session.open_ns), session.date, "{market}");
            assert_eq!(calendar.date_of(session.close_ns - 1), session.date, "{market}");
            assert!(calendar.start_of(session.date) <= session.open_ns, "{market}");
        }
    }
}

#[test]
fn names_are_read_and_others_refused() {
    for market in Market::ALL {
        assert_eq!(market.name().to_lowercase().parse(), Ok(market));
    }
    let error = "LSE".parse::<Market>().unwrap_err().to_string();
    assert_eq!(error, "calendar \"LSE\", expected one of XNYS, 24x5, 24x7");
    assert!(std::ptr::eq(Market::Xnys.calendar(), Calendar::xnys()));
}
