//! Browsing: stored messages as they are, counts of subjects, what stands last, and the sequence of a moment.
//!
//! Everything here is answered by single requests, so that looking at the tape leaves nothing behind on
//! the server: no consumer, no interest, no state. Every answer is bounded. Deliberately absent: following
//! a stream, which is [`crate::EventLog::read`] and [`crate::EventLog::hints`].

use contracts::v1::Event;
use contracts::{DecodeError, from_timestamp};

use crate::{LogError, Recorded, Tape, wire};

/// Most subjects of one answer of [`crate::EventLog::subjects`]; the server's own limit.
pub const SUBJECTS_MAX: usize = 100_000;
/// Most messages of one answer of [`crate::EventLog::stored_from`] and [`crate::EventLog::stored_before`].
pub const STORED_MAX: usize = 1_000;

/// A message as it stands on the tape, whatever it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Sequence within its stream.
    pub sequence: u64,
    /// Subject it is stored under.
    pub subject: String,
    /// Headers of its sender, in the order in which they were sent.
    pub headers: Vec<(String, String)>,
    /// The payload.
    pub payload: Vec<u8>,
    /// When it was stored, UTC nanoseconds of the server's clock.
    pub stored_ns: i64,
}

impl Stored {
    /// The first value of a header; names are compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The event, as every reader of the tape would decode it.
    pub fn decode(&self) -> Result<Event, DecodeError> {
        wire::decode(&self.subject, self.header("Content-Type"), &self.payload)
    }

    /// The id in its payload, whether or not it is an event.
    pub(crate) fn id(&self) -> Option<String> {
        wire::id(self.header("Content-Type"), &self.payload)
    }
}

/// How many messages stand under one subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubjectCount {
    /// The subject.
    pub subject: String,
    /// Messages stored under it.
    pub messages: u64,
}

/// Subjects under a filter, at most [`SUBJECTS_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    /// The subjects, in their order.
    pub counts: Vec<SubjectCount>,
    /// Number of subjects under the filter; more than are listed when the list was cut off.
    pub total: u64,
}

/// What stands last under a filter.
#[derive(Clone, Debug, Default)]
pub struct Last {
    /// Sequence of the last message, event or not; 0 when there is none.
    pub sequence: u64,
    /// The last event. Messages behind it are none.
    pub event: Option<Recorded>,
}

/// What stands last under a filter of a stream. Where the last message is no event, the event before it is looked for
/// among [`STORED_MAX`] messages: somebody's mistake takes nothing of what was stated before.
pub async fn last_of(tape: &Tape, stream: &str, filter: &str) -> Result<Last, LogError> {
    match tape.last(stream, filter).await {
        Err(error) if error.is_undecodable() => {}
        answer => {
            let event = answer?;
            return Ok(Last { sequence: event.as_ref().map_or(0, |event| event.sequence), event });
        }
    }
    let sequence = tape.last_sequence(stream, filter).await?;
    let before = tape.stored_before(stream, filter, sequence + 1, STORED_MAX).await?;
    let event = before.into_iter().find_map(|stored| {
        let event = stored.decode().ok()?;
        Some(Recorded { sequence: stored.sequence, subject: stored.subject, event })
    });
    Ok(Last { sequence, event })
}

/// Which of a message's times is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// When its writer wrote it; for a message that is no event, when the server stored it.
    Recorded,
    /// When what it tells of happened, in market time.
    Event,
}

/// The first sequence of a stream at or after `ns`, one past the last when there is none.
///
/// A binary search of about twenty single reads in a stream of a million. It supposes that times do not
/// go back: recorded times do not; event times do where history was imported late. A message without
/// the time asked for counts as earlier.
pub async fn first_at(tape: &Tape, stream: &str, moment: Moment, ns: i64) -> Result<u64, LogError> {
    let state = tape.state(stream).await?;
    let (mut low, mut high) = (state.first_sequence.max(1), state.last_sequence + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        // What was removed leaves a hole; the next message behind it speaks for it.
        let Some(stored) = tape.stored_from(stream, ">", middle, 1).await?.pop() else {
            high = middle;
            continue;
        };
        if time_of(&stored, moment).is_some_and(|time| time >= ns) {
            high = middle;
        } else {
            low = stored.sequence + 1;
        }
    }
    Ok(low)
}

fn time_of(stored: &Stored, moment: Moment) -> Option<i64> {
    match (moment, stored.decode()) {
        (Moment::Recorded, Ok(event)) => {
            event.recorded_time.as_ref().and_then(from_timestamp).or(Some(stored.stored_ns))
        }
        (Moment::Recorded, Err(_)) => Some(stored.stored_ns),
        (Moment::Event, Ok(event)) => event.event_time.as_ref().and_then(from_timestamp),
        (Moment::Event, Err(_)) => None,
    }
}
