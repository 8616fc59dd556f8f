//! Statistics of pairs against statsmodels, and where they are undefined.

use std::fmt::Write as _;
use std::io::Read as _;

use domain::money::Price;
use domain::statistics::{
    Criterion, Deterministic, LeastSquares, MeasuredPair, Trend, Undefined, dickey_fuller, engle_granger,
    half_life, hurst_exponent, johansen, normal_cdf, spread_of,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::reference;

type Pair = (Vec<f64>, Vec<f64>);

/// Steps of a random walk that starts at `start`.
fn walk(random: &mut ChaCha8Rng, rows: usize, start: f64, step: f64) -> Vec<f64> {
    let mut next = |level: &mut f64| {
        *level += random.random_range(-step..step);
        Some(*level)
    };
    std::iter::repeat_n((), rows).scan(start, |level, ()| next(level)).collect()
}

/// A walk, and a series that keeps coming back to `ratio` times it; without a pull it wanders on its own.
fn made(seed: u64, rows: usize, ratio: f64, pull: f64) -> Pair {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let second = walk(&mut random, rows, 4.0, 0.02);
    let mut gap = 0.0;
    let mut first = Vec::new();
    for level in &second {
        gap += -pull * gap + random.random_range(-0.02..0.02);
        first.push(1.0 + ratio * level + gap);
    }
    (first, second)
}

/// Logarithms of the recorded closes of a symbol by start of the bar.
fn recorded(symbol: &str) -> Vec<(String, f64)> {
    let file = std::fs::File::open(reference::data(&format!("bars-1h-{symbol}.csv.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let row = |line: &str| {
        let fields: Vec<_> = line.split(',').collect();
        (fields[2].to_owned(), fields[6].parse::<f64>().unwrap().ln())
    };
    text.lines().skip(1).map(row).collect()
}

/// `rows` bars of two symbols from the bar number `from` of the first on, where both have one.
fn recorded_pair(first: &str, second: &str, from: usize, rows: usize) -> Pair {
    let second: std::collections::BTreeMap<_, _> = recorded(second).into_iter().collect();
    let matched =
        recorded(first).into_iter().filter_map(|(start, first)| Some((first, *second.get(&start)?)));
    matched.skip(from).take(rows).unzip()
}

fn pairs() -> Vec<Pair> {
    let mut pairs: Vec<Pair> = [
        (1, 250, 0.8, 0.1),
        (2, 250, 0.8, 0.0),
        (3, 1_000, 1.5, 0.03),
        (4, 1_000, -0.6, 0.2),
        (5, 37, 1.0, 0.3),
        (6, 60, 0.5, 0.0),
        (7, 1_500, 1.0, 0.005),
    ]
    .into_iter()
    .map(|(seed, rows, ratio, pull)| made(seed, rows, ratio, pull))
    .collect();
    for (first, second, from, rows) in [
        ("AAPL", "SPY", 100, 500),
        ("IBM", "SPY", 20_000, 1_000),
        ("BAC", "IBM", 33_000, 750),
        ("AAPL", "IBM", 36_000, 1_500),
    ] {
        pairs.push(recorded_pair(first, second, from, rows));
    }
    pairs
}

/// The numbers that `tests/python/pairs.py` prints, in its order, with a name for each.
fn measured(first: &[f64], second: &[f64]) -> Vec<(String, f64)> {
    let mut numbers = Vec::new();
    let mut add = |name: &str, values: &[f64]| {
        numbers.extend(values.iter().enumerate().map(|(index, value)| (format!("{name}[{index}]"), *value)));
    };
    let test = engle_granger(first, second).unwrap();
    add("regression", &[test.hedge_ratio, test.intercept]);
    add("coint", &[test.statistic, test.p_value]);
    add("coint critical", &test.critical);
    for trend in [Trend::None, Trend::Constant, Trend::Linear] {
        for criterion in [Criterion::Aic, Criterion::Bic] {
            let test = dickey_fuller(first, trend, criterion).unwrap();
            let name = format!("adf {trend:?} {criterion:?}");
            add(&name, &[test.statistic, test.p_value, test.lags as f64, test.observations as f64]);
            add(&format!("{name} critical"), &test.critical);
        }
    }
    for deterministic in [Deterministic::None, Deterministic::Constant, Deterministic::Linear] {
        for lags in [0, 1, 4] {
            let test = johansen(first, second, deterministic, lags).unwrap();
            let name = format!("johansen {deterministic:?} {lags}");
            add(&format!("{name} eigenvalues"), &test.eigenvalues);
            add(&format!("{name} trace"), &test.trace);
            add(&format!("{name} maximum"), &test.maximum);
            add(&format!("{name} trace critical"), test.trace_critical.as_flattened());
            add(&format!("{name} maximum critical"), test.maximum_critical.as_flattened());
        }
    }
    add("half-life", &[half_life(&test.residuals).unwrap_or(f64::NAN)]);
    add("hurst", &[hurst_exponent(&test.residuals).unwrap_or(f64::NAN)]);
    numbers
}

#[test]
fn statistics_equal_the_reference() {
    let pairs = pairs();
    let mut input = String::new();
    for (first, second) in &pairs {
        let text = |series: &[f64]| series.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        writeln!(input, "{}|{}", text(first), text(second)).unwrap();
    }
    let output = reference::python("pairs.py", &[], &input);
    assert_eq!(output.lines().count(), pairs.len());
    let mut wrong = Vec::new();
    for (number, ((first, second), line)) in pairs.iter().zip(output.lines()).enumerate() {
        let ours = measured(first, second);
        let theirs: Vec<f64> = line.split(' ').map(|field| field.parse().unwrap()).collect();
        assert_eq!(ours.len(), theirs.len());
        let mut first_of_name = f64::NAN;
        for ((name, ours), theirs) in ours.into_iter().zip(theirs) {
            let absent = ours.is_nan() && theirs.is_nan();
            if name.ends_with("[0]") {
                first_of_name = theirs;
            }
            // The reference finds both eigenvalues from one matrix, the smaller one to digits of the larger.
            let of = if name.starts_with("johansen") { first_of_name } else { theirs };
            let near = (ours - theirs).abs() <= 1e-9 * of.abs();
            if !absent && !near {
                wrong.push(format!("pair {number}, {name}: {ours} instead of {theirs}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_made_pair_is_found_and_two_walks_are_not() {
    let (first, second) = made(11, 1_000, 0.8, 0.1);
    let test = engle_granger(&first, &second).unwrap();
    assert!((test.hedge_ratio - 0.8).abs() < 0.05 && test.p_value < 0.01, "{test:?}");
    // A tenth of the gap goes with every bar: half of it after ln 2 / -ln 0.9 = 6.6.
    assert!((4.0..10.0).contains(&half_life(&test.residuals).unwrap()));
    assert!(hurst_exponent(&test.residuals).unwrap() < 0.4);
    let last = test.residuals.last().unwrap();
    let spread = spread_of(first[999], second[999], test.hedge_ratio, test.intercept);
    assert!((spread - last).abs() < 1e-12);

    let mut random = ChaCha8Rng::seed_from_u64(12);
    let (first, second) = (walk(&mut random, 1_000, 4.0, 0.02), walk(&mut random, 1_000, 4.0, 0.02));
    assert!(engle_granger(&first, &second).unwrap().p_value > 0.05);
    assert!(dickey_fuller(&first, Trend::Constant, Criterion::Aic).unwrap().p_value > 0.05);
}

#[test]
fn what_has_no_answer_says_why() {
    let (first, second) = made(1, 100, 0.8, 0.1);
    let constant = vec![2.0; 100];
    assert_eq!(dickey_fuller(&constant, Trend::Constant, Criterion::Aic), Err(Undefined::Singular));
    assert_eq!(engle_granger(&first, &constant).unwrap_err(), Undefined::Singular);
    assert_eq!(engle_granger(&constant, &first).unwrap_err(), Undefined::Singular);
    assert_eq!(engle_granger(&first, &second[1..]), Err(Undefined::Uneven { first: 100, second: 99 }));
    assert_eq!(engle_granger(&first[..2], &second[..2]), Err(Undefined::TooFew { found: 2, needed: 3 }));
    let one = engle_granger(&second, &second).unwrap();
    assert_eq!((one.statistic, one.p_value), (f64::NEG_INFINITY, 0.0));
    assert_eq!((one.deviation(), half_life(&one.residuals)), (None, None), "what is left is rounding");
    assert_eq!(johansen(&second, &second, Deterministic::Constant, 1), Err(Undefined::Singular));
    assert!(johansen(&first[..8], &second[..8], Deterministic::Constant, 1).is_err());
    let exact = |factor: f64| (0..100).map(|row| factor.powi(row)).collect::<Vec<_>>();
    let without_error = johansen(&exact(0.95), &exact(1.01), Deterministic::Constant, 0);
    assert_eq!(without_error, Err(Undefined::Singular), "no error, no likelihood");
    let mut gap = first.clone();
    gap[50] = f64::NAN;
    assert_eq!(dickey_fuller(&gap, Trend::None, Criterion::Bic), Err(Undefined::NotFinite));
    let rising: Vec<f64> = (0..100).map(f64::from).map(|row| 1.01f64.powf(row)).collect();
    assert_eq!(half_life(&rising), None, "it runs away");
    assert_eq!((half_life(&first[..2]), hurst_exponent(&first[..39])), (None, None));
    assert_eq!(
        LeastSquares::of(vec![vec![1.0]], vec![1.0]).unwrap_err().to_string(),
        "1 observations, expected at least 2"
    );
}

#[test]
fn the_normal_distribution_has_known_values() {
    // Percentiles from Abramowitz and Stegun, table 26.1.
    for (value, expected) in [
        (0.0, 0.5),
        (1.0, 0.841_344_746_068_542_9),
        (-1.0, 0.158_655_253_931_457_05),
        (1.959_963_984_540_054, 0.975),
        (-3.0, 0.001_349_898_031_630_094_6),
        (-6.0, 9.865_876_450_376_98e-10),
    ] {
        let found: f64 = normal_cdf(value);
        assert!((found / expected - 1.0).abs() < 1e-13, "{value}: {found} instead of {expected}");
    }
}

#[test]
fn a_pair_is_measured_where_both_have_a_positive_close() {
    let (first, second) = made(21, 200, 0.8, 0.2);
    let closes = |series: &[f64]| {
        #[expect(clippy::cast_possible_truncation, reason = "prices of some hundred dollars")]
        let close = |(at, log): (i64, &f64)| (at, Price((log.exp() * 1e9).round() as i64));
        (0..).zip(series).map(close).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (one, mut other) = (closes(&first), closes(&second));
    let whole = MeasuredPair::of(&one, &other).unwrap();
    assert_eq!((whole.from_ns, whole.to_ns, whole.statistics.observations), (0, 199, 200));
    let test = ratio_and_score(&first, &second);
    assert!((whole.statistics.hedge_ratio - test.0).abs() < 1e-7);
    assert!((whole.statistics.z_score.unwrap() - test.1).abs() < 1e-5);
    other.remove(&0);
    other.insert(199, Price::ZERO);
    other.insert(500, Price(1));
    let part = MeasuredPair::of(&one, &other).unwrap();
    assert_eq!((part.from_ns, part.to_ns, part.statistics.observations), (1, 198, 198));
    let same = MeasuredPair::of(&one, &one).unwrap().statistics;
    assert_eq!((same.engle_granger.statistic, same.johansen), (None, None), "one series, no spread");
    assert_eq!((same.spread_deviation, same.z_score, same.half_life, same.hurst), (None, None, None, None));
    let doubled: std::collections::BTreeMap<_, _> =
        one.iter().map(|(at, close)| (*at, Price(2 * close.0))).collect();
    let twice = MeasuredPair::of(&one, &doubled).unwrap().statistics;
    assert_eq!((twice.spread_deviation, twice.z_score), (None, None), "twice the other is no spread either");
    other.retain(|at, _| *at > 199);
    assert_eq!(MeasuredPair::of(&one, &other), Err(Undefined::TooFew { found: 0, needed: 3 }));
}

/// Hedge ratio and last z-score of two series.
fn ratio_and_score(first: &[f64], second: &[f64]) -> (f64, f64) {
    let test = engle_granger(first, second).unwrap();
    (test.hedge_ratio, test.residuals.last().unwrap() / test.deviation().unwrap())
}
