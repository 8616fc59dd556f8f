//! Events of TRADING in short, and the chain behind one.

use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, read_all};
use super::{QueryError, below, limited};

/// One event in short. Marks are not among them; they are the equity curve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// TRADING sequence.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// When it was written, UTC nanoseconds.
    pub recorded_time_ns: Option<i64>,
    /// Who wrote it.
    pub source: String,
    /// For example `risk_decision`.
    pub kind: String,
    /// Subject.
    pub subject: String,
    /// Account concerned; empty where the event names none.
    pub account: String,
    /// First event of its chain.
    pub correlation_id: String,
    /// Event that caused it.
    pub causation_id: String,
    /// The event in words.
    pub summary: String,
}

fn read(row: Reading<'_>) -> Result<EventRow, sqlx::Error> {
    Ok(EventRow {
        sequence: row.sequence("sequence")?,
        event_id: row.text("event_id")?,
        event_time_ns: row.int("event_time_ns")?,
        recorded_time_ns: row.int_or_none("recorded_time_ns")?,
        source: row.text("source")?,
        kind: row.text("kind")?,
        subject: row.text("subject")?,
        account: row.text("account")?,
        correlation_id: row.text("correlation_id")?,
        causation_id: row.text("causation_id")?,
        summary: row.text("summary")?,
    })
}

/// The last events, newest first.
pub async fn last_events(pool: &PgPool, limit: u32) -> Result<Vec<EventRow>, QueryError> {
    let rows =
        sqlx::query("SELECT * FROM trading.events WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2")
            .bind(below(None))
            .bind(limited(limit))
            .fetch_all(pool)
            .await?;
    Ok(read_all(&rows, read)?)
}

/// One event by id; `None` when TRADING holds none of that id, or it is a mark.
pub async fn event(pool: &PgPool, event_id: &str) -> Result<Option<EventRow>, QueryError> {
    let rows = sqlx::query("SELECT * FROM trading.events WHERE event_id = $1 ORDER BY sequence LIMIT 1")
        .bind(event_id)
        .fetch_all(pool)
        .await?;
    Ok(read_all(&rows, read)?.into_iter().next())
}

/// The events that led to `event_id` and what followed from them, oldest first: the causes up to the
/// first one on TRADING, and all their effects. Empty when there is no such event.
pub async fn chain(pool: &PgPool, event_id: &str) -> Result<Vec<EventRow>, QueryError> {
    let rows = sqlx::query(
        "WITH RECURSIVE causes AS (
             SELECT event_id, causation_id, 1 AS depth FROM trading.events WHERE event_id = $1
             UNION
             SELECT e.event_id, e.causation_id, c.depth + 1 FROM trading.events e
             JOIN causes c ON e.event_id = c.causation_id WHERE c.depth < 32
         ), effects AS (
             SELECT event_id, 1 AS depth FROM causes
             UNION
             SELECT e.event_id, f.depth + 1 FROM trading.events e
             JOIN effects f ON e.causation_id = f.event_id WHERE f.depth < 32
         )
         SELECT * FROM trading.events WHERE event_id IN (SELECT event_id FROM effects)
         ORDER BY sequence LIMIT $2",
    )
    .bind(event_id)
    .bind(limited(super::LIMIT_MAX))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, read)?)
}
