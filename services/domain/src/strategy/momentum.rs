//! `momentum`: long after a strong rise, out after a strong fall, over a fixed number of bars.
//!
//! The change is close / close `lookback` bars before − 1. Enters long, when flat, on the bar at which the
//! change rises above +threshold after it was not; exits, when it holds, on the bar at which it falls below
//! −threshold after it was not. Between the two it holds: an exit at 0 would leave every rise at its first
//! pause. Compared as exact integers. Its memory is the last `lookback` + 1 closes.

use std::cmp::Ordering;
use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent};

use super::{BarInput, Strategy, Wish, slot_state, split_ratio};
use crate::indicator::{Indicator as _, InvalidLength, RateOfChange};
use crate::money::Quantity;

/// The strategy of kind `momentum`.
#[derive(Clone, Debug)]
pub struct Momentum {
    /// Reasons of an entry and of an exit.
    rose: Arc<str>,
    fell: Arc<str>,
    threshold_e9: i64,
    /// What a slot starts as.
    empty: Slot,
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
    change: RateOfChange,
    /// Where the change was at the last bar; `None` until the window is full.
    zone: Option<Zone>,
}

impl Momentum {
    /// The catalogue checks that the threshold is 0 or more.
    pub(super) fn new(lookback: usize, threshold_e9: i64) -> Result<Self, InvalidLength> {
        let threshold = Quantity(threshold_e9);
        let reason = |words| format!("the change over {lookback} bars {words}{threshold}").into();
        let (rose, fell) = (reason("rose above +"), reason("fell below -"));
        let empty = Slot { change: RateOfChange::new(lookback)?, zone: None };
        Ok(Self { rose, fell, threshold_e9, empty, slots: Vec::new() })
    }
}

impl Slot {
    fn compare(&mut self, threshold_e9: i64) {
        self.zone = self.change.value().map(|change| {
            if change.cmp_e9(threshold_e9) == Ordering::Greater {
                Zone::Above
            } else if change.cmp_e9(-threshold_e9) == Ordering::Less {
                Zone::Below
            } else {
                Zone::Between
            }
        });
    }
}

impl Strategy for Momentum {
    fn kind(&self) -> &'static str {
        "momentum"
    }

    fn warm_up_bars(&self) -> usize {
        self.empty.change.warm_up()
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        let before = slot.zone;
        slot.change.push(input.bar.close);
        slot.compare(self.threshold_e9);
        let (Some(before), Some(now)) = (before, slot.zone) else { return };
        if before == now {
            return;
        }
        let (intent, reason) = if now == Zone::Above && input.position == Quantity::ZERO {
            (Intent::EnterLong, &self.rose)
        } else if now == Zone::Below && input.position > Quantity::ZERO {
            (Intent::Exit, &self.fell)
        } else {
            return;
        };
        let Some(change) = slot.change.value() else { return };
        let threshold = Quantity(self.threshold_e9);
        let indicators = [
            ("momentum", change.to_f64()),
            ("threshold", threshold.to_f64()),
            ("close", input.bar.close.to_f64()),
        ];
        wishes.push(Wish::market(input.slot, intent, &indicators, reason));
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
        {
            if state.change.rescale(ratio).is_ok() {
                state.compare(self.threshold_e9);
            } else {
                // Prices that leave their range are no prices: better no memory than a wrong one.
                *known = None;
            }
        }
    }
}
