//! Appending signals: each is the next one under its subject, and each stands on the tape once.

use std::collections::HashMap;

use contracts::v1::Event;
use contracts::{basis_of, from_timestamp, stream};
use event_log::{Append, AppendError, Delivery, Expect, Last, LogError, Recorded, Tape, last_of};
use runtime::Context;

use super::{BATCH, Error};
use crate::signal::Outgoing;

/// Attempts at a place in a subject that another writer took, before it is an error.
const CONFLICTS_MAX: usize = 5;

/// What is last under each subject.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    last: HashMap<String, u64>,
    /// Signals of the instant at which this process began that were stored before it, and where.
    stored: HashMap<String, u64>,
}

impl Subjects {
    /// Appends the signals of an instant in their order, pipelined; those already stored are passed over. Answers where
    /// each stands, by id.
    pub async fn append(
        &mut self,
        context: &Context,
        signals: &[Outgoing],
    ) -> Result<HashMap<String, u64>, Error> {
        let mut entries: Vec<Append> = Vec::new();
        let mut stand = HashMap::new();
        for Outgoing { subject, event } in signals {
            if entries.iter().any(|entry| entry.subject == *subject) {
                // Its place depends on the one before it.
                self.flush(context, &mut entries, &mut stand).await?;
            }
            let filter = subject.as_str().to_owned();
            let sequence = self.last(&context.tape, &filter, event).await?;
            if let Some(stored) = self.stored.get(&event.id) {
                stand.insert(event.id.clone(), *stored);
                continue;
            }
            let expect = Expect::Last { filter, sequence };
            entries.push(Append { subject: subject.clone(), event: event.clone(), expect });
        }
        self.flush(context, &mut entries, &mut stand).await?;
        Ok(stand)
    }

    async fn flush(
        &mut self,
        context: &Context,
        entries: &mut Vec<Append>,
        stand: &mut HashMap<String, u64>,
    ) -> Result<(), Error> {
        let batch = std::mem::take(entries);
        if batch.is_empty() {
            return Ok(());
        }
        let outcomes = runtime::append_all(&context.tape, &context.shutdown, batch.clone()).await;
        for (entry, mut outcome) in batch.into_iter().zip(outcomes) {
            let filter = entry.subject.as_str().to_owned();
            let mut attempts = 0;
            let appended = loop {
                match outcome {
                    Err(AppendError::Conflict { last, .. }) if attempts < CONFLICTS_MAX => {
                        attempts += 1;
                        tracing::warn!(subject = filter, "another writer signalled under {filter}");
                        let expect = Expect::Last { filter: filter.clone(), sequence: last };
                        let entry = Append { expect, ..entry.clone() };
                        outcome = runtime::append(&context.tape, &context.shutdown, entry).await;
                    }
                    settled => break settled?,
                }
            };
            self.last.insert(filter, appended.sequence);
            stand.insert(entry.event.id, appended.sequence);
        }
        Ok(())
    }

    /// The last sequence under `subject`. On first use, when the tape already holds signals as new as
    /// `event`, their ids are remembered: an instant is being taken again.
    async fn last(&mut self, tape: &Tape, subject: &str, event: &Event) -> Result<u64, LogError> {
        if let Some(sequence) = self.last.get(subject) {
            return Ok(*sequence);
        }
        let Last { sequence, event: last } = last_of(tape, stream::TRADING, subject).await?;
        if let Some(last) = last.filter(|last| event_ns(&last.event) >= event_ns(event)) {
            self.remember(tape, subject, &last).await?;
        }
        self.last.insert(subject.to_owned(), sequence);
        Ok(sequence)
    }

    /// Remembers the signals of the same instant as `last`. They all stand behind what it had read of
    /// TRADING, because an instant's signals are appended together.
    async fn remember(&mut self, tape: &Tape, subject: &str, last: &Recorded) -> Result<(), LogError> {
        let read = basis_of(&last.event, stream::TRADING).unwrap_or_default();
        let from = read.saturating_add(1).min(last.sequence);
        let mut reader = tape.read(stream::TRADING, &[subject.to_owned()], from).await?;
        loop {
            for delivery in reader.batch(BATCH).await? {
                let sequence = delivery.sequence();
                if let Delivery::Event(recorded) = delivery {
                    self.stored.insert(recorded.event.id, sequence);
                }
                if sequence >= last.sequence {
                    return Ok(());
                }
            }
        }
    }
}

fn event_ns(event: &Event) -> i64 {
    event.event_time.as_ref().and_then(from_timestamp).unwrap_or(i64::MIN)
}
