//! What a page that is watched asks many times a second: answers whose cost does not grow with the tape.

use domain::money::Amount;
use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, read_all};
use super::{EquityPoint, QueryError, limited};
use crate::write::stored;

/// Findings of one severity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QualityCount {
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// How many.
    pub findings: u64,
}

/// The newest `limit` marks of an account, oldest first.
pub async fn latest_equity(pool: &PgPool, account: &str, limit: u32) -> Result<Vec<EquityPoint>, QueryError> {
    let mut rows = sqlx::query(
        "SELECT sequence, event_time_ns, equity::text, cash::text, gross_exposure::text FROM trading.equity e
         WHERE account = $1 ORDER BY e.event_time_ns DESC LIMIT $2",
    )
    .bind(account)
    .bind(limited(limit))
    .fetch_all(pool)
    .await?;
    rows.reverse();
    Ok(read_all(&rows, |row| {
        Ok(EquityPoint {
            sequence: row.sequence("sequence")?,
            event_time_ns: row.int("event_time_ns")?,
            equity: row.exact("equity")?,
            cash: row.exact("cash")?,
            gross_exposure: row.exact("gross_exposure")?,
        })
    })?)
}

/// The highest equity of an account among its marks past `after_sequence` and up to `until_sequence`;
/// `None` when there is none.
pub async fn peak_equity(
    pool: &PgPool,
    account: &str,
    after_sequence: u64,
    until_sequence: u64,
) -> Result<Option<Amount>, QueryError> {
    let row = sqlx::query(
        "SELECT max(equity)::text AS peak FROM trading.equity WHERE account = $1 AND sequence > $2
           AND sequence <= $3",
    )
    .bind(account)
    .bind(stored(after_sequence))
    .bind(stored(until_sequence))
    .fetch_one(pool)
    .await?;
    Ok(Reading(&row).exact_or_none("peak")?)
}

/// Number of messages set aside and not resolved.
pub async fn parked_open(pool: &PgPool) -> Result<u64, QueryError> {
    let row = sqlx::query("SELECT count(*) AS open FROM parked.parked WHERE resolution IS NULL")
        .fetch_one(pool)
        .await?;
    Ok(Reading(&row).sequence("open")?)
}

/// How many findings there are of each severity.
pub async fn quality_counts(pool: &PgPool) -> Result<Vec<QualityCount>, QueryError> {
    let rows = sqlx::query(
        "SELECT severity, count(*) AS findings FROM calendar.quality GROUP BY severity ORDER BY severity",
    )
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        Ok(QualityCount { severity: row.text("severity")?, findings: row.sequence("findings")? })
    })?)
}

/// What risk denied by one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DenialCount {
    /// Rule.
    pub rule: String,
    /// How often.
    pub denials: u64,
    /// Event id of the newest.
    pub event_id: String,
    /// The newest in words.
    pub reason: String,
    /// TRADING sequence of the newest.
    pub sequence: u64,
}

/// What risk denied an account since its present session began, by rule, the newest first. An account that
/// was not valued yet has no session.
pub async fn denials_today(pool: &PgPool, account: &str) -> Result<Vec<DenialCount>, QueryError> {
    let rows = sqlx::query(
        "SELECT rule, count(*) AS denials, max(d.sequence) AS sequence,
                (array_agg(event_id ORDER BY d.sequence DESC))[1] AS event_id,
                (array_agg(reason ORDER BY d.sequence DESC))[1] AS reason
         FROM trading.risk_decisions d
         WHERE account = $1 AND verdict = 'denied' AND d.sequence > (
             SELECT e.sequence FROM trading.equity e WHERE account = $1 AND session_start
             ORDER BY event_time_ns DESC LIMIT 1
         )
         GROUP BY rule ORDER BY max(d.sequence) DESC",
    )
    .bind(account)
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        Ok(DenialCount {
            rule: row.text("rule")?,
            denials: row.sequence("denials")?,
            event_id: row.text("event_id")?,
            reason: row.text("reason")?,
            sequence: row.sequence("sequence")?,
        })
    })?)
}
