//! The tape as JSON: what the Events page shows, for programs. Errors are problem details (RFC 9457).
//!
//! Deliberately absent: commands; a parked message is resolved from the page and the command line.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use projections::TraceError;
use projections::queries::{self, ParkedRow};
use serde_json::{Value, json};

use super::{
    BrowseError, Hop, Level, Listed, Place, Wanted, chain, level, list, message, stream_named, streams,
};
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;
use crate::pages::table::{ROWS, ROWS_MAX};

/// An error as problem details.
#[derive(Debug)]
pub struct Problem(PageError);

impl<E: Into<PageError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.0.status();
        let title = status.canonical_reason().unwrap_or("Error");
        let mut body = json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "detail": self.0.to_string(),
        });
        if let PageError::Field { field, value, expected } = &self.0 {
            body["errors"] = json!([{ "field": field, "value": value, "expected": expected }]);
        }
        (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
    }
}

type Answer<T> = Result<Json<T>, Problem>;

fn stream_of(name: &str) -> Result<&'static str, PageError> {
    stream_named(name).ok_or_else(|| PageError::Missing(format!("stream {name:?}")))
}

/// `GET /api/v1/streams`: what every stream holds.
pub async fn get_streams(State(app): State<Arc<App>>) -> Answer<Value> {
    let streams = streams(&app.context.tape).await?;
    let row = |stream: super::StreamCount| {
        json!({
            "name": stream.name, "first_sequence": stream.state.first_sequence,
            "last_sequence": stream.state.last_sequence, "messages": stream.state.messages,
            "bytes": stream.state.bytes,
        })
    };
    Ok(Json(json!({ "rows": streams.into_iter().map(row).collect::<Vec<_>>() })))
}

/// `GET /api/v1/streams/{stream}/subjects?path=…`: the subjects one level below `path`, with counts.
pub async fn get_subjects(
    State(app): State<Arc<App>>,
    Path(stream): Path<String>,
    Query(params): Query<Params>,
) -> Answer<Level> {
    params.check()?;
    let stream = stream_of(&stream)?;
    let path = params.get("path").unwrap_or_default();
    if !path.is_empty() && !event_log::is_well_formed(path) {
        return Err(PageError::field("path", path, "the beginning of a subject").into());
    }
    Ok(Json(level(&app.context.tape, stream, path).await?))
}

/// `GET /api/v1/events`: messages of one stream, newest first, filtered; `before` and `after` are
/// sequences.
pub async fn get_events(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Answer<Listed> {
    params.check()?;
    let wanted = Wanted::of(&params)?;
    let place = Place::of(&params)?;
    let limit = params.number("limit", ROWS, ROWS_MAX)? as usize;
    Ok(Json(list(&app.context.tape, &app.config.pool, &wanted, place, limit).await?))
}

/// `GET /api/v1/events/{stream}/{sequence}`: one message with headers, payload and, where it can be read,
/// the event.
pub async fn get_event(
    State(app): State<Arc<App>>,
    Path((stream, sequence)): Path<(String, u64)>,
) -> Answer<Value> {
    let found = message(&app.context.tape, stream_of(&stream)?, sequence).await?;
    let found = found.ok_or_else(|| PageError::Missing(format!("event {stream} {sequence}")))?;
    let headers: Vec<Value> =
        found.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let payload = base64::engine::general_purpose::STANDARD.encode(found.payload());
    Ok(Json(json!({ "row": found.row, "headers": headers, "event": found.json, "payload": payload })))
}

/// `GET /api/v1/chain/{event_id}`: the chain of an event from the bar to the fills, with latencies.
pub async fn get_chain(State(app): State<Arc<App>>, Path(event_id): Path<String>) -> Answer<Vec<Hop>> {
    let hops = chain(&app.config.pool, &app.context.tape, &event_id).await.map_err(|error| match error {
        TraceError::Log(error) => BrowseError::Log(error),
        TraceError::Query(error) => BrowseError::Query(error),
    })?;
    if hops.is_empty() {
        return Err(
            PageError::Missing(format!("event {event_id:?} on TRADING, nor one that it caused")).into()
        );
    }
    Ok(Json(hops))
}

/// `GET /api/v1/parked`: messages set aside, newest first; with `show=all` those resolved too.
pub async fn get_parked(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Answer<Value> {
    params.check()?;
    let all = params.one_of("show", &["all", "waiting"])?.as_deref() == Some("all");
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let before = params.get("before").map(|text| {
        text.parse().map_err(|_| PageError::field("before", text, "a cursor that this list named"))
    });
    let page = queries::parked(&app.config.pool, all, before.transpose()?, limit).await;
    let page = page.map_err(BrowseError::Query)?;
    let rows: Vec<Value> = page.rows.iter().map(parked_row).collect();
    Ok(Json(json!({ "rows": rows, "next": page.next })))
}

fn parked_row(row: &ParkedRow) -> Value {
    let mut value = serde_json::to_value(row).unwrap_or_default();
    value["payload"] = base64::engine::general_purpose::STANDARD.encode(&row.payload).into();
    value
}
