//! The state behind the in-memory tape: messages, the indexes over them and the durable consumers.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use contracts::v1::Event;

use super::watch::{AckWatcher, HintWatcher, announce};
use crate::definitions;
use crate::filter::{any_covers, covers, literals};
use crate::wire::{self, Encoded};
use crate::{AppendError, Appended, Delivery, DurableState, LogError, Recorded, StreamState};

/// Messages of a stream that are kept decoded, the newest ones: a tape is mostly read where it ends, by several at once.
const DECODED_MAX: u64 = 4_096;

/// A stored message.
#[derive(Debug)]
pub(super) struct Stored {
    pub subject: Arc<str>,
    pub payload: Bytes,
    pub content_type: Option<Arc<str>>,
    /// The header `traceparent`.
    pub trace: Option<String>,
    pub id: Option<Arc<str>>,
    pub stored_ns: i64,
    /// What its bytes say, once somebody has read them.
    pub event: OnceCell<Box<Event>>,
}

impl Stored {
    fn bytes(&self) -> u64 {
        (self.subject.len() + self.payload.len()) as u64
    }
}

/// Everything on the tape.
#[derive(Debug, Default)]
pub(super) struct State {
    streams: HashMap<String, StreamLog>,
    pub hints: Vec<HintWatcher>,
}

impl State {
    /// The streams and consumers that the definition files name, empty.
    pub fn from_definitions() -> Self {
        let mut state = Self::default();
        for stream in definitions::STREAMS {
            state.streams.insert(stream.name.to_owned(), StreamLog::default());
        }
        for consumer in definitions::CONSUMERS {
            if let Some(log) = state.streams.get_mut(consumer.stream) {
                let mut durable = Durable::new(consumer.filters(), consumer.max_ack_pending());
                durable.acks_all = consumer.acks_all();
                log.durables.insert(consumer.name.to_owned(), durable);
            }
        }
        state
    }

    pub fn stream_mut(&mut self, name: &str) -> Result<&mut StreamLog, LogError> {
        self.streams
            .get_mut(name)
            .ok_or_else(|| LogError::new(format!("open stream {name}"), "the tape has no such stream"))
    }

    /// Shows a message to the plain subscribers.
    pub fn announce(&mut self, subject: &str, payload: &[u8]) {
        announce(&mut self.hints, subject, payload);
    }
}

/// Sequences to look through for a filter.
enum Candidates<'a> {
    All,
    Listed(&'a [u64]),
}

/// One stream.
#[derive(Debug, Default)]
pub(super) struct StreamLog {
    messages: Vec<Stored>,
    /// Up to this sequence the messages are no longer held.
    let_go: u64,
    bytes: u64,
    /// Where the message with an id stands.
    ids: HashMap<String, u64>,
    /// Sequences of the messages that have a token at a position, ascending.
    postings: HashMap<(usize, String), Vec<u64>>,
    pub durables: HashMap<String, Durable>,
    pub acks: Vec<AckWatcher>,
}

impl StreamLog {
    pub fn get(&self, sequence: u64) -> Option<&Stored> {
        if sequence <= self.let_go {
            return None;
        }
        self.messages.get(index(sequence)?)
    }

    /// Lets go of the messages up to a sequence, as a stream with an age does. Their sequences are not given again.
    pub fn let_go(&mut self, through: u64) {
        for sequence in self.let_go + 1..=through.min(self.last_sequence()) {
            self.bytes -= self.get(sequence).map_or(0, Stored::bytes);
            self.let_go = sequence;
        }
    }

    /// The event at a sequence; 0 and unknown ones are `None`.
    pub fn recorded(&self, sequence: u64) -> Result<Option<Recorded>, LogError> {
        self.delivery(sequence).map(wire::readable).transpose()
    }

    /// The message at a sequence as whoever reads it has it.
    pub fn delivery(&self, sequence: u64) -> Option<Delivery> {
        let stored = self.get(sequence)?;
        if let Some(event) = stored.event.get() {
            let (subject, event) = (stored.subject.to_string(), Event::clone(event));
            return Some(Delivery::Event(Recorded { sequence, subject, event }));
        }
        let content_type = stored.content_type.as_deref();
        let delivery = wire::delivery(sequence, &stored.subject, content_type, &stored.payload);
        if let Delivery::Event(recorded) = &delivery
            && sequence + DECODED_MAX > self.last_sequence()
        {
            stored.event.get_or_init(|| Box::new(recorded.event.clone()));
        }
        Some(delivery)
    }

    pub fn last_sequence(&self) -> u64 {
        self.messages.len() as u64
    }

    pub fn state(&self) -> StreamState {
        let last_sequence = self.last_sequence();
        let messages = last_sequence - self.let_go;
        let first_sequence = if messages == 0 { 0 } else { self.let_go + 1 };
        StreamState { first_sequence, last_sequence, messages, bytes: self.bytes }
    }

