//! The tape as JSON: what the Events page shows, for programs.
//!
//! Deliberately absent: commands; a parked message is resolved in `api::operate`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use projections::TraceError;
use projections::queries::{self, ParkedRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    BrowseError, Hop, Level, Listed, Place, Row, STREAMS, Wanted, chain, level, list, message, stream_named,
    streams,
};
use crate::api::fields::{Asked, At, EventId, Field, Fields, Kind, NoFields, StreamName, Word, field};
use crate::api::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;
use crate::pages::table::{ROWS, ROWS_MAX};

/// Every kind of event.
const KINDS: [&str; projections::KIND_SUBJECTS.len()] = {
    let mut names = [""; projections::KIND_SUBJECTS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = projections::KIND_SUBJECTS[index].0;
        index += 1;
    }
    names
};

type Answer<T> = Result<Json<T>, Problem>;

fn stream_of(name: &str) -> Result<&'static str, PageError> {
    stream_named(name).ok_or_else(|| PageError::Missing(format!("stream {name:?}")))
}

/// A stream and what it holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamInfo {
    /// Name.
    name: &'static str,
    /// First sequence stored.
    first_sequence: u64,
    /// Last sequence stored.
    last_sequence: u64,
    /// Messages stored.
    messages: u64,
    /// Bytes stored.
    bytes: u64,
}

/// Every stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamInfos {
    /// In the order in which an event travels.
    rows: Vec<StreamInfo>,
}

/// What every stream holds.
#[utoipa::path(get, path = "/api/v1/streams", tag = "events", operation_id = "list_streams",
    responses((status = 200, body = StreamInfos), Problems))]
pub async fn get_streams(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Answer<StreamInfos> {
    let streams = streams(&app.context.tape).await?;
    let row = |stream: super::StreamCount| StreamInfo {
        name: stream.name,
        first_sequence: stream.state.first_sequence,
        last_sequence: stream.state.last_sequence,
        messages: stream.state.messages,
        bytes: stream.state.bytes,
    };
    Ok(Json(StreamInfos { rows: streams.into_iter().map(row).collect() }))
}

/// Where in the tree of subjects to look.
#[derive(Debug)]
pub struct SubjectFields;

impl Fields for SubjectFields {
    const FIELDS: &'static [Field] =
        &[field("path", Kind::Path, "Beginning of the subjects; left out, the whole stream")];
}

/// The subjects one level below a beginning, with counts.
#[utoipa::path(get, path = "/api/v1/streams/{stream}/subjects", tag = "events", operation_id = "list_subjects",
    params(StreamName, Asked<SubjectFields>),
    responses((status = 200, body = Level), Problems))]
pub async fn get_subjects(
    State(app): State<Arc<App>>,
    At(stream): At<String>,
    asked: Asked<SubjectFields>,
) -> Answer<Level> {
    let stream = stream_of(&stream)?;
    Ok(Json(level(&app.context.tape, stream, asked.get("path").unwrap_or_default()).await?))
}

/// What a list of events is asked for by.
#[derive(Debug)]
pub struct EventFields;

impl Fields for EventFields {
    const FIELDS: &'static [Field] = &[
        field("stream", Kind::Choice(&STREAMS), "Stream; left out, that of subject or type, else TRADING"),
        field("subject", Kind::Subject, "Subject or filter of the stream, for example order.*.sma_cross.>"),
        field("type", Kind::Choice(&KINDS), "Kind of event, one of the stream's"),
        field("correlation", Kind::Id(64), "First event of their chain"),
        field("causation", Kind::Id(64), "Event that caused them"),
        field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say"),
        field("before", Kind::Sequence, "Sequences below this: `older` of an earlier answer"),
        field("after", Kind::Sequence, "Sequences above this: `newer` of an earlier answer; `before` wins"),
    ];
}

/// Messages of one stream, newest first.
///
/// Subject and type must be of the stream that is asked for, else the answer is 422.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", operation_id = "list_events",
    params(Asked<EventFields>), responses((status = 200, body = Listed), Problems))]
