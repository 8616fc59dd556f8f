//! System: services, live sources with their series and breakers, the universe, read models with their rebuilds and
//! verifications, servers, and what is wrong.

mod projections;
mod rates;
mod series;
mod servers;
mod services;
mod sources;
mod universe;

use std::sync::Arc;

use ::projections::{Name, queries};
use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::v1::ProjectionTask;
use runtime::command::{self, Caller};

use super::{Layout, Of, Page, Panel, Params, Rendering, Visit, quality};
use crate::action::{CommandForm, appended, caller, done};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

pub use rates::Rates;

/// The System page.
pub static PAGE: Page = Page {
    title: "System",
    url: Url::System,
    key: 'y',
    panels: &[
        &PROJECTIONS,
        &JOBS,
        &SERVICES,
        &SOURCES,
        &SERIES,
        &UNIVERSE,
        &QUALITY,
        &NATS,
        &DATABASE,
        &FINDINGS,
    ],
};

// Read models stop moving without a commit that would tell, so this one is due each second.
static PROJECTIONS: Panel =
    Panel::fetched("system-projections", &[], |scope| Box::pin(projections::table(scope))).every_ms(1_000);
static JOBS: Panel =
    Panel::fetched("system-jobs", &["jobs"], |scope| Box::pin(projections::jobs(scope))).every_ms(200);
static SERVICES: Panel = Panel::pushed("system-services", &[], |scope| Box::pin(services::table(scope)))
    .of(Of::Deck)
    .every_ms(1_000);
static SOURCES: Panel = Panel::pushed("system-sources", &[], |scope| Box::pin(sources::table(scope)))
    .of(Of::Deck)
    .every_ms(1_000);
// Looks at each session of the series that it shows, once a minute, and not in the stream's own time.
static SERIES: Panel =
    Panel::fetched("system-series", &[], |scope| Box::pin(series::table(scope))).every_ms(5_000);
// Looks at every symbol of every group.
static UNIVERSE: Panel =
    Panel::fetched("system-universe", &["bars", "reference"], |scope| Box::pin(universe::table(scope)))
        .every_ms(5_000);
static QUALITY: Panel = Panel::fetched("system-quality", &["calendar"], |scope| {
    Box::pin(quality::findings(scope, &QUALITY, None))
})
.of(Of::Deck)
.every_ms(1_000);
static NATS: Panel =
    Panel::pushed("system-nats", &[], |scope| Box::pin(servers::nats(scope))).of(Of::Deck).every_ms(2_000);
static DATABASE: Panel = Panel::pushed("system-database", &[], |scope| Box::pin(servers::database(scope)))
    .of(Of::Deck)
    .every_ms(2_000);
// Looks at every series of bars, so not often, and not in the stream's own time.
static FINDINGS: Panel =
    Panel::fetched("system-findings", &[], |scope| Box::pin(servers::findings(scope))).every_ms(60_000);

#[derive(Template)]
#[template(path = "system.html")]
struct SystemPage<'a> {
    layout: Layout<'a>,
    projections: String,
    jobs: String,
    services: String,
    sources: String,
    series: String,
    universe: String,
    quality: String,
    nats: String,
    database: String,
    findings: String,
}

/// `GET /system`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let html = assemble(&visit).await;
    visit.respond(html)
}

async fn assemble(visit: &Visit<'_>) -> Rendering {
    let scope = &visit.scope();
    let (projections, jobs, services) =
        tokio::join!(PROJECTIONS.render(scope), JOBS.render(scope), SERVICES.render(scope));
    let (sources, series, universe, quality, nats, database, findings) = tokio::join!(
        SOURCES.render(scope),
        SERIES.render(scope),
        UNIVERSE.render(scope),
        QUALITY.render(scope),
        NATS.render(scope),
        DATABASE.render(scope),
        FINDINGS.render(scope)
    );
    SystemPage {
        layout: visit.layout(scope, PAGE.panels).await?,
        projections: projections?,
        jobs: jobs?,
        services: services?,
        sources: sources?,
        series: series?,
        universe: universe?,
        quality: quality?,
        nats: nats?,
        database: database?,
        findings: findings?,
    }
    .render()
}

/// `POST /projections/{name}/{task}`: asks for a rebuild or a verification.
pub async fn request(
    State(app): State<Arc<App>>,
    Path((name, task)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    let task = match task.as_str() {
        "rebuild" => ProjectionTask::Rebuild,
        "verify" => ProjectionTask::Verify,
        other => return Err(PageError::field("task", other, "rebuild or verify")),
    };
    ask(&app, &caller, &name, task).await?;
    let word = task.name().unwrap_or_default();
    Ok(done(&headers, &format!("{word} of {name} is asked for; what came of it stands below."), "/system"))
}

/// Asks for something to be done with a read model; the API asks the same way. Answers the request's id.
pub async fn ask(app: &App, caller: &Caller, name: &str, task: ProjectionTask) -> Result<String, PageError> {
    let name: Name = name.parse().map_err(|_| PageError::Missing(format!("projection {name:?}")))?;
    // One key used for two read models is two commands.
    let caller = Caller { key: format!("{name}/{}", caller.key), ..caller.clone() };
    may_begin(app, &caller, name, task).await?;
    command::request_projection(&app.context.tape, &caller, name.name(), task).await.map_err(appended)
}

/// Refuses here what the projector would refuse, so that the answer comes at once. Two that ask in the same
/// moment both get through; of those the projector refuses the second.
async fn may_begin(app: &App, caller: &Caller, name: Name, task: ProjectionTask) -> Result<(), PageError> {
    let unread = |error: queries::QueryError| PageError::ReadModel(error.to_string());
    let open = queries::open_jobs(&app.config.pool).await.map_err(unread)?;
    let own = caller.request_id(task);
    match open.iter().find(|job| job.projection == name.name() && Some(&job.request_id) != own.as_ref()) {
        Some(job) => Err(PageError::Conflict(format!(
            "{} of {name} was asked for by {} and has not ended; nothing was changed.",
            job.task, job.actor
        ))),
        None => Ok(()),
    }
}
