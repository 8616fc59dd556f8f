//! The JetStream adapter: the tape on a NATS server.
//!
//! It uses two connections. The main one carries appends, durable consumers, acknowledgements and plain
//! messages, whose order of arrival matters. Ordered reads have one of their own, so that a rebuild of
//! millions of events never stands in front of an acknowledgement.
//!
//! Deliberately absent: stream administration beyond creating what the definition files name and labelling the tape.

mod ack_subject;
mod again;
mod api;
mod append;
mod batch;
mod browse;
mod connect;
mod consume;
mod hops;
mod lane;
mod lookup;
mod micro;
mod read;
mod shared;
mod watch;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, watch as signal};

use self::again::again;
use self::append::Link;
use crate::clock::Clock;
use crate::observer::Hook;
use crate::wire;
use crate::{
    Acks, Append, AppendError, Appended, Bookmark, Consumer, DurableState, EventLog, Hints, LogError,
    Observer, Reader, Recorded, Stored, StreamState, Subjects,
};

pub use connect::{Auth, ConnectError, ConnectOptions, connect};
pub use hops::{HopError, Hops, measure_hops};
pub use micro::{Answers, Introduced, Introduction};
pub use shared::Shared;

/// Longest wait for one answer of the server.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The tape on a NATS server. Clones share its connections.
#[derive(Clone)]
pub struct JetStreamLog {
    inner: Arc<Inner>,
}

struct Inner {
    main: Connection,
    bulk: Connection,
    /// What those who follow streams share with the other handles of the process.
    shared: OnceLock<Shared>,
    /// Where the answers to batches and windows of appends arrive, on the main connection.
    lanes: lane::Lanes,
    /// Whose turn it is to send a batch.
    turn: Mutex<()>,
    clock: Clock,
    max_payload: usize,
}

/// A connection and how often it may have lost messages.
#[derive(Clone)]
struct Connection {
    client: async_nats::Client,
    /// Counts disconnects and overflowing subscriptions: either may have cost a plain message.
    losses: signal::Receiver<u64>,
    /// Who watches; the same for both connections.
    hook: Hook,
}

impl std::fmt::Debug for JetStreamLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JetStreamLog").field("server", &self.server_version()).finish_non_exhaustive()
    }
}

impl JetStreamLog {
    /// Version of the server this handle is connected to, for example `2.15.1`.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.inner.main.client.server_info().version
    }

    /// Waits until the server has handled everything sent so far: for a program that is about to end and
    /// whose last acknowledgement or hint should not end with it.
    pub async fn flush(&self) -> Result<(), LogError> {
        self.inner.main.round_trip().await
    }

    /// Lets `observer` see every append and delivery of this handle and its clones.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.inner.main.hook.set(observer);
    }

    /// What whoever follows a stream through this handle shares with others, for [`JetStreamLog::share`].
    #[must_use]
    pub fn shared(&self) -> Shared {
        self.inner.shared.get_or_init(|| Shared::new(self.inner.bulk.clone())).clone()
    }

    /// Follows streams through the readers of another handle in this process, which has to have the right to read
    /// them. Without effect once this handle has followed a stream by itself.
    pub fn share(&self, shared: Shared) {
        self.inner.shared.set(shared).ok();
    }

    fn client(&self) -> &async_nats::Client {
        &self.inner.main.client
    }

    async fn append_each(&self, entries: Vec<Append>, link: Link) -> Vec<Result<Appended, AppendError>> {
        let begun = self.inner.main.hook.begin(&entries);
        let mut encoded = wire::encode_each(entries, &self.inner.clock, self.inner.max_payload);
        begun.stamp(encoded.iter_mut().map(|encoded| encoded.as_mut().ok()));
        let outcomes = self.append_many(encoded, link).await;
        begun.end(&outcomes);
        outcomes
    }
}

#[async_trait]
impl EventLog for JetStreamLog {
    async fn append(&self, entry: Append) -> Result<Appended, AppendError> {
        let begun = self.inner.main.hook.begin(std::slice::from_ref(&entry));
        let mut encoded = wire::encode(entry, &self.inner.clock, self.inner.max_payload);
        begun.stamp([encoded.as_mut().ok()]);
        let outcome = match encoded {
            Ok(encoded) => self.append_encoded(&encoded).await,
            Err(refused) => Err(refused),
        };
        begun.end([&outcome]);
        outcome
    }

