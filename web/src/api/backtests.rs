//! Backtests: what was asked for, how far each is, what it came to; asking for one is in [`ask`], its terms in
//! [`terms`], reports and files in [`report`].

pub mod ask;
pub mod report;
pub mod terms;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::queries::{self, BacktestFilter, BacktestRow, Page};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::fields::{Asked, At, BacktestId, Field, Fields, Kind, NoFields, Word, field};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::progress::Progress;

/// What a run can be doing.
pub const STATUSES: [&str; 5] = ["waiting", "running", "succeeded", "failed", "cancelled"];
/// What kinds of runs there are.
pub const KINDS: [&str; 3] = ["single", "sweep", "walk_forward"];

/// Every kind that runs over history.
pub fn history() -> Vec<String> {
    KINDS.map(str::to_owned).to_vec()
}

/// A backtest.
#[derive(Debug, Serialize, ToSchema)]
pub struct Backtest {
    /// Id.
    run_id: String,
    /// Who asked.
    actor: String,
    /// Program that does it; empty for the service `backtest`.
    runner: String,
    /// `single`, `sweep` or `walk_forward`.
    kind: String,
    /// `waiting`, `running`, `succeeded`, `failed` or `cancelled`.
    status: String,
    /// Whether somebody asked for its end.
    cancel_requested: bool,
    /// Attempts: one that was cut off is followed by another.
    attempt: u64,
    /// How far it is; null when it is not running, or its runner was not heard of. One that has just succeeded keeps
    /// the end of it.
    progress: Option<Progress>,
    /// Why it failed or was cancelled.
    detail: String,
    /// Everything that was asked, in proto3-JSON.
    #[schema(value_type = Object)]
    request: Value,
    /// When it was asked for, UTC nanoseconds.
    requested_at_ns: i64,
    /// When its first attempt began, UTC nanoseconds.
    started_at_ns: Option<i64>,
    /// When it ended, UTC nanoseconds.
    finished_at_ns: Option<i64>,
    /// How long it took.
    duration_ms: Option<u64>,
    /// TRADING sequence of the request: the cursor.
    first_sequence: u64,
    /// Statistics by name, null where one is not defined; null before the end.
    #[schema(value_type = Option<Object>)]
    statistics: Option<serde_json::Map<String, Value>>,
    /// How often things happened, in proto3-JSON; null before the end.
    #[schema(value_type = Option<Object>)]
    counts: Option<Value>,
    /// Hash of the data.
    data_hash: Option<String>,
    /// Chain hash of signals, decisions, orders and fills.
    result_hash: Option<String>,
    /// Version of the program that ran it.
    code_version: Option<String>,
}

impl Backtest {
    fn of(app: &App, row: BacktestRow) -> Result<Self, PageError> {
        let unread = |error: serde_json::Error| PageError::ReadModel(error.to_string());
        let heard = app.runs.of(&row.run_id, row.attempt);
        let progress = match row.status.as_str() {
            "running" => heard,
            "succeeded" => heard.filter(Progress::is_whole),
            _ => None,
        };
        Ok(Self {
            progress,
            request: serde_json::to_value(&row.request).map_err(unread)?,
            counts: row.counts.as_ref().map(serde_json::to_value).transpose().map_err(unread)?,
            run_id: row.run_id,
            actor: row.actor,
            runner: row.runner,
            kind: row.kind,
            status: row.status,
            cancel_requested: row.cancel_requested,
            attempt: row.attempt,
            detail: row.detail,
            requested_at_ns: row.requested_at_ns,
            started_at_ns: row.started_at_ns,
            finished_at_ns: row.finished_at_ns,
            duration_ms: row.duration_ms,
            first_sequence: row.first_sequence,
            statistics: row.statistics,
            data_hash: row.data_hash,
            result_hash: row.result_hash,
            code_version: row.code_version,
        })
    }
}

/// What a list of backtests is asked for by.
#[derive(Debug)]
pub struct ListFields;

impl Fields for ListFields {
    const FIELDS: &'static [Field] = &[
        field("status", Kind::Choice(&STATUSES), "Those of this status"),
        field("kind", Kind::Choice(&KINDS), "Those of this kind"),
        field("strategy", Kind::Text(64), "Those whose strategies contain this text"),
        field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say"),
        field("before", Kind::Sequence, "Backtests older than this: `next` of an earlier answer"),
    ];
}

/// Backtests, newest first.
#[utoipa::path(get, path = "/api/v1/backtests", tag = "research", operation_id = "list_backtests",
    params(Asked<ListFields>), responses((status = 200, body = Page<Backtest>), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    asked: Asked<ListFields>,
) -> Result<Json<Page<Backtest>>, Problem> {
    let limit = asked.number("limit", 50, queries::LIMIT_MAX)?;
    let before = asked.sequence("before")?;
    let filter = BacktestFilter {
        status: asked.owned("status"),
        kinds: asked.owned("kind").map_or_else(history, |kind| vec![kind]),
        strategy: asked.owned("strategy"),
    };
    let page = queries::backtests(&app.config.pool, &filter, before, limit).await?;
    let rows: Result<Vec<_>, _> = page.rows.into_iter().map(|row| Backtest::of(&app, row)).collect();
    Ok(Json(Page { rows: rows?, next: page.next }))
}

/// One backtest.
#[utoipa::path(get, path = "/api/v1/backtests/{id}", tag = "research", operation_id = "get_backtest",
    params(BacktestId), responses((status = 200, body = Backtest), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Json<Backtest>, Problem> {
    let row = found(&app, &id).await?;
    Ok(Json(Backtest::of(&app, row)?))
}

/// The backtest, or that there is none.
pub async fn found(app: &App, id: &str) -> Result<BacktestRow, PageError> {
    let row = queries::backtest(&app.config.pool, id).await?;
    row.filter(|row| KINDS.contains(&row.kind.as_str())).ok_or_else(|| missing(id))
}

/// There is no backtest of that id.
pub fn missing(id: &str) -> PageError {
    PageError::Missing(format!("backtest {:?}", id.chars().take(80).collect::<String>()))
}
