//! Where a reader stands, and whether the tape is still the one that it has read.
//!
//! A sequence alone does not say. A server that comes back without its last messages, or from an older copy of its
//! files, gives their sequences to others: whoever is past them would go on behind the new ones and never read them.

use crate::{Delivery, EventLog, LogError, Stored};

/// The last message that a reader has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmark {
    /// Its sequence; 0 before the first.
    pub sequence: u64,
    /// Its event's id; `None` where it is no event, or is not known. Then only the length of the tape tells.
    pub id: Option<String>,
}

impl Bookmark {
    /// In front of a sequence, where what stands before it is not known.
    #[must_use]
    pub fn before(sequence: u64) -> Self {
        Self { sequence: sequence.saturating_sub(1), id: None }
    }

    /// At a message.
    #[must_use]
    pub fn at(delivery: &Delivery) -> Self {
        match delivery {
            Delivery::Event(recorded) => {
                Self { sequence: recorded.sequence, id: Some(recorded.event.id.clone()) }
            }
            Delivery::Undecodable { sequence, .. } => Self { sequence: *sequence, id: None },
        }
    }

    /// The sequence that is to be read next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.sequence + 1
    }

    /// Against the message at the bookmark's sequence, where there is one: the id of its event.
    pub(crate) fn compare(&self, stream: &str, found: Option<&str>) -> Result<(), TakenBack> {
        match &self.id {
            Some(id) if found != Some(id) => Err(TakenBack {
                stream: stream.to_owned(),
                sequence: self.sequence,
                found: found.map_or_else(|| "no event".to_owned(), |found| format!("event {found}")),
                expected: format!("event {id}"),
            }),
            _ => Ok(()),
        }
    }

    /// Against a stream that has no message at the bookmark's sequence: the stream may have let go of it.
    pub(crate) fn compare_end(&self, stream: &str, last_sequence: u64) -> Result<(), TakenBack> {
        if self.sequence <= last_sequence {
            return Ok(());
        }
        Err(TakenBack {
            stream: stream.to_owned(),
            sequence: self.sequence,
            found: format!("the end of the stream at {last_sequence}"),
            expected: self.id.as_ref().map_or_else(|| "a message".to_owned(), |id| format!("event {id}")),
        })
    }
}

/// What was read is no longer on the tape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the tape was taken back: at sequence {sequence} of {stream}, which was read before, expected {expected}, found {found}"
)]
pub struct TakenBack {
    /// Stream.
    pub stream: String,
    /// Sequence that was read.
    pub sequence: u64,
    /// What was read there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Compares a bookmark with a tape that answers at once and for all.
pub(crate) async fn check<L: EventLog + ?Sized>(
    log: &L,
    stream: &str,
    bookmark: &Bookmark,
) -> Result<(), LogError> {
    let compared = match log.get(stream, bookmark.sequence).await {
        Ok(Some(recorded)) => bookmark.compare(stream, Some(&recorded.event.id)),
        Err(error) if error.is_undecodable() => {
            let stored = log.stored_from(stream, ">", bookmark.sequence, 1).await?;
            bookmark.compare(stream, stored.first().and_then(Stored::id).as_deref())
        }
        Ok(None) => bookmark.compare_end(stream, log.state(stream).await?.last_sequence),
        Err(error) => return Err(error),
    };
    compared.map_err(|taken_back| LogError::new("compare with what was read", taken_back))
}
