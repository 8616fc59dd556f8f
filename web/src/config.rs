//! What the web service needs to know. The binary reads files and the environment and fills this in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use contracts::v1::TradingMode;
use domain::calendar::Calendar;
use runtime::StrategyAccess;
use sqlx::PgPool;

use crate::access::Store;
use crate::probe::Probe;

/// What the tape is for, shown as text on every page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A simulated market.
    Demo,
    /// Recorded bars driven through the whole system.
    Rehearsal,
    /// The events of a backtest that was written to a tape of its own.
    Backtest,
    /// Live data, simulated money.
    Paper,
    /// Live data, real money.
    Live,
}

impl Mode {
    /// The badge.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Demo => "DEMO",
            Self::Rehearsal => "REHEARSAL",
            Self::Backtest => "BACKTEST",
            Self::Paper => "PAPER",
            Self::Live => "LIVE",
        }
    }

    /// The mode of a tape of this one on which an account is traded so: real money marks everything.
    #[must_use]
    pub fn traded(self, mode: TradingMode) -> Self {
        if self == Self::Paper && mode == TradingMode::Live { Self::Live } else { self }
    }

    /// The badge in words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Demo => "A simulated market. No real prices, no real money.",
            Self::Rehearsal => "Recorded bars through the whole system. No real money.",
            Self::Backtest => "The events of a backtest, as it wrote them. No real money.",
            Self::Paper => "The market of today, simulated money.",
            Self::Live => "The market of today, real money.",
        }
    }
}

/// How fast market time moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// With the wall clock.
    Wall,
    /// This many market seconds per second.
    Times(f64),
    /// As fast as everyone is done.
    Max,
}

impl Speed {
    /// In words, for the page's header.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Wall => "real time".to_owned(),
            Self::Times(times) => format!("{times}× speed"),
            Self::Max => "max speed".to_owned(),
        }
    }
}

/// Where the certificate chain and its private key are, both PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate, then those that lead to its issuer.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Everything the web service is given.
#[derive(Clone)]
pub struct WebConfig {
    /// Where to listen. Any other address than loopback needs `tls`; port 0 means a free one.
    pub bind: SocketAddr,
    /// Further `Host` values to answer to, for example `deck.local:8080`; the bound address and
    /// `localhost` with its port always count.
    pub public_hosts: Vec<String>,
    /// Read models, under the role that may only read.
    pub pool: PgPool,
    /// Name of the tape.
    pub tape: String,
    /// Directory in which books of the tape's past are kept; without one they are folded by each process.
    pub books: Option<PathBuf>,
    /// What the tape is for.
    pub mode: Mode,
    /// How fast market time moves.
    pub speed: Speed,
    /// When the market of the tape is open, and which day a time is of.
    pub calendar: &'static Calendar,
    /// Groups of symbols of the configuration, by name, each with its symbols.
    pub universe: Arc<BTreeMap<String, Vec<String>>>,
    /// Sessions without a bar after which a symbol of them counts as stale; 0 for never.
    pub stale_sessions: u32,
    /// Users, sessions and API tokens.
    pub access: Arc<Store>,
    /// Certificate and key; needed at any other address than loopback.
    pub tls: Option<TlsFiles>,
    /// Key behind sessions and form tokens: random, kept with the tape so that a page outlives a restart.
    pub secret: [u8; 32],
    /// Events by which a projection may be behind its stream while the service still counts as ready.
    pub ready_lag_events_max: u64,
    /// Time without progress, behind the stream, after which a page calls its data stale.
    pub stale_after: Duration,
    /// What the program's log lines are under: its services, whether or not they have said anything yet.
    pub services: Vec<&'static str>,
    /// Program version, shown in the footer.
    pub version: String,
    /// Who makes and removes what an external strategy needs on the server.
    pub strategies: Arc<dyn StrategyAccess>,
    /// Who answers questions about servers, disk and configuration.
    pub probe: Arc<dyn Probe>,
}

impl std::fmt::Debug for WebConfig {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret stays out of logs.
        formatter
            .debug_struct("WebConfig")
            .field("bind", &self.bind)
            .field("tape", &self.tape)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}
