//! What a durable consumer has delivered to this process.
//!
//! A service that keeps something of every message in mind, averages or last prices, must see them all. Another instance
//! of it may be given some: an old process that has not ended yet, a second one. What it acknowledges is not delivered
//! again, so that whoever goes on behind it has a hole in its memory and must begin anew.

use event_log::{LogError, Tape};

/// Follows the sequences of a consumer that is given everything of its stream.
#[derive(Clone, Debug)]
pub struct Consumed {
    stream: &'static str,
    durable: &'static str,
    /// Last sequence that was delivered here, or was done with before.
    through: u64,
}

impl Consumed {
    /// Begins behind what was acknowledged when this process began. The consumer must be open by then, so that another
    /// instance is found out and not waited for.
    pub async fn open(tape: &Tape, stream: &'static str, durable: &'static str) -> Result<Self, LogError> {
        Ok(Self { stream, durable, through: tape.ack_floor(stream, durable).await? })
    }

    /// Last sequence that was delivered here, or was done with before.
    #[must_use]
    pub fn through(&self) -> u64 {
        self.through
    }

    /// Takes note of a delivery. An error where somebody else has taken what lies before it; a hole in the stream itself
    /// is none.
    pub async fn take(&mut self, tape: &Tape, sequence: u64) -> Result<(), LogError> {
        if sequence > self.through + 1 {
            self.check(tape).await?;
        }
        self.through = self.through.max(sequence);
        Ok(())
    }

    /// An error where somebody else has taken something: it does not come here any more, and who waits for it waits for
    /// nothing.
    pub async fn check(&self, tape: &Tape) -> Result<(), LogError> {
        // Only what was delivered here is acknowledged from here.
        let floor = tape.ack_floor(self.stream, self.durable).await?;
        if floor > self.through {
            let missing = format!("consume {}.{} behind {}", self.stream, self.durable, self.through);
            return Err(LogError::new(missing, "another client was given what came next"));
        }
        Ok(())
    }
}
