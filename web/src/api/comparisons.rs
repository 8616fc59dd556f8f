//! Parity and forks: parts of the tape run again beside what was recorded. Asking for one is in [`ask`], what it came
//! to in [`report`].

pub mod ask;
pub mod report;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::queries::{self, BacktestFilter, BacktestRow, Page};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::backtests::STATUSES;
use super::fields::{Asked, At, ComparisonId, Field, Fields, Kind, NoFields, Word, field};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;

/// What may be run again.
pub const KINDS: [&str; 2] = ["parity", "fork"];

/// A parity or a fork.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComparisonRun {
    /// Id.
    run_id: String,
    /// `parity` or `fork`.
    kind: String,
    /// Who asked.
    actor: String,
    /// Program that does it; empty for the service `backtest`.
    runner: String,
    /// `waiting`, `running`, `succeeded`, `failed` or `cancelled`.
    status: String,
    /// Whether somebody asked for its end.
    cancel_requested: bool,
    /// From 0 to 100; null when it is not running, or its runner was not heard of.
    percent: Option<f64>,
    /// Why it failed or was cancelled.
    detail: String,
    /// Parity: the session.
    session: Option<String>,
    /// Fork: the moment, a sequence of TRADING or an instant.
    at: Option<String>,
    /// Fork: where it ends; null for the end of the tape.
    to: Option<String>,
    /// Changed parameters, `STRATEGY.NAME=VALUE`.
    parameters: Vec<String>,
    /// Changed limits, `ACCOUNT.NAME=VALUE`.
    limits: Vec<String>,
    /// When it was asked for, UTC nanoseconds.
    requested_at_ns: i64,
    /// When it began, UTC nanoseconds.
    started_at_ns: Option<i64>,
    /// When it ended, UTC nanoseconds.
    finished_at_ns: Option<i64>,
    /// How long it took.
    duration_ms: Option<u64>,
    /// TRADING sequence of the request: the cursor.
    first_sequence: u64,
    /// `same` or `differs`; null before its end.
    verdict: Option<&'static str>,
    /// Events compared; null before its end.
    compared: Option<u64>,
    /// Those that are not the same.
    differing: Option<u64>,
    /// Orders, and signals that became none.
    orders: Option<u64>,
    /// Those that are not the same.
    orders_differing: Option<u64>,
    /// Chain hash of the side that was run again.
    result_hash: Option<String>,
    /// Version of the program that ran it.
    code_version: Option<String>,
}

/// A number that the record of a comparison states.
pub fn number(row: &BacktestRow, name: &str) -> Option<u64> {
    row.statistics.as_ref().and_then(|all| all.get(name)).and_then(Value::as_u64)
}

/// `same` or `differs`; `None` before its end.
pub fn verdict(row: &BacktestRow) -> Option<&'static str> {
    number(row, "differing").map(|differing| if differing == 0 { "same" } else { "differs" })
}

impl ComparisonRun {
    fn of(app: &App, row: BacktestRow) -> Self {
        let running = row.status == "running";
        let heard = app.runs.of(&row.run_id, row.attempt);
        let stretch = row.request.stretch.clone().unwrap_or_default();
        let stated = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            percent: heard.filter(|_| running).map(|progress| progress.percent),
            verdict: verdict(&row),
            compared: number(&row, "compared"),
            differing: number(&row, "differing"),
            orders: number(&row, "orders"),
            orders_differing: number(&row, "orders_differing"),
            run_id: row.run_id,
            kind: row.kind,
            actor: row.actor,
            runner: row.runner,
            status: row.status,
            cancel_requested: row.cancel_requested,
            detail: row.detail,
            session: stated(stretch.session),
            at: stated(stretch.at),
            to: stated(stretch.to),
            parameters: stretch.parameters,
            limits: stretch.limits,
            requested_at_ns: row.requested_at_ns,
            started_at_ns: row.started_at_ns,
            finished_at_ns: row.finished_at_ns,
            duration_ms: row.duration_ms,
            first_sequence: row.first_sequence,
            result_hash: row.result_hash,
            code_version: row.code_version,
        }
    }
}

/// What a list of comparisons is asked for by.
#[derive(Debug)]
pub struct ListFields;

impl Fields for ListFields {
    const FIELDS: &'static [Field] = &[
        field("kind", Kind::Choice(&KINDS), "Those of this kind"),
        field("status", Kind::Choice(&STATUSES), "Those of this status"),
        field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say"),
        field("before", Kind::Sequence, "Those older than this: `next` of an earlier answer"),
    ];
}

/// Parities and forks, newest first.
#[utoipa::path(get, path = "/api/v1/comparisons", tag = "research", operation_id = "list_comparisons",
    params(Asked<ListFields>), responses((status = 200, body = Page<ComparisonRun>), Problems))]
pub async fn list(
    State(app): State<Arc<App>>,
    asked: Asked<ListFields>,
) -> Result<Json<Page<ComparisonRun>>, Problem> {
    let limit = asked.number("limit", 50, queries::LIMIT_MAX)?;
    let before = asked.sequence("before")?;
    let filter = BacktestFilter {
        status: asked.owned("status"),
        kinds: asked.owned("kind").map_or_else(|| KINDS.map(str::to_owned).to_vec(), |kind| vec![kind]),
        ..BacktestFilter::default()
    };
    let page = queries::backtests(&app.config.pool, &filter, before, limit).await?;
    let rows = page.rows.into_iter().map(|row| ComparisonRun::of(&app, row)).collect();
    Ok(Json(Page { rows, next: page.next }))
}

/// One parity or fork.
#[utoipa::path(get, path = "/api/v1/comparisons/{id}", tag = "research", operation_id = "get_comparison",
    params(ComparisonId), responses((status = 200, body = ComparisonRun), Problems))]
pub async fn show(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    _: Asked<NoFields>,
) -> Result<Json<ComparisonRun>, Problem> {
    let row = found(&app, &id).await?;
    Ok(Json(ComparisonRun::of(&app, row)))
}

/// The parity or fork, or that there is none.
pub async fn found(app: &App, id: &str) -> Result<BacktestRow, PageError> {
    let row = queries::backtest(&app.config.pool, id).await?;
    let row = row.filter(|row| KINDS.contains(&row.kind.as_str()));
    row.ok_or_else(|| PageError::Missing(format!("comparison {:?}", id.chars().take(80).collect::<String>())))
}
