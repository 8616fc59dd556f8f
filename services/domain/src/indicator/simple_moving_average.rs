//! Simple moving average of closing prices.

use std::cmp::Ordering;

use super::window::PriceWindow;
use super::{Indicator, InvalidLength};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::{Price, div_half_even};

/// An exact mean of prices: sum and count, never divided before it is compared.
#[derive(Clone, Copy, Debug)]
pub struct Mean {
    sum: i128,
    count: i128,
}

impl Mean {
    /// The mean of `count` prices, at most [`super::MAX_LENGTH`], that add up to `sum`.
    pub(super) fn of(sum: i128, count: usize) -> Self {
        Self { sum, count: count as i128 }
    }

    /// The mean as a price, rounded half to even at 1e-9. A mean of prices is always a price.
    #[must_use]
    pub fn to_price(self) -> Price {
        Price(i64::try_from(div_half_even(self.sum, self.count)).unwrap_or(i64::MAX))
    }

    /// The mean as a float, for display and statistics only.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.sum as f64 / self.count as f64 / 1e9
    }
}

// Sums stay below 2^63 · 100,000 and counts below 100,000, so the products stay below 2^97.
impl Ord for Mean {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.sum * other.count).cmp(&(other.sum * self.count))
    }
}

impl PartialOrd for Mean {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Mean {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Mean {}

/// Mean of the last `length` closing prices. Warm-up: `length` bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimpleMovingAverage {
    window: PriceWindow,
    sum: i128,
}

impl SimpleMovingAverage {
    /// An average over `length` bars, 1 to [`super::MAX_LENGTH`].
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: PriceWindow::new(length, 0)?, sum: 0 })
    }

    /// Takes the next closing price.
    pub fn push(&mut self, price: Price) {
        let dropped = self.window.push(price).unwrap_or_default();
        self.sum += i128::from(price.0) - i128::from(dropped.0);
    }
}

impl Indicator for SimpleMovingAverage {
    type Value = Mean;

    fn warm_up(&self) -> usize {
        self.window.capacity()
    }

    fn update(&mut self, bar: &Bar) {
        self.push(bar.close);
    }

    fn value(&self) -> Option<Mean> {
        let count = i128::try_from(self.window.capacity()).ok()?;
        self.window.is_full().then_some(Mean { sum: self.sum, count })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.rescale(ratio)?;
        self.sum = self.window.iter().map(|price| i128::from(price.0)).sum();
        Ok(())
    }
}
