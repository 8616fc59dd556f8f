//! The lists of parities and of forks.

use askama::Template;
use projections::queries::{self, BacktestFilter, BacktestRow};

use super::{FORK_RUNS, PARITY_RUNS, badge};
use crate::api::backtests::report::short;
use crate::api::comparisons::{number, verdict};
use crate::app::App;
use crate::error::PageError;
use crate::pages::backtests::detail_words;
use crate::pages::{Body, Panel, Rendering, Scope, Shown};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, count};

/// Rows of one part.
const ROWS: u32 = 25;

/// A run as the list shows it.
#[derive(Clone, Debug)]
struct Row {
    id: String,
    short: String,
    url: String,
    time: Instant,
    actor: String,
    asked: String,
    status: String,
    badge: &'static str,
    detail: String,
    /// From 0 to 100 while it runs; `None` also where it was not heard of, as after a restart of the site.
    percent: Option<String>,
    verdict: &'static str,
    verdict_badge: &'static str,
    compared: String,
    differing: String,
    orders: String,
    orders_differing: String,
    cancel: Option<String>,
}

#[derive(Clone, Debug)]
struct Runs {
    rows: Vec<Row>,
    newest: Option<String>,
    older: Option<String>,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "comparisons/runs.html")]
struct RunsPanel {
    v: u64,
    body: Body<Runs>,
    name: &'static str,
    kind: &'static str,
}

/// Sessions that were compared.
pub async fn parity(scope: &Scope<'_>) -> Rendering {
    table(scope, &PARITY_RUNS, "parity", "/parity").await
}

/// Forks.
pub async fn fork(scope: &Scope<'_>) -> Rendering {
    table(scope, &FORK_RUNS, "fork", "/fork").await
}

async fn table(scope: &Scope<'_>, panel: &Panel, kind: &'static str, path: &str) -> Rendering {
    let body = Body::read(scope, panel, read(scope, kind, path)).await;
    RunsPanel { v: scope.version, body, name: panel.name, kind }.render()
}

async fn read(scope: &Scope<'_>, kind: &str, path: &str) -> Result<Option<Runs>, PageError> {
    let params = scope.params;
    let before = params.sequence("before")?;
    let filter = BacktestFilter { kinds: vec![kind.to_owned()], ..BacktestFilter::default() };
    let page = queries::backtests(&scope.app.config.pool, &filter, before, ROWS).await?;
    let rows: Vec<Row> = page.rows.iter().map(|row| Row::of(scope.app, row)).collect();
    let here = params.without(&["before"]);
    Ok((!rows.is_empty()).then(|| Runs {
        rows,
        newest: before.map(|_| here.link(path)),
        older: page.next.map(|next| here.with("before", &next.to_string()).link(path)),
        keys: scope.keys.clone(),
    }))
}

/// How far it is in per cent, while it runs, as far as it was heard of.
pub(super) fn percent(app: &App, row: &BacktestRow) -> Option<String> {
    let heard = app.runs.of(&row.run_id, row.attempt).filter(|_| row.status == "running");
    heard.map(|progress| format!("{:.1}", progress.percent))
}

/// The badge of a verdict.
pub(super) fn verdict_badge(verdict: &str) -> &'static str {
    match verdict {
        "same" => "badge-gain",
        "differs" => "badge-warn",
        _ => "badge-flat",
    }
}

impl Row {
    fn of(app: &App, row: &BacktestRow) -> Self {
        let stated = |name: &str| number(row, name).map_or_else(|| "–".to_owned(), count);
        let verdict = verdict(row).unwrap_or_default();
        Self {
            id: row.run_id.clone(),
            short: short(&row.run_id),
            url: Url::Comparison(&row.kind, &row.run_id).to_string(),
            time: Instant(row.requested_at_ns),
            actor: row.actor.clone(),
            asked: row.strategies.clone(),
            status: row.status.clone(),
            badge: badge(&row.status),
            detail: detail_words(row),
            percent: percent(app, row),
            verdict,
            verdict_badge: verdict_badge(verdict),
            compared: stated("compared"),
            differing: stated("differing"),
            orders: stated("orders"),
            orders_differing: stated("orders_differing"),
            cancel: (!row.has_ended()).then(|| Url::ComparisonCancel(&row.run_id).to_string()),
        }
    }
}
