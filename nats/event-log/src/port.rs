//! The port: what the rest of the system may ask of a tape.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use contracts::v1::Event;
use contracts::{DecodeError, Subject};

use crate::bookmark::{self, Bookmark, TakenBack};
use crate::browse::{Stored, Subjects};

/// An event as it stands on the tape.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Sequence within its stream, from 1.
    pub sequence: u64,
    /// Subject it is stored under.
    pub subject: String,
    /// The event.
    pub event: Event,
}

/// What a reader delivers: an event, or a message that is none and must be parked.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every delivery is an event; a box would cost each of them"
)]
pub enum Delivery {
    /// A readable event.
    Event(Recorded),
    /// A message that cannot be decoded. Nothing is dropped silently: the caller parks it.
    Undecodable {
        /// Sequence within its stream.
        sequence: u64,
        /// Subject it is stored under.
        subject: String,
        /// The payload as it is.
        payload: Vec<u8>,
        /// Why it cannot be read.
        error: DecodeError,
    },
}

impl Delivery {
    /// Sequence of the message within its stream.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        match self {
            Self::Event(recorded) => recorded.sequence,
            Self::Undecodable { sequence, .. } => *sequence,
        }
    }
}

/// What an append demands of the stream before it takes effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing; the deterministic id alone guards against a double within the dedupe window.
    Nothing,
    /// The last sequence stored under `filter` is exactly `sequence` (0: nothing stored).
    ///
    /// The filter must cover the subject; the adapter refuses one that does not, the server would not.
    Last {
        /// Subject or filter, the same string for every writer of the aggregate.
        filter: String,
        /// Sequence last seen under it.
        sequence: u64,
    },
}

/// One event to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where it goes; the stream follows from the subject.
    pub subject: Subject,
    /// The event. Its recorded time is set by the adapter.
    pub event: Event,
    /// What must be true before.
    pub expect: Expect,
}

/// Where an appended event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Sequence of the event within its stream.
    pub sequence: u64,
    /// True when the very same event (by id) was already there and nothing was written.
    pub duplicate: bool,
}

/// Why an append did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// Another message is last under the filter: fold it and decide again.
    #[error("expected sequence {expected} last under {filter}, found {last}")]
    Conflict {
        /// Filter of the expectation.
        filter: String,
        /// Sequence expected.
        expected: u64,
        /// Sequence of the message that is last now, event or not; 0 when there is none.
        last: u64,
        /// That message, where it is an event.
        actual: Option<Box<Recorded>>,
    },
    /// The request itself is wrong (filter does not cover the subject, batch too large or across
    /// streams, payload too large); repeating it cannot help.
    #[error("append refused: {0}")]
    Refused(String),
    /// The tape could not be reached or did not answer; the same append may be repeated.
    #[error(transparent)]
    Unavailable(#[from] LogError),
}

/// The tape could not be reached, did not answer, or has no such stream.
#[derive(Debug, thiserror::Error)]
#[error("tape: {doing}: {source}")]
pub struct LogError {
    /// What was being done.
    pub doing: String,
    /// Cause.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl LogError {
    /// Wraps a cause.
    pub fn new(
        doing: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { doing: doing.into(), source: source.into() }
    }
}

impl LogError {
    /// Whether the message asked for is there and is no event: asking again gives the same answer.
    #[must_use]
    pub fn is_undecodable(&self) -> bool {
        self.source.is::<DecodeError>()
    }

    /// Whether the tape no longer holds what was read from it.
    #[must_use]
    pub fn is_taken_back(&self) -> bool {
        self.source.is::<TakenBack>()
    }
}

/// First and last sequence and number of messages of a stream. A stream with an age lets go of its oldest messages, and
/// in the end of all: only `messages` says whether there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamState {
    /// Sequence of the first message that is held, 0 when there is none.
    pub first_sequence: u64,
    /// Sequence given last, 0 before the first message. It outlives its message.
    pub last_sequence: u64,
    /// Messages stored.
    pub messages: u64,
    /// Bytes stored.
    pub bytes: u64,
}

