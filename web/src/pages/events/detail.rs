//! One message in every form: decoded, JSON, hex, headers.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::stream::TRADING;

use super::{PAGE, PATH};
use crate::app::App;
use crate::browse::{self, Message};
use crate::error::PageError;
use crate::pages::table::{Tab, tabs};
use crate::pages::{Layout, Params, Rendering, Visit, timeline};
use crate::url::Url;
use crate::view::{Instant, count};

/// Values of the field `tab` with their titles.
const TABS: [(&str, &str); 4] =
    [("decoded", "Decoded"), ("json", "JSON"), ("hex", "Hex"), ("headers", "Headers")];

#[derive(Template)]
#[template(path = "events/detail.html")]
struct DetailPage<'a> {
    layout: Layout<'a>,
    stream: &'static str,
    sequence: u64,
    subject: String,
    subject_url: String,
    kind: &'static str,
    summary: String,
    readable: bool,
    event_id: String,
    event_time: Option<Instant>,
    recorded_time: Option<Instant>,
    stored: Instant,
    bytes: String,
    source: String,
    chain: Option<String>,
    correlation: Option<(String, String)>,
    causation: Option<(String, String)>,
    older: String,
    newer: String,
    tab: &'static str,
    tabs: Vec<Tab>,
    fields: Vec<(String, String)>,
    text: String,
    headers: Vec<(String, String)>,
    command: String,
    nats: String,
    /// Of a decision and what follows from it: the state after it, and how to prove it.
    decided: Option<Decided>,
}

/// What an event of TRADING leads to.
#[derive(Debug)]
struct Decided {
    /// The Overview as of the event.
    state: String,
    /// The command that derives the event again from its recorded inputs.
    replay: String,
}

impl Decided {
    fn of(tape: &str, stream: &str, sequence: u64) -> Option<Self> {
        let as_of = Params::from([(timeline::FIELD, format!("seq:{sequence}").as_str())]);
        (stream == TRADING).then(|| Self {
            state: as_of.link(&Url::Overview.to_string()),
            replay: format!("tapedeck replay --tape {tape} --from {sequence} --to {sequence}"),
        })
    }
}

/// `GET /events/{stream}/{sequence}`
pub async fn page(
    State(app): State<Arc<App>>,
    Path((stream, sequence)): Path<(String, u64)>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let missing = || PageError::Missing(format!("event {stream} {sequence}"));
    let stream = browse::stream_named(&stream).ok_or_else(missing)?;
    let names = TABS.map(|(name, _)| name);
    let asked = params.one_of("tab", &names)?;
    let message = browse::message(&app.context.tape, stream, sequence).await?.ok_or_else(missing)?;
    // What cannot be decoded is shown as it is.
    let otherwise = if message.row.readable { "decoded" } else { "hex" };
    let tab = asked.and_then(|asked| names.into_iter().find(|name| *name == asked)).unwrap_or(otherwise);
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let html = assemble(&visit, message, tab).await;
    visit.respond(html)
}

async fn assemble(visit: &Visit<'_>, message: Message, tab: &'static str) -> Rendering {
    let layout = visit.layout(&visit.scope(), &[]).await?;
    let (fields, text) = match tab {
        "decoded" => (message.fields(), String::new()),
        "json" => {
            let pretty = message.json.as_ref().and_then(|json| serde_json::to_string_pretty(json).ok());
            (Vec::new(), pretty.unwrap_or_default())
        }
        "hex" => (Vec::new(), message.hex()),
        _ => (Vec::new(), String::new()),
    };
    let bytes = count(message.bytes as u64);
    let row = message.row;
    let path = Url::Event(row.stream, row.sequence).to_string();
    let list = |name: &str, id: &str| {
        let kept = Params::from([("stream", row.stream), (name, id)]);
        (!id.is_empty()).then(|| (id.to_owned(), kept.link(PATH)))
    };
    let place = |name: &str, sequence: u64| {
        Params::from([("stream", row.stream), (name, &sequence.to_string())]).link(PATH)
    };
    DetailPage {
        layout,
        correlation: list("correlation", &row.correlation_id),
        causation: list("causation", &row.causation_id),
        older: place("before", row.sequence),
        newer: place("after", row.sequence),
        chain: (!row.event_id.is_empty())
            .then(|| Url::ChainAt(&row.event_id, row.stream, row.sequence).to_string()),
        subject_url: Params::from([("stream", row.stream), ("subject", &row.subject)]).link(PATH),
        command: format!(
            "tapedeck tail --tape {} --subject '{}' --from-seq {} --limit 1 --no-follow --json",
            visit.app.config.tape, row.subject, row.sequence
        ),
        nats: format!("nats stream get {} {}", row.stream, row.sequence),
        decided: Decided::of(&visit.app.config.tape, row.stream, row.sequence),
        stream: row.stream,
        sequence: row.sequence,
        subject: row.subject,
        kind: row.kind,
        summary: row.summary,
        readable: row.readable,
        event_id: row.event_id,
        event_time: row.event_time_ns.map(Instant),
        recorded_time: row.recorded_time_ns.map(Instant),
        stored: Instant(row.stored_ns),
        bytes,
        source: row.source,
        tabs: detail_tabs(&path, visit.params, tab),
        tab,
        fields,
        text,
        headers: message.headers,
    }
    .render()
}

/// The first tab is the default only of a message that can be read, so each has its field.
fn detail_tabs(path: &str, params: &Params, current: &str) -> Vec<Tab> {
    let mut tabs = tabs(path, params, &TABS, current);
    if let Some(first) = tabs.first_mut() {
        first.url = params.with("tab", TABS[0].0).link(path);
    }
    tabs
}
