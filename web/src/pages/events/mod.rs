//! Events: the tape as it is. Streams and subjects as a tree, lists filtered by subject, kind and chain, jumps
//! to a sequence or a moment, one message in every form, chains from bar to fill, and messages set aside.
//!
//! Browsing leaves no consumer on the server: everything is read by single requests (`crate::browse`).

mod chain;
mod detail;
mod list;
mod parked;
mod tree;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDateTime};
use event_log::Moment;

use super::table::Tab;
use super::{Layout, Page, Panel, Params, Rendering, Visit};
use crate::app::App;
use crate::browse::{self, BrowseError, Wanted, WantedError};
use crate::error::PageError;
use crate::url::Url;

pub use chain::page as chain;
pub use detail::page as detail;
pub use parked::{dismiss, dismissed, page as parked, replay, replayed};
pub use tree::fragment as tree;

/// The Events page.
pub static PAGE: Page =
    Page { title: "Events", url: Url::Events, key: 'e', panels: &[&LIST, &parked::PARKED] };

/// The list. Not every stream has a projection whose commits tell of it, so it is looked at each second.
static LIST: Panel = Panel::fetched("tape-events", &[], |scope| Box::pin(list::list(scope))).every_ms(1_000);

/// Path of the page.
const PATH: &str = "/events";

impl From<WantedError> for PageError {
    fn from(error: WantedError) -> Self {
        Self::Field { field: error.field.into(), value: error.value, expected: error.expected }
    }
}

impl From<BrowseError> for PageError {
    fn from(error: BrowseError) -> Self {
        match error {
            BrowseError::Log(error) => Self::Unread(error.to_string()),
            BrowseError::Query(error) => Self::ReadModel(error.to_string()),
        }
    }
}

/// The tabs that all parts of the page share.
fn tabs(current: &str) -> Vec<Tab> {
    [("events", "Events", Url::Events), ("parked", "Parked", Url::Parked)]
        .into_iter()
        .map(|(name, title, url)| Tab { title, url: url.to_string(), current: name == current })
        .collect()
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage<'a> {
    layout: Layout<'a>,
    tabs: Vec<Tab>,
    streams: Vec<&'static str>,
    kinds: Vec<&'static str>,
    stream: &'static str,
    subject: String,
    kind: String,
    correlation: String,
    causation: String,
    clear: Option<String>,
    /// Fields that a jump keeps.
    kept: Vec<(String, String)>,
    tree: String,
    list: String,
}

/// `GET /events`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    params.check()?;
    let wanted = Wanted::of(&params)?;
    if let Some(address) = jump(&app, &params, &wanted).await? {
        return Ok(Redirect::to(&address).into_response());
    }
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let html = assemble(&visit, &wanted).await;
    visit.respond(html)
}

/// Where a jump to a sequence (`seq`) or a moment (`at`, with `clock`) leads: the same list, beginning there.
async fn jump(app: &App, params: &Params, wanted: &Wanted) -> Result<Option<String>, PageError> {
    let sequence = match (params.get("seq"), params.get("at")) {
        (Some(text), _) => text
            .parse::<u64>()
            .map_err(|_| PageError::field("seq", text, "a sequence, a whole number from 1"))?,
        (None, Some(text)) => {
            let moment = match params.one_of("clock", &["event", "recorded"])?.as_deref() {
                Some("recorded") => Moment::Recorded,
                _ => Moment::Event,
            };
            let ns = instant(text)?;
            event_log::first_at(&app.context.tape, wanted.stream, moment, ns)
                .await
                .map_err(|error| PageError::from(BrowseError::Log(error)))?
        }
        (None, None) => return Ok(None),
    };
    let kept = params.without(&["seq", "at", "clock", "before", "after"]);
    let before = sequence.saturating_add(1);
    Ok(Some(kept.with("before", &before.to_string()).link(PATH)))
}

/// UTC nanoseconds of a time as a form or a person writes it.
fn instant(text: &str) -> Result<i64, PageError> {
    let zoned = DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    let plain = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(|time| time.and_utc());
    let ns = zoned.or(plain).and_then(|time| time.timestamp_nanos_opt());
    ns.ok_or_else(|| PageError::field("at", text, "a time in UTC such as 2026-01-02T15:00:00Z"))
}

async fn assemble(visit: &Visit<'_>, wanted: &Wanted) -> Rendering {
    let scope = &visit.scope();
    let params = visit.params;
    let layout = visit.layout(scope, &[&LIST]).await?;
    let (list, tree) = (LIST.render(scope).await?, tree::root(visit.app, wanted).await?);
    let text = |name: &str| params.owned(name).unwrap_or_default();
    let fields = ["subject", "type", "correlation", "causation"];
    let filtered = fields.iter().any(|name| params.get(name).is_some());
    let kept = ["stream", "subject", "type", "correlation", "causation"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), params.owned(name)?)))
        .collect();
    EventsPage {
        layout,
        tabs: tabs("events"),
        streams: browse::STREAMS.to_vec(),
        kinds: projections::KIND_SUBJECTS.iter().map(|(kind, _)| *kind).collect(),
        stream: wanted.stream,
        subject: text("subject"),
        kind: text("type"),
        correlation: text("correlation"),
        causation: text("causation"),
        clear: filtered.then(|| Params::from([("stream", wanted.stream)]).link(PATH)),
        kept,
        tree,
        list,
    }
    .render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_forms_and_people_write_them() {
        for text in
            ["2026-01-02T15:00:00Z", "2026-01-02T16:00:00+01:00", "2026-01-02T15:00", "2026-01-02 15:00:00"]
        {
            assert_eq!(instant(text).unwrap(), 1_767_366_000_000_000_000, "{text}");
        }
        let error = instant("yesterday").unwrap_err().to_string();
        assert_eq!(error, "at = \"yesterday\": expected a time in UTC such as 2026-01-02T15:00:00Z");
    }
}
