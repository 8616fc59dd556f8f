//! Panels: what one looks like whatever it shows, and which changes of the read models concern it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::app::App;
use crate::session::FormKeys;
use crate::url::Url;

/// A panel of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Panel {
    /// Market time in the header.
    Clock,
    /// First steps of a new tape.
    Checklist,
    /// Equity, P&L, drawdown, exposure, Sharpe.
    Tiles,
    /// Newest points of the equity line, and the line as a table.
    Equity,
    /// Market status, next open and close.
    Market,
    /// The kill switch.
    Kill,
    /// What needs attention.
    Alerts,
    /// Strategies with their switches.
    Strategies,
    /// Open positions.
    Positions,
    /// Recent orders and denials.
    Orders,
    /// Last price per symbol.
    Prices,
    /// Recent fills.
    Fills,
    /// Last events of TRADING.
    Events,
}

impl Panel {
    /// Every panel.
    pub const ALL: [Self; 13] = [
        Self::Clock,
        Self::Checklist,
        Self::Tiles,
        Self::Equity,
        Self::Market,
        Self::Kill,
        Self::Alerts,
        Self::Strategies,
        Self::Positions,
        Self::Orders,
        Self::Prices,
        Self::Fills,
        Self::Events,
    ];

    /// Its name in addresses and topics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Checklist => "checklist",
            Self::Tiles => "tiles",
            Self::Equity => "equity",
            Self::Market => "market",
            Self::Kill => "kill",
            Self::Alerts => "alerts",
            Self::Strategies => "strategies",
            Self::Positions => "positions",
            Self::Orders => "orders",
            Self::Prices => "prices",
            Self::Fills => "fills",
            Self::Events => "events",
        }
    }

    /// The panel of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|panel| panel.name() == name)
    }

    /// The projections whose commits may change it.
    #[must_use]
    pub fn sources(self) -> &'static [&'static str] {
        match self {
            Self::Clock | Self::Checklist | Self::Positions => &["bars", "trading"],
            Self::Market => &["bars", "trading", "calendar"],
            Self::Alerts => &["trading", "calendar", "services", "parked"],
            Self::Prices => &["bars"],
            Self::Tiles
            | Self::Equity
            | Self::Kill
            | Self::Strategies
            | Self::Orders
            | Self::Fills
            | Self::Events => &["trading"],
        }
    }

    /// Least time between two renderings: tables at most 10 a second, bars at most 4.
    #[must_use]
    pub fn cadence(self) -> Duration {
        match self {
            Self::Prices | Self::Clock | Self::Equity | Self::Checklist => Duration::from_millis(250),
            _ => Duration::from_millis(100),
        }
    }
}

/// What the live stream calls a panel of an account: `orders.paper`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The panel.
    pub panel: Panel,
    /// The account it shows.
    pub account: String,
}

impl Topic {
    /// Reads a topic.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (panel, account) = text.split_once('.')?;
        Some(Self { panel: Panel::named(panel)?, account: account.to_owned() })
    }

    /// Whether `text` names a panel of one of `accounts`; the empty account stands for a tape without any.
    #[must_use]
    pub fn known(text: &str, accounts: &BTreeSet<String>) -> bool {
        Self::parse(text).is_some_and(|topic| topic.account.is_empty() || accounts.contains(&topic.account))
    }

    /// The topics of a page that shows every panel of `account`.
    #[must_use]
    pub fn all(account: &str) -> String {
        Panel::ALL.map(|panel| format!("{}.{account}", panel.name())).join(",")
    }
}

/// For whom and as of which version a panel is rendered.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    /// The application.
    pub app: &'a App,
    /// The account shown; empty when there is none yet.
    pub account: &'a str,
    /// The version to state; 0 in the live stream, which fills it in.
    pub version: u64,
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
    pub async fn read<E: std::fmt::Display>(
        scope: &Scope<'_>,
        panel: Panel,
        read: impl Future<Output = Result<Option<T>, E>>,
    ) -> Self {
        /// A page waits this long for each panel; the panel's own request waits for the pool's timeout.
        const PATIENCE: Duration = Duration::from_millis(400);
        let outcome =
            if scope.version == 0 { Ok(read.await) } else { tokio::time::timeout(PATIENCE, read).await };
        let state = match outcome {
            Ok(Ok(Some(content))) => Shown::Ready(content),
            Ok(Ok(None)) => Shown::Empty,
            Ok(Err(error)) => {
                tracing::warn!(%error, panel = panel.name(), "panel {} not read: {error}", panel.name());
                Shown::Failed("The read model cannot be read now.".to_owned())
            }
            Err(_) => Shown::Loading,
        };
        let note = scope.app.freshness.note(panel.sources());
        Self { state, note, retry: Url::Panel(panel.name(), scope.account).to_string() }
    }
}
