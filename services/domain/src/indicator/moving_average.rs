//! Further averages of closes: weighted, double and triple exponential, adaptive; and the rate of change of
//! a triple one.

use super::smoothing::{Exponential, forgotten_after, price_factor};
use super::window::PriceWindow;
use super::{Indicator, InvalidLength};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// Mean of the last `length` closes with weights 1, 2, …, `length`, the newest the heaviest. Warm-up: `length` bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedMovingAverage {
    window: PriceWindow,
    sum: i128,
    weighted: i128,
}

impl WeightedMovingAverage {
    /// An average over `length` bars.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: PriceWindow::new(length, 0)?, sum: 0, weighted: 0 })
    }
}

impl Indicator for WeightedMovingAverage {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.window.capacity()
    }

    fn update(&mut self, bar: &Bar) {
        let newest = i128::from(bar.close.0);
        if let Some(dropped) = self.window.push(bar.close) {
            // Each price moves down by one weight, and the oldest one leaves with its last.
            self.weighted -= self.sum;
            self.sum -= i128::from(dropped.0);
        }
        self.sum += newest;
        self.weighted += newest * self.window.iter().len() as i128;
    }

    fn value(&self) -> Option<f64> {
        let length = self.window.capacity() as i128;
        self.window.is_full().then(|| self.weighted as f64 / (length * (length + 1) / 2) as f64 / 1e9)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.rescale(ratio)?;
        self.sum = self.window.iter().map(|price| i128::from(price.0)).sum();
        self.weighted = (1..)
            .zip(self.window.iter())
            .map(|(weight, price): (i128, Price)| weight * i128::from(price.0))
            .sum();
        Ok(())
    }
}

/// Exponential averages of one another.
#[derive(Clone, Debug, PartialEq)]
struct Chain<const DEPTH: usize> {
    stages: [Exponential; DEPTH],
}

impl<const DEPTH: usize> Chain<DEPTH> {
    fn new(length: usize) -> Result<Self, InvalidLength> {
        let stage = Exponential::new(length)?;
        Ok(Self { stages: std::array::from_fn(|_| stage.clone()) })
    }

    fn push(&mut self, value: f64) {
        let mut value = Some(value);
        for stage in &mut self.stages {
            value = value.and_then(|value| stage.push(value));
        }
    }

    /// The averages, once the last of them is there.
    fn values(&self) -> Option<[f64; DEPTH]> {
        self.stages.last()?.value()?;
        Some(std::array::from_fn(|stage| self.stages[stage].value().unwrap_or_default()))
    }

    fn warm_up(&self) -> usize {
        DEPTH * (self.stages[0].length() - 1) + 1
    }

    fn settled(&self) -> usize {
        // A later stage waits for the earlier ones to settle.
        self.warm_up() + DEPTH * self.stages[0].forgotten_after()
    }

    fn scale(&mut self, factor: f64) {
        self.stages.iter_mut().for_each(|stage| stage.scale(factor));
    }
}

/// Double exponential average of closes, 2·EMA − EMA(EMA). Warm-up: 2·`length` − 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct DoubleExponential(Chain<2>);

impl DoubleExponential {
    /// An average over `length` bars.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Chain::new(length).map(Self)
    }
}

impl Indicator for DoubleExponential {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.0.warm_up()
    }

    fn settled(&self) -> Option<usize> {
        Some(self.0.settled())
    }

    fn update(&mut self, bar: &Bar) {
        self.0.push(bar.close.to_f64());
    }

    fn value(&self) -> Option<f64> {
        self.0.values().map(|[first, second]| 2.0 * first - second)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.0.scale(price_factor(ratio));
        Ok(())
    }
}

/// Triple exponential average of closes, 3·EMA − 3·EMA² + EMA³. Warm-up: 3·`length` − 2 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct TripleExponential(Chain<3>);

impl TripleExponential {
    /// An average over `length` bars.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Chain::new(length).map(Self)
    }
}

impl Indicator for TripleExponential {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.0.warm_up()
    }

    fn settled(&self) -> Option<usize> {
        Some(self.0.settled())
    }

    fn update(&mut self, bar: &Bar) {
        self.0.push(bar.close.to_f64());
    }

    fn value(&self) -> Option<f64> {
        self.0.values().map(|[first, second, third]| 3.0 * first - 3.0 * second + third)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.0.scale(price_factor(ratio));
        Ok(())
    }
}

/// Change over one bar of a triple smoothed close, in percent. Warm-up: 3·`length` − 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Trix {
    chain: Chain<3>,
    before: Option<f64>,
}

impl Trix {
    /// Averages over `length` bars.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { chain: Chain::new(length)?, before: None })
    }
}

impl Indicator for Trix {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.chain.warm_up() + 1
    }

    fn settled(&self) -> Option<usize> {
        Some(self.chain.settled() + 1)
    }

    fn update(&mut self, bar: &Bar) {
        self.before = self.chain.stages[2].value();
        self.chain.push(bar.close.to_f64());
    }

    fn value(&self) -> Option<f64> {
        let before = self.before.filter(|before| *before > 0.0)?;
        Some((self.chain.stages[2].value()? / before - 1.0) * 100.0)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let factor = price_factor(ratio);
        self.chain.scale(factor);
        self.before = self.before.map(|before| before * factor);
        Ok(())
    }
}

/// Kaufman's adaptive average of closes: fast in a straight move, slow in noise. Warm-up: `length` + 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct AdaptiveMovingAverage {
    window: PriceWindow,
    /// Σ |change| over the window: the way the price went.
    way: i128,
    average: Option<f64>,
}

/// Factors of the slowest and the fastest exponential average it may become: 30 and 2 bars.
const SLOWEST: f64 = 2.0 / 31.0;
const FASTEST: f64 = 2.0 / 3.0;

impl AdaptiveMovingAverage {
    /// Efficiency over `length` changes, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        Ok(Self { window: PriceWindow::new(length, 1)?, way: 0, average: None })
    }

    fn way_of(&self) -> i128 {
        let changes = self.window.iter().zip(self.window.iter().skip(1));
        changes.map(|(then, now)| (i128::from(now.0) - i128::from(then.0)).abs()).sum()
    }
}

impl Indicator for AdaptiveMovingAverage {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.window.capacity()
    }

    fn settled(&self) -> Option<usize> {
        Some(self.warm_up() + forgotten_after(1.0 - SLOWEST * SLOWEST))
    }

    fn update(&mut self, bar: &Bar) {
        let distance = |then: Price, now: Price| i128::from(now.0) - i128::from(then.0);
        let before = self.window.newest();
        let second = self.window.iter().nth(1);
        self.way += before.map_or(0, |before| distance(before, bar.close).abs());
        if let (Some(dropped), Some(second)) = (self.window.push(bar.close), second) {
            self.way -= distance(dropped, second).abs();
        }
        let (Some((oldest, newest)), Some(before)) = (self.window.ends(), before) else { return };
        let gone = distance(oldest, newest);
        // As in TA-Lib: a way that is no longer than the rise, or none at all, counts as straight.
        let efficiency =
            if self.way <= gone || self.way == 0 { 1.0 } else { (gone as f64 / self.way as f64).abs() };
        let factor = (efficiency * (FASTEST - SLOWEST) + SLOWEST).powi(2);
        let average = self.average.unwrap_or_else(|| before.to_f64());
        self.average = Some(average + (newest.to_f64() - average) * factor);
    }

    fn value(&self) -> Option<f64> {
        self.average
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.rescale(ratio)?;
        self.way = self.way_of();
        self.average = self.average.map(|average| average * price_factor(ratio));
        Ok(())
    }
}
