//! Panels: what one looks like whatever it shows, which changes of the read models concern it, and how it
//! reaches the browser.

use std::any::Any;
use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::BoxFuture;

use super::{Page, Params, layout, timeline};
use crate::app::App;
use crate::error::PageError;
use crate::session::FormKeys;
use crate::url::Url;

/// How a panel's changes reach a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// The stream carries the element. It is the same for everyone who watches the topic.
    Pushed,
    /// The stream only says that something changed, and the page fetches the element with its own filters.
    Fetched,
}

/// What a panel is of: the part of its topic behind the dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// An account; the empty one stands for the first.
    Account,
    /// A symbol.
    Symbol,
    /// The whole deck: nothing stands behind the dot.
    Deck,
}

/// Renders a panel, whatever state its content is in.
pub type Draw = for<'a> fn(&'a Scope<'a>) -> BoxFuture<'a, Rendering>;

/// A panel of a page.
#[derive(Debug)]
pub struct Panel {
    /// Its name in addresses and topics, and the id of its element: unique on the whole site, without a dot.
    pub name: &'static str,
    /// The projections whose commits may change it. One without any ages by itself and is due each second.
    pub sources: &'static [&'static str],
    /// Least time between two renderings: tables at most 10 a second, bars at most 4.
    pub cadence: Duration,
    /// What it is of.
    pub of: Of,
    /// How its changes reach a page.
    pub refresh: Refresh,
    draw: Draw,
}

impl Panel {
    /// A panel whose element the stream carries.
    #[must_use]
    pub const fn pushed(name: &'static str, sources: &'static [&'static str], draw: Draw) -> Self {
        let cadence = Duration::from_millis(100);
        Self { name, sources, cadence, of: Of::Account, refresh: Refresh::Pushed, draw }
    }

    /// A panel that each page fetches with its own filters when the stream says that something changed.
    #[must_use]
    pub const fn fetched(name: &'static str, sources: &'static [&'static str], draw: Draw) -> Self {
        Self { of: Of::Deck, refresh: Refresh::Fetched, ..Self::pushed(name, sources, draw) }
    }

    /// The same, rendered at most once in so many milliseconds.
    #[must_use]
    pub const fn every_ms(self, least: u64) -> Self {
        Self { cadence: Duration::from_millis(least), ..self }
    }

    /// The same, of something else.
    #[must_use]
    pub const fn of(self, of: Of) -> Self {
        Self { of, ..self }
    }

    /// Every panel of the site.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        let pages = Page::ALL.iter().flat_map(|page| page.panels.iter().copied());
        std::iter::once(&layout::CLOCK).chain(pages)
    }

    /// The panel of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|panel| panel.name == name)
    }

    /// What the stream calls this panel of `scope`: `orders.paper`.
    #[must_use]
    pub fn topic(&self, scope: &Scope<'_>) -> String {
        let of = match self.of {
            Of::Account => scope.account,
            Of::Symbol => scope.symbol,
            Of::Deck => "",
        };
        format!("{}.{of}", self.name)
    }

    /// Where to load it again for `scope`.
    #[must_use]
    pub fn url(&self, scope: &Scope<'_>) -> String {
        let own = match self.of {
            Of::Account => Params::default().with("account", scope.account),
            Of::Symbol => Params::default().with("symbol", scope.symbol),
            Of::Deck => Params::default(),
        };
        let params = match (self.refresh, scope.params.get(timeline::FIELD)) {
            (Refresh::Fetched, _) => scope.params.clone(),
            (Refresh::Pushed, Some(moment)) => own.with(timeline::FIELD, moment),
            (Refresh::Pushed, None) => own,
        };
        Url::Panel(self.name, &params).to_string()
    }

    /// Renders it. The empty account stands for the first one, so that a page that was opened on an empty
    /// tape fills as the tape does.
    pub async fn render(&self, scope: &Scope<'_>) -> Rendering {
        if self.of != Of::Account || !scope.account.is_empty() {
            return (self.draw)(scope).await;
        }
        // Names that cannot be read leave it empty; the panel's own reading fails then and says so.
        let names = super::account_names(scope.app).await.unwrap_or_default();
        let account = names.first().map_or("", String::as_str);
        (self.draw)(&Scope { account, ..scope.clone() }).await
    }
}

