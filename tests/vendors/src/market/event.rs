//! What the market says as it goes on, in one order and numbered.

use serde::{Deserialize, Serialize};

use super::bar::{Bar, Quote, Trade};
use super::news::Article;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts every event of a run from 1 on.
    #[serde(default)]
    pub sequence: u64,
    /// When, in UTC nanoseconds of the market's clock.
    #[serde(default)]
    pub at_ns: i64,
    /// Of which symbol; empty for news about none.
    #[serde(default)]
    pub symbol: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A minute ended, with the bars of the day and the second that a vendor may also tell.
    Bar {
        /// The minute.
        bar: Bar,
        /// Open of the session and volume since then.
        session: SessionSoFar,
    },
    /// A minute that had been told already, with a late trade in it.
    UpdatedBar {
        /// The minute as it is now.
        bar: Bar,
    },
    /// The day up to now.
    DailyBar {
        /// The day.
        bar: Bar,
    },
    /// A trade.
    Trade {
        /// The trade.
        trade: Trade,
    },
    /// A new best bid and offer.
    Quote {
        /// The quote.
        quote: Quote,
    },
    /// A trade was reported wrongly.
    Correction {
        /// As it was reported.
        original: Trade,
        /// As it was.
        corrected: Trade,
    },
    /// A trade did not happen.
    CancelError {
        /// The trade.
        trade: Trade,
        /// C for a cancellation, E for an error.
        action: String,
    },
    /// Trading was halted or goes on.
    Status {
        /// H halted, T trading, as the tapes A and B code it.
        code: String,
        /// In words.
        message: String,
        /// Why, as a code.
        reason_code: String,
        /// Why, in words.
        reason: String,
    },
    /// The prices within which may be traded.
    Bands {
        /// Upper limit.
        up: i64,
        /// Lower limit.
        down: i64,
        /// The indicator.
        indicator: String,
    },
    /// Orders for an auction that do not meet.
    Imbalance {
        /// The price.
        price: i64,
    },
    /// An article came out or changed.
    News {
        /// The article.
        article: Article,
    },
}

/// A session from its open to a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionSoFar {
    /// First price.
    pub open: i64,
    /// Shares since the open.
    pub volume: i64,
    /// Average price since the open.
    pub vwap: i64,
}
