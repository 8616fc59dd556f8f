//! True range and what is made of it: average true range, Keltner channels, the ultimate oscillator.

use super::smoothing::{Exponential, Wilder, price_factor};
use super::window::Window;
use super::{Channel, Indicator, InvalidLength};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// The largest of high − low, |high − close before| and |low − close before|.
pub(super) fn true_range(bar: &Bar, before: Price) -> i128 {
    i128::from(bar.high.0.max(before.0)) - i128::from(bar.low.0.min(before.0))
}

pub(super) fn in_dollars(units: i128) -> f64 {
    units as f64 / 1e9
}

/// Wilder's average of the true range of closed bars. Warm-up: `length` + 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct AverageTrueRange {
    average: Wilder,
    last: Option<Price>,
    percent: bool,
}

impl AverageTrueRange {
    /// In dollars per share.
    pub fn dollars(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { average: Wilder::new(length)?, last: None, percent: false })
    }

    /// In percent of the close (normalised).
    pub fn percent(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { percent: true, ..Self::dollars(length)? })
    }
}

impl Indicator for AverageTrueRange {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.average.length() + 1
    }

    fn settled(&self) -> Option<usize> {
        Some(self.warm_up() + self.average.forgotten_after())
    }

    fn update(&mut self, bar: &Bar) {
        if let Some(before) = self.last.replace(bar.close) {
            self.average.push(in_dollars(true_range(bar, before)));
        }
    }

    fn value(&self) -> Option<f64> {
        let average = self.average.value()?;
        if !self.percent {
            return Some(average);
        }
        let close = self.last.filter(|close| *close > Price::ZERO)?;
        Some(average / close.to_f64() * 100.0)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.last = self.last.map(|price| ratio.adjust_price(price)).transpose()?;
        self.average.scale(price_factor(ratio));
        Ok(())
    }
}

/// Exponential average of closes and lines some average true ranges above and below it (Keltner, as Raschke
/// restated it). Warm-up: the longer of `length` and `range` + 1 bars.
#[derive(Clone, Debug, PartialEq)]
pub struct KeltnerChannel {
    middle: Exponential,
    range: AverageTrueRange,
    multiple: f64,
}

impl KeltnerChannel {
    /// An average of `length` closes, ranges averaged over `range` bars, lines `multiple` of them away.
    pub fn new(length: usize, range: usize, multiple: f64) -> Result<Self, InvalidLength> {
        Ok(Self { middle: Exponential::new(length)?, range: AverageTrueRange::dollars(range)?, multiple })
    }
}

impl Indicator for KeltnerChannel {
    type Value = Channel;

    fn warm_up(&self) -> usize {
        self.middle.length().max(self.range.warm_up())
    }

    fn settled(&self) -> Option<usize> {
        self.range.settled().map(|range| range.max(self.middle.length() + self.middle.forgotten_after()))
    }

    fn update(&mut self, bar: &Bar) {
        self.middle.push(bar.close.to_f64());
        self.range.update(bar);
    }

    fn value(&self) -> Option<Channel> {
        let (middle, range) = self.middle.value().zip(self.range.value())?;
        let distance = self.multiple * range;
        Some(Channel { upper: middle + distance, middle, lower: middle - distance })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.range.rescale(ratio)?;
        self.middle.scale(price_factor(ratio));
        Ok(())
    }
}

/// Exact sums of buying pressure and true range over one of the oscillator's windows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pressure {
    window: Window<(i128, i128)>,
    pressure: i128,
    range: i128,
}

impl Pressure {
    fn new(length: usize) -> Result<Self, InvalidLength> {
        Ok(Self { window: Window::new(length, 0)?, pressure: 0, range: 0 })
    }

    fn push(&mut self, pressure: i128, range: i128) {
        if let Some((pressure, range)) = self.window.push((pressure, range)) {
            self.pressure -= pressure;
            self.range -= range;
        }
        self.pressure += pressure;
        self.range += range;
    }

    fn share(&self) -> Option<f64> {
        (self.window.is_full() && self.range > 0).then(|| self.pressure as f64 / self.range as f64)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let restated = |value: i128| {
            ratio
                .adjust_price(Price(i64::try_from(value).unwrap_or(i64::MAX)))
                .map(|price| i128::from(price.0))
        };
        self.window.try_map(|(pressure, range)| Ok((restated(pressure)?, restated(range)?)))?;
        self.pressure = self.window.iter().map(|(pressure, _)| pressure).sum();
        self.range = self.window.iter().map(|(_, range)| range).sum();
        Ok(())
    }
}

/// Ultimate oscillator: where closes lie in their true ranges, over three windows weighted 4, 2 and 1.
/// Warm-up: the longest window + 1 bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UltimateOscillator {
    windows: [Pressure; 3],
    last: Option<Price>,
}

impl UltimateOscillator {
    /// Windows of `lengths` bars; as in TA-Lib the shortest one weighs most, in whatever order they come.
    pub fn new(mut lengths: [usize; 3]) -> Result<Self, InvalidLength> {
        lengths.sort_unstable();
        let [short, medium, long] = lengths;
        Ok(Self {
            windows: [Pressure::new(short)?, Pressure::new(medium)?, Pressure::new(long)?],
            last: None,
        })
    }
}

impl Indicator for UltimateOscillator {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.windows[2].window.capacity() + 1
    }

    fn update(&mut self, bar: &Bar) {
        if let Some(before) = self.last.replace(bar.close) {
            let pressure = i128::from(bar.close.0) - i128::from(bar.low.0.min(before.0));
            let range = true_range(bar, before);
            self.windows.iter_mut().for_each(|window| window.push(pressure, range));
        }
    }

    fn value(&self) -> Option<f64> {
        let [short, medium, long] = &self.windows;
        Some((4.0 * short.share()? + 2.0 * medium.share()? + long.share()?) / 7.0 * 100.0)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let mut restated = self.clone();
        restated.last = restated.last.map(|price| ratio.adjust_price(price)).transpose()?;
        for window in &mut restated.windows {
            window.rescale(ratio)?;
        }
        *self = restated;
        Ok(())
    }
}
