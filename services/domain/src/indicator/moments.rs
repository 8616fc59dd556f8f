//! Mean and spread of a window: standard deviation, Bollinger bands, z-score, realised volatility.
//!
//! Sums are exact integers ([`super::wide`]), so that the spread of a quiet stretch at a high price keeps
//! its digits. Values that are not prices are kept in 1e-18 for the same reason.

use super::wide::Wide;
use super::window::Window;
use super::{Channel, Indicator, InvalidLength};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// Units per one of a value that is not a price.
const FINE: f64 = 1e18;

/// Values below this, in 1e-18, leave room for the sum of [`super::MAX_LENGTH`] of them.
const FINE_MAX: f64 = 1e14 * FINE;

/// A float in 1e-18; `None` for one that is no number or not below 1e14.
#[expect(clippy::cast_possible_truncation, reason = "checked: the magnitude is below 2^127")]
pub(super) fn to_fine(value: f64) -> Option<i128> {
    let scaled = value * FINE;
    (scaled.abs() < FINE_MAX).then_some(scaled.round() as i128)
}

/// A sum of values in 1e-18 as a float.
pub(super) fn from_fine(sum: i128) -> f64 {
    sum as f64 / FINE
}

/// Exact sum and sum of squares of the last values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sums {
    window: Window<i128>,
    sum: i128,
    squares: Wide,
}

impl Sums {
    pub(super) fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: Window::new(length, 0)?, sum: 0, squares: Wide::default() })
    }

    pub(super) fn length(&self) -> usize {
        self.window.capacity()
    }

    pub(super) fn push(&mut self, value: i128) {
        if let Some(dropped) = self.window.push(value) {
            self.sum -= dropped;
            self.squares = self.squares.minus(Wide::product(dropped, dropped));
        }
        self.sum += value;
        self.squares = self.squares.plus(Wide::product(value, value));
    }

    /// The newest value of a full window.
    pub(super) fn newest(&self) -> Option<i128> {
        self.window.newest().filter(|_| self.window.is_full())
    }

    /// The mean of a full window, in the values' unit.
    pub(super) fn mean(&self) -> Option<f64> {
        self.window.is_full().then(|| self.sum as f64 / self.length() as f64)
    }

    /// The standard deviation of a full window, in the values' unit; `lost` is 0 for the population's and 1
    /// for the sample's. `None` when the window has no more than `lost` values.
    pub(super) fn deviation(&self, lost: usize) -> Option<f64> {
        let length = self.length();
        if !self.window.is_full() || length <= lost {
            return None;
        }
        // n·Σx² − (Σx)² = n · Σ(x − mean)², which is never negative because it is exact.
        let spread = self.squares.times(length).minus(Wide::product(self.sum, self.sum)).to_f64();
        Some((spread / (length as f64 * (length - lost) as f64)).sqrt())
    }

    /// How far the newest value lies from the mean, in standard deviations; `None` without a spread.
    pub(super) fn z_score(&self, lost: usize) -> Option<f64> {
        let deviation = self.deviation(lost).filter(|deviation| *deviation > 0.0)?;
        let length = i128::try_from(self.length()).ok()?;
        let distance = (self.newest()? * length - self.sum) as f64 / length as f64;
        Some(distance / deviation)
    }

    fn restate(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.try_map(|value| {
            let price = Price(i64::try_from(value).unwrap_or_default());
            ratio.adjust_price(price).map(|price| i128::from(price.0))
        })?;
        self.sum = self.window.iter().sum();
        self.squares =
            self.window.iter().fold(Wide::default(), |sum, value| sum.plus(Wide::product(value, value)));
        Ok(())
    }
}

/// Mean, deviation and z-score of any series of numbers, kept exactly in 1e-18: a spread, a residual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollingMoments(Sums);

