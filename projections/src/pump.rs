//! Reading ahead: a task that takes deliveries off the tape while the ones before are being written.

use event_log::{Delivery, LogError, Tape};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::projection::Name;

/// Most messages folded and committed at once.
pub(crate) const BATCH_MAX: usize = 8_192;
/// Batches read ahead, at most.
const AHEAD_MAX: usize = 3;

/// A reader of one projection's stream that runs beside the writing.
pub(crate) struct Pump {
    batches: mpsc::Receiver<Result<Vec<Delivery>, LogError>>,
    task: JoinHandle<()>,
}

impl Pump {
    /// Starts reading after `sequence`.
    pub(crate) async fn start(tape: &Tape, name: Name, sequence: u64) -> Result<Self, LogError> {
        let mut reader = tape.read(name.stream(), &name.filters(), sequence + 1).await?;
        let (sender, batches) = mpsc::channel(AHEAD_MAX);
        let task = tokio::spawn(async move {
            loop {
                let batch = reader.batch(BATCH_MAX).await;
                let failed = batch.is_err();
                if sender.send(batch).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Self { batches, task })
    }

    /// The next messages, at least one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Vec<Delivery>, LogError> {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => Err(LogError::new("reading ahead", "the reader ended")),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}
