//! What a projection is: a name, a version, a stream with its filters, tables, and a fold.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use contracts::{DecodeError, stream};
use event_log::{LogError, Recorded, Tape};
use serde::Serialize;
use sqlx::PgConnection;

use crate::backtests::Backtests;
use crate::bars::Bars;
use crate::calendar::Calendar;
use crate::jobs::Jobs;
use crate::logs::Logs;
use crate::parked::ParkedMessages;
use crate::reference::Reference;
use crate::services::Services;
use crate::table::{Rows, Table};
use crate::trading::Trading;

/// The projections. The name is also the name of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// Bars and revisions of MARKET.
    Bars,
    /// Corporate actions, sessions and findings of MARKET.
    Calendar,
    /// All of TRADING.
    Trading,
    /// Heartbeats and reports of live sources of LOGS.
    Services,
    /// All of PARKED.
    Parked,
    /// Log lines of LOGS.
    Logs,
    /// Rebuilds and verifications asked for on TRADING.
    Jobs,
    /// Backtests asked for on TRADING.
    Backtests,
    /// Facts and news of REFERENCE.
    Reference,
}

/// A name that is no projection's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "projection {0:?}, expected one of bars, calendar, trading, services, parked, logs, jobs, backtests, reference"
)]
pub struct UnknownProjection(pub String);

impl Name {
    /// Every projection.
    pub const ALL: [Self; 9] = [
        Self::Bars,
        Self::Calendar,
        Self::Trading,
        Self::Services,
        Self::Parked,
        Self::Logs,
        Self::Jobs,
        Self::Backtests,
        Self::Reference,
    ];

    /// Name of the projection and of its schema.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bars => "bars",
            Self::Calendar => "calendar",
            Self::Trading => "trading",
            Self::Services => "services",
            Self::Parked => "parked",
            Self::Logs => "logs",
            Self::Jobs => "jobs",
            Self::Backtests => "backtests",
            Self::Reference => "reference",
        }
    }

    /// Version of the fold. A higher one than the read model's makes the projector rebuild by itself.
    #[must_use]
    pub fn version(self) -> u32 {
        match self {
            // 2: how far the live bars of a series reach; 3: since when; 4: behind which instant a bar was restated.
            Self::Bars => 4,
            // 2: the lots of positions, what is remembered for breakers and sizing; 3: where an order stood after each
            // of its events, who asked for other terms, and nothing of what contradicts its subject; 4: which other terms
            // were denied, and how they are numbered; 5: prices that brokers stated of what they hold,
            // and by how much splits changed positions; 6: what was said of the positions of a strategy goes on while it is
            // in shadow mode, and while a stop says nothing of them; 7: when a broker refused to cancel an order;
            // 8: when a decision was made; 9: what stops a scope is the strictest of what was said of it; 10: differences
            // with brokers that somebody has to look at are alerts.
            Self::Trading => 10,
            // 2: what a search tries instead of the values that stand in for it.
            Self::Backtests => 2,
            _ => 1,
        }
    }

    /// The stream that is folded.
    #[must_use]
    pub fn stream(self) -> &'static str {
        match self {
            Self::Bars | Self::Calendar => stream::MARKET,
            Self::Trading | Self::Jobs | Self::Backtests => stream::TRADING,
            Self::Services | Self::Logs => stream::LOGS,
            Self::Parked => stream::PARKED,
            Self::Reference => stream::REFERENCE,
        }
    }

    /// What of the stream is read; nothing means everything.
    #[must_use]
    pub fn filters(self) -> Vec<String> {
        let filters: &[&str] = match self {
            Self::Calendar => &["market.action.>", "market.session.>", "market.quality.>"],
            Self::Services => &["log.*.heartbeat", "log.*.source"],
            Self::Jobs => &["control.projection.>"],
            Self::Backtests => &["control.backtest.>"],
            // Nearly all of MARKET is bars: passing over the rest costs less than a filter.
            Self::Bars | Self::Trading | Self::Parked | Self::Logs | Self::Reference => &[],
        };
        filters.iter().map(|&filter| filter.to_owned()).collect()
    }

    /// Whether a message of the stream is this projection's to fold, or to set aside when it cannot.
    pub(crate) fn concerns(self, subject: &str) -> bool {
        match self {
            Self::Bars => subject.starts_with("market.bar.") || subject.starts_with("market.revision."),
            Self::Logs => !subject.ends_with(".heartbeat") && !subject.ends_with(".source"),
            _ => true,
        }
    }

    /// Subject of the hint that follows every commit; its payload is the sequence in decimal.
    #[must_use]
    pub fn committed_subject(self) -> String {
        format!("projection.{}.committed", self.name())
    }

    /// Whether the stream loses its oldest messages with time, and the rows made of them may outlive them.
    pub(crate) fn forgets(self) -> bool {
        matches!(self, Self::Services | Self::Logs)
    }

    pub(crate) fn tables(self) -> &'static [&'static Table] {
        match self {
            Self::Bars => crate::bars::TABLES,
            Self::Calendar => crate::calendar::TABLES,
            Self::Trading => crate::trading::TABLES,
            Self::Services => crate::services::TABLES,
            Self::Parked => crate::parked::TABLES,
            Self::Logs => crate::logs::TABLES,
            Self::Jobs => crate::jobs::TABLES,
            Self::Backtests => crate::backtests::TABLES,
            Self::Reference => crate::reference::TABLES,
        }
    }

    /// The projection with nothing folded.
    pub(crate) fn empty(self) -> Box<dyn Projection> {
        match self {
            Self::Bars => Box::new(Bars::default()),
            Self::Calendar => Box::new(Calendar::default()),
            Self::Trading => Box::new(Trading::default()),
            Self::Services => Box::new(Services::default()),
            Self::Parked => Box::new(ParkedMessages::default()),
            Self::Logs => Box::new(Logs::default()),
            Self::Jobs => Box::new(Jobs::default()),
            Self::Backtests => Box::new(Backtests::default()),
            Self::Reference => Box::new(Reference::default()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Name {
    type Err = UnknownProjection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|projection| projection.name() == text)
            .ok_or_else(|| UnknownProjection(text.to_owned()))
    }
}

/// The last sequence that concerns each projection: where its checkpoint stands once it has caught up. 0 where the tape
/// holds no message of a projection's: then it has, wherever its checkpoint stands.
pub async fn heads(tape: &Tape) -> Result<BTreeMap<Name, u64>, LogError> {
    let mut heads = BTreeMap::new();
    for name in Name::ALL {
        heads.insert(name, head(tape, name).await?);
    }
    Ok(heads)
}

pub(crate) async fn head(tape: &Tape, name: Name) -> Result<u64, LogError> {
    let filters = name.filters();
    if filters.is_empty() {
        let state = tape.state(name.stream()).await?;
        // The sequence given last outlives its message, which nobody reaches any more then.
        return Ok(if state.messages == 0 { 0 } else { state.last_sequence });
    }
    let mut head = 0;
    for filter in filters {
        head = head.max(tape.last_sequence(name.stream(), &filter).await?);
    }
    Ok(head)
}

/// The first sequence whose row can be folded again. Rows of earlier ones may have outlived their messages.
pub(crate) async fn oldest(tape: &Tape, name: Name) -> Result<u64, LogError> {
    if !name.forgets() {
        return Ok(0);
    }
    let state = tape.state(name.stream()).await?;
    Ok(if state.messages == 0 { state.last_sequence + 1 } else { state.first_sequence })
}

/// Why an event cannot be folded. Permanent: the message is parked and passed over.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The payload is no event.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// The book refuses it.
    #[error(transparent)]
    Book(#[from] domain::book::FoldError),
    /// A field is missing or out of range.
    #[error("field `{field}`: {problem}")]
    Field {
        /// The field's path.
        field: &'static str,
        /// Value and expectation in words.
        problem: String,
    },
}

impl FoldError {
    pub(crate) fn field(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Field { field, problem: problem.into() }
    }

    pub(crate) fn missing(field: &'static str) -> Self {
        Self::field(field, "missing or out of range")
    }
}

/// A message that is set aside.
#[derive(Clone, Debug)]
pub struct Poison {
    /// Projection that cannot fold it.
    pub projection: Name,
    /// Where it stands.
    pub stream: &'static str,
    /// Where it stands.
    pub sequence: u64,
    /// Its subject.
    pub subject: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Why.
    pub reason: String,
}

/// Parking failed; it is tried again before the projection goes on.
pub type PortError = Box<dyn std::error::Error + Send + Sync>;

/// How a projection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Connecting and loading.
    Starting,
    /// A new read model is built beside the live one, here or by another instance.
    Rebuilding {
        /// Sequence folded so far.
        sequence: u64,
        /// Head of the stream when last asked.
        target: u64,
    },
    /// Everything that was on the stream at start is folded; it follows.
    Following {
        /// Checkpoint.
        sequence: u64,
    },
    /// It cannot go on and tries again by itself.
    Faulted {
        /// Why.
        reason: String,
    },
}

