//! `MemoryLog`: the tape in memory, for tests and simulations.
//!
//! It stores bytes and decodes them when they are read, so that a value which does not survive the codec does
//! not survive here either; what was decoded of late is kept for the next reader. It behaves as the JetStream
//! adapter does, down to what a subscriber sees: the contract suite runs against both. One difference is
//! deliberate: ids are remembered for ever, not for a window.
//!
//! Deliberately absent: persistence, latency and faults.

mod browse;
mod read;
mod store;
mod watch;

use std::cell::OnceCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use contracts::stream_of;
use tokio::sync::watch as signal;

use crate::clock::Clock;
use crate::observer::Hook;
use crate::wire::{self, Encoded};
use crate::{
    Acks, Append, AppendError, Appended, Consumer, Delivery, DurableState, EventLog, Hints, LogError,
    Observer, Reader, Recorded, Stored, StreamState, Subjects,
};
use store::{Durable, State, StreamLog};

/// Largest payload, the server's default.
const MAX_PAYLOAD: usize = 1 << 20;

/// A tape in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Counts changes, so that whoever waits looks again.
    changed: signal::Sender<u64>,
    clock: Clock,
    hook: Hook,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave half an append: entries are pushed whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// An empty tape with the streams and consumers of the definition files and the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Clock::wall())
    }

    /// An empty tape whose recorded times come from `clock`.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        let state = State::from_definitions();
        let (changed, _) = signal::channel(0);
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed, clock, hook: Hook::default() }) }
    }

    /// Lets `observer` see every append and delivery of this tape.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.shared.hook.set(observer);
    }

    /// Adds a durable consumer of the messages that any of `filters` covers (none: all of them).
    pub fn add_consumer(
        &self,
        stream: &str,
        durable: &str,
        filters: &[String],
        max_ack_pending: usize,
    ) -> Result<(), LogError> {
        let mut state = self.shared.lock();
        let log = state.stream_mut(stream)?;
        log.durables.insert(durable.to_owned(), Durable::new(filters.to_vec(), max_ack_pending));
        Ok(())
    }

    /// Counts what happened to the tape: while it stands, there is nothing new on any stream.
    #[must_use]
    pub fn changes(&self) -> u64 {
        *self.shared.changed.borrow()
    }

    /// Lets go of a stream's messages up to the sequence `through`, as a stream with an age does.
    pub fn let_go(&self, stream: &str, through: u64) -> Result<(), LogError> {
        self.shared.lock().stream_mut(stream)?.let_go(through);
        Ok(())
    }

    /// Publishes a payload as a plain client would, with an optional `Content-Type`. What it answers is
    /// the sequence, or `None` when no stream holds the subject.
    pub fn publish_raw(&self, subject: &str, payload: &[u8], content_type: Option<&str>) -> Option<u64> {
        self.publish(subject, payload, content_type, None, None)
    }

    /// Publishes a payload as a plain client would, with a `traceparent` in whatever form.
    pub fn publish_traced(&self, subject: &str, payload: &[u8], traceparent: Option<&str>) -> Option<u64> {
        self.publish(subject, payload, None, traceparent, None)
    }

    /// Publishes a payload as a plain client would, under an id of its choice.
    pub fn publish_under(&self, subject: &str, payload: &[u8], id: &str) -> Option<u64> {
        self.publish(subject, payload, None, None, Some(id))
    }

    fn publish(
        &self,
        subject: &str,
        payload: &[u8],
        content_type: Option<&str>,
        traceparent: Option<&str>,
        id: Option<&str>,
    ) -> Option<u64> {
        let stored_ns = self.shared.clock.now_ns();
        let mut state = self.shared.lock();
        state.announce(subject, payload);
        let log = state.stream_mut(stream_of(subject)?).ok()?;
        if let Some(known) = id.and_then(|id| log.place_of(id)) {
            return Some(known);
        }
        let content_type = content_type.map(Arc::from);
        let message = store::Stored {
            subject: subject.into(),
            payload: Bytes::copy_from_slice(payload),
            content_type,
            trace: traceparent.map(str::to_owned),
            id: id.map(Arc::from),
            stored_ns,
            event: OnceCell::new(),
        };
        let sequence = log.push(message);
        drop(state);
        self.shared.signal();
        Some(sequence)
    }

    fn commit(&self, batch: &[Encoded]) -> Result<Vec<Appended>, AppendError> {
        let stored_ns = self.shared.clock.now_ns();
        let mut state = self.shared.lock();
        for entry in batch {
            // A plain subscriber sees what is sent, whether or not the stream takes it.
            state.announce(entry.subject.as_str(), &entry.payload);
        }
        let log = state.stream_mut(batch[0].stream)?;
        let outcome = log.append(batch, stored_ns)?;
        drop(state);
        self.shared.signal();
        Ok(outcome)
    }

    fn commit_one(&self, entry: Encoded) -> Result<Appended, AppendError> {
        Ok(self.commit(&[entry])?[0])
    }
}

