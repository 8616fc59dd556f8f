//! Longer bars: against the definition, at sessions' ends, and what cannot be made longer.

use domain::bar::{Bar, Timeframe};
use domain::calendar::{Calendar, Market};
use domain::money::{Price, Volume};
use domain::series::BarSeries;
use history::resample;
use proptest::prelude::*;

use crate::support::{bar_files, bars, load, time};

/// One-minute bars of the sessions of some dates, with prices that follow from a number.
fn minutes(market: Market, dates: &[&str], seed: i64) -> BarSeries {
    let mut bars = Vec::new();
    for date in dates {
        let session = market.calendar().session(date.parse().unwrap()).unwrap().unwrap();
        for minute in 0..(session.close_ns - session.open_ns) / 60_000_000_000 {
            let start_ns = session.open_ns + minute * 60_000_000_000;
            let open = 100 + (minute * 7 + seed) % 13;
            let close = 100 + (minute * 5 + seed) % 11;
            bars.push(Bar {
                start_ns,
                close_ns: start_ns + 60_000_000_000,
                open: Price(open * 1_000_000_000),
                high: Price(open.max(close) * 1_000_000_000),
                low: Price(open.min(close) * 1_000_000_000),
                close: Price(close * 1_000_000_000),
                volume: Volume(minute + 1),
            });
        }
    }
    BarSeries::of("test", "X", Timeframe::M1, &bars)
}

#[test]
fn a_day_is_a_session() {
    // The day after Thanksgiving closes at 13:00.
    let minutes = minutes(Market::Xnys, &["2020-11-25", "2020-11-27"], 0);
    let days = bars(&resample(&minutes, Timeframe::D1, Calendar::xnys()).unwrap());
    let told: Vec<String> =
        days.iter().map(|bar| format!("{} {}", time(bar.start_ns), time(bar.close_ns))).collect();
    assert_eq!(
        told,
        ["2020-11-25T14:30:00Z 2020-11-25T21:00:00Z", "2020-11-27T14:30:00Z 2020-11-27T18:00:00Z"]
    );
    assert_eq!(days[1].volume, Volume((1..=210).sum()));
}

#[test]
fn hours_lie_on_the_clock_and_do_not_cross_sessions() {
    let minutes = minutes(Market::Xnys, &["2020-11-25", "2020-11-27"], 3);
    let hours = bars(&resample(&minutes, Timeframe::H1, Calendar::xnys()).unwrap());
    let starts: Vec<String> = hours.iter().map(|bar| time(bar.start_ns)[8..16].to_owned()).collect();
    assert_eq!(
        starts,
        [
            "25T14:00", "25T15:00", "25T16:00", "25T17:00", "25T18:00", "25T19:00", "25T20:00", "27T14:00",
            "27T15:00", "27T16:00", "27T17:00"
        ]
    );
    assert_eq!(hours[0].volume, Volume((1..=30).sum()), "half an hour of trading");
}

#[test]
fn a_currency_day_ends_at_five_in_new_york() {
    let minutes = minutes(Market::TwentyFourFive, &["2018-03-09", "2018-03-12"], 1);
    let days = bars(&resample(&minutes, Timeframe::D1, Market::TwentyFourFive.calendar()).unwrap());
    let closes: Vec<String> = days.iter().map(|bar| time(bar.close_ns)).collect();
    // The last hour of the week is Friday's.
    assert_eq!(closes, ["2018-03-09T23:00:00Z", "2018-03-12T21:00:00Z"]);
}

#[test]
fn real_hours_make_real_days() {
    let loaded = load(&bar_files()[..1]);
    let days = resample(&loaded.data.series[0], Timeframe::D1, Calendar::xnys()).unwrap();
    let sums = |series: &BarSeries| series.volume.values().iter().sum::<i64>();
    assert!(sums(&days) <= sums(&loaded.data.series[0]));
    for bar in bars(&days) {
        let session = Calendar::xnys().session_at(bar.start_ns).unwrap().unwrap();
        assert_eq!((bar.start_ns, bar.close_ns), (session.open_ns, session.close_ns));
        assert!(bar.low <= bar.open.min(bar.close) && bar.open.max(bar.close) <= bar.high);
    }
}

#[test]
fn shorter_bars_are_not_invented() {
    let hours =
        resample(&minutes(Market::Xnys, &["2020-11-25"], 0), Timeframe::H1, Calendar::xnys()).unwrap();
    let error = resample(&hours, Timeframe::M5, Calendar::xnys()).unwrap_err().to_string();
    assert_eq!(error, "X: bars of 1h cannot be made into bars of 5m, expected a longer timeframe");
    let night =
        BarSeries::of("test", "X", Timeframe::M1, &[Bar { start_ns: 0, close_ns: 1, ..bars(&hours)[0] }]);
    assert!(resample(&night, Timeframe::D1, Market::Xnys.calendar()).is_err());
}

proptest! {
    /// Made longer in two steps is made longer in one, and nothing is lost.
    #[test]
    fn steps_do_not_matter(seed in 0_i64..1_000, kept in proptest::collection::vec(any::<bool>(), 390)) {
        let all = bars(&minutes(Market::Xnys, &["2020-11-25"], seed));
        let some: Vec<Bar> = all.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(bar, _)| *bar).collect();
        let minutes = BarSeries::of("test", "X", Timeframe::M1, &some);
        let to = |series: &BarSeries, timeframe| resample(series, timeframe, Calendar::xnys()).unwrap();
        for pair in [Timeframe::M5, Timeframe::M15, Timeframe::M30, Timeframe::H1, Timeframe::D1].windows(2) {
            let at_once = to(&minutes, pair[1]);
            prop_assert_eq!(bars(&to(&to(&minutes, pair[0]), pair[1])), bars(&at_once));
            let volume = |series: &BarSeries| series.volume.values().iter().sum::<i64>();
            prop_assert_eq!(volume(&at_once), volume(&minutes));
        }
    }
}
