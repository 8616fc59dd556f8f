//! Health: each service states how it is; heartbeats carry that to the tape, `/readyz` to the operator.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, Heartbeat, SourceBreaker};
use contracts::{Subject, event_id, from_timestamp, to_timestamp};
use event_log::{Append, Expect, Tape};
use tokio_util::sync::CancellationToken;

use crate::clock::{now_ns, utc};

/// The state of a breaker while the source is not asked.
pub const BREAKER_OPEN: &str = "open";

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

/// Who knows how the breakers of a process's clients stand.
pub trait Breakers: std::fmt::Debug + Send + Sync {
    /// Those of a service's clients.
    fn of(&self, service: &str) -> Vec<SourceBreaker>;
}

/// A shared board on which the services of one process state how they are.
#[derive(Clone, Debug, Default)]
pub struct Health {
    services: Arc<Mutex<BTreeMap<String, ServiceHealth>>>,
    breakers: Option<Arc<dyn Breakers>>,
}

impl Health {
    /// A board on which a service that calls itself ready is degraded while a breaker of its clients is open.
    #[must_use]
    pub fn watching(breakers: Arc<dyn Breakers>) -> Self {
        Self { breakers: Some(breakers), ..Self::default() }
    }

    /// States how `service` is.
    pub fn set(&self, service: &str, state: HealthState, detail: impl Into<String>) {
        let statement = ServiceHealth { state, detail: detail.into() };
        self.services.lock().unwrap_or_else(PoisonError::into_inner).insert(service.to_owned(), statement);
    }

    /// All statements, by service, with the breakers that are open.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, ServiceHealth> {
        let mut all = self.services.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (service, statement) in &mut all {
            for words in open_ones(&self.breakers(service)) {
                if statement.state == HealthState::Ready {
                    statement.state = HealthState::Degraded;
                }
                let before = std::mem::take(&mut statement.detail);
                statement.detail = if before.is_empty() { words } else { format!("{before}; {words}") };
            }
        }
        all
    }

    /// How the breakers of a service's clients stand.
    #[must_use]
    pub fn breakers(&self, service: &str) -> Vec<SourceBreaker> {
        self.breakers.as_ref().map(|breakers| breakers.of(service)).unwrap_or_default()
    }

    /// True when every service that stated anything is ready (and at least one did).
    #[must_use]
    pub fn ready(&self) -> bool {
        let services = self.all();
        !services.is_empty() && services.values().all(|service| service.state == HealthState::Ready)
    }
}

/// What is not asked, in words; each source and account once, whatever it is asked for.
fn open_ones(breakers: &[SourceBreaker]) -> Vec<String> {
    let mut said = Vec::new();
    for breaker in breakers.iter().filter(|breaker| breaker.state == BREAKER_OPEN) {
        let SourceBreaker { source, account, last_failure, .. } = breaker;
        let until_ns = breaker.until.as_ref().and_then(from_timestamp).unwrap_or_default();
        let until = utc(until_ns / 1_000_000_000 * 1_000_000_000);
        let of = if account.is_empty() { String::new() } else { format!(" (account {account})") };
        let words = format!(
            "the breaker of {source}{of} is open until {until}: not asked after failures in a row, the last: {last_failure}"
        );
        if !said.contains(&words) {
            said.push(words);
        }
    }
    said
}

/// A heartbeat, or the report of a source, that is older than this is one that is missed; they come every 5 s.
pub const SILENT_AFTER_NS: i64 = 15_000_000_000;

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
            // Whoever has not said so yet stops as well: nothing comes after these.
            let stopping = shutdown.is_cancelled();
            for (service, statement) in health.all() {
                let now = now_ns();
                let state = if stopping { HealthState::Stopping } else { statement.state };
                let beat = Heartbeat {
                    service: service.clone(),
                    instance: self.instance.clone(),
                    version: self.version.clone(),
                    started_at: Some(to_timestamp(started_ns)),
                    state: state.name().to_owned(),
                    detail: statement.detail,
                    breakers: health.breakers(&service),
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
            if stopping {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(self.every) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::stream::LOGS;
    use event_log::{EventLog as _, MemoryLog};

    use super::*;

    #[derive(Debug)]
    struct Down;

    impl Breakers for Down {
        fn of(&self, service: &str) -> Vec<SourceBreaker> {
            let breaker = |client: &str, state: &str| SourceBreaker {
                source: "alpaca".to_owned(),
                client: client.to_owned(),
                state: state.to_owned(),
                until: Some(to_timestamp(1_767_709_800_123_456_789)),
                last_failure: "503: busy".to_owned(),
                ..SourceBreaker::default()
            };
            match service {
                "ingest" => vec![breaker("actions", "open"), breaker("live", "open")],
                "news" => vec![breaker("news", "half_open")],
                _ => Vec::new(),
            }
        }
    }

    #[test]
    fn a_service_is_degraded_while_a_breaker_of_its_clients_is_open() {
        let health = Health::watching(Arc::new(Down));
        for service in ["ingest", "news", "risk"] {
            health.set(service, HealthState::Ready, "");
        }
        let all = health.all();
        let words = "the breaker of alpaca is open until 2026-01-06T14:30:00Z: not asked after failures in a row, the \
                     last: 503: busy";
        assert_eq!(all["ingest"].state, HealthState::Degraded);
        assert_eq!(all["ingest"].detail, words, "once, though two clients share it");
        assert_eq!((all["news"].state, all["risk"].state), (HealthState::Ready, HealthState::Ready));
        assert!(!health.ready());
        health.set("ingest", HealthState::Starting, "reading the tape");
        let all = health.all();
        assert_eq!(all["ingest"].state, HealthState::Starting);
        assert_eq!(all["ingest"].detail, format!("reading the tape; {words}"));
    }

    #[tokio::test]
    async fn the_last_heartbeat_of_a_service_says_that_it_stops_whatever_it_said_itself() {
        let log = MemoryLog::new();
        let health = Health::default();
        health.set("risk", HealthState::Ready, "");
        let beats = Heartbeats {
            instance: "one".to_owned(),
            version: "0".to_owned(),
            every: Duration::from_secs(3_600),
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(beats.run(Arc::new(log.clone()), health, shutdown.clone()));
        let last = async || {
            let last = log.last(LOGS, "log.risk.heartbeat").await.unwrap();
            match last.and_then(|last| last.event.body) {
                Some(Body::Heartbeat(beat)) => beat.state,
                _ => String::new(),
            }
        };
        while last().await.is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(last().await, "ready");
        shutdown.cancel();
        running.await.unwrap();
        assert_eq!(last().await, "stopping");
    }
}
