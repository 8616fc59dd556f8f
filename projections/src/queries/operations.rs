//! How the system itself is: heartbeats, halts, projections.

use std::collections::BTreeMap;

use contracts::v1::RiskTally;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool};

use super::QueryError;
use super::reading::read_all;
use crate::Name;
use crate::rebuild::UNDERWAY;

/// The last heartbeat of one instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HeartbeatRow {
    /// Service.
    pub service: String,
    /// Instance.
    pub instance: String,
    /// Program version.
    pub program_version: String,
    /// `starting`, `ready`, `degraded` or `stopping`.
    pub state: String,
    /// What it waits for or suffers from.
    pub detail: String,
    /// When the instance started, UTC nanoseconds.
    pub started_at_ns: Option<i64>,
    /// When it beat, UTC nanoseconds.
    pub beat_at_ns: i64,
    /// LOGS sequence.
    pub sequence: u64,
}

/// A halt in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HaltRow {
    /// Account; empty for all.
    pub account: String,
    /// `reduce_only`: strategies may still reduce; `halted`: they send nothing.
    pub state: &'static str,
    /// Who stopped it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Since when, UTC nanoseconds.
    pub since_ns: i64,
    /// TRADING sequence.
    pub sequence: u64,
}

/// One projection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ProjectionRow {
    /// Name.
    pub name: String,
    /// Version of the read model.
    pub version: u64,
    /// Stream.
    pub stream: String,
    /// Checkpoint.
    pub sequence: u64,
    /// Last sequence that concerns it, as the caller says; `None` when the caller does not know.
    pub head: Option<u64>,
    /// Sequences between checkpoint and head.
    pub lag: Option<u64>,
    /// Event time of the checkpoint, UTC nanoseconds.
    pub event_time_ns: Option<i64>,
    /// When it last moved, UTC nanoseconds of the database's clock.
    pub updated_at_ns: i64,
    /// Messages passed over because they cannot be folded.
    pub parked: u64,
    /// Why it does not go on.
    pub fault_reason: Option<String>,
    /// The sequence at which it does not go on.
    pub fault_sequence: Option<u64>,
    /// Sequence of a rebuild that is underway beside it, in whatever process.
    pub rebuild_sequence: Option<u64>,
    /// Where that rebuild has to arrive.
    pub rebuild_target: Option<u64>,
}

/// The last heartbeats, by service; of each service the newest instance first.
pub async fn heartbeats(pool: &PgPool) -> Result<Vec<HeartbeatRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT * FROM services.heartbeats ORDER BY service, beat_at_ns DESC, instance LIMIT 200",
    )
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        Ok(HeartbeatRow {
            service: row.text("service")?,
            instance: row.text("instance")?,
            program_version: row.text("program_version")?,
            state: row.text("state")?,
            detail: row.text("detail")?,
            started_at_ns: row.int_or_none("started_at_ns")?,
            beat_at_ns: row.int("beat_at_ns")?,
            sequence: row.sequence("sequence")?,
        })
    })?)
}

/// The halts in force, that of all accounts first.
pub async fn halts(pool: &PgPool) -> Result<Vec<HaltRow>, QueryError> {
    let rows =
        sqlx::query("SELECT * FROM trading.halts WHERE halted ORDER BY account").fetch_all(pool).await?;
    Ok(read_all(&rows, |row| {
        Ok(HaltRow {
            account: row.text("account")?,
            state: if row.text("state")? == "halted" { "halted" } else { "reduce_only" },
            actor: row.text("actor")?,
            reason: row.text("reason")?,
            since_ns: row.int("event_time_ns")?,
            sequence: row.sequence("sequence")?,
        })
    })?)
}

/// What risk remembers of accounts and strategies, stops in force included; of `strategy` alone, where one is named.
pub async fn tallies(pool: &PgPool, strategy: Option<&str>) -> Result<Vec<RiskTally>, QueryError> {
    let rows = sqlx::query(
        "SELECT tally::text FROM trading.risk_tallies
         WHERE $1::text IS NULL OR strategy = $1 ORDER BY strategy, account",
    )
    .bind(strategy)
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| row.json("tally"))?)
}

/// Every projection that was ever run here, by name, without heads.
pub async fn checkpoints(pool: &PgPool) -> Result<Vec<ProjectionRow>, QueryError> {
    projection_status(pool, &BTreeMap::new()).await
}

/// Every projection that was ever run here, by name. `heads` are those of [`crate::heads`].
pub async fn projection_status(
    pool: &PgPool,
    heads: &BTreeMap<Name, u64>,
) -> Result<Vec<ProjectionRow>, QueryError> {
    let statement = format!(
        "SELECT name, version, stream, sequence, event_time_ns, parked, fault_reason, fault_sequence,
                (extract(epoch FROM updated_at) * 1000000000)::bigint AS updated_at_ns,
                r.rebuild_sequence, r.rebuild_target
         FROM projection.checkpoints c LEFT JOIN LATERAL (
             SELECT c.rebuild_sequence, c.rebuild_target WHERE c.rebuild_sequence IS NOT NULL AND {UNDERWAY}
         ) r ON true ORDER BY name"
    );
    let rows = sqlx::query(AssertSqlSafe(statement)).fetch_all(pool).await?;
    Ok(read_all(&rows, |row| {
        let name = row.text("name")?;
        let sequence = row.sequence("sequence")?;
        let head = name.parse::<Name>().ok().and_then(|name| heads.get(&name).copied());
        Ok(ProjectionRow {
            name,
            version: row.sequence("version")?,
            stream: row.text("stream")?,
            sequence,
            head,
            lag: head.map(|head| head.saturating_sub(sequence)),
            event_time_ns: row.int_or_none("event_time_ns")?,
            updated_at_ns: row.int("updated_at_ns")?,
            parked: row.sequence("parked")?,
            fault_reason: row.text_or_none("fault_reason")?,
            fault_sequence: row.sequence_or_none("fault_sequence")?,
            rebuild_sequence: row.sequence_or_none("rebuild_sequence")?,
            rebuild_target: row.sequence_or_none("rebuild_target")?,
        })
    })?)
}
