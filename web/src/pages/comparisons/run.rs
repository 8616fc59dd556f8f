//! One parity or fork: how far it is, then both sides.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use projections::queries::BacktestRow;

use super::list::{percent, verdict_badge};
use super::tables::Sides;
use super::{FORK, PARITY, badge};
use crate::api::backtests::report::short;
use crate::api::comparisons::found;
use crate::api::comparisons::report::read;
use crate::app::App;
use crate::error::PageError;
use crate::pages::backtests::detail_words;
use crate::pages::{Body, Layout, Panel, Params, Rendering, Scope, Shown, Visit};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::Instant;

/// The run with everything about it. The page's query names it in the field `id`.
pub(super) static RUN: Panel =
    Panel::fetched("comparison-run", &["backtests", "progress"], |scope| Box::pin(panel(scope)))
        .every_ms(200);

#[derive(Clone, Debug)]
struct Run {
    id: String,
    status: String,
    badge: &'static str,
    detail: String,
    percent: Option<String>,
    ended: bool,
    requested: Instant,
    asked: Vec<(&'static str, String)>,
    sides: Option<Sides>,
    cancel: String,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "comparisons/run.html")]
struct RunPanel {
    v: u64,
    body: Body<Run>,
}

/// An account whose lines the chart may show.
#[derive(Clone, Debug)]
struct Account {
    name: String,
    url: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "comparisons/detail.html")]
struct DetailPage<'a> {
    layout: Layout<'a>,
    title: String,
    kind: &'static str,
    run: String,
    lines: String,
    accounts: Vec<Account>,
    files: String,
    short: String,
}

/// `GET /parity/{id}`
pub async fn parity_detail(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    detail(&app, "parity", &id, &params, &headers).await
}

/// `GET /fork/{id}`
pub async fn fork_detail(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    detail(&app, "fork", &id, &params, &headers).await
}

async fn detail(
    app: &App,
    kind: &'static str,
    id: &str,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Response, PageError> {
    let row = found(app, id).await?;
    if row.kind != kind {
        return Err(PageError::Missing(format!("{kind} {id:?}: it is a {}", row.kind)));
    }
    let params = params.with("id", id);
    let visit = Visit::begin(app, if kind == "parity" { &PARITY } else { &FORK }, &params, headers).await?;
    let scope = &visit.scope();
    let here = params.without(&["id"]);
    let url = Url::Comparison(kind, id).to_string();
    let accounts = visit.accounts.iter().map(|name| Account {
        url: here.with("account", name).link(&url),
        current: *name == visit.account,
        name: name.clone(),
    });
    let html = DetailPage {
        layout: visit.layout(scope, &[&RUN]).await?,
        title: row.strategies.clone(),
        kind,
        run: RUN.render(scope).await?,
        lines: Url::ComparisonLines(id, &visit.account).to_string(),
        accounts: accounts.collect(),
        files: format!("/api/v1/comparisons/{}", crate::url::escape(id)),
        short: short(id),
    };
    visit.respond(html.render())
}

async fn panel(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &RUN, content(scope)).await;
    RunPanel { v: scope.version, body }.render()
}

async fn content(scope: &Scope<'_>) -> Result<Option<Run>, PageError> {
    let id = scope.params.get("id").unwrap_or_default();
    let row = match found(scope.app, id).await {
        Ok(row) => row,
        Err(PageError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let sides = if row.status == "succeeded" {
        Some(Sides::of(read(scope.app, id).await?, scope.params, &row)?)
    } else {
        None
    };
    Ok(Some(Run {
        status: row.status.clone(),
        badge: badge(&row.status),
        detail: detail_words(&row),
        percent: percent(scope.app, &row),
        ended: row.has_ended(),
        requested: Instant(row.requested_at_ns),
        asked: asked(&row),
        sides,
        cancel: Url::ComparisonCancel(&row.run_id).to_string(),
        keys: scope.keys.clone(),
        id: row.run_id,
    }))
}

fn asked(row: &BacktestRow) -> Vec<(&'static str, String)> {
    let stretch = row.request.stretch.clone().unwrap_or_default();
    let list = |texts: &[String]| if texts.is_empty() { "none".to_owned() } else { texts.join(", ") };
    let mut facts = if row.kind == "parity" {
        vec![("Session", stretch.session)]
    } else {
        let to = if stretch.to.is_empty() { "the end of the tape".to_owned() } else { stretch.to };
        vec![
            ("From", stretch.at),
            ("To", to),
            ("Other parameters", list(&stretch.parameters)),
            ("Other limits", list(&stretch.limits)),
        ]
    };
    facts.push(("Asked for by", row.actor.clone()));
    facts.push((
        "Done by",
        if row.runner.is_empty() { "the service backtest".to_owned() } else { row.runner.clone() },
    ));
    if let Some(ms) = row.duration_ms {
        facts.push(("Took", format!("{:.2} s", ms as f64 / 1e3)));
    }
    facts.extend(row.code_version.clone().map(|version| ("Program", version)));
    facts.extend(row.result_hash.clone().map(|hash| ("Hash of the side run again", hash)));
    facts
}

/// The badge of a verdict, for the tables.
pub(super) fn tone(verdict: &str) -> &'static str {
    verdict_badge(if verdict == "same" { "same" } else { "differs" })
}
