//! Properties of every indicator of the catalogue: memory, splits, digits after long series; refusals; and
//! that the documentation names them all.

use domain::bar::Bar;
use domain::calendar::Calendar;
use domain::corporate_action::{CorporateAction, Effect, SplitRatio, adjust_as_of};
use domain::indicator::catalogue::{self, Entry, Recorded, Study, walk};
use domain::money::{Price, Volume};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000_000;
/// 2020-01-06T00:00Z.
const START: i64 = 1_578_268_800_000_000_000;

/// A random walk with bars of some height; `scale` is the price at each bar, in cents.
fn walk_of(seed: u64, count: usize, scale: impl Fn(usize) -> i64) -> Vec<Bar> {
    const CENT: i64 = 10_000_000;
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut draw = |below: i64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(state >> 33).unwrap() % below
    };
    (0..count)
        .map(|number| {
            let base = scale(number);
            let price = |draw: i64| Price((base * 1_000 + draw) * CENT / 1_000);
            let mut prices = [0; 4].map(|_| price(draw(base * 50)));
            prices.sort_unstable();
            let [low, open, close, high] = prices;
            let (open, close) = if draw(2) == 0 { (open, close) } else { (close, open) };
            let start_ns = START + i64::try_from(number).unwrap() * HOUR;
            let volume = Volume(1_000 * (1 + draw(100_000)));
            Bar { start_ns, close_ns: start_ns + HOUR, open, high, low, close, volume }
        })
        .collect()
}

/// Parameters short enough for short series.
fn short(entry: &Entry, length: usize) -> Vec<(&'static str, String)> {
    let mut offset = 0;
    entry
        .parameters
        .iter()
        .filter(|parameter| parameter.unit == "bars" && parameter.name != "periods")
        .map(|parameter| {
            offset += 1;
            (parameter.name, (length + offset).to_string())
        })
        .collect()
}

fn built(entry: &'static Entry, length: usize) -> Box<dyn Study> {
    entry.build(&short(entry, length)).unwrap()
}

/// The figures after all of `own` and `other`.
fn after(entry: &'static Entry, length: usize, own: &[Bar], other: &[Bar]) -> Vec<Option<f64>> {
    let mut study = built(entry, length);
    let mut last = Vec::new();
    let (own, other) = (Recorded { bars: own, actions: &[] }, Recorded { bars: other, actions: &[] });
    walk(study.as_mut(), own, other, Calendar::xnys(), |_, figures| last = figures.to_vec()).unwrap();
    last
}

fn is_recursive(study: &dyn Study) -> bool {
    // Only the directional indicators have figures of different age; their recursion settles far later.
    study.settled() != Some(study.warm_up())
}

