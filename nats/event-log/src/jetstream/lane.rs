//! Where the answers to a window of publishes arrive.
//!
//! A subscription of its own for each window would cost more than the window: the server looks through its
//! cache of subjects whenever a wildcard subscription comes or goes. So subscriptions are kept for the next
//! window. An answer names the window it belongs to; one that is late is passed over.

use std::sync::{Mutex, PoisonError};

use async_nats::{Client, Message, Subscriber};
use futures::StreamExt as _;

use super::TIMEOUT;
use crate::LogError;

/// Idle lanes kept; more windows than this are seldom under way at once.
const KEPT: usize = 16;

/// Lanes that no window uses at the moment.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<Vec<Lane>>);

/// One subscription, for one window at a time.
#[derive(Debug)]
pub(super) struct Lane {
    inbox: String,
    answers: Subscriber,
    window: u64,
}

impl Lanes {
    /// A lane for a new window.
    pub async fn take(&self, client: &Client) -> Result<Lane, LogError> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut lane) = idle {
            lane.window += 1;
            return Ok(lane);
        }
        let inbox = client.new_inbox();
        let answers = client.subscribe(format!("{inbox}.>")).await;
        let answers = answers.map_err(|error| LogError::new("subscribe to answers", error))?;
        Ok(Lane { inbox, answers, window: 0 })
    }

    /// Keeps a lane whose window is answered.
    pub fn put_back(&self, lane: Lane) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEPT {
            idle.push(lane);
        }
    }
}

impl Lane {
    /// Where the answer to the publish at `index` is to go.
    pub fn reply(&self, index: usize) -> String {
        format!("{}.{}.{index}", self.inbox, self.window)
    }

    /// The next answer of this window and the index of its publish; `None` when none comes in time.
    pub async fn next(&mut self) -> Option<(usize, Message)> {
        loop {
            let message = tokio::time::timeout(TIMEOUT, self.answers.next()).await.ok()??;
            let mut parts = message.subject.rsplit('.');
            let index = parts.next().and_then(|index| index.parse().ok());
            let window = parts.next().and_then(|window| window.parse::<u64>().ok());
            if let (Some(index), true) = (index, window == Some(self.window)) {
                return Some((index, message));
            }
        }
    }
}
