//! Every indicator of the catalogue against TA-Lib, or a numpy and pandas restatement where TA-Lib has none.

use std::collections::{BTreeMap, BTreeSet};

use domain::bar::Bar;
use domain::indicator::catalogue::{self, Request};
use domain::money::{Price, Volume};

use crate::reference;

/// Columns before the figures: five of the bars, the second series' close, the start.
const GIVEN: usize = 7;

struct Reference {
    bars: Vec<Bar>,
    against: Vec<Bar>,
    /// Figures by request and name.
    figures: BTreeMap<String, Vec<(String, Vec<f64>)>>,
}

/// The reference reads decimals as floats; the nearest unit is the number that was written.
#[expect(clippy::cast_possible_truncation, reason = "prices, volumes and times fit by far")]
fn units(value: f64, per_one: f64) -> i64 {
    (value * per_one).round() as i64
}

fn read(name: &str, arguments: &[&str]) -> Reference {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("indicators-{name}.bin"));
    let mut all = vec![path.to_str().unwrap()];
    all.extend(arguments);
    let names = reference::python("indicators.py", &all, "");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let names: Vec<(&str, &str)> = names.lines().map(|line| line.split_once('\t').unwrap()).collect();
    let count = bytes.len() / 8 / (GIVEN + names.len());
    let columns: Vec<Vec<f64>> = bytes
        .chunks_exact(8 * count)
        .map(|column| {
            column.chunks_exact(8).map(|value| f64::from_le_bytes(value.try_into().unwrap())).collect()
        })
        .collect();
    assert_eq!(columns.len(), GIVEN + names.len());
    let bar = |row: usize, prices: [usize; 4]| {
        let [open, high, low, close] = prices.map(|column| Price(units(columns[column][row], 1e9)));
        let start_ns = units(columns[6][row], 1.0);
        let volume = Volume(units(columns[4][row], 1e3));
        Bar { start_ns, close_ns: start_ns + 1, open, high, low, close, volume }
    };
    let mut figures: BTreeMap<String, Vec<(String, Vec<f64>)>> = BTreeMap::new();
    for ((request, figure), column) in names.iter().zip(&columns[GIVEN..]) {
        figures.entry((*request).to_owned()).or_default().push(((*figure).to_owned(), column.clone()));
    }
    Reference {
        bars: (0..count).map(|row| bar(row, [0, 1, 2, 3])).collect(),
        against: (0..count).map(|row| bar(row, [5; 4])).collect(),
        figures,
    }
}

/// Figures that are differences of much larger numbers, and of how large ones: 1e-9 is of those.
///
/// A momentum of one cent at a price of 500 dollars has no more digits in TA-Lib than that price has.
fn magnitude(name: &str, figure: &str, bars: &[Bar], row: usize, cumulated: f64) -> f64 {
    let close = bars[row].close.to_f64();
    match (name, figure) {
        ("macd" | "mom" | "stddev", _) | ("linearreg", "slope") => close * 1e-3,
        ("linearreg", "angle") => (close * 1e-3).atan().to_degrees(),
        ("roc" | "ppo" | "trix" | "mfi" | "stoch" | "stochf" | "stochrsi" | "willr", _) => 0.1,
        ("volatility" | "zscore" | "correl" | "beta", _) => 1e-3,
        ("obv" | "ad" | "adosc", _) => cumulated,
        _ => 0.0,
    }
}

/// Compares one indicator, bar by bar; says what differs most.
fn differences(reference: &Reference, request: &str, expected: &[(String, Vec<f64>)]) -> Vec<String> {
    let parsed: Request = request.parse().unwrap();
    let entry = catalogue::find(&parsed.name).unwrap();
    let mut study = parsed.build().unwrap();
    let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, study.outputs(), "{request}");
    let mut found = Vec::new();
    let first =
        expected.iter().filter_map(|(_, column)| column.iter().position(|value| value.is_finite())).min();
    if first != study.warm_up().checked_sub(1) {
        found.push(format!("{request}: warm-up {} bars, the reference begins at {first:?}", study.warm_up()));
    }
    let mut out = vec![None; names.len()];
    let (mut traded, mut worst, mut values) = (0.0, (0.0, 0, 0.0, 0.0, ""), 0);
    for (row, bar) in reference.bars.iter().enumerate() {
        traded += bar.volume.to_f64();
        study.update(bar, entry.against.then(|| &reference.against[row]));
        study.values(&mut out);
        for (ours, (name, column)) in out.iter().zip(expected) {
            let theirs = column[row];
            let Some(ours) = *ours else {
                // What is undefined TA-Lib calls 0, or whatever a division of rounding errors gives.
                if theirs.is_finite() && theirs.abs() > 1e-9 && entry.name != "stochrsi" {
                    found.push(format!("{request} {name}: undefined in row {row}, expected {theirs}"));
                }
                continue;
            };
            values += 1;
            let scale = magnitude(entry.name, name, &reference.bars, row, traded).max(theirs.abs());
            let error = if theirs.is_finite() { (ours - theirs).abs() } else { f64::INFINITY };
            let error = error / scale.max(f64::MIN_POSITIVE);
            if error > worst.0 {
                worst = (error, row, ours, theirs, name);
            }
        }
    }
    // Most: warm-ups are long, and closes stand still for some bars.
    if values * 2 < reference.bars.len() * names.len() {
        found.push(format!("{request}: only {values} values in {} bars", reference.bars.len()));
    }
    if worst.0 > 1e-9 {
        found.push(format!("{request}: {worst:?}"));
    }
    found
}

fn compare(reference: &Reference) {
    let found: Vec<String> = reference
        .figures
        .iter()
        .flat_map(|(request, expected)| differences(reference, request, expected))
        .take(50)
        .collect();
    assert!(found.is_empty(), "request: (error, row, ours, reference, figure)\n{}", found.join("\n"));
}

#[test]
fn daily_bars_equal_the_reference() {
    let reference = read("goog", &["goog"]);
    assert_eq!(reference.bars.len(), 2_148);
    let asked: BTreeSet<&str> =
        reference.figures.keys().map(|request| request.split(':').next().unwrap()).collect();
    let known: BTreeSet<&str> = catalogue::entries().iter().map(|entry| entry.name).collect();
    assert_eq!(asked, known, "every indicator is compared");
    compare(&reference);
}

#[test]
fn hourly_bars_equal_the_reference() {
    for (own, other) in [("AAPL", "IBM"), ("IBM", "AAPL")] {
        let path = |symbol: &str| reference::data(&format!("bars-1h-{symbol}.csv.gz"));
        let (own_path, other_path) = (path(own), path(other));
        let reference = read(own, &[own_path.to_str().unwrap(), other_path.to_str().unwrap()]);
        assert!(reference.bars.len() > 40_000, "{}", reference.bars.len());
        compare(&reference);
    }
}