/// How far a durable consumer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DurableState {
    /// The highest sequence up to which everything is acknowledged; where nothing is acknowledged, the last
    /// one delivered.
    pub ack_floor: u64,
    /// Messages that it has not been given yet.
    pub pending: u64,
    /// Messages that it was given and has not acknowledged.
    pub ack_pending: u64,
}

/// An acknowledgement seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckSeen {
    /// Durable consumer that acknowledged.
    pub consumer: String,
    /// Stream sequence acknowledged.
    pub sequence: u64,
}

/// A plain message outside the tape: a hint, never a fact.
#[derive(Clone, Debug)]
pub struct Hint {
    /// Subject it was sent under.
    pub subject: String,
    /// Payload.
    pub payload: Vec<u8>,
}

/// A tape.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends one event exactly once: a retry of the same id answers where the first one stands.
    async fn append(&self, entry: Append) -> Result<Appended, AppendError>;

    /// Appends 1 to 1,000 events of one stream, all or none. Repeating a batch whose events are all
    /// stored already answers where they stand. Batches of several events are sent in the order in which they were asked
    /// for, so that one may expect what another, still unanswered, is about to write.
    async fn append_batch(&self, entries: Vec<Append>) -> Result<Vec<Appended>, AppendError>;

    /// Appends many events of one stream without waiting for each other, for a source that repeats
    /// them after a failure; not atomic. Answers in the order of the entries.
    async fn append_pipelined(&self, entries: Vec<Append>) -> Vec<Result<Appended, AppendError>>;

    /// Appends events of one stream in their order: none takes effect before the one in front of it has. Answers in the
    /// order of the entries, and ends with the first one that was not stored.
    async fn append_ordered(&self, entries: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let mut outcomes = Vec::with_capacity(entries.len());
        for entry in entries {
            outcomes.push(self.append(entry).await);
            if outcomes.last().is_some_and(Result::is_err) {
                break;
            }
        }
        outcomes
    }

    /// The last event under a subject or filter.
    async fn last(&self, stream: &str, filter: &str) -> Result<Option<Recorded>, LogError>;

    /// Sequence of the last message under a subject or filter, whether or not it is an event; 0 when there
    /// is none.
    async fn last_sequence(&self, stream: &str, filter: &str) -> Result<u64, LogError>;

    /// The event with the given sequence.
    async fn get(&self, stream: &str, sequence: u64) -> Result<Option<Recorded>, LogError>;

    /// Messages as they are under a filter from `from_sequence` on, ascending, at most `max` (of 1 to
    /// [`crate::STORED_MAX`]) and never more than the answer of one request holds. Leaves no consumer.
    async fn stored_from(
        &self,
        stream: &str,
        filter: &str,
        from_sequence: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError>;

    /// Messages as they are under a filter before the sequence `before`, descending, at most `max`.
    /// Leaves no consumer.
    async fn stored_before(
        &self,
        stream: &str,
        filter: &str,
        before: u64,
        max: usize,
    ) -> Result<Vec<Stored>, LogError>;

    /// The subjects under a filter and how many messages each holds, at most [`crate::SUBJECTS_MAX`].
    async fn subjects(&self, stream: &str, filter: &str) -> Result<Subjects, LogError>;

    /// First and last sequence of a stream.
    async fn state(&self, stream: &str) -> Result<StreamState, LogError>;

    /// Whether the tape still holds what a reader has taken last; [`LogError::is_taken_back`] when not.
    async fn check(&self, stream: &str, bookmark: &Bookmark) -> Result<(), LogError> {
        bookmark::check(self, stream, bookmark).await
    }

    /// Reads a stream in order from `from_sequence` on (0 and 1 both mean the first) and then follows
    /// it. No filter means everything. Never loses or reorders; reconnects by itself.
    ///
    /// Ends with an error for which [`LogError::is_taken_back`] holds when the tape no longer has what the
    /// reader took last, or ends before the sequence that it is to begin at.
    async fn read(
        &self,
        stream: &str,
        filters: &[String],
        from_sequence: u64,
    ) -> Result<Box<dyn Reader>, LogError>;

    /// Reads everything of a stream in order from `from_sequence` on and then follows it, as [`EventLog::read`] does.
    /// Whoever follows to stay asks for this: readers of one process may share what the server delivers.
    async fn follow(&self, stream: &str, from_sequence: u64) -> Result<Box<dyn Reader>, LogError> {
        self.read(stream, &[], from_sequence).await
    }

    /// Opens a durable consumer that exists on the stream, for one client at a time. Everything behind
    /// its acknowledged floor is delivered (again) at once and in order.
    async fn consume(&self, stream: &str, durable: &str) -> Result<Box<dyn Consumer>, LogError>;

    /// The highest sequence up to which a durable consumer has acknowledged everything.
    async fn ack_floor(&self, stream: &str, durable: &str) -> Result<u64, LogError>;

    /// How far a durable consumer is; `None` when there is no such consumer.
    async fn durable_state(&self, stream: &str, durable: &str) -> Result<Option<DurableState>, LogError>;

    /// Acknowledgements of a stream's durable consumers as they pass.
    async fn acks(&self, stream: &str) -> Result<Box<dyn Acks>, LogError>;

    /// Sends a plain message.
    async fn hint(&self, subject: &str, payload: Vec<u8>) -> Result<(), LogError>;

    /// Plain messages under a filter, tape subjects included: a publisher's messages arrive in the
    /// order in which it sent them, its acknowledgements (seen by the same tape handle) after them.
    async fn hints(&self, filter: &str) -> Result<Box<dyn Hints>, LogError>;
}

