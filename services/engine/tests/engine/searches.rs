//! Searches: the same trials on any number of threads; windows that follow each other.

use std::ops::ControlFlow;

use engine::space::{Dimension, Sampler, values};
use engine::{Config, Folds, Outcome, Search, best, sweep, walk_forward};

use crate::setup::{config, market, strategy};

fn space() -> Vec<Dimension> {
    let dimension = |parameter: &str, range: &str| Dimension {
        strategy: "sma_cross".to_owned(),
        parameter: parameter.to_owned(),
        values: values(range).expect("a range"),
    };
    vec![dimension("fast", "2..12:2"), dimension("slow", "10..40:10")]
}

fn measure(_: &Config, outcome: &Outcome) -> (Option<f64>, i128) {
    (Some(outcome.final_equity().to_f64()), outcome.final_equity().0)
}

fn search<'search>(
    space: &'search [Dimension],
    sampler: Sampler,
    threads: usize,
) -> Search<'search, impl Fn(&Config, &Outcome) -> (Option<f64>, i128) + Sync> {
    Search { space, sampler, seed: 1, threads, measure: &measure, watch: &|_, _| ControlFlow::Continue(()) }
}

#[test]
fn threads_change_nothing() {
    let (config, data, space) =
        (config(vec![strategy("sma_cross", "sma_cross", &[])]), market(2, 800, 1), space());
    for sampler in [Sampler::Grid, Sampler::Random { trials: 10 }, Sampler::Tpe { trials: 23 }] {
        let trials = |threads| {
            let trials = sweep(&config, &data, &search(&space, sampler, threads)).expect("it runs");
            trials.into_iter().map(|trial| (trial.point, trial.measured.ok())).collect::<Vec<_>>()
        };
        let one = trials(1);
        assert_eq!(one, trials(3), "{sampler:?}");
        let most =
            if let Sampler::Random { trials } | Sampler::Tpe { trials } = sampler { trials } else { 24 };
        assert_eq!(one.len(), most, "{sampler:?}");
        let mut points: Vec<_> = one.iter().map(|(point, _)| point.clone()).collect();
        points.sort();
        points.dedup();
        assert_eq!(points.len(), most, "no combination twice");
    }
}

#[test]
fn a_combination_that_cannot_be_run_is_told() {
    let (config, data, space) =
        (config(vec![strategy("sma_cross", "sma_cross", &[])]), market(1, 300, 1), space());
    let trials = sweep(&config, &data, &search(&space, Sampler::Grid, 2)).expect("it runs");
    // fast 10 and 12 with slow 10.
    assert_eq!(trials.iter().filter(|trial| trial.measured.is_err()).count(), 2);
    assert!(best(&trials).is_some_and(|trial| trial.measured.is_ok()));
}

#[test]
fn windows_out_of_sample_are_joined() {
    let (config, data, space) =
        (config(vec![strategy("sma_cross", "sma_cross", &[])]), market(2, 1_200, 4), space());
    for anchored in [false, true] {
        let folds = Folds { anchored, in_sample: 60, out_of_sample: 30 };
        let result = walk_forward(&config, &data, folds, &search(&space, Sampler::Grid, 2)).expect("it runs");
        assert_eq!(result.folds.len(), 5, "200 sessions");
        assert!(result.equity.windows(2).all(|pair| pair[0].time_ns < pair[1].time_ns));
        let sum: i128 = result.trades.iter().map(|trade| trade.pnl.0).sum();
        let last = result.equity.last().expect("rows");
        assert_eq!(last.equity.0, config.account.cash.0 + sum);
    }
}

#[test]
fn windows_without_a_run_say_why() {
    let dimension = |parameter: &str, value: &str| Dimension {
        strategy: "sma_cross".to_owned(),
        parameter: parameter.to_owned(),
        values: vec![value.to_owned()],
    };
    let space = [dimension("fast", "12"), dimension("slow", "10")];
    let (config, data) = (config(vec![strategy("sma_cross", "sma_cross", &[])]), market(1, 600, 4));
    let folds = Folds { anchored: false, in_sample: 40, out_of_sample: 30 };
    let result = walk_forward(&config, &data, folds, &search(&space, Sampler::Grid, 2)).expect("it runs");
    assert!(result.folds.iter().all(|fold| fold.chosen.is_none()));
    let why = result.refusal.expect("the reason").to_string();
    assert!(why.contains("expected less than `slow`"), "{why}");
}
