//! The projector service: runs the projections and says on the tape and in health what they meet; rebuilds
//! and verifies read models when asked on the tape.

mod jobs;

use std::sync::Arc;

use async_trait::async_trait;
use event_log::Tape;
use projections::{Name, Poison, Port, PortError, Projector, State};
use runtime::{Context, Health, HealthState, Unfit};
use sqlx::PgPool;

/// Name of the service.
pub const SERVICE: &str = "projector";

/// What the projector asks of its surroundings.
pub struct Surroundings {
    tape: Tape,
    health: Health,
    states: std::sync::Mutex<std::collections::BTreeMap<Name, State>>,
}

impl Surroundings {
    /// Parks on `tape` and speaks to `health`.
    pub fn new(tape: Tape, health: Health) -> Self {
        Self { tape, health, states: std::sync::Mutex::default() }
    }
}

#[async_trait]
impl Port for Surroundings {
    async fn park(&self, poison: &Poison) -> Result<(), PortError> {
        self.park_all(std::slice::from_ref(poison)).await
    }

    async fn park_all(&self, poison: &[Poison]) -> Result<(), PortError> {
        let Some(first) = poison.first() else { return Ok(()) };
        let service = format!("projection-{}", first.projection.name());
        let messages: Vec<Unfit> = poison.iter().map(unfit).collect();
        runtime::park_all(&self.tape, &service, first.stream, &messages).await.map_err(Into::into)
    }

    fn state(&self, projection: Name, state: &State) {
        let mut states = self.states.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        states.insert(projection, state.clone());
        let (mut worst, mut detail) = (HealthState::Ready, String::new());
        for (name, state) in states.iter() {
            let (level, text) = match state {
                State::Following { .. } => continue,
                State::Starting => (HealthState::Starting, format!("{}: loading", name.name())),
                State::Rebuilding { sequence, target } => {
                    (HealthState::Ready, format!("{}: rebuilding, {sequence} of {target}", name.name()))
                }
                State::Faulted { reason } => (HealthState::Degraded, format!("{}: {reason}", name.name())),
            };
            if level == HealthState::Degraded || worst == HealthState::Ready {
                worst = level;
                detail = text;
            }
        }
        // Ready only when every projection has said how it is.
        if states.len() < Name::ALL.len() && worst == HealthState::Ready {
            (worst, detail) = (HealthState::Starting, "projections are loading".to_owned());
        }
        self.health.set(SERVICE, worst, detail);
    }
}

fn unfit(poison: &Poison) -> Unfit {
    Unfit {
        sequence: poison.sequence,
        subject: poison.subject.clone(),
        payload: poison.payload.clone(),
        reason: poison.reason.clone(),
    }
}

/// Runs until shutdown.
pub async fn run(context: Context, pool: PgPool) -> Result<(), projections::ProjectorError> {
    context.health.set(SERVICE, HealthState::Starting, "loading checkpoints");
    let port = Surroundings::new(context.tape.clone(), context.health.clone());
    let jobs = jobs::Jobs {
        tape: context.tape.clone(),
        pool: pool.clone(),
        // How a rebuild beside the live read model is going is no statement about the service.
        port: Arc::new(Surroundings::new(context.tape.clone(), Health::default())),
    };
    let stop = context.shutdown.child_token();
    let jobs = tokio::spawn(jobs.run(stop.clone()));
    let projector = Projector { pool, tape: context.tape.clone(), port: Arc::new(port) };
    let outcome = projector.run(&context.shutdown).await;
    stop.cancel();
    if let Err(error) = jobs.await {
        tracing::error!(%error, "rebuilds and verifications ended badly: {error}");
    }
    outcome
}
