//! `/api/v1`: how the system itself is. Services, read models, jobs, log lines, settings, health.
//!
//! Every answer is what the pages show, in full precision; lists have `rows` and the cursor `next`. No
//! answer holds a secret.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use projections::queries::{self, JobRow, LOG_LINES_MAX, LogRow, LogTurn, Page};
use runtime::command::filled::SeriesFilled;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, Field, Fields, Kind, NoFields, field};
use super::{Details, Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::health::{self, Lag};
use crate::pages::{logs, settings};
use crate::probe::{Finding, NatsHealth, Settings};

/// The last heartbeat of every instance of every service.
#[utoipa::path(get, path = "/api/v1/services", tag = "system", operation_id = "list_services",
    responses((status = 200, body = Vec<queries::HeartbeatRow>), Problems))]
pub async fn services(
    State(app): State<Arc<App>>,
    _: Asked<NoFields>,
) -> Result<Json<Vec<queries::HeartbeatRow>>, Problem> {
    Ok(Json(queries::heartbeats(&app.config.pool).await?))
}

/// The last report of every live source.
#[utoipa::path(get, path = "/api/v1/sources", tag = "system", operation_id = "list_sources",
    responses((status = 200, body = Vec<queries::SourceRow>), Problems))]
pub async fn sources(
    State(app): State<Arc<App>>,
    _: Asked<NoFields>,
) -> Result<Json<Vec<queries::SourceRow>>, Problem> {
    Ok(Json(queries::sources(&app.config.pool).await?))
}

/// How the circuit breaker of every client stands that asks a source or a broker, as its service said last.
#[utoipa::path(get, path = "/api/v1/sources/breakers", tag = "system", operation_id = "list_source_breakers",
    responses((status = 200, body = Vec<queries::BreakerRow>), Problems))]
pub async fn breakers(
    State(app): State<Arc<App>>,
    _: Asked<NoFields>,
) -> Result<Json<Vec<queries::BreakerRow>>, Problem> {
    Ok(Json(queries::breakers(&app.config.pool).await?))
}

/// What came last of filling the tape with a series.
#[derive(Debug, Serialize, ToSchema)]
pub struct FilledSeries {
    /// Who told of it; `import` for files.
    source: String,
    /// Symbol.
    symbol: String,
    /// Timeframe; `news` for articles.
    timeframe: String,
    /// When a backfill, an import or a fetch of news went well last, UTC nanoseconds.
    last_success_ns: Option<i64>,
    /// When one failed last, UTC nanoseconds.
    last_error_ns: Option<i64>,
    /// Why it failed last; empty where it never did.
    last_error: String,
}

/// What came last of backfills, imports and fetches of news, by source, symbol and timeframe.
#[utoipa::path(get, path = "/api/v1/sources/history", tag = "system", operation_id = "list_filled_series",
    responses((status = 200, body = Vec<FilledSeries>), Problems))]
pub async fn filled(
    State(app): State<Arc<App>>,
    _: Asked<NoFields>,
) -> Result<Json<Vec<FilledSeries>>, Problem> {
    let series = app.filled().await.map_err(PageError::from)?;
    let row = |of: SeriesFilled| FilledSeries {
        source: of.source,
        symbol: of.symbol,
        timeframe: of.timeframe,
        last_success_ns: of.last_success_ns,
        last_error_ns: of.last_error_ns,
        last_error: of.last_error,
    };
    Ok(Json(series.into_iter().map(row).collect()))
}

/// Every read model with position, head, lag, fault and rebuild.
#[utoipa::path(get, path = "/api/v1/projections", tag = "system", operation_id = "list_projections",
    responses((status = 200, body = Vec<queries::ProjectionRow>), Problems))]
pub async fn projections(
    State(app): State<Arc<App>>,
    _: Asked<NoFields>,
) -> Result<Json<Vec<queries::ProjectionRow>>, Problem> {
    let heads = projections::heads(&app.context.tape).await;
    let heads = heads.map_err(|error| PageError::ReadModel(error.to_string()))?;
    Ok(Json(queries::projection_status(&app.config.pool, &heads).await?))
}

/// What a list of jobs is asked for by.
#[derive(Debug)]
pub struct JobFields;

impl Fields for JobFields {
    const FIELDS: &'static [Field] = &[
        field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say"),
        field("before", Kind::Sequence, "Jobs older than this: `next` of an earlier answer"),
    ];
}

/// Rebuilds and verifications of read models, newest first.
#[utoipa::path(get, path = "/api/v1/projections/jobs", tag = "system", operation_id = "list_projection_jobs",
    params(Asked<JobFields>), responses((status = 200, body = Page<JobRow>), Problems))]
pub async fn jobs(
    State(app): State<Arc<App>>,
    asked: Asked<JobFields>,
) -> Result<Json<Page<JobRow>>, Problem> {
    let limit = asked.number("limit", 50, queries::LIMIT_MAX)?;
    Ok(Json(queries::jobs(&app.config.pool, asked.sequence("before")?, limit).await?))
}

