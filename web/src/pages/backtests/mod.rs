//! Backtests: the launcher, the runs with their progress, two to four side by side; one run with its tear sheet.
//!
//! What a run came to is computed by its runner and stands on the tape; here it is only placed.
//!
//! Deliberately absent: anything that runs a backtest: a form is a command, the service `backtest` does it.

mod chosen;
mod compare;
mod figures;
mod heat;
mod launch;
mod list;
mod run;
mod search;
mod series;
mod sheet;

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use projections::queries;

use super::{Layout, Page, Panel, Params, Visit};
use crate::access::Role;
use crate::action::{CommandForm, caller, done};
use crate::api::backtests::{KINDS, STATUSES, ask, history};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;
use launch::Launcher;
use series::Sessions;

pub use launch::start;
pub(super) use list::detail as detail_words;
pub use run::page as detail;
pub use series::lines;

/// The Backtests page.
pub static PAGE: Page =
    Page { title: "Backtests", url: Url::Backtests, key: 'b', panels: &[&RUNS, &COMPARE, &run::RUN] };

/// The runs, newest first, with how far those are that run.
static RUNS: Panel =
    Panel::fetched("backtests-runs", &["backtests", "progress"], |scope| Box::pin(list::table(scope)))
        .every_ms(200);
/// Those that were chosen, side by side.
static COMPARE: Panel =
    Panel::fetched("backtests-compare", &["backtests"], |scope| Box::pin(compare::table(scope)))
        .every_ms(500);

/// Path of the page.
const PATH: &str = "/backtests";
/// Most runs side by side.
const COMPARED_MAX: usize = 4;
/// Fields that narrow the list of runs.
const FILTERS: [&str; 3] = ["find", "status", "kind"];

#[derive(Template)]
#[template(path = "backtests.html")]
struct BacktestsPage<'a> {
    layout: Layout<'a>,
    runs: String,
    compare: String,
    /// Where the lines of the runs compared are; empty with fewer than two.
    lines: String,
    launcher: Launcher,
    /// Why the visitor cannot start one; empty for who can.
    barred: String,
    narrowed: Filter,
    /// The newest sessions of the runs compared.
    sessions: Sessions,
}

/// What the list of runs is narrowed to.
#[derive(Debug)]
struct Filter {
    find: String,
    status: String,
    statuses: Vec<String>,
    kind: String,
    kinds: Vec<String>,
    /// Fields of the address that it leaves as they are.
    kept: Vec<(&'static str, String)>,
    /// Where nothing is narrowed; `None` where that is here.
    clear: Option<String>,
}

impl Filter {
    fn of(params: &Params) -> Self {
        let text = |name: &str| params.owned(name).unwrap_or_default();
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let is_narrowed = FILTERS.iter().any(|name| params.get(name).is_some());
        let beside = ["compare", "run", "strategy"].into_iter();
        Self {
            find: text("find"),
            status: text("status"),
            statuses: owned(&STATUSES),
            kind: text("kind"),
            kinds: owned(&KINDS),
            kept: beside.filter_map(|name| Some((name, params.owned(name)?))).collect(),
            clear: is_narrowed.then(|| params.without(&FILTERS).without(&["before"]).link(PATH)),
        }
    }
}

/// `GET /backtests`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let scope = &visit.scope();
    let chosen = chosen(&params)?;
    let (lines, sessions) = if chosen.len() < 2 {
        (String::new(), Sessions::default())
    } else {
        (Url::BacktestLines(&chosen.join(",")).to_string(), Sessions::of(&app, &chosen).await)
    };
    let html = BacktestsPage {
        layout: visit.layout(scope, &[&RUNS, &COMPARE]).await?,
        runs: RUNS.render(scope).await?,
        compare: COMPARE.render(scope).await?,
        lines,
        launcher: Launcher::of(&app, &params).await?,
        barred: barred(&app, &headers),
        narrowed: Filter::of(&params),
        sessions,
    };
    visit.respond(html.render())
}

/// `POST /backtests/{id}/cancel`: asks for the end of a run.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    // One key used for two runs is two commands.
    let caller = runtime::command::Caller { key: format!("{id}/{}", caller.key), ..caller };
    ask::end(&app, &caller, &id, form.reason()).await?;
    Ok(done(&headers, "The run is asked to end.", PATH))
}

/// The runs chosen for a comparison: ids in the field `compare`, separated by commas.
fn chosen(params: &Params) -> Result<Vec<String>, PageError> {
    let ids: Vec<String> =
        params.get("compare").into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect();
    if ids.len() > COMPARED_MAX {
        return Err(PageError::field("compare", &ids.join(","), format!("at most {COMPARED_MAX} runs")));
    }
    Ok(ids)
}

/// Why a visitor cannot start or end a run; empty for who can.
pub(super) fn barred(app: &App, headers: &HeaderMap) -> String {
    match app.actor(headers) {
        Ok(actor) if actor.role >= Role::Operator => String::new(),
        Ok(actor) => format!("This takes the role {}; yours is {}.", Role::Operator, actor.role),
        Err(error) => error.to_string(),
    }
}

/// The badge of a status.
pub(super) fn badge(status: &str) -> &'static str {
    match status {
        "succeeded" => "badge-gain",
        "failed" => "badge-loss",
        "cancelled" => "badge-warn",
        "running" => "badge-accent",
        _ => "badge-flat",
    }
}

/// Whether any backtest was ever asked for.
async fn is_any(app: &App) -> Result<bool, PageError> {
    let filter = queries::BacktestFilter { kinds: history(), ..queries::BacktestFilter::default() };
    let page = queries::backtests(&app.config.pool, &filter, None, 1).await?;
    Ok(!page.rows.is_empty())
}