/// What the projector asks of its surroundings.
#[async_trait]
pub trait Port: Send + Sync {
    /// Records on the tape that a message was set aside. Parking the same message twice is harmless.
    async fn park(&self, poison: &Poison) -> Result<(), PortError>;

    /// Records the same of several messages of one projection.
    async fn park_all(&self, poison: &[Poison]) -> Result<(), PortError> {
        for one in poison {
            self.park(one).await?;
        }
        Ok(())
    }

    /// Told whenever the way a projection is changes.
    fn state(&self, projection: Name, state: &State);
}

/// What keeps an event from being folded.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It never can be.
    Poison(FoldError),
    /// An order is needed that has left memory.
    Needs { order_id: String, poison: FoldError },
}

impl From<FoldError> for Stopped {
    fn from(error: FoldError) -> Self {
        Self::Poison(error)
    }
}

/// A fold of one stream into rows. The fold is pure: it knows nothing but its own rows and the event.
#[async_trait]
pub(crate) trait Projection: Send + Sync {
    /// Loads what the fold has to know of its own rows, as of `sequence`.
    async fn load(
        &mut self,
        connection: &mut PgConnection,
        schema: &str,
        sequence: u64,
    ) -> Result<(), sqlx::Error> {
        let _ = (connection, schema, sequence);
        Ok(())
    }

    /// Brings an order that has left memory back; `false` when the read model does not know it either.
    async fn bring(
        &mut self,
        connection: &mut PgConnection,
        schema: &str,
        order_id: &str,
    ) -> Result<bool, sqlx::Error> {
        let _ = (connection, schema, order_id);
        Ok(false)
    }

    /// Folds one event, which it may take apart. On an error nothing has changed, the event included.
    fn fold(&mut self, recorded: &mut Recorded) -> Result<(), Stopped>;

    /// Passes over a message that was set aside.
    fn skip(&mut self, sequence: u64) {
        let _ = sequence;
    }

    /// Makes what the rows not yet taken need in `schema` before they can be written; whether it was anything.
    async fn prepare(&mut self, connection: &mut PgConnection, schema: &str) -> Result<bool, sqlx::Error> {
        let _ = (connection, schema);
        Ok(false)
    }

    /// The rows changed since they were last taken.
    fn take(&mut self) -> Vec<Rows>;

    /// The bars changed since they were last taken; only the projection of bars has any.
    fn take_bars(&mut self) -> Vec<crate::bars::Segment> {
        Vec::new()
    }
}
