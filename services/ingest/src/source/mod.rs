//! Sources: where the instants of a tape clock come from.
//!
//! A source gives the market's instants in the order of time, each complete: session opened, corporate
//! actions (by symbol), bars (by symbol, then timeframe), session closed, numbered within the instant; a session that
//! opens as another closes comes last. It
//! is a pure function of its files or its seed, so that the same source gives the same events with the
//! same ids on any tape; and it can continue at any instant.
//!
//! Deliberately absent: waiting, the tape. A live feed has no complete instants and does not belong here.

mod assemble;
mod recorded;
mod simulated;

use contracts::Subject;
use contracts::v1::Event;
use contracts::v1::event::Body;

pub use recorded::{Loaded, Range, RecordedConfig, RecordedSource};
pub use simulated::{SYMBOLS, SimulatedConfig, SimulatedError, SimulatedSource, SimulatedSymbol};

/// Everything that becomes known at one event time.
#[derive(Clone, Debug, PartialEq)]
pub struct Instant {
    /// Event time, UTC nanoseconds.
    pub ns: i64,
    /// Events in their order, each with its subject.
    pub events: Vec<(Subject, Event)>,
}

impl Instant {
    /// Number of bars.
    #[must_use]
    pub fn bars(&self) -> usize {
        self.events.iter().filter(|(_, event)| is_bar(event)).count()
    }

    /// Position of the last bar among the events.
    #[must_use]
    pub fn last_bar(&self) -> Option<usize> {
        self.events.iter().rposition(|(_, event)| is_bar(event))
    }
}

fn is_bar(event: &Event) -> bool {
    matches!(event.body, Some(Body::Bar(_)))
}

/// Gives instants in the order of time.
pub trait Source: Send + Sync {
    /// Name, written as the source of every event and part of every bar's id. It must not depend on the
    /// tape, so that two rehearsals of the same data are equal.
    fn name(&self) -> &str;

    /// Every subject that the source may write to.
    fn subjects(&self) -> Vec<Subject>;

    /// Continues with the first instant at or after `ns`.
    fn seek(&mut self, ns: i64);

    /// The next instant; `None` at the end.
    fn next(&mut self) -> Option<Instant>;
}
