//! The pages, one module each. A page is a list of panels; a panel renders the same element for the page,
//! for a retry and for the live stream.
//!
//! Chart, Orders, Positions, Strategies, Events, System, Logs and Settings join here: a module, a row in
//! [`Page::ALL`], and their panels in [`Topic`].

mod layout;
pub mod overview;
mod panel;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::live::{self, LiveQuery};
use crate::url::Url;

pub use layout::Layout;
pub use panel::{Body, Panel, Rendering, Scope, Shown, Topic};

/// A page of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The Overview.
    Overview,
}

impl Page {
    /// Every page that exists, in the order of the navigation.
    pub const ALL: [Self; 1] = [Self::Overview];

    fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
        }
    }

    fn url(self) -> Url<'static> {
        match self {
            Self::Overview => Url::Overview,
        }
    }
}

/// `GET /live`: the elements of the asked topics, as they change.
pub async fn live(
    State(app): State<Arc<App>>,
    Query(query): Query<LiveQuery>,
    headers: HeaderMap,
) -> Response {
    let Some(topics) = query.topics() else {
        return (StatusCode::BAD_REQUEST, "topics: expected 1 to 64 names, comma-separated\n")
            .into_response();
    };
    let accounts: BTreeSet<String> = match overview::account_names(&app).await {
        Ok(accounts) => accounts.into_iter().collect(),
        Err(error) => return error.into_response(),
    };
    if let Some(unknown) = topics.iter().find(|topic| !Topic::known(topic, &accounts)) {
        return (StatusCode::NOT_FOUND, format!("topics: there is no {unknown:?}\n")).into_response();
    }
    let version = query.version(&headers);
    let Some(subscription) = app.hub.subscribe(topics) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many live clients\n").into_response();
    };
    live::stream(subscription, version, app.context.shutdown.clone()).into_response()
}
