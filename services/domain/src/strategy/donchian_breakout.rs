//! `donchian_breakout`: follows a price that leaves the range of its last bars.
//!
//! Enters long, when flat, on a close above the highest high of the `entry` bars before it; exits on a close below
//! the lowest low of the `exit` bars before it. Where shorts are allowed, it goes short on a close below the lowest
//! low of the `entry` bars before, and out on a close above the highest high of the `exit` bars. Compared as exact
//! prices. Its memory is the bars of the longer channel.

use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent, Parameter};

use super::catalogue::{ALLOW_SHORT, refused};
use super::{
    BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, slot_state, split_ratio,
};
use crate::indicator::{DonchianChannel, Indicator as _};
use crate::money::Quantity;

const ENTRY: ParameterSpec = bars("entry", "bars whose range a close must leave to enter", "20");
const EXIT: ParameterSpec =
    bars("exit", "bars whose range a close must leave the other way to get out", "10");

const fn bars(name: &'static str, description: &'static str, default: &'static str) -> ParameterSpec {
    let value = ValueSpec::Integer { min: 1, max: 10_000 };
    ParameterSpec { name, description, unit: "bars", value, default }
}

pub(super) const KIND: Kind = Kind {
    name: "donchian_breakout",
    description: "long when the close rises above the high of the `entry` bars before, out when it falls below \
                  the low of the `exit` bars before",
    parameters: &[ENTRY, EXIT, ALLOW_SHORT],
    build,
};

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    let (entry, exit) = (ENTRY.length(parameters)?, EXIT.length(parameters)?);
    let channel = |spec, length| DonchianChannel::new(length).map_err(refused(spec, parameters));
    let highest = |bars| format!("the close is above the highest high of the {bars} bars before").into();
    let lowest = |bars| format!("the close is below the lowest low of the {bars} bars before").into();
    Ok(Box::new(DonchianBreakout {
        entered: [highest(entry), lowest(entry)],
        left: [lowest(exit), highest(exit)],
        allow_short: ALLOW_SHORT.boolean(parameters)?,
        empty: Slot { entry: channel(&ENTRY, entry)?, exit: channel(&EXIT, exit)? },
        slots: Vec::new(),
    }))
}

#[derive(Clone, Debug)]
struct DonchianBreakout {
    /// Reasons of an entry, and of a way out: long, then short.
    entered: [Arc<str>; 2],
    left: [Arc<str>; 2],
    allow_short: bool,
    empty: Slot,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Debug)]
struct Slot {
    entry: DonchianChannel,
    exit: DonchianChannel,
}

impl DonchianBreakout {
    /// What a close means, given the channels of the bars before it.
    fn intent(&self, slot: &Slot, input: &BarInput<'_>) -> Option<(Intent, &Arc<str>)> {
        let (close, position) = (input.bar.close, input.position);
        let (long, short) = (position > Quantity::ZERO, position < Quantity::ZERO);
        if let Some((upper, lower)) = slot.entry.edges() {
            if close > upper && !long && (!short || self.allow_short) {
                return Some((Intent::EnterLong, &self.entered[0]));
            }
            if close < lower && !short && self.allow_short {
                return Some((Intent::EnterShort, &self.entered[1]));
            }
        }
        let (upper, lower) = slot.exit.edges()?;
        if long && close < lower {
            return Some((Intent::Exit, &self.left[0]));
        }
        (short && close > upper).then_some((Intent::Exit, &self.left[1]))
    }
}

impl Strategy for DonchianBreakout {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn warm_up_bars(&self) -> usize {
        self.empty.entry.warm_up().max(self.empty.exit.warm_up())
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        slot_state(&mut self.slots, input.slot, || self.empty.clone());
        let Some(Some(slot)) = self.slots.get(input.slot) else { return };
        if let Some((intent, reason)) = self.intent(slot, input) {
            let edges = if intent == Intent::Exit { slot.exit.edges() } else { slot.entry.edges() };
            if let Some((upper, lower)) = edges {
                let indicators = [
                    ("upper", upper.to_f64()),
                    ("lower", lower.to_f64()),
                    ("close", input.bar.close.to_f64()),
                ];
                wishes.push(Wish::market(input.slot, intent, &indicators, reason));
            }
        }
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        slot.entry.update(input.bar);
        slot.exit.update(input.bar);
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
            && state.entry.rescale(ratio).and_then(|()| state.exit.rescale(ratio)).is_err()
        {
            // Prices that leave their range are no prices: better no memory than a wrong one.
            *known = None;
        }
    }
}
