//! `sma_cross`: long while the fast simple moving average of closes is above the slow one.
//!
//! Enters long, when flat, on the bar at which fast > slow after fast < slow on the bar before; exits, when it
//! holds, on the bar at which fast < slow after fast > slow. Where shorts are allowed, it goes short there instead,
//! and from short to long at the next cross upwards. After a bar at which both are equal nothing crosses, as in
//! `backtesting.lib.crossover`. The averages are compared as exact integer sums, so equal is equal.
//! Its memory is the last `slow` closes. With `average` = `exponential` the kind is [`super::ema_cross`].

use std::cmp::Ordering;
use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent, Parameter};

use super::catalogue::{ALLOW_SHORT, check_less, refused};
use super::cross::{crossed_up, crossing};
use super::ema_cross::EmaCross;
use super::{
    BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, slot_state, split_ratio,
};
use crate::indicator::{AveragePair, InvalidLength};

const FAST: ParameterSpec = ParameterSpec {
    name: "fast",
    description: "bars of the fast average",
    unit: "bars",
    value: ValueSpec::Integer { min: 1, max: 9_999 },
    default: "20",
};
const SLOW: ParameterSpec = ParameterSpec {
    name: "slow",
    description: "bars of the slow average, more than fast",
    unit: "bars",
    value: ValueSpec::Integer { min: 2, max: 10_000 },
    default: "50",
};

const SIMPLE: &str = "simple";
const EXPONENTIAL: &str = "exponential";
/// An exponential average remembers some 36 times its length, and a warm-up reads at most 100,000 bars.
const EXPONENTIAL_SLOW_MAX: usize = 2_500;
const AVERAGE: ParameterSpec = ParameterSpec {
    name: "average",
    description: "how closes are averaged: all alike, or the newer the more",
    unit: "",
    value: ValueSpec::Choice(&[SIMPLE, EXPONENTIAL]),
    default: SIMPLE,
};

pub(super) const KIND: Kind = Kind {
    name: "sma_cross",
    description: "long when the `fast` average of closes, simple or exponential, crosses above the `slow` one, out \
                  when it crosses below",
    parameters: &[FAST, SLOW, AVERAGE, ALLOW_SHORT],
    build,
};

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    check_less(&FAST, &SLOW, parameters)?;
    let (fast, slow) = (FAST.length(parameters)?, SLOW.length(parameters)?);
    let allow_short = ALLOW_SHORT.boolean(parameters)?;
    if AVERAGE.word(parameters)? == EXPONENTIAL {
        if slow > EXPONENTIAL_SLOW_MAX {
            let expected = format!("at most {EXPONENTIAL_SLOW_MAX} when `average` is {EXPONENTIAL}");
            return Err(SLOW.refused(parameters, expected));
        }
        let built = EmaCross::new(fast, slow, allow_short);
        return Ok(Box::new(built.map_err(refused(&SLOW, parameters))?));
    }
    let built = SmaCross::new(fast, slow, allow_short);
    Ok(Box::new(built.map_err(refused(&SLOW, parameters))?))
}

/// The strategy of kind `sma_cross`.
#[derive(Clone, Debug)]
pub struct SmaCross {
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
    averages: AveragePair,
    /// How fast compared to slow at the last bar; `None` until the slow window is full.
    relation: Option<Ordering>,
}

impl SmaCross {
    /// Windows of `fast` < `slow` bars; the catalogue checks the order.
    fn new(fast: usize, slow: usize, allow_short: bool) -> Result<Self, InvalidLength> {
        let reason =
            |word| format!("the average of {fast} closes crossed {word} the average of {slow}").into();
        let (above, below) = (reason("above"), reason("below"));
        let averages = AveragePair::new(fast, slow)?;
        Ok(Self { above, below, allow_short, empty: Slot { averages, relation: None }, slots: Vec::new() })
    }
}

impl Strategy for SmaCross {
    fn kind(&self) -> &'static str {
        "sma_cross"
    }

    fn warm_up_bars(&self) -> usize {
        self.empty.averages.warm_up()
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        let before = slot.relation;
        slot.averages.push(input.bar.close);
        slot.relation = slot.averages.relation();
        let (Some(before), Some(now)) = (before, slot.relation) else { return };
        let (up, down) = (crossed_up(before, now), crossed_up(now, before));
        let intent = crossing(up, down, input.position, self.allow_short);
        let Some(intent) = intent else { return };
        let reason = if intent == Intent::EnterLong { &self.above } else { &self.below };
        let Some((fast, slow)) = slot.averages.means() else { return };
        let indicators =
            [("sma_fast", fast.to_f64()), ("sma_slow", slow.to_f64()), ("close", input.bar.close.to_f64())];
        wishes.push(Wish::market(input.slot, intent, &indicators, reason));
    }

    fn take_quiet(&mut self, slot: usize, closes: &[i64]) -> usize {
        let slot = slot_state(&mut self.slots, slot, || self.empty.clone());
        slot.averages.take_while_same(closes, &mut slot.relation)
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
        {
            if state.averages.rescale(ratio).is_ok() {
                state.relation = state.averages.relation();
            } else {
                // Prices that leave their range are no prices: better no memory than a wrong one.
                *known = None;
            }
        }
    }
}
