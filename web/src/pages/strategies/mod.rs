//! Strategies, now or as of a moment of the past: which are registered, how each is, what it earned, and their switches;
//! one with all about it.

mod actions;
mod detail;
mod kinds;
mod list;
mod row;
mod score;

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};

use super::timeline::Control;
use super::{Layout, Of, Page, Panel, Params, Visit};
use crate::access::Role;
use crate::app::App;
use crate::error::PageError;
use crate::url::Url;

pub use actions::{failed, new_strategy, register, remove, replace, rotate};
pub use detail::{missing, page as detail};
pub use score::page as score;

/// The Strategies page.
pub static PAGE: Page =
    Page { title: "Strategies", url: Url::Strategies, key: 's', panels: &[&TABLE, &detail::STRATEGY] };

/// Every strategy. The same for everybody, so the stream carries it; how far consumers are moves with bars.
static TABLE: Panel =
    Panel::pushed("strategies-table", &["bars", "trading"], |scope| Box::pin(list::table(scope)))
        .of(Of::Deck)
        .every_ms(250);

/// Path of the page.
const PATH: &str = "/strategies";

#[derive(Template)]
#[template(path = "strategies.html")]
struct StrategiesPage<'a> {
    layout: Layout<'a>,
    timeline: Control,
    table: String,
    /// Why the visitor cannot register one; empty who can.
    barred: String,
    accounts: &'a [String],
    subjects: String,
    /// What a sizing may be.
    sizing: &'static str,
    kinds: &'static [domain::strategy::Kind],
}

/// `GET /strategies`
pub async fn page(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let timeline = Control::of(&app, &params, PATH).await?;
    let scope = &visit.scope();
    let live: &[&Panel] = if timeline.is_past() { &[] } else { &[&TABLE] };
    let mut layout = visit.layout(scope, live).await?;
    let mut barred = barred(&app, &headers);
    if timeline.is_past() {
        layout.set_past();
        barred = "Nothing can be registered in the past.".to_owned();
    }
    let table = TABLE.render(scope).await?;
    let subjects = runtime::DEFAULT_SUBJECTS.join(", ");
    let (sizing, kinds) = (domain::sizing::EXPECTED, kinds::all());
    let accounts = &visit.accounts;
    let html = StrategiesPage { layout, timeline, table, barred, accounts, subjects, sizing, kinds }.render();
    visit.respond(html)
}

/// `GET /guides/{name}`: the guides to strategies as they stand in `docs`, for whoever has no checkout at hand.
pub async fn guide(Path(name): Path<String>) -> Result<Response, PageError> {
    let text = match name.as_str() {
        "first-strategy" => include_str!("../../../../docs/tutorials/first-strategy.md"),
        "strategies" => include_str!("../../../../docs/strategies.md"),
        kind => kinds::guide(kind).ok_or_else(|| PageError::Missing(format!("guide {name:?}")))?,
    };
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Why a visitor cannot register, replace or remove a strategy; empty for who can.
fn barred(app: &App, headers: &HeaderMap) -> String {
    match app.actor(headers) {
        Ok(actor) if actor.role >= Role::Admin => String::new(),
        Ok(actor) => format!("This takes the role {}; yours is {}.", Role::Admin, actor.role),
        Err(error) => error.to_string(),
    }
}
