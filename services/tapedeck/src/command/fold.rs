//! Read models folded up to where the tape ends: what `tapedeck projection fold` does, and what `import`, `backfill` and
//! runs on record do at their end on a tape that nobody runs. A rehearsal waits for its own projector in the same way.
//!
//! Whoever has started a tape's servers is alone on it and folds at once. On servers that others use it is their projector
//! that folds, and what stands still is folded here: two at once disturb each other and harm nothing, for rows and
//! checkpoint are committed together. As by any projector, what an older program made is built anew first, and what
//! somebody else is building is waited for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use contracts::stream::MARKET;
use projections::{Name, Projector, ProjectorError};
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
/// How long they may stand still while they are folded, here or by whoever is waited for.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// Folds what a command has appended to MARKET, `events` of them, where nobody else does. They stand on the tape whatever
/// becomes of it. Beside another command that one does not: it folds what it has appended itself.
pub async fn appended(session: &Session, events: u64, output: Output) -> Result<(), Failure> {
    if events == 0 || !session.is_among_commands() {
        return Ok(());
    }
    let names: Vec<Name> = Name::ALL.into_iter().filter(|name| name.stream() == MARKET).collect();
    here(session, &names, output).await
}

/// The same for a run that a command has put on record, so that it is listed.
pub async fn recorded(session: &Session, output: Output) -> Result<(), Failure> {
    if !session.is_among_commands() || session.interrupt().is_cancelled() {
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
    let patience = if session.owns_servers() { Duration::ZERO } else { STILL_MAX };
    reach(session, names, Some(patience), output).await
}

/// Waits until the projector of this process has folded what is on the tape now.
pub async fn caught_up(session: &Session, output: Output) -> Result<(), Failure> {
    reach(session, &Name::ALL, None, output).await
}

/// Waits until the read models `names` are where the tape ends now. Those that stand still for `patience` are folded
/// here; without it they never are.
async fn reach(
    session: &Session,
    names: &[Name],
    patience: Option<Duration>,
    output: Output,
) -> Result<(), Failure> {
    let mut wanted = positions(session).await?;
    wanted.retain(|row| names.iter().any(|name| name.name() == row.name));
    wanted.retain(|row| row.lag > 0 || row.is_outdated());
    let mut folding =
        Folding { session, patience, pool: None, stop: CancellationToken::new(), loops: JoinSet::new() };
    let outcome = folding.reach(&wanted, output).await;
    folding.end().await;
    outcome
}

/// The projections that this command runs, if it does.
struct Folding<'a> {
    session: &'a Session,
    patience: Option<Duration>,
    pool: Option<PgPool>,
    stop: CancellationToken,
    loops: JoinSet<Result<(), ProjectorError>>,
}

