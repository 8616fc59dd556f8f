//! The port: a vendor that tells minutes as they end, and quotes and trades. The binary puts a vendor behind it.

use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDate;
use contracts::v1::{Quote as Quoted, Trade};

use crate::file::Action;
use crate::import::Quote;
use crate::quality::Unapplied;

/// What a source tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is connected and subscribed. What happened before is a gap.
    Live,
    /// A minute.
    Minute(Minute),
    /// The day so far, from its open.
    Day(Minute),
    /// The best bid and offer of a symbol, as of UTC nanoseconds; `told` is the number of quotes that it stands for.
    Quote(Quoted, i64),
    /// A trade, at UTC nanoseconds.
    Trade(Trade, i64),
    /// A trade that was told before was another one, or none.
    Amended(Amended),
    /// Trading in a symbol was halted, or goes on.
    Status(Status),
    /// A message that cannot be read, and what was expected of it.
    Unreadable(String),
    /// The connection is gone and will be made again.
    Lost {
        /// Why.
        why: String,
        /// After this wait.
        again_in: Duration,
    },
    /// The vendor will not, in its words; nothing is tried again.
    Refused(String),
}

/// A minute of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Symbol.
    pub symbol: String,
    /// Prices and volume, raw.
    pub quote: Quote,
    /// Whether the source says that it corrects what it told before.
    pub revised: bool,
}

/// A trade that was corrected or cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// Symbol.
    pub symbol: String,
    /// Whether there was no trade at all.
    pub cancelled: bool,
    /// Which trade, what it was and what it is.
    pub words: String,
    /// When, UTC nanoseconds.
    pub at_ns: i64,
}

/// A change of a symbol's trading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Symbol.
    pub symbol: String,
    /// Whether it is halted now; `None` where the source does not say.
    pub halted: Option<bool>,
    /// Codes and words.
    pub words: String,
    /// When, UTC nanoseconds.
    pub at_ns: i64,
}

/// A source of live minutes, which keeps itself connected.
#[async_trait]
pub trait LiveMarket: Send {
    /// What was told since the last call, in order, at least one thing. Cancel-safe.
    async fn next(&mut self) -> Vec<Heard>;

    /// The minutes of `symbols` that start from `from_ns` on, before `to_ns`, and had ended at `now_ns`; of each
    /// symbol in the order of time. An error is in words.
    async fn minutes(
        &mut self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Vec<Minute>, String>;

    /// How much longer no minutes can be asked for, because too many requests failed in a row.
    fn paused_for(&self) -> Option<Duration>;

    /// When anything came over the connection last, UTC nanoseconds; 0 before the first.
    fn last_frame_ns(&self) -> i64;
}

/// Makes the source, anew for every start of the service, and knows what takes effect on a day.
#[async_trait]
pub trait LiveMarkets: Send + Sync {
    /// Name of the source, as on its bars.
    fn name(&self) -> &str;

    /// The source; an error says what is missing.
    fn open(&self) -> Result<Box<dyn LiveMarket>, String>;

    /// Corporate actions of `symbols` whose ex-date is `date`. It may take minutes; an error is in words.
    async fn actions(&self, symbols: &[String], date: NaiveDate) -> Result<DayActions, String>;
}

/// What takes effect on a day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DayActions {
    /// Splits and dividends.
    pub actions: Vec<Action>,
    /// Actions that change nothing here.
    pub unapplied: Vec<Unapplied>,
}
