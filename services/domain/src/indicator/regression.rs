//! Least-squares line through the last closes, and the relation of two series: correlation and beta.

use super::moments::to_fine;
use super::wide::Wide;
use super::window::{PriceWindow, Window};
use super::{Indicator, InvalidLength, PairIndicator, Values};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// The line through the last closes, one bar a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Its value at the newest bar.
    pub value: f64,
    /// Its rise per bar.
    pub slope: f64,
    /// Its value at the oldest bar of the window.
    pub intercept: f64,
    /// The slope as an angle in degrees.
    pub angle: f64,
}

impl Values for Line {
    const NAMES: &'static [&'static str] = &["value", "slope", "intercept", "angle"];

    fn put(self, out: &mut [Option<f64>]) {
        super::put_all(out, [self.value, self.slope, self.intercept, self.angle]);
    }
}

/// Least-squares line through the last `length` closes. Warm-up: `length` bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinearRegression {
    window: PriceWindow,
    sum: i128,
    /// Σ i · price, where the oldest bar is number 0.
    weighted: i128,
}

impl LinearRegression {
    /// A line through `length` closes, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        Ok(Self { window: PriceWindow::new(length, 0)?, sum: 0, weighted: 0 })
    }

    /// Takes the next closing price.
    pub fn push(&mut self, price: Price) {
        let position = self.window.iter().len();
        let newest = i128::from(price.0);
        if let Some(dropped) = self.window.push(price) {
            let dropped = i128::from(dropped.0);
            self.weighted -= self.sum - dropped;
            self.sum -= dropped;
            self.weighted += newest * (position as i128 - 1);
        } else {
            self.weighted += newest * position as i128;
        }
        self.sum += newest;
    }
}

impl Indicator for LinearRegression {
    type Value = Line;

    fn warm_up(&self) -> usize {
        self.window.capacity()
    }

    fn update(&mut self, bar: &Bar) {
        self.push(bar.close);
    }

    fn value(&self) -> Option<Line> {
        if !self.window.is_full() {
            return None;
        }
        let count = self.window.capacity() as i128;
        // With numbers 0 to n−1: slope = (n·Σip − Σi·Σp) / (n·Σi² − (Σi)²), all exact.
        let numbers = count * (count - 1) / 2;
        let divisor = count * count * (count * count - 1) / 12;
        let steepness = count * self.weighted - numbers * self.sum;
        let slope = steepness as f64 / divisor as f64 / 1e9;
        let mean = self.sum as f64 / count as f64 / 1e9;
        let half = (count - 1) as f64 / 2.0;
        Some(Line {
            value: mean + slope * half,
            slope,
            intercept: mean - slope * half,
            angle: slope.atan().to_degrees(),
        })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.rescale(ratio)?;
        self.sum = self.window.iter().map(|price| i128::from(price.0)).sum();
        self.weighted =
            self.window.iter().enumerate().map(|(number, price)| number as i128 * i128::from(price.0)).sum();
        Ok(())
    }
}

/// Exact sums over pairs of values.
#[derive(Clone, Debug, PartialEq, Eq)]
struct PairSums {
    window: Window<(i128, i128)>,
    left: i128,
    right: i128,
    left_squares: Wide,
    right_squares: Wide,
    products: Wide,
}