impl Folding<'_> {
    /// Waits until every read model is where its head was in `wanted`, and folds where nobody else does.
    async fn reach(&mut self, wanted: &[Position], output: Output) -> Result<(), Failure> {
        let mut farthest = Farthest::default();
        let (mut moved, mut told) = (Instant::now(), Instant::now());
        loop {
            let mut left = positions(self.session).await?;
            left.retain(|row| wanted.iter().any(|end| end.name == row.name && is_short(row, end.head)));
            if left.is_empty() {
                return Ok(());
            }
            if farthest.passed(&left) {
                moved = Instant::now();
            }
            let still = moved.elapsed();
            if self.pool.is_none() && self.patience.is_some_and(|patience| still >= patience) {
                self.start(&left).await?;
            } else if still >= STUCK_AFTER {
                return Err(Failure::other(format!("read models stand still: {}", words(&left))));
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                output.progress(&words(&left));
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
        let tape = self.session.tape.clone();
        let port = Arc::new(Surroundings::new(tape.clone(), Health::default()));
        let projector = Projector { pool, tape, port };
        for name in Name::ALL.into_iter().filter(|name| left.iter().any(|row| row.name == name.name())) {
            let (projector, stop) = (projector.clone(), self.stop.clone());
            self.loops.spawn(async move { projector.follow(name, &stop).await });
        }
        Ok(())
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.loops.join_next().await.is_some() {}
        if let Some(pool) = self.pool {
            pool.close().await;
        }
    }
}

/// Whether a read model is an older program's, or short of what can be reached of `head`: a stream may have let go of it.
fn is_short(row: &Position, head: u64) -> bool {
    row.is_outdated() || row.position < head.min(row.head)
}

/// The farthest that read models and their rebuilds have come. One that fails and begins again does not move on.
#[derive(Debug, Default)]
struct Farthest {
    left: usize,
    at: BTreeMap<String, (u64, u64)>,
}

impl Farthest {
    /// Whether one of those `left` has come farther, or one has arrived.
    fn passed(&mut self, left: &[Position]) -> bool {
        let mut passed = std::mem::replace(&mut self.left, left.len()) != left.len();
        for row in left {
            let (position, rebuilt) = self.at.entry(row.name.clone()).or_default();
            let rebuilding = row.rebuild_sequence.unwrap_or_default();
            passed |= row.position > *position || rebuilding > *rebuilt;
            *position = row.position.max(*position);
            *rebuilt = rebuilding.max(*rebuilt);
        }
        passed
    }
}

/// How far the read models are that have not arrived, and what keeps them.
fn words(left: &[Position]) -> String {
    let word = |row: &Position| {
        let how_far = match row.rebuild_sequence.zip(row.rebuild_target) {
            Some((sequence, target)) => format!("{} is built anew, {sequence} of {target}", row.name),
            None if row.is_outdated() => format!("{} is an older program's, to be built anew", row.name),
            None => format!("{} {} of {}", row.name, row.position, row.head),
        };
        match &row.fault {
            Some(fault) => format!("{how_far}: {fault}"),
            None => how_far,
        }
    };
    left.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Why a projection ended that nobody stopped.
fn early(ended: Result<Result<(), ProjectorError>, tokio::task::JoinError>) -> Failure {
    Failure::other(match ended {
        Ok(Ok(())) => "a projection ended by itself".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => format!("a projection ended early: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(position: u64, rebuild_sequence: Option<u64>) -> Position {
        Position {
            name: "bars".to_owned(),
            stream: MARKET.to_owned(),
            version: 3,
            read_model_version: Some(3),
            position,
            head: 9,
            lag: 9_u64.saturating_sub(position),
            rebuild_sequence,
            rebuild_target: rebuild_sequence.map(|_| 9),
            parked: 0,
            fault: None,
        }
    }

    #[test]
    fn what_fails_and_begins_again_does_not_move_on() {
        let mut farthest = Farthest::default();
        let looks = [(1, None), (1, None), (1, Some(0)), (1, Some(5)), (1, None), (1, Some(5)), (1, Some(6))];
        let passed = looks.map(|(position, rebuilt)| farthest.passed(&[at(position, rebuilt)]));
        assert_eq!(passed, [true, false, false, true, false, false, true]);
        assert!(farthest.passed(&[at(2, None)]) && farthest.passed(&[]));
    }

    #[test]
    fn what_is_waited_for_can_be_reached_and_is_of_this_program() {
        assert!(is_short(&at(8, None), 9) && !is_short(&at(9, None), 9));
        // What came later is not waited for, what the stream has let go of neither.
        assert!(!is_short(&at(5, None), 5) && !is_short(&Position { head: 0, ..at(5, None) }, 7));
        let older = Position { read_model_version: Some(2), ..at(9, None) };
        assert!(is_short(&older, 9));
        let fault = Some("database: gone".to_owned());
        let told = words(&[older, at(1, Some(4)), Position { fault, ..at(2, None) }]);
        let expected =
            "bars is an older program's, to be built anew, bars is built anew, 4 of 9, bars 2 of 9: ";
        assert_eq!(told, format!("{expected}database: gone"));
    }
}
