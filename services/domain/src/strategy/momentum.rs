//! `momentum`: long after a strong rise, out after a strong fall, over a fixed number of bars.
//!
//! The change is close / close `lookback` bars before − 1. Enters long, when flat, on the bar at which the
//! change rises above +threshold after it was not; exits, when it holds, on the bar at which it falls below
//! −threshold after it was not; where shorts are allowed, it goes short there instead, and from short to long at
//! the next rise. Between the two it holds: an exit at 0 would leave every rise at its first pause. Compared as exact integers. Its memory is the last `lookback` + 1 closes.

use std::cmp::Ordering;
use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent, Parameter};

use super::catalogue::{ALLOW_SHORT, refused};
use super::cross::crossing;
use super::{
    BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, slot_state, split_ratio,
};
use crate::indicator::{Indicator as _, InvalidLength, RateOfChange};
use crate::money::{E9, Quantity};

const LOOKBACK: ParameterSpec = ParameterSpec {
    name: "lookback",
    description: "bars over which the change is measured",
    unit: "bars",
    value: ValueSpec::Integer { min: 1, max: 10_000 },
    default: "20",
};
const THRESHOLD: ParameterSpec = ParameterSpec {
    name: "threshold",
    description: "change that counts as strong; 0.02 is 2 %",
    unit: "share of the price",
    value: ValueSpec::Decimal { min_e9: 0, max_e9: 10 * E9 },
    default: "0.02",
};
pub(super) const MAX_POSITION: ParameterSpec = ParameterSpec {
    name: "max_position",
    description: "largest position per symbol as a share of equity, whatever the sizing says",
    unit: "share of equity",
    value: ValueSpec::Decimal { min_e9: 1, max_e9: E9 },
    default: "0.1",
};

pub(super) const KIND: Kind = Kind {
    name: "momentum",
    description: "long when the change over `lookback` bars rises above `threshold`, out when it falls below \
                  -`threshold`",
    parameters: &[LOOKBACK, THRESHOLD, MAX_POSITION, ALLOW_SHORT],
    build,
};

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    let (threshold_e9, allow_short) = (THRESHOLD.decimal_e9(parameters)?, ALLOW_SHORT.boolean(parameters)?);
    let built = Momentum::new(LOOKBACK.length(parameters)?, threshold_e9, allow_short);
    Ok(Box::new(built.map_err(refused(&LOOKBACK, parameters))?))
}

/// The strategy of kind `momentum`.
#[derive(Clone, Debug)]
pub struct Momentum {
    /// Reasons of an entry and of an exit.
    rose: Arc<str>,
    fell: Arc<str>,
    threshold_e9: i64,
    allow_short: bool,
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
    fn new(lookback: usize, threshold_e9: i64, allow_short: bool) -> Result<Self, InvalidLength> {
        let threshold = Quantity(threshold_e9);
        let reason = |words| format!("the change over {lookback} bars {words}{threshold}").into();
        let (rose, fell) = (reason("rose above +"), reason("fell below -"));
        let empty = Slot { change: RateOfChange::new(lookback)?, zone: None };
        Ok(Self { rose, fell, threshold_e9, allow_short, empty, slots: Vec::new() })
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

    fn hears_fills(&self) -> bool {
        false
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
        let (rose, fell) = (now == Zone::Above, now == Zone::Below);
        let Some(intent) = crossing(rose, fell, input.position, self.allow_short) else { return };
        let reason = if intent == Intent::EnterLong { &self.rose } else { &self.fell };
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
