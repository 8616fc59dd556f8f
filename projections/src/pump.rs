//! Reading ahead: a task that takes deliveries off the tape while the ones before are being written.
//!
//! Up to a sequence that is known to be there it hands on full batches, because a commit costs the same
//! for one row and for many. Past it messages are gathered for a moment, for the same reason, but never
//! past what changes an account: risk decides on the next signal only when the read model holds it.

use std::time::Duration;

use contracts::v1::event::Body;
use domain::risk;
use event_log::{Delivery, LogError, Reader, Tape};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::projection::Name;

/// Most messages folded and committed at once.
pub(crate) const BATCH_MAX: usize = 8_192;
/// Batches read ahead, at most.
const AHEAD_MAX: usize = 2;

/// Messages are gathered until none has come for this long, well below what an eye notices. A commit costs about as
/// much as ten messages do.
const QUIET: Duration = Duration::from_millis(15);
/// Longest time that messages are gathered where they do not cease: on a tape clock at full speed many pass in it.
const GATHER_MAX: Duration = Duration::from_millis(200);

/// A reader of one projection's stream that runs beside the writing.
pub(crate) struct Pump {
    batches: mpsc::Receiver<Result<Vec<Delivery>, LogError>>,
    task: JoinHandle<()>,
}

impl Pump {
    /// Starts reading after `sequence`, in full batches up to the sequence `head`, which concerns the
    /// projection and is on the tape.
    pub(crate) async fn start(tape: &Tape, name: Name, sequence: u64, head: u64) -> Result<Self, LogError> {
        let filters = name.filters();
        let mut reader = match filters.as_slice() {
            [] => tape.follow(name.stream(), sequence + 1).await?,
            filters => tape.read(name.stream(), filters, sequence + 1).await?,
        };
        let (sender, batches) = mpsc::channel(AHEAD_MAX);
        let decided_on = name == Name::Trading;
        let task = tokio::spawn(async move {
            loop {
                let batch = next(reader.as_mut(), head, decided_on).await;
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

async fn next(reader: &mut dyn Reader, head: u64, decided_on: bool) -> Result<Vec<Delivery>, LogError> {
    let mut batch = reader.batch(BATCH_MAX).await?;
    while batch.len() < BATCH_MAX && batch.last().is_some_and(|delivery| delivery.sequence() < head) {
        batch.extend(reader.batch(BATCH_MAX - batch.len()).await?);
    }
    let last = Instant::now() + GATHER_MAX;
    let mut looked_at = 0;
    while batch.len() < BATCH_MAX && !(decided_on && batch[looked_at..].iter().any(is_waited_for)) {
        looked_at = batch.len();
        let until = last.min(Instant::now() + QUIET);
        match tokio::time::timeout_at(until, reader.batch(BATCH_MAX - batch.len())).await {
            Ok(more) => batch.extend(more?),
            Err(_) => break,
        }
    }
    Ok(batch)
}

/// Whether the next decision waits until the read model holds this message; or takes it from the tape until then, and that
/// is to be little: a fill.
fn is_waited_for(delivery: &Delivery) -> bool {
    let Delivery::Event(recorded) = delivery else { return false };
    recorded.event.body.as_ref().is_some_and(|body| risk::is_read(body) || matches!(body, Body::Fill(_)))
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}
