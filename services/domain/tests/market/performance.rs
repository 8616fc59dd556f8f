//! Performance measures against empyrical-reloaded, and where they are undefined.

use std::fmt::Write;

use chrono::{DateTime, NaiveDate};
use domain::calendar::Calendar;
use domain::money::Amount;
use domain::performance::{
    EquityPoint, Performance, annual_volatility, daily_equity, drawdowns, returns, sharpe,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::reference;

fn amount(text: &str) -> Amount {
    text.parse().unwrap()
}

fn amounts(values: &[i64]) -> Vec<Amount> {
    values.iter().map(|value| Amount(i128::from(*value) * 1_000_000_000)).collect()
}

/// Equity that moves by up to `step` a day, in whole cents, never below one unit.
fn random_equity(seed: u64, days: usize, step: f64, drift: f64) -> Vec<Amount> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut cents = 10_000_000_i64;
    let mut equity = vec![cents];
    for _ in 0..days {
        let change = random.random_range(-step..step) + drift;
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of cents is wanted")]
        let moved = (cents as f64 * (1.0 + change)).round() as i64;
        cents = moved.max(100);
        equity.push(cents);
    }
    equity.into_iter().map(|cents| Amount(i128::from(cents) * 10_000_000)).collect()
}

#[test]
fn measures_equal_the_reference() {
    let mut series = Vec::new();
    for (seed, days, step, drift, rate) in [
        (1, 2, 0.01, 0.0, 0.0),
        (2, 252, 0.01, 0.0005, 0.0),
        (3, 2_520, 0.02, 0.0, 0.03),
        (4, 2_520, 0.03, -0.001, 0.05),
        (5, 5_000, 0.0001, 0.0, -0.005),
        (6, 60, 0.4, 0.0, 0.1),
        (7, 30, 0.001, 0.002, 0.0),
    ] {
        series.push((rate, random_equity(seed, days, step, drift)));
    }
    let mut input = String::new();
    for (rate, equity) in &series {
        write!(input, "{rate}").unwrap();
        equity.iter().for_each(|value| write!(input, " {value}").unwrap());
        input.push('\n');
    }
    let output = reference::python("performance.py", &[], &input);
    assert_eq!(output.lines().count(), series.len());
    for ((rate, equity), line) in series.iter().zip(output.lines()) {
        let ours = Performance::of(equity, *rate);
        let ours =
            [ours.total_return, ours.max_drawdown, ours.annual_volatility, ours.sharpe].map(Option::unwrap);
        for (ours, theirs) in ours.into_iter().zip(line.split(' ')) {
            let theirs: f64 = theirs.parse().unwrap();
            assert!(
                (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0),
                "{ours} instead of {theirs}: {line}"
            );
        }
    }
}

#[test]
fn an_undefined_number_is_absent() {
    let nothing = Performance {
        total_return: None,
        drawdown: None,
        max_drawdown: None,
        annual_volatility: None,
        sharpe: None,
    };
    assert_eq!(Performance::of(&[], 0.0), nothing);
    assert_eq!(Performance::of(&amounts(&[100]), 0.0), Performance { drawdown: Some(0.0), ..nothing });
    assert_eq!(Performance::of(&amounts(&[0, 100, 200]), 0.0), nothing, "a return on nothing");
    let two = Performance::of(&amounts(&[100, 110]), 0.0);
    assert!(two.total_return.is_some() && two.annual_volatility.is_none() && two.sharpe.is_none());
    let flat = Performance::of(&amounts(&[100, 100, 100]), 0.0);
    assert_eq!((flat.annual_volatility, flat.sharpe), (Some(0.0), None), "no deviation to divide by");
    let steady: Vec<_> =
        std::iter::successors(Some(amount("100")), |equity| equity.times_e9(1_100_000_000)).take(9).collect();
    assert_eq!(Performance::of(&steady, 0.0).sharpe, None, "the deviation is only rounding");
    assert_eq!(sharpe(&[0.01, -0.01], -1.0), None);
    assert_eq!(sharpe(&[0.01, f64::NAN], 0.0), None);
    assert_eq!(annual_volatility(&[0.01]), None);
}

