//! `bollinger_reversion`: buys below the lower Bollinger band and sells at the middle.
//!
//! Enters long, when flat, on the bar whose close is below the lower band after the close before was not below
//! its own; exits when the close is at the middle or above. Where shorts are allowed, it goes short above the upper
//! band, and gets out at the middle or below. Bands are taken with the newest close in them. Sums are exact, so
//! its memory is the last `length` + 1 closes and nothing else.

use std::sync::Arc;

use contracts::v1::{CorporateAction, Intent, Parameter};

use super::catalogue::{ALLOW_SHORT, refused};
use super::cross::crossing;
use super::{
    BarInput, Kind, ParameterError, ParameterSpec, Strategy, ValueSpec, Wish, slot_state, split_ratio,
};
use crate::indicator::{BollingerBands, Channel, Indicator as _};
use crate::money::{E9, Quantity};

const LENGTH: ParameterSpec = ParameterSpec {
    name: "length",
    description: "bars of the mean and of the standard deviation",
    unit: "bars",
    value: ValueSpec::Integer { min: 2, max: 10_000 },
    default: "20",
};
const WIDTH: ParameterSpec = ParameterSpec {
    name: "width",
    description: "distance of the bands from the mean",
    unit: "standard deviations",
    value: ValueSpec::Decimal { min_e9: 1, max_e9: 100 * E9 },
    default: "2",
};

pub(super) const KIND: Kind = Kind {
    name: "bollinger_reversion",
    description: "long when the close falls below the lower Bollinger band, out at the middle",
    parameters: &[LENGTH, WIDTH, ALLOW_SHORT],
    build,
};

fn build(parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    let (length, width) = (LENGTH.length(parameters)?, WIDTH.float(parameters)?);
    let bands = BollingerBands::new(length, width, width).map_err(refused(&LENGTH, parameters))?;
    let stated = WIDTH.stated(parameters);
    let reason = |words| {
        format!("the close {words}, {stated} standard deviations from the mean of {length} closes").into()
    };
    Ok(Box::new(BollingerReversion {
        below: reason("fell below the lower band"),
        above: reason("rose above the upper band"),
        middle: format!("the close is back at the mean of {length} closes").into(),
        allow_short: ALLOW_SHORT.boolean(parameters)?,
        empty: Slot { bands, zone: None },
        slots: Vec::new(),
    }))
}

#[derive(Clone, Debug)]
struct BollingerReversion {
    below: Arc<str>,
    above: Arc<str>,
    middle: Arc<str>,
    allow_short: bool,
    empty: Slot,
    slots: Vec<Option<Slot>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Below,
    Between,
    Above,
}

#[derive(Clone, Debug)]
struct Slot {
    bands: BollingerBands,
    /// Where the last close was. A split moves close and bands alike and leaves it.
    zone: Option<Zone>,
}

fn zone(close: f64, bands: Channel) -> Zone {
    // Where nothing varies the bands meet, and no close is beyond them but by rounding.
    if bands.upper <= bands.lower {
        Zone::Between
    } else if close < bands.lower {
        Zone::Below
    } else if close > bands.upper {
        Zone::Above
    } else {
        Zone::Between
    }
}

impl Strategy for BollingerReversion {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn warm_up_bars(&self) -> usize {
        self.empty.bands.warm_up() + 1
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        let slot = slot_state(&mut self.slots, input.slot, || self.empty.clone());
        slot.bands.update(input.bar);
        let close = input.bar.close.to_f64();
        let bands = slot.bands.value();
        let now = bands.map(|bands| zone(close, bands));
        let before = std::mem::replace(&mut slot.zone, now);
        let (Some(bands), Some(now)) = (bands, now) else { return };
        let reached = |to: Zone| now == to && before.is_some_and(|before| before != to);
        let turned = crossing(reached(Zone::Below), reached(Zone::Above), input.position, self.allow_short);
        let back = (input.position > Quantity::ZERO && close >= bands.middle)
            || (input.position < Quantity::ZERO && close <= bands.middle);
        let (intent, reason) = match turned.filter(|intent| *intent != Intent::Exit) {
            Some(Intent::EnterLong) => (Intent::EnterLong, &self.below),
            Some(intent) => (intent, &self.above),
            None if back => (Intent::Exit, &self.middle),
            None => return,
        };
        let indicators =
            [("lower", bands.lower), ("middle", bands.middle), ("upper", bands.upper), ("close", close)];
        wishes.push(Wish::market(input.slot, intent, &indicators, reason));
    }

    fn on_action(&mut self, slot: usize, action: &CorporateAction, _wishes: &mut Vec<Wish>) {
        if let (Some(ratio), Some(known)) = (split_ratio(action), self.slots.get_mut(slot))
            && let Some(state) = known
            && state.bands.rescale(ratio).is_err()
        {
            // Prices that leave their range are no prices: better no memory than a wrong one.
            *known = None;
        }
    }
}
