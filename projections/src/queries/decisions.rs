//! Signals, and what risk made of them.

use contracts::v1::{IndicatorValue, OrderSpec, RiskInput, SignalLeg};
use serde::Serialize;
use sqlx::PgPool;

use super::reading::{Reading, read_all};
use super::{Page, QueryError, below, limited};

/// One signal, with risk's answer where there is one.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct SignalRow {
    /// TRADING sequence: the cursor.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// Strategy.
    pub strategy: String,
    /// Symbol of the first leg.
    pub symbol: String,
    /// Intent of the first leg, for example `enter_long`.
    pub intent: String,
    /// All legs.
    #[schema(value_type = Vec<Object>)]
    pub legs: Vec<SignalLeg>,
    /// What the strategy saw.
    #[schema(value_type = Vec<Object>)]
    pub indicators: Vec<IndicatorValue>,
    /// The reason in words.
    pub reason: String,
    /// First event of its chain.
    pub correlation_id: String,
    /// The bar or fill that caused it.
    pub causation_id: String,
    /// `approved`, `denied` or `shadowed`; `None` while risk has not answered.
    pub verdict: Option<String>,
    /// Rule that denied.
    pub rule: Option<String>,
}

/// Which signals are wanted; nothing stated means all.
#[derive(Clone, Debug, Default)]
pub struct SignalFilter {
    /// Strategy.
    pub strategy: Option<String>,
    /// Symbol of the first leg.
    pub symbol: Option<String>,
    /// At this instant or later, UTC nanoseconds.
    pub from_ns: Option<i64>,
    /// Before this instant, UTC nanoseconds.
    pub to_ns: Option<i64>,
}

/// One risk decision with its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct DecisionRow {
    /// TRADING sequence: the cursor.
    pub sequence: u64,
    /// Event id.
    pub event_id: String,
    /// Event time, UTC nanoseconds.
    pub event_time_ns: i64,
    /// Account.
    pub account: String,
    /// Strategy.
    pub strategy: String,
    /// Symbol of the first leg.
    pub symbol: String,
    /// Signal decided.
    pub signal_id: String,
    /// `approved`, `denied` or `shadowed`.
    pub verdict: String,
    /// Rule that denied; empty when approved.
    pub rule: String,
    /// The denial in words.
    pub reason: String,
    /// Orders approved.
    #[schema(value_type = Vec<Object>)]
    pub orders: Vec<OrderSpec>,
    /// Everything that the decision looked at, one per leg.
    #[schema(value_type = Vec<Object>)]
    pub inputs: Vec<RiskInput>,
}

/// Which decisions are wanted; nothing stated means all.
#[derive(Clone, Debug, Default)]
pub struct DecisionFilter {
    /// Account.
    pub account: Option<String>,
    /// Strategy.
    pub strategy: Option<String>,
    /// Verdict.
    pub verdict: Option<String>,
    /// Signal.
    pub signal_id: Option<String>,
    /// Symbol of the first leg.
    pub symbol: Option<String>,
    /// Rule that denied.
    pub rule: Option<String>,
    /// At this instant or later, UTC nanoseconds.
    pub from_ns: Option<i64>,
    /// Before this instant, UTC nanoseconds.
    pub to_ns: Option<i64>,
    /// Up to and including this sequence of TRADING.
    pub up_to: Option<u64>,
}

/// Signals, newest first.
pub async fn signals(
    pool: &PgPool,
    filter: &SignalFilter,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<SignalRow>, QueryError> {
    let statement = format!(
        "{SIGNAL}
         WHERE ($1::text IS NULL OR s.strategy = $1) AND ($2::text IS NULL OR s.symbol = $2) AND s.sequence < $3
         ORDER BY s.sequence DESC LIMIT $4"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(&filter.strategy)
        .bind(&filter.symbol)
        .bind(below(cursor))
        .bind(limited(limit))
        .fetch_all(pool)
        .await?;
    Ok(Page::of(read_all(&rows, read_signal)?, limited(limit), |row| row.sequence))
}

/// The newest `limit` signals of a strategy, oldest first.
pub async fn newest_signals(pool: &PgPool, strategy: &str, limit: u32) -> Result<Vec<SignalRow>, QueryError> {
    let statement = format!("{SIGNAL} WHERE s.strategy = $1 ORDER BY s.sequence DESC LIMIT $2");
    let mut rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(strategy)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.reverse();
    Ok(read_all(&rows, read_signal)?)
}

pub(super) const SIGNAL: &str =
    "SELECT s.sequence, s.event_id, s.event_time_ns, s.strategy, s.symbol, s.intent, s.legs::text,
            s.indicators::text, s.reason, s.correlation_id, s.causation_id, d.verdict, d.rule
     FROM trading.signals s
     LEFT JOIN LATERAL (
         SELECT verdict, rule FROM trading.risk_decisions
         WHERE signal_id = s.event_id ORDER BY sequence LIMIT 1
     ) d ON true";

pub(super) fn read_signal(row: Reading<'_>) -> Result<SignalRow, sqlx::Error> {
    Ok(SignalRow {
        sequence: row.sequence("sequence")?,
        event_id: row.text("event_id")?,
        event_time_ns: row.int("event_time_ns")?,
        strategy: row.text("strategy")?,
        symbol: row.text("symbol")?,
        intent: row.text("intent")?,
        legs: row.json("legs")?,
        indicators: row.json("indicators")?,
        reason: row.text("reason")?,
        correlation_id: row.text("correlation_id")?,
        causation_id: row.text("causation_id")?,
        verdict: row.text_or_none("verdict")?,
        rule: row.text_or_none("rule")?,
    })
}

pub(super) const DECISION: &str = "sequence, event_id, event_time_ns, account, strategy, symbol, signal_id,
    verdict, rule, reason, orders::text, inputs::text";

pub(super) fn read_decision(row: Reading<'_>) -> Result<DecisionRow, sqlx::Error> {
    Ok(DecisionRow {
        sequence: row.sequence("sequence")?,
        event_id: row.text("event_id")?,
        event_time_ns: row.int("event_time_ns")?,
        account: row.text("account")?,
        strategy: row.text("strategy")?,
        symbol: row.text("symbol")?,
        signal_id: row.text("signal_id")?,
        verdict: row.text("verdict")?,
        rule: row.text("rule")?,
        reason: row.text("reason")?,
        orders: row.json("orders")?,
        inputs: row.json("inputs")?,
    })
}

/// Risk decisions, newest first.
pub async fn risk_decisions(
    pool: &PgPool,
    filter: &DecisionFilter,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<DecisionRow>, QueryError> {
    let statement = format!(
        "SELECT {DECISION} FROM trading.risk_decisions
         WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR strategy = $2)
           AND ($3::text IS NULL OR verdict = $3) AND ($4::text IS NULL OR signal_id = $4)
           AND risk_decisions.sequence < $5
         ORDER BY risk_decisions.sequence DESC LIMIT $6"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(&filter.account)
        .bind(&filter.strategy)
        .bind(&filter.verdict)
        .bind(&filter.signal_id)
        .bind(below(cursor))
        .bind(limited(limit))
        .fetch_all(pool)
        .await?;
    Ok(Page::of(read_all(&rows, read_decision)?, limited(limit), |row| row.sequence))
}
