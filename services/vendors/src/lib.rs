//! Vendors of market data, facts about companies and news: what they send, as the product's own types; minutes and
//! articles by stream, everything by request.
//!
//! Invariants: prices leave this crate raw, unless a question wants another adjustment; a cell without a value is counted and never made up; a
//! bar that has not ended is left out; no more than one answer of a vendor is held at a time, however long the span
//! that is asked for; a request that changes something is never repeated; a credential stands in no message.
//!
//! Deliberately absent: the tape, files, the wall clock (a [`Clock`] is given), configuration, and what a row has to
//! be to become a bar (`history` checks rows of vendors as it checks those of files).
//!
//! Modules in reading order.

mod clock;
mod error;
mod port;
pub mod http;
mod wire;
mod reference;
mod news;
mod alpaca;
mod massive;
mod newsapi;
mod yahoo;
pub mod live;
mod socket;

pub use alpaca::{Alpaca, AlpacaAssets};
pub use clock::{Clock, SystemClock};
pub use error::{Refusal, VendorError};
pub use live::{Amended, MarketMessage, Minute, Quote, RecentMinutes, Status, Trade};
pub use massive::Massive;
pub use news::{NewsAsk, NewsPage, NewsSource, Told};
pub use newsapi::NewsApi;
pub use port::{
    Action, ActionsOfMany, Adjustment, Ask, BarsByDate, BarsOfMany, Cursor, Day, HistoricalBars, Offer, Page,
    PageOfMany, Quoted, Skipped, Unapplied,
};
pub use reference::ReferenceData;
pub use socket::{Heard, LiveStream, Socket, StreamConfig, Target, Wanted};
pub use yahoo::{ConsentPages, Yahoo, YahooCompany};
