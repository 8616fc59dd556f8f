//! What every handler shares.

use std::sync::Arc;

use event_log::LogError;
use projections::as_of::Timeline;
use runtime::command::filled::{Fillings, SeriesFilled};

use crate::access::Throttle;
use crate::api::Repeats;
use crate::assets::Assets;
use crate::attached::Attached;
use crate::config::{Mode, WebConfig};
use crate::fleet::Fleet;
use crate::health::Freshness;
use crate::history::Histories;
use crate::holders::Holders;
use crate::live::{Hub, OWN_STREAMS_MAX};
use crate::missing::Missing;
use crate::pages::Rates;
use crate::progress::Runs;
use crate::session::Sessions;
use crate::socket::Sockets;

/// The application.
#[derive(Debug)]
pub struct App {
    /// Configuration.
    pub config: WebConfig,
    /// The tape, the clock, the health board and the shutdown signal.
    pub context: runtime::Context,
    /// Built assets.
    pub assets: Assets,
    /// Live elements.
    pub hub: Arc<Hub>,
    /// Places for sockets of programs.
    pub sockets: Sockets,
    /// Live streams of each user and token.
    pub streams: Holders,
    /// Sessions and tokens.
    pub sessions: Sessions,
    /// Who guesses passwords waits.
    pub throttle: Throttle,
    /// Held while a password is hashed.
    pub hashing: tokio::sync::Mutex<()>,
    /// What mutations of the API came to.
    pub repeats: Repeats,
    /// How fresh the read models are.
    pub freshness: Freshness,
    /// What the numbers of an account's past add up to.
    pub history: Histories,
    /// What the strategies have done so far.
    pub fleet: Fleet,
    /// What the tape says of the accounts' brokers.
    pub attached: Attached,
    /// The state as of a moment.
    pub timeline: Timeline,
    /// How fast the read models move.
    pub rates: Rates,
    /// How far running backtests are.
    pub runs: Runs,
    /// What came of filling the tape, by series.
    pub fillings: tokio::sync::Mutex<Fillings>,
    /// Sessions that are missing, by series.
    pub missing: Missing,
}

impl App {
    /// Puts the parts together.
    pub fn new(context: runtime::Context, config: WebConfig) -> Result<Arc<Self>, serde_json::Error> {
        // Microseconds since 1970 lie above every version of the process before: it had far fewer than
        // a million versions a second. They stay exact in a browser's numbers until the year 2255.
        let start = u64::try_from(runtime::now_ns() / 1_000).unwrap_or_default();
        Ok(Arc::new(Self {
            assets: Assets::load()?,
            hub: Hub::starting_at(start),
            sockets: Sockets::default(),
            streams: Holders::of_at_most(OWN_STREAMS_MAX),
            sessions: Sessions::new(config.secret, config.tls.is_some()),
            throttle: Throttle::default(),
            hashing: tokio::sync::Mutex::default(),
            repeats: Repeats::default(),
            freshness: Freshness::default(),
            history: Histories::default(),
            rates: Rates::default(),
            runs: Runs::default(),
            fillings: tokio::sync::Mutex::default(),
            missing: Missing::default(),
            fleet: Fleet::default(),
            attached: Attached::default(),
            timeline: Timeline::kept_in(Arc::clone(&context.tape), config.books.clone()),
            context,
            config,
        }))
    }

    /// What came last of filling the tape with each series.
    pub async fn filled(&self) -> Result<Vec<SeriesFilled>, LogError> {
        let mut fillings = self.fillings.lock().await;
        fillings.catch_up(&self.context.tape).await?;
        Ok(fillings.series().cloned().collect())
    }

    /// What the tape is for, as its accounts are traded at the moment: one may have been attached to real money by
    /// another process, and long after this one began.
    pub async fn mode(&self, accounts: &[String]) -> Result<Mode, LogError> {
        let mut mode = self.config.mode;
        // A tape for anything else stays what it is, however its accounts are traded.
        if mode != Mode::Paper {
            return Ok(mode);
        }
        for account in accounts {
            if let Some(attached) = self.attached.attachment(&self.context.tape, account).await? {
                mode = mode.traded(attached.mode());
            }
        }
        Ok(mode)
    }
}
