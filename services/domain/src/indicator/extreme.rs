//! Highest and lowest value of a window, in constant time per bar on average.
//!
//! A deque holds the candidates: values that no newer one has beaten. Each value enters and leaves once.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::{Indicator, InvalidLength, MAX_LENGTH, Values};
use crate::bar::Bar;
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// The extreme of the last `length` values; of equal ones the newest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Extreme<Value> {
    /// Number and value of each candidate, the extreme first.
    candidates: VecDeque<(u64, Value)>,
    length: usize,
    seen: u64,
    /// `Greater` for the highest, `Less` for the lowest.
    wanted: Ordering,
}

impl<Value: Copy + PartialOrd> Extreme<Value> {
    pub(super) fn highest(length: usize) -> Result<Self, InvalidLength> {
        Self::new(length, Ordering::Greater)
    }

    pub(super) fn lowest(length: usize) -> Result<Self, InvalidLength> {
        Self::new(length, Ordering::Less)
    }

    fn new(length: usize, wanted: Ordering) -> Result<Self, InvalidLength> {
        // One bar more than the longest length, for indicators that look at the bar before as well.
        if length == 0 || length > MAX_LENGTH + 1 {
            return Err(InvalidLength(length));
        }
        Ok(Self { candidates: VecDeque::with_capacity(length + 1), length, seen: 0, wanted })
    }

    pub(super) fn push(&mut self, value: Value) {
        while self.candidates.back().is_some_and(|(_, last)| last.partial_cmp(&value) != Some(self.wanted)) {
            self.candidates.pop_back();
        }
        self.candidates.push_back((self.seen, value));
        self.seen += 1;
        while self.candidates.front().is_some_and(|(number, _)| number + (self.length as u64) < self.seen) {
            self.candidates.pop_front();
        }
    }

    /// The extreme of a full window.
    pub(super) fn value(&self) -> Option<Value> {
        (self.seen >= self.length as u64).then(|| self.candidates.front().map(|(_, value)| *value)).flatten()
    }

    /// Bars since the extreme of a full window; 0 is the newest bar.
    pub(super) fn age(&self) -> Option<u64> {
        let (number, _) = self.candidates.front().filter(|_| self.seen >= self.length as u64)?;
        Some(self.seen - 1 - number)
    }

    pub(super) fn length(&self) -> usize {
        self.length
    }
}

impl Extreme<Price> {
    /// Restates every candidate; an order that rounding turns into a tie keeps the newer one.
    pub(super) fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let mut restated: VecDeque<(u64, Price)> = VecDeque::with_capacity(self.length + 1);
        for (number, price) in &self.candidates {
            let price = ratio.adjust_price(*price)?;
            while restated.back().is_some_and(|(_, last)| last.cmp(&price) != self.wanted) {
                restated.pop_back();
            }
            restated.push_back((*number, price));
        }
        self.candidates = restated;
        Ok(())
    }
}

/// A channel around the price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Channel {
    /// Upper edge.
    pub upper: f64,
    /// Its middle.
    pub middle: f64,
    /// Lower edge.
    pub lower: f64,
}

impl Values for Channel {
    const NAMES: &'static [&'static str] = &["upper", "middle", "lower"];

    fn put(self, out: &mut [Option<f64>]) {
        super::put_all(out, [self.upper, self.middle, self.lower]);
    }
}

/// Highest high and lowest low of the last `length` bars (Donchian). Warm-up: `length` bars.
#[derive(Clone, Debug, PartialEq)]
pub struct DonchianChannel {
    highest: Extreme<Price>,
    lowest: Extreme<Price>,
}

impl DonchianChannel {
    /// A channel over `length` bars, the newest included.
    pub fn new(length: usize) -> Result<Self, InvalidLength> {
        super::check_length(length)?;
        Ok(Self { highest: Extreme::highest(length)?, lowest: Extreme::lowest(length)? })
    }

    /// The edges as exact prices, upper first: a breakout compares prices, not floats.
    #[must_use]
    pub fn edges(&self) -> Option<(Price, Price)> {
        self.highest.value().zip(self.lowest.value())
    }
}

impl Indicator for DonchianChannel {
    type Value = Channel;

    fn warm_up(&self) -> usize {
        self.highest.length()
    }

    fn update(&mut self, bar: &Bar) {
        self.highest.push(bar.high);
        self.lowest.push(bar.low);
    }

    fn value(&self) -> Option<Channel> {
        let (upper, lower) = self.edges()?;
        let middle = (i128::from(upper.0) + i128::from(lower.0)) as f64 / 2e9;
        Some(Channel { upper: upper.to_f64(), middle, lower: lower.to_f64() })
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let mut highest = self.highest.clone();
        highest.rescale(ratio)?;
        self.lowest.rescale(ratio)?;
        self.highest = highest;
        Ok(())
    }
}

/// Highest or lowest close of the last `length` bars. Warm-up: `length` bars.
#[derive(Clone, Debug, PartialEq)]
pub struct RollingExtreme(Extreme<Price>);

impl RollingExtreme {
    /// The highest close of `length` bars.
    pub fn highest(length: usize) -> Result<Self, InvalidLength> {
        super::check_length(length)?;
        Extreme::highest(length).map(Self)
    }

    /// The lowest close of `length` bars.
    pub fn lowest(length: usize) -> Result<Self, InvalidLength> {
        super::check_length(length)?;
        Extreme::lowest(length).map(Self)
    }

    /// Takes the next price.
    pub fn push(&mut self, price: Price) {
        self.0.push(price);
    }

    /// The extreme as an exact price.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        self.0.value()
    }
}

impl Indicator for RollingExtreme {
    type Value = f64;

    fn warm_up(&self) -> usize {
        self.0.length()
    }

    fn update(&mut self, bar: &Bar) {
        self.push(bar.close);
    }

    fn value(&self) -> Option<f64> {
        self.price().map(Price::to_f64)
    }

    fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        self.0.rescale(ratio)
    }
}
