//! When to look at the read model, and when waiting has taken too long. Monotonic time only: none of it
//! is part of a decision on the tape clock.

use std::collections::BTreeMap;
use std::time::Duration;

use contracts::stream;
use runtime::clock;
use tokio::time::Instant;

use crate::machine::Due;

/// Pause before the read model is looked at without a word of the projector, and the longest one.
const LOOK_MIN: Duration = Duration::from_millis(5);
const LOOK_MAX: Duration = Duration::from_millis(100);
/// Wait after which health names what is waited for and, live, the signal is denied.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// What is waited for, and since when.
#[derive(Debug, Default)]
pub(super) struct Patience {
    wait: Option<Wait>,
    /// Highest checkpoint heard or seen.
    committed: u64,
    /// The checkpoint moved since the last look.
    moved: bool,
    /// When live signals were first seen, by sequence.
    arrived: BTreeMap<u64, Instant>,
    /// Why the last look brought nothing.
    obstacle: String,
    /// Health has been told of a wait.
    complained: bool,
    /// A signal was denied, and the read model has not moved since.
    denied: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    look_at: Instant,
    pause: Duration,
    complain_at: Instant,
}

impl Patience {
    /// Begins or ends a wait; true when health can be told that it is over.
    pub fn expect(&mut self, due: &Due) -> bool {
        if *due == Due::Nothing {
            self.wait = None;
        } else if self.wait.is_none() {
            let now = clock::now();
            self.wait = Some(Wait { look_at: now + LOOK_MIN, pause: LOOK_MIN, complain_at: now + WAIT_MAX });
            self.moved = true;
        }
        self.wait.is_none() && !self.denied && std::mem::take(&mut self.complained)
    }

    /// Whether something is waited for.
    pub fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    /// When to look next, whatever comes.
    pub fn wake(&self) -> Instant {
        self.wait.map_or_else(clock::now, |wait| wait.look_at)
    }

    /// Whether it is time to look, whatever was heard.
    pub fn is_time(&self) -> bool {
        self.wait.is_some_and(|wait| wait.look_at <= clock::now())
    }

    /// Whether a look at the read model promises `checkpoint`, is not needed for that (`held`), or is due anyway.
    pub fn may_look(&self, checkpoint: u64, held: bool) -> bool {
        (self.moved && (held || self.committed >= checkpoint)) || self.is_time()
    }

    /// Takes the read model's checkpoint, heard or seen.
    pub fn committed(&mut self, sequence: u64) {
        if sequence > self.committed {
            self.committed = sequence;
            self.moved = true;
            self.denied = false;
        }
    }

    /// The read model's checkpoint as far as it was heard or seen.
    pub fn reached(&self) -> u64 {
        self.committed
    }

    /// A look brought nothing, for this reason.
    pub fn looked(&mut self, obstacle: String) {
        self.obstacle = obstacle;
        self.moved = false;
        self.postpone();
    }

    /// Looks again after a longer pause.
    pub fn postpone(&mut self) {
        if let Some(wait) = &mut self.wait {
            wait.pause = (wait.pause * 2).min(LOOK_MAX);
            wait.look_at = clock::now() + wait.pause;
        }
    }

    /// Decisions were made.
    pub fn done(&mut self) {
        self.wait = None;
        self.denied = false;
        self.obstacle.clear();
    }

    /// The newest of the signals `waiting` that have waited too long.
    pub fn late(&mut self, waiting: impl Iterator<Item = u64>) -> Option<u64> {
        let now = clock::now();
        let mut arrived = BTreeMap::new();
        for sequence in waiting {
            arrived.insert(sequence, self.arrived.get(&sequence).copied().unwrap_or(now));
        }
        self.arrived = arrived;
        let late = self.arrived.iter().rev().find(|(_, arrived)| now.duration_since(**arrived) >= WAIT_MAX);
        late.map(|(sequence, _)| *sequence)
    }

    /// Notes that signals are denied, and says why.
    pub fn deny(&mut self) -> String {
        self.denied = true;
        let reason = if self.obstacle.is_empty() { "the read model did not answer" } else { &self.obstacle };
        format!("{reason}; waited {} s", WAIT_MAX.as_secs())
    }

    /// What has been waited for too long, each time that it is worth saying.
    pub fn complaint(&mut self, due: &Due) -> Option<String> {
        let now = clock::now();
        let wait = self.wait.as_mut().filter(|wait| wait.complain_at <= now)?;
        let culprit = match due {
            Due::Nothing => return None,
            Due::Trading(sequence) => format!("the tape to deliver {} {sequence}", stream::TRADING),
            Due::Market(sequence) => format!("the tape to deliver {} {sequence}", stream::MARKET),
            Due::Decide(wanted) if self.obstacle.is_empty() => {
                format!("the read model to reach {} {}", stream::TRADING, wanted.checkpoint)
            }
            Due::Decide(_) => self.obstacle.clone(),
        };
        wait.complain_at = now + WAIT_MAX;
        self.complained = true;
        Some(culprit)
    }
}