#[async_trait]
impl EventLog for MemoryLog {
    async fn append(&self, entry: Append) -> Result<Appended, AppendError> {
        let begun = self.shared.hook.begin(std::slice::from_ref(&entry));
        let mut encoded = wire::encode(entry, &self.shared.clock, MAX_PAYLOAD);
        begun.stamp([encoded.as_mut().ok()]);
        let outcome = encoded.and_then(|encoded| self.commit_one(encoded));
        begun.end([&outcome]);
        outcome
    }

    async fn append_batch(&self, entries: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        let begun = self.shared.hook.begin(&entries);
        let outcome = wire::encode_batch(entries, &self.shared.clock, MAX_PAYLOAD).and_then(|mut batch| {
            begun.stamp(batch.iter_mut().map(Some));
            self.commit(&batch)
        });
        begun.end_batch(&outcome);
        outcome
    }

    async fn append_pipelined(&self, entries: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let begun = self.shared.hook.begin(&entries);
        let mut encoded = wire::encode_each(entries, &self.shared.clock, MAX_PAYLOAD);
        begun.stamp(encoded.iter_mut().map(|encoded| encoded.as_mut().ok()));
        let outcomes: Vec<_> = encoded.into_iter().map(|entry| self.commit_one(entry?)).collect();
        begun.end(&outcomes);
        outcomes
    }

    async fn last(&self, stream: &str, filter: &str) -> Result<Option<Recorded>, LogError> {
        let mut state = self.shared.lock();
        let log = state.stream_mut(stream)?;
        let sequence = log.last_under(filter);
        log.recorded(sequence)
    }

    async fn last_sequence(&self, stream: &str, filter: &str) -> Result<u64, LogError> {
        Ok(self.shared.lock().stream_mut(stream)?.last_under(filter))
    }

    async fn get(&self, stream: &str, sequence: u64) -> Result<Option<Recorded>, LogError> {
        self.shared.lock().stream_mut(stream)?.recorded(sequence)
    }

    async fn stored_from(
        &self,
        stream: &str,
        filter: &str,
        from_sequence: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        browse::from(&mut self.shared.lock(), stream, filter, from_sequence, max)
    }

    async fn stored_before(
        &self,
        stream: &str,
        filter: &str,
        before: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        browse::before(&mut self.shared.lock(), stream, filter, before, max)
    }

    async fn subjects(&self, stream: &str, filter: &str) -> Result<Subjects, LogError> {
        browse::subjects(&mut self.shared.lock(), stream, filter)
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        Ok(self.shared.lock().stream_mut(stream)?.state())
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        from_sequence: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        self.shared.lock().stream_mut(stream)?;
        Ok(Box::new(read::MemoryReader::new(&self.shared, stream, filters, from_sequence)))
    }

    async fn consume(&self, stream: &str, durable: &str) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(read::MemoryConsumer::open(&self.shared, stream, durable)?))
    }

    async fn ack_floor(&self, stream: &str, durable: &str) -> Result<u64, LogError> {
        let mut state = self.shared.lock();
        Ok(state.stream_mut(stream)?.durable_mut(durable)?.floor)
    }

    async fn durable_state(&self, stream: &str, durable: &str) -> Result<Option<DurableState>, LogError> {
        let mut state = self.shared.lock();
        Ok(state.stream_mut(stream)?.durable_state(durable))
    }

    async fn acks(&self, stream: &str) -> Result<Box<dyn Acks>, LogError> {
        let mut state = self.shared.lock();
        let log = state.stream_mut(stream)?;
        Ok(Box::new(watch::MemoryAcks::subscribe(&mut log.acks)))
    }

    async fn hint(&self, subject: &str, payload: Vec<u8>) -> Result<(), LogError> {
        self.shared.lock().announce(subject, &payload);
        Ok(())
    }

    async fn hints(&self, filter: &str) -> Result<Box<dyn Hints>, LogError> {
        let mut state = self.shared.lock();
        Ok(Box::new(watch::MemoryHints::subscribe(&mut state.hints, filter)))
    }
}

/// The delivery of a stored message of `stream`.
fn delivered(hook: &Hook, stream: &str, log: &StreamLog, sequence: u64) -> Option<Delivery> {
    let (stored, delivery) = (log.get(sequence)?, log.delivery(sequence)?);
    hook.delivered(stream, &delivery, || stored.trace.as_deref());
    Some(delivery)
}

#[cfg(test)]
mod tests {
    use super::MemoryLog;

    #[test]
    fn what_is_stored_counts_and_what_is_not_does_not() {
        let log = MemoryLog::new();
        let before = log.changes();
        assert_eq!(log.publish_raw("audit.somebody.something", b"anything", None), Some(1));
        let after = log.changes();
        assert!(after > before);
        assert_eq!(log.publish_raw("of.no.stream", b"anything", None), None);
        assert_eq!(log.changes(), after);
    }
}
