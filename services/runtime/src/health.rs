//! Health: each service states how it is; heartbeats carry that to the tape, `/readyz` to the operator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, Heartbeat};
use contracts::{Subject, event_id, to_timestamp};
use event_log::{Append, Expect, Tape};
use tokio_util::sync::CancellationToken;

use crate::clock::now_ns;

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthState {
    /// Loading state; not serving yet.
    Starting,
    /// Doing its work.
    Ready,
    /// Alive, and something is wrong; the detail says what.
    Degraded,
    /// Draining.
    Stopping,
}

impl HealthState {
    /// The word on the tape and in pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Stopping => "stopping",
        }
    }
}

/// One service's own statement.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ServiceHealth {
    /// State.
    pub state: HealthState,
    /// What it waits for or suffers from; empty when well.
    pub detail: String,
}

/// A shared board on which the services of one process state how they are.
#[derive(Clone, Debug, Default)]
pub struct Health {
    services: Arc<Mutex<BTreeMap<String, ServiceHealth>>>,
}

impl Health {
    /// States how `service` is.
    pub fn set(&self, service: &str, state: HealthState, detail: impl Into<String>) {
        let statement = ServiceHealth { state, detail: detail.into() };
        self.services.lock().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned(), statement);
    }

    /// All statements, by service.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, ServiceHealth> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True when every service that stated anything is ready (and at least one did).
    #[must_use]
    pub fn ready(&self) -> bool {
        let services = self.all();
        !services.is_empty() && services.values().all(|service| service.state == HealthState::Ready)
    }
}

/// Writes a heartbeat per service to the tape.
#[derive(Debug)]
pub struct Heartbeats {
    /// Unique per process start.
    pub instance: String,
    /// Program version.
    pub version: String,
    /// Time between two heartbeats of a service.
    pub every: Duration,
}

impl Heartbeats {
    /// Beats until shutdown, and once more then. A heartbeat that cannot be written is logged, not fatal.
    pub async fn run(self, tape: Tape, health: Health, shutdown: CancellationToken) {
        let started_ns = now_ns();
        let mut count: u32 = 0;
        loop {
            for (service, statement) in health.all() {
                let now = now_ns();
                let beat = Heartbeat {
                    service: service.clone(),
                    instance: self.instance.clone(),
                    version: self.version.clone(),
                    started_at: Some(to_timestamp(started_ns)),
                    state: statement.state.name().to_owned(),
                    detail: statement.detail,
                };
                let event = Event {
                    id: event_id(&format!("{}/{service}", self.instance), "heartbeat", count),
                    event_time: Some(to_timestamp(now)),
                    source: service.clone(),
                    body: Some(Body::Heartbeat(beat)),
                    ..Event::default()
                };
                let subject = Subject::of(&["log", &service, "heartbeat"]);
                let append = Append { subject, event, expect: Expect::Nothing };
                if let Err(error) = tape.append(append).await {
                    tracing::warn!(%error, service, "heartbeat not written: {error}");
                }
            }
            count = count.wrapping_add(1);
            if shutdown.is_cancelled() {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}
