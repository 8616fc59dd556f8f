//! `sma_cross`: long while the fast simple moving average of closes is above the slow one.
//!
//! Enters long, when flat, on the bar at which fast > slow after fast ≤ slow; exits, when it holds, on the
//! bar at which fast < slow after fast ≥ slow. The averages are compared as exact integer sums, so equal is
//! equal. Its memory is the last `slow` closes.

use std::cmp::Ordering;
use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent};

use super::{BarInput, Strategy, Wish, slot_state, split_ratio};
use crate::indicator::{Indicator as _, InvalidLength, SimpleMovingAverage};
use crate::money::Quantity;

/// The strategy of kind `sma_cross`.
#[derive(Clone, Debug)]
pub struct SmaCross {
    /// Reasons of an entry and of an exit.
    above: Arc<str>,
    below: Arc<str>,
    /// What a slot starts as.
    empty: Slot,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Debug)]
struct Slot {
    fast: SimpleMovingAverage,
    slow: SimpleMovingAverage,
    /// How fast compared to slow at the last bar; `None` until the slow window is full.
    relation: Option<Ordering>,
}

impl SmaCross {
    /// Windows of `fast` < `slow` bars; the catalogue checks the order.
    pub(super) fn new(fast: usize, slow: usize) -> Result<Self, InvalidLength> {
        let reason =
            |word| format!("the average of {fast} closes crossed {word} the average of {slow}").into();
        let (above, below) = (reason("above"), reason("below"));
        let (fast, slow) = (SimpleMovingAverage::new(fast)?, SimpleMovingAverage::new(slow)?);
        Ok(Self { above, below, empty: Slot { fast, slow, relation: None }, slots: Vec::new() })
    }
}

impl Slot {
    fn compare(&mut self) {
        self.relation = self.fast.value().zip(self.slow.value()).map(|(fast, slow)| fast.cmp(&slow));
    }
}

impl Strategy for SmaCross {
    fn kind(&self) -> &'static str {
        "sma_cross"
    }

    fn warm_up_bars(&self) -> usize {
        self.empty.slow.warm_up()
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        let before = slot.relation;
        slot.fast.push(input.bar.close);
        slot.slow.push(input.bar.close);
        slot.compare();
        let (Some(before), Some(now)) = (before, slot.relation) else { return };
        let crossed_up = before != Ordering::Greater && now == Ordering::Greater;
        let crossed_down = before != Ordering::Less && now == Ordering::Less;
        let (intent, reason) = if crossed_up && input.position == Quantity::ZERO {
            (Intent::EnterLong, &self.above)
        } else if crossed_down && input.position > Quantity::ZERO {
            (Intent::Exit, &self.below)
        } else {
            return;
        };
        let (Some(fast), Some(slow)) = (slot.fast.value(), slot.slow.value()) else { return };
        let indicators =
            [("sma_fast", fast.to_f64()), ("sma_slow", slow.to_f64()), ("close", input.bar.close.to_f64())];
        wishes.push(Wish::market(input.slot, intent, &indicators, reason));
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
        {
            if state.fast.rescale(ratio).and_then(|()| state.slow.rescale(ratio)).is_ok() {
                state.compare();
            } else {
                // Prices that leave their range are no prices: better no memory than a wrong one.
                *known = None;
            }
        }
    }
}
