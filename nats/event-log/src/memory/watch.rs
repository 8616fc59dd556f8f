//! Plain messages and acknowledgements as they pass through the in-memory tape.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::filter::covers;
use crate::{AckSeen, Acks, Hint, Hints, LogError};

/// Most messages that wait for a subscriber; one that lags further is told that it missed some.
const CAPACITY: usize = 1 << 17;

/// Feeds one subscription of plain messages.
#[derive(Debug)]
pub(super) struct HintWatcher {
    filter: String,
    sender: mpsc::Sender<Passed<Hint>>,
}

/// Feeds one subscription of acknowledgements.
#[derive(Debug)]
pub(super) struct AckWatcher {
    sender: mpsc::Sender<Passed<AckSeen>>,
}

/// A message, and whether the queue was full after it.
#[derive(Debug)]
struct Passed<T> {
    value: T,
    full: bool,
}

fn pass<T>(sender: &mpsc::Sender<Passed<T>>, value: T) -> bool {
    // The last free place carries the mark that whatever follows may be missing.
    let full = sender.capacity() <= 1;
    match sender.try_send(Passed { value, full }) {
        Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => true,
        Err(mpsc::error::TrySendError::Closed(_)) => false,
    }
}

pub(super) fn announce(watchers: &mut Vec<HintWatcher>, subject: &str, payload: &[u8]) {
    watchers.retain(|watcher| {
        if !covers(&watcher.filter, subject) {
            return !watcher.sender.is_closed();
        }
        pass(&watcher.sender, Hint { subject: subject.to_owned(), payload: payload.to_vec() })
    });
}

pub(super) fn acknowledged(watchers: &mut Vec<AckWatcher>, consumer: &str, sequence: u64) {
    watchers.retain(|watcher| pass(&watcher.sender, AckSeen { consumer: consumer.to_owned(), sequence }));
}

/// A subscription that yields messages, and an error behind the last one before a gap.
struct Queue<T> {
    receiver: mpsc::Receiver<Passed<T>>,
    missed: bool,
}

impl<T: Send> Queue<T> {
    async fn next(&mut self, doing: &str) -> Result<T, LogError> {
        if std::mem::take(&mut self.missed) {
            return Err(LogError::new(doing, "the subscriber was too slow: messages may be missing"));
        }
        match self.receiver.recv().await {
            Some(passed) => {
                self.missed = passed.full;
                Ok(passed.value)
            }
            None => Err(LogError::new(doing, "the tape was closed")),
        }
    }

    fn ready(&mut self) -> Option<T> {
        let passed = self.receiver.try_recv().ok()?;
        self.missed |= passed.full;
        Some(passed.value)
    }
}

pub(super) struct MemoryAcks(Queue<AckSeen>);

impl MemoryAcks {
    pub fn subscribe(watchers: &mut Vec<AckWatcher>) -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        watchers.push(AckWatcher { sender });
        Self(Queue { receiver, missed: false })
    }
}

#[async_trait]
impl Acks for MemoryAcks {
    async fn next(&mut self) -> Result<AckSeen, LogError> {
        self.0.next("watch acknowledgements").await
    }
}

pub(super) struct MemoryHints(Queue<Hint>);

impl MemoryHints {
    pub fn subscribe(watchers: &mut Vec<HintWatcher>, filter: &str) -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        watchers.push(HintWatcher { filter: filter.to_owned(), sender });
        Self(Queue { receiver, missed: false })
    }
}

#[async_trait]
impl Hints for MemoryHints {
    async fn next(&mut self) -> Result<Hint, LogError> {
        self.0.next("watch plain messages").await
    }

    fn ready(&mut self) -> Option<Hint> {
        self.0.ready()
    }
}
