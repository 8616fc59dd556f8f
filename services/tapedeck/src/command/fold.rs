//! Read models folded up to where the tape ends: what `tapedeck projection fold` does, and what `import`, `backfill` and
//! runs on record do at their end on a tape that nobody runs.
//!
//! Whoever has started a tape's servers is alone on it and folds at once. On servers that others use it is their projector
//! that folds, and what stands still is folded here: two at once disturb each other and harm nothing, for rows and
//! checkpoint are committed together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::stream::MARKET;
use projections::{Name, Projector, ProjectorError, State};
use runtime::Health;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::command::projection::{Position, positions};
use crate::exit::Failure;
use crate::output::Output;
use crate::projector::Surroundings;
use crate::session::Session;

const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Time between two lines about how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long read models may stand still, on servers that others use, before they are folded here.
const STILL_MAX: Duration = Duration::from_secs(2);
/// How long they may stand still while they are.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// Folds what a command has appended to MARKET, `events` of them, where nobody else does. They stand on the tape whatever
/// becomes of it.
pub async fn appended(session: &Session, events: u64, output: Output) -> Result<(), Failure> {
    if events == 0 || !session.owns_servers() {
        return Ok(());
    }
    let names: Vec<Name> = Name::ALL.into_iter().filter(|name| name.stream() == MARKET).collect();
    here(session, &names, output).await
}

/// The same for a run that a command has put on record, so that it is listed.
pub async fn recorded(session: &Session, output: Output) -> Result<(), Failure> {
    if !session.owns_servers() || session.interrupt().is_cancelled() {
        return Ok(());
    }
    here(session, &[Name::Backtests], output).await
}

/// Folds read models at the end of a command; that it cannot be done is only said.
async fn here(session: &Session, names: &[Name], output: Output) -> Result<(), Failure> {
    let began = Instant::now();
    match Box::pin(fold(session, names, output)).await {
        Ok(()) => output.progress(&format!("read models folded in {:.2} s", began.elapsed().as_secs_f64())),
        Err(failure) if session.interrupt().is_cancelled() => return Err(failure),
        Err(failure) => {
            let message = failure.message;
            output.note(&format!("{message}: `tapedeck projection fold` folds what is on the tape"));
        }
    }
    Ok(())
}

/// Folds the read models `names` up to the last event that concerns each of them now.
pub async fn fold(session: &Session, names: &[Name], output: Output) -> Result<(), Failure> {
    let mut wanted = positions(session).await?;
    wanted.retain(|row| row.lag > 0 && names.iter().any(|name| name.name() == row.name));
    let surroundings = Surroundings::new(session.tape.clone(), Health::default());
    let mut folding = Folding {
        session,
        surroundings: Arc::new(surroundings),
        pool: None,
        stop: CancellationToken::new(),
        loops: JoinSet::new(),
    };
    let outcome = folding.reach(&wanted, output).await;
    folding.end().await;
    outcome
}

/// The projections that this command runs, if it does.
struct Folding<'a> {
    session: &'a Session,
    surroundings: Arc<Surroundings>,
    pool: Option<PgPool>,
    stop: CancellationToken,
    loops: JoinSet<Result<(), ProjectorError>>,
}

impl Folding<'_> {
    /// Waits until every read model is where its head was in `wanted`, and folds where nobody else does.
    async fn reach(&mut self, wanted: &[Position], output: Output) -> Result<(), Failure> {
        let mut before = None;
        let (mut moved, mut told) = (Instant::now(), Instant::now());
        loop {
            let mut left = positions(self.session).await?;
            left.retain(|row| wanted.iter().any(|end| end.name == row.name && row.position < end.head));
            if left.is_empty() {
                return Ok(());
            }
            let now = Some((left.iter().map(|row| row.position).sum::<u64>(), left.len(), self.rebuilt()));
            if now != before {
                (before, moved) = (now, Instant::now());
            }
            let still = moved.elapsed();
            if self.pool.is_some() {
                if still >= STUCK_AFTER {
                    return Err(Failure::other(format!("read models stand still: {}", self.words(&left))));
                }
            } else if self.session.owns_servers() || still >= STILL_MAX {
                self.start(&left).await?;
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                output.progress(&self.words(&left));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.session.interrupted() => return Err(Failure::interrupted()),
                Some(ended) = self.loops.join_next() => return Err(early(ended)),
            }
        }
    }

    async fn start(&mut self, left: &[Position]) -> Result<(), Failure> {
        let pool = self.session.projector().await?;
        self.pool = Some(pool.clone());
        let port = Arc::clone(&self.surroundings);
        let projector = Projector { pool, tape: self.session.tape.clone(), port };
        for name in Name::ALL.into_iter().filter(|name| left.iter().any(|row| row.name == name.name())) {
            let (projector, stop) = (projector.clone(), self.stop.clone());
            self.loops.spawn(async move { projector.follow(name, &stop).await });
        }
        Ok(())
    }

    /// How far read models that are built anew have come. That one fails and begins again is no progress.
    fn rebuilt(&self) -> Vec<u64> {
        let states = self.surroundings.states();
        let sequence = |state: &State| match state {
            State::Rebuilding { sequence, .. } => Some(*sequence),
            _ => None,
        };
        states.values().filter_map(sequence).collect()
    }

    /// How far the read models are that have not arrived, and what keeps them.
    fn words(&self, left: &[Position]) -> String {
        let states = self.surroundings.states();
        let word = |row: &Position| {
            let state = states.iter().find(|(name, _)| name.name() == row.name).map(|(_, state)| state);
            match state {
                Some(State::Rebuilding { sequence, target }) => {
                    format!("{} is built anew, {sequence} of {target}", row.name)
                }
                Some(State::Faulted { reason }) => {
                    format!("{} {} of {}: {reason}", row.name, row.position, row.head)
                }
                _ => format!("{} {} of {}", row.name, row.position, row.head),
            }
        };
        left.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.loops.join_next().await.is_some() {}
        if let Some(pool) = self.pool {
            pool.close().await;
        }
    }
}

/// Why a projection ended that nobody stopped.
fn early(ended: Result<Result<(), ProjectorError>, tokio::task::JoinError>) -> Failure {
    Failure::other(match ended {
        Ok(Ok(())) => "a projection ended by itself".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => format!("a projection ended early: {error}"),
    })
}
