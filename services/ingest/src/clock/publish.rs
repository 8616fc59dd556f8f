//! Publishes instants to MARKET, each event once and in the order of its instant.
//!
//! Consumers take an instant as complete with its last event, so none of them may come to stand before one that is in
//! front of it: a full disk refuses the first and takes the last, a lost connection loses the first and carries the
//! last. They go out together all the same, each to be taken only behind the one in front of it
//! ([`event_log::EventLog::append_ordered`]). (An atomic batch would do too, but costs a sync.)
//!
//! No event carries an expectation, because an import may write to the same subjects meanwhile. Nothing
//! doubles all the same: the server drops a repeated id within its window, and beyond it, on resuming, what
//! the tape already holds of the last instant is looked up first.

use std::collections::HashMap;
use std::time::Duration;

use contracts::stream::MARKET;
use contracts::{Subject, from_timestamp};
use event_log::{Append, AppendError, Appended, Delivery, Expect, LogError, Recorded, Tape};
use runtime::utc;

use super::ClockError;
use crate::source::{Instant, Source};

const READ_BATCH: usize = 4_096;
/// Sequences looked back for other events of the last instant on the same subject.
const INSTANT_SPAN: u64 = 100_000;
/// Pause before an event is tried again while the tape cannot be reached.
const PAUSE: Duration = Duration::from_millis(200);

/// The source's own last event under a subject, when the clock started.
#[derive(Clone, Debug)]
struct Own {
    id: String,
    ns: i64,
    sequence: u64,
}

/// What of an instant must still be appended, and where the rest stands.
#[derive(Debug)]
pub(super) struct Plan {
    appends: Vec<(usize, Append)>,
    sequences: Vec<u64>,
}

/// Knows what the tape held of a source when the clock started.
#[derive(Debug)]
pub(super) struct Publisher {
    tape: Tape,
    /// Own last events by subject; several of one instant may share a subject.
    held: HashMap<String, Vec<Own>>,
    last_ns: Option<i64>,
}

impl Publisher {
    /// Reads where the source's own events end under each of its subjects.
    pub(super) async fn open(tape: Tape, source: &dyn Source) -> Result<Self, LogError> {
        let mut held = HashMap::new();
        for subject in source.subjects() {
            let Some(last) = tape.last(MARKET, subject.as_str()).await? else { continue };
            let of_source = |recorded: &Recorded| recorded.event.source == source.name();
            let newest = if of_source(&last) {
                Some(last)
            } else {
                // Another writer (an import) was there last: look for the source's own before it.
                newest(&tape, &subject, last.sequence, of_source).await?
            };
            let Some(newest) = newest.as_ref().map(own) else { continue };
            held.insert(subject.as_str().to_owned(), vec![newest]);
        }
        let last_ns = held.values().flatten().map(|own| own.ns).max();
        let mut publisher = Self { tape, held, last_ns };
        publisher.complete(source.name()).await?;
        Ok(publisher)
    }

    /// Under the subjects that the last instant wrote to, finds all of its events: an instant may have
    /// several on one subject (a split and a dividend).
    async fn complete(&mut self, name: &str) -> Result<(), LogError> {
        let Some(last_ns) = self.last_ns else { return Ok(()) };
        for (subject, held) in &mut self.held {
            let Some(newest) = held.first().filter(|own| own.ns == last_ns).cloned() else { continue };
            let Ok(parsed) = Subject::parse(subject) else { continue };
            let of_instant =
                |recorded: &Recorded| recorded.event.source == name && own(recorded).ns == last_ns;
            // The events of one instant stand close together, whatever an import put between them.
            let from = newest.sequence.saturating_sub(INSTANT_SPAN).max(1);
            let found = find(&self.tape, &parsed, from, newest.sequence, of_instant).await?;
            *held = found.iter().map(own).collect();
        }
        Ok(())
    }

    /// The last instant of which the tape holds an event of the source.
    pub(super) fn last_instant_ns(&self) -> Option<i64> {
        self.last_ns
    }

