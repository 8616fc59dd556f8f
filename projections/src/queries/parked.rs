//! Messages set aside, and what became of them.

use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, read_all};
use super::{Page, QueryError, below, limited};

/// One message set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ParkedRow {
    /// Id of the parked event.
    pub event_id: String,
    /// Service that set it aside.
    pub service: String,
    /// Stream it stands on.
    pub origin_stream: String,
    /// Its sequence there.
    pub origin_sequence: u64,
    /// Its subject.
    pub origin_subject: String,
    /// Why.
    pub reason: String,
    /// The payload as it was.
    #[serde(skip)]
    pub payload: Vec<u8>,
    /// When, UTC nanoseconds.
    pub parked_at_ns: i64,
    /// `replayed` or `dismissed`; `None` while it waits.
    pub resolution: Option<String>,
    /// Who resolved it.
    pub resolved_by: Option<String>,
    /// Why, in the words of who resolved it; for a replayed one, where it was published again.
    pub resolved_reason: Option<String>,
    /// When, UTC nanoseconds.
    pub resolved_at_ns: Option<i64>,
    /// PARKED sequence: the cursor.
    pub first_sequence: u64,
}

fn read(row: Reading<'_>) -> Result<ParkedRow, sqlx::Error> {
    Ok(ParkedRow {
        event_id: row.text("event_id")?,
        service: row.text("service")?,
        origin_stream: row.text("origin_stream")?,
        origin_sequence: row.sequence("origin_sequence")?,
        origin_subject: row.text("origin_subject")?,
        reason: row.text("reason")?,
        payload: row.bytes("payload")?,
        parked_at_ns: row.int("parked_at_ns")?,
        resolution: row.text_or_none("resolution")?,
        resolved_by: row.text_or_none("resolved_by")?,
        resolved_reason: row.text_or_none("resolved_reason")?,
        resolved_at_ns: row.int_or_none("resolved_at_ns")?,
        first_sequence: row.sequence("first_sequence")?,
    })
}

/// Messages set aside, newest first; those resolved only when wanted.
pub async fn parked(
    pool: &PgPool,
    with_resolved: bool,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<ParkedRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT * FROM parked.parked WHERE ($1 OR resolution IS NULL) AND first_sequence < $2
         ORDER BY first_sequence DESC LIMIT $3",
    )
    .bind(with_resolved)
    .bind(below(cursor))
    .bind(limited(limit))
    .fetch_all(pool)
    .await?;
    Ok(Page::of(read_all(&rows, read)?, limited(limit), |row| row.first_sequence))
}

/// One message set aside, by the id of its parked event.
pub async fn parked_message(pool: &PgPool, event_id: &str) -> Result<Option<ParkedRow>, QueryError> {
    let rows =
        sqlx::query("SELECT * FROM parked.parked WHERE event_id = $1").bind(event_id).fetch_all(pool).await?;
    Ok(read_all(&rows, read)?.into_iter().next())
}

/// Everything that says of the same message that it was set aside and is not resolved, by its place on the
/// tape: several services may have parked it. Oldest first.
pub async fn parked_same(pool: &PgPool, stream: &str, sequence: u64) -> Result<Vec<ParkedRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT * FROM parked.parked
         WHERE origin_stream = $1 AND origin_sequence = $2 AND resolution IS NULL
         ORDER BY first_sequence LIMIT $3",
    )
    .bind(stream)
    .bind(crate::write::stored(sequence))
    .bind(limited(super::LIMIT_MAX))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, read)?)
}
