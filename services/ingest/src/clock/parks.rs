//! Signals that risk could not answer with a decision, and parked: for the clock a park is the answer.
//!
//! Read only when decisions are missing for long, so that it costs nothing otherwise.

use std::time::Duration;

use contracts::stream::{PARKED, TRADING};
use contracts::v1::event::Body;
use event_log::{Delivery, LogError, Reader, Tape};

const READ_BATCH: usize = 1_024;
/// Silence after which everything parked so far counts as read.
const SILENCE: Duration = Duration::from_millis(50);

/// A reader of what risk parks, opened at the first look.
#[derive(Default)]
pub(super) struct Parks {
    reader: Option<Box<dyn Reader>>,
}

impl Parks {
    /// Sequences of TRADING that risk has parked since the last look.
    pub(super) async fn look(&mut self, tape: &Tape) -> Result<Vec<u64>, LogError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(tape.read(PARKED, &["parked.risk".to_owned()], 1).await?),
        };
        let mut sequences = Vec::new();
        while let Ok(deliveries) = runtime::clock::timeout(SILENCE, reader.batch(READ_BATCH)).await {
            for delivery in deliveries? {
                let Delivery::Event(recorded) = delivery else { continue };
                if let Some(Body::Parked(parked)) = recorded.event.body
                    && parked.stream == TRADING
                {
                    sequences.push(parked.sequence);
                }
            }
        }
        Ok(sequences)
    }
}
