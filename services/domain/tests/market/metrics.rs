//! Every measure of a daily series against empyrical-reloaded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;

use chrono::{DateTime, NaiveDate};
use domain::calendar::Calendar;
use domain::money::Amount;
use domain::performance::{
    EquityPoint, EquityStatistics, Relative, daily_equity, deepest_drawdowns, drawdown_episodes, returns,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::reference;

struct Case {
    name: String,
    rate: f64,
    equity: Vec<Amount>,
    benchmark: Vec<Amount>,
}

impl Case {
    fn new(name: &str, rate: f64, equity: Vec<Amount>, benchmark: Vec<Amount>) -> Self {
        Self { name: name.to_owned(), rate, equity, benchmark }
    }

    fn ours(&self) -> BTreeMap<&'static str, Option<f64>> {
        let own = EquityStatistics::of(&self.equity, 1.0, self.rate);
        let relative = match (returns(&self.equity), returns(&self.benchmark)) {
            (Some(own), Some(other)) => Relative::of(&own, &other, self.rate),
            _ => Relative::default(),
        };
        let mut found = BTreeMap::from([
            ("total_return", own.total_return),
            ("cagr", own.cagr),
            ("volatility", own.volatility),
            ("sharpe", own.sharpe),
            ("sortino", own.sortino),
            ("calmar", own.calmar),
            ("omega", own.omega),
            ("max_drawdown", own.max_drawdown),
            ("downside_risk", own.downside_risk),
            ("value_at_risk", own.value_at_risk),
            ("conditional_value_at_risk", own.conditional_value_at_risk),
            ("tail_ratio", own.tail_ratio),
            ("stability", own.stability),
        ]);
        if !self.benchmark.is_empty() {
            found.extend([
                ("alpha", relative.alpha),
                ("beta", relative.beta),
                ("correlation", relative.correlation),
                ("tracking_error", relative.tracking_error),
                ("information_ratio", relative.information_ratio),
                ("up_capture", relative.up_capture),
                ("down_capture", relative.down_capture),
                ("capture_ratio", relative.capture_ratio),
                ("benchmark_cagr", relative.benchmark_cagr),
                ("benchmark_return", relative.benchmark_return),
            ]);
        }
        found
    }
}

/// Compares all cases in one run of the reference; every name that it prints is one of ours and the reverse.
fn check(cases: &[Case]) {
    let mut input = String::new();
    for case in cases {
        let text = |values: &[Amount]| values.iter().map(Amount::to_string).collect::<Vec<_>>().join(" ");
        writeln!(input, "{}|{}|{}", case.rate, text(&case.equity), text(&case.benchmark)).unwrap();
    }
    let output = reference::python("metrics.py", &[], &input);
    assert_eq!(output.lines().count(), cases.len());
    for (case, line) in cases.iter().zip(output.lines()) {
        let mut ours = case.ours();
        for pair in line.split(' ') {
            let (name, theirs) = pair.split_once('=').unwrap();
            let ours = ours.remove(name).unwrap_or_else(|| panic!("{name} is not measured here"));
            let same = match (ours, theirs) {
                (None, "none") => true,
                (Some(_), "none") | (None, _) => false,
                (Some(ours), theirs) => {
                    let theirs: f64 = theirs.parse().unwrap();
                    (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1.0)
                }
            };
            assert!(same, "{}: {name} is {ours:?} instead of {theirs}", case.name);
        }
        assert!(ours.is_empty(), "{}: the reference lacks {ours:?}", case.name);
    }
}

fn whole(values: &[i64]) -> Vec<Amount> {
    values.iter().map(|value| Amount(i128::from(*value) * 1_000_000_000)).collect()
}

fn from_floats(values: impl IntoIterator<Item = f64>) -> Vec<Amount> {
    values.into_iter().map(|value| format!("{value:.9}").parse().unwrap()).collect()
}

/// A random walk from 100,000 with the given daily step and drift.
fn walk(random: &mut ChaCha8Rng, days: usize, step: f64, drift: f64) -> Vec<Amount> {
    let mut value = 100_000.0;
    let mut values = vec![value];
    for _ in 0..days {
        value *= 1.0 + random.random_range(-step..step) + drift;
        values.push(value);
    }
    from_floats(values)
}

