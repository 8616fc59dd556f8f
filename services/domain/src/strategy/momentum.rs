//! `momentum`: long after a strong rise, out after a strong fall, over a fixed number of bars.
//!
//! The change is close / close `lookback` bars before − 1. Enters long, when flat, on the bar at which the
//! change rises above +threshold after it was not; exits, when it holds, on the bar at which it falls below
//! −threshold after it was not. Between the two it holds: an exit at 0 would leave every rise at its first
//! pause. Compared as exact integers. Its memory is the last `lookback` + 1 closes.

use contracts::v1::{CorporateAction, Intent, Signal};

use super::closes::{Closes, slot_state};
use super::{BarInput, Strategy, signal};
use crate::money::{E9, Quantity};

/// The strategy of kind `momentum`.
#[derive(Clone, Debug)]
pub struct Momentum {
    strategy: String,
    lookback: u32,
    threshold_e9: i64,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Above,
    Between,
    Below,
}

#[derive(Clone, Debug)]
struct Slot {
    closes: Closes,
    /// Where the change was at the last bar; `None` until the window is full.
    zone: Option<Zone>,
}

impl Momentum {
    /// A strategy named `strategy`; the catalogue checks the ranges.
    pub(super) fn new(strategy: &str, lookback: u32, threshold_e9: i64) -> Self {
        Self { strategy: strategy.to_owned(), lookback, threshold_e9, slots: Vec::new() }
    }
}

impl Slot {
    /// The newest close and the one `lookback` bars before it.
    fn ends(&self, lookback: u32) -> Option<(i64, i64)> {
        Some((self.closes.back(0)?, self.closes.back(lookback as usize)?))
    }

    fn compare(&self, lookback: u32, threshold_e9: i64) -> Option<Zone> {
        let (now, then) = self.ends(lookback)?;
        // now / then − 1 against the threshold, without dividing: two i64 cannot overflow an i128.
        let change = (i128::from(now) - i128::from(then)) * i128::from(E9);
        let bound = i128::from(then) * i128::from(threshold_e9);
        Some(if change > bound {
            Zone::Above
        } else if change < -bound {
            Zone::Below
        } else {
            Zone::Between
        })
    }
}

impl Strategy for Momentum {
    fn kind(&self) -> &'static str {
        "momentum"
    }

    fn warm_up_bars(&self) -> usize {
        self.lookback as usize + 1
    }

    fn on_bar(&mut self, input: &BarInput<'_>) -> Vec<Signal> {
        let (lookback, threshold_e9) = (self.lookback, self.threshold_e9);
        let slot = slot_state(&mut self.slots, input.slot, || Slot {
            closes: Closes::new(lookback as usize + 1),
            zone: None,
        });
        let before = slot.zone;
        slot.closes.push(input.bar.close.0);
        slot.zone = slot.compare(lookback, threshold_e9);
        let (Some(before), Some(now)) = (before, slot.zone) else { return Vec::new() };
        if before == now {
            return Vec::new();
        }
        let (intent, words) = if now == Zone::Above && input.position == Quantity::ZERO {
            (Intent::EnterLong, "rose above +")
        } else if now == Zone::Below && input.position > Quantity::ZERO {
            (Intent::Exit, "fell below -")
        } else {
            return Vec::new();
        };
        let Some((last, first)) = slot.ends(lookback) else { return Vec::new() };
        let threshold = Quantity(threshold_e9);
        let indicators = [
            ("momentum", last as f64 / first as f64 - 1.0),
            ("threshold", threshold.to_f64()),
            ("close", input.bar.close.to_f64()),
        ];
        let reason = format!("the change over {lookback} bars {words}{threshold}");
        signal(&self.strategy, input.symbol, intent, &indicators, reason)
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction) -> Vec<Signal> {
        let (lookback, threshold_e9) = (self.lookback, self.threshold_e9);
        if let Some(Some(state)) = self.slots.get_mut(slot)
            && state.closes.restate(action)
        {
            state.zone = state.compare(lookback, threshold_e9);
        }
        Vec::new()
    }
}