/// What the live stream calls a panel of something: `orders.paper`.
#[derive(Clone, Debug)]
pub struct Topic {
    /// The panel.
    pub panel: &'static Panel,
    /// What it is of: an account, a symbol, or nothing.
    pub of: String,
}

/// Longest symbol of a topic, in bytes.
const SYMBOL_BYTES_MAX: usize = 32;

impl Topic {
    /// Reads a topic.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (panel, of) = text.split_once('.')?;
        Some(Self { panel: Panel::named(panel)?, of: of.to_owned() })
    }

    /// Whether `text` names a panel of something there is; the empty account stands for a tape without any.
    #[must_use]
    pub fn known(text: &str, accounts: &BTreeSet<String>) -> bool {
        Self::parse(text).is_some_and(|topic| match topic.panel.of {
            Of::Account => topic.of.is_empty() || accounts.contains(&topic.of),
            Of::Symbol => (1..=SYMBOL_BYTES_MAX).contains(&topic.of.len()),
            Of::Deck => topic.of.is_empty(),
        })
    }

    /// For whom the stream renders it.
    #[must_use]
    pub fn scope<'a>(&'a self, app: &'a App, params: &'a Params) -> Scope<'a> {
        let (account, symbol) = match self.panel.of {
            Of::Account => (self.of.as_str(), ""),
            Of::Symbol => ("", self.of.as_str()),
            Of::Deck => ("", ""),
        };
        Scope { app, account, symbol, params, version: 0, patient: true, keys: FormKeys::default() }
    }
}

/// For whom and as of which version a panel is rendered.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// The application.
    pub app: &'a App,
    /// The account shown; empty when there is none yet.
    pub account: &'a str,
    /// The symbol shown; empty on pages that are not of one.
    pub symbol: &'a str,
    /// The page's query: its filters and where in a list it is.
    pub params: &'a Params,
    /// The version to state; 0 in the live stream, which fills it in.
    pub version: u64,
    /// Whether to wait for a slow read model: a page does not, a panel's own request does.
    pub patient: bool,
    /// Keys of the forms; empty in the live stream.
    pub keys: FormKeys,
}

/// A rendered panel.
pub type Rendering = Result<String, askama::Error>;

/// What a panel has to show.
#[derive(Clone, Debug)]
pub enum Shown<T> {
    /// This.
    Ready(T),
    /// Nothing yet; the template says what would be here.
    Empty,
    /// Not read in time; the page asks again by itself.
    Loading,
    /// Why it cannot be shown.
    Failed(String),
}

/// A panel's content with what surrounds it.
#[derive(Clone, Debug)]
pub struct Body<T> {
    /// Content.
    pub state: Shown<T>,
    /// Why the content may be old; empty when it is not.
    pub note: String,
    /// Where to load the panel again.
    pub retry: String,
}

impl<T> Body<T> {
    /// Reads a panel's content, in bounded time: a read model that hangs costs one panel, not the page.
    pub async fn read<E: std::fmt::Display + 'static>(
        scope: &Scope<'_>,
        panel: &Panel,
        read: impl Future<Output = Result<Option<T>, E>>,
    ) -> Self {
        /// A page waits this long for each panel; the panel's own request waits for the pool's timeout.
        const PATIENCE: Duration = Duration::from_millis(400);
        let outcome = if scope.patient { Ok(read.await) } else { tokio::time::timeout(PATIENCE, read).await };
        let state = match outcome {
            Ok(Ok(Some(content))) => Shown::Ready(content),
            Ok(Ok(None)) => Shown::Empty,
            Ok(Err(error)) => Shown::Failed(failure(&error, panel)),
            Err(_) => Shown::Loading,
        };
        let note = scope.app.freshness.note(panel.sources);
        Self { state, note, retry: panel.url(scope) }
    }
}

/// Why a panel shows nothing. A wrong value in the address is its reader's to mend, and no fault to be logged.
fn failure<E: std::fmt::Display + 'static>(error: &E, panel: &Panel) -> String {
    let any: &dyn Any = error;
    if let Some(wrong @ PageError::Field { .. }) = any.downcast_ref::<PageError>() {
        return wrong.to_string();
    }
    tracing::warn!(%error, panel = panel.name, "panel {} not read: {error}", panel.name);
    "The read model cannot be read now.".to_owned()
}