/// A shared tape handle.
pub type Tape = Arc<dyn EventLog>;

impl fmt::Debug for dyn EventLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EventLog")
    }
}

/// An ordered read.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Waits for at least one message and returns all that are at hand, at most `max`, in order.
    /// Cancel-safe: a message is either returned or delivered by the next call.
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError>;
}

/// A durable consumer.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Waits for at least one message and returns all that are at hand, at most `max`. Cancel-safe.
    /// One handle delivers each message once and in order, also across a restart of the server.
    async fn batch(&mut self, max: usize) -> Result<Vec<Delivery>, LogError>;

    /// Acknowledges one message by its stream sequence, after everything it caused is stored. A
    /// program that ends at once may take the acknowledgement with it: the message comes again.
    async fn ack(&mut self, sequence: u64) -> Result<(), LogError>;

    /// Acknowledges everything delivered up to and including a message, after everything it caused is
    /// stored. One message on the wire where the consumer's policy is `all`, so that a watcher may see
    /// only the last of them.
    async fn ack_through(&mut self, sequence: u64) -> Result<(), LogError>;
}

/// Acknowledgements as they pass.
#[async_trait]
pub trait Acks: Send + Sync {
    /// The next one. Cancel-safe.
    ///
    /// An error says that some may have been missed (the connection was interrupted, or the caller was
    /// too slow): compare with [`EventLog::ack_floor`] and call again; later ones follow.
    async fn next(&mut self) -> Result<AckSeen, LogError>;
}

/// Plain messages as they pass.
#[async_trait]
pub trait Hints: Send + Sync {
    /// The next one. Cancel-safe.
    ///
    /// An error says that some may have been missed (the connection was interrupted, or the caller was
    /// too slow): compare with the tape and call again; later ones follow.
    async fn next(&mut self) -> Result<Hint, LogError>;

    /// One that has already arrived, without waiting. When an acknowledgement has been received from
    /// [`Acks`] of the same tape handle, everything that arrived before it is seen here.
    fn ready(&mut self) -> Option<Hint>;
}
