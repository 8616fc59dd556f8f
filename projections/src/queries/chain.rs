//! Events of TRADING in short, and the chain behind one.

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool};

use super::reading::{Reading, read_all};
use super::{Page, QueryError, below, limited};

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
/// first one on TRADING, and all their effects. The event itself may be one of MARKET: then these are its
/// effects. Empty when TRADING holds neither.
pub async fn chain(pool: &PgPool, event_id: &str) -> Result<Vec<EventRow>, QueryError> {
    let rows = sqlx::query(
        "WITH RECURSIVE causes AS (
             SELECT $1::text AS event_id, 1 AS depth
             UNION
             SELECT e.causation_id, c.depth + 1 FROM trading.events e
             JOIN causes c ON e.event_id = c.event_id
             WHERE c.depth < 32 AND EXISTS
                 (SELECT 1 FROM trading.events cause WHERE cause.event_id = e.causation_id)
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

/// Which events of TRADING to list; an empty text asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// First event of their chain.
    pub correlation_id: String,
    /// Event that caused them.
    pub causation_id: String,
    /// For example `risk_decision`.
    pub kind: String,
}

/// Events of TRADING of one chain, of one cause, or of both, newest first. Marks are not among them.
pub async fn events(
    pool: &PgPool,
    filter: &EventFilter,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<EventRow>, QueryError> {
    let mut conditions = vec!["sequence < $1".to_owned()];
    let mut values = Vec::new();
    let asked = [
        ("correlation_id", &filter.correlation_id),
        ("causation_id", &filter.causation_id),
        ("kind", &filter.kind),
    ];
    for (column, value) in asked.into_iter().filter(|(_, value)| !value.is_empty()) {
        values.push(value);
        conditions.push(format!("{column} = ${}", values.len() + 2));
    }
    // One statement per set of conditions, so that each can use its index.
    let statement = format!(
        "SELECT * FROM trading.events WHERE {} ORDER BY sequence DESC LIMIT $2",
        conditions.join(" AND ")
    );
    let mut query = sqlx::query(AssertSqlSafe(statement)).bind(below(cursor)).bind(limited(limit));
    for value in values {
        query = query.bind(value);
    }
    let rows = query.fetch_all(pool).await?;
    Ok(Page::of(read_all(&rows, read)?, limited(limit), |row| row.sequence))
}
