//! The same trades in another order, and drawn again: how much of a result was the order, how much luck.
//!
//! Net profits are added to the starting equity without compounding, exactly: sums of floats would depend on the
//! order, and a tie would be a loss or a deeper drawdown by chance. The same seed gives the same numbers.

use domain::money::Amount;
use domain::performance::{Trade, ascending, percentile};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Trades drawn in all, at most: a bound on the time it takes.
const DRAWS_MAX: usize = 20_000_000;

/// How many runs, and from which seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Runs of each kind.
    pub runs: usize,
    /// Seed.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { runs: 1_000, seed: 1 }
    }
}

/// Percentiles of one number over all runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Percentiles {
    /// 5 %.
    pub p5: f64,
    /// 25 %.
    pub p25: f64,
    /// 50 %.
    pub p50: f64,
    /// 75 %.
    pub p75: f64,
    /// 95 %.
    pub p95: f64,
}

/// What the runs came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MonteCarlo {
    /// Runs of each kind; fewer than asked for when there are very many trades.
    pub runs: usize,
    /// Seed.
    pub seed: u64,
    /// Trades in a run.
    pub trades: usize,
    /// Deepest drawdown when the same trades come in another order.
    pub shuffled_max_drawdown: Percentiles,
    /// Final equity when as many trades are drawn with replacement.
    pub bootstrap_final_equity: Percentiles,
    /// Deepest drawdown of those.
    pub bootstrap_max_drawdown: Percentiles,
    /// Share of them that end below the starting equity.
    pub loss_probability: f64,
    /// Deepest drawdown of the trades as they came.
    pub actual_max_drawdown: f64,
    /// Share of the shuffled runs with a deeper drawdown than that.
    pub deeper_than_actual: f64,
}

/// Runs it; `None` with fewer than two trades, without equity to start from, or without runs.
#[must_use]
pub fn simulate(trades: &[Trade], start: Amount, settings: Settings) -> Option<MonteCarlo> {
    let profits: Vec<Amount> = trades.iter().map(|trade| trade.pnl).collect();
    if profits.len() < 2 || start <= Amount::ZERO {
        return None;
    }
    let runs = settings.runs.min((DRAWS_MAX / profits.len()).max(1));
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let actual = walk(start, profits.iter().copied()).1;
    let mut order = profits.clone();
    let (mut shuffled, mut finals, mut depths) = (Vec::new(), Vec::new(), Vec::new());
    let mut losses = 0;
    for _ in 0..runs {
        order.shuffle(&mut random);
        shuffled.push(walk(start, order.iter().copied()).1);
        let drawn = (0..profits.len()).map(|_| profits[random.random_range(0..profits.len())]);
        let (end, depth) = walk(start, drawn);
        losses += usize::from(end < start);
        finals.push(end.to_f64());
        depths.push(depth);
    }
    let share = |count: usize| count as f64 / runs as f64;
    Some(MonteCarlo {
        runs,
        seed: settings.seed,
        trades: profits.len(),
        loss_probability: share(losses),
        actual_max_drawdown: actual,
        deeper_than_actual: share(shuffled.iter().filter(|depth| **depth < actual).count()),
        shuffled_max_drawdown: percentiles(&shuffled)?,
        bootstrap_final_equity: percentiles(&finals)?,
        bootstrap_max_drawdown: percentiles(&depths)?,
    })
}

/// Equity after all `profits`, and the deepest drawdown on the way.
fn walk(start: Amount, profits: impl Iterator<Item = Amount>) -> (Amount, f64) {
    let (mut equity, mut peak, mut lowest, mut deepest) = (start, start, start, 0.0_f64);
    for profit in profits {
        equity = Amount(equity.0.saturating_add(profit.0));
        if equity > peak {
            (peak, lowest) = (equity, equity);
        } else if equity < lowest {
            lowest = equity;
            deepest = deepest.min(equity.to_f64() / peak.to_f64() - 1.0);
        }
    }
    (equity, deepest)
}

fn percentiles(values: &[f64]) -> Option<Percentiles> {
    let sorted = ascending(values);
    let at = |share| percentile(&sorted, share);
    Some(Percentiles { p5: at(0.05)?, p25: at(0.25)?, p50: at(0.5)?, p75: at(0.75)?, p95: at(0.95)? })
}
