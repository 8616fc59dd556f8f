//! `mean_reversion`: buys what has fallen too far and sells it when it has risen too far, by the RSI.
//!
//! Enters long, when flat, on the bar at which the relative strength index falls below `lower` after it was not;
//! exits, when it holds, on the bar at which it rises above `upper` after it was not. Where shorts are allowed, it
//! goes short there instead, and from short to long at the next fall below `lower`.
//!
//! The index is Wilder's and forgets gradually. Its stated memory is so long that what was before it moves the
//! index by less than 1e-28, far below the last digit of a float ([`super::settled`]).

use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent, Parameter};

use super::catalogue::{ALLOW_SHORT, check_less, refused};
use super::cross::crossing;
use super::{
    BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, settled, slot_state,
    split_ratio,
};
use crate::indicator::{Indicator as _, RelativeStrengthIndex};
use crate::money::E9;

const LENGTH: ParameterSpec = ParameterSpec {
    name: "length",
    description: "bars of the relative strength index",
    unit: "bars",
    value: ValueSpec::Integer { min: 2, max: 1_000 },
    default: "14",
};
const LOWER: ParameterSpec = line("lower", "index below which the price has fallen too far", "30");
const UPPER: ParameterSpec = line("upper", "index above which the price has risen too far", "70");

const fn line(name: &'static str, description: &'static str, default: &'static str) -> ParameterSpec {
    let value = ValueSpec::Decimal { min_e9: 0, max_e9: 100 * E9 };
    ParameterSpec { name, description, unit: "of 100", value, default }
}

pub(super) const KIND: Kind = Kind {
    name: "mean_reversion",
    description: "long when the relative strength index falls below `lower`, out when it rises above `upper`",
    parameters: &[LENGTH, LOWER, UPPER, ALLOW_SHORT],
    build,
};

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    check_less(&LOWER, &UPPER, parameters)?;
    let length = LENGTH.length(parameters)?;
    let index = RelativeStrengthIndex::new(length).map_err(refused(&LENGTH, parameters))?;
    let reason = |words, line: &ParameterSpec| {
        format!("the relative strength index of {length} bars {words} {}", line.stated(parameters)).into()
    };
    Ok(Box::new(MeanReversion {
        fell: reason("fell below", &LOWER),
        rose: reason("rose above", &UPPER),
        lower: LOWER.float(parameters)?,
        upper: UPPER.float(parameters)?,
        allow_short: ALLOW_SHORT.boolean(parameters)?,
        empty: Slot { index, before: None },
        slots: Vec::new(),
    }))
}

#[derive(Clone, Debug)]
struct MeanReversion {
    fell: Arc<str>,
    rose: Arc<str>,
    lower: f64,
    upper: f64,
    allow_short: bool,
    empty: Slot,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Debug)]
struct Slot {
    index: RelativeStrengthIndex,
    /// The index at the last bar. A split changes prices, not their ratios, and leaves it.
    before: Option<f64>,
}

impl Strategy for MeanReversion {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn warm_up_bars(&self) -> usize {
        settled(&self.empty.index)
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        slot.index.update(input.bar);
        let now = slot.index.value();
        let before = std::mem::replace(&mut slot.before, now);
        let (Some(before), Some(now)) = (before, now) else { return };
        let fell = before >= self.lower && now < self.lower;
        let rose = before <= self.upper && now > self.upper;
        let Some(intent) = crossing(fell, rose, input.position, self.allow_short) else { return };
        let reason = if intent == Intent::EnterLong { &self.fell } else { &self.rose };
        let indicators = [("rsi", now), ("close", input.bar.close.to_f64())];
        wishes.push(Wish::market(input.slot, intent, &indicators, reason));
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
            && state.index.rescale(ratio).is_err()
        {
            // Prices that leave their range are no prices: better no memory than a wrong one.
            *known = None;
        }
    }
}
