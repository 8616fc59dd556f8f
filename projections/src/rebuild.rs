//! Rebuilding beside the live tables, and swapping when caught up.
//!
//! The new rows grow in the schema `<name>_rebuild` while the live ones are read and written as ever.
//! The swap is one short transaction: it locks the checkpoint, so that no projector writes, and the live
//! tables, so that no reader is between resolving their names and reading them; then it renames the two
//! schemas and moves the checkpoint. The old schema is dropped afterwards.

use std::time::Duration;

use event_log::{LogError, Tape};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, Row as _};
use tokio_util::sync::CancellationToken;

use crate::fold::fold;
use crate::projection::{Name, Port, PortError, Projection, State, head};
use crate::pump::Pump;
use crate::write::{Guard, sequence, stored, write};

/// How long the swap waits for readers before it lets them pass and tries again.
const SWAP_WAIT: Duration = Duration::from_millis(200);
/// How often it tries.
const SWAP_TRIES_MAX: u32 = 100;

/// What a rebuild did.
#[derive(Clone, Debug, Serialize)]
pub struct RebuildReport {
    /// Projection.
    pub projection: Name,
    /// Checkpoint of the new read model.
    pub sequence: u64,
    /// Messages folded.
    pub messages: u64,
    /// Messages passed over because they cannot be folded.
    pub parked: u64,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Sequence folded so far.
    pub sequence: u64,
    /// Head of the stream when last asked.
    pub target: u64,
}

/// Why a rebuild did not end; the live read model is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another rebuild of the projection runs.
    #[error("projection {0} is being rebuilt already")]
    Running(Name),
    /// It was cancelled; what was built is dropped.
    #[error("rebuild of {0} cancelled")]
    Cancelled(Name),
    /// Readers held the live tables all the time.
    #[error("rebuild of {0}: the live tables were in use whenever the swap was tried")]
    Busy(Name),
    /// The database.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tape.
    #[error(transparent)]
    Tape(#[from] LogError),
    /// A message could not be parked.
    #[error("parking message {sequence}: {source}")]
    Parking {
        /// The message.
        sequence: u64,
        /// Cause.
        source: PortError,
    },
}

/// Builds the projection anew from the first sequence and swaps it in. Cancelling leaves no trace.
pub async fn rebuild(
    pool: &PgPool,
    tape: &Tape,
    name: Name,
    port: &dyn Port,
    cancel: &CancellationToken,
) -> Result<RebuildReport, RebuildError> {
    // Held by a connection of its own, so that it ends with this process whatever happens.
    let mut lock = pool.acquire().await?.detach();
    let held: bool = sqlx::query("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(lock_name(name))
        .fetch_one(&mut lock)
        .await?
        .try_get(0)?;
    if !held {
        lock.close().await?;
        return Err(RebuildError::Running(name));
    }
    let outcome = {
        // Dropped amid a statement it is closed, and Postgres takes back what was not committed.
        let mut connection = pool.acquire().await?.detach();
        let mut build = Build::new(tape, name, port);
        tokio::select! {
            () = cancel.cancelled() => Err(RebuildError::Cancelled(name)),
            outcome = build.run(&mut connection) => outcome,
        }
    };
    let swept = sweep(&mut lock, name).await;
    // Said in so many words: a connection that is closed gives its locks back only some time later.
    sqlx::query("SELECT pg_advisory_unlock(hashtextextended($1, 0))")
        .bind(lock_name(name))
        .execute(&mut lock)
        .await?;
    lock.close().await?;
    let report = outcome?;
    swept?;
    Ok(report)
}

fn lock_name(name: Name) -> String {
    format!("tapedeck/projection/{name}/rebuild")
}

fn beside(name: Name) -> String {
    format!("{name}_rebuild")
}

fn before(name: Name) -> String {
    format!("{name}_before")
}

/// Drops what a finished, cancelled or killed rebuild left, and its progress.
async fn sweep(connection: &mut PgConnection, name: Name) -> Result<(), sqlx::Error> {
    for schema in [beside(name), before(name)] {
        connection.execute(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))).await?;
    }
    sqlx::query(
        "UPDATE projection.checkpoints SET rebuild_version = NULL, rebuild_sequence = NULL,
         rebuild_target = NULL, rebuild_started_at = NULL WHERE name = $1 AND rebuild_version IS NOT NULL",
    )
    .bind(name.name())
    .execute(connection)
    .await?;
    Ok(())
}

struct Build<'a> {
    tape: &'a Tape,
    name: Name,
    port: &'a dyn Port,
    schema: String,
    projection: Box<dyn Projection>,
    report: RebuildReport,
}

impl<'a> Build<'a> {
    fn new(tape: &'a Tape, name: Name, port: &'a dyn Port) -> Self {
        Self {
            tape,
            name,
            port,
            schema: beside(name),
            projection: name.empty(),
            report: RebuildReport { projection: name, sequence: 0, messages: 0, parked: 0 },
        }
    }

