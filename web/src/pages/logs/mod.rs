//! Logs: the services' lines, filtered, followed live, as a file.
//!
//! The page comes with the newest lines; its script asks for those that follow and keeps at most
//! [`queries::LOG_LINES_MAX`] of them. Without a script the lines and the filters work all the same.

mod export;
mod filter;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use projections::queries::{self, LOG_LINES_MAX, LogRow, LogTurn};

use super::{Body, Layout, Page, Panel, Params, Rendering, Scope, Shown, Visit};
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;
use crate::view::Instant;

pub use export::{csv, ndjson};
pub use filter::{LEVELS, read};

/// The Logs page.
pub static PAGE: Page = Page { title: "Logs", url: Url::Logs, key: 'l', panels: &[&LINES] };

static LINES: Panel = Panel::fetched("logs", &["logs"], |scope| Box::pin(lines(scope))).every_ms(250);

/// Lines that a page comes with.
const LINES_AT_FIRST: u32 = 200;
/// More new lines than this are not counted.
const COUNTED_MAX: u32 = 10_000;

#[derive(Clone, Debug)]
struct Line {
    sequence: u64,
    time: Instant,
    level: &'static str,
    tone: &'static str,
    service: String,
    target: String,
    message: String,
    fields: String,
}

#[derive(Template)]
#[template(path = "logs/lines.html")]
struct Lines<'a> {
    lines: &'a [Line],
}

#[derive(Template)]
#[template(path = "logs/panel.html")]
struct LinesPanel {
    v: u64,
    body: Body<Vec<Line>>,
    /// The last line held; 0 when there is none.
    last: u64,
    /// Where the lines are that follow.
    more: String,
    clear: Option<String>,
}

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage<'a> {
    layout: Layout<'a>,
    panel: String,
    services: Vec<String>,
    service: String,
    levels: Vec<String>,
    level: String,
    target: String,
    run: String,
    correlation: String,
    text: String,
    from: String,
    to: String,
    clear: Option<String>,
    csv: String,
    ndjson: String,
}

/// `GET /logs`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    // A wrong filter is an answer of its own, not an empty list.
    filter::read(&params)?;
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let html = assemble(&visit).await;
    visit.respond(html)
}

async fn assemble(visit: &Visit<'_>) -> Rendering {
    let scope = &visit.scope();
    let params = visit.params;
    let layout = visit.layout(scope, &[&LINES]).await?;
    let panel = LINES.render(scope).await?;
    // Without heartbeats the choice of services is the program's own and what the filter says.
    let beats = queries::heartbeats(&visit.app.config.pool).await.unwrap_or_default();
    let mut services: Vec<String> = beats.into_iter().map(|beat| beat.service).collect();
    services.extend(visit.app.config.services.iter().map(|&name| name.to_owned()));
    services.extend(params.owned("service"));
    services.sort();
    services.dedup();
    let text = |name: &str| params.owned(name).unwrap_or_default();
    LogsPage {
        layout,
        panel,
        services,
        service: text("service"),
        levels: LEVELS.iter().map(|&level| level.to_owned()).collect(),
        level: text("level"),
        target: text("target"),
        run: text("run"),
        correlation: text("correlation"),
        text: text("text"),
        from: text("from"),
        to: text("to"),
        clear: clear(params),
        csv: params.link("/logs.csv"),
        ndjson: params.link("/logs.ndjson"),
    }
    .render()
}

fn clear(params: &Params) -> Option<String> {
    filter::FIELDS.iter().any(|name| params.get(name).is_some()).then(|| Url::Logs.to_string())
}

async fn lines(scope: &Scope<'_>) -> Rendering {
    let read = async {
        let filter = filter::read(scope.params)?;
        let rows = queries::logs(&scope.app.config.pool, &filter, LogTurn::Newest, LINES_AT_FIRST).await;
        let rows = rows.map_err(|error| PageError::ReadModel(error.to_string()))?;
        Ok::<_, PageError>((!rows.is_empty()).then(|| rows.iter().map(Line::of).collect::<Vec<_>>()))
    };
    let body = Body::read(scope, &LINES, read).await;
    let last = match &body.state {
        Shown::Ready(lines) => lines.last().map_or(0, |line| line.sequence),
        _ => 0,
    };
    let more = scope.params.link("/logs/lines");
    LinesPanel { v: scope.version, body, last, more, clear: clear(scope.params) }.render()
}

/// `GET /logs/lines?after=SEQUENCE`: the lines that follow, at most a thousand, as elements; with
/// `count=yes` only how many there are. The header `x-last` names the last one.
pub async fn more(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Result<Response, PageError> {
    params.check()?;
    let filter = filter::read(&params)?;
    let unread = |error: queries::QueryError| PageError::ReadModel(error.to_string());
    let pool = &app.config.pool;
    let after = match params.get("after") {
        None => None,
        Some(text) => {
            let sequence = text.parse::<u64>();
            Some(sequence.map_err(|_| PageError::field("after", text, "the sequence of a line"))?)
        }
    };
    if params.get("count").is_some() {
        let count = queries::logs_after(pool, &filter, after.unwrap_or_default(), COUNTED_MAX);
        return Ok(count.await.map_err(unread)?.to_string().into_response());
    }
    let turn = after.map_or(LogTurn::Newest, LogTurn::After);
    let rows = queries::logs(pool, &filter, turn, LOG_LINES_MAX).await.map_err(unread)?;
    let last = rows.last().map_or(after.unwrap_or_default(), |row| row.sequence);
    let lines: Vec<Line> = rows.iter().map(Line::of).collect();
    let html = Lines { lines: &lines }.render()?;
    Ok(([("x-last", last.to_string())], Html(html)).into_response())
}

impl Line {
    fn of(row: &LogRow) -> Self {
        Self {
            sequence: row.sequence,
            time: Instant(row.event_time_ns),
            level: row.level,
            tone: match row.level {
                "ERROR" => "loss",
                "WARN" => "warn",
                _ => "muted",
            },
            service: row.service.clone(),
            target: row.target.clone(),
            message: row.message.clone(),
            fields: fields(row),
        }
    }
}

/// Fields, run and correlation of a line, as `name=value`.
fn fields(row: &LogRow) -> String {
    let mut fields: Vec<String> = row
        .fields
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect();
    for (name, value) in [("correlation", &row.correlation_id), ("run", &row.run)] {
        if !value.is_empty() {
            fields.push(format!("{name}={value}"));
        }
    }
    fields.join(" ")
}
