//! Streaming indicators: constant time per bar, bounded memory, a stated warm-up.
//!
//! Every indicator takes bars one by one through [`Indicator::update`] and answers `None` until it has
//! seen [`Indicator::warm_up`] bars. The value of one that looks at a window depends on that many bars only,
//! exactly: sums are integers, so a longer warm-up changes nothing. A recursive one (exponential averages and
//! what is made of them) forgets gradually; [`Indicator::settled`] says when older bars have stopped to
//! matter. A split rescales what is stored ([`Indicator::rescale`]) as
//! [`crate::corporate_action::adjust_as_of`] rescales history: windows of prices to the last digit, averages
//! but for the rounding of adjusted prices.
//!
//! Definitions and conventions are TA-Lib's, except that an undefined value is absent and never 0.
//!
//! Deliberately absent: floats where a decision compares prices. Averages and changes of prices compare
//! exactly, so a tie is a tie on every machine.

mod wide;
mod window;
mod extreme;
mod smoothing;
mod simple_moving_average;
mod average_pair;
mod moving_average;
mod rate_of_change;
mod convergence;
mod relative_strength;
mod stochastic;
mod range;
mod directional;
mod moments;
mod regression;
mod volume;
pub mod catalogue;

pub use average_pair::AveragePair;
pub use convergence::{AverageKind, Convergence, Macd, Momentum, PercentageOscillator};
pub use directional::{Direction, DirectionalMovement, Parabolic};
pub use extreme::{Channel, DonchianChannel, RollingExtreme};
pub use moments::{BollingerBands, RealisedVolatility, RollingMoments, Spread};
pub use moving_average::{
    AdaptiveMovingAverage, DoubleExponential, TripleExponential, Trix, WeightedMovingAverage,
};
pub use range::{AverageTrueRange, KeltnerChannel, UltimateOscillator};
pub use rate_of_change::{Change, RateOfChange};
pub use regression::{Beta, Correlation, Line, LinearRegression};
pub use relative_strength::RelativeStrengthIndex;
pub use simple_moving_average::{Mean, SimpleMovingAverage};
pub use smoothing::ExponentialMovingAverage;
pub use stochastic::{Aroon, Aroons, CommodityChannel, Stochastic, StochasticRsi, Stochastics, WilliamsR};
pub use volume::{
    AccumulationDistribution, Anchor, ChaikinOscillator, MoneyFlowIndex, OnBalanceVolume, VolumeWeightedPrice,
};

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

    /// Bars after which older ones matter no more: exactly for a window, to 1e-12 of what they once moved for a
    /// recursion. `None` when every bar since the first one matters.
    fn settled(&self) -> Option<usize> {
        Some(self.warm_up())
    }

    /// Takes the next closed bar.
    fn update(&mut self, bar: &Bar);

    /// The value after the last bar; `None` while warming up or where it is undefined.
    fn value(&self) -> Option<Self::Value>;

    /// Restates the past in shares after a split. An error leaves the indicator unchanged.
    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable>;
}

/// An indicator over two series, whose bars of one instant it takes together.
pub trait PairIndicator {
    /// What it measures.
    type Value;

    /// Pairs of bars needed before the first value; older ones never matter.
    fn warm_up(&self) -> usize;

    /// Takes the next closed bars, its own and the other series'.
    fn update(&mut self, bar: &Bar, against: &Bar);

    /// The value after the last bars; `None` while warming up or where it is undefined.
    fn value(&self) -> Option<Self::Value>;

    /// Restates the past of its own series after a split.
    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable>;

    /// Restates the past of the other series after a split.
    fn rescale_against(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable>;
}

/// A value of one or several named figures.
pub trait Values: Copy {
    /// Their names.
    const NAMES: &'static [&'static str];

    /// Writes them in the order of the names.
    fn put(self, out: &mut [Option<f64>]);
}

impl Values for f64 {
    const NAMES: &'static [&'static str] = &["value"];

    fn put(self, out: &mut [Option<f64>]) {
        put_all(out, [self]);
    }
}

impl Values for Mean {
    const NAMES: &'static [&'static str] = f64::NAMES;

    fn put(self, out: &mut [Option<f64>]) {
        self.to_f64().put(out);
    }
}

fn put_all<const COUNT: usize>(out: &mut [Option<f64>], values: [f64; COUNT]) {
    for (place, value) in out.iter_mut().zip(values) {
        *place = Some(value);
    }
}

fn check_length(length: usize) -> Result<(), InvalidLength> {
    if (1..=MAX_LENGTH).contains(&length) { Ok(()) } else { Err(InvalidLength(length)) }
}
