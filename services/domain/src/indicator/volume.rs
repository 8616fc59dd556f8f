//! Volume: on-balance volume, accumulation and distribution, money flow, and the volume-weighted price.
//!
//! Volumes count shares; the cumulative lines start at the first bar they saw, so only their changes mean
//! something.

use super::smoothing::forgotten_after;
use super::stochastic::typical_sum;
use super::wide::Wide;
use super::window::Window;
use super::{Indicator, InvalidLength, check_length};
use crate::bar::Bar;
use crate::calendar::Calendar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::{Price, div_half_even};

/// Units of volume in a share.
const SHARE: f64 = 1e3;

/// What a split does to a figure in shares.
fn volume_factor(ratio: SplitRatio) -> f64 {
    let (new, old) = ratio.terms();
    new as f64 / old as f64
}

/// Running sum of volume, added on a higher close and taken off on a lower one. Warm-up: 1 bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnBalanceVolume {
    last: Option<Price>,
    balance: i128,
}

impl OnBalanceVolume {
    /// A balance that starts with the first bar's volume.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Indicator for OnBalanceVolume {
    type Value = f64;

    fn warm_up(&self) -> usize {
        1
    }

    fn settled(&self) -> Option<usize> {
        None
    }

    fn update(&mut self, bar: &Bar) {
        let volume = i128::from(bar.volume.0);
        match self.last.replace(bar.close) {
            Some(before) if bar.close < before => self.balance -= volume,
            Some(before) if bar.close == before => {}
            _ => self.balance += volume,
        }
    }

    fn value(&self) -> Option<f64> {
        self.last.map(|_| self.balance as f64 / SHARE)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.last = self.last.map(|price| ratio.adjust_price(price)).transpose()?;
        let (new, old) = ratio.terms();
        self.balance = div_half_even(self.balance * i128::from(new), i128::from(old));
        Ok(())
    }
}

/// A sum of floats that keeps what each addition rounds off.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Compensated {
    sum: f64,
    lost: f64,
}

impl Compensated {
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        // Neumaier: the smaller of the two is the one that lost digits.
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
        self.sum = sum;
    }

    fn value(self) -> f64 {
        self.sum + self.lost
    }

    fn scale(&mut self, factor: f64) {
        (self.sum, self.lost) = (self.sum * factor, self.lost * factor);
    }
}

/// The running sum of volume times the close's place in its bar, −1 at the low to 1 at the high (Chaikin).
/// Warm-up: 1 bar. A bar without a range adds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AccumulationDistribution {
    line: Compensated,
    started: bool,
}

impl AccumulationDistribution {
    /// A line that starts at zero before the first bar.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Indicator for AccumulationDistribution {
    type Value = f64;

    fn warm_up(&self) -> usize {
        1
    }

    fn settled(&self) -> Option<usize> {
        None
    }

    fn update(&mut self, bar: &Bar) {
        self.started = true;
        let (high, low, close) = (i128::from(bar.high.0), i128::from(bar.low.0), i128::from(bar.close.0));
        if high > low {
            let place = ((close - low) - (high - close)) as f64 / (high - low) as f64;
            self.line.add(place * (bar.volume.0 as f64 / SHARE));
        }
    }

    fn value(&self) -> Option<f64> {
        self.started.then(|| self.line.value())
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.line.scale(volume_factor(ratio));
        Ok(())
    }
}

/// Chaikin's oscillator: fast minus slow exponential average of the accumulation/distribution line.
/// Warm-up: the longer length; both averages start at the line's first value, as in TA-Lib.
#[derive(Clone, Debug, PartialEq)]
pub struct ChaikinOscillator {
    line: AccumulationDistribution,
    lengths: (usize, usize),
    averages: Option<(f64, f64)>,
    seen: usize,
}

impl ChaikinOscillator {
    /// Averages over `fast` and `slow` bars, at least 2.
    pub fn new(fast: usize, slow: usize) -> Result<Self, InvalidLength> {
        for length in [fast, slow] {
            check_length(length).and(if length < 2 { Err(InvalidLength(length)) } else { Ok(()) })?;
        }
        Ok(Self { line: AccumulationDistribution::new(), lengths: (fast, slow), averages: None, seen: 0 })
    }

    fn longest(&self) -> usize {
        self.lengths.0.max(self.lengths.1)
    }
}

impl Indicator for ChaikinOscillator {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.longest()
    }

    /// The line's unknown start moves both averages alike, so that only the difference has to settle.
    fn settled(&self) -> Option<usize> {
        Some(self.longest() + forgotten_after(1.0 - 2.0 / (self.longest() + 1) as f64))
    }

    fn update(&mut self, bar: &Bar) {
        self.line.update(bar);
        self.seen = self.seen.saturating_add(1);
        let line = self.line.line.value();
        let step = |average: f64, length: usize| average + (line - average) * (2.0 / (length + 1) as f64);
        self.averages =
            Some(self.averages.map_or((line, line), |(fast, slow)| {
                (step(fast, self.lengths.0), step(slow, self.lengths.1))
            }));
    }

    fn value(&self) -> Option<f64> {
        self.averages.filter(|_| self.seen >= self.longest()).map(|(fast, slow)| fast - slow)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.line.rescale(ratio)?;
        let factor = volume_factor(ratio);
        self.averages = self.averages.map(|(fast, slow)| (fast * factor, slow * factor));
        Ok(())
    }
}

