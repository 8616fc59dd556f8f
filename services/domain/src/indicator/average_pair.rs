//! Two simple moving averages of one series over one window, for strategies that compare them.
//!
//! Both are sums over the same closes, which are kept once. A stretch of closes that is known ahead is taken as
//! far as the order of the averages stays ([`AveragePair::take_while_same`]): there the numbers are 64 bits wide
//! where the closes allow it, and nothing but sums is touched.

use std::cmp::Ordering;

use super::simple_moving_average::Mean;
use super::{InvalidLength, check_length};
use crate::corporate_action::{SplitRatio, Unadjustable};
use crate::money::Price;

/// Closes that are looked at in one go.
const STRETCH: usize = 64;
/// Closes kept beyond the window before the oldest are dropped.
const SPARE: usize = 1_024;

/// The means of the last `fast` and the last `slow` closes, `fast` < `slow`.
#[derive(Clone, Debug)]
pub struct AveragePair {
    fast: usize,
    slow: usize,
    /// The newest closes, the window of the slow average among them.
    closes: Vec<i64>,
    fast_sum: i128,
    slow_sum: i128,
    /// All bits that any close ever had, so that it is known how wide a sum can be.
    bits: i64,
}

impl AveragePair {
    /// Averages over `fast` and `slow` bars; the shorter comes first.
    pub fn new(fast: usize, slow: usize) -> Result<Self, InvalidLength> {
        check_length(fast)?;
        check_length(slow)?;
        if fast > slow {
            return Err(InvalidLength(fast));
        }
        Ok(Self { fast, slow, closes: Vec::new(), fast_sum: 0, slow_sum: 0, bits: 0 })
    }

    /// Bars before both have a value.
    #[must_use]
    pub fn warm_up(&self) -> usize {
        self.slow
    }

    /// Takes the next closing price.
    pub fn push(&mut self, price: Price) {
        self.make_room();
        let dropped = |length: usize| self.closes.len().checked_sub(length).map_or(0, |at| self.closes[at]);
        self.fast_sum += i128::from(price.0) - i128::from(dropped(self.fast));
        self.slow_sum += i128::from(price.0) - i128::from(dropped(self.slow));
        self.closes.push(price.0);
        self.bits |= price.0;
    }

    /// Both means, the fast one first; `None` while warming up.
    #[must_use]
    pub fn means(&self) -> Option<(Mean, Mean)> {
        let full = self.closes.len() >= self.slow;
        full.then(|| (Mean::of(self.fast_sum, self.fast), Mean::of(self.slow_sum, self.slow)))
    }

    /// How the fast mean compares to the slow one; `None` while warming up.
    #[must_use]
    pub fn relation(&self) -> Option<Ordering> {
        self.means().map(|(fast, slow)| fast.cmp(&slow))
    }

    /// Takes closes up to the first that crosses: at which the means are no longer equal, nor in the order of the
    /// last closes before at which they were not. `relation` is how they compare before the first close, and after
    /// the last one taken. Says how many it took.
    pub fn take_while_same(&mut self, closes: &[i64], relation: &mut Option<Ordering>) -> usize {
        let mut taken = 0;
        while self.closes.len() < self.slow && taken < closes.len() {
            self.push(Price(closes[taken]));
            *relation = self.relation();
            taken += 1;
        }
        let Some(mut before) = *relation else { return taken };
        while taken < closes.len() {
            let stretch = &closes[taken..closes.len().min(taken + STRETCH)];
            let (same, now) = self.take_stretch(stretch, before);
            taken += same;
            before = now;
            if same < stretch.len() {
                break;
            }
        }
        *relation = Some(before);
        taken
    }

    /// Restates the past after a split. An error leaves it unchanged.
    pub fn rescale(&mut self, ratio: SplitRatio) -> Result<(), Unadjustable> {
        let from = self.closes.len().saturating_sub(self.slow);
        let window = self.closes[from..].iter();
        let window = window.map(|close| ratio.adjust_price(Price(*close)).map(|price| price.0));
        self.closes = window.collect::<Result<_, _>>()?;
        let sum_of = |closes: &[i64]| closes.iter().map(|close| i128::from(*close)).sum();
        self.slow_sum = sum_of(&self.closes);
        self.fast_sum = sum_of(&self.closes[self.closes.len().saturating_sub(self.fast)..]);
        self.bits = self.closes.iter().fold(0, |bits, close| bits | close);
        Ok(())
    }

    /// Drops what no window reaches any more, once in a while.
    fn make_room(&mut self) {
        let length = self.closes.len();
        if length >= self.slow + SPARE.max(self.slow) {
            self.closes.copy_within(length - self.slow.., 0);
            self.closes.truncate(self.slow);
        }
    }

