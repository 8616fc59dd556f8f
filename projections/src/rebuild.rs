//! Rebuilding beside the live tables, and swapping when caught up.
//!
//! Everything happens in one transaction: the new tables grow in a schema that nobody else sees while the
//! live ones are read and written as ever, and a rebuild that is cancelled or killed leaves nothing. Tables
//! made in the same transaction are also the cheapest to fill. Only at the very end the checkpoint is
//! locked, so that no projector writes, and the live tables, so that no reader is between resolving their
//! names and reading them; then the new schema takes the place of the old.
//!
//! The new read model has to hold all that the live one holds, unless the tape itself no longer holds it: a stream with
//! an age lets go of messages, and the new checkpoint stands behind them as the live one does.

use std::time::Duration;

use event_log::{Bookmark, LogError, Tape};
use serde::Serialize;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, Postgres, Row as _};
use tokio_util::sync::CancellationToken;

use crate::fold::fold;
use crate::projection::{Name, Port, PortError, Projection, State, head};
use crate::projector::{Checkpoint, read};
use crate::pump::Pump;
use crate::write::{Guard, Target, sequence, stored, write};

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
    // One connection holds the lock and tells progress, one builds. Both are this rebuild's own: dropped
    // amid a statement they are closed, and Postgres takes back what was not committed.
    let mut beside = pool.acquire().await?.detach();
    if !lock(&mut beside, name).await? {
        beside.close().await?;
        return Err(RebuildError::Running(name));
    }
    let outcome = {
        let mut connection = pool.acquire().await?.detach();
        let build = Build {
            tape,
            name,
            port,
            beside: &mut beside,
            projection: name.empty(),
            reached: Bookmark::default(),
            void: None,
            report: RebuildReport { projection: name, sequence: 0, messages: 0, parked: 0 },
        };
        tokio::select! {
            () = cancel.cancelled() => Err(RebuildError::Cancelled(name)),
            outcome = build.run(&mut connection) => outcome,
        }
    };
    if let Err(RebuildError::Cancelled(_)) = outcome {
        // The connection may be amid a statement about progress.
        beside = pool.acquire().await?.detach();
    }
    progress(&mut beside, name, None).await?;
    // Said in so many words: a connection that is closed gives its locks back only some time later.
    sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut beside).await?;
    beside.close().await?;
    outcome
}

/// SQL: whether a rebuild of the projection `c.name` is underway, in whatever process: somebody holds what [`lock`]
/// takes. Progress that is written down outlives a process that is killed.
pub(crate) const UNDERWAY: &str = "EXISTS (SELECT FROM pg_catalog.pg_locks l
    WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
      AND ((l.classid::bigint << 32) | l.objid::bigint)
          = hashtextextended('tapedeck/projection/' || c.name || '/rebuild', 0))";

/// How far a rebuild is that is underway, and where it has to arrive; `None` when there is none.
pub(crate) async fn underway(
    connection: &mut PgConnection,
    name: Name,
) -> Result<Option<(u64, u64)>, sqlx::Error> {
    let statement = format!(
        "SELECT COALESCE(c.rebuild_sequence, 0), COALESCE(c.rebuild_target, 0)
         FROM projection.checkpoints c WHERE c.name = $1 AND {UNDERWAY}"
    );
    let row = sqlx::query(AssertSqlSafe(statement)).bind(name.name()).fetch_optional(connection).await?;
    row.map(|row| Ok((sequence(row.try_get(0)?), sequence(row.try_get(1)?)))).transpose()
}

async fn lock(connection: &mut PgConnection, name: Name) -> Result<bool, sqlx::Error> {
    sqlx::query("SELECT pg_try_advisory_lock(hashtextextended($1, 0))")
        .bind(format!("tapedeck/projection/{name}/rebuild"))
        .fetch_one(connection)
        .await?
        .try_get(0)
}

/// Says in the projection's row how far the rebuild is, or that none runs.
async fn progress(
    connection: &mut PgConnection,
    name: Name,
    at: Option<(u64, u64)>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO projection.checkpoints AS c (name, version, stream) VALUES ($1, $2, $3)
         ON CONFLICT (name) DO UPDATE SET
             rebuild_version = CASE WHEN $4 IS NULL THEN NULL ELSE $2 END,
             rebuild_sequence = $4, rebuild_target = $5,
             rebuild_started_at = CASE WHEN $4 IS NULL THEN NULL
                                       ELSE COALESCE(c.rebuild_started_at, clock_timestamp()) END",
    )
    .bind(name.name())
    .bind(i64::from(name.version()))
    .bind(name.stream())
    .bind(at.map(|(sequence, _)| stored(sequence)))
    .bind(at.map(|(_, target)| stored(target)))
    .execute(connection)
    .await?;
    Ok(())
}

struct Build<'a> {
    tape: &'a Tape,
    name: Name,
    port: &'a dyn Port,
    beside: &'a mut PgConnection,
    projection: Box<dyn Projection>,
    /// The last message that it has folded.
    reached: Bookmark,
    /// Where the live read model stands, if the tape does not hold that.
    void: Option<Checkpoint>,
    report: RebuildReport,
}

