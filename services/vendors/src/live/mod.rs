//! Streams of minutes: what vendors tell as it happens, as the product's own types.
//!
//! A minute is told when it ends; where a vendor corrects it later it says so (`revised`), or tells it again.
//! Prices are raw, as everywhere in this crate. What a stream did not tell is asked for over HTTP
//! ([`RecentMinutes`]).
//!
//! Deliberately absent: trades, quotes and the day so far. A day is made of its minutes, as every longer bar, by
//! whoever listens.

mod alpaca;
mod massive;

use std::time::Duration;

use async_trait::async_trait;

use crate::error::VendorError;
use crate::port::Quoted;

/// What a stream tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is connected and subscribed. What happened before is a gap.
    Live,
    /// A minute.
    Minute(Minute),
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
    /// The vendor will not; nothing is tried again.
    Refused(VendorError),
}

/// A minute of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Symbol as the tape writes it.
    pub symbol: String,
    /// Prices and volume.
    pub quoted: Quoted,
    /// Whether the vendor says that it corrects what it told before.
    pub revised: bool,
}

/// A change of a symbol's trading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Symbol.
    pub symbol: String,
    /// Whether it is halted now; `None` where the code is none of those that say so.
    pub halted: Option<bool>,
    /// The vendor's codes and words.
    pub words: String,
    /// When, UTC nanoseconds.
    pub at_ns: i64,
}

/// A vendor's newest minutes, for what its stream did not tell.
#[async_trait]
pub trait RecentMinutes: std::fmt::Debug + Send + Sync {
    /// The minutes of `symbols` that start from `from_ns` on and before `to_ns`, overlap the session and had ended at
    /// `now_ns`; of each symbol in the order of time.
    async fn minutes(
        &self,
        symbols: &[String],
        from_ns: i64,
        to_ns: i64,
        now_ns: i64,
    ) -> Result<Vec<(String, Quoted)>, VendorError>;

    /// How much longer nothing is asked, because too many requests failed in a row.
    fn paused_for(&self) -> Option<Duration>;
}
