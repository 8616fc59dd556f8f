//! How far running backtests are, as their runners say it: hints, kept in memory and never stored.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Runs remembered; the one that was heard of longest ago goes first.
const RUNS_MAX: usize = 256;
/// Largest hint that is read.
const HINT_BYTES_MAX: usize = 1_024;

/// The attempt that a program which does its own run makes, and of which older ones say nothing.
const fn first() -> u32 {
    1
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = BacktestProgress)]
pub struct Progress {
    /// The attempt: one that was cut off is followed by another, which begins at 0.
    #[serde(default = "first")]
    pub attempt: u32,
    /// From 0 to 100; of one attempt never less than before.
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

impl Progress {
    fn bounded(self) -> Self {
        Self { percent: self.percent.clamp(0.0, 100.0), ..self }
    }

    /// Whether nothing is left to do.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.percent >= 100.0
    }
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
    /// Takes a hint `backtest.<run_id>.progress`. What cannot be read says nothing, nor does what comes late: of an
    /// earlier attempt, or of less than was done. Answers how many were taken.
    pub fn take(&self, subject: &str, payload: &[u8]) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let run_id = subject.split('.').nth(1).unwrap_or_default();
        let small = payload.len() <= HINT_BYTES_MAX;
        let read: Option<Progress> = if small { serde_json::from_slice(payload).ok() } else { None };
        let known = state.runs.get(run_id).map(|(_, known)| (known.attempt, known.percent));
        let ahead = |new: &Progress| {
            known.is_none_or(|(attempt, percent)| {
                new.attempt > attempt || (new.attempt == attempt && new.percent >= percent)
            })
        };
        if let Some(progress) = read.map(Progress::bounded).filter(ahead) {
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

    /// How far a run is that is in this attempt, or already in a later one, as far as it was heard of.
    #[must_use]
    pub fn of(&self, run_id: &str, attempt: u64) -> Option<Progress> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, progress) = state.runs.get(run_id)?;
        (u64::from(progress.attempt) >= attempt).then(|| progress.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(attempt: u32, bars: u32) -> Vec<u8> {
        let (percent, bars) = (f64::from(bars), u64::from(bars));
        let (total, bars_per_s, pnl) = (100, 1e6, "1.5".to_owned());
        serde_json::to_vec(&Progress { attempt, percent, bars, total, bars_per_s, pnl, remaining_s: None })
            .unwrap()
    }

    #[test]
    fn the_newest_hint_counts_and_nonsense_says_nothing() {
        let runs = Runs::default();
        assert_eq!(runs.take("backtest.a.progress", &hint(1, 10)), 1);
        assert_eq!(runs.take("backtest.a.progress", &hint(1, 20)), 2);
        assert_eq!(runs.take("backtest.a.progress", b"{"), 2);
        assert_eq!(runs.of("a", 1).map(|progress| progress.bars), Some(20));
        for number in 0..RUNS_MAX {
            runs.take(&format!("backtest.b{number}.progress"), &hint(1, 1));
        }
        assert_eq!(runs.of("a", 1), None, "the one that was heard of longest ago went first");
    }

    #[test]
    fn an_attempt_only_grows_and_a_new_one_begins_again() {
        let runs = Runs::default();
        let bars = |attempt| runs.of("a", attempt).map(|progress| progress.bars);
        for (attempt, told, known) in
            [(1, 40, 40), (1, 30, 40), (1, 40, 40), (2, 0, 0), (1, 90, 0), (2, 5, 5)]
        {
            runs.take("backtest.a.progress", &hint(attempt, told));
            assert_eq!(bars(1), Some(known), "{told} of attempt {attempt}");
        }
        assert_eq!(runs.take("backtest.a.progress", b"{}"), 4, "two of six came late");
        assert_eq!((bars(2), bars(3)), (Some(5), None), "of a third attempt nothing was heard");
        // An older program says nothing of attempts, and a foreign one may say anything.
        let foreign =
            r#"{"percent": 250, "bars": 1, "total": 1, "bars_per_s": 1, "pnl": "0", "remaining_s": null}"#;
        runs.take("backtest.b.progress", foreign.as_bytes());
        let known = runs.of("b", 1).unwrap();
        assert_eq!((known.attempt, known.is_whole()), (1, true));
        assert!(known.percent <= 100.0);
    }
}
