//! `pairs`: trades the spread of two cointegrated symbols back to its mean.
//!
//! On the first common bar of every week, month or quarter the logarithms of the two prices are fitted on the
//! `formation` bars before it ([`fit`]); what follows is traded with that fit, never what it was fitted on. A fit
//! is good when it is cointegrated at `max_p_value` and its half-life is at most `max_half_life`; it ends with the
//! next one, or after `trading` bars.
//!
//! It decides on the second of the two bars of an instant. When the z-score of the spread crosses the entry line,
//! it buys the low side and sells the high side, weighted 1 : |hedge ratio|; it gets out of both when the spread
//! is back within `exit`, when it goes beyond `stop`, when the entry line was last crossed more than `max_hold`
//! bars ago, when the fit is gone, and when one of the two legs is missing.
//!
//! Everything that it remembers is counted in bars of each leg and ends: nothing older than `formation` +
//! `trading` + `max_hold` bars of either symbol matters. Its own position it is told; how long it holds, it counts
//! from the crossing, which the bars alone tell.

mod fit;
mod rules;
mod state;

use contracts::v1::{CorporateAction, Parameter};

use self::rules::Rules;
use self::state::{PairState, Window};
use super::catalogue::check_less;
use super::period::{Period, period};
use super::{BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, split_ratio};
use crate::bar::Timeframe;
use crate::money::E9;

const fn symbol(name: &'static str, description: &'static str) -> ParameterSpec {
    ParameterSpec { name, description, unit: "", value: ValueSpec::Symbol, default: "" }
}

const fn bars(
    name: &'static str,
    description: &'static str,
    min: u32,
    default: &'static str,
) -> ParameterSpec {
    let value = ValueSpec::Integer { min, max: 10_000 };
    ParameterSpec { name, description, unit: "bars", value, default }
}

const fn deviations(name: &'static str, description: &'static str, default: &'static str) -> ParameterSpec {
    let value = ValueSpec::Decimal { min_e9: 0, max_e9: 100 * E9 };
    ParameterSpec { name, description, unit: "standard deviations", value, default }
}

const FIRST: ParameterSpec = symbol("first", "symbol whose logarithm is explained");
const SECOND: ParameterSpec = symbol("second", "symbol that it is hedged with");
const FORMATION: ParameterSpec = bars("formation", "bars before a refit that it is fitted on", 40, "500");
const TRADING: ParameterSpec = bars("trading", "bars after which a fit is too old to trade on", 1, "200");
const REFIT: ParameterSpec = period("refit", "how often it is fitted, on the first common bar");
const ENTRY: ParameterSpec = deviations("entry", "distance from the mean at which it enters", "2.0");
const EXIT: ParameterSpec = deviations("exit", "distance at which it is back, less than entry", "0.5");
const STOP: ParameterSpec = deviations("stop", "distance at which it gives up, more than entry", "3.0");
const MAX_HOLD: ParameterSpec = bars("max_hold", "bars after which it gets out in any case", 1, "100");
const MAX_P_VALUE: ParameterSpec = ParameterSpec {
    name: "max_p_value",
    description: "largest p-value of no cointegration at which a fit is traded; 1 trades any",
    unit: "probability",
    value: ValueSpec::Decimal { min_e9: 0, max_e9: E9 },
    default: "0.05",
};
const MAX_HALF_LIFE: ParameterSpec =
    bars("max_half_life", "longest half-life of the spread at which a fit is traded", 1, "100");

pub(super) const KIND: Kind = Kind {
    name: "pairs",
    description: "buys the low and sells the high of two cointegrated symbols, and gets out when their spread \
                  is back at its mean",
    parameters: &[
        FIRST,
        SECOND,
        FORMATION,
        TRADING,
        REFIT,
        ENTRY,
        EXIT,
        STOP,
        MAX_HOLD,
        MAX_P_VALUE,
        MAX_HALF_LIFE,
    ],
    build,
};

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    let symbols = [FIRST.word(parameters)?, SECOND.word(parameters)?];
    if symbols[0] == symbols[1] {
        return Err(SECOND.refused(parameters, "another symbol than `first`"));
    }
    check_less(&EXIT, &ENTRY, parameters)?;
    check_less(&ENTRY, &STOP, parameters)?;
    let window = Window {
        formation: FORMATION.length(parameters)?,
        trading: TRADING.length(parameters)?,
        max_hold: MAX_HOLD.length(parameters)?,
        refit: Period::named(&REFIT.word(parameters)?),
        max_p_value: MAX_P_VALUE.float(parameters)?,
        max_half_life: f64::from(MAX_HALF_LIFE.integer(parameters)?),
        entry: ENTRY.float(parameters)?,
        stop: STOP.float(parameters)?,
    };
    let rules = Rules::new(
        EXIT.float(parameters)?,
        &window,
        [EXIT.stated(parameters), ENTRY.stated(parameters), STOP.stated(parameters)],
    );
    Ok(Box::new(Pairs { symbols, window, rules, pairs: Vec::new() }))
}

#[derive(Clone, Debug)]
struct Pairs {
    symbols: [String; 2],
    window: Window,
    rules: Rules,
    /// One per timeframe.
    pairs: Vec<(Timeframe, PairState)>,
}

impl Pairs {
    fn pair(&mut self, timeframe: Timeframe) -> usize {
        let known = self.pairs.iter().position(|(known, _)| *known == timeframe);
        known.unwrap_or_else(|| {
            self.pairs.push((timeframe, PairState::default()));
            self.pairs.len() - 1
        })
    }
}

impl Strategy for Pairs {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    /// A crossing `max_hold` bars ago, under a fit `trading` bars older, on `formation` bars before that; and the
    /// bar before each that an edge is told by.
    fn warm_up_bars(&self) -> usize {
        self.window.formation + self.window.trading + self.window.max_hold + 3
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let Some(leg) = self.symbols.iter().position(|symbol| symbol == input.symbol) else { return };
        let pair = self.pair(input.timeframe);
        let state = &mut self.pairs[pair].1;
        if let Some(seen) = state.take(leg, input, &self.window)
            && let Some(wish) = self.rules.decide(&seen)
        {
            wishes.push(wish);
        }
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        let Some(ratio) = split_ratio(action) else { return };
        for (_, state) in &mut self.pairs {
            state.rescale(slot, ratio);
        }
    }
}