#[test]
fn random_series_equal_the_reference() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut cases = Vec::new();
    for (days, step, drift, rate) in [
        (2, 0.01, 0.0, 0.0),
        (3, 0.02, 0.0, 0.01),
        (21, 0.02, 0.001, 0.0),
        (252, 0.01, 0.0005, 0.03),
        (2_520, 0.02, 0.0002, 0.05),
        (2_520, 0.03, -0.001, -0.005),
        (5_000, 0.0001, 0.0, 0.0),
        (60, 0.4, 0.0, 0.1),
    ] {
        let name = format!("{days} days of {step}");
        let (equity, benchmark) =
            (walk(&mut random, days, step, drift), walk(&mut random, days, step, 0.0003));
        cases.push(Case::new(&name, rate, equity, benchmark));
    }
    check(&cases);
}

#[test]
fn edge_cases_are_undefined_where_the_reference_has_no_number() {
    let up = whole(&[100, 101, 103, 104, 108]);
    check(&[
        Case::new("one point", 0.0, whole(&[100]), Vec::new()),
        Case::new("one return", 0.0, whole(&[100, 110]), whole(&[10, 11])),
        Case::new("flat", 0.0, whole(&[100; 30]), whole(&[7; 30])),
        Case::new("flat against a benchmark", 0.02, whole(&[100; 5]), up.clone()),
        Case::new("against a flat benchmark", 0.0, up.clone(), whole(&[3; 5])),
        Case::new("only gains", 0.0, up.clone(), whole(&[5, 4, 3, 2, 1])),
        Case::new("only losses", 0.0, whole(&[100, 90, 80, 70, 50]), up.clone()),
        Case::new("like its benchmark", 0.01, up.clone(), up),
        Case::new("a loss of everything", 0.0, whole(&[100, 50, 0]), whole(&[10, 11, 12])),
    ]);
}

/// Daily closes of a series of the package `backtesting`, as the equity of a hundred shares.
fn packaged(name: &str) -> BTreeMap<NaiveDate, f64> {
    let output = reference::python("metrics.py", &["closes", name], "");
    let pair = |line: &str| {
        let (date, close) = line.split_once(' ').unwrap();
        (date.parse().unwrap(), close.parse::<f64>().unwrap() * 100.0)
    };
    output.lines().map(pair).collect()
}

#[test]
fn bought_and_held_equals_the_reference() {
    let goog = packaged("GOOG");
    assert_eq!(goog.len(), 2_148);
    let euro = packaged("EURUSD");
    // The euro's few months against as many days of GOOG: only the pairing matters.
    let beside: Vec<f64> = goog.values().copied().take(euro.len()).collect();
    let hourly = [hourly("SPY"), hourly("IBM")];
    let common = |of: usize| -> Vec<Amount> {
        hourly[of].iter().filter(|(date, _)| hourly[1 - of].contains_key(*date)).map(|(_, v)| *v).collect()
    };
    check(&[
        Case::new("GOOG daily", 0.0, from_floats(goog.into_values()), Vec::new()),
        Case::new("EURUSD hourly", 0.02, from_floats(euro.into_values()), from_floats(beside)),
        Case::new("SPY hourly against IBM", 0.01, common(0), common(1)),
    ]);
}

/// Session closes of a recorded hourly series.
fn hourly(symbol: &str) -> BTreeMap<NaiveDate, Amount> {
    let file = std::fs::File::open(reference::data(&format!("bars-1h-{symbol}.csv.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let point = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let start = DateTime::parse_from_rfc3339(fields[2]).unwrap().timestamp_nanos_opt().unwrap();
        EquityPoint { time_ns: start + 3_600_000_000_000, equity: fields[6].parse().unwrap() }
    };
    let points: Vec<EquityPoint> = text.lines().skip(1).map(point).collect();
    let daily = daily_equity(&points, Calendar::xnys()).unwrap().unwrap();
    assert!(daily.closes.len() > 2_000, "{} sessions", daily.closes.len());
    daily.closes.into_iter().map(|close| (close.date, close.equity)).collect()
}

#[test]
fn drawdowns_are_listed_by_depth() {
    let equity = whole(&[100, 90, 95, 100, 120, 60, 80, 130, 129, 128]);
    let episodes = drawdown_episodes(&equity);
    let places: Vec<_> = episodes.iter().map(|d| (d.start, d.trough, d.recovery, d.end)).collect();
    assert_eq!(places, [(0, 1, Some(3), 3), (4, 5, Some(7), 7), (7, 9, None, 9)]);
    let depths: Vec<f64> = deepest_drawdowns(&equity, 2).iter().map(|d| d.depth).collect();
    assert_eq!(depths.len(), 2);
    assert!((depths[0] + 0.5).abs() < 1e-12 && (depths[1] + 0.1).abs() < 1e-12, "{depths:?}");
    assert_eq!(deepest_drawdowns(&whole(&[1, 2, 3]), 5), []);
    assert_eq!(drawdown_episodes(&[]), []);
}