    async fn append_batch(&self, entries: Vec<Append>) -> Result<Vec<Appended>, AppendError> {
        let begun = self.inner.main.hook.begin(&entries);
        // Taken before anything else, so that the order of asking is the order of sending.
        let turn = self.inner.turn.lock().await;
        let outcome = match wire::encode_batch(entries, &self.inner.clock, self.inner.max_payload) {
            Ok(mut batch) => {
                begun.stamp(batch.iter_mut().map(Some));
                self.append_batch_encoded(&batch, turn).await
            }
            Err(refused) => Err(refused),
        };
        begun.end_batch(&outcome);
        outcome
    }

    async fn append_pipelined(&self, entries: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.append_each(entries, Link::None).await
    }

    async fn append_ordered(&self, entries: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.append_each(entries, Link::BehindTheLast).await
    }

    async fn last(&self, stream: &str, filter: &str) -> Result<Option<Recorded>, LogError> {
        again(|| self.last_under(stream, filter)).await
    }

    async fn last_sequence(&self, stream: &str, filter: &str) -> Result<u64, LogError> {
        again(|| self.last_sequence_under(stream, filter)).await
    }

    async fn get(&self, stream: &str, sequence: u64) -> Result<Option<Recorded>, LogError> {
        again(|| self.at(stream, sequence)).await
    }

    async fn stored_from(
        &self,
        stream: &str,
        filter: &str,
        from_sequence: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        self.browse_from(stream, filter, from_sequence, max).await
    }

    async fn stored_before(
        &self,
        stream: &str,
        filter: &str,
        before: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError> {
        self.browse_before(stream, filter, before, max).await
    }

    async fn subjects(&self, stream: &str, filter: &str) -> Result<Subjects, LogError> {
        self.subject_counts(stream, filter).await
    }

    async fn state(&self, stream: &str) -> Result<StreamState, LogError> {
        again(|| self.inner.main.stream_state(stream)).await
    }

    async fn check(&self, stream: &str, bookmark: &Bookmark) -> Result<(), LogError> {
        again(|| self.inner.main.check(stream, bookmark)).await?;
        Ok(())
    }

    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        from_sequence: u64,
    ) -> Result<Box<dyn Reader>, LogError> {
        let after = Bookmark::before(from_sequence);
        let open = || read::JetStreamReader::open(&self.inner.bulk, stream, filters, after.clone());
        let reader = again(open).await?;
        Ok(Box::new(reader))
    }

    async fn follow(&self, stream: &str, from_sequence: u64) -> Result<Box<dyn Reader>, LogError> {
        let after = Bookmark::before(from_sequence);
        let follower = shared::Follower::open(&self.inner.bulk, &self.shared(), stream, after).await?;
        Ok(Box::new(follower))
    }

    async fn consume(&self, stream: &str, durable: &str) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(consume::JetStreamConsumer::open(&self.inner.main, stream, durable).await?))
    }

    async fn ack_floor(&self, stream: &str, durable: &str) -> Result<u64, LogError> {
        again(|| self.consumer_ack_floor(stream, durable)).await
    }

    async fn durable_state(&self, stream: &str, durable: &str) -> Result<Option<DurableState>, LogError> {
        again(|| self.consumer_state(stream, durable)).await
    }

    async fn acks(&self, stream: &str) -> Result<Box<dyn Acks>, LogError> {
        Ok(Box::new(watch::JetStreamAcks::subscribe(&self.inner.main, stream).await?))
    }

    async fn hint(&self, subject: &str, payload: Vec<u8>) -> Result<(), LogError> {
        let sent = self.client().publish(subject.to_owned(), payload.into());
        match tokio::time::timeout(TIMEOUT, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(LogError::new(format!("publish {subject}"), error)),
            Err(elapsed) => Err(LogError::new(format!("publish {subject}"), elapsed)),
        }
    }

    async fn hints(&self, filter: &str) -> Result<Box<dyn Hints>, LogError> {
        Ok(Box::new(watch::JetStreamHints::subscribe(&self.inner.main, filter).await?))
    }
}