    /// The highest sequence under `filter`, 0 when nothing is.
    pub fn last_under(&self, filter: &str) -> u64 {
        let matches = |sequence: &u64| self.get(*sequence).is_some_and(|m| covers(filter, &m.subject));
        match self.candidates(filter) {
            Candidates::Listed(list) => list.iter().rev().copied().find(matches).unwrap_or(0),
            Candidates::All => (1..=self.last_sequence()).rev().find(matches).unwrap_or(0),
        }
    }

    /// The lowest sequence under `filter` that is higher than `after`.
    fn first_under(&self, filter: &str, after: u64) -> Option<u64> {
        let matches = |sequence: &u64| self.get(*sequence).is_some_and(|m| covers(filter, &m.subject));
        match self.candidates(filter) {
            Candidates::Listed(list) => {
                let from = list.partition_point(|sequence| *sequence <= after);
                list[from..].iter().copied().find(matches)
            }
            Candidates::All => (after + 1..=self.last_sequence()).find(matches),
        }
    }

    /// What to look through for a filter: the rarest literal token has the shortest list.
    fn candidates(&self, filter: &str) -> Candidates<'_> {
        let lists = literals(filter)
            .map(|(position, token)| self.postings.get(&(position, token.to_owned())).map_or(&[][..], |l| l));
        lists.min_by_key(|list| list.len()).map_or(Candidates::All, Candidates::Listed)
    }

    /// Where the message with an id stands, of whatever subject.
    pub fn place_of(&self, id: &str) -> Option<u64> {
        self.ids.get(id).copied()
    }

    pub fn push(&mut self, message: Stored) -> u64 {
        let sequence = self.last_sequence() + 1;
        for (position, token) in literals(&message.subject) {
            self.postings.entry((position, token.to_owned())).or_default().push(sequence);
        }
        if let Some(id) = &message.id {
            self.ids.insert(id.to_string(), sequence);
        }
        self.bytes += message.bytes();
        self.messages.push(message);
        let old = sequence.checked_sub(DECODED_MAX).and_then(index);
        if let Some(old) = old.and_then(|place| self.messages.get_mut(place)) {
            old.event.take();
        }
        sequence
    }

    /// Appends all or nothing. Expectations are judged against the stream as it is before.
    pub fn append(&mut self, batch: &[Encoded], stored_ns: i64) -> Result<Vec<Appended>, AppendError> {
        let stored: Vec<Option<u64>> = batch.iter().map(|entry| self.locate(entry)).collect();
        if stored.iter().all(Option::is_some) {
            let found = |sequence| Appended { sequence, duplicate: true };
            return Ok(stored.into_iter().flatten().map(found).collect());
        }
        for entry in batch {
            let Some((filter, expected)) = entry.expected() else { continue };
            let last = self.last_under(filter);
            if last != expected {
                return Err(self.conflict(filter, expected, last));
            }
        }
        if let Some((entry, at)) = batch.iter().zip(&stored).find_map(|(entry, at)| Some((entry, (*at)?))) {
            return Err(self.conflict(entry.subject.as_str(), 0, at));
        }
        let mut push = |entry: &Encoded| {
            let message = Stored {
                subject: entry.subject.as_str().into(),
                payload: entry.payload.clone(),
                content_type: None,
                trace: entry.trace.map(|trace| trace.to_string()),
                id: Some(entry.id.as_str().into()),
                stored_ns,
                event: OnceCell::new(),
            };
            Appended { sequence: self.push(message), duplicate: false }
        };
        Ok(batch.iter().map(&mut push).collect())
    }

    /// Where the event of an append stands already: with an expectation it is the first one behind it, or
    /// the expectation holds and the id alone tells.
    fn locate(&self, entry: &Encoded) -> Option<u64> {
        let at = self.place_of(&entry.id)?;
        let stored = self.get(at).map(|message| &*message.subject);
        if stored.is_some_and(|stored| !wire::is_of_one_author(stored, entry.subject.as_str())) {
            return None;
        }
        let Some((filter, expected)) = entry.expected() else { return Some(at) };
        let first = self.first_under(filter, expected);
        (first.is_none() || first == Some(at)).then_some(at)
    }

    fn conflict(&self, filter: &str, expected: u64, last: u64) -> AppendError {
        // A message that is no event has only its place.
        let actual = self.recorded(last).ok().flatten().map(Box::new);
        AppendError::Conflict { filter: filter.to_owned(), expected, last, actual }
    }

    pub fn durable_mut(&mut self, name: &str) -> Result<&mut Durable, LogError> {
        self.durables
            .get_mut(name)
            .ok_or_else(|| LogError::new(format!("open consumer {name}"), "the stream has no such consumer"))
    }
}

/// A durable consumer. What it delivered and nobody acknowledged is delivered again when it is reopened.
#[derive(Debug)]
pub(super) struct Durable {
    filters: Vec<String>,
    max_ack_pending: usize,
    /// Acknowledging a message acknowledges all before it.
    acks_all: bool,
    /// Everything up to here is acknowledged.
    pub floor: u64,
    /// Last sequence delivered to the present client.
    cursor: u64,
    unacknowledged: BTreeSet<u64>,
    /// Counts openings: an older client is told that it was replaced.
    pub generation: u64,
}

