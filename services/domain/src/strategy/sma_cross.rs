//! `sma_cross`: long while the fast simple moving average of closes is above the slow one.
//!
//! Enters long, when flat, on the bar at which fast > slow after fast ≤ slow; exits, when it holds, on the
//! bar at which fast < slow after fast ≥ slow. The averages are compared as exact integer sums, so equal is
//! equal. Its memory is the last `slow` closes.

use std::cmp::Ordering;

use contracts::v1::{CorporateAction, Intent, Signal};

use super::closes::{Closes, slot_state};
use super::{BarInput, Strategy, signal};
use crate::money::Quantity;

/// The strategy of kind `sma_cross`.
#[derive(Clone, Debug)]
pub struct SmaCross {
    strategy: String,
    fast: u32,
    slow: u32,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Debug)]
struct Slot {
    closes: Closes,
    fast_sum: i128,
    slow_sum: i128,
    /// How fast compared to slow at the last bar; `None` until the window is full.
    relation: Option<Ordering>,
}

impl SmaCross {
    /// A strategy named `strategy` with windows of `fast` < `slow` bars, both at least 1; the catalogue
    /// checks them.
    pub(super) fn new(strategy: &str, fast: u32, slow: u32) -> Self {
        Self { strategy: strategy.to_owned(), fast, slow, slots: Vec::new() }
    }
}

impl Slot {
    fn new(slow: usize) -> Self {
        Self { closes: Closes::new(slow), fast_sum: 0, slow_sum: 0, relation: None }
    }

    fn push(&mut self, close: i64, fast: usize) {
        // The close that leaves the fast window is still in the ring before the push.
        let leaves_fast = self.closes.back(fast - 1).unwrap_or_default();
        let leaves_slow = self.closes.push(close).unwrap_or_default();
        self.fast_sum += i128::from(close) - i128::from(leaves_fast);
        self.slow_sum += i128::from(close) - i128::from(leaves_slow);
    }

    fn compare(&self, fast: u32, slow: u32) -> Option<Ordering> {
        // fast_sum / fast against slow_sum / slow, without dividing.
        let (left, right) = (self.fast_sum * i128::from(slow), self.slow_sum * i128::from(fast));
        self.closes.is_full().then(|| left.cmp(&right))
    }
}

impl Strategy for SmaCross {
    fn kind(&self) -> &'static str {
        "sma_cross"
    }

    fn warm_up_bars(&self) -> usize {
        self.slow as usize
    }

    fn on_bar(&mut self, input: &BarInput<'_>) -> Vec<Signal> {
        let (fast, slow) = (self.fast, self.slow);
        let slot = slot_state(&mut self.slots, input.slot, || Slot::new(slow as usize));
        let before = slot.relation;
        slot.push(input.bar.close.0, fast as usize);
        slot.relation = slot.compare(fast, slow);
        let (Some(before), Some(now)) = (before, slot.relation) else { return Vec::new() };
        let crossed_up = before != Ordering::Greater && now == Ordering::Greater;
        let crossed_down = before != Ordering::Less && now == Ordering::Less;
        let (intent, word) = if crossed_up && input.position == Quantity::ZERO {
            (Intent::EnterLong, "above")
        } else if crossed_down && input.position > Quantity::ZERO {
            (Intent::Exit, "below")
        } else {
            return Vec::new();
        };
        let average = |sum: i128, bars: u32| sum as f64 / f64::from(bars) / 1e9;
        let indicators = [
            ("sma_fast", average(slot.fast_sum, fast)),
            ("sma_slow", average(slot.slow_sum, slow)),
            ("close", input.bar.close.to_f64()),
        ];
        let reason = format!("the average of {fast} closes crossed {word} the average of {slow}");
        signal(&self.strategy, input.symbol, intent, &indicators, reason)
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction) -> Vec<Signal> {
        let (fast, slow) = (self.fast, self.slow);
        if let Some(Some(state)) = self.slots.get_mut(slot)
            && state.closes.restate(action)
        {
            state.fast_sum = state.closes.sum(fast as usize);
            state.slow_sum = state.closes.sum(slow as usize);
            state.relation = state.compare(fast, slow);
        }
        Vec::new()
    }
}
