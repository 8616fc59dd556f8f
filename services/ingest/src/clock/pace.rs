//! How fast market time passes. Closed time passes at once.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use contracts::from_timestamp;
use contracts::v1::SessionPhase;
use contracts::v1::event::Body;
use runtime::{Context, HealthState, clock};
use tokio::sync::watch;
use tokio::time::Instant as Moment;

use super::SERVICE;
use crate::source::Instant;

/// A delay behind the schedule beyond which the schedule is begun anew: services that were slow for a
/// while do not make the clock race afterwards.
const LATE_MAX: Duration = Duration::from_millis(250);

/// Market time per monotonic time, within sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// As fast as everyone is done.
    Max,
    /// So many seconds of market time per second.
    Times(NonZeroU32),
}

/// A speed that is neither `max` nor a positive whole number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("speed {0:?}, expected `max` or a whole number from 1 to {max}", max = u32::MAX)]
pub struct UnknownSpeed(pub String);

impl FromStr for Speed {
    type Err = UnknownSpeed;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        text.parse().map(Self::Times).map_err(|_| UnknownSpeed(text.to_owned()))
    }
}

/// Speed, and whether the clock stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Speed.
    pub speed: Speed,
    /// True while the clock stands still.
    pub paused: bool,
}

/// Holds each instant back until it is due.
#[derive(Debug)]
pub(super) struct Pacer {
    pace: watch::Receiver<Pace>,
    /// Market time and moment of the last instant.
    last: Option<(i64, Moment)>,
    in_session: bool,
}

impl Pacer {
    pub(super) fn new(pace: watch::Receiver<Pace>) -> Self {
        Self { pace, last: None, in_session: false }
    }

    /// Waits until `instant` is due. False on shutdown.
    pub(super) async fn wait(&mut self, context: &Context, instant: &Instant) -> bool {
        let due = self.due(instant);
        loop {
            if context.shutdown.is_cancelled() {
                return false;
            }
            let pace = *self.pace.borrow_and_update();
            let due = match pace.speed {
                Speed::Times(times) => due.map(|(last, market)| last + market / times.get()),
                Speed::Max => None,
            };
            if pace.paused {
                context.health.set(SERVICE, HealthState::Ready, "paused");
                if !self.changed(context).await {
                    return false;
                }
                context.health.set(SERVICE, HealthState::Ready, "");
                continue;
            }
            let Some(due) = due.filter(|due| *due > clock::now()) else { break };
            tokio::select! {
                biased;
                () = clock::sleep_until(due) => {
                    self.passed(instant, due);
                    return true;
                }
                more = self.changed(context) => if !more { return false },
            }
        }
        self.passed(instant, clock::now());
        true
    }

    /// Waits for another pace; false on shutdown or when nobody can set one any more.
    async fn changed(&mut self, context: &Context) -> bool {
        tokio::select! {
            biased;
            () = context.shutdown.cancelled() => false,
            changed = self.pace.changed() => match changed {
                Ok(()) => true,
                // A handle that is gone leaves the pace as it is; a clock left paused ends with shutdown.
                Err(_) => {
                    context.shutdown.cancelled().await;
                    false
                }
            },
        }
    }

    /// The last instant's moment and the market time since, where it counts.
    fn due(&self, instant: &Instant) -> Option<(Moment, Duration)> {
        let (last_ns, moment) = self.last.filter(|_| self.in_session)?;
        let passed = u64::try_from(instant.ns.saturating_sub(last_ns)).ok()?;
        Some((moment, Duration::from_nanos(passed)))
    }

    fn passed(&mut self, instant: &Instant, due: Moment) {
        let now = clock::now();
        let moment = if now.duration_since(due) > LATE_MAX { now } else { due };
        self.last = Some((instant.ns, moment));
        for (_, event) in &instant.events {
            if let Some(Body::SessionChange(change)) = &event.body {
                let closes = change.close.as_ref().and_then(from_timestamp);
                self.in_session =
                    change.phase() == SessionPhase::Opened && closes.is_some_and(|ns| instant.ns < ns);
            }
        }
    }
}
