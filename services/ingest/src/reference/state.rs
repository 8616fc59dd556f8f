//! What the tape holds about a symbol as of a moment.

use std::collections::BTreeMap;

use contracts::stream::REFERENCE;
use contracts::v1::event::Body;
use contracts::{Subject, from_timestamp};
use event_log::{LogError, STORED_MAX, Tape};

use super::kind_and_part;

/// Kinds of facts, as their subjects name them.
pub const KINDS: [&str; 6] = ["profile", "statistics", "statement", "holders", "analysts", "listing"];

/// What a source stated of one thing, as of a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Stated {
    /// Kind, as the subject names it.
    pub kind: &'static str,
    /// A statement's period and last day; empty for other kinds.
    pub part: String,
    /// Who stated it.
    pub source: String,
    /// Sequence on REFERENCE.
    pub sequence: u64,
    /// When it was stated, UTC nanoseconds.
    pub event_time_ns: i64,
    /// How often this source has stated something of it up to then.
    pub times: u32,
    /// What it stated.
    pub body: Body,
}

/// What each source stated last of a symbol up to `as_of_ns`, counted in; by kind, in the order of [`KINDS`], then
/// source and part.
pub async fn state(tape: &Tape, symbol: &str, as_of_ns: i64) -> Result<Vec<Stated>, LogError> {
    let mut found = Vec::new();
    for kind in KINDS {
        let mut last: BTreeMap<(String, String), Stated> = BTreeMap::new();
        let subject = Subject::reference(kind, symbol);
        let mut from = 1;
        loop {
            let messages = tape.stored_from(REFERENCE, subject.as_str(), from, STORED_MAX).await?;
            let Some(newest) = messages.last() else { break };
            from = newest.sequence + 1;
            for stored in messages {
                let Ok(event) = stored.decode() else { continue };
                let time = event.event_time.as_ref().and_then(from_timestamp);
                let Some((time_ns, body)) = time.filter(|ns| *ns <= as_of_ns).zip(event.body) else {
                    continue;
                };
                let Some((kind, part)) = kind_and_part(&body) else { continue };
                let key = (event.source.clone(), part.clone());
                let times = last.get(&key).map_or(0, |stated| stated.times) + 1;
                let (source, sequence) = (event.source, stored.sequence);
                let stated = Stated { kind, part, source, sequence, event_time_ns: time_ns, times, body };
                last.insert(key, stated);
            }
        }
        found.extend(last.into_values());
    }
    Ok(found)
}
