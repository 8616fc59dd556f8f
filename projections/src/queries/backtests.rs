//! Backtests: what was asked for, how far each run is, and what it came to.

use contracts::v1::{BacktestCounts, BacktestRequest};
use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::PgPool;

use super::reading::{Reading, read_all};
use super::{Page, QueryError, below, limited};

/// A backtest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BacktestRow {
    /// Id.
    pub run_id: String,
    /// Who asked.
    pub actor: String,
    /// Program that does it; empty for the service `backtest`.
    pub runner: String,
    /// `single`, `sweep`, `walk_forward`, `parity` or `fork`.
    pub kind: String,
    /// Strategies with their parameters, in words.
    pub strategies: String,
    /// Symbols, in words.
    pub symbols: String,
    /// Timeframe of the bars.
    pub timeframe: String,
    /// Everything that was asked.
    pub request: BacktestRequest,
    /// When it was asked for, UTC nanoseconds.
    pub requested_at_ns: i64,
    /// TRADING sequence of the request: the cursor.
    pub first_sequence: u64,
    /// `waiting`, `running`, `succeeded`, `failed` or `cancelled`.
    pub status: String,
    /// Attempts so far.
    pub attempt: u64,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// Why it failed or was cancelled.
    pub detail: String,
    /// When the first attempt began, UTC nanoseconds.
    pub started_at_ns: Option<i64>,
    /// When it ended, UTC nanoseconds.
    pub finished_at_ns: Option<i64>,
    /// Version of the program that ran it.
    pub code_version: Option<String>,
    /// Hash of the data.
    pub data_hash: Option<String>,
    /// Chain hash of what happened.
    pub result_hash: Option<String>,
    /// How often things happened.
    pub counts: Option<BacktestCounts>,
    /// Closed trades.
    pub trades: Option<u64>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// Statistics by name; null where one is not defined.
    pub statistics: Option<Map<String, Value>>,
    /// Sharpe ratio.
    pub sharpe: Option<f64>,
    /// Largest drawdown, negative.
    pub max_drawdown: Option<f64>,
    /// Total return; 0.1 is ten per cent.
    pub total_return: Option<f64>,
    /// TRADING sequence that last changed it.
    pub sequence: u64,
}

impl BacktestRow {
    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.finished_at_ns.is_some()
    }
}

/// Which backtests are wanted.
#[derive(Clone, Debug, Default)]
pub struct BacktestFilter {
    /// Of this status.
    pub status: Option<String>,
    /// Of one of these kinds; of any when there are none.
    pub kinds: Vec<String>,
    /// Whose strategies contain this text.
    pub strategy: Option<String>,
}

const COLUMNS: &str = "run_id, actor, runner, kind, strategies, symbols, timeframe, request::text AS request, \
    requested_at_ns, first_sequence, status, attempt, cancel_requested, detail, started_at_ns, finished_at_ns, \
    code_version, data_hash, result_hash, counts::text AS counts, trades, duration_ms, \
    statistics::text AS statistics, sharpe::text AS sharpe, max_drawdown::text AS max_drawdown, \
    total_return::text AS total_return, sequence";

/// Backtests, newest first.
pub async fn backtests(
    pool: &PgPool,
    filter: &BacktestFilter,
    cursor: Option<u64>,
    limit: u32,
) -> Result<Page<BacktestRow>, QueryError> {
    let statement = format!(
        "SELECT {COLUMNS} FROM backtests.runs WHERE first_sequence < $1 AND ($3::text IS NULL OR status = $3) \
         AND (cardinality($4::text[]) = 0 OR kind = ANY($4)) AND ($5::text IS NULL OR strpos(strategies, $5) > 0) \
         ORDER BY first_sequence DESC LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(statement))
        .bind(below(cursor))
        .bind(limited(limit))
        .bind(&filter.status)
        .bind(&filter.kinds)
        .bind(&filter.strategy)
        .fetch_all(pool)
        .await?;
    Ok(Page::of(read_all(&rows, read)?, limited(limit), |row| row.first_sequence))
}

/// One backtest.
pub async fn backtest(pool: &PgPool, run_id: &str) -> Result<Option<BacktestRow>, QueryError> {
    let statement = format!("SELECT {COLUMNS} FROM backtests.runs WHERE run_id = $1");
    let row = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(run_id).fetch_optional(pool).await?;
    Ok(row.map(|row| read(Reading(&row))).transpose()?)
}

/// Ids that begin with `prefix`, at most two: enough to tell whether it names one run.
pub async fn backtest_ids(pool: &PgPool, prefix: &str) -> Result<Vec<String>, QueryError> {
    let rows = sqlx::query("SELECT run_id FROM backtests.runs WHERE starts_with(run_id, $1) LIMIT 2")
        .bind(prefix)
        .fetch_all(pool)
        .await?;
    Ok(read_all(&rows, |row| row.text("run_id"))?)
}

/// The report of a backtest as gzipped JSON; `None` when there is none.
pub async fn backtest_document(pool: &PgPool, run_id: &str) -> Result<Option<Vec<u8>>, QueryError> {
    let statement = "SELECT document FROM backtests.runs WHERE run_id = $1 AND document IS NOT NULL";
    let row = sqlx::query(statement).bind(run_id).fetch_optional(pool).await?;
    Ok(row.map(|row| Reading(&row).bytes("document")).transpose()?)
}

fn read(row: Reading<'_>) -> Result<BacktestRow, sqlx::Error> {
    Ok(BacktestRow {
        run_id: row.text("run_id")?,
        actor: row.text("actor")?,
        runner: row.text("runner")?,
        kind: row.text("kind")?,
        strategies: row.text("strategies")?,
        symbols: row.text("symbols")?,
        timeframe: row.text("timeframe")?,
        request: row.json("request")?,
        requested_at_ns: row.int("requested_at_ns")?,
        first_sequence: row.sequence("first_sequence")?,
        status: row.text("status")?,
        attempt: row.sequence("attempt")?,
        cancel_requested: row.flag("cancel_requested")?,
        detail: row.text_or_none("detail")?.unwrap_or_default(),
        started_at_ns: row.int_or_none("started_at_ns")?,
        finished_at_ns: row.int_or_none("finished_at_ns")?,
        code_version: row.text_or_none("code_version")?,
        data_hash: row.text_or_none("data_hash")?,
        result_hash: row.text_or_none("result_hash")?,
        counts: row.json_or_none("counts")?,
        trades: row.sequence_or_none("trades")?,
        duration_ms: row.sequence_or_none("duration_ms")?,
        statistics: row.json_or_none("statistics")?,
        sharpe: row.exact_or_none("sharpe")?,
        max_drawdown: row.exact_or_none("max_drawdown")?,
        total_return: row.exact_or_none("total_return")?,
        sequence: row.sequence("sequence")?,
    })
}
