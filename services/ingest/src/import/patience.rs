//! How long an import waits for a tape of which nothing is heard.
//!
//! Each batch is sent several times, and looked for in between: while no server is there, that takes minutes. What is being
//! appended may take as long as it takes, as long as batches are answered.

use std::time::Duration;

use event_log::LogError;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

/// Longest time in which nothing is heard. A cluster that has lost a leader has a new one within 9 s, and a server of its
/// own that was killed is there again sooner.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Since when somebody waits and has heard nothing.
#[derive(Debug)]
pub(super) struct Patience {
    most: Duration,
    since: Option<Instant>,
}

impl Patience {
    pub(super) fn new(most: Duration) -> Self {
        Self { most, since: None }
    }

    /// Waits for a task that asks the tape; ends it where the silence has lasted too long, the waits before included.
    pub(super) async fn hear<T>(
        &mut self,
        mut task: JoinHandle<T>,
    ) -> Result<Result<T, JoinError>, LogError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let heard = tokio::time::timeout_at(since + self.most, &mut task).await;
        heard.map_err(|_| {
            task.abort();
            let seconds = self.most.as_secs();
            LogError::new("append a batch", format!("the tape has not answered for {seconds} seconds"))
        })
    }

    /// The tape has answered.
    pub(super) fn heard(&mut self) {
        self.since = None;
    }
}
