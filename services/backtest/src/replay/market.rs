//! MARKET, read once and shared by those who follow it at their own pace; and whose hours hold on it.

use std::collections::VecDeque;

use contracts::stream;
use domain::calendar::{self, Calendar};
use event_log::{Delivery, LogError, Reader, Recorded, Tape};
use projections::{HoursError, hours};

use super::ReplayError;

/// Messages read at a time.
const BATCH: usize = 1_000;

/// The calendar of a tape ([`hours`]); `noted` is the one of its manifest.
pub(super) async fn calendar(tape: &Tape, noted: calendar::Market) -> Result<&'static Calendar, ReplayError> {
    let market = hours(tape, noted).await.map_err(|error| match error {
        HoursError::Log(error) => ReplayError::Tape(error),
        HoursError::Unclear(names) => ReplayError::Calendar(names),
    })?;
    Ok(market.calendar())
}

/// The stream, with what its slowest reader has not taken yet.
pub(super) struct Market {
    tape: Tape,
    reader: Option<Box<dyn Reader>>,
    /// Events in the order of the tape; what cannot be decoded is not among them.
    held: VecDeque<Recorded>,
    /// Last sequence read.
    read: u64,
    /// Last sequence of the stream when the replay began.
    head: u64,
    /// Everything through this sequence was let go of.
    forgotten: u64,
}

impl Market {
    pub async fn open(tape: &Tape) -> Result<Self, LogError> {
        let head = tape.state(stream::MARKET).await?.last_sequence;
        Ok(Self { tape: tape.clone(), reader: None, held: VecDeque::new(), read: 0, head, forgotten: 0 })
    }

    /// The events after `after` and through `through`, or to the end of the stream.
    pub async fn between(&mut self, after: u64, through: u64) -> Result<Vec<Recorded>, LogError> {
        let through = through.min(self.head);
        if after >= through {
            return Ok(Vec::new());
        }
        if after < self.forgotten {
            // A service that was started anew begins where it had acknowledged, which may be before.
            self.held.clear();
            self.reader = Some(self.tape.read(stream::MARKET, &[], after + 1).await?);
            (self.read, self.forgotten) = (after, after);
        }
        while self.read < through {
            let reader = match &mut self.reader {
                Some(reader) => reader,
                None => self.reader.insert(self.tape.read(stream::MARKET, &[], 1).await?),
            };
            for delivery in reader.batch(BATCH).await? {
                self.read = delivery.sequence();
                if let Delivery::Event(recorded) = delivery {
                    self.held.push_back(recorded);
                }
            }
        }
        let from = self.held.partition_point(|recorded| recorded.sequence <= after);
        let wanted = self.held.range(from..).take_while(|recorded| recorded.sequence <= through);
        Ok(wanted.cloned().collect())
    }

    /// Lets go of everything through `sequence`.
    pub fn forget(&mut self, sequence: u64) {
        let count = self.held.partition_point(|recorded| recorded.sequence <= sequence);
        self.held.drain(..count);
        self.forgotten = self.forgotten.max(sequence.min(self.read));
    }

    /// The last event through `through`.
    pub async fn last(&self, through: u64) -> Result<Option<Recorded>, LogError> {
        for sequence in (1..=through.min(self.head)).rev() {
            match self.tape.get(stream::MARKET, sequence).await {
                Err(error) if error.is_undecodable() => {}
                found => return found,
            }
        }
        Ok(None)
    }

    /// Reads everything through `through` once more, from the first event on.
    pub async fn again(&self, through: u64, mut take: impl FnMut(&Recorded) + Send) -> Result<(), LogError> {
        let through = through.min(self.head);
        if through == 0 {
            return Ok(());
        }
        let mut reader = self.tape.read(stream::MARKET, &[], 1).await?;
        let mut read = 0;
        while read < through {
            for delivery in reader.batch(BATCH).await? {
                read = delivery.sequence();
                if let Delivery::Event(recorded) = delivery
                    && read <= through
                {
                    take(&recorded);
                }
            }
        }
        Ok(())
    }
}
