//! How values become text: numbers, times, and the little shared parts of pages.
//!
//! Queries give exact values; templates only place text. Everything a person reads is formatted here.

mod filter;
mod number;
mod size;
mod time;

pub use filter::{EXPECTED_TIME, from_time, to_time};
pub use number::{
    Signed, count, money, money_about, percent, price, quantity, ratio, signed_money, signed_percent,
    signed_percent_to, volume,
};
pub use size::size;
pub use time::{Instant, duration_words, latency, market_time};
