//! The tape clock: time moves when everyone is done with the present instant.
//!
//! One instant: publish its events to MARKET in their order, each once; wait until every account is marked
//! at this event time and every awaited consumer has acknowledged the last bar; if any signal passed
//! meanwhile, wait until risk has decided each and the broker has answered each approved order. Then the
//! next. What is waited for arrives as messages (acknowledgements and signals as they pass, an ordered read
//! of TRADING); nothing on this path polls or sleeps.
//!
//! Waiting decides nothing: a stall is logged and shown in health with the culprit's name, and ends when
//! the culprit is done. After a restart the last instant on MARKET is published again, which doubles
//! nothing, and waited for again.
//!
//! Deliberately absent: the wall clock. Pacing uses monotonic time and moves no event.

mod barrier;
mod external;
mod pace;
mod parks;
mod progress;
mod publish;
mod stall;
mod trading;

use event_log::{AppendError, LogError};
use runtime::metrics::metrics;
use runtime::{Context, HealthState, utc};
use tokio::sync::watch;

use crate::source::Source;
use barrier::Barrier;
use pace::Pacer;
pub use pace::{Pace, Speed, UnknownSpeed};
pub use progress::{FinishReason, Finished, Progress};
use publish::Publisher;

/// Name of the service in health and logs.
pub const SERVICE: &str = "ingest";

/// For whom the clock waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockConfig {
    /// Accounts that must be marked at every instant.
    pub accounts: Vec<String>,
    /// Durable consumers of MARKET that must acknowledge the last bar of every instant: `strategy` for the
    /// built-in strategies. They must exist. Those of external strategies follow from the tape.
    pub consumers: Vec<String>,
}

/// Why the clock stopped. Starting again resumes at the last instant.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The tape refused an event of the source; repeating cannot help.
    #[error("instant {instant}: {source}")]
    Publish {
        /// Instant in UTC.
        instant: String,
        /// Cause.
        #[source]
        source: AppendError,
    },
    /// The tape could not be read.
    #[error(transparent)]
    Read(#[from] LogError),
}

/// What the outside holds of a running clock.
#[derive(Debug)]
pub struct ClockHandle {
    pace: watch::Sender<Pace>,
    progress: watch::Receiver<Progress>,
}

impl ClockHandle {
    /// Stops before the next instant.
    pub fn pause(&self) {
        self.pace.send_modify(|pace| pace.paused = true);
    }

    /// Goes on after a pause.
    pub fn resume(&self) {
        self.pace.send_modify(|pace| pace.paused = false);
    }

    /// Changes the speed from the next instant on.
    pub fn set_speed(&self, speed: Speed) {
        self.pace.send_modify(|pace| pace.speed = speed);
    }

    /// The speed and whether the clock is paused.
    #[must_use]
    pub fn pace(&self) -> Pace {
        *self.pace.borrow()
    }

    /// How far the clock is; changes at every instant.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }
}

/// The clock's end of a [`ClockHandle`].
#[derive(Debug)]
pub struct ClockControl {
    pace: watch::Receiver<Pace>,
    progress: watch::Sender<Progress>,
}

/// A handle and the clock's end of it.
#[must_use]
pub fn control(speed: Speed) -> (ClockHandle, ClockControl) {
    let (pace, pace_seen) = watch::channel(Pace { speed, paused: false });
    let (progress, progress_seen) = watch::channel(Progress::default());
    (ClockHandle { pace, progress: progress_seen }, ClockControl { pace: pace_seen, progress })
}

/// Runs `source` to its end, or until shutdown.
pub async fn run(
    context: &Context,
    source: &mut dyn Source,
    config: &ClockConfig,
    control: ClockControl,
) -> Result<Finished, ClockError> {
    let ClockControl { pace, progress } = control;
    context.health.set(SERVICE, HealthState::Starting, "reading where the tape ends");
    // The barrier listens before anything is published, so that nothing passes unseen.
    let mut barrier = Barrier::open(context, config).await?;
    let publisher = Publisher::open(context.tape.clone(), source).await?;
    let resumed_at_ns = publisher.last_instant_ns();
    if let Some(ns) = resumed_at_ns {
        tracing::info!(instant = utc(ns), "resuming at {}", utc(ns));
        source.seek(ns);
    }
    let mut pacer = Pacer::new(pace);
    let mut counted = Progress::default();
    context.health.set(SERVICE, HealthState::Ready, "");
    let reason = loop {
        let Some(instant) = source.next() else { break FinishReason::SourceEnd };
        if !pacer.wait(context, &instant).await {
            break FinishReason::Shutdown;
        }
        let batch = publisher.plan(&instant);
        let Some(done) = barrier.pass(context, &publisher, &instant, batch).await? else {
            break FinishReason::Shutdown;
        };
        counted.count(&instant, &done);
        metrics().clock_instants.with(&[]).increment();
        progress.send_replace(counted.clone());
    };
    context.health.set(SERVICE, HealthState::Ready, reason.detail());
    Ok(Finished { reason, resumed_at_ns, progress: counted })
}
