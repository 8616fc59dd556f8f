//! `regime_switch`: holds much when the market is calm and little when it is wild.
//!
//! The regime follows the realised volatility of the last `lookback` returns, per year: aggressive below `calm`,
//! conservative above `wild`, default between. Each regime has a share of equity; it asks for it when the regime
//! changes, and when it holds nothing although the regime has a share. A return is logarithmic, its deviation that
//! of a sample; a year has 252 sessions of the exchange. Sums are exact, so its memory is the last `lookback` + 2
//! closes and nothing else.

use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent, Parameter};

use super::catalogue::{check_less, refused};
use super::{
    BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, WishLeg, slot_state,
    split_ratio,
};
use crate::bar::Timeframe;
use crate::indicator::{Indicator as _, RealisedVolatility};
use crate::money::{E9, Quantity};

const LOOKBACK: ParameterSpec = ParameterSpec {
    name: "lookback",
    description: "returns whose volatility tells the regime",
    unit: "bars",
    value: ValueSpec::Integer { min: 2, max: 10_000 },
    default: "20",
};
const CALM: ParameterSpec = volatility("calm", "volatility below which the regime is aggressive", "0.12");
const WILD: ParameterSpec = volatility("wild", "volatility above which the regime is conservative", "0.25");
const CONSERVATIVE: ParameterSpec =
    share("conservative", "share to hold of each symbol when it is wild", "0.2");
const DEFAULT: ParameterSpec = share("default", "share to hold of each symbol in between", "0.5");
const AGGRESSIVE: ParameterSpec = share("aggressive", "share to hold of each symbol when it is calm", "0.9");

const fn volatility(name: &'static str, description: &'static str, default: &'static str) -> ParameterSpec {
    let value = ValueSpec::Decimal { min_e9: 0, max_e9: 100 * E9 };
    ParameterSpec { name, description, unit: "per year; 0.12 is 12 %", value, default }
}

const fn share(name: &'static str, description: &'static str, default: &'static str) -> ParameterSpec {
    let value = ValueSpec::Decimal { min_e9: 0, max_e9: E9 };
    ParameterSpec { name, description, unit: "share of equity", value, default }
}

pub(super) const KIND: Kind = Kind {
    name: "regime_switch",
    description: "holds the share of equity of a conservative, default or aggressive regime, which the realised \
                  volatility tells",
    parameters: &[LOOKBACK, CALM, WILD, CONSERVATIVE, DEFAULT, AGGRESSIVE],
    build,
};

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    check_less(&CALM, &WILD, parameters)?;
    let lookback = LOOKBACK.length(parameters)?;
    let volatility = RealisedVolatility::new(lookback, 1.0).map_err(refused(&LOOKBACK, parameters))?;
    let regime = |name: &str, words: &str, spec: &ParameterSpec| -> Result<(i64, Arc<str>), ParameterError> {
        let share = spec.stated(parameters);
        let reason = format!("{name}: the volatility of {lookback} returns is {words}; holds {share}");
        Ok((spec.decimal_e9(parameters)?, reason.into()))
    };
    Ok(Box::new(RegimeSwitch {
        calm: CALM.float(parameters)?,
        wild: WILD.float(parameters)?,
        regimes: [
            regime("aggressive", &format!("below {}", CALM.stated(parameters)), &AGGRESSIVE)?,
            regime("default", "in between", &DEFAULT)?,
            regime("conservative", &format!("above {}", WILD.stated(parameters)), &CONSERVATIVE)?,
        ],
        empty: Slot { volatility, regime: None },
        slots: Vec::new(),
    }))
}

#[derive(Clone, Debug)]
struct RegimeSwitch {
    calm: f64,
    wild: f64,
    /// Share in 1e-9 and reason, in the order of [`Regime`].
    regimes: [(i64, Arc<str>); 3],
    empty: Slot,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regime {
    Aggressive,
    Default,
    Conservative,
}

#[derive(Clone, Debug)]
struct Slot {
    volatility: RealisedVolatility,
    /// The regime at the last bar. A split leaves the returns as they were.
    regime: Option<Regime>,
}

/// Bars of a year: 252 sessions of six and a half hours, which an hourly bar divides into seven.
fn bars_per_year(timeframe: Timeframe) -> f64 {
    let per_session = match timeframe {
        Timeframe::M1 => 390.0,
        Timeframe::M5 => 78.0,
        Timeframe::M15 => 26.0,
        Timeframe::M30 => 13.0,
        Timeframe::H1 => 7.0,
        Timeframe::D1 => 1.0,
    };
    252.0 * per_session
}

impl Strategy for RegimeSwitch {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn warm_up_bars(&self) -> usize {
        self.empty.volatility.warm_up() + 1
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        slot.volatility.update(input.bar);
        let Some(volatility) = slot.volatility.value() else { return };
        let volatility = volatility * bars_per_year(input.timeframe).sqrt();
        let now = if volatility < self.calm {
            Regime::Aggressive
        } else if volatility > self.wild {
            Regime::Conservative
        } else {
            Regime::Default
        };
        let before = slot.regime.replace(now);
        let (weight_e9, reason) = &self.regimes[now as usize];
        let changed = before.is_some_and(|before| before != now);
        let missing = input.position == Quantity::ZERO && *weight_e9 > 0;
        if changed || missing {
            let indicators = [
                ("volatility", volatility),
                ("target", *weight_e9 as f64 / 1e9),
                ("close", input.bar.close.to_f64()),
            ];
            let mut wish = Wish::market(input.slot, Intent::Target, &indicators, reason);
            wish.legs[0] = WishLeg { weight_e9: *weight_e9, ..wish.legs[0] };
            wishes.push(wish);
        }
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
            && state.volatility.rescale(ratio).is_err()
        {
            // Prices that leave their range are no prices: better no memory than a wrong one.
            *known = None;
        }
    }
}
