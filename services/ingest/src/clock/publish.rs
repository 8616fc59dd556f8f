//! Publishes instants to MARKET, each event once.

use std::collections::HashMap;
use std::time::Duration;

use contracts::stream::MARKET;
use contracts::{Subject, from_timestamp};
use event_log::{Append, AppendError, Appended, Delivery, Expect, LogError, Recorded, Tape};

use super::ClockError;
use super::stall::utc;
use crate::source::{Instant, Source};

const READ_BATCH: usize = 4_096;
/// Pause before an event is tried again while the tape cannot be reached.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a subject ends.
#[derive(Clone, Debug, Default)]
struct Head {
    sequence: u64,
    /// Id and event time of the source's own last event under it.
    own: Option<(String, i64, u64)>,
}

/// What of an instant must still be appended, and where the rest stands.
#[derive(Debug)]
pub(super) struct Plan {
    /// Events to append, in runs without a repeated subject; the index is the event's place.
    pub(super) runs: Vec<Vec<(usize, Append)>>,
    /// Sequence of each event that is stored.
    pub(super) sequences: Vec<Option<u64>>,
}

/// Knows the last sequence of every subject of a source.
#[derive(Debug)]
pub(super) struct Publisher {
    tape: Tape,
    heads: HashMap<String, Head>,
}

impl Publisher {
    /// Reads where every subject of the source ends.
    pub(super) async fn open(tape: Tape, source: &dyn Source) -> Result<Self, LogError> {
        let mut heads = HashMap::new();
        for subject in source.subjects() {
            let head = match tape.last(MARKET, subject.as_str()).await? {
                None => Head::default(),
                Some(last) if last.event.source == source.name() => own(&last),
                // Another writer (an import) was there last: look for the source's own last event before.
                Some(last) => {
                    let before = find(&tape, &subject, 1, last.sequence, |recorded| {
                        recorded.event.source == source.name()
                    });
                    let own = before.await?.map(|recorded| own(&recorded)).and_then(|head| head.own);
                    Head { sequence: last.sequence, own }
                }
            };
            heads.insert(subject.as_str().to_owned(), head);
        }
        Ok(Self { tape, heads })
    }

    /// The last instant of which the tape holds an event of the source.
    pub(super) fn last_instant_ns(&self) -> Option<i64> {
        self.heads.values().filter_map(|head| head.own.as_ref()).map(|(_, ns, _)| *ns).max()
    }

    /// What must be appended of `instant`.
    pub(super) fn plan(&self, instant: &Instant) -> Plan {
        let mut sequences = Vec::with_capacity(instant.events.len());
        let mut runs: Vec<Vec<(usize, Append)>> = Vec::new();
        for (place, (subject, event)) in instant.events.iter().enumerate() {
            let head = self.heads.get(subject.as_str()).cloned().unwrap_or_default();
            let stored = head.own.filter(|(id, ..)| *id == event.id).map(|(.., sequence)| sequence);
            sequences.push(stored);
            if stored.is_some() {
                continue;
            }
            let append = Append {
                subject: subject.clone(),
                event: event.clone(),
                expect: Expect::Last { filter: subject.as_str().to_owned(), sequence: head.sequence },
            };
            match runs.last_mut() {
                Some(run) if run.iter().all(|(_, other)| other.subject != append.subject) => {
                    run.push((place, append));
                }
                _ => runs.push(vec![(place, append)]),
            }
        }
        Plan { runs, sequences }
    }

