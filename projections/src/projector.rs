//! The live projector: one loop per projection that follows its stream.
//!
//! A loop owns one connection and the fold's memory. Whenever anything fails, or another instance has
//! moved the checkpoint, it drops both and begins again at the checkpoint: there is nothing to repair.

use std::sync::Arc;
use std::time::Duration;

use event_log::{Bookmark, LogError, Tape};
use sqlx::{PgConnection, PgPool, Row as _};
use tokio_util::sync::CancellationToken;

use crate::fold::{Folded, fold};
use crate::projection::{Name, Port, PortError, Projection, State, head, oldest};
use crate::pump::Pump;
use crate::rebuild::{RebuildError, rebuild, underway};
use crate::write::{Guard, Target, sequence, write};

const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(5);
/// How often a projection with nothing to fold looks whether what it has committed is still there. It commits without
/// waiting for the disk, so a database that crashes takes the last commits back, and whoever waits for them waits for
/// a projection that waits for the tape.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The projections of one tape into one database.
#[derive(Clone)]
pub struct Projector {
    /// Connections made by [`crate::projector_pool`], at least one per projection and two more.
    pub pool: PgPool,
    /// The tape.
    pub tape: Tape,
    /// Where messages are parked and states are told.
    pub port: Arc<dyn Port>,
}

/// Why a projection cannot be run by this program; repeating it cannot help.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    /// The read model was made by a newer program.
    #[error("projection {name}: the read model has version {stored}, this program knows version {known}")]
    Newer {
        /// Projection.
        name: Name,
        /// Version found.
        stored: i64,
        /// Version of this program.
        known: u32,
    },
}

