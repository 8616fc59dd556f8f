//! Rate of change of closing prices (momentum).

use std::cmp::Ordering;

use super::window::PriceWindow;
use super::{Indicator, InvalidLength};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::{E9, Price};

/// A relative change between two prices, `now / then − 1`, kept as the two prices; `then` is positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    then: Price,
    now: Price,
}

impl Change {
    /// The change from `then` to `now`; `None` when `then` is not positive and a ratio means nothing.
    #[must_use]
    pub fn between(then: Price, now: Price) -> Option<Self> {
        (then > Price::ZERO).then_some(Self { then, now })
    }

    /// Compares the change with a threshold in billionths (0.02 is 20,000,000), exactly.
    #[must_use]
    pub fn cmp_e9(self, threshold_e9: i64) -> Ordering {
        // Both products stay below 2^63 · 2^64.
        let difference = i128::from(self.now.0) - i128::from(self.then.0);
        (difference * i128::from(E9)).cmp(&(i128::from(threshold_e9) * i128::from(self.then.0)))
    }

    /// The change as a float, for display and statistics only.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.now.0 as f64 / self.then.0 as f64 - 1.0
    }
}

/// Change of the closing price over `lookback` bars. Warm-up: `lookback + 1` bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateOfChange {
    window: PriceWindow,
}

impl RateOfChange {
    /// A change over `lookback` bars, 1 to [`super::MAX_LENGTH`].
    pub fn new(lookback: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: PriceWindow::new(lookback, 1)? })
    }

    /// Takes the next closing price.
    pub fn push(&mut self, price: Price) {
        self.window.push(price);
    }
}

impl Indicator for RateOfChange {
    type Value = Change;

    fn warm_up(&self) -> usize {
        self.window.capacity()
    }

    fn update(&mut self, bar: &Bar) {
        self.push(bar.close);
    }

    fn value(&self) -> Option<Change> {
        let (then, now) = self.window.ends()?;
        Change::between(then, now)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.rescale(ratio)
    }
}
