//! One visitor's request for a page: what every page's handler begins and ends with.

use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};

use super::{Layout, Page, Panel, Params, Rendering, Scope, account_names, layout};
use crate::app::App;
use crate::error::PageError;
use crate::session::FormKeys;

/// See the module.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The application.
    pub app: &'a App,
    /// The query.
    pub params: &'a Params,
    /// Names of all accounts; empty when they cannot be read, upon which every panel says so.
    pub accounts: Vec<String>,
    /// The account asked for, or the first; empty while there is none.
    pub account: String,
    page: &'static Page,
    headers: &'a HeaderMap,
    version: u64,
    keys: FormKeys,
}

impl<'a> Visit<'a> {
    /// Begins: notes the live version before any data is read, so that whatever changes meanwhile has a
    /// newer one, and finds out whom the page is for.
    pub async fn begin(
        app: &'a App,
        page: &'static Page,
        params: &'a Params,
        headers: &'a HeaderMap,
    ) -> Result<Self, PageError> {
        params.check()?;
        let version = app.hub.version();
        let asked = params.get("account").unwrap_or_default();
        let (accounts, account) = match account_names(app).await {
            Ok(accounts) => {
                let account = chosen(&accounts, asked)?.to_owned();
                (accounts, account)
            }
            // Every panel then says that it cannot be read, and offers to try again.
            Err(error) => {
                tracing::warn!(%error, "accounts not read: {error}");
                (Vec::new(), asked.to_owned())
            }
        };
        let keys = app.sessions.form_keys(&app.sessions.of(headers));
        Ok(Self { app, params, accounts, account, page, headers, version, keys })
    }

    /// For whom the page's panels are rendered.
    #[must_use]
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            app: self.app,
            account: &self.account,
            symbol: "",
            params: self.params,
            version: self.version,
            patient: false,
            keys: self.keys.clone(),
        }
    }

    /// The frame of the page, live with those of its panels that `scope` shows.
    pub async fn layout(&self, scope: &Scope<'_>, live: &[&Panel]) -> Result<Layout<'a>, askama::Error> {
        let mode = self.app.mode(&self.accounts).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "whether an account is traded with real money is not known: {error}");
            self.app.config.mode
        });
        let (version, keys) = (self.version, self.keys.clone());
        let mut frame = Layout::new(self.app, self.page, mode, version, self.headers, keys);
        frame.clock = layout::CLOCK.render(scope).await?;
        let panels = std::iter::once(&layout::CLOCK).chain(live.iter().copied());
        let topics: Vec<String> = panels.map(|panel| panel.topic(scope)).collect();
        frame.topics = topics.join(",");
        Ok(frame)
    }

    /// The answer.
    pub fn respond(self, html: Rendering) -> Result<Response, PageError> {
        Ok(Html(html?).into_response())
    }
}

/// The account asked for, or the first; empty while there is none.
pub fn chosen<'a>(accounts: &'a [String], asked: &str) -> Result<&'a str, PageError> {
    if asked.is_empty() {
        return Ok(accounts.first().map_or("", String::as_str));
    }
    let found = accounts.iter().find(|account| *account == asked);
    found.map(String::as_str).ok_or_else(|| PageError::Missing(format!("account {asked:?}")))
}
