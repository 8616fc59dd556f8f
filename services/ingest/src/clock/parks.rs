//! Signals that risk could not answer with a decision, and decisions that execution could not fold: for the clock a park
//! is the answer.
//!
//! Read only when decisions or answers are missing for long, so that it costs nothing otherwise.

use std::time::Duration;

use contracts::stream::{PARKED, TRADING};
use contracts::v1::event::Body;
use event_log::{Delivery, LogError, Reader, Tape};

const SUBJECTS: [&str; 2] = ["parked.risk", "parked.execution"];
const READ_BATCH: usize = 1_024;
/// Silence after which everything parked so far counts as read.
const SILENCE: Duration = Duration::from_millis(50);

/// Whose parks are answers, with the sequences of TRADING that they parked.
#[derive(Debug, Default)]
pub(super) struct Parked {
    pub(super) by_risk: Vec<u64>,
    pub(super) by_execution: Vec<u64>,
}

/// A reader of what risk and execution park, opened at the first look.
#[derive(Default)]
pub(super) struct Parks {
    reader: Option<Box<dyn Reader>>,
}

impl Parks {
    /// What was parked since the last look.
    pub(super) async fn look(&mut self, tape: &Tape) -> Result<Parked, LogError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(tape.read(PARKED, &SUBJECTS.map(str::to_owned), 1).await?),
        };
        let mut found = Parked::default();
        while let Ok(deliveries) = runtime::clock::timeout(SILENCE, reader.batch(READ_BATCH)).await {
            for delivery in deliveries? {
                let Delivery::Event(recorded) = delivery else { continue };
                if let Some(Body::Parked(parked)) = recorded.event.body
                    && parked.stream == TRADING
                {
                    let of_risk = parked.service == "risk";
                    let sequences = if of_risk { &mut found.by_risk } else { &mut found.by_execution };
                    sequences.push(parked.sequence);
                }
            }
        }
        Ok(found)
    }
}
