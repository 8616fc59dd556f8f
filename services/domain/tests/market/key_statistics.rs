//! Key statistics of a symbol's own bars.

use chrono::{Days, NaiveDate};
use domain::bar::Bar;
use domain::calendar::Calendar;
use domain::key_statistics::KeyStatistics;
use domain::money::{E9, Price, Volume};

fn days(from: &str, to: &str) -> Vec<Bar> {
    let date = |text: &str| text.parse::<NaiveDate>().unwrap();
    let sessions = Calendar::xnys().sessions(date(from), date(to)).unwrap();
    let day = |(index, session): (usize, &domain::calendar::Session)| {
        let price = Price((100 + i64::try_from(index).unwrap()) * E9);
        Bar {
            start_ns: session.open_ns,
            close_ns: session.close_ns,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume(1_000 * (1 + i64::try_from(index).unwrap())),
        }
    };
    sessions.iter().enumerate().map(day).collect()
}

#[test]
fn the_range_is_of_52_weeks_and_the_volume_of_twenty_sessions() {
    let days = days("2022-12-01", "2024-01-05");
    let statistics = KeyStatistics::of(&days, Calendar::xnys()).unwrap();
    let last = days.last().unwrap();
    assert_eq!(statistics.last, last.close);
    assert_eq!(statistics.high, (last.high, "2024-01-05".parse().unwrap()));
    // 364 days before is the first that is out of it.
    let first = "2024-01-05".parse::<NaiveDate>().unwrap() - Days::new(363);
    assert!(statistics.low.1 >= first && statistics.low.1 < first + Days::new(7), "{:?}", statistics.low);
    assert_eq!(statistics.volume_sessions, 20);
    let mean = days.iter().rev().take(20).map(|day| day.volume.0).sum::<i64>() / 20;
    assert_eq!(statistics.average_volume, Some(Volume(mean)));
    let change = statistics.change.unwrap().to_f64();
    assert!((change - (last.close.to_f64() / days[days.len() - 2].close.to_f64() - 1.0)).abs() < 1e-12);
}

#[test]
fn a_session_in_progress_is_in_the_range_and_not_in_the_volume() {
    let mut days = days("2024-01-03", "2024-01-05");
    let last = days.last_mut().unwrap();
    last.close_ns -= 3_600 * E9;
    last.volume = Volume(1);
    let statistics = KeyStatistics::of(&days, Calendar::xnys()).unwrap();
    assert_eq!((statistics.days, statistics.volume_sessions), (3, 2));
    assert_eq!(statistics.average_volume, Some(Volume(1_500)));
}

#[test]
fn what_is_not_known_is_absent() {
    assert_eq!(KeyStatistics::of(&[], Calendar::xnys()), None);
    let mut day = days("2024-01-05", "2024-01-05");
    day[0].close_ns -= 1;
    let statistics = KeyStatistics::of(&day, Calendar::xnys()).unwrap();
    assert_eq!((statistics.change, statistics.average_volume), (None, None));
}
