//! The signals of a run once more, under the ids that a built-in strategy gives its signals: whether a program does what
//! a built-in strategy of its name does is then one comparison of two hashes.

use std::collections::BTreeMap;

use contracts::v1::Event;
use contracts::{Subject, chain_id, signal_id};
use engine::{Given, Outside, OutsideError, Shown};

/// Most signals that one event may cause, as risk has it.
const SIGNALS_MAX: u32 = 1_000;

/// Gives again what was given.
#[derive(Debug, Default)]
pub struct Script {
    given: BTreeMap<i64, Vec<Given>>,
}

impl Script {
    /// Notes what was given at an instant.
    pub(super) fn note(&mut self, ns: i64, given: &[Given]) {
        if !given.is_empty() {
            self.given.insert(ns, given.iter().map(as_built_in).collect());
        }
    }

    /// Whether anything was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }
}

fn as_built_in(given: &Given) -> Given {
    let Given { event, signal, problem } = given.clone();
    let (name, cause) = (&signal.strategy, &event.causation_id);
    let index = (0..SIGNALS_MAX).find(|index| signal_id(name, cause, *index) == event.id);
    let id = index.map_or_else(|| event.id.clone(), |index| chain_id::signal(cause, name, index));
    Given { event: Event { id, ..event }, signal, problem }
}

impl Outside for Script {
    fn instant(&mut self, shown: Shown<'_>) -> Result<Vec<Given>, OutsideError> {
        Ok(self.given.remove(&shown.ns).unwrap_or_default())
    }

    fn end(&mut self, _events: Vec<(Subject, Event)>) -> Result<(), OutsideError> {
        Ok(())
    }
}
