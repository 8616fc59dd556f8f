//! Parity and Fork: a part of the tape as recorded beside the same part run again, on one timeline, order by order;
//! the launchers, the runs with their progress, and one run.
//!
//! Deliberately absent: anything that runs a part again: a form is a command, the service `backtest` does it.

mod launch;
mod lines;
mod list;
mod run;
mod tables;

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::backtests::{badge, barred};
use super::{Layout, Page, Panel, Params, Visit};
use crate::action::{CommandForm, caller, done, notice_line};
use crate::api::backtests::ask::end;
use crate::api::comparisons::found;
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;
use launch::{ForkForm, ParityForm};

pub use launch::{start_fork, start_parity};
pub use lines::lines;
pub use run::{fork_detail, parity_detail};

/// The Parity page.
pub static PARITY: Page =
    Page { title: "Parity", url: Url::Parity, key: 'a', panels: &[&PARITY_RUNS, &run::RUN] };
/// The Fork page.
pub static FORK: Page = Page { title: "Fork", url: Url::Fork, key: 'k', panels: &[&FORK_RUNS] };

/// Sessions compared, newest first, with how far those are that run.
static PARITY_RUNS: Panel =
    Panel::fetched("parity-runs", &["backtests", "progress"], |scope| Box::pin(list::parity(scope)))
        .every_ms(200);
/// Forks, newest first.
static FORK_RUNS: Panel =
    Panel::fetched("fork-runs", &["backtests", "progress"], |scope| Box::pin(list::fork(scope)))
        .every_ms(200);

#[derive(Template)]
#[template(path = "comparisons/parity.html")]
struct ParityPage<'a> {
    layout: Layout<'a>,
    runs: String,
    form: ParityForm,
    barred: String,
}

#[derive(Template)]
#[template(path = "comparisons/fork.html")]
struct ForkPage<'a> {
    layout: Layout<'a>,
    runs: String,
    form: ForkForm,
    barred: String,
}

/// `GET /parity`
pub async fn parity(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let visit = Visit::begin(&app, &PARITY, &params, &headers).await?;
    let scope = &visit.scope();
    let html = ParityPage {
        layout: visit.layout(scope, &[&PARITY_RUNS]).await?,
        runs: PARITY_RUNS.render(scope).await?,
        form: ParityForm::of(&app).await?,
        barred: barred(&app, &headers),
    };
    visit.respond(html.render())
}

/// `GET /fork`
pub async fn fork(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let visit = Visit::begin(&app, &FORK, &params, &headers).await?;
    let scope = &visit.scope();
    let html = ForkPage {
        layout: visit.layout(scope, &[&FORK_RUNS]).await?,
        runs: FORK_RUNS.render(scope).await?,
        form: ForkForm::of(&app, &params).await?,
        barred: barred(&app, &headers),
    };
    visit.respond(html.render())
}

/// `POST /comparisons/{id}/cancel`: asks for the end of a parity or a fork.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    // One key used for two runs is two commands.
    let caller = runtime::command::Caller { key: format!("{id}/{}", caller.key), ..caller };
    let row = found(&app, &id).await?;
    end(&app, &caller, &id, form.reason()).await?;
    Ok(done(&headers, "The run is asked to end.", if row.kind == "parity" { "/parity" } else { "/fork" }))
}

/// The answer to a run that was asked for: a word with the way to it, or the page of that kind again.
fn asked_for(headers: &HeaderMap, kind: &str, run_id: &str) -> Response {
    if !headers.contains_key("hx-request") {
        return Redirect::to(if kind == "parity" { "/parity" } else { "/fork" }).into_response();
    }
    let url = Url::Comparison(kind, run_id);
    let link = format!(" <a href=\"{url}\" data-run=\"{run_id}\">Open it</a>");
    let said = notice_line("It is asked for; it shows in the list.");
    axum::response::Html(said + &link).into_response()
}