    async fn run(&mut self, connection: &mut PgConnection) -> Result<RebuildReport, RebuildError> {
        self.prepare(connection).await?;
        let mut target = head(self.tape, self.name).await?;
        let mut pump = Pump::start(self.tape, self.name, 0, target).await?;
        for _ in 0..SWAP_TRIES_MAX {
            loop {
                let progress = Progress { sequence: self.report.sequence, target };
                let state = State::Rebuilding { sequence: progress.sequence, target: progress.target };
                self.port.state(self.name, &state);
                if self.report.sequence >= target {
                    target = live(connection, self.name).await?;
                }
                if self.report.sequence >= target {
                    break;
                }
                self.step(connection, &mut pump, target).await?;
            }
            if self.swap(connection).await? {
                return Ok(self.report.clone());
            }
        }
        Err(RebuildError::Busy(self.name))
    }

    async fn prepare(&mut self, connection: &mut PgConnection) -> Result<(), RebuildError> {
        sweep(connection, self.name).await?;
        let create = format!("SELECT projection.create_{}('{}')", self.name, self.schema);
        connection.execute(AssertSqlSafe(create)).await?;
        sqlx::query(
            "INSERT INTO projection.checkpoints AS c
                 (name, version, stream, rebuild_version, rebuild_sequence, rebuild_target, rebuild_started_at)
             VALUES ($1, $2, $3, $2, 0, 0, clock_timestamp())
             ON CONFLICT (name) DO UPDATE SET rebuild_version = $2, rebuild_sequence = 0, rebuild_target = 0,
                 rebuild_started_at = clock_timestamp()",
        )
        .bind(self.name.name())
        .bind(i64::from(self.name.version()))
        .bind(self.name.stream())
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Folds and writes what has been read.
    async fn step(
        &mut self,
        connection: &mut PgConnection,
        pump: &mut Pump,
        target: u64,
    ) -> Result<(), RebuildError> {
        let deliveries = pump.next().await?;
        let folded = fold(self.projection.as_mut(), self.name, connection, &self.schema, deliveries).await?;
        for poison in &folded.poison {
            if is_parked(connection, self.name.stream(), poison.sequence).await? {
                continue;
            }
            self.port
                .park(poison)
                .await
                .map_err(|source| RebuildError::Parking { sequence: poison.sequence, source })?;
        }
        let guard = Guard::Beside {
            name: self.name,
            expected: self.report.sequence,
            sequence: folded.sequence,
            target: target.max(folded.sequence),
        };
        let (rows, bars) = (self.projection.take(), self.projection.take_bars());
        if !write(connection, &self.schema, &guard, rows, bars).await? {
            return Err(RebuildError::Running(self.name));
        }
        self.report.sequence = folded.sequence;
        self.report.messages += folded.messages;
        self.report.parked += u64::try_from(folded.poison.len()).unwrap_or_default();
        Ok(())
    }

    /// Puts the new tables in the place of the live ones. `false`: the live ones have moved on, or are in
    /// use, and it must be tried again.
    async fn swap(&self, connection: &mut PgConnection) -> Result<bool, RebuildError> {
        let mut transaction = connection.begin().await?;
        let wait = format!("SET LOCAL lock_timeout = {}", SWAP_WAIT.as_millis());
        transaction.execute(AssertSqlSafe(wait)).await?;
        let live: i64 = sqlx::query("SELECT sequence FROM projection.checkpoints WHERE name = $1 FOR UPDATE")
            .bind(self.name.name())
            .fetch_one(&mut *transaction)
            .await?
            .try_get(0)?;
        if sequence(live) > self.report.sequence {
            return Ok(false);
        }
        let tables: Vec<String> =
            self.name.tables().iter().map(|table| format!("{}.{}", self.name, table.name)).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", "));
        match transaction.execute(AssertSqlSafe(lock)).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
                transaction.rollback().await?;
                tokio::time::sleep(SWAP_WAIT).await;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        let rename = format!(
            "ALTER SCHEMA {name} RENAME TO {before}; ALTER SCHEMA {beside} RENAME TO {name}",
            name = self.name,
            before = before(self.name),
            beside = self.schema
        );
        transaction.execute(AssertSqlSafe(rename)).await?;
        sqlx::query(
            "UPDATE projection.checkpoints SET version = $2, generation = generation + 1, sequence = $3,
             parked = $4, updated_at = clock_timestamp(), fault_reason = NULL, fault_sequence = NULL,
             fault_at = NULL WHERE name = $1",
        )
        .bind(self.name.name())
        .bind(i64::from(self.name.version()))
        .bind(stored(self.report.sequence))
        .bind(stored(self.report.parked))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }
}

async fn live(connection: &mut PgConnection, name: Name) -> Result<u64, sqlx::Error> {
    let row = sqlx::query("SELECT sequence FROM projection.checkpoints WHERE name = $1")
        .bind(name.name())
        .fetch_one(connection)
        .await?;
    Ok(sequence(row.try_get(0)?))
}

/// Whether the read model of parked messages knows this one. It was parked when it was first met.
async fn is_parked(connection: &mut PgConnection, stream: &str, message: u64) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT FROM parked.parked WHERE origin_stream = $1 AND origin_sequence = $2)",
    )
    .bind(stream)
    .bind(stored(message))
    .fetch_one(connection)
    .await?;
    row.try_get(0)
}
