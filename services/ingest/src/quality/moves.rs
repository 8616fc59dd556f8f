//! How far series move, from bar to bar and across a pause.

use domain::bar::Timeframe;

use super::Rules;

/// How far a series moves.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moves {
    count: u32,
    /// Mean square of the moves, the older the less.
    variance: f64,
}

impl Moves {
    /// Takes a move, where so many are looked back on.
    pub(super) fn take(&mut self, step: f64, looked_back: u32) {
        let weight = 1.0 / f64::from((self.count + 1).min(looked_back));
        self.variance += weight * (step * step - self.variance);
        self.count += 1;
    }

    /// The standard deviation, where there are at least so many of them.
    fn deviation(&self, least: u32) -> Option<f64> {
        (self.count >= least && self.variance > 0.0).then(|| self.variance.sqrt())
    }
}

/// What a series did of late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past {
    pub(super) close: f64,
    pub(super) close_ns: i64,
    /// Moves from one bar to the next.
    pub(super) within: Moves,
    /// Moves across a pause. What a night brings is many times what a minute does.
    pub(super) across: Moves,
    /// What lies behind it was not asked for.
    pub(super) apart: bool,
}

impl Past {
    /// How far the bar that starts `pause_ns` after the last one's close usually moves. Until enough pauses are known it
    /// is what moves within a session come to over as much time: the variance of a random walk grows with time, and
    /// prices move less while the market is closed.
    pub(super) fn deviation(&self, pause_ns: i64, timeframe: Timeframe, rules: &Rules) -> Option<f64> {
        let least = rules.outlier_moves_min;
        let within = self.within.deviation(least);
        if pause_ns < rules.pause_ns() {
            return within;
        }
        let steps = 1.0 + pause_ns as f64 / timeframe.nanos() as f64;
        self.across.deviation(least).or_else(|| within.map(|within| within * steps.sqrt()))
    }
}
