//! `/healthz`: the process lives. `/readyz`: it does its work, and the read models are up to date.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use projections::queries::{self, ProjectionRow};
use runtime::ServiceHealth;

use crate::app::App;

/// How far a projection is behind its stream.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct Lag {
    /// Projection.
    pub name: String,
    /// Last sequence folded.
    pub sequence: u64,
    /// Last sequence of the stream; absent when the tape did not say.
    pub head: Option<u64>,
    /// Events behind.
    pub events: Option<u64>,
    /// Why it does not go on; empty when it does.
    pub fault: String,
    /// Behind, and without progress for longer than a page may go without saying so.
    #[serde(skip)]
    stalled: bool,
}

impl Lag {
    /// Whether it is behind and does not move.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled || !self.fault.is_empty()
    }

    /// In words.
    #[must_use]
    pub fn text(&self) -> String {
        let behind = self.events.map_or_else(|| "its stream cannot be asked".to_owned(), behind_words);
        if self.fault.is_empty() {
            format!("{} makes no progress, {behind}", self.name)
        } else {
            format!("{} has stopped, {behind}: {}", self.name, self.fault)
        }
    }
}

fn behind_words(events: u64) -> String {
    if events == 1 { "1 event behind".to_owned() } else { format!("{events} events behind") }
}

/// How far every projection is behind its stream; the error names what cannot be read.
pub async fn lags(app: &App) -> Result<Vec<Lag>, String> {
    let tape = &app.context.tape;
    let heads = projections::heads(tape).await.map_err(|error| error.to_string())?;
    let rows =
        queries::projection_status(&app.config.pool, &heads).await.map_err(|error| error.to_string())?;
    let now_ns = runtime::now_ns();
    Ok(rows
        .into_iter()
        .map(|row| Lag {
            stalled: stalled(app, &row, now_ns),
            name: row.name,
            sequence: row.sequence,
            head: row.head,
            events: row.lag,
            fault: row.fault_reason.unwrap_or_default(),
        })
        .collect())
}

/// Whether a read model is behind, and without progress for longer than a page may go without saying so.
pub fn stalled(app: &App, row: &ProjectionRow, now_ns: i64) -> bool {
    let stale_ns = i64::try_from(app.config.stale_after.as_nanos()).unwrap_or(i64::MAX);
    row.lag != Some(0) && now_ns - row.updated_at_ns > stale_ns
}

/// Which read models are behind and do not move; pages say so instead of showing old data as new.
#[derive(Debug, Default)]
pub struct Freshness(Mutex<BTreeMap<String, String>>);

impl Freshness {
    /// Looks again; returns how far each projection is, nothing when that cannot be told.
    pub async fn refresh(&self, app: &App) -> Vec<Lag> {
        let lags = match lags(app).await {
            Ok(lags) => lags,
            Err(error) => {
                tracing::warn!(%error, "cannot tell how fresh the read models are: {error}");
                return Vec::new();
            }
        };
        let stalled = lags.iter().filter(|lag| lag.is_stalled());
        let notes = stalled.map(|lag| (lag.name.clone(), lag.text())).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = notes;
        lags
    }

    /// Why what follows from `projections` may be old; empty when it is not.
    #[must_use]
    pub fn note(&self, projections: &[&str]) -> String {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let concerned = projections.iter().filter_map(|projection| notes.get(*projection));
        let text: Vec<&str> = concerned.map(String::as_str).collect();
        if text.is_empty() { String::new() } else { format!("May be old: {}", text.join("; ")) }
    }
}

/// `GET /healthz`
pub async fn alive() -> &'static str {
    "ok\n"
}

#[derive(Debug, serde::Serialize)]
struct Readiness {
    ready: bool,
    /// Who is not ready, and why.
    not_ready: Vec<String>,
    services: BTreeMap<String, ServiceHealth>,
    projections: Vec<Lag>,
    lag_events_max: u64,
}

/// `GET /readyz`: 200 when every service of this process is ready and every projection is within
/// `lag_events_max` of its head, else 503 naming who is not.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let services = app.context.health.all();
    let lag_events_max = app.config.ready_lag_events_max;
    let mut not_ready = crate::operations::not_ready(&services);
    let projections = match lags(&app).await {
        Ok(lags) => lags,
        Err(error) => {
            not_ready.push(format!("read models: {error}"));
            Vec::new()
        }
    };
    if projections.is_empty() && not_ready.is_empty() {
        not_ready.push("projections: none has begun".to_owned());
    }
    for lag in &projections {
        match lag.events {
            _ if !lag.fault.is_empty() => not_ready.push(format!("projection {}: {}", lag.name, lag.fault)),
            Some(events) if events <= lag_events_max => {}
            Some(events) => not_ready.push(format!("projection {}: {}", lag.name, behind_words(events))),
            None => not_ready.push(format!("projection {}: its stream's head is not known", lag.name)),
        }
    }
    let ready = not_ready.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, not_ready, services, projections, lag_events_max })).into_response()
}