impl PairSums {
    fn new(length: usize) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        Ok(Self {
            window: Window::new(length, 0)?,
            left: 0,
            right: 0,
            left_squares: Wide::default(),
            right_squares: Wide::default(),
            products: Wide::default(),
        })
    }

    fn push(&mut self, left: i128, right: i128) {
        if let Some((left, right)) = self.window.push((left, right)) {
            self.left -= left;
            self.right -= right;
            self.left_squares = self.left_squares.minus(Wide::product(left, left));
            self.right_squares = self.right_squares.minus(Wide::product(right, right));
            self.products = self.products.minus(Wide::product(left, right));
        }
        self.add(left, right);
    }

    fn add(&mut self, left: i128, right: i128) {
        self.left += left;
        self.right += right;
        self.left_squares = self.left_squares.plus(Wide::product(left, left));
        self.right_squares = self.right_squares.plus(Wide::product(right, right));
        self.products = self.products.plus(Wide::product(left, right));
    }

    /// n² times the variances and the covariance of a full window: left, right, both.
    fn spreads(&self) -> Option<(Wide, Wide, Wide)> {
        let count = self.window.capacity();
        let spread = |products: Wide, left, right| products.times(count).minus(Wide::product(left, right));
        self.window.is_full().then(|| {
            (
                spread(self.left_squares, self.left, self.left),
                spread(self.right_squares, self.right, self.right),
                spread(self.products, self.left, self.right),
            )
        })
    }

    fn restate(
        &mut self,
        change: impl FnMut((i128, i128)) -> Result<(i128, i128), Unadjustable>,
    ) -> Result<(), Unadjustable> {
        self.window.try_map(change)?;
        let mut fresh = Self {
            window: self.window.clone(),
            ..Self::new(self.window.capacity()).unwrap_or_else(|_| self.clone())
        };
        for (left, right) in self.window.iter() {
            fresh.add(left, right);
        }
        *self = fresh;
        Ok(())
    }
}

/// Pearson's correlation of the last `length` closes of two series. Warm-up: `length` bars of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correlation {
    sums: PairSums,
}

impl Correlation {
    /// Over `length` bars, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { sums: PairSums::new(length)? })
    }
}

fn restated(value: i128, ratio: SplitRatio) -> Result<i128, Unadjustable> {
    ratio.adjust_price(Price(i64::try_from(value).unwrap_or_default())).map(|price| i128::from(price.0))
}

impl PairIndicator for Correlation {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.sums.window.capacity()
    }

    fn update(&mut self, bar: &Bar, against: &Bar) {
        self.sums.push(i128::from(bar.close.0), i128::from(against.close.0));
    }

    fn value(&self) -> Option<f64> {
        let (left, right, both) = self.sums.spreads()?;
        let defined = left.is_positive() && right.is_positive();
        defined.then(|| (both.to_f64() / left.to_f64().sqrt() / right.to_f64().sqrt()).clamp(-1.0, 1.0))
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.sums.restate(|(left, right)| Ok((restated(left, ratio)?, right)))
    }

    fn rescale_against(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.sums.restate(|(left, right)| Ok((left, restated(right, ratio)?)))
    }
}

/// Slope of a series' simple returns on those of another, over the last `length` returns.
///
/// Warm-up: `length + 1` bars of both. A bar before which one of the closes is not positive has no return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beta {
    sums: PairSums,
    last: Option<(Price, Price)>,
}

impl Beta {
    /// Over `length` returns, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { sums: PairSums::new(length)?, last: None })
    }
}

impl PairIndicator for Beta {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.sums.window.capacity() + 1
    }

    fn update(&mut self, bar: &Bar, against: &Bar) {
        let Some((own, other)) = self.last.replace((bar.close, against.close)) else { return };
        let change = |then: Price, now: Price| {
            (then > Price::ZERO).then(|| to_fine((now.0 - then.0) as f64 / then.0 as f64)).flatten()
        };
        if let Some((own, other)) = change(own, bar.close).zip(change(other, against.close)) {
            self.sums.push(own, other);
        }
    }

    fn value(&self) -> Option<f64> {
        let (_, other, both) = self.sums.spreads()?;
        other.is_positive().then(|| both.to_f64() / other.to_f64())
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let restated = |(own, other)| Ok((ratio.adjust_price(own)?, other));
        self.last = self.last.map(restated).transpose()?;
        Ok(())
    }

    fn rescale_against(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let restated = |(own, other)| Ok((own, ratio.adjust_price(other)?));
        self.last = self.last.map(restated).transpose()?;
        Ok(())
    }
}
