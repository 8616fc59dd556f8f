//! Recursive averages: exponential and Wilder's, seeded as TA-Lib seeds them.
//!
//! A recursive average never forgets altogether; what is older than [`forgotten_after`] bars moves it by
//! less than 1e-12 of the difference it once made.

use super::{Indicator, InvalidLength, check_length};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// What a split does to a figure in price units.
pub(super) fn price_factor(ratio: SplitRatio) -> f64 {
    let (new, old) = ratio.terms();
    old as f64 / new as f64
}

/// Steps after which a recursion that keeps `kept` of its past each step has forgotten it to 1e-12.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive count; the longest length needs some millions"
)]
pub(super) fn forgotten_after(kept: f64) -> usize {
    const REMAINDER: f64 = 1e-12;
    if kept <= 0.0 { 0 } else { (REMAINDER.ln() / kept.ln()).ceil() as usize }
}

/// Exponential average of any series, the mean of the first `length` values first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Exponential {
    length: usize,
    factor: f64,
    seen: usize,
    /// The sum of the first values, then the average.
    state: f64,
}

impl Exponential {
    pub(super) fn new(length: usize) -> Result<Self, InvalidLength> {
        check_length(length)?;
        Ok(Self { length, factor: 2.0 / (length + 1) as f64, seen: 0, state: 0.0 })
    }

    /// Takes the next value and returns the average from the `length`-th one on.
    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        self.seen = self.seen.saturating_add(1);
        if self.seen > self.length {
            self.state += (value - self.state) * self.factor;
        } else {
            self.state += value;
            if self.seen == self.length {
                self.state /= self.length as f64;
            }
        }
        self.value()
    }

    pub(super) fn value(&self) -> Option<f64> {
        (self.seen >= self.length).then_some(self.state)
    }

    pub(super) fn scale(&mut self, factor: f64) {
        self.state *= factor;
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn forgotten_after(&self) -> usize {
        forgotten_after(1.0 - self.factor)
    }
}

/// Wilder's average: as [`Exponential`] with a factor of 1 / `length`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wilder {
    length: usize,
    seen: usize,
    state: f64,
}

impl Wilder {
    pub(super) fn new(length: usize) -> Result<Self, InvalidLength> {
        check_length(length)?;
        Ok(Self { length, seen: 0, state: 0.0 })
    }

    pub(super) fn push(&mut self, value: f64) -> Option<f64> {
        let length = self.length as f64;
        self.seen = self.seen.saturating_add(1);
        if self.seen > self.length {
            self.state = (self.state * (length - 1.0) + value) / length;
        } else {
            self.state += value;
            if self.seen == self.length {
                self.state /= length;
            }
        }
        self.value()
    }

    pub(super) fn value(&self) -> Option<f64> {
        (self.seen >= self.length).then_some(self.state)
    }

    pub(super) fn scale(&mut self, factor: f64) {
        self.state *= factor;
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn forgotten_after(&self) -> usize {
        forgotten_after(1.0 - 1.0 / self.length as f64)
    }
}

/// Exponential moving average of closes, factor 2 / (`length` + 1). Warm-up: `length` bars.
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialMovingAverage(Exponential);

impl ExponentialMovingAverage {
    /// An average over `length` bars.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Exponential::new(length).map(Self)
    }

    /// Takes the next closing price.
    pub fn push(&mut self, price: Price) {
        self.0.push(price.to_f64());
    }
}

impl Indicator for ExponentialMovingAverage {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.0.length()
    }

    fn settled(&self) -> Option<usize> {
        Some(self.0.length() + self.0.forgotten_after())
    }

    fn update(&mut self, bar: &Bar) {
        self.push(bar.close);
    }

    fn value(&self) -> Option<f64> {
        self.0.value()
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.0.scale(price_factor(ratio));
        Ok(())
    }
}
