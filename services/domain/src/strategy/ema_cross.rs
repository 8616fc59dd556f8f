//! `sma_cross` with `average` = `exponential`: the same rule on exponential moving averages.
//!
//! Averages of factor 2 / (n + 1) that begin with the mean of their first n closes, as floats. They forget
//! gradually; the stated memory is so long that what was before it moves them by less than 1e-28 of itself, far
//! below the last digit of a float ([`super::settled`]).

use std::cmp::Ordering;
use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent};

use super::cross::{crossed_up, crossing};
use super::{BarInput, Strategy, Wish, settled, slot_state, split_ratio};
use crate::indicator::{ExponentialMovingAverage, Indicator as _, InvalidLength};
use crate::money::Price;

/// The strategy of kind `sma_cross` on exponential averages.
#[derive(Clone, Debug)]
pub(super) struct EmaCross {
    /// Reasons of an entry and of an exit.
    above: Arc<str>,
    below: Arc<str>,
    allow_short: bool,
    /// What a slot starts as.
    empty: Slot,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Debug)]
struct Slot {
    fast: ExponentialMovingAverage,
    slow: ExponentialMovingAverage,
    /// How fast compared to slow at the last bar; `None` until both have a value. A split scales both alike.
    relation: Option<Ordering>,
}

impl EmaCross {
    /// Averages of `fast` < `slow` bars; the catalogue checks the order.
    pub fn new(fast: usize, slow: usize, allow_short: bool) -> Result<Self, InvalidLength> {
        let reason =
            |word| format!("the exponential average of {fast} closes crossed {word} that of {slow}").into();
        let (above, below) = (reason("above"), reason("below"));
        let (fast, slow) = (ExponentialMovingAverage::new(fast)?, ExponentialMovingAverage::new(slow)?);
        Ok(Self { above, below, allow_short, empty: Slot { fast, slow, relation: None }, slots: Vec::new() })
    }
}

/// How two averages compare; those closer than the smallest step of a price are equal, as rounding cannot tell.
fn relation(fast: f64, slow: f64) -> Ordering {
    const STEP: f64 = 1e-9;
    if (fast - slow).abs() <= STEP { Ordering::Equal } else { fast.total_cmp(&slow) }
}

impl Strategy for EmaCross {
    fn kind(&self) -> &'static str {
        super::sma_cross::KIND.name
    }

    fn warm_up_bars(&self) -> usize {
        settled(&self.empty.slow)
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        slot.fast.push(input.bar.close);
        slot.slow.push(input.bar.close);
        let Some((fast, slow)) = slot.fast.value().zip(slot.slow.value()) else { return };
        let now = relation(fast, slow);
        let Some(before) = slot.relation.replace(now) else { return };
        let (up, down) = (crossed_up(before, now), crossed_up(now, before));
        let intent = crossing(up, down, input.position, self.allow_short);
        let Some(intent) = intent else { return };
        let reason = if intent == Intent::EnterLong { &self.above } else { &self.below };
        let indicators = [("ema_fast", fast), ("ema_slow", slow), ("close", input.bar.close.to_f64())];
        wishes.push(Wish::market(input.slot, intent, &indicators, reason));
    }

    fn take_quiet(&mut self, slot: usize, closes: &[i64]) -> usize {
        let slot = slot_state(&mut self.slots, slot, || self.empty.clone());
        let mut taken = 0;
        for close in closes {
            let before = slot.clone();
            slot.fast.push(Price(*close));
            slot.slow.push(Price(*close));
            if let Some((fast, slow)) = slot.fast.value().zip(slot.slow.value()) {
                let now = relation(fast, slow);
                if slot.relation.is_some_and(|known| now != known && now != Ordering::Equal) {
                    *slot = before;
                    break;
                }
                slot.relation = Some(now);
            }
            taken += 1;
        }
        taken
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
            && state.fast.rescale(ratio).and_then(|()| state.slow.rescale(ratio)).is_err()
        {
            // Prices that leave their range are no prices: better no memory than a wrong one.
            *known = None;
        }
    }
}
