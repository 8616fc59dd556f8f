//! The pages, one module each. A page is a list of panels; a panel renders the same element for the page,
//! for a retry and for the live stream.
//!
//! # How to add a page
//!
//! 1. A module beside this one with `pub static PAGE: Page`, and a row in [`Page::ALL`]: the navigation, the
//!    `g` key, the palette and the help follow from it.
//! 2. A `static` [`Panel`] per panel, listed in `PAGE.panels`. [`Panel::pushed`] when everybody sees the same
//!    (the stream carries the element), [`Panel::fetched`] when it depends on the page's filters (the stream
//!    only says that something changed; the page fetches the element again, at most ten times a second, not
//!    while paused). Both are drawn by `async fn(&Scope) -> Rendering`: read with [`Body::read`], which gives
//!    the states empty, loading, error and stale, and render a template whose root element is
//!    `<div id="NAME" data-panel data-v="{{ v }}">`; a fetched one adds `data-refetch="{{ body.retry }}"`.
//!    Rows carry a stable `id`, which is what keeps the keyboard's focus.
//! 3. A handler: [`Visit::begin`], render the panels with [`Visit::scope`], [`Visit::layout`], a template that
//!    extends `base.html`, [`Visit::respond`]; its address in `url.rs` and its line in `server.rs`.
//!    Panels need no line: `/panels/{name}` serves them all.
//! 4. Filters are fields of [`Params`], read in the panel; [`table`] has tabs, pager and cursors, [`csv`] the
//!    download. Tables of four and more columns have the class `cards` and a `data-label` per cell; a row's
//!    link has the attribute `data-open` (`Enter`), the first filter `data-filter` (`/`).
//! 5. A browser test: `checkPage` of `tests/browser/checks.ts` with the page's path.

pub mod backtests;
pub mod chart;
pub mod comparisons;
pub mod csv;
pub mod events;
mod layout;
pub mod logs;
pub mod orders;
pub mod overview;
mod palette;
mod panel;
mod params;
pub mod positions;
mod quality;
pub mod settings;
pub mod strategies;
pub mod system;
pub mod table;
pub mod timeline;
mod visit;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use projections::queries;

use crate::access::{Actor, Standing};
use crate::api::Problems;
use crate::app::App;
use crate::error::PageError;
use crate::live::{self, LiveQuery};
use crate::url::Url;

#[cfg(test)]
pub use layout::CLOCK;
pub use layout::{Layout, theme};
pub use palette::palette;
pub use panel::{Body, Of, Panel, Refresh, Rendering, Scope, Shown, Topic};
pub use params::Params;
pub use system::Rates;
pub use visit::{Visit, chosen};

/// A page of the site.
#[derive(Debug)]
pub struct Page {
    /// Title, in the navigation too.
    pub title: &'static str,
    /// Address.
    pub url: Url<'static>,
    /// Goes there after `g`.
    pub key: char,
    /// Its panels.
    pub panels: &'static [&'static Panel],
}

impl Page {
    /// Every page that exists, in the order of the navigation.
    ///
    /// Kept keys: `h` Overview, `c` Chart, `o` Orders, `p` Positions, `s` Strategies, `b` Backtests, `a` Parity,
    /// `k` Fork, `e` Events, `y` System, `l` Logs, `t` Settings.
    pub const ALL: &'static [&'static Self] = &[
        &overview::PAGE,
        &chart::PAGE,
        &orders::PAGE,
        &positions::PAGE,
        &strategies::PAGE,
        &backtests::PAGE,
        &comparisons::PARITY,
        &comparisons::FORK,
        &events::PAGE,
        &system::PAGE,
        &logs::PAGE,
        &settings::PAGE,
    ];
}

/// Names of all accounts, in order.
pub async fn account_names(app: &App) -> Result<Vec<String>, PageError> {
    let accounts =
        queries::accounts(&app.config.pool).await.map_err(|error| PageError::ReadModel(error.to_string()))?;
    Ok(accounts.into_iter().map(|account| account.account).collect())
}

/// `GET /panels/{name}`: one panel again: after an error, when it was slow, or because it changed.
pub async fn panel(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Html<String>, PageError> {
    params.check()?;
    let panel = Panel::named(&name).ok_or_else(|| PageError::Missing(format!("panel {name:?}")))?;
    // Read before any data: what changes meanwhile has a newer version.
    let version = app.hub.version();
    let session = app.sessions.of(&headers);
    let scope = Scope {
        app: &app,
        account: params.get("account").unwrap_or_default(),
        symbol: params.get("symbol").unwrap_or_default(),
        params: &params,
        version,
        patient: true,
        keys: app.sessions.form_keys(&session),
    };
    Ok(Html(panel.render(&scope).await?))
}

/// The elements of the asked topics, as they change.
///
/// Server-sent events: `event` is the topic, `id` the version to resume after (`Last-Event-ID` or `after`),
/// `data` the element as HTML. A `beat` comes each second; `resync` says that the buffer was exceeded and
/// what is shown must be fetched again. The answer ends when the server stops, or when whoever asked is no longer
/// signed in.
#[utoipa::path(get, path = "/live", tag = "events", operation_id = "follow_pages", params(LiveQuery),
    responses((status = 200, body = String, content_type = "text/event-stream"), Problems))]
pub async fn live(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    Query(query): Query<LiveQuery>,
    headers: HeaderMap,
) -> Response {
    let Some(topics) = query.topics() else {
        let most = live::TOPICS_MAX;
        let expected = format!("topics: expected 1 to {most} names, comma-separated\n");
        return (StatusCode::BAD_REQUEST, expected).into_response();
    };
    let accounts: BTreeSet<String> = match account_names(&app).await {
        Ok(accounts) => accounts.into_iter().collect(),
        Err(error) => return error.into_response(),
    };
    if let Some(unknown) = topics.iter().find(|topic| !Topic::known(topic, &accounts)) {
        return (StatusCode::NOT_FOUND, format!("topics: there is no {unknown:?}\n")).into_response();
    }
    let version = query.version(&headers);
    let Some(held) = app.streams.admit(&actor.name) else {
        let most = live::OWN_STREAMS_MAX;
        let why = format!("{} has {most} live streams open, the most for one", actor.name);
        return PageError::Busy(why).into_response();
    };
    let Some(subscription) = app.hub.subscribe(topics) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many live clients\n").into_response();
    };
    let standing = Standing::of(&app, &headers);
    live::stream(subscription, standing, held, version, app.context.shutdown.clone()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_titles_and_panels_are_unique() {
        let mut seen = BTreeSet::new();
        for page in Page::ALL {
            assert!(seen.insert(page.key.to_string()), "two pages have the key {}", page.key);
            assert!(seen.insert(page.title.to_owned()), "two pages are called {}", page.title);
        }
        let mut names = BTreeSet::new();
        for panel in Panel::all() {
            assert!(names.insert(panel.name), "two panels are called {}", panel.name);
            assert!(!panel.name.contains(['.', ',', '/']), "{} would not be one word of a topic", panel.name);
        }
    }
}