/// Log lines in the order of the stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogPage {
    /// The lines.
    rows: Vec<LogRow>,
    /// For `before`: the lines that come before these; absent when there are none.
    before: Option<u64>,
    /// For `after`: the lines that will follow.
    after: Option<u64>,
}

/// What log lines are asked for by.
#[derive(Debug)]
pub struct LogFields;

impl Fields for LogFields {
    const FIELDS: &'static [Field] = &[
        field("service", Kind::Text(64), "Service"),
        field("level", Kind::Choice(&logs::LEVELS), "This level and the more severe ones"),
        field("target", Kind::Text(128), "Beginning of the module's name"),
        field("run", Kind::Text(64), "Instance of the process"),
        field("correlation", Kind::Text(128), "Chain of events"),
        field("text", Kind::Text(200), "Text that message or fields contain, whatever the case"),
        field("from", Kind::Time, "At this time or later"),
        field("to", Kind::Time, "Up to and including this date or instant"),
        field("limit", Kind::Whole(1, 1_000), "Lines of the part; 200 when it does not say"),
        field("before", Kind::Sequence, "Lines that come before: `before` of an earlier answer"),
        field("after", Kind::Sequence, "Lines that follow: `after` of an earlier answer; `before` wins"),
    ];
}

/// Log lines, filtered, in the order of the stream.
#[utoipa::path(get, path = "/api/v1/logs", tag = "system", operation_id = "list_log_lines",
    params(Asked<LogFields>), responses((status = 200, body = LogPage), Problems))]
pub async fn lines(State(app): State<Arc<App>>, params: Asked<LogFields>) -> Result<Json<LogPage>, Problem> {
    let filter = logs::read(&params)?;
    let limit = params.number("limit", 200, LOG_LINES_MAX)?;
    let (before, after) = (params.sequence("before")?, params.sequence("after")?);
    let turn = match (before, after) {
        (Some(sequence), _) => LogTurn::Before(sequence),
        (None, Some(sequence)) => LogTurn::After(sequence),
        (None, None) => LogTurn::Newest,
    };
    let rows = queries::logs(&app.config.pool, &filter, turn, limit).await?;
    if rows.is_empty()
        && let Some(service) = &filter.service
        && let Some(known) = queries::unknown_service(&app.config.pool, &app.config.services, service).await?
    {
        let known = known.join(", ");
        return Err(PageError::Missing(format!("service {service:?}; there are {known}")).into());
    }
    let full = u32::try_from(rows.len()).is_ok_and(|rows| rows >= limit);
    let first = rows.first().map(|row| row.sequence);
    let last = rows.last().map(|row| row.sequence);
    Ok(Json(LogPage { before: first.filter(|_| full || after.is_some()), after: last.or(after), rows }))
}

/// Every value of the configuration with default and source; secrets only as set or unset.
#[utoipa::path(get, path = "/api/v1/settings", tag = "system", operation_id = "get_settings",
    responses((status = 200, body = Settings), Problems))]
pub async fn configured(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Result<Json<Settings>, Problem> {
    Ok(Json(app.config.probe.settings().map_err(PageError::Unknown)?))
}

/// The packages that are part of the program, with their licences.
#[utoipa::path(get, path = "/api/v1/licences", tag = "system", operation_id = "list_licences",
    responses((status = 200, body = Vec<settings::Licence>), Problems))]
pub async fn licences(_: Asked<NoFields>) -> Json<Vec<settings::Licence>> {
    Json(settings::licences())
}

/// How servers and services are.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `tapedeck`'s version.
    version: String,
    /// Services of the process that answers.
    services: std::collections::BTreeMap<String, ServiceState>,
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

/// One service's own statement.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServiceState {
    /// `starting`, `ready`, `degraded` or `stopping`.
    state: &'static str,
    /// What it waits for or suffers from; empty when well.
    detail: String,
}

/// Everything the System page tells of servers and checks; 503 when some of it cannot be told.
#[utoipa::path(get, path = "/api/v1/health", tag = "system", operation_id = "get_health",
    responses((status = 200, body = Health), (status = 503, body = Health,
        description = "Some of it cannot be told; `problems` says what and why"),
        (status = 401, body = Details, content_type = "application/problem+json"),
        (status = 403, body = Details, content_type = "application/problem+json"),
        (status = 400, body = Details, content_type = "application/problem+json"),
        (status = 405, body = Details, content_type = "application/problem+json"),
        (status = 421, body = Details, content_type = "application/problem+json"),
        (status = 422, body = Details, content_type = "application/problem+json")))]
pub async fn healthy(State(app): State<Arc<App>>, _: Asked<NoFields>) -> (StatusCode, Json<Health>) {
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
    let services = app.context.health.all().into_iter();
    let services = services
        .map(|(name, health)| (name, ServiceState { state: health.state.name(), detail: health.detail }))
        .collect();
    let version = app.config.version.clone();
    (status, Json(Health { version, services, projections, nats, database, checks, problems }))
}
