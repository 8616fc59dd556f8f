//! What TRADING says past the checkpoint of any snapshot that a decision may stand on.
//!
//! A snapshot is used only when its checkpoint is at or past the last event before the signal that the read model has
//! to hold ([`crate::machine`]). So the tail holds what came after that event: signals apart, everything from the oldest
//! signal without a decision on, marks, what became of orders with their fills, and decisions. As soon as nothing waits,
//! the next such event empties it, and a newer snapshot takes out what it holds; under the wall clock at any time.

use std::collections::{BTreeMap, HashMap};

use contracts::v1::Event;
use contracts::v1::event::Body;
use domain::book::Book;
use planted::Bug;

/// Most events kept. What is dropped has to be in the snapshot: a decision waits for it.
const EVENTS_MAX: usize = 65_536;

/// The tail.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    events: BTreeMap<u64, Event>,
    /// Where the decision of a signal stands, by signal id.
    decided: HashMap<String, u64>,
    /// Checkpoint below which a snapshot cannot be completed.
    floor: u64,
}

impl Tail {
    /// Checkpoint that a snapshot must have reached for the tail to complete it.
    pub fn floor(&self) -> u64 {
        self.floor
    }

    /// Demands snapshots at or past `checkpoint`.
    pub fn raise(&mut self, checkpoint: u64) {
        self.floor = self.floor.max(checkpoint);
    }

    /// Whether a decision of the signal is known.
    pub fn is_decided(&self, signal_id: &str) -> bool {
        self.decided.contains_key(signal_id)
    }

    /// Events past `sequence`; of many it is enough to know that there are more than `most`.
    pub fn past(&self, sequence: u64, most: usize) -> usize {
        self.events.range(sequence.saturating_add(1)..).take(most.saturating_add(1)).count()
    }

    /// Keeps an event.
    pub fn push(&mut self, sequence: u64, event: Event) {
        if is_decision(&event) {
            self.decided.insert(event.causation_id.clone(), sequence);
        }
        self.events.insert(sequence, event);
        while self.events.len() > EVENTS_MAX {
            if let Some((dropped, event)) = self.events.pop_first() {
                self.raise(dropped);
                self.decided.remove(&event.causation_id);
            }
        }
    }

    /// Forgets everything up to `sequence`.
    pub fn forget(&mut self, sequence: u64) {
        if self.events.is_empty() {
            return;
        }
        self.events = self.events.split_off(&(sequence + 1));
        self.decided.retain(|_, decided_at| *decided_at > sequence);
    }

    /// Completes the book of a snapshot: with everything up to `through`, and with every decision.
    ///
    /// `restore` gives the orders of decisions past `through` back the state in which these left them,
    /// whatever the read model has seen of them since: the decisions of one instant know of each other
    /// and of nothing that came after. The error is the sequence of an event that the book cannot fold;
    /// a snapshot past it can do without.
    pub fn complete(&self, book: &mut Book, through: u64, restore: bool) -> Result<(), u64> {
        for (sequence, event) in &self.events {
            let decision = is_decision(event);
            if decision && planted::is(Bug::ReservationsIgnored) {
                continue;
            }
            if *sequence > book.sequence() && (*sequence <= through || decision) {
                book.apply(*sequence, event).map_err(|_| *sequence)?;
            }
            if restore && decision && *sequence > through {
                book.restore(event);
            }
        }
        Ok(())
    }

    /// Whether a decision stands beyond `through`, up to `to`.
    pub fn has_decision(&self, through: u64, to: u64) -> bool {
        let beyond = self.events.range(through.saturating_add(1)..);
        beyond.take_while(|(sequence, _)| **sequence <= to).any(|(_, event)| is_decision(event))
    }
}

fn is_decision(event: &Event) -> bool {
    matches!(event.body, Some(Body::RiskDecision(_)))
}
