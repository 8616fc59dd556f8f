//! What was stated, raised and measured about risk: versions of limits, alerts, the monitor's measurements.

use contracts::v1::{RiskMeasured, TradeLimits};
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool};

use super::QueryError;
use super::reading::read_all;
use crate::table::malformed;

/// One statement of limits.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LimitVersionRow {
    /// TRADING sequence.
    pub sequence: u64,
    /// Event's id.
    pub event_id: String,
    /// Account; empty for each one.
    pub account: String,
    /// Strategy; empty for each one.
    pub strategy: String,
    /// Symbol; empty for each one.
    pub symbol: String,
    /// Version.
    pub version: u64,
    /// The limits, by name; none when they were ended.
    pub limits: Vec<NamedLimit>,
    /// Who stated them.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
}

/// A limit by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NamedLimit {
    /// Name, for example `max_leverage`.
    pub name: &'static str,
    /// Value, as it is stated.
    pub value: String,
}

/// The limits that are stated, by name.
#[must_use]
pub fn named_limits(limits: &TradeLimits) -> Vec<NamedLimit> {
    let stated = domain::risk::fields::stated(limits).into_iter();
    stated.map(|(field, value)| NamedLimit { name: field.name, value }).collect()
}

/// Statements of limits, newest first, at most `limit`.
pub async fn limit_versions(pool: &PgPool, limit: u32) -> Result<Vec<LimitVersionRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT sequence, event_id, account, strategy, symbol, version, limits::text, actor, reason, event_time_ns
         FROM trading.limit_versions ORDER BY sequence DESC LIMIT $1",
    )
    .bind(i64::from(limit.min(super::LIMIT_MAX)))
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        let limits: TradeLimits = serde_json::from_str(&row.text("limits")?)
            .map_err(|error| malformed("limit_versions.limits", error))?;
        Ok(LimitVersionRow {
            sequence: row.sequence("sequence")?,
            event_id: row.text("event_id")?,
            account: row.text("account")?,
            strategy: row.text("strategy")?,
            symbol: row.text("symbol")?,
            version: row.sequence("version")?,
            limits: named_limits(&limits),
            actor: row.text("actor")?,
            reason: row.text("reason")?,
            event_time_ns: row.int("event_time_ns")?,
        })
    })?)
}

/// What the kinds of alerts begin with that are differences with a broker; execution ends them.
pub const DIFFERENCE: &str = "difference_";
/// What the kinds of alerts begin with that are open breakers of sources and brokers; whoever asks ends them.
pub const BREAKER: &str = "breaker_";

/// What the kinds of alerts begin with that are users of the server who have as many connections as they may.
pub const CONNECTIONS: &str = "connections_";

/// An alert of the monitor, of the checker, of a comparison with a broker or of a breaker.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AlertRow {
    /// TRADING sequence.
    pub sequence: u64,
    /// Event's id.
    pub event_id: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// Account; empty for what concerns all of them.
    pub account: String,
    /// Strategy; empty for the account as a whole.
    pub strategy: String,
    /// Kind, for example `concentration`.
    pub kind: String,
    /// Value and threshold in words.
    pub detail: String,
    /// Whether it says that what was raised is over.
    pub cleared: bool,
}

/// Alerts, newest first; those in force alone, or all of them. Of an account are also those of no account: what the checker
/// found concerns all of them.
pub async fn alerts(
    pool: &PgPool,
    account: Option<&str>,
    open: bool,
    limit: u32,
) -> Result<Vec<AlertRow>, QueryError> {
    let last = "SELECT DISTINCT ON (account, strategy, kind) * FROM trading.alerts
         ORDER BY account, strategy, kind, sequence DESC";
    let of = if open { format!("({last})") } else { "trading.alerts".to_owned() };
    let condition = if open { "NOT a.cleared AND" } else { "" };
    let statement = format!(
        "SELECT a.sequence, a.event_id, a.event_time_ns, a.account, a.strategy, a.kind, a.detail, a.cleared
         FROM {of} a WHERE {condition} ($1::text IS NULL OR a.account IN ('', $1)) ORDER BY a.sequence DESC LIMIT $2"
    );
    let rows = sqlx::query(AssertSqlSafe(statement))
        .bind(account)
        .bind(i64::from(limit.min(super::LIMIT_MAX)))
        .fetch_all(pool)
        .await?;
    Ok(read_all(&rows, |row| {
        Ok(AlertRow {
            sequence: row.sequence("sequence")?,
            event_id: row.text("event_id")?,
            event_time_ns: row.int("event_time_ns")?,
            account: row.text("account")?,
            strategy: row.text("strategy")?,
            kind: row.text("kind")?,
            detail: row.text("detail")?,
            cleared: row.flag("cleared")?,
        })
    })?)
}

/// What the monitor measured of an account, and when.
#[derive(Clone, Debug)]
pub struct MeasureRow {
    /// TRADING sequence.
    pub sequence: u64,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// What it measured.
    pub measure: RiskMeasured,
}

/// The last measurement of every account, by account.
pub async fn risk_measures(pool: &PgPool) -> Result<Vec<MeasureRow>, QueryError> {
    let rows = sqlx::query(
        "SELECT m.sequence, m.event_time_ns, m.measure::text FROM trading.accounts a
         CROSS JOIN LATERAL (
             SELECT * FROM trading.risk_measures r WHERE r.account = a.account ORDER BY r.sequence DESC LIMIT 1
         ) m ORDER BY a.account",
    )
    .fetch_all(pool)
    .await?;
    Ok(read_all(&rows, |row| {
        Ok(MeasureRow {
            sequence: row.sequence("sequence")?,
            event_time_ns: row.int("event_time_ns")?,
            measure: serde_json::from_str(&row.text("measure")?)
                .map_err(|error| malformed("risk_measures.measure", error))?,
        })
    })?)
}
