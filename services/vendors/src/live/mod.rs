//! Streams: minutes, the day so far, quotes and trades, and news, as vendors tell them, as the product's own types.
//!
//! A minute is told when it ends; where a vendor corrects it later it says so (`revised`), or tells it again.
//! Prices are raw, as everywhere in this crate. What a stream did not tell is asked for over HTTP
//! ([`RecentMinutes`]).
//!
//! Deliberately absent: longer bars, which are made of the minutes by whoever listens; quotes and trades of Massive.

mod alpaca;
mod ease;
mod massive;
mod packed;
mod ticks;

use std::time::Duration;

use async_trait::async_trait;
use domain::money::{Price, Volume};

use crate::error::VendorError;
use crate::port::Quoted;

/// What a stream of the market tells; one of news tells articles ([`crate::Told`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarketMessage {
    /// A minute.
    Minute(Minute),
    /// The day so far, from its open.
    Day(Minute),
    /// The best bid and offer of a symbol.
    Quote(Quote),
    /// A trade.
    Trade(Trade),
    /// A trade that was told before was another one, or none.
    Amended(Amended),
    /// Trading in a symbol was halted, or goes on.
    Status(Status),
}

/// The best bid and offer of one symbol; price 0 where a side has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Symbol as the tape writes it.
    pub symbol: String,
    /// Best bid.
    pub bid: Price,
    /// Best offer.
    pub ask: Price,
    /// Shares bid.
    pub bid_size: Volume,
    /// Shares offered.
    pub ask_size: Volume,
    /// The vendor's code of the exchange of the bid.
    pub bid_exchange: String,
    /// The vendor's code of the exchange of the offer.
    pub ask_exchange: String,
    /// How many quotes of the symbol it stands for; more than one where nobody had time for those before.
    pub told: u64,
    /// When, UTC nanoseconds.
    pub at_ns: i64,
}

/// A trade in one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Symbol as the tape writes it.
    pub symbol: String,
    /// Price.
    pub price: Price,
    /// Shares.
    pub size: Volume,
    /// The vendor's code of the exchange.
    pub exchange: String,
    /// The vendor's id.
    pub id: String,
    /// How many trades of the symbol it stands for, as of quotes.
    pub told: u64,
    /// Their shares.
    pub told_size: Volume,
    /// When, UTC nanoseconds.
    pub at_ns: i64,
}

/// A trade that was corrected or cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amended {
    /// Symbol as the tape writes it.
    pub symbol: String,
    /// Whether there was no trade at all.
    pub cancelled: bool,
    /// Which trade, what it was and what it is.
    pub words: String,
    /// When, UTC nanoseconds.
    pub at_ns: i64,
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