/// Equal to `digits` of the larger one, or of `magnitude` where both are smaller.
fn near(left: &[Option<f64>], right: &[Option<f64>], digits: f64, magnitude: f64) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| match (left, right) {
            (Some(left), Some(right)) => {
                (left - right).abs() <= digits * left.abs().max(right.abs()).max(magnitude)
            }
            (None, None) => true,
            _ => false,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Nothing before the warm-up, a value from then on, and for a window the very same one whatever came before.
    #[test]
    fn a_window_is_what_it_holds(seed in any::<u64>(), length in 2..12_usize, extra in 0..60_usize) {
        for entry in catalogue::entries() {
            let study = built(entry, length);
            let count = study.warm_up();
            let own = walk_of(seed, count + extra, |_| 10_000);
            let other = walk_of(seed ^ 1, count + extra, |_| 5_000);
            let (own_tail, other_tail) = (&own[extra..], &other[extra..]);
            let fresh = after(entry, length, own_tail, other_tail);
            prop_assert!(fresh.iter().any(Option::is_some), "{}: {fresh:?}", entry.name);
            let before = after(entry, length, &own_tail[1..], &other_tail[1..]);
            prop_assert!(before.iter().all(Option::is_none), "{}: {before:?}", entry.name);
            if !is_recursive(study.as_ref()) {
                prop_assert_eq!(&fresh, &after(entry, length, &own, &other), "{}", entry.name);
            }
        }
    }

    /// A recursion has forgotten what lies before the bars it states.
    #[test]
    fn a_recursion_settles(seed in any::<u64>(), length in 2..5_usize, extra in 1..200_usize) {
        for entry in catalogue::entries() {
            let study = built(entry, length);
            let Some(count) = study.settled().filter(|_| is_recursive(study.as_ref())) else { continue };
            let own = walk_of(seed, count + extra, |_| 10_000);
            let (long, settled) = (after(entry, length, &own, &own), after(entry, length, &own[extra..], &own));
            // Volumes are sums of some million shares, prices about a hundred dollars.
            let magnitude = if entry.unit == "shares" { 1e7 } else { 1.0 };
            prop_assert!(near(&long, &settled, 1e-9, magnitude), "{}: {long:?} {settled:?}", entry.name);
        }
    }

    /// An indicator that lived through splits equals one that is warmed up on adjusted history.
    #[test]
    fn a_split_on_the_way_equals_adjusted_history(
        seed in any::<u64>(), length in 2..8_usize, (new, old) in (1..8_i64, 1..8_i64), day in 3..8_u64,
    ) {
        let split = CorporateAction {
            ex_date: "2020-01-06".parse::<chrono::NaiveDate>()? + chrono::Days::new(day),
            effect: Effect::Split(SplitRatio::from_terms(new, old)?),
        };
        let calendar = Calendar::xnys();
        let effective = calendar.start_of(split.ex_date);
        // What trades at a hundred dollars before trades at a hundred · old / new afterwards.
        let own = walk_of(seed, 300, |number| {
            let close = START + (i64::try_from(number).unwrap() + 1) * HOUR;
            if close > effective { 10_000 * old / new } else { 10_000 }
        });
        let other = walk_of(seed ^ 1, 300, |_| 5_000);
        let adjusted = adjust_as_of(&own, &[split], calendar, own[299].close_ns)?;
        for entry in catalogue::entries() {
            let mut study = built(entry, length);
            let (mut lived, mut row) = (Vec::new(), 0);
            let recorded = Recorded { bars: &own, actions: &[split] };
            let against = Recorded { bars: &other, actions: &[] };
            walk(study.as_mut(), recorded, against, calendar, |_, figures| lived.push(figures.to_vec()))?;
            let mut other_study = built(entry, length);
            let recorded = Recorded { bars: &adjusted, actions: &[] };
            let mut failure = None;
            walk(other_study.as_mut(), recorded, against, calendar, |bar, figures| {
                let magnitude = if entry.unit == "shares" { 1e7 } else { 100.0 };
                if bar.close_ns > effective && !near(&lived[row], figures, 1e-6, magnitude) {
                    failure.get_or_insert((row, lived[row].clone(), figures.to_vec()));
                }
                row += 1;
            })?;
            prop_assert!(failure.is_none(), "{}: {failure:?}", entry.name);
        }
    }
}

/// After 40,000 bars from 100,000 dollars down to a cent, sums still hold the last bars and nothing else.
#[test]
fn digits_survive_long_series_and_changes_of_scale() {
    let scale = |number: usize| [10_000_000, 100, 3_000_000, 1][number / 10_000];
    let (own, other) = (walk_of(7, 40_000, scale), walk_of(8, 40_000, |number| scale(39_999 - number)));
    for entry in catalogue::entries() {
        let study = built(entry, 20);
        if is_recursive(study.as_ref()) {
            continue;
        }
        let from = own.len() - study.warm_up();
        let fresh = after(entry, 20, &own[from..], &other[from..]);
        assert_eq!(fresh, after(entry, 20, &own, &other), "{}", entry.name);
        assert!(fresh.iter().all(Option::is_some), "{}", entry.name);
    }
}