    /// Appends what a plan holds; answers the sequence of every event and how many were new.
    pub(super) async fn publish(&mut self, plan: Plan, ns: i64) -> Result<(Vec<u64>, u64), ClockError> {
        let Plan { runs, mut sequences } = plan;
        let mut new = 0;
        for mut run in runs {
            // A repeated subject follows what this very instant put before it.
            for (_, append) in &mut run {
                if let (Expect::Last { sequence, .. }, Some(head)) =
                    (&mut append.expect, self.heads.get(append.subject.as_str()))
                {
                    *sequence = head.sequence;
                }
            }
            let places: Vec<(usize, Subject, String)> = run
                .iter()
                .map(|(place, append)| (*place, append.subject.clone(), append.event.id.clone()))
                .collect();
            let retry: Vec<Append> = run.iter().map(|(_, append)| append.clone()).collect();
            let outcomes =
                self.tape.append_pipelined(run.into_iter().map(|(_, append)| append).collect()).await;
            for (((place, subject, id), entry), outcome) in places.into_iter().zip(retry).zip(outcomes) {
                let stored = match outcome {
                    Ok(stored) => stored,
                    Err(error) => self
                        .insist(entry, error)
                        .await
                        .map_err(|source| ClockError::Publish { instant: utc(ns), source })?,
                };
                new += u64::from(!stored.duplicate);
                sequences[place] = Some(stored.sequence);
                let own = Some((id, ns, stored.sequence));
                self.heads.insert(subject.as_str().to_owned(), Head { sequence: stored.sequence, own });
            }
        }
        Ok((sequences.into_iter().map(Option::unwrap_or_default).collect(), new))
    }

    /// Appends one event although another writer was first, or the tape could not be reached.
    async fn insist(&self, mut entry: Append, mut error: AppendError) -> Result<Appended, AppendError> {
        loop {
            if let refused @ AppendError::Refused(_) = error {
                return Err(refused);
            }
            if let AppendError::Unavailable(cause) = &error {
                tracing::warn!(subject = %entry.subject, "{} not stored, trying again: {cause}", entry.subject);
                tokio::time::sleep(PAUSE).await;
            }
            let Expect::Last { filter, sequence } = entry.expect.clone() else { return Err(error) };
            match self.look(&entry, &filter, sequence).await {
                Ok(Look::Stored(sequence)) => return Ok(Appended { sequence, duplicate: true }),
                Ok(Look::Absent(last)) => entry.expect = Expect::Last { filter, sequence: last },
                Err(cause) => {
                    error = AppendError::Unavailable(cause);
                    continue;
                }
            }
            match self.tape.append(entry.clone()).await {
                Ok(stored) => return Ok(stored),
                Err(next) => error = next,
            }
        }
    }

    /// Looks for an event behind `known` under its subject.
    async fn look(&self, entry: &Append, filter: &str, known: u64) -> Result<Look, LogError> {
        let last = self.tape.last(MARKET, filter).await?;
        let Some(last) = last.filter(|last| last.sequence > known) else { return Ok(Look::Absent(known)) };
        if last.event.id == entry.event.id {
            return Ok(Look::Stored(last.sequence));
        }
        let ours = |recorded: &Recorded| recorded.event.id == entry.event.id;
        let found = find(&self.tape, &entry.subject, known + 1, last.sequence, ours).await?;
        Ok(found.map_or(Look::Absent(last.sequence), |found| Look::Stored(found.sequence)))
    }
}

enum Look {
    Stored(u64),
    Absent(u64),
}

fn own(recorded: &Recorded) -> Head {
    let ns = recorded.event.event_time.as_ref().and_then(from_timestamp).unwrap_or_default();
    Head { sequence: recorded.sequence, own: Some((recorded.event.id.clone(), ns, recorded.sequence)) }
}

/// The last event that `wanted` names under a subject, from one sequence to another.
async fn find(
    tape: &Tape,
    subject: &Subject,
    from: u64,
    to: u64,
    wanted: impl Fn(&Recorded) -> bool,
) -> Result<Option<Recorded>, LogError> {
    let mut reader = tape.read(MARKET, &[subject.as_str().to_owned()], from).await?;
    let mut found = None;
    loop {
        for delivery in reader.batch(READ_BATCH).await? {
            let sequence = delivery.sequence();
            if let Delivery::Event(recorded) = delivery
                && sequence <= to
                && wanted(&recorded)
            {
                found = Some(recorded);
            }
            if sequence >= to {
                return Ok(found);
            }
        }
    }
}
