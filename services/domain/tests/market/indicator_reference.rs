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

fn price(value: f64) -> Price {
    // The reference reads decimals; the nearest billionth is the number that was written.
    Price((value * 1e9).round() as i64)
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
        let [open, high, low, close] = prices.map(|column| price(columns[column][row]));
        let start_ns = columns[6][row] as i64;
        let volume = Volume((columns[4][row] * 1e3).round() as i64);
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
        ("roc" | "ppo" | "trix" | "volatility" | "zscore" | "correl" | "beta", _) => 1e-3,
        ("obv" | "ad" | "adosc", _) => cumulated,
        _ => 0.0,
    }
}

fn compare(reference: &Reference) {
    let mut differences = Vec::new();
    let mut undefined: BTreeMap<&str, usize> = BTreeMap::new();
    for (request, expected) in &reference.figures {
        let parsed: Request = request.parse().unwrap();
        let entry = catalogue::find(&parsed.name).unwrap();
        let mut study = parsed.build().unwrap();
        let names: Vec<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, study.outputs(), "{request}");
        let mut out = vec![None; names.len()];
        let mut traded = 0.0;
        let mut worst = (0.0, 0, 0.0, 0.0, "");
        let mut first = vec![None; names.len()];
        for (row, bar) in reference.bars.iter().enumerate() {
            traded += bar.volume.to_f64();
            study.update(bar, entry.against.then(|| &reference.against[row]));
            study.values(&mut out);
            for (index, (name, column)) in expected.iter().enumerate() {
                let theirs = column[row];
                let Some(ours) = out[index] else {
                    if first[index].is_some() && !theirs.is_nan() {
                        *undefined.entry(entry.name).or_default() += 1;
                    }
                    continue;
                };
                first[index].get_or_insert(row);
                let scale = magnitude(entry.name, name, &reference.bars, row, traded).max(theirs.abs());
                let error =
                    if theirs.is_nan() { f64::INFINITY } else { (ours - theirs).abs() / scale.max(1e-300) };
                let error = if ours == theirs { 0.0 } else { error };
                if error > worst.0 {
                    worst = (error, row, ours, theirs, name);
                }
            }
        }
        if worst.0 > 1e-9 {
            differences.push(format!("{request}: {worst:?}"));
        }
        for (index, (name, column)) in expected.iter().enumerate() {
            let theirs = column.iter().position(|value| !value.is_nan());
            if first[index] != theirs {
                differences.push(format!("{request} {name}: first value at {:?}, {theirs:?}", first[index]));
            }
        }
        let earliest = first.iter().flatten().min();
        if earliest.map(|row| row + 1) != Some(study.warm_up()) {
            differences.push(format!("{request}: warm-up {}, first value at {earliest:?}", study.warm_up()));
        }
    }
    println!("undefined: {undefined:?}");
    assert!(
        differences.is_empty(),
        "request: (error, row, ours, reference, figure)\n{}",
        differences.join("\n")
    );
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