impl Build<'_> {
    async fn run(mut self, connection: &mut PgConnection) -> Result<RebuildReport, RebuildError> {
        let mut target = head(self.tape, self.name).await?;
        self.tell(target).await?;
        let live = read(self.beside, self.name).await?;
        match self.tape.check(self.name.stream(), &live.reached).await {
            Err(error) if error.is_taken_back() => self.void = Some(live),
            checked => checked?,
        }
        let mut transaction = connection.begin().await?;
        let schema = format!("{}_rebuild", self.name);
        let mut tables = Target::create(&mut transaction, self.name, schema).await?;
        let mut pump = Pump::start(self.tape, self.name, 0, target).await?;
        for _ in 0..SWAP_TRIES_MAX {
            while self.report.sequence < target {
                self.step(&mut transaction, &mut tables, &mut pump).await?;
                self.tell(target).await?;
            }
            tables.key(&mut transaction).await?;
            match self.swap(&mut transaction, &tables.schema).await? {
                Swap::Done => {
                    transaction.commit().await?;
                    return Ok(self.report);
                }
                Swap::Behind(live) => target = self.reachable(live).await?,
                Swap::Busy => tokio::time::sleep(SWAP_WAIT).await,
            }
        }
        Err(RebuildError::Busy(self.name))
    }

    /// How far there is to read until all is folded that the live read model has folded. What the stream has let go of
    /// since counts as folded.
    async fn reachable(&mut self, live: Bookmark) -> Result<u64, RebuildError> {
        let last = head(self.tape, self.name).await?.min(live.sequence);
        if last <= self.report.sequence {
            // A tape that was taken back has let go of nothing: the rebuild ends, and the next one knows.
            self.tape.check(self.name.stream(), &live).await?;
            self.report.sequence = live.sequence;
            self.reached = live;
        }
        Ok(last)
    }

    async fn tell(&mut self, target: u64) -> Result<(), sqlx::Error> {
        let sequence = self.report.sequence;
        self.port.state(self.name, &State::Rebuilding { sequence, target: target.max(sequence) });
        progress(self.beside, self.name, Some((sequence, target.max(sequence)))).await
    }

    /// Folds and writes what has been read.
    async fn step(
        &mut self,
        connection: &mut PgConnection,
        tables: &mut Target,
        pump: &mut Pump,
    ) -> Result<(), RebuildError> {
        let deliveries = pump.next().await?;
        let folded =
            fold(self.projection.as_mut(), self.name, connection, &tables.schema, deliveries).await?;
        for poison in &folded.poison {
            if is_parked(connection, self.name.stream(), poison.sequence).await? {
                continue;
            }
            self.port
                .park(poison)
                .await
                .map_err(|source| RebuildError::Parking { sequence: poison.sequence, source })?;
        }
        self.projection.prepare(connection, &tables.schema).await?;
        let (rows, bars) = (self.projection.take(), self.projection.take_bars());
        write(connection, tables, &Guard::Held, rows, bars).await?;
        self.report.sequence = folded.reached.sequence;
        self.reached = folded.reached;
        self.report.messages += folded.messages;
        self.report.parked += u64::try_from(folded.poison.len()).unwrap_or_default();
        Ok(())
    }

    /// Puts the new tables in the place of the live ones, if they hold all that those hold and nobody is
    /// reading them. Otherwise it gives its locks back at once.
    async fn swap(
        &self,
        transaction: &mut sqlx::Transaction<'_, Postgres>,
        schema: &str,
    ) -> Result<Swap, RebuildError> {
        let mut attempt = transaction.begin().await?;
        let wait = format!("SET LOCAL lock_timeout = {}", SWAP_WAIT.as_millis());
        attempt.execute(AssertSqlSafe(wait)).await?;
        sqlx::query("SELECT FROM projection.checkpoints WHERE name = $1 FOR UPDATE")
            .bind(self.name.name())
            .execute(&mut *attempt)
            .await?;
        let live = read(&mut attempt, self.name).await?;
        if live.reached.sequence > self.report.sequence && self.void.as_ref() != Some(&live) {
            attempt.rollback().await?;
            return Ok(Swap::Behind(live.reached));
        }
        let tables: Vec<String> =
            self.name.tables().iter().map(|table| format!("{}.{}", self.name, table.name)).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", tables.join(", "));
        match attempt.execute(AssertSqlSafe(lock)).await {
            Ok(_) => {}
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
                attempt.rollback().await?;
                return Ok(Swap::Busy);
            }
            Err(error) => return Err(error.into()),
        }
        let name = self.name;
        let replace = format!("DROP SCHEMA {name} CASCADE; ALTER SCHEMA {schema} RENAME TO {name}");
        sqlx::raw_sql(AssertSqlSafe(replace)).execute(&mut *attempt).await?;
        sqlx::query(
            "UPDATE projection.checkpoints SET version = $2, generation = generation + 1, sequence = $3,
             event_id = $5, parked = $4, updated_at = clock_timestamp(), fault_reason = NULL,
             fault_sequence = NULL, fault_at = NULL WHERE name = $1",
        )
        .bind(self.name.name())
        .bind(i64::from(self.name.version()))
        .bind(stored(self.report.sequence))
        .bind(stored(self.report.parked))
        .bind(self.reached.id.as_deref())
        .execute(&mut *attempt)
        .await?;
        attempt.commit().await?;
        Ok(Swap::Done)
    }
}

/// How an attempt to swap ended.
enum Swap {
    Done,
    /// The live read model has folded this message, which the new one has not.
    Behind(Bookmark),
    /// The live tables are being read.
    Busy,
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
