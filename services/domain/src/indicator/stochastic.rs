//! Where the close lies in a range: stochastics, Williams %R, the stochastic of the relative strength index,
//! the commodity channel index, and how long ago the extremes were (Aroon).

use super::extreme::Extreme;
use super::moments::{from_fine, to_fine};
use super::window::Window;
use super::{Indicator, InvalidLength, RelativeStrengthIndex, Values};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// The stochastic and its average, each 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stochastics {
    /// %K.
    pub k: f64,
    /// %D, the mean of %K.
    pub d: f64,
}

impl Values for Stochastics {
    const NAMES: &'static [&'static str] = &["k", "d"];

    fn put(self, out: &mut [Option<f64>]) {
        super::put_all(out, [self.k, self.d]);
    }
}

/// Mean of the last figures, which may be undefined: then so is a mean over them.
#[derive(Clone, Debug, PartialEq)]
struct MeanOf {
    window: Window<Option<i128>>,
    sum: i128,
    undefined: usize,
}

impl MeanOf {
    fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: Window::new(length, 0)?, sum: 0, undefined: 0 })
    }

    fn push(&mut self, value: Option<f64>) {
        let value = value.and_then(to_fine);
        match self.window.push(value) {
            Some(Some(dropped)) => self.sum -= dropped,
            Some(None) => self.undefined -= 1,
            None => {}
        }
        match value {
            Some(value) => self.sum += value,
            None => self.undefined += 1,
        }
    }

    fn value(&self) -> Option<f64> {
        let defined = self.window.is_full() && self.undefined == 0;
        defined.then(|| from_fine(self.sum) / self.window.capacity() as f64)
    }
}

/// Where the close lies between the lowest low and the highest high, in percent, smoothed.
///
/// Slow: %K is the mean of `smoothing` raw values; fast: `smoothing` is 1. Undefined in a range without
/// height, and for as long as a mean holds such a bar. Warm-up: `length` + `smoothing` + `signal` − 2 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Stochastic {
    highest: Extreme<Price>,
    lowest: Extreme<Price>,
    k: MeanOf,
    d: MeanOf,
}

impl Stochastic {
    /// A range of `length` bars; %K of `smoothing` raw values, %D of `signal` %K.
    pub fn new(length: usize, smoothing: usize, signal: usize) -> Result<Self, InvalidLength> {
        super::check_length(length)?;
        Ok(Self {
            highest: Extreme::highest(length)?,
            lowest: Extreme::lowest(length)?,
            k: MeanOf::new(smoothing)?,
            d: MeanOf::new(signal)?,
        })
    }
}

/// (close − lowest) / (highest − lowest); `None` before the window is full and without a range.
fn place_in_range(highest: &Extreme<Price>, lowest: &Extreme<Price>, close: Price) -> Option<Option<f64>> {
    let (highest, lowest) = highest.value().zip(lowest.value())?;
    let (range, above) =
        (i128::from(highest.0) - i128::from(lowest.0), i128::from(close.0) - i128::from(lowest.0));
    Some((range > 0).then(|| above as f64 / range as f64))
}

impl Indicator for Stochastic {
    type Value = Stochastics;

    fn warm_up(&self) -> usize {
        self.highest.length() + self.k.window.capacity() + self.d.window.capacity() - 2
    }

    fn update(&mut self, bar: &Bar) {
        self.highest.push(bar.high);
        self.lowest.push(bar.low);
        let Some(place) = place_in_range(&self.highest, &self.lowest, bar.close) else { return };
        self.k.push(place.map(|place| place * 100.0));
        if self.k.window.is_full() {
            self.d.push(self.k.value());
        }
    }

    fn value(&self) -> Option<Stochastics> {
        Some(Stochastics { k: self.k.value()?, d: self.d.value()? })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let mut highest = self.highest.clone();
        highest.rescale(ratio)?;
        self.lowest.rescale(ratio)?;
        self.highest = highest;
        Ok(())
    }
}

/// Williams %R: how far the close lies below the highest high, −100 to 0. Warm-up: `length` bars.
#[derive(Clone, Debug, PartialEq)]
pub struct WilliamsR {
    highest: Extreme<Price>,
    lowest: Extreme<Price>,
    close: Price,
}

impl WilliamsR {
    /// A range of `length` bars.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        super::check_length(length)?;
        Ok(Self { highest: Extreme::highest(length)?, lowest: Extreme::lowest(length)?, close: Price::ZERO })
    }
}

impl Indicator for WilliamsR {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.highest.length()
    }

    fn update(&mut self, bar: &Bar) {
        self.highest.push(bar.high);
        self.lowest.push(bar.low);
        self.close = bar.close;
    }

    fn value(&self) -> Option<f64> {
        let (highest, lowest) = self.highest.value().zip(self.lowest.value())?;
        let range = i128::from(highest.0) - i128::from(lowest.0);
        let below = i128::from(self.close.0) - i128::from(highest.0);
        (range > 0).then(|| below as f64 / range as f64 * 100.0)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let close = ratio.adjust_price(self.close)?;
        let mut highest = self.highest.clone();
        highest.rescale(ratio)?;
        self.lowest.rescale(ratio)?;
        (self.highest, self.close) = (highest, close);
        Ok(())
    }
}

/// Ranges of the index, out of 100, below which it did not move.
const STILL: f64 = 1e-9;