/// What ends a run of the loop; all but the first are tried again.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error(transparent)]
    Permanent(#[from] ProjectorError),
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Tape(#[from] LogError),
    #[error("parking message {sequence}: {source}")]
    Parking { sequence: u64, source: PortError },
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
}

impl Projector {
    /// Runs every projection until `shutdown`. Returns early only with an error that cannot mend itself.
    pub async fn run(&self, shutdown: &CancellationToken) -> Result<(), ProjectorError> {
        let mut loops = tokio::task::JoinSet::new();
        for name in Name::ALL {
            let projector = self.clone();
            let shutdown = shutdown.clone();
            loops.spawn(async move { projector.follow(name, &shutdown).await });
        }
        while let Some(ended) = loops.join_next().await {
            // A loop that panicked is a defect; the others are stopped and the panic goes on.
            match ended {
                Ok(outcome) => outcome?,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// Runs one projection until `shutdown`.
    pub async fn follow(&self, name: Name, shutdown: &CancellationToken) -> Result<(), ProjectorError> {
        let mut pause = RETRY_FIRST;
        loop {
            self.port.state(name, &State::Starting);
            let mut progressed = false;
            // Dropping the future in the middle of a transaction is what a kill does: Postgres rolls back.
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                outcome = self.session(name, shutdown, &mut progressed) => outcome,
            };
            let interruption = match outcome {
                Ok(()) if shutdown.is_cancelled() => return Ok(()),
                Ok(()) => {
                    tracing::info!(
                        projection = name.name(),
                        "{name}: the read model was moved; loading it again"
                    );
                    continue;
                }
                Err(Interruption::Permanent(error)) => return Err(error),
                Err(interruption) => interruption,
            };
            if progressed {
                pause = RETRY_FIRST;
            }
            let reason = interruption.to_string();
            tracing::warn!(projection = name.name(), "{name}: {reason}; trying again in {pause:?}");
            self.port.state(name, &State::Faulted { reason: reason.clone() });
            self.note_fault(name, &reason).await;
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(RETRY_LONGEST);
        }
    }

    /// Loads at the checkpoint and follows the stream. `Ok`: the checkpoint was moved, by another instance or by a
    /// database that came back without its last commits, or another instance's rebuild has ended.
    async fn session(
        &self,
        name: Name,
        shutdown: &CancellationToken,
        progressed: &mut bool,
    ) -> Result<(), Interruption> {
        // A connection of its own: dropped amid a statement, as a shutdown does, it is closed with whatever
        // it was doing, and never serves anybody else.
        let mut connection = self.pool.acquire().await?.detach();
        let mut checkpoint = open(&mut connection, name).await?;
        let older = checkpoint.version < i64::from(name.version());
        if older || self.is_taken_back(name, &checkpoint).await? {
            match rebuild(&self.pool, &self.tape, name, self.port.as_ref(), shutdown).await {
                Err(RebuildError::Running(_)) => {
                    self.stand_by(name, &mut connection).await?;
                    return Ok(());
                }
                built => built.map(drop)?,
            }
            checkpoint = open(&mut connection, name).await?;
        }
        let mut projection = name.empty();
        projection.load(&mut connection, name.name(), checkpoint.reached.sequence).await?;
        self.trim(&mut connection, name).await?;
        let head = head(&self.tape, name).await?;
        let mut pump = Pump::start(&self.tape, name, checkpoint.reached.sequence, head).await?;
        let mut following = checkpoint.reached.sequence >= head;
        if following {
            self.port.state(name, &State::Following { sequence: checkpoint.reached.sequence });
        }
        loop {
            let deliveries = loop {
                match tokio::time::timeout(LOOK_EVERY, pump.next()).await {
                    Ok(deliveries) => break deliveries?,
                    Err(_) if checkpoint == read(&mut connection, name).await? => {}
                    Err(_) => return Ok(()),
                }
            };
            let folded = fold(projection.as_mut(), name, &mut connection, name.name(), deliveries).await?;
            self.park(&folded).await?;
            let opened = projection.prepare(&mut connection, name.name()).await?;
            if !commit(&mut connection, projection.as_mut(), name, &checkpoint, &folded).await? {
                return Ok(());
            }
            // Only now: a day without rows yet looks like one whose rows the stream has let go of.
            if opened {
                self.trim(&mut connection, name).await?;
            }
            checkpoint.reached = folded.reached;
            let sequence = checkpoint.reached.sequence;
            *progressed = true;
            if !following && sequence >= head {
                following = true;
                self.port.state(name, &State::Following { sequence });
            }
            let payload = sequence.to_string().into_bytes();
            // Whoever waits also looks at the checkpoint itself; a hint that is lost costs time only.
            if let Err(error) = self.tape.hint(&name.committed_subject(), payload).await {
                tracing::debug!(projection = name.name(), %error, "hint not sent");
            }
        }
    }

    /// Tells how far another instance's rebuild is, until that has ended, well or not.
    async fn stand_by(&self, name: Name, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        while let Some((sequence, target)) = underway(connection, name).await? {
            self.port.state(name, &State::Rebuilding { sequence, target });
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Whether the read model holds what the tape does not: it is built anew then.
    async fn is_taken_back(&self, name: Name, checkpoint: &Checkpoint) -> Result<bool, LogError> {
        match self.tape.check(name.stream(), &checkpoint.reached).await {
            Err(error) if error.is_taken_back() => {
                tracing::warn!(projection = name.name(), %error, "{name}: the read model is built anew: {error}");
                Ok(true)
            }
            checked => checked.map(|()| false),
        }
    }

    /// Lets go of what the stream has let go of, at the start and once a day.
    async fn trim(&self, connection: &mut PgConnection, name: Name) -> Result<(), Interruption> {
        if name == Name::Logs {
            let oldest = oldest(&self.tape, name).await?;
            crate::logs::trim(connection, name.name(), oldest).await?;
        }
        Ok(())
    }

    async fn park(&self, folded: &Folded) -> Result<(), Interruption> {
        let Some(first) = folded.poison.first() else { return Ok(()) };
        // Before the checkpoint passes them: a message is never passed over unrecorded.
        self.port
            .park_all(&folded.poison)
            .await
            .map_err(|source| Interruption::Parking { sequence: first.sequence, source })
    }

    /// Records why the projection does not go on, where the database can be reached at all.
    async fn note_fault(&self, name: Name, reason: &str) {
        let noted = sqlx::query(
            "UPDATE projection.checkpoints SET fault_reason = $2, fault_sequence = sequence + 1,
             fault_at = clock_timestamp() WHERE name = $1",
        )
        .bind(name.name())
        .bind(reason.replace('\0', "\u{fffd}"))
        .execute(&self.pool);
        if let Ok(Err(error)) = tokio::time::timeout(RETRY_LONGEST, noted).await {
            tracing::debug!(projection = name.name(), %error, "fault not recorded");
        }
    }
}

/// Where the live read model stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub version: i64,
    pub generation: i64,
    /// The last message that it has folded.
    pub reached: Bookmark,
}

/// Reads the checkpoint, and makes it where the read model is new.
async fn open(connection: &mut PgConnection, name: Name) -> Result<Checkpoint, Interruption> {
    sqlx::query(
        "INSERT INTO projection.checkpoints (name, version, stream) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(name.name())
    .bind(i64::from(name.version()))
    .bind(name.stream())
    .execute(&mut *connection)
    .await?;
    let checkpoint = read(connection, name).await?;
    if checkpoint.version > i64::from(name.version()) {
        let (stored, known) = (checkpoint.version, name.version());
        return Err(ProjectorError::Newer { name, stored, known }.into());
    }
    Ok(checkpoint)
}

/// Reads the checkpoint.
pub(crate) async fn read(connection: &mut PgConnection, name: Name) -> Result<Checkpoint, sqlx::Error> {
    let row = sqlx::query(
        "SELECT version, generation, sequence, event_id FROM projection.checkpoints WHERE name = $1",
    )
    .bind(name.name())
    .fetch_one(connection)
    .await?;
    Ok(Checkpoint {
        version: row.try_get(0)?,
        generation: row.try_get(1)?,
        reached: Bookmark { sequence: sequence(row.try_get(2)?), id: row.try_get(3)? },
    })
}

async fn commit(
    connection: &mut PgConnection,
    projection: &mut dyn Projection,
    name: Name,
    checkpoint: &Checkpoint,
    folded: &Folded,
) -> Result<bool, sqlx::Error> {
    let guard = Guard::Live {
        name,
        generation: checkpoint.generation,
        expected: checkpoint.reached.sequence,
        reached: folded.reached.clone(),
        event_time_ns: folded.event_time_ns,
        parked: u64::try_from(folded.poison.len()).unwrap_or_default(),
    };
    debug_assert!(folded.reached.sequence > checkpoint.reached.sequence);
    let (rows, bars) = (projection.take(), projection.take_bars());
    write(connection, &mut Target::live(name), &guard, rows, bars).await
}