impl RollingMoments {
    /// Moments of the last `length` values.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Sums::new(length).map(Self)
    }

    /// Takes the next value; `false` when it is no number below 1e14 and was left out.
    pub fn push(&mut self, value: f64) -> bool {
        let fine = to_fine(value);
        fine.into_iter().for_each(|value| self.0.push(value));
        fine.is_some()
    }

    /// The mean; `None` until the window is full.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.0.mean().map(|mean| mean / FINE)
    }

    /// The standard deviation with `lost` degrees of freedom lost (0 population, 1 sample).
    #[must_use]
    pub fn deviation(&self, lost: usize) -> Option<f64> {
        self.0.deviation(lost).map(|deviation| deviation / FINE)
    }

    /// Distance of the newest value from the mean in deviations; `None` when nothing varies.
    #[must_use]
    pub fn z_score(&self, lost: usize) -> Option<f64> {
        self.0.z_score(lost)
    }
}

/// What is made of the moments of the last closes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Of {
    Deviation,
    ZScore,
}

/// A figure from the moments of the last `length` closes.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    sums: Sums,
    lost: usize,
    of: Of,
}

impl Spread {
    /// The standard deviation of `length` closes; `lost` degrees of freedom (0 as in TA-Lib, 1 the sample's).
    pub fn deviation(length: usize, lost: usize) -> Result<Self, InvalidLength> {
        Self::new(length, lost, Of::Deviation)
    }

    /// The newest close's distance from the mean of `length` closes, in standard deviations.
    pub fn z_score(length: usize, lost: usize) -> Result<Self, InvalidLength> {
        Self::new(length, lost, Of::ZScore)
    }

    fn new(length: usize, lost: usize, of: Of) -> Result<Self, InvalidLength> {
        if length < 2 || length <= lost {
            return Err(InvalidLength(length));
        }
        Ok(Self { sums: Sums::new(length)?, lost, of })
    }
}

impl Indicator for Spread {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.sums.length()
    }

    fn update(&mut self, bar: &Bar) {
        self.sums.push(i128::from(bar.close.0));
    }

    fn value(&self) -> Option<f64> {
        match self.of {
            Of::Deviation => self.sums.deviation(self.lost).map(|deviation| deviation / 1e9),
            Of::ZScore => self.sums.z_score(self.lost),
        }
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.sums.restate(ratio)
    }
}

/// The mean of the last `length` closes and lines some population standard deviations above and below it.
#[derive(Clone, Debug, PartialEq)]
pub struct BollingerBands {
    sums: Sums,
    above: f64,
    below: f64,
}

impl BollingerBands {
    /// Bands over `length` closes, at least 2, `above` and `below` standard deviations away.
    pub fn new(length: usize, above: f64, below: f64) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        Ok(Self { sums: Sums::new(length)?, above, below })
    }
}

impl Indicator for BollingerBands {
    type Value = Channel;

    fn warm_up(&self) -> usize {
        self.sums.length()
    }

    fn update(&mut self, bar: &Bar) {
        self.sums.push(i128::from(bar.close.0));
    }

    fn value(&self) -> Option<Channel> {
        let (middle, deviation) = (self.sums.mean()? / 1e9, self.sums.deviation(0)? / 1e9);
        let (upper, lower) = (middle + self.above * deviation, middle - self.below * deviation);
        Some(Channel { upper, middle, lower })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.sums.restate(ratio)
    }
}

/// Sample standard deviation of the last `length` logarithmic returns of closes, per year.
///
/// Warm-up: `length + 1` bars. A close that is not positive has no return and is passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct RealisedVolatility {
    sums: Sums,
    last: Option<Price>,
    annual: f64,
}

impl RealisedVolatility {
    /// Over `length` returns, at least 2, of which `periods_per_year` make a year.
    pub fn new(length: usize, periods_per_year: f64) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        Ok(Self { sums: Sums::new(length)?, last: None, annual: periods_per_year.sqrt() })
    }
}

impl Indicator for RealisedVolatility {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.sums.length() + 1
    }

    fn update(&mut self, bar: &Bar) {
        if bar.close <= Price::ZERO {
            return;
        }
        if let Some(last) = self.last.replace(bar.close) {
            let change = (bar.close.0 as f64 / last.0 as f64).ln();
            to_fine(change).into_iter().for_each(|change| self.sums.push(change));
        }
    }

    fn value(&self) -> Option<f64> {
        self.sums.deviation(1).map(|deviation| deviation / FINE * self.annual)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        // Returns between restated prices are what they were, but for the rounding of those prices.
        self.last = self.last.map(|price| ratio.adjust_price(price)).transpose()?;
        Ok(())
    }
}