/// The stochastic of the relative strength index; undefined while that stands still. Warm-up: `length` + `range` + `signal` − 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct StochasticRsi {
    index: RelativeStrengthIndex,
    highest: Extreme<f64>,
    lowest: Extreme<f64>,
    k: Option<f64>,
    d: MeanOf,
}

impl StochasticRsi {
    /// The index over `length` changes, at least 2; its range over `range` bars; %D of `signal` %K.
    pub fn new(length: usize, range: usize, signal: usize) -> Result<Self, InvalidLength> {
        super::check_length(range)?;
        Ok(Self {
            index: RelativeStrengthIndex::new(length)?,
            highest: Extreme::highest(range)?,
            lowest: Extreme::lowest(range)?,
            k: None,
            d: MeanOf::new(signal)?,
        })
    }
}

impl Indicator for StochasticRsi {
    type Value = Stochastics;

    fn warm_up(&self) -> usize {
        self.index.warm_up() + self.highest.length() + self.d.window.capacity() - 2
    }

    fn settled(&self) -> Option<usize> {
        self.index.settled().map(|bars| bars + self.highest.length() + self.d.window.capacity())
    }

    fn update(&mut self, bar: &Bar) {
        self.index.update(bar);
        let Some(index) = self.index.value() else { return };
        self.highest.push(index);
        self.lowest.push(index);
        let Some((highest, lowest)) = self.highest.value().zip(self.lowest.value()) else { return };
        // An index that stands still trembles in its last digits.
        self.k = (highest - lowest > STILL).then(|| (index - lowest) / (highest - lowest) * 100.0);
        self.d.push(self.k);
    }

    fn value(&self) -> Option<Stochastics> {
        Some(Stochastics { k: self.k?, d: self.d.value()? })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.index.rescale(ratio)
    }
}

/// Commodity channel index: the typical price's distance from its mean, in 0.015 mean deviations.
/// Warm-up: `length` bars.
///
/// The mean deviation is around a mean that moves with every bar, so a bar costs a walk over the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommodityChannel {
    /// Three times the typical prices: high + low + close.
    window: Window<i128>,
    sum: i128,
}

impl CommodityChannel {
    /// Over `length` bars, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        Ok(Self { window: Window::new(length, 0)?, sum: 0 })
    }
}

/// high + low + close, three times the typical price.
pub(super) fn typical_sum(bar: &Bar) -> i128 {
    i128::from(bar.high.0) + i128::from(bar.low.0) + i128::from(bar.close.0)
}

impl Indicator for CommodityChannel {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.window.capacity()
    }

    fn update(&mut self, bar: &Bar) {
        let typical = typical_sum(bar);
        self.sum += typical - self.window.push(typical).unwrap_or_default();
    }

    fn value(&self) -> Option<f64> {
        let length = self.window.capacity() as i128;
        let (_, newest) = self.window.ends()?;
        // n·|x − mean| summed, exactly; the factors n and 3 fall out of the quotient, but for one n.
        let deviations: i128 = self.window.iter().map(|typical| (typical * length - self.sum).abs()).sum();
        let distance = newest * length - self.sum;
        (deviations > 0).then(|| distance as f64 / (0.015 * (deviations as f64 / length as f64)))
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.window.try_map(|typical| {
            let third = Price(i64::try_from(typical / 3).unwrap_or(i64::MAX));
            ratio.adjust_price(third)?;
            let (new, old) = ratio.terms();
            Ok(crate::money::div_half_even(typical * i128::from(old), i128::from(new)))
        })?;
        self.sum = self.window.iter().sum();
        Ok(())
    }
}

/// How recent the extremes are, each 0 to 100, and the difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aroons {
    /// 100 when the highest high is the newest bar's.
    pub up: f64,
    /// 100 when the lowest low is the newest bar's.
    pub down: f64,
    /// `up` − `down`.
    pub oscillator: f64,
}

impl Values for Aroons {
    const NAMES: &'static [&'static str] = &["up", "down", "oscillator"];

    fn put(self, out: &mut [Option<f64>]) {
        super::put_all(out, [self.up, self.down, self.oscillator]);
    }
}

/// Aroon: bars since the highest high and the lowest low of `length` + 1 bars. Warm-up: `length` + 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Aroon {
    length: usize,
    highest: Extreme<Price>,
    lowest: Extreme<Price>,
}

impl Aroon {
    /// Over `length` bars before the newest, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        super::check_length(length).and(if length < 2 { Err(InvalidLength(length)) } else { Ok(()) })?;
        Ok(Self { length, highest: Extreme::highest(length + 1)?, lowest: Extreme::lowest(length + 1)? })
    }
}

impl Indicator for Aroon {
    type Value = Aroons;

    fn warm_up(&self) -> usize {
        self.length + 1
    }

    fn update(&mut self, bar: &Bar) {
        self.highest.push(bar.high);
        self.lowest.push(bar.low);
    }

    fn value(&self) -> Option<Aroons> {
        let length = self.length as f64;
        let share = |age: u64| 100.0 * (length - age as f64) / length;
        let (up, down) = (share(self.highest.age()?), share(self.lowest.age()?));
        Some(Aroons { up, down, oscillator: up - down })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let mut highest = self.highest.clone();
        highest.rescale(ratio)?;
        self.lowest.rescale(ratio)?;
        self.highest = highest;
        Ok(())
    }
}