#[test]
fn a_loss_of_everything_is_measured_until_it_divides() {
    let lost = Performance::of(&amounts(&[100, 50, 0]), 0.0);
    assert_eq!((lost.total_return, lost.max_drawdown, lost.drawdown), (Some(-1.0), Some(-1.0), Some(-1.0)));
    assert!(lost.sharpe.is_some());
    assert_eq!(returns(&amounts(&[100, 0, 50])), None);
}

#[test]
fn drawdown_starts_at_the_starting_equity() {
    let series = amounts(&[100, 80, 90, 120, 60, 120]);
    let expected = [0.0, -0.2, -0.1, 0.0, -0.5, 0.0];
    for (ours, expected) in drawdowns(&series).unwrap().into_iter().zip(expected) {
        assert!((ours - expected).abs() < 1e-12);
    }
    let measured = Performance::of(&series, 0.0);
    assert_eq!((measured.max_drawdown, measured.drawdown), (Some(-0.5), Some(0.0)));
}

proptest! {
    #[test]
    fn doubling_the_money_changes_no_measure(values in prop::collection::vec(1..1_000_000_i64, 2..50)) {
        let doubled: Vec<i64> = values.iter().map(|value| value * 2).collect();
        prop_assert_eq!(Performance::of(&amounts(&values), 0.0), Performance::of(&amounts(&doubled), 0.0));
    }

    #[test]
    fn drawdowns_lie_between_all_and_nothing(values in prop::collection::vec(1..1_000_000_i64, 2..50)) {
        let series = drawdowns(&amounts(&values)).unwrap();
        prop_assert!(series.iter().all(|drawdown| (-1.0..=0.0).contains(drawdown)));
        let lowest = Performance::of(&amounts(&values), 0.0).max_drawdown.unwrap();
        prop_assert!(series.contains(&lowest));
        prop_assert_eq!(lowest < 0.0, values.windows(2).any(|pair| pair[1] < pair[0]));
    }
}

fn curve(points: &[(&str, i64)]) -> Vec<EquityPoint> {
    let point = |(time, value): &(&str, i64)| EquityPoint {
        time_ns: DateTime::parse_from_rfc3339(time).unwrap().timestamp_nanos_opt().unwrap(),
        equity: amounts(&[*value])[0],
    };
    points.iter().map(point).collect()
}

/// Daily closes as (date, whole units).
fn closes(points: &[(&str, i64)]) -> Vec<(String, i128)> {
    let daily = daily_equity(&curve(points), Calendar::xnys()).unwrap().unwrap();
    let series = daily.values();
    assert_eq!(series.len(), daily.closes.len() + 1);
    assert_eq!(series[0], amounts(&[points[0].1])[0]);
    daily.closes.iter().map(|close| (close.date.to_string(), close.equity.0 / 1_000_000_000)).collect()
}

#[test]
fn a_day_ends_with_its_session() {
    let points = [
        ("2020-11-25T09:30:00-05:00", 100),
        ("2020-11-25T15:00:00-05:00", 101),
        ("2020-11-25T16:00:00-05:00", 102),
        // Thanksgiving has no session; Friday closes at 13:00.
        ("2020-11-27T13:00:00-05:00", 103),
        ("2020-11-27T14:00:00-05:00", 104),
        // Nothing is marked on Monday; Tuesday is in progress at the end.
        ("2020-12-01T10:30:00-05:00", 105),
    ];
    let day = |date: &str, value| (date.to_owned(), value);
    let expected = [day("2020-11-25", 102), day("2020-11-27", 103), day("2020-11-30", 104)];
    assert_eq!(closes(&points), expected);
    assert_eq!(closes(&points[..3]), expected[..1], "reached its close");
    assert_eq!(closes(&points[..2]), [], "in progress");
}

#[test]
fn a_curve_can_be_empty_or_unknown() {
    let calendar = Calendar::xnys();
    assert_eq!(daily_equity(&[], calendar), Ok(None));
    let unknown = daily_equity(&curve(&[("2035-01-02T10:00:00-05:00", 1)]), calendar).unwrap_err();
    assert_eq!(unknown.asked, NaiveDate::from_ymd_opt(2035, 1, 2).unwrap());
}
