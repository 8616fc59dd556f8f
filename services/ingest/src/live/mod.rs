//! Live minutes: a vendor's stream onto the tape, on the wall clock.
//!
//! Every event is an instant of its own. A minute is appended as it comes, under the id that follows from source,
//! symbol, timeframe and close, so that told twice it is stored once; other values are a revision. Longer bars are
//! made of the minutes ([`rollup`]), sessions come from the calendar ([`sessions`]), what looks wrong becomes a finding
//! ([`crate::quality`]), which stands on the tape before its bar.
//!
//! Invariants: what was missed is asked for when the connection stands, and stored before what follows; a bar that is
//! older than [`LiveConfig::fresh`] when it comes is history, which warms strategies up and never trades; a bar
//! that has not ended is refused; the tape alone says where to go on.
//!
//! Deliberately absent: vendors (the binary puts one behind [`LiveMarket`]), a second source of the same symbols.
//!
//! Modules in reading order.

mod port;
mod sessions;
mod rollup;
mod stale;
mod ticks;
mod gauge;
mod seed;
mod desk;
mod findings;
mod catch_up;
mod actions;
mod service;

pub use port::{Amended, DayActions, Heard, LiveMarket, LiveMarkets, Minute, Status};
pub use service::{LiveConfig, LiveError, run};
