//! Many runs over one copy of the data, on several cores.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::series::MarketData;

use crate::config::Config;
use crate::outcome::Outcome;
use crate::recorder::Nothing;
use crate::run::{Error, Progress, run};
use crate::space::{Dice, Dimension, Point, Sampler, combinations, configure, estimate, point};

/// Trials that the estimator proposes at once.
const ROUND: usize = 16;
/// Trials at random before the estimator begins.
const START: usize = 20;

/// One run of a search.
#[derive(Clone, Debug)]
pub struct Trial<Measured> {
    /// Place of each dimension's value.
    pub point: Point,
    /// What the search maximises; none where it is not defined.
    pub score: Option<f64>,
    /// What was measured, or why the combination cannot be run.
    pub measured: Result<Measured, Error>,
}

/// How a search is done.
pub struct Search<'search, Measure> {
    /// What is tried.
    pub space: &'search [Dimension],
    /// In which order.
    pub sampler: Sampler,
    /// Seed of the sampler.
    pub seed: u64,
    /// Threads; at least one.
    pub threads: usize,
    /// Score and measurements of a run.
    pub measure: &'search Measure,
    /// Told after each run how many there were, of how many; a break ends the search.
    pub watch: &'search (dyn Fn(usize, usize) -> ControlFlow<()> + Sync),
}

/// Runs a search; trials come in the order in which the sampler chose them.
pub fn sweep<Measured: Send>(
    config: &Config,
    data: &MarketData,
    search: &Search<'_, impl Fn(&Config, &Outcome) -> (Option<f64>, Measured) + Sync>,
) -> Result<Vec<Trial<Measured>>, Error> {
    let all = combinations(search.space);
    let most = match search.sampler {
        Sampler::Grid => all,
        Sampler::Random { trials } | Sampler::Tpe { trials } => trials.min(all),
    };
    let mut dice = Dice::new(search.seed);
    let mut tried: BTreeSet<Point> = BTreeSet::new();
    let mut trials: Vec<Trial<Measured>> = Vec::with_capacity(most);
    while trials.len() < most {
        let points = match search.sampler {
            Sampler::Grid => (0..all).map(|index| point(search.space, index)).collect(),
            Sampler::Random { .. } => fresh(search.space, most, &mut tried, &mut dice, random),
            Sampler::Tpe { .. } if trials.len() < START.min(most) => {
                fresh(search.space, START.min(most), &mut tried, &mut dice, random)
            }
            Sampler::Tpe { .. } => {
                let scored: Vec<_> = trials.iter().map(|one| (one.point.clone(), one.score)).collect();
                let count = ROUND.min(most - trials.len());
                fresh(search.space, count, &mut tried, &mut dice, |space, dice| {
                    estimate(space, &scored, dice)
                })
            }
        };
        let done = trials.len();
        trials.extend(round(config, data, search, &points, (done, most))?);
    }
    Ok(trials)
}

fn random(space: &[Dimension], dice: &mut Dice) -> Point {
    space.iter().map(|dimension| dice.below(dimension.values.len())).collect()
}

/// So many combinations that were not tried before.
fn fresh(
    space: &[Dimension],
    count: usize,
    tried: &mut BTreeSet<Point>,
    dice: &mut Dice,
    mut choose: impl FnMut(&[Dimension], &mut Dice) -> Point,
) -> Vec<Point> {
    let mut points = Vec::with_capacity(count);
    let mut attempts = 0;
    while points.len() < count && tried.len() < combinations(space) {
        attempts += 1;
        // Nearly everything was tried: take what is left in its order.
        let point = if attempts > 50 * count.max(1) {
            let left = (0..combinations(space)).map(|index| point(space, index));
            match left.into_iter().find(|point| !tried.contains(point)) {
                Some(point) => point,
                None => break,
            }
        } else {
            choose(space, dice)
        };
        if tried.insert(point.clone()) {
            points.push(point);
        }
    }
    points
}

/// Runs `points` on all threads.
fn round<Measured: Send>(
    config: &Config,
    data: &MarketData,
    search: &Search<'_, impl Fn(&Config, &Outcome) -> (Option<f64>, Measured) + Sync>,
    points: &[Point],
    (before, most): (usize, usize),
) -> Result<Vec<Trial<Measured>>, Error> {
    let (next, done, cancelled) = (AtomicUsize::new(0), AtomicUsize::new(before), AtomicBool::new(false));
    let trials: Mutex<Vec<(usize, Trial<Measured>)>> = Mutex::new(Vec::with_capacity(points.len()));
    let work = || {
        while !cancelled.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(point) = points.get(index) else { return };
            let config = configure(config, search.space, point);
            let mut stop = |_: &Progress| match cancelled.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            let outcome = run(&config, data, &mut Nothing, &mut stop);
            let measured = outcome.map(|outcome| (search.measure)(&config, &outcome));
            let (score, measured) = match measured {
                Ok((score, measured)) => (score.filter(|score| score.is_finite()), Ok(measured)),
                Err(error) => (None, Err(error)),
            };
            let trial = Trial { point: point.clone(), score, measured };
            if let Ok(mut trials) = trials.lock() {
                trials.push((index, trial));
            }
            if (search.watch)(done.fetch_add(1, Ordering::Relaxed) + 1, most).is_break() {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..search.threads.min(points.len()) {
            scope.spawn(work);
        }
        work();
    });
    if cancelled.load(Ordering::Relaxed) {
        return Err(Error::Cancelled);
    }
    let mut trials = trials.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    trials.sort_by_key(|(index, _)| *index);
    Ok(trials.into_iter().map(|(_, trial)| trial).collect())
}

/// The trial with the highest score; the first of equals.
#[must_use]
pub fn best<Measured>(trials: &[Trial<Measured>]) -> Option<&Trial<Measured>> {
    let scored = trials.iter().filter(|trial| trial.score.is_some());
    scored.reduce(|best, trial| if trial.score > best.score { trial } else { best })
}