pub async fn get_events(State(app): State<Arc<App>>, asked: Asked<EventFields>) -> Answer<Listed> {
    let wanted = Wanted::of(&asked)?;
    let place = Place::of(&asked)?;
    let limit = asked.number("limit", ROWS, ROWS_MAX)? as usize;
    Ok(Json(list(&app.context.tape, &app.config.pool, &wanted, place, limit).await?))
}

/// A header of a message.
#[derive(Debug, Serialize, ToSchema)]
pub struct MessageHeader {
    /// Name.
    name: String,
    /// Value.
    value: String,
}

/// One message with everything that can be said of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WholeMessage {
    /// In short.
    row: Row,
    /// Headers of its sender.
    headers: Vec<MessageHeader>,
    /// The event in its proto3-JSON form; null when it cannot be read.
    event: Option<serde_json::Value>,
    /// The payload in base64.
    payload: String,
}

/// One message with headers, payload and, where it can be read, the event.
#[utoipa::path(get, path = "/api/v1/events/{stream}/{sequence}", tag = "events", operation_id = "get_event",
    params(StreamName,
        ("sequence" = u64, Path, description = "Sequence within the stream")),
    responses((status = 200, body = WholeMessage), Problems))]
pub async fn get_event(
    State(app): State<Arc<App>>,
    At((stream, sequence)): At<(String, u64)>,
    _: Asked<NoFields>,
) -> Answer<WholeMessage> {
    let found = message(&app.context.tape, stream_of(&stream)?, sequence).await?;
    let found = found.ok_or_else(|| PageError::Missing(format!("event {stream} {sequence}")))?;
    let payload = base64::engine::general_purpose::STANDARD.encode(found.payload());
    let headers = found.headers.into_iter().map(|(name, value)| MessageHeader { name, value }).collect();
    Ok(Json(WholeMessage { row: found.row, headers, event: found.json, payload }))
}

/// The chain of an event from the bar to the fills, with the latency of each hop.
#[utoipa::path(get, path = "/api/v1/chain/{event_id}", tag = "events", operation_id = "get_chain",
    params(EventId), responses((status = 200, body = Vec<Hop>), Problems))]
pub async fn get_chain(
    State(app): State<Arc<App>>,
    At(Word(event_id)): At<Word>,
    _: Asked<NoFields>,
) -> Answer<Vec<Hop>> {
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

/// A message set aside.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParkedMessage {
    #[serde(flatten)]
    row: ParkedRow,
    /// The payload as it was, in base64.
    payload: String,
}

/// Messages set aside, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParkedMessages {
    /// The messages.
    rows: Vec<ParkedMessage>,
    /// For `before`: where the next part begins; null on the last one.
    next: Option<u64>,
}

/// What parked messages are asked for by.
#[derive(Debug)]
pub struct ParkedFields;

impl Fields for ParkedFields {
    const FIELDS: &'static [Field] = &[
        field("show", Kind::Choice(&["all", "waiting"]), "`all`: those resolved too"),
        field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say"),
        field("before", Kind::Sequence, "Messages older than this: `next` of an earlier answer"),
    ];
}

/// Messages set aside because they could not be handled, newest first.
#[utoipa::path(get, path = "/api/v1/parked", tag = "events", operation_id = "list_parked",
    params(Asked<ParkedFields>), responses((status = 200, body = ParkedMessages), Problems))]
pub async fn get_parked(State(app): State<Arc<App>>, asked: Asked<ParkedFields>) -> Answer<ParkedMessages> {
    let all = asked.get("show") == Some("all");
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    let before = asked.get("before").map(|text| {
        text.parse().map_err(|_| PageError::field("before", text, "a cursor that this list named"))
    });
    let page = queries::parked(&app.config.pool, all, before.transpose()?, limit).await;
    let page = page.map_err(BrowseError::Query)?;
    let whole = |row: ParkedRow| {
        let payload = base64::engine::general_purpose::STANDARD.encode(&row.payload);
        ParkedMessage { row, payload }
    };
    Ok(Json(ParkedMessages { rows: page.rows.into_iter().map(whole).collect(), next: page.next }))
}
