//! How far running backtests are, as their runners say it: hints, kept in memory and never stored.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Runs remembered; the one that was heard of longest ago goes first.
const RUNS_MAX: usize = 256;
/// Largest hint that is read.
const HINT_BYTES_MAX: usize = 1_024;

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BacktestProgress)]
pub struct Progress {
    /// From 0 to 100.
    pub percent: f64,
    /// Bars walked.
    pub bars: u64,
    /// Bars in all.
    pub total: u64,
    /// Bars walked per second.
    pub bars_per_s: f64,
    /// Profit so far, a decimal.
    pub pnl: String,
    /// Seconds to the end at this speed; null at the beginning.
    pub remaining_s: Option<f64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Runs(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    heard: u64,
    runs: BTreeMap<String, (u64, Progress)>,
}

impl Runs {
    /// Takes a hint `backtest.<run_id>.progress`; what cannot be read says nothing. Answers how many were taken.
    pub fn take(&self, subject: &str, payload: &[u8]) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let run_id = subject.split('.').nth(1).unwrap_or_default();
        let read = if payload.len() > HINT_BYTES_MAX { None } else { serde_json::from_slice(payload).ok() };
        if let Some(progress) = read {
            state.heard += 1;
            let heard = state.heard;
            state.runs.insert(run_id.to_owned(), (heard, progress));
            if state.runs.len() > RUNS_MAX {
                let oldest = state.runs.iter().min_by_key(|(_, (heard, _))| *heard);
                let oldest = oldest.map(|(run_id, _)| run_id.clone());
                oldest.and_then(|run_id| state.runs.remove(&run_id));
            }
        }
        state.heard
    }

    /// How far a run is, as far as it was heard of.
    #[must_use]
    pub fn of(&self, run_id: &str) -> Option<Progress> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.runs.get(run_id).map(|(_, progress)| progress.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_hint_counts_and_nonsense_says_nothing() {
        let runs = Runs::default();
        let hint = |bars: u32| {
            let (percent, bars) = (f64::from(bars), u64::from(bars));
            let progress =
                Progress { percent, bars, total: 100, bars_per_s: 1e6, pnl: "1.5".into(), remaining_s: None };
            serde_json::to_vec(&progress).unwrap()
        };
        assert_eq!(runs.take("backtest.a.progress", &hint(10)), 1);
        assert_eq!(runs.take("backtest.a.progress", &hint(20)), 2);
        assert_eq!(runs.take("backtest.a.progress", b"{"), 2);
        assert_eq!(runs.of("a").map(|progress| progress.bars), Some(20));
        for number in 0..RUNS_MAX {
            runs.take(&format!("backtest.b{number}.progress"), &hint(1));
        }
        assert_eq!(runs.of("a"), None, "the one that was heard of longest ago went first");
    }
}