impl Durable {
    pub fn new(filters: Vec<String>, max_ack_pending: usize) -> Self {
        Self {
            filters,
            max_ack_pending,
            acks_all: false,
            floor: 0,
            cursor: 0,
            unacknowledged: BTreeSet::new(),
            generation: 0,
        }
    }

    /// Starts again behind the acknowledged floor.
    pub fn reset(&mut self) -> u64 {
        self.cursor = self.floor;
        self.unacknowledged.clear();
        self.generation += 1;
        self.generation
    }

    /// Takes the next sequences to deliver, at most `max`.
    pub fn take(&mut self, messages: &[Stored], max: usize) -> Vec<u64> {
        let room = max.min(self.max_ack_pending.saturating_sub(self.unacknowledged.len()));
        let mut taken = Vec::new();
        while taken.len() < room {
            let Some(stored) = index(self.cursor + 1).and_then(|at| messages.get(at)) else { break };
            self.cursor += 1;
            if any_covers(&self.filters, &stored.subject) {
                self.unacknowledged.insert(self.cursor);
                taken.push(self.cursor);
            }
        }
        taken
    }

    /// Acknowledges one sequence, or everything up to it where the policy says so; false when it was not
    /// outstanding.
    pub fn acknowledge(&mut self, sequence: u64) -> bool {
        if self.acks_all && self.unacknowledged.contains(&sequence) {
            return self.acknowledge_through(sequence).is_some();
        }
        let known = self.unacknowledged.remove(&sequence);
        if known {
            self.floor = self.unacknowledged.first().map_or(self.cursor, |first| first - 1);
        }
        known
    }

    /// Acknowledges every outstanding sequence up to this one; the last of them, where there is one.
    pub fn acknowledge_through(&mut self, sequence: u64) -> Option<u64> {
        let later = self.unacknowledged.split_off(&(sequence + 1));
        let last = std::mem::replace(&mut self.unacknowledged, later).last().copied();
        if last.is_some() {
            self.floor = self.unacknowledged.first().map_or(self.cursor, |first| first - 1);
        }
        last
    }
}

impl StreamLog {
    /// How far a durable consumer is.
    pub fn durable_state(&self, durable: &str) -> Option<DurableState> {
        let durable = self.durables.get(durable)?;
        let ahead = (durable.cursor + 1..=self.last_sequence()).filter_map(|sequence| self.get(sequence));
        let pending = ahead.filter(|stored| any_covers(&durable.filters, &stored.subject)).count();
        Some(DurableState {
            ack_floor: durable.floor,
            pending: pending as u64,
            ack_pending: durable.unacknowledged.len() as u64,
        })
    }

    /// Takes the next deliveries of a durable consumer.
    pub fn take(&mut self, durable: &str, max: usize) -> Result<Vec<u64>, LogError> {
        let Self { messages, let_go, durables, .. } = self;
        let durable = durables
            .get_mut(durable)
            .ok_or_else(|| LogError::new(format!("read consumer {durable}"), "the consumer was removed"))?;
        durable.cursor = durable.cursor.max(*let_go);
        Ok(durable.take(messages, max))
    }
}

/// Index of a sequence among the messages; sequences count from 1.
fn index(sequence: u64) -> Option<usize> {
    usize::try_from(sequence.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests {
    use contracts::v1::StrategyRemoved;
    use contracts::v1::event::Body;

    use super::*;

    fn removed(id: u64) -> Event {
        let body = Some(Body::StrategyRemoved(StrategyRemoved::default()));
        Event { id: id.to_string(), body, ..Event::default() }
    }

    fn stored(payload: Vec<u8>) -> Stored {
        Stored {
            subject: "audit.somebody.something".into(),
            payload: payload.into(),
            content_type: None,
            trace: None,
            id: None,
            stored_ns: 0,
            event: OnceCell::new(),
        }
    }

    #[test]
    fn what_is_read_again_is_the_same_and_only_the_newest_is_kept() {
        let mut log = StreamLog::default();
        let most = DECODED_MAX + 10;
        for sequence in 1..=most {
            log.push(stored(contracts::encode(&removed(sequence))));
            assert!(log.recorded(sequence).unwrap().is_some());
        }
        let kept =
            |log: &StreamLog| log.messages.iter().filter(|stored| stored.event.get().is_some()).count();
        assert_eq!(kept(&log) as u64, DECODED_MAX);
        // The first time from its bytes, the second one as the one before it had it; old ones are not kept anew.
        for sequence in [1, 1, most, most] {
            assert_eq!(log.recorded(sequence).unwrap().unwrap().event, removed(sequence));
        }
        assert_eq!(kept(&log) as u64, DECODED_MAX);
    }

    #[test]
    fn what_is_no_event_is_none_each_time() {
        let mut log = StreamLog::default();
        log.push(stored(b"no event".to_vec()));
        for _ in 0..2 {
            assert!(matches!(log.delivery(1), Some(Delivery::Undecodable { sequence: 1, .. })));
            assert!(log.recorded(1).is_err());
        }
        assert!(log.recorded(2).unwrap().is_none());
    }
}
