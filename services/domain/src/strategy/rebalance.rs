//! `rebalance`: holds stated shares of equity, and restores them once a period.
//!
//! On the first instant of a week, month or quarter (by the exchange date of the bar's start) at which every
//! symbol has a bar, it asks for all of its targets as one group. Symbols may be late: it waits until any of them
//! has had [`PATIENCE_BARS`] bars of the period, then gives the period up. That bounds its memory.

use std::sync::Arc;

use contracts::v1::{Intent, Parameter};
use smallvec::SmallVec;

use super::period::{Period, period};
use super::{BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, WishLeg};
use crate::bar::Timeframe;

const WEIGHTS: ParameterSpec = ParameterSpec {
    name: "weights",
    description: "shares of equity to hold; what is left of 1 stays in cash",
    unit: "share of equity",
    value: ValueSpec::Weights,
    default: "",
};
const PERIOD: ParameterSpec = period("period", "how often the shares are restored, on its first bar");

pub(super) const KIND: Kind = Kind {
    name: "rebalance",
    description: "holds the shares of equity of `weights`, restored on the first bar of every `period`",
    parameters: &[WEIGHTS, PERIOD],
    build,
};

/// Bars of a period that a symbol may have before all of them have one at the same instant.
const PATIENCE_BARS: usize = 10;

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    let name = PERIOD.word(parameters)?;
    Ok(Box::new(Rebalance {
        weights: WEIGHTS.weights(parameters)?,
        period: Period::named(&name),
        reason: format!("the first bar of a new period, {name}").into(),
        baskets: Vec::new(),
    }))
}

#[derive(Clone, Debug)]
struct Rebalance {
    weights: Vec<(String, i64)>,
    period: Period,
    reason: Arc<str>,
    /// One per timeframe.
    baskets: Vec<(Timeframe, Basket)>,
}

#[derive(Clone, Debug)]
struct Basket {
    members: Vec<Option<Member>>,
    /// The newest period that any member has had a bar of.
    newest: Option<i64>,
    /// Whether the newest period still waits for its instant.
    due: bool,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    slot: usize,
    close_ns: i64,
    close: f64,
    /// Bars since the newest period began.
    bars: usize,
}

impl Basket {
    /// Takes a bar of member `index`; whether the targets are wanted now.
    fn take(&mut self, index: usize, period: i64, input: &BarInput<'_>) -> bool {
        if self.newest.is_none_or(|newest| period > newest) {
            // The first bar ever seen is in the midst of a period.
            self.due = self.newest.is_some();
            self.newest = Some(period);
            for member in self.members.iter_mut().flatten() {
                member.bars = 0;
            }
        }
        let bars = self.members[index].map_or(0, |member| member.bars) + 1;
        let (slot, close_ns) = (input.slot, input.bar.close_ns);
        self.members[index] = Some(Member { slot, close_ns, close: input.bar.close.to_f64(), bars });
        if bars > PATIENCE_BARS {
            self.due = false;
        }
        let together = |member: &Option<Member>| member.is_some_and(|member| member.close_ns == close_ns);
        let wanted = self.due && self.members.iter().all(together);
        self.due &= !wanted;
        wanted
    }
}

impl Rebalance {
    fn wish(&self, basket: &Basket) -> Wish {
        let members = || basket.members.iter().flatten();
        let leg = |(member, (_, weight_e9)): (&Member, &(String, i64))| WishLeg {
            weight_e9: *weight_e9,
            ..WishLeg::market(member.slot, Intent::Target)
        };
        let first = members().next().map_or(0.0, |member| member.close);
        let total = self.weights.iter().map(|(_, weight_e9)| *weight_e9 as f64 / 1e9).sum();
        Wish {
            legs: members().zip(&self.weights).map(leg).collect(),
            indicators: SmallVec::from_slice(&[("invested", total), ("first_close", first)]),
            reason: Arc::clone(&self.reason),
        }
    }
}

impl Strategy for Rebalance {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    /// The bars of a period that it waits, and one before them that tells where the period begins.
    fn warm_up_bars(&self) -> usize {
        PATIENCE_BARS + 2
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let Some(index) = self.weights.iter().position(|(symbol, _)| symbol == input.symbol) else { return };
        let known = self.baskets.iter().position(|(timeframe, _)| *timeframe == input.timeframe);
        let at = known.unwrap_or_else(|| {
            let basket = Basket { members: vec![None; self.weights.len()], newest: None, due: false };
            self.baskets.push((input.timeframe, basket));
            self.baskets.len() - 1
        });
        let period = self.period.of(input.bar.start_ns);
        if self.baskets[at].1.take(index, period, input) {
            wishes.push(self.wish(&self.baskets[at].1));
        }
    }
}