    /// What must be appended of `instant`.
    pub(super) fn plan(&self, instant: &Instant) -> Plan {
        let mut plan = Plan { appends: Vec::new(), sequences: Vec::new() };
        for (place, (subject, event)) in instant.events.iter().enumerate() {
            let held = self.held.get(subject.as_str()).filter(|_| Some(instant.ns) == self.last_ns);
            let stored = held.and_then(|held| held.iter().find(|own| own.id == event.id));
            plan.sequences.push(stored.map_or(0, |own| own.sequence));
            if stored.is_none() {
                let (subject, event) = (subject.clone(), event.clone());
                plan.appends.push((place, Append { subject, event, expect: Expect::Nothing }));
            }
        }
        plan
    }

    /// Appends what a plan holds, behind what TRADING says up to `trading`; answers the sequence of every event and how
    /// many were new.
    pub(super) async fn publish(
        &self,
        plan: Plan,
        ns: i64,
        trading: u64,
    ) -> Result<(Vec<u64>, u64), ClockError> {
        let Plan { mut appends, mut sequences } = plan;
        for (_, append) in &mut appends {
            append.event.instant.iter_mut().for_each(|frame| frame.trading_sequence = trading);
        }
        let mut new = 0;
        let mut rest = appends.as_slice();
        while !rest.is_empty() {
            let entries = rest.iter().map(|(_, append)| append.clone()).collect();
            let outcomes = self.tape.append_ordered(entries).await;
            let (answered, unanswered) = rest.split_at(outcomes.len().min(rest.len()));
            for ((place, append), outcome) in answered.iter().zip(outcomes) {
                let refused = |source| ClockError::Publish { instant: utc(ns), source };
                let stored = match outcome {
                    Ok(stored) => stored,
                    Err(error) => self.insist(append, error).await.map_err(refused)?,
                };
                new += u64::from(!stored.duplicate);
                sequences[*place] = stored.sequence;
            }
            rest = unanswered;
        }
        Ok((sequences, new))
    }

    /// Appends one event although the tape cannot be reached.
    async fn insist(&self, entry: &Append, mut error: AppendError) -> Result<Appended, AppendError> {
        loop {
            let AppendError::Unavailable(cause) = error else { return Err(error) };
            tracing::warn!(subject = %entry.subject, "{} not stored, trying again: {cause}", entry.subject);
            runtime::clock::sleep(PAUSE).await;
            match self.tape.append(entry.clone()).await {
                Ok(stored) => return Ok(stored),
                Err(next) => error = next,
            }
        }
    }
}

fn own(recorded: &Recorded) -> Own {
    let ns = recorded.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
    Own { id: recorded.event.id.clone(), ns, sequence: recorded.sequence }
}

/// The last event that is `wanted` under a subject: found in steps backwards, so that little is read.
async fn newest(
    tape: &Tape,
    subject: &Subject,
    last: u64,
    wanted: impl Fn(&Recorded) -> bool,
) -> Result<Option<Recorded>, LogError> {
    let mut span = INSTANT_SPAN;
    loop {
        let from = last.saturating_sub(span).max(1);
        let found = find(tape, subject, from, last, &wanted).await?.pop();
        if found.is_some() || from == 1 {
            return Ok(found);
        }
        span = span.saturating_mul(4);
    }
}

/// The events that are `wanted` under a subject, from one sequence to another.
async fn find(
    tape: &Tape,
    subject: &Subject,
    from: u64,
    to: u64,
    wanted: impl Fn(&Recorded) -> bool,
) -> Result<Vec<Recorded>, LogError> {
    let mut reader = tape.read(MARKET, &[subject.as_str().to_owned()], from).await?;
    let mut found = Vec::new();
    loop {
        for delivery in reader.batch(READ_BATCH).await? {
            let sequence = delivery.sequence();
            if let Delivery::Event(recorded) = delivery
                && sequence <= to
                && wanted(&recorded)
            {
                found.push(recorded);
            }
            if sequence >= to {
                return Ok(found);
            }
        }
    }
}
