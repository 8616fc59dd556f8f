//! Messages set aside: why, and what becomes of them.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use projections::queries::{self, ParkedRow, QueryError};
use runtime::command::Caller;
use runtime::command::parked::{self, MarketWriter, ParkedError};

use super::{PAGE, tabs};
use crate::action::{CommandForm, caller, done, tape};
use crate::app::App;
use crate::browse::parked::{answered, message_of};
use crate::error::PageError;
use crate::pages::table::{Pager, ROWS, ROWS_MAX, Tab};
use crate::pages::{Body, Layout, Panel, Params, Rendering, Scope, Shown, Visit};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::Instant;

/// The list.
pub static PARKED: Panel = Panel::fetched("parked-table", &["parked"], |scope| Box::pin(table(scope)));

/// Path of the page.
const PATH: &str = "/events/parked";

#[derive(Clone, Debug)]
struct Line {
    id: String,
    seq: u64,
    time: Instant,
    service: String,
    origin: String,
    origin_url: String,
    subject: String,
    reason: String,
    state: String,
    badge: &'static str,
    waits: bool,
    replay: String,
    dismiss: String,
}

impl Line {
    fn of(row: &ParkedRow) -> Self {
        let state = match &row.resolution {
            None => "waits".to_owned(),
            Some(resolution) => format!(
                "{resolution} by {}: {}",
                row.resolved_by.as_deref().unwrap_or_default(),
                row.resolved_reason.as_deref().unwrap_or_default()
            ),
        };
        Self {
            id: row.event_id.clone(),
            seq: row.first_sequence,
            time: Instant(row.parked_at_ns),
            service: row.service.clone(),
            origin: format!("{} {}", row.origin_stream, row.origin_sequence),
            origin_url: Url::Event(&row.origin_stream, row.origin_sequence).to_string(),
            subject: row.origin_subject.clone(),
            reason: row.reason.clone(),
            state,
            badge: if row.resolution.is_none() { "badge-warn" } else { "badge-flat" },
            waits: row.resolution.is_none(),
            replay: Url::ParkedReplay(&row.event_id).to_string(),
            dismiss: Url::ParkedDismiss(&row.event_id).to_string(),
        }
    }
}

#[derive(Clone, Debug)]
struct Table {
    lines: Vec<Line>,
    pager: Pager,
    keys: FormKeys,
}

#[derive(Template)]
#[template(path = "events/parked_table.html")]
struct TablePanel {
    v: u64,
    body: Body<Table>,
    all: bool,
}

#[derive(Template)]
#[template(path = "events/parked.html")]
struct ParkedPage<'a> {
    layout: Layout<'a>,
    tabs: Vec<Tab>,
    all: bool,
    table: String,
}

/// `GET /events/parked`
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
    let layout = visit.layout(scope, &[&PARKED]).await?;
    let table = PARKED.render(scope).await?;
    ParkedPage { layout, tabs: tabs("parked"), all: wants_all(visit.params), table }.render()
}

fn wants_all(params: &Params) -> bool {
    params.get("show") == Some("all")
}

async fn table(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &PARKED, read(scope)).await;
    TablePanel { v: scope.version, body, all: wants_all(scope.params) }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Table>, PageError> {
    let params = scope.params;
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let before = params.get("before").map(|text| {
        text.parse().map_err(|_| PageError::field("before", text, "a cursor that this list named"))
    });
    let pool = &scope.app.config.pool;
    let page = queries::parked(pool, wants_all(params), before.transpose()?, limit).await.map_err(unread)?;
    let pager = Pager::of(PATH, params, None, page.next.map(|next| next.to_string()));
    let lines: Vec<Line> = page.rows.iter().map(Line::of).collect();
    let nothing = lines.is_empty() && !pager.is_shown();
    Ok((!nothing).then(|| Table { lines, pager, keys: scope.keys.clone() }))
}

fn unread(error: QueryError) -> PageError {
    PageError::ReadModel(error.to_string())
}

/// `POST /events/parked/{id}/replay`: handles the message again, after a fix.
pub async fn replay(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    let (stream, sequence) = replayed(&app, &caller, &id).await?;
    Ok(done(&headers, &format!("Published again as {stream} {sequence}."), PATH))
}

/// Replays a parked message; market data, which no page may write, by `ingest`. Answers where its event stands now.
pub async fn replayed(app: &App, caller: &Caller, id: &str) -> Result<(String, u64), PageError> {
    let pool = &app.config.pool;
    let message = message_of(pool, id).await?;
    let asked = move |signal: String| async move { answered(pool, &signal).await };
    let replayed = parked::replay(&app.context.tape, caller, MarketWriter::Ingest, &message, asked).await;
    let sequence = replayed.map_err(refused)?;
    Ok((message.stream, sequence))
}

/// `POST /events/parked/{id}/dismiss`: closes the message without handling it.
pub async fn dismiss(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    dismissed(&app, &caller, &id, form.stated_reason()).await?;
    Ok(done(&headers, "Dismissed; the reason is on the tape.", PATH))
}

/// Dismisses a parked message.
pub async fn dismissed(app: &App, caller: &Caller, id: &str, reason: &str) -> Result<(), PageError> {
    let message = message_of(&app.config.pool, id).await?;
    parked::dismiss(&app.context.tape, caller, &message, reason).await.map_err(|error| match error {
        ParkedError::Reason(_) => {
            PageError::field("reason", reason, format!("1 to {} characters", parked::REASON_MAX))
        }
        error => refused(error),
    })
}

fn refused(error: ParkedError) -> PageError {
    match error {
        ParkedError::Append(error) => tape(error),
        ParkedError::Unanswered => PageError::Busy(error.to_string()),
        other => PageError::Conflict(format!("The message stays parked: {other}.")),
    }
}
