//! Warnings come when they should and name their numbers; the probabilities equal scipy's.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use analytics::normal::{cumulative, quantile};
use analytics::warnings::{
    GridPoint, Kind, SharpeEvidence, Trials, delay, look_ahead, of_run, parameter_cliff, warm_up,
};
use domain::money::Amount;
use domain::performance::Trade;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::run::run;

/// Output of `tests/python/sharpe_evidence.py` for `input`.
fn python(input: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "tests are told where their tools are")]
    let interpreter = std::env::var("TAPEDECK_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/python/sharpe_evidence.py");
    let mut child =
        Command::new(interpreter).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "sharpe_evidence.py failed; run `make setup-test`");
    String::from_utf8(output.stdout).unwrap()
}

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-3)
}

#[test]
fn probabilities_equal_the_reference() {
    let mut input = String::new();
    let points: Vec<f64> = (-80..=80).map(|step| f64::from(step) / 10.0).collect();
    let shares = [1e-12, 1e-6, 0.001, 0.02, 0.3, 0.5, 0.7, 0.95, 0.999, 0.999_999];
    let line = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
    writeln!(input, "cdf {}\nppf {}", line(&points), line(&shares)).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let mut cases = Vec::new();
    for (days, drift, count, variance) in
        [(30, 0.0, 1, 0.5), (250, 0.001, 10, 0.3), (2_500, 0.0004, 1_000, 1.2), (500, -0.001, 100, 0.01)]
    {
        let returns: Vec<f64> =
            (0..days).map(|_| random.random_range(-0.02..0.02_f64).powi(3) * 2_000.0 + drift).collect();
        writeln!(input, "sharpe {count} {variance} {}", line(&returns)).unwrap();
        cases.push((returns, Trials { count, sharpe_variance_annual: Some(variance) }));
    }
    let output = python(&input);
    let lines: Vec<Vec<f64>> =
        output.lines().map(|line| line.split(' ').map(|value| value.parse().unwrap()).collect()).collect();
    for (point, theirs) in points.iter().zip(&lines[0]) {
        // Relative in the tail as well.
        assert!((cumulative(*point) / theirs - 1.0).abs() < 1e-9, "Φ({point})");
    }
    for (share, theirs) in shares.iter().zip(&lines[1]) {
        assert!(close(quantile(*share), *theirs), "Φ⁻¹({share}) is {} instead of {theirs}", quantile(*share));
    }
    for ((returns, trials), theirs) in cases.iter().zip(&lines[2..]) {
        let ours = SharpeEvidence::of(returns, 0.0, *trials);
        assert!(close(ours.probabilistic.unwrap(), theirs[0]), "{ours:?} instead of {theirs:?}");
        assert!(close(ours.deflated.unwrap(), theirs[1]), "{ours:?} instead of {theirs:?}");
    }
    assert_eq!(SharpeEvidence::of(&[0.01; 20], 0.0, Trials::default()).probabilistic, None);
    assert!(quantile(0.0).is_infinite() && quantile(0.0) < 0.0);
}

#[test]
fn too_little_to_go_by_is_said_with_numbers() {
    let kinds = |trades, days, ambiguous, evidence: &SharpeEvidence| {
        of_run(trades, days, ambiguous, evidence).into_iter().map(|warning| warning.kind).collect::<Vec<_>>()
    };
    let proven =
        SharpeEvidence { probabilistic: Some(0.99), deflated: Some(0.99), luck: Some(0.0), trials: 1 };
    assert_eq!(kinds(30, 252, 0, &proven), []);
    assert_eq!(kinds(29, 251, 3, &proven), [Kind::FewTrades, Kind::ShortHistory, Kind::AmbiguousBars]);
    let tried = SharpeEvidence { deflated: Some(0.4), trials: 100, ..proven };
    assert_eq!(kinds(30, 252, 0, &tried), [Kind::MultipleTesting]);
    let text = &of_run(30, 252, 0, &tried)[0].text;
    assert!(text.contains("100 trials") && text.contains("40.0 %") && text.contains("95 %"), "{text}");
    assert_eq!(kinds(30, 252, 0, &SharpeEvidence { deflated: Some(0.4), ..proven }), [Kind::UnprovenSharpe]);
}

fn grid(values: &[(f64, f64, f64)]) -> Vec<GridPoint> {
    let point = |(fast, slow, value): &(f64, f64, f64)| GridPoint {
        parameters: [("fast".to_owned(), *fast), ("slow".to_owned(), *slow)].into(),
        value: value.is_finite().then_some(*value),
    };
    values.iter().map(point).collect()
}

#[test]
fn a_cliff_is_a_neighbour_that_keeps_less_than_half() {
    // Two steps away, or along two parameters at once, is no neighbour.
    let level =
        [(10.0, 20.0, 2.0), (15.0, 20.0, 1.1), (20.0, 20.0, -5.0), (10.0, 30.0, 1.9), (15.0, 30.0, -5.0)];
    assert_eq!(parameter_cliff(&grid(&level), 0, "sharpe"), None);
    let mut steep = level;
    steep[3].2 = 0.4;
    let found = parameter_cliff(&grid(&steep), 0, "sharpe").unwrap();
    assert_eq!(found.kind, Kind::ParameterCliff);
    assert_eq!(
        found.text,
        "sharpe falls from 2.000 at slow=20 to 0.400 at its neighbour slow=30; less than 50 % is left."
    );
    steep[3].2 = f64::NAN;
    assert!(parameter_cliff(&grid(&steep), 0, "sharpe").unwrap().text.contains("to undefined at"));
    assert_eq!(parameter_cliff(&grid(&steep[..1]), 0, "sharpe"), None, "no neighbours");
    assert_eq!(parameter_cliff(&[], 0, "sharpe"), None);
}

#[test]
fn a_variant_that_differs_is_found() {
    let trades = run(1, "2018-01-02", "2018-12-31").trades;
    let cut = trades[10].exit_ns;
    // Honest: with the data up to the cut come the trades up to the cut.
    let honest = |until: Option<i64>| -> Result<Vec<Trade>, ()> {
        Ok(trades.iter().filter(|trade| until.is_none_or(|until| trade.exit_ns <= until)).cloned().collect())
    };
    assert_eq!(look_ahead(cut, honest), Ok(None));
    let peeking = |until: Option<i64>| -> Result<Vec<Trade>, ()> {
        let mut made = honest(until)?;
        if until.is_some() {
            made[4].quantity.0 += 1;
        }
        Ok(made)
    };
    let found = look_ahead(cut, peeking).unwrap().unwrap();
    assert!(found.kind == Kind::LookAhead && found.text.starts_with("Trade 5 "), "{found:?}");
    assert_eq!(look_ahead(cut, |_| Err("no data")), Err("no data"));

    assert_eq!(warm_up(&trades, &trades), None);
    assert_eq!(warm_up(&trades, &trades[1..]).unwrap().kind, Kind::WarmUp);
    assert!(warm_up(&trades, &trades[..3]).unwrap().text.starts_with("Trade 4 "));

    let scaled = |share: i128| {
        let mut trades = trades.clone();
        trades.iter_mut().for_each(|trade| trade.pnl = Amount(share * 1_000_000_000));
        trades
    };
    assert_eq!(delay(&scaled(10), &scaled(6)), None);
    assert_eq!(delay(&scaled(10), &scaled(4)).unwrap().kind, Kind::DelaySensitive);
    assert_eq!(delay(&scaled(-1), &scaled(-9)), None, "there was no profit to lose");
}