/// Where nothing moves, nothing is oversold: what has no value is absent.
#[test]
fn what_is_undefined_is_absent() {
    let still = vec![Bar { volume: Volume(0), ..walk_of(1, 1, |_| 100)[0] }; 400];
    let flat: Vec<Bar> = still
        .iter()
        .zip(0_i64..)
        .map(|(bar, number)| Bar {
            open: bar.close,
            high: bar.close,
            low: bar.close,
            start_ns: START + number * HOUR,
            close_ns: START + (number + 1) * HOUR,
            ..*bar
        })
        .collect();
    for name in [
        "rsi", "stoch", "stochf", "stochrsi", "willr", "cci", "mfi", "ultosc", "adx", "vwap", "zscore",
        "beta", "correl",
    ] {
        let entry = catalogue::find(name).unwrap();
        let figures = after(entry, 5, &flat, &flat);
        assert!(figures.iter().all(Option::is_none), "{name}: {figures:?}");
    }
}

#[test]
fn bad_requests_say_what_is_expected() {
    let refused = |text: &str| {
        let built = text.parse::<catalogue::Request>().and_then(|request| request.build());
        built.unwrap_err().to_string()
    };
    assert_eq!(refused("smaa"), "indicator \"smaa\", expected one of the catalogue; did you mean sma?");
    assert!(refused("bollinger").ends_with("did you mean bbands?"));
    assert!(refused("qqqqqqqq").starts_with("indicator \"qqqqqqqq\", expected one of sma, ema, "));
    assert_eq!(
        refused("rsi:length=1"),
        "parameter `length` is \"1\", expected a whole number from 2 to 100000"
    );
    assert_eq!(
        refused("bbands:above=wide"),
        "parameter `above` is \"wide\", expected a decimal number from 0 to 1000"
    );
    assert_eq!(refused("bbands:above=NaN").split(',').next(), Some("parameter `above` is \"NaN\""));
    assert_eq!(
        refused("vwap:anchor=week"),
        "parameter `anchor` is \"week\", expected one of session, series, rolling"
    );
    assert_eq!(refused("macd:fast=30"), "parameter `fast` is \"30\", expected less than `slow`, which is 26");
    assert_eq!(refused("sma:period=3"), "parameter \"period\" of sma, expected one of length");
    assert_eq!(refused("sma:length=3,length=4"), "parameter \"length\" is stated twice, expected once");
    assert!(refused("sma:3").starts_with("indicator \"sma:3\", expected NAME or NAME:key=value"));
    assert!(refused("").starts_with("indicator \"\", expected NAME"));
    assert!("RSI:length=3".parse::<catalogue::Request>().unwrap().build().is_ok());
}

#[test]
fn every_default_builds_and_names_its_figures() {
    for entry in catalogue::entries() {
        let study = catalogue::build(entry.name, &[] as &[(&str, &str)]).unwrap();
        assert_eq!(study.outputs(), entry.outputs, "{}", entry.name);
        assert_eq!(entry.warm_up(), Some(study.warm_up()), "{}", entry.name);
        assert!(study.settled().is_none_or(|settled| settled >= study.warm_up()), "{}", entry.name);
    }
}

#[test]
fn the_documentation_names_every_indicator() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/indicators.md");
    let page = std::fs::read_to_string(page).unwrap();
    for entry in catalogue::entries() {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", entry.name)));
        let row = row.unwrap_or_else(|| panic!("docs/indicators.md has no row for {}", entry.name));
        for parameter in entry.parameters {
            let stated = format!("`{}={}`", parameter.name, parameter.default);
            assert!(row.contains(&stated), "{}: its row does not say {stated}", entry.name);
        }
        for output in entry.outputs.iter().filter(|output| **output != "value") {
            assert!(row.contains(output), "{}: its row does not say {output}", entry.name);
        }
        let warm_up = entry.warm_up().unwrap();
        assert!(
            row.contains(&format!("| {warm_up} |")),
            "{}: its row does not say {warm_up} bars",
            entry.name
        );
    }
}