    /// Takes of `stretch` what crosses nothing; both windows are full.
    fn take_stretch(&mut self, stretch: &[i64], before: Ordering) -> (usize, Ordering) {
        self.make_room();
        let from = self.closes.len();
        self.closes.extend_from_slice(stretch);
        self.bits = stretch.iter().fold(self.bits, |bits, close| bits | close);
        // No sum is more than so many times the largest close, nor a sum times the other's length.
        let widest = u128::from(self.bits.unsigned_abs().next_power_of_two());
        let product = widest.saturating_mul(self.fast as u128 * self.slow as u128);
        let (taken, now) = if self.bits >= 0 && product < 1 << 61 {
            self.scan_narrow(from, before)
        } else {
            self.scan_wide(from, before)
        };
        self.closes.truncate(from + taken);
        (taken, now)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "the caller has shown that every sum times a length fits"
    )]
    fn scan_narrow(&mut self, from: usize, mut before: Ordering) -> (usize, Ordering) {
        let (fast_bars, slow_bars) = (self.fast as i64, self.slow as i64);
        let (mut fast, mut slow) = (self.fast_sum as i64, self.slow_sum as i64);
        let new = &self.closes[from..];
        let left = self.closes[from - self.fast..].iter().zip(&self.closes[from - self.slow..]);
        let mut taken = 0;
        // Wrapping only in name: the range was checked.
        for (&close, (&fast_left, &slow_left)) in new.iter().zip(left) {
            let next_fast = fast.wrapping_add(close.wrapping_sub(fast_left));
            let next_slow = slow.wrapping_add(close.wrapping_sub(slow_left));
            let now = next_fast.wrapping_mul(slow_bars).cmp(&next_slow.wrapping_mul(fast_bars));
            if now != before && now != Ordering::Equal {
                break;
            }
            (fast, slow, before) = (next_fast, next_slow, now);
            taken += 1;
        }
        (self.fast_sum, self.slow_sum) = (fast.into(), slow.into());
        (taken, before)
    }

    fn scan_wide(&mut self, from: usize, mut before: Ordering) -> (usize, Ordering) {
        let mut taken = 0;
        for place in from..self.closes.len() {
            let close = i128::from(self.closes[place]);
            let fast = self.fast_sum + close - i128::from(self.closes[place - self.fast]);
            let slow = self.slow_sum + close - i128::from(self.closes[place - self.slow]);
            let now = Mean::of(fast, self.fast).cmp(&Mean::of(slow, self.slow));
            if now != before && now != Ordering::Equal {
                break;
            }
            (self.fast_sum, self.slow_sum, before) = (fast, slow, now);
            taken += 1;
        }
        (taken, before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::indicator::{Indicator as _, SimpleMovingAverage};

    /// Closes of few levels, so that means are equal often; `scale` makes them wide or narrow.
    fn closes(count: usize, seed: u64, scale: i64) -> Vec<i64> {
        let mut state = seed;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(state >> 60).expect("4 bits")
        };
        (0..count).map(|_| (draw() + 1) * scale).collect()
    }

    #[test]
    fn closes_in_one_go_come_to_what_they_come_to_one_by_one() {
        for (seed, scale) in [(1, 1), (2, 1_000_000_000), (3, i64::MAX / 17), (4, -3)] {
            for (fast, slow) in [(1, 2), (2, 3), (3, 7), (10, 20), (5, 900)] {
                let closes = closes(4_000, seed, scale);
                let mut pair = AveragePair::new(fast, slow).expect("lengths");
                let (mut one, mut other) = (
                    SimpleMovingAverage::new(fast).expect("a length"),
                    SimpleMovingAverage::new(slow).expect("a length"),
                );
                let (mut relation, mut known, mut at, mut crossings) = (None, None, 0, 0);
                while at < closes.len() {
                    let end = closes.len().min(at + 1 + at % 130);
                    let taken = pair.take_while_same(&closes[at..end], &mut relation);
                    for close in &closes[at..at + taken] {
                        one.push(Price(*close));
                        other.push(Price(*close));
                        let now = one.value().zip(other.value()).map(|(one, other)| one.cmp(&other));
                        assert!(known.is_none() || now == known || now == Some(Ordering::Equal));
                        known = now;
                    }
                    at += taken;
                    assert_eq!((relation, pair.relation()), (known, known));
                    if at < end {
                        pair.push(Price(closes[at]));
                        one.push(Price(closes[at]));
                        other.push(Price(closes[at]));
                        let now = one.value().zip(other.value()).map(|(one, other)| one.cmp(&other));
                        assert!(now != known && now != Some(Ordering::Equal), "it would have crossed");
                        (known, relation) = (now, pair.relation());
                        crossings += 1;
                        at += 1;
                    }
                    assert_eq!(pair.means(), one.value().zip(other.value()));
                }
                assert!(crossings > 3, "{crossings} with {fast} and {slow}");
            }
        }
    }
}
