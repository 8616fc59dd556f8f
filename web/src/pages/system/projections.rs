//! Read models: how far they are, and what was asked of them.

use askama::Template;
use projections::queries::{self, JobRow, ProjectionRow};
use runtime::metrics::metrics;

use super::{JOBS, PROJECTIONS};
use crate::error::PageError;
use crate::health;
use crate::pages::{Body, Rendering, Scope, Shown};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::Instant;

/// Jobs listed.
const JOBS_MAX: u32 = 20;

#[derive(Clone, Debug)]
struct Row {
    name: String,
    stream: String,
    version: u64,
    position: u64,
    head: String,
    lag: String,
    seconds: String,
    rate: String,
    moved: Instant,
    parked: u64,
    state: &'static str,
    badge: &'static str,
    /// Why it does not go on.
    fault: String,
    /// Percent of a rebuild that runs.
    progress: Option<u64>,
    rebuild: String,
    verify: String,
}

#[derive(Clone, Debug)]
struct Rows {
    rows: Vec<Row>,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "system/projections.html")]
struct ProjectionsPanel {
    v: u64,
    body: Body<Rows>,
}

/// Every read model.
pub async fn table(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &PROJECTIONS, read(scope)).await;
    ProjectionsPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Rows>, String> {
    let app = scope.app;
    let heads = projections::heads(&app.context.tape).await.map_err(|error| error.to_string())?;
    let rows =
        queries::projection_status(&app.config.pool, &heads).await.map_err(|error| error.to_string())?;
    let open = queries::open_jobs(&app.config.pool).await.map_err(|error| error.to_string())?;
    let now_ns = runtime::now_ns();
    let rows: Vec<Row> = rows
        .iter()
        .map(|row| {
            let rate = app.rates.of(&row.name, row.sequence, now_ns);
            let working = open.iter().any(|job| job.projection == row.name);
            Row::of(row, rate, working, health::stalled(app, row, now_ns))
        })
        .collect();
    Ok((!rows.is_empty()).then(|| Rows { rows, keys: scope.keys.clone() }))
}

impl Row {
    fn of(row: &ProjectionRow, rate: Option<f64>, working: bool, stalled: bool) -> Self {
        let (state, badge) = match (&row.fault_reason, stalled, row.lag) {
            (Some(_), _, _) => ("Faulted", "badge-loss"),
            (None, true, _) => ("Stale", "badge-warn"),
            (None, false, Some(0)) => ("Up to date", "badge-gain"),
            (None, false, Some(_)) => ("Catching up", "badge-accent"),
            (None, false, None) => ("Unknown", "badge-flat"),
        };
        let unknown = || "–".to_owned();
        let seconds = metrics().projection_lag.with(&[&row.name]).get();
        let seconds = match row.lag {
            Some(0) => "0 s".to_owned(),
            Some(_) if seconds > 0.0 => format!("{seconds:.1} s"),
            _ => unknown(),
        };
        // Of a rebuild that a killed process left behind nothing is shown.
        let progress = row.rebuild_sequence.zip(row.rebuild_target).filter(|_| working);
        Self {
            name: row.name.clone(),
            stream: row.stream.clone(),
            version: row.version,
            position: row.sequence,
            head: row.head.map_or_else(unknown, |head| head.to_string()),
            lag: row.lag.map_or_else(unknown, |lag| lag.to_string()),
            seconds,
            rate: rate.map_or_else(unknown, |rate| format!("{rate:.0}/s")),
            moved: Instant(row.updated_at_ns),
            parked: row.parked,
            state,
            badge,
            fault: row.fault_reason.clone().unwrap_or_default(),
            progress: progress.map(|(at, target)| at.saturating_mul(100).checked_div(target).unwrap_or(100)),
            rebuild: Url::Projection(&row.name, "rebuild").to_string(),
            verify: Url::Projection(&row.name, "verify").to_string(),
        }
    }
}

#[derive(Clone, Debug)]
struct Job {
    id: String,
    time: Instant,
    task: String,
    projection: String,
    actor: String,
    outcome: String,
    badge: &'static str,
    result: String,
    hash: String,
}

#[derive(Template)]
#[template(path = "system/jobs.html")]
struct JobsPanel {
    v: u64,
    body: Body<Vec<Job>>,
}

/// What was asked of them, newest first.
pub async fn jobs(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let page = queries::jobs(&scope.app.config.pool, None, JOBS_MAX).await;
        let rows = page.map_err(|error| PageError::ReadModel(error.to_string()))?.rows;
        Ok::<_, PageError>((!rows.is_empty()).then(|| rows.iter().map(Job::of).collect()))
    };
    let body = Body::read(scope, &JOBS, read).await;
    JobsPanel { v: scope.version, body }.render()
}

impl Job {
    fn of(row: &JobRow) -> Self {
        let badge = match row.outcome.as_deref() {
            Some("succeeded") => "badge-gain",
            Some("refused") => "badge-warn",
            Some(_) => "badge-loss",
            None => "badge-accent",
        };
        Self {
            id: row.request_id.clone(),
            time: Instant(row.requested_at_ns),
            task: row.task.clone(),
            projection: row.projection.clone(),
            actor: row.actor.clone(),
            outcome: row.outcome.clone().unwrap_or_else(|| "waiting or running".to_owned()),
            badge,
            result: result(row),
            hash: row.state_hash.clone().unwrap_or_default(),
        }
    }
}

/// What came of it, in words.
fn result(row: &JobRow) -> String {
    let (Some(sequence), Some(messages)) = (row.folded_sequence, row.messages) else { return String::new() };
    let took = row.duration_ms.map_or_else(String::new, |ms| format!(" in {:.1} s", ms as f64 / 1e3));
    match (row.outcome.as_deref(), row.task.as_str()) {
        (Some("succeeded"), "verify") => {
            format!("equals the fold of {messages} messages up to {sequence}{took}")
        }
        (Some("succeeded"), _) => {
            let before = row.state_hash_before.as_deref().unwrap_or_default();
            let same =
                match (row.state_hash.as_deref() == Some(before), row.sequence_before == row.folded_sequence)
                {
                    (true, _) => "same state hash as before".to_owned(),
                    (false, true) => format!("state hash was {before}: verify it"),
                    (false, false) => "it moved on meanwhile, so the state hash did too".to_owned(),
                };
            format!("built from {messages} messages up to {sequence}{took}; {same}")
        }
        (Some("differs"), _) => {
            format!("{} rows differ, first {}", row.differences.unwrap_or_default(), row.detail)
        }
        _ => row.detail.clone(),
    }
}
