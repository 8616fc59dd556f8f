//! `/api/v1`: how the system itself is. Services, read models, jobs, log lines, settings, health.
//!
//! Every answer is what the pages show, in full precision; lists have `rows` and the cursor `next`. No
//! answer holds a secret.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use projections::queries::{self, JobRow, LOG_LINES_MAX, LogRow, LogTurn, Page};
use serde::Serialize;

use super::Problem;
use crate::app::App;
use crate::error::PageError;
use crate::health::{self, Lag};
use crate::pages::{Params, logs, settings};
use crate::probe::{Finding, NatsHealth, Settings};

/// The routes of this area.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/services", get(services))
        .route("/api/v1/projections", get(projections))
        .route("/api/v1/projections/jobs", get(jobs))
        .route("/api/v1/logs", get(lines))
        .route("/api/v1/settings", get(configured))
        .route("/api/v1/licences", get(licences))
        .route("/api/v1/health", get(healthy))
}

/// `GET /api/v1/services`: the last heartbeat of every instance.
async fn services(State(app): State<Arc<App>>) -> Result<Json<Vec<queries::HeartbeatRow>>, Problem> {
    Ok(Json(queries::heartbeats(&app.config.pool).await?))
}

/// `GET /api/v1/projections`: every read model with position, head, lag, fault and rebuild.
async fn projections(State(app): State<Arc<App>>) -> Result<Json<Vec<queries::ProjectionRow>>, Problem> {
    let heads = projections::heads(&app.context.tape).await;
    let heads = heads.map_err(|error| PageError::ReadModel(error.to_string()))?;
    Ok(Json(queries::projection_status(&app.config.pool, &heads).await?))
}

/// `GET /api/v1/projections/jobs?before=&limit=`: rebuilds and verifications, newest first.
async fn jobs(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Result<Json<Page<JobRow>>, Problem> {
    let limit = params.number("limit", 50, queries::LIMIT_MAX)?;
    Ok(Json(queries::jobs(&app.config.pool, cursor(&params, "before")?, limit).await?))
}

/// Log lines in the order of the stream.
#[derive(Debug, Serialize)]
struct LogPage {
    rows: Vec<LogRow>,
    /// For `before`: the lines that come before these; absent when there are none.
    before: Option<u64>,
    /// For `after`: the lines that will follow.
    after: Option<u64>,
}

/// `GET /api/v1/logs`: the filters of the page, `before` or `after` a sequence, at most 1,000 lines.
async fn lines(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Result<Json<LogPage>, Problem> {
    params.check()?;
    let filter = logs::read(&params)?;
    let limit = params.number("limit", 200, LOG_LINES_MAX)?;
    let (before, after) = (cursor(&params, "before")?, cursor(&params, "after")?);
    let turn = match (before, after) {
        (Some(sequence), _) => LogTurn::Before(sequence),
        (None, Some(sequence)) => LogTurn::After(sequence),
        (None, None) => LogTurn::Newest,
    };
    let rows = queries::logs(&app.config.pool, &filter, turn, limit).await?;
    let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
    let first = rows.first().map(|row| row.sequence);
    let last = rows.last().map(|row| row.sequence);
    Ok(Json(LogPage { before: first.filter(|_| full || after.is_some()), after: last.or(after), rows }))
}

fn cursor(params: &Params, name: &'static str) -> Result<Option<u64>, PageError> {
    let Some(text) = params.get(name) else { return Ok(None) };
    text.parse()
        .map(Some)
        .map_err(|_| PageError::field(name, text, "a sequence that an earlier answer named"))
}

/// `GET /api/v1/settings`: values with default and source; secrets as set or unset.
async fn configured(State(app): State<Arc<App>>) -> Result<Json<Settings>, Problem> {
    Ok(Json(app.config.probe.settings().map_err(PageError::Unknown)?))
}

/// `GET /api/v1/licences`: the packages that are part of the program.
async fn licences() -> Json<Vec<settings::Licence>> {
    Json(settings::licences())
}

#[derive(Debug, Serialize)]
struct Health {
    /// `tapedeck`'s version.
    version: String,
    /// Services of the process that answers.
    services: std::collections::BTreeMap<String, runtime::ServiceHealth>,
    /// How far each read model is behind.
    projections: Vec<Lag>,
    /// Absent when it cannot be told; `problems` says why.
    nats: Option<NatsHealth>,
    /// Absent when it cannot be told; `problems` says why.
    database: Option<queries::DatabaseHealth>,
    /// What `tapedeck doctor` finds.
    checks: Vec<Finding>,
    /// What cannot be told, and why.
    problems: Vec<String>,
}

/// `GET /api/v1/health`: everything the System page tells of servers and checks.
async fn healthy(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    let mut problems = Vec::new();
    let (lags, nats, database, checks) = tokio::join!(
        health::lags(&app),
        app.config.probe.nats(),
        queries::database_health(&app.config.pool),
        app.config.probe.findings()
    );
    let mut told = |what: &str, why: String| problems.push(format!("{what}: {why}"));
    let projections = lags.unwrap_or_else(|why| {
        told("projections", why);
        Vec::new()
    });
    let nats = nats.map_err(|why| told("nats", why)).ok();
    let database = database.map_err(|why| told("database", why.to_string())).ok();
    let status = if problems.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let services = app.context.health.all();
    let version = app.config.version.clone();
    (status, Json(Health { version, services, projections, nats, database, checks, problems }))
}
