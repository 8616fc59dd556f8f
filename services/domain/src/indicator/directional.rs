//! Trend: the directional movement system and the parabolic stop and reverse.
//!
//! Both choose between branches by comparing differences of prices. They compare the floats that TA-Lib
//! compares, so that they choose alike where exact numbers would tie.

use super::range::{in_dollars, true_range};
use super::smoothing::{Wilder, forgotten_after, price_factor};
use super::{Indicator, InvalidLength, Values};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};

/// Strength and direction of a trend, each 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Direction {
    /// Average directional index: how strong the trend is. It comes later than the other two.
    pub adx: Option<f64>,
    /// Positive directional indicator: the share of range that rises.
    pub plus_di: f64,
    /// Negative directional indicator: the share of range that falls.
    pub minus_di: f64,
}

impl Values for Direction {
    const NAMES: &'static [&'static str] = &["adx", "plus_di", "minus_di"];

    fn put(self, out: &mut [Option<f64>]) {
        for (place, value) in out.iter_mut().zip([self.adx, Some(self.plus_di), Some(self.minus_di)]) {
            *place = value;
        }
    }
}

/// Wilder's directional movement: +DI and −DI from `length` + 1 bars on, ADX from 2·`length` on.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionalMovement {
    length: usize,
    /// Changes seen.
    seen: usize,
    plus: f64,
    minus: f64,
    range: f64,
    index: Wilder,
    last: Option<Bar>,
}

impl DirectionalMovement {
    /// Smoothed over `length` bars, at least 2.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        if length < 2 {
            return Err(InvalidLength(length));
        }
        let index = Wilder::new(length)?;
        Ok(Self { length, seen: 0, plus: 0.0, minus: 0.0, range: 0.0, index, last: None })
    }

    fn step(&mut self, bar: &Bar, before: &Bar) {
        self.seen = self.seen.saturating_add(1);
        let up = bar.high.to_f64() - before.high.to_f64();
        let down = before.low.to_f64() - bar.low.to_f64();
        // Wilder's sums: the first length − 1 changes are added, from then on a share of the sum gives way.
        if self.seen >= self.length {
            for sum in [&mut self.plus, &mut self.minus, &mut self.range] {
                *sum -= *sum / self.length as f64;
            }
        }
        if down > 0.0 && up < down {
            self.minus += down;
        } else if up > 0.0 && up > down {
            self.plus += up;
        }
        self.range += in_dollars(true_range(bar, before.close));
        if self.seen < self.length {
            return;
        }
        match self.indicators() {
            Some((plus, minus)) if plus + minus > 0.0 => {
                self.index.push(100.0 * ((minus - plus).abs() / (minus + plus)));
            }
            // As in TA-Lib: a bar without any direction adds nothing to the first mean and nothing later on.
            _ if self.index.value().is_none() => {
                self.index.push(0.0);
            }
            _ => {}
        }
    }

    fn indicators(&self) -> Option<(f64, f64)> {
        let defined = self.seen >= self.length && self.range > 0.0;
        defined.then(|| (100.0 * (self.plus / self.range), 100.0 * (self.minus / self.range)))
    }
}

impl Indicator for DirectionalMovement {
    type Value = Direction;

    fn warm_up(&self) -> usize {
        self.length + 1
    }

    fn settled(&self) -> Option<usize> {
        Some(2 * (self.length + forgotten_after(1.0 - 1.0 / self.length as f64)))
    }

    fn update(&mut self, bar: &Bar) {
        if let Some(before) = self.last.replace(*bar) {
            self.step(bar, &before);
        }
    }

    fn value(&self) -> Option<Direction> {
        let (plus_di, minus_di) = self.indicators()?;
        Some(Direction { adx: self.index.value(), plus_di, minus_di })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let adjusted = self.last.map(|bar| crate::corporate_action::adjust_bar(&bar, ratio)).transpose()?;
        self.last = adjusted;
        for sum in [&mut self.plus, &mut self.minus, &mut self.range] {
            *sum *= price_factor(ratio);
        }
        Ok(())
    }
}

/// Wilder's parabolic stop and reverse. Warm-up: 2 bars; each reversal starts it afresh.
#[derive(Clone, Debug, PartialEq)]
pub struct Parabolic {
    step: f64,
    most: f64,
    /// High and low of the bar before.
    before: Option<(f64, f64)>,
    trail: Option<Trail>,
    value: Option<f64>,
}

/// A stop that follows a move.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Trail {
    rising: bool,
    stop: f64,
    extreme: f64,
    acceleration: f64,
}

impl Parabolic {
    /// Acceleration grows by `step` with each new extreme, to `most`.
    #[must_use]
    pub fn new(step: f64, most: f64) -> Self {
        Self { step: step.min(most), most, before: None, trail: None, value: None }
    }

    fn start(&self, (high_before, low_before): (f64, f64), high: f64, low: f64) -> Trail {
        let (up, down) = (high - high_before, low_before - low);
        let falling = down > 0.0 && up < down;
        let (stop, extreme) = if falling { (high_before, low) } else { (low_before, high) };
        Trail { rising: !falling, stop, extreme, acceleration: self.step }
    }

    /// The stop that holds on this bar, and the trail for the next one.
    fn follow(&self, mut trail: Trail, high: (f64, f64), low: (f64, f64)) -> (f64, Trail) {
        let touched = if trail.rising { low.1 <= trail.stop } else { high.1 >= trail.stop };
        if touched {
            trail = Trail { rising: !trail.rising, stop: trail.extreme, acceleration: self.step, ..trail };
            trail.stop = trail.bounded(high, low);
            trail.extreme = if trail.rising { high.1 } else { low.1 };
        }
        let stop = trail.stop;
        let beaten = if trail.rising { high.1 > trail.extreme } else { low.1 < trail.extreme };
        if beaten {
            trail.extreme = if trail.rising { high.1 } else { low.1 };
            trail.acceleration = (trail.acceleration + self.step).min(self.most);
        }
        trail.stop += trail.acceleration * (trail.extreme - trail.stop);
        trail.stop = trail.bounded(high, low);
        (stop, trail)
    }
}

impl Trail {
    /// The stop, never inside the range of the last two bars.
    fn bounded(&self, high: (f64, f64), low: (f64, f64)) -> f64 {
        if self.rising { self.stop.min(low.0).min(low.1) } else { self.stop.max(high.0).max(high.1) }
    }
}

impl Indicator for Parabolic {
    type Value = f64;

    fn warm_up(&self) -> usize {
        2
    }

    /// Until the first reversal the start matters, and nothing says when that is.
    fn settled(&self) -> Option<usize> {
        None
    }

    fn update(&mut self, bar: &Bar) {
        let (high, low) = (bar.high.to_f64(), bar.low.to_f64());
        if let Some(before) = self.before.replace((high, low)) {
            // The very first step sees its own bar on both sides, as in TA-Lib.
            let (trail, before) = match self.trail {
                Some(trail) => (trail, before),
                None => (self.start(before, high, low), (high, low)),
            };
            let (stop, trail) = self.follow(trail, (before.0, high), (before.1, low));
            (self.value, self.trail) = (Some(stop), Some(trail));
        }
    }

    fn value(&self) -> Option<f64> {
        self.value
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let factor = price_factor(ratio);
        self.before = self.before.map(|(high, low)| (high * factor, low * factor));
        self.value = self.value.map(|value| value * factor);
        if let Some(trail) = &mut self.trail {
            trail.stop *= factor;
            trail.extreme *= factor;
        }
        Ok(())
    }
}
