//! The chain of an event: bar → signal → risk decision → order → fill, with the latency of every hop.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use projections::TraceError;

use super::PAGE;
use crate::app::App;
use crate::browse::{self, Hop, Row};
use crate::error::PageError;
use crate::pages::{Layout, Params, Rendering, Visit};
use crate::url::Url;
use crate::view::{Instant, latency};

/// A step of the chain.
#[derive(Clone, Debug)]
struct Step {
    id: String,
    stage: &'static str,
    kind: &'static str,
    summary: String,
    url: String,
    place: String,
    subject: String,
    source: String,
    time: Option<Instant>,
    recorded: Option<Instant>,
    /// The cause as `TRADING 12` with its anchor on this page.
    cause: Option<(String, String)>,
    latency: String,
    market: String,
    details: Vec<(String, String)>,
    /// Whether it is the event asked for.
    asked: bool,
}

fn anchor(stream: &str, sequence: u64) -> String {
    format!("{}-{sequence}", stream.to_ascii_lowercase())
}

impl Step {
    fn of(hop: Hop, asked: &str) -> Self {
        let Row { stream, sequence, .. } = hop.row;
        let cause = hop.cause.map(|(stream, sequence)| {
            (format!("{stream} {sequence}"), format!("#{}", anchor(stream, sequence)))
        });
        Self {
            id: anchor(stream, sequence),
            stage: hop.stage,
            kind: hop.row.kind,
            url: Url::Event(stream, sequence).to_string(),
            place: format!("{stream} {sequence}"),
            asked: hop.row.event_id == asked,
            summary: hop.row.summary,
            subject: hop.row.subject,
            source: hop.row.source,
            time: hop.row.event_time_ns.map(Instant),
            recorded: hop.row.recorded_time_ns.map(Instant),
            cause,
            latency: hop.latency_ns.map(latency).unwrap_or_default(),
            market: hop.market_ns.map(latency).unwrap_or_default(),
            details: hop.details,
        }
    }
}

#[derive(Template)]
#[template(path = "events/chain.html")]
struct ChainPage<'a> {
    layout: Layout<'a>,
    event_id: String,
    steps: Vec<Step>,
    /// From the first step to the last, by recorded times.
    total: String,
    command: String,
}

/// `GET /events/chain/{event_id}`; `stream` and `sequence` help to find an event from which nothing followed.
pub async fn page(
    State(app): State<Arc<App>>,
    Path(event_id): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let (tape, pool) = (&app.context.tape, &app.config.pool);
    let mut hops = browse::chain(pool, tape, &event_id).await.map_err(|error| match error {
        TraceError::Log(error) => PageError::Unread(error.to_string()),
        TraceError::Query(error) => PageError::ReadModel(error.to_string()),
    })?;
    if hops.is_empty() {
        hops.extend(alone(&app, &params, &event_id).await?);
    }
    if hops.is_empty() {
        return Err(PageError::Missing(format!("event {event_id:?} on TRADING, nor one that it caused")));
    }
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let html = assemble(&visit, event_id, hops).await;
    visit.respond(html)
}

/// The event itself, where the address says where it stands.
async fn alone(app: &App, params: &Params, event_id: &str) -> Result<Option<Hop>, PageError> {
    let stream = params.get("stream").and_then(browse::stream_named);
    let sequence = params.get("sequence").and_then(|text| text.parse().ok());
    let (Some(stream), Some(sequence)) = (stream, sequence) else { return Ok(None) };
    let message = browse::message(&app.context.tape, stream, sequence).await?;
    Ok(message.filter(|message| message.row.event_id == event_id).map(Hop::alone))
}

async fn assemble(visit: &Visit<'_>, event_id: String, hops: Vec<Hop>) -> Rendering {
    let layout = visit.layout(&visit.scope(), &[]).await?;
    let recorded = || hops.iter().filter_map(|hop| hop.row.recorded_time_ns);
    let total = match (recorded().min(), recorded().max()) {
        (Some(first), Some(last)) if hops.len() > 1 => latency(last - first),
        _ => String::new(),
    };
    let command = format!("tapedeck tail --tape {} --chain {event_id}", visit.app.config.tape);
    let steps = hops.into_iter().map(|hop| Step::of(hop, &event_id)).collect();
    ChainPage { layout, event_id, steps, total, command }.render()
}
