//! What is read of the read model before it is needed, so that a decision does not wait for the answer.

use std::collections::HashSet;
use std::pin::Pin;

use runtime::{AsOf, ReadError};

use crate::machine::Wanted;
use crate::read_model::Snapshot;

/// A snapshot that is being read.
type Reading = Pin<Box<dyn Future<Output = Result<Snapshot, ReadError>> + Send>>;

/// What was read ahead, and how far.
#[derive(Default)]
pub(super) struct Ahead {
    /// Checkpoint heard when the book was last asked for: for each it is asked for once, whatever the answer.
    asked_at: u64,
    /// The book that was asked for.
    reading: Option<Reading>,
    /// Signals that were asked for.
    signals: HashSet<String>,
    /// Those of them that had been decided.
    decided: AsOf<String>,
}

impl Ahead {
    /// Whether to ask for the book, wanted at `wanted` or past it, now that the read model has reached `committed`.
    pub fn may_read(&mut self, wanted: u64, committed: u64) -> bool {
        let may = self.reading.is_none() && committed >= wanted && committed > self.asked_at;
        if may {
            self.asked_at = committed;
        }
        may
    }

    /// Takes the question for the book, which [`Ahead::read`] answers.
    pub fn begin(&mut self, reading: Reading) {
        self.reading = Some(reading);
    }

    /// The book that was asked for; pending where none was. Cancel-safe.
    pub async fn read(&mut self) -> Result<Snapshot, ReadError> {
        let Some(reading) = &mut self.reading else { return std::future::pending().await };
        let snapshot = reading.await;
        self.reading = None;
        snapshot
    }

    /// Whether to ask which of the signals `undecided` have been decided: there is one that was not asked for.
    pub fn may_ask(&mut self, undecided: &[String]) -> bool {
        let may = undecided.iter().any(|id| !self.signals.contains(id));
        if may {
            // Without an answer the decision asks again, and nobody before it.
            self.answered(undecided.to_vec(), AsOf { checkpoint: 0, rows: Vec::new() });
        }
        may
    }

    /// Takes the answer.
    pub fn answered(&mut self, signals: Vec<String>, decided: AsOf<String>) {
        self.signals = signals.into_iter().collect();
        self.decided = decided;
    }

    /// Which of the signals wanted were decided, where that was asked for at a checkpoint that serves.
    pub fn decided(&self, wanted: &Wanted) -> Option<AsOf<String>> {
        let serves = self.decided.checkpoint >= wanted.checkpoint
            && wanted.signals.iter().all(|id| self.signals.contains(id));
        serves.then(|| {
            let rows = self.decided.rows.iter().filter(|id| wanted.signals.contains(id)).cloned().collect();
            AsOf { checkpoint: self.decided.checkpoint, rows }
        })
    }
}
