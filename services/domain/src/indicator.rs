//! Streaming indicators: constant time per bar, finite memory, a stated warm-up.
//!
//! Every indicator takes bars one by one through [`Indicator::update`] and answers `None` until it has
//! seen [`Indicator::warm_up`] bars; from then on its value depends on at most that many bars, so a
//! longer warm-up changes nothing. A split rescales what is stored ([`Indicator::rescale`]) exactly as
//! [`crate::corporate_action::adjust_as_of`] rescales history, so a running indicator and one that is
//! warmed up afterwards agree to the last digit.
//!
//! Deliberately absent: floats where a decision compares prices. Averages and changes of prices compare
//! exactly, so a tie is a tie on every machine.

mod rate_of_change;
mod simple_moving_average;
mod window;

pub use rate_of_change::{Change, RateOfChange};
pub use simple_moving_average::{Mean, SimpleMovingAverage};

use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};

/// Longest length of an indicator, in bars. Bounds its memory and keeps exact sums far from overflow.
pub const MAX_LENGTH: usize = 100_000;

/// A length that an indicator cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("indicator length {0}, expected 1 to {MAX_LENGTH} bars")]
pub struct InvalidLength(pub usize);

/// What every indicator can do.
pub trait Indicator {
    /// What it measures.
    type Value;

    /// Bars needed before the first value.
    fn warm_up(&self) -> usize;

    /// Takes the next closed bar.
    fn update(&mut self, bar: &Bar);

    /// The value after the last bar; `None` while warming up or where it is undefined.
    fn value(&self) -> Option<Self::Value>;

    /// Restates the past in shares after a split. An error leaves the indicator unchanged.
    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable>;
}