/// The share of traded dollars in bars of a rising typical price, 0 to 100. Warm-up: `length` + 1 bars.
///
/// A bar that repeats the typical price before counts for neither side; that is decided exactly. Undefined when
/// nothing was traded in bars that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyFlowIndex {
    /// Three times typical price times volume, and which way the price went.
    window: Window<(i128, i128, i8)>,
    rising: Wide,
    falling: Wide,
    last: Option<i128>,
}

impl MoneyFlowIndex {
    /// Over `length` bars, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        let (rising, falling) = (Wide::default(), Wide::default());
        Ok(Self { window: Window::new(length, 0)?, rising, falling, last: None })
    }
}

impl Indicator for MoneyFlowIndex {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.window.capacity() + 1
    }

    fn update(&mut self, bar: &Bar) {
        let now = typical_sum(bar);
        let Some(then) = self.last.replace(now) else { return };
        let direction = i8::from(now > then) - i8::from(now < then);
        let entry = (now, i128::from(bar.volume.0), direction);
        if let Some((price, volume, direction)) = self.window.push(entry) {
            let flow = Wide::product(price, volume);
            match direction {
                1 => self.rising = self.rising.minus(flow),
                -1 => self.falling = self.falling.minus(flow),
                _ => {}
            }
        }
        let flow = Wide::product(entry.0, entry.1);
        match direction {
            1 => self.rising = self.rising.plus(flow),
            -1 => self.falling = self.falling.plus(flow),
            _ => {}
        }
    }

    fn value(&self) -> Option<f64> {
        let (rising, falling) = (self.rising.to_f64(), self.falling.to_f64());
        let defined = self.window.is_full() && rising + falling > 0.0;
        defined.then(|| 100.0 * (rising / (rising + falling)))
    }

    /// Dollars do not change with a split, so only the price to compare with does.
    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let (new, old) = ratio.terms();
        self.last = self.last.map(|sum| div_half_even(sum * i128::from(old), i128::from(new)));
        Ok(())
    }
}

/// Since when a volume-weighted price counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The first bar of the day in exchange time.
    Session,
    /// The first bar seen.
    Series,
    /// So many bars ago.
    Rolling(usize),
}

/// Volume-weighted average of typical prices, (high + low + close) / 3. Warm-up: 1 bar, or the rolling length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeWeightedPrice {
    anchor: Anchor,
    window: Option<Window<(i128, i128)>>,
    /// Three times the dollars, and the volume.
    dollars: Wide,
    volume: i128,
    day: Option<chrono::NaiveDate>,
}

impl VolumeWeightedPrice {
    /// Counted since `anchor`.
    pub fn new(anchor: Anchor) -> Result<Self, InvalidLength> {
        let window = match anchor {
            Anchor::Rolling(length) => Some(Window::new(length, 0)?),
            Anchor::Session | Anchor::Series => None,
        };
        Ok(Self { anchor, window, dollars: Wide::default(), volume: 0, day: None })
    }
}

impl Indicator for VolumeWeightedPrice {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.window.as_ref().map_or(1, Window::capacity)
    }

    fn settled(&self) -> Option<usize> {
        /// A day has no more bars than minutes.
        const DAY: usize = 1_440;
        match self.anchor {
            Anchor::Session => Some(DAY),
            Anchor::Series => None,
            Anchor::Rolling(length) => Some(length),
        }
    }

    fn update(&mut self, bar: &Bar) {
        if self.anchor == Anchor::Session {
            let day = Some(Calendar::xnys().date_of(bar.start_ns));
            if self.day != day {
                (self.day, self.dollars, self.volume) = (day, Wide::default(), 0);
            }
        }
        let (price, volume) = (typical_sum(bar), i128::from(bar.volume.0));
        if let Some((price, volume)) = self.window.as_mut().and_then(|window| window.push((price, volume))) {
            self.dollars = self.dollars.minus(Wide::product(price, volume));
            self.volume -= volume;
        }
        self.dollars = self.dollars.plus(Wide::product(price, volume));
        self.volume += volume;
    }

    fn value(&self) -> Option<f64> {
        let full = self.window.as_ref().is_none_or(Window::is_full);
        (full && self.volume > 0).then(|| self.dollars.to_f64() / self.volume as f64 / 3.0 / 1e9)
    }

    /// Dollars do not change with a split, shares do.
    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let (new, old) = ratio.terms();
        let (new, old) = (i128::from(new), i128::from(old));
        if let Some(window) = &mut self.window {
            window.try_map(|(price, volume)| {
                Ok((div_half_even(price * old, new), div_half_even(volume * new, old)))
            })?;
            let sum = |sum: Wide, (price, volume)| sum.plus(Wide::product(price, volume));
            self.dollars = window.iter().fold(Wide::default(), sum);
            self.volume = window.iter().map(|(_, volume)| volume).sum();
        } else {
            self.volume = div_half_even(self.volume * new, old);
        }
        Ok(())
    }
}
