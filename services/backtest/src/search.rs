//! Sweeps and walk-forward tests as recorded runs: the engine's searches, put in rows, checked and told of.

use std::ops::ControlFlow;
use std::sync::Mutex;

use analytics::report::{TrialRow, WindowRow};
use analytics::warnings::Trials;
use contracts::v1::BacktestRequest;
use domain::money::Amount;
use domain::performance::{EquityRow, Trade};
use engine::space::{Dimension, Sampler, configure as with_values};
use engine::{Config, Counts, Folds, Outcome, Search, Trial, WalkForwardError};

use crate::checks::{self, Checked, Tried};
use crate::market::Loaded;
use crate::measure::{Statistics, statistics};
use crate::work::{Job, Progress, Searched, WorkError, bars, single};

fn dimensions(request: &BacktestRequest) -> Vec<Dimension> {
    let ranges = request.search.iter().flat_map(|search| &search.ranges);
    ranges
        .map(|range| Dimension {
            strategy: range.strategy.clone(),
            parameter: range.parameter.clone(),
            values: range.values.clone(),
        })
        .collect()
}

fn sampler(request: &BacktestRequest) -> Sampler {
    let (name, runs) =
        request.search.as_ref().map_or(("grid", 0), |search| (search.sampler.as_str(), search.runs));
    let trials = usize::try_from(runs).unwrap_or(usize::MAX);
    match name {
        "random" => Sampler::Random { trials },
        "tpe" => Sampler::Tpe { trials },
        _ => Sampler::Grid,
    }
}

/// The score that a search maximises, with everything else that was measured and how many signals were denied.
fn measured<'a>(
    request: &'a BacktestRequest,
) -> impl Fn(&Config, &Outcome) -> (Option<f64>, (Statistics, u64)) + Sync + 'a {
    let metric = request.search.as_ref().map_or("sharpe", |search| search.metric.as_str());
    move |config, outcome| {
        // Dates that the calendar does not know are an error of the run itself, which comes first.
        let found = statistics(outcome, config.calendar).unwrap_or_default();
        (found.get(metric).copied().flatten(), (found, outcome.counts.denied_total()))
    }
}

fn named(space: &[Dimension], point: &[usize]) -> Vec<(String, String)> {
    let pairs = space.iter().zip(point);
    pairs
        .map(|(dimension, place)| {
            let value = dimension.values.get(*place).cloned().unwrap_or_default();
            (format!("{}.{}", dimension.strategy, dimension.parameter), value)
        })
        .collect()
}

