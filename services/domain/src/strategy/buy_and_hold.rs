//! `buy_and_hold`: buys when it holds nothing, and never sells.
//!
//! The measure for every other strategy. It remembers nothing, so an entry that was refused is asked for again at
//! the next bar, and whatever else ends the position begins a new one.

use std::sync::Arc;

use contracts::v1::{Intent, Parameter};

use super::{BarInput, Kind, ParameterError, Strategy, Wish};
use crate::money::Quantity;

pub(super) const KIND: Kind = Kind {
    name: "buy_and_hold",
    description: "long from the first bar on: buys when it holds nothing, and never sells",
    parameters: &[],
    build,
};

fn build(_parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    Ok(Box::new(BuyAndHold { reason: "it holds nothing".into() }))
}

#[derive(Clone, Debug)]
struct BuyAndHold {
    reason: Arc<str>,
}

impl Strategy for BuyAndHold {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    /// One bar, the least that there is to ask for; it remembers none.
    fn warm_up_bars(&self) -> usize {
        1
    }

    fn hears_fills(&self) -> bool {
        false
    }

    fn on_bar(&mut self, input: &BarInput<'_>, wishes: &mut Vec<Wish>) {
        if input.position == Quantity::ZERO {
            let indicators = [("close", input.bar.close.to_f64())];
            wishes.push(Wish::market(input.slot, Intent::EnterLong, &indicators, &self.reason));
        }
    }

    /// Nothing to learn.
    fn warm(&mut self, _input: &BarInput<'_>) {}
}
