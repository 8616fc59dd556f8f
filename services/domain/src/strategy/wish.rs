//! What a strategy wants, before it is a signal on the tape.
//!
//! A wish is small and holds no text of its own: symbols are slots, names are constants, the reason is shared.
//! A strategy writes wishes into a buffer that its host keeps, so that taking a bar allocates nothing; the
//! host makes a [`Signal`] of each ([`Wish::to_signal`]), or an engine weighs it as it is.
//!
//! Deliberately absent: sizes (risk's), ids (the host's).

use std::sync::Arc;

use contracts::v1::{IndicatorValue, Intent, OrderType, Signal, SignalLeg, TimeInForce};
use smallvec::SmallVec;

pub use crate::matching::kernel::Trail;
use crate::money::{Price, Quantity};

/// How a leg's order is to trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Market unless stated.
    pub order_type: OrderType,
    /// Limit price, for limit and stop-limit orders.
    pub limit: Option<Price>,
    /// Stop price, for stop and stop-limit orders.
    pub stop: Option<Price>,
    /// Distance of a trailing stop from the best price since it works.
    pub trail: Option<Trail>,
    /// Limit price of the exit that takes the profit: of an entry once it fills, or of what is held.
    pub take_profit: Option<Price>,
    /// Stop price of the exit that stops the loss, likewise.
    pub stop_loss: Option<Price>,
    /// How long it works; the day unless stated.
    pub time_in_force: TimeInForce,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            order_type: OrderType::Market,
            limit: None,
            stop: None,
            trail: None,
            take_profit: None,
            stop_loss: None,
            time_in_force: TimeInForce::Day,
        }
    }
}

/// One symbol of a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WishLeg {
    /// The host's number of the symbol's series, from [`super::Slots`].
    pub slot: usize,
    /// What is wanted.
    pub intent: Intent,
    /// How its order is to trade.
    pub terms: Terms,
    /// Weight among the legs in 1e-9, 0 for an equal share; for [`Intent::Target`] the share of equity wanted.
    pub weight_e9: i64,
    /// A fixed quantity; none leaves the size to risk.
    pub quantity: Option<Quantity>,
}

impl WishLeg {
    /// A market order for the day, sized by risk.
    #[must_use]
    pub fn market(slot: usize, intent: Intent) -> Self {
        Self { slot, intent, terms: Terms::default(), weight_e9: 0, quantity: None }
    }
}

/// What a strategy wants; at least one leg, several form one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// Legs.
    pub legs: SmallVec<[WishLeg; 2]>,
    /// What the strategy saw, by name.
    pub indicators: SmallVec<[(&'static str, f64); 4]>,
    /// The reason in words.
    pub reason: Arc<str>,
}

impl Wish {
    /// A wish of one leg: a market order for the day, sized by risk.
    #[must_use]
    pub fn market(
        slot: usize,
        intent: Intent,
        indicators: &[(&'static str, f64)],
        reason: &Arc<str>,
    ) -> Self {
        Self {
            legs: SmallVec::from_slice(&[WishLeg::market(slot, intent)]),
            indicators: SmallVec::from_slice(indicators),
            reason: Arc::clone(reason),
        }
    }

    /// The body of its signal. `symbol_of` names the symbol of a slot.
    #[must_use]
    pub fn to_signal<'host>(&self, strategy: &str, symbol_of: impl Fn(usize) -> &'host str) -> Signal {
        let leg = |leg: &WishLeg| SignalLeg {
            symbol: symbol_of(leg.slot).to_owned(),
            intent: leg.intent.into(),
            order_type: leg.terms.order_type.into(),
            limit_price_e9: leg.terms.limit.map(|price| price.0),
            stop_price_e9: leg.terms.stop.map(|price| price.0),
            time_in_force: leg.terms.time_in_force.into(),
            weight_e9: leg.weight_e9,
            quantity_e9: leg.quantity.map(|quantity| quantity.0),
            trail_price_e9: match leg.terms.trail {
                Some(Trail::By(distance)) => Some(distance.0),
                _ => None,
            },
            trail_rate_e9: match leg.terms.trail {
                Some(Trail::Rate(rate)) => Some(rate),
                _ => None,
            },
            take_profit_price_e9: leg.terms.take_profit.map(|price| price.0),
            stop_loss_price_e9: leg.terms.stop_loss.map(|price| price.0),
            ..SignalLeg::default()
        };
        let indicator =
            |&(name, value): &(&'static str, f64)| IndicatorValue { name: name.to_owned(), value };
        Signal {
            strategy: strategy.to_owned(),
            legs: self.legs.iter().map(leg).collect(),
            indicators: self.indicators.iter().map(indicator).collect(),
            reason: self.reason.as_ref().to_owned(),
            ..Signal::default()
        }
    }
}