pub(crate) fn sweep(
    job: Job<'_>,
    config: &Config,
    market: &Loaded,
    watch: &(impl Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<(Outcome, Searched), WorkError> {
    let space = dimensions(job.request);
    let per_run = bars(market);
    let told = |done: usize, all: usize| {
        // The best run comes once more at the end, with its hash.
        let (done, all) = (done as u64, all as u64 + 1);
        watch(Progress {
            done: done as f64 / all as f64,
            bars: done.saturating_mul(per_run),
            total: all.saturating_mul(per_run),
            pnl: Amount::ZERO,
        })
    };
    let search = Search {
        space: &space,
        sampler: sampler(job.request),
        seed: job.request.seed,
        threads: job.threads,
        measure: &measured(job.request),
        watch: &told,
    };
    let trials = engine::sweep(config, &market.data, &search)?;
    let (trials, denied): (Vec<Trial<Statistics>>, Vec<u64>) = trials
        .into_iter()
        .map(|Trial { point, score, measured }| match measured {
            Ok((statistics, denied)) => (Trial { point, score, measured: Ok(statistics) }, denied),
            Err(error) => (Trial { point, score, measured: Err(error) }, 0),
        })
        .unzip();
    let best = engine::best(&trials).ok_or_else(|| {
        let refused = trials.iter().find_map(|trial| trial.measured.as_ref().err());
        unscored(job.request, trials.len(), refused)
    })?;
    let best_point = best.point.clone();
    let chosen = with_values(config, &space, &best_point);
    let mut outcome = single(&chosen, market, &|_| {
        watch(Progress {
            done: trials.len() as f64 / (trials.len() as f64 + 1.0),
            bars: per_run.saturating_mul(trials.len() as u64),
            total: per_run.saturating_mul(trials.len() as u64 + 1),
            pnl: Amount::ZERO,
        })
    })?;
    outcome.counts.bars = outcome.counts.bars.saturating_add(per_run.saturating_mul(trials.len() as u64));
    let mut rows: Vec<TrialRow> = trials
        .iter()
        .zip(denied)
        .map(|(trial, denied)| TrialRow {
            parameters: named(&space, &trial.point),
            score: trial.score,
            statistics: trial.measured.clone().unwrap_or_default(),
            refused: trial.measured.as_ref().err().map(ToString::to_string).unwrap_or_default(),
            denied,
        })
        .collect();
    rows.sort_by(|left, right| order(right.score).total_cmp(&order(left.score)));
    let evidence = evidence(&trials);
    let best = named(&space, &best_point);
    let words: Vec<_> = best.iter().map(|(name, value)| format!("{name} {value}")).collect();
    let mut checked = checks::of_run(&chosen, &market.data)?;
    let metric = metric(job.request);
    let tried = Tried { space: &space, trials: &trials, best: &best_point };
    checked.warnings.extend(checks::cliff_of_search(config, market, &tried, metric)?);
    let searched = Searched {
        runs: trials.len(),
        notes: vec![format!("The best of {} runs: {}.", evidence.count, words.join(", "))],
        evidence,
        checked,
        trials: rows,
        ..Searched::default()
    };
    Ok((outcome, searched))
}

/// What is to be highest.
fn metric(request: &BacktestRequest) -> &str {
    request.search.as_ref().map_or("sharpe", |search| search.metric.as_str())
}

/// A search of which no run can be the best one.
fn unscored(request: &BacktestRequest, runs: usize, refused: Option<&engine::Error>) -> WorkError {
    let why = match refused {
        Some(error) => format!(", the first because {error}"),
        None => format!(
            ": {} is undefined of each; ask for another metric, or for longer windows",
            metric(request)
        ),
    };
    WorkError::Failed(format!("none of the {runs} runs has a score{why}"))
}

/// What was tried: a combination that cannot be run had no chance to be the best by luck.
fn evidence(trials: &[Trial<Statistics>]) -> Trials {
    let run: Vec<&Statistics> = trials.iter().filter_map(|trial| trial.measured.as_ref().ok()).collect();
    let sharpes: Vec<f64> = run.iter().filter_map(|found| found.get("sharpe").copied().flatten()).collect();
    Trials { count: run.len(), sharpe_variance_annual: variance(&sharpes) }
}

fn order(score: Option<f64>) -> f64 {
    score.unwrap_or(f64::NEG_INFINITY)
}

/// Sample variance; none of fewer than two values.
fn variance(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| squares / (count - 1.0))
}

pub(crate) fn walk_forward(
    job: Job<'_>,
    config: &Config,
    market: &Loaded,
    watch: &(impl Fn(Progress) -> ControlFlow<()> + Sync),
) -> Result<(Outcome, Searched), WorkError> {
    let space = dimensions(job.request);
    let per_run = bars(market);
    // How many windows there are is the engine's to say, so what is told is that it goes on, ever more slowly.
    let runs = Mutex::new(0_u64);
    let told = |_: usize, all: usize| {
        let mut runs = runs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *runs += 1;
        let done = *runs as f64 / (*runs as f64 + all as f64);
        let bars = runs.saturating_mul(per_run);
        watch(Progress { done, bars, total: bars, pnl: Amount::ZERO })
    };
    let search = Search {
        space: &space,
        sampler: sampler(job.request),
        seed: job.request.seed,
        threads: job.threads,
        measure: &measured(job.request),
        watch: &told,
    };
    let folds = job.request.folds.unwrap_or_default();
    let sessions = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let folds = Folds {
        anchored: folds.anchored,
        in_sample: sessions(folds.in_sample_sessions),
        out_of_sample: sessions(folds.out_of_sample_sessions),
    };
    let found = engine::walk_forward(config, &market.data, folds, &search).map_err(|error| match error {
        WalkForwardError::Run(error) => WorkError::from(error),
        other => WorkError::Failed(other.to_string()),
    })?;
    if found.folds.iter().all(|fold| fold.chosen.is_none()) {
        return Err(unscored(job.request, found.runs, found.refusal.as_ref()));
    }
    let windows = found.folds.iter().map(|fold| WindowRow {
        in_sample: (fold.in_sample.0.date.to_string(), fold.in_sample.1.date.to_string()),
        out_of_sample: (fold.out_of_sample.0.date.to_string(), fold.out_of_sample.1.date.to_string()),
        parameters: fold.chosen.as_ref().map(|point| named(&space, point)).unwrap_or_default(),
        in_sample_score: fold.in_sample_score,
        out_of_sample_score: fold.out_of_sample_score,
        trades: fold.trades,
        refused: fold.refused,
    });
    let windows: Vec<WindowRow> = windows.collect();
    let outcome = Outcome {
        counts: Counts { bars: per_run.saturating_mul(found.runs as u64), ..Counts::default() },
        chain_hash: Some(joined_hash(&found.trades, &found.equity)),
        trades: found.trades,
        equity: found.equity,
        initial_cash: config.account.cash,
        ..Outcome::default()
    };
    // The windows share their rules; those chosen last are the ones to go on with.
    let last = found.folds.iter().rev().find_map(|fold| fold.chosen.clone());
    let checked = match last {
        Some(point) => checks::of_run(&with_values(config, &space, &point), &market.data)?,
        None => Checked::default(),
    };
    let searched = Searched {
        windows,
        runs: found.runs,
        checked,
        evidence: Trials { count: 1, sharpe_variance_annual: None },
        notes: vec![
            "Out-of-sample windows, joined. The result hash is that of their trades and equity.".to_owned(),
        ],
        ..Searched::default()
    };
    Ok((outcome, searched))
}

/// Windows are runs without events; what is compared is what they left.
fn joined_hash(trades: &[Trade], equity: &[EquityRow]) -> String {
    let mut hasher = blake3::Hasher::new();
    for trade in trades {
        hasher.update(format!("{trade:?}\n").as_bytes());
    }
    for row in equity {
        hasher.update(format!("{row:?}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use contracts::v1::BacktestSearch;

    use super::*;

    #[test]
    fn combinations_that_cannot_be_run_are_no_trials() {
        let trial = |measured| Trial { point: Vec::new(), score: None, measured };
        let sharpe = |value: Option<f64>| Ok(Statistics::from([("sharpe".to_owned(), value)]));
        let refused = || Err(engine::Error::Cancelled);
        let trials = [sharpe(Some(1.0)), refused(), sharpe(Some(3.0)), sharpe(None), refused()].map(trial);
        assert_eq!(evidence(&trials), Trials { count: 3, sharpe_variance_annual: Some(2.0) });
    }

    #[test]
    fn a_search_without_a_score_says_why() {
        let search = BacktestSearch { metric: "beta".to_owned(), ..BacktestSearch::default() };
        let request = BacktestRequest { search: Some(search), ..BacktestRequest::default() };
        let told = |refused| unscored(&request, 6, refused).to_string();
        assert_eq!(
            told(None),
            "none of the 6 runs has a score: beta is undefined of each; ask for another metric, or for longer windows"
        );
        let refused = told(Some(&engine::Error::Cancelled));
        assert!(refused.starts_with("none of the 6 runs has a score, the first because "), "{refused}");
    }
}
