//! What was asked of the read models, and what came of it.

use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, read_all};
use super::{Page, QueryError, below, limited};

/// A rebuild or a verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JobRow {
    /// Id of the request.
    pub request_id: String,
    /// Projection.
    pub projection: String,
    /// `rebuild` or `verify`.
    pub task: String,
    /// Who asked.
    pub actor: String,
    /// When, UTC nanoseconds.
    pub requested_at_ns: i64,
    /// TRADING sequence of the request: the cursor.
    pub first_sequence: u64,
    /// `succeeded`, `differs`, `failed` or `refused`; `None` while it waits or runs.
    pub outcome: Option<String>,
    /// Why, or the first difference; empty when there is nothing to say.
    pub detail: String,
    /// Sequence of the projection's stream up to which it was folded.
    pub folded_sequence: Option<u64>,
    /// Messages folded.
    pub messages: Option<u64>,
    /// Rows that differ.
    pub differences: Option<u64>,
    /// Hash of the rows.
    pub state_hash: Option<String>,
    /// Hash of the rows before a rebuild.
    pub state_hash_before: Option<String>,
    /// Its sequence.
    pub sequence_before: Option<u64>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// When it ended, UTC nanoseconds.
    pub finished_at_ns: Option<i64>,
}

/// Rebuilds and verifications, newest first.
pub async fn jobs(pool: &PgPool, cursor: Option<u64>, limit: u32) -> Result<Page<JobRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT * FROM jobs.jobs WHERE first_sequence < $1 ORDER BY first_sequence DESC LIMIT $2",
    )
    .bind(below(cursor))
    .bind(limited(limit))
    .fetch_all(pool)
    .await?;
    Ok(Page::of(read_all(&rows, read)?, limited(limit), |row| row.first_sequence))
}

/// The jobs that have not ended, the oldest first.
pub async fn open_jobs(pool: &PgPool) -> Result<Vec<JobRow>, QueryError> {
    let rows = sqlx::query("SELECT * FROM jobs.jobs WHERE outcome IS NULL ORDER BY first_sequence LIMIT 200")
        .fetch_all(pool)
        .await?;
    Ok(read_all(&rows, read)?)
}

fn read(row: Reading<'_>) -> Result<JobRow, sqlx::Error> {
    Ok(JobRow {
        request_id: row.text("request_id")?,
        projection: row.text("projection")?,
        task: row.text("task")?,
        actor: row.text("actor")?,
        requested_at_ns: row.int("requested_at_ns")?,
        first_sequence: row.sequence("first_sequence")?,
        outcome: row.text_or_none("outcome")?,
        detail: row.text_or_none("detail")?.unwrap_or_default(),
        folded_sequence: row.sequence_or_none("folded_sequence")?,
        messages: row.sequence_or_none("messages")?,
        differences: row.sequence_or_none("differences")?,
        state_hash: row.text_or_none("state_hash")?,
        state_hash_before: row.text_or_none("state_hash_before")?,
        sequence_before: row.sequence_or_none("sequence_before")?,
        duration_ms: row.sequence_or_none("duration_ms")?,
        finished_at_ns: row.int_or_none("finished_at_ns")?,
    })
}
