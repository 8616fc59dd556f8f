//! One resting order against one bar, on plain numbers: no text, no allocation.
//!
//! Everything here is `Copy`, so that a research loop and the simulated broker run the same code. What is
//! not known of a bar is the order of its prices; where that matters the outcome that is worse for the
//! account is taken (`docs/orders.md` has every convention):
//! - a limit fills only when the bar trades through it, at the open when that is already better;
//! - a stop triggers when the bar reaches it, at the open when that is beyond it already;
//! - a trailing stop moves with the open at once and with the rest of the bar only from the next bar on;
//! - a stop-limit fills in the bar that triggers it only when its limit lies beyond its stop.
//!
//! Deliberately absent: which order of a group goes first ([`super::queue`]), ids, reasons in many words.

use contracts::v1::{Costs, OrderType, Side, TimeInForce};

pub use super::bounds::Bounds;
use super::costs::{charge, slip_volume};
pub use super::end::End;
use crate::bar::Bar;
use crate::money::{Amount, E9, Price, Quantity, div_half_even};

/// Distance of a trailing stop from the best price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trail {
    /// In the currency.
    By(Price),
    /// As a share of the best price, in 1e-9; the distance is rounded half to even at 1e-9.
    Rate(i64),
}

impl Trail {
    /// The stop price while `extreme` is the best price; `None` when it is not positive.
    #[must_use]
    pub fn stop(self, side: Side, extreme: Price) -> Option<Price> {
        let distance = match self {
            Self::By(distance) => distance,
            Self::Rate(rate) => {
                let product = i128::from(extreme.0) * i128::from(rate);
                Price(i64::try_from(div_half_even(product, i128::from(E9))).ok()?)
            }
        };
        let stop = match side {
            Side::Buy => extreme.checked_add(distance),
            _ => extreme.checked_sub(distance),
        };
        stop.filter(|stop| stop.0 > 0)
    }
}

/// An order that waits for a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Side.
    pub side: Side,
    /// Type.
    pub order_type: OrderType,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// Limit price, for limit and stop-limit orders.
    pub limit: Option<Price>,
    /// Stop price; for a trailing stop the present one, none before its first bar.
    pub stop: Option<Price>,
    /// Distance of a trailing stop.
    pub trail: Option<Trail>,
    /// Best price since a trailing stop works; none before its first bar.
    pub extreme: Option<Price>,
    /// Whether the stop was reached.
    pub triggered: bool,
    /// Shares still to trade, positive.
    pub remaining: Quantity,
    /// Shares that its group lets it trade now, below zero while its entry still closes a position before it opens one; none
    /// where it is in no group.
    pub tradable: Option<Quantity>,
    /// Instant of acceptance, in market time.
    pub accepted_ns: i64,
    /// Close of the last bar that did something to it: a bar taken again does nothing more.
    pub seen_ns: i64,
    /// Number that the order's next fill bears.
    pub next_fill: u32,
    /// Whether it trades outside of the regular session too.
    pub extended: bool,
    /// What is left of the amount of an order that states no shares; `remaining` is then an estimate.
    pub unspent: Option<Amount>,
    /// Shares that an order for an amount may still trade because it only reduces a position; none where the amount alone
    /// says how many.
    pub most: Option<Quantity>,
}

/// What of the bar an order sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// All of it.
    Whole,
    /// What came after its entry filled at this price somewhere within the bar.
    After(Price),
}

/// One fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Its number within the order, from 1.
    pub number: u32,
    /// Shares, positive.
    pub quantity: Quantity,
    /// Price per share, slippage included.
    pub price: Price,
    /// Commission and fees.
    pub commission: Amount,
    /// Slippage per share, positive when it cost money.
    pub slippage: Price,
    /// When it happened; the bar's close where the moment within the bar is not known.
    pub executed_ns: i64,
    /// Whether the order of prices within the bar mattered and the worse one was taken.
    pub ambiguous: bool,
}

/// A trailing stop's new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailed {
    /// Best price since it works.
    pub extreme: Price,
    /// Stop price from now on.
    pub stop: Price,
}

/// A stop that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triggered {
    /// The stop price.
    pub stop: Price,
    /// When; the bar's close where the moment within the bar is not known.
    pub at_ns: i64,
}

/// What a bar does to an order, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The stop was reached.
    pub triggered: Option<Triggered>,
    /// A fill.
    pub filled: Option<Filled>,
    /// The trailing stop moved.
    pub trailed: Option<Trailed>,
    /// The order is over.
    pub ended: Option<End>,
}

impl Outcome {
    fn ended(end: End) -> Self {
        Self { ended: Some(end), ..Self::default() }
    }
}

/// A price at which an order may trade in a bar.
#[derive(Clone, Copy)]
struct Offer {
    reference: Price,
    at_ns: i64,
    slips: bool,
    /// A slipped price goes no further than this.
    worst: Option<Price>,
}

impl Resting {
    /// Shares that it may trade now.
    #[must_use]
    pub fn wanted(&self) -> Quantity {
        self.tradable.map_or(self.remaining, |tradable| tradable.min(self.remaining))
    }

    /// Shares that it takes of what the bar offers. Orders for parts of a share may have left a part there, which one for
    /// whole shares does not take.
    fn takes(&self, offered: Quantity) -> Quantity {
        let wanted = self.wanted();
        let in_parts = self.unspent.is_some() || wanted != wanted.whole();
        wanted.min(if in_parts { offered } else { offered.whole() })
    }

    /// Whether it still waits for its stop to be reached.
    #[must_use]
    pub fn waits_for_stop(&self) -> bool {
        !self.triggered
            && matches!(self.order_type, OrderType::Stop | OrderType::StopLimit | OrderType::TrailingStop)
    }

    /// Whether `price` is at the stop or beyond it.
    #[must_use]
    pub fn is_beyond(&self, price: Price) -> bool {
        self.stop.is_some_and(|stop| if self.side == Side::Buy { price >= stop } else { price <= stop })
    }

    /// Takes `bar`, which overlaps `session`. `volume_left` is what the bar still offers and is taken from;
    /// [`super::volume_most`] says how much that is. What the order learned stays in it.
    pub fn step(
        &mut self,
        bar: &Bar,
        session: Bounds,
        seen: Seen,
        costs: &Costs,
        volume_left: &mut Quantity,
    ) -> Outcome {
        if bar.close_ns <= self.accepted_ns || bar.close_ns <= self.seen_ns {
            return Outcome::default();
        }
        let outcome = self.take_bar(bar, session, seen, costs, volume_left);
        if outcome != Outcome::default() {
            self.seen_ns = bar.close_ns;
        }
        outcome
    }

    fn take_bar(
        &mut self,
        bar: &Bar,
        session: Bounds,
        seen: Seen,
        costs: &Costs,
        volume_left: &mut Quantity,
    ) -> Outcome {
        let first_ns = bar.start_ns.max(session.open_ns);
        if self.time_in_force == TimeInForce::Cls {
            return self.at_close(bar, session, costs, volume_left);
        }
        // A bar that opened before the order was there shows prices from before it.
        if first_ns < self.accepted_ns || self.wanted() <= Quantity::ZERO {
            return Outcome::default();
        }
        match self.time_in_force {
            TimeInForce::Day | TimeInForce::Gtc | TimeInForce::Unspecified => {
                self.working(bar, first_ns, seen, costs, volume_left)
            }
            TimeInForce::Opg if first_ns != session.open_ns => {
                let missed = self.accepted_ns <= session.open_ns;
                if missed { Outcome::ended(End::OpeningOver) } else { Outcome::default() }
            }
            TimeInForce::Opg => self.at_open(bar, first_ns, costs, volume_left, End::OpeningOver),
            TimeInForce::Fok if *volume_left < self.wanted() => Outcome::ended(End::NotWhole),
            TimeInForce::Fok => self.at_open(bar, first_ns, costs, volume_left, End::NotWhole),
            TimeInForce::Ioc | TimeInForce::Cls => {
                self.at_open(bar, first_ns, costs, volume_left, End::NotImmediate)
            }
        }
    }

    /// An order that works through the whole bar.
    fn working(
        &mut self,
        bar: &Bar,
        first_ns: i64,
        seen: Seen,
        costs: &Costs,
        volume_left: &mut Quantity,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let offer = if self.waits_for_stop() {
            let before = (self.extreme, self.stop);
            if !self.trail_to(opening(bar, seen)) {
                return outcome;
            }
            let stop = self.stop;
            let Some((price, at_ns)) = self.reached(bar, first_ns, seen) else {
                let best = if self.side == Side::Buy { bar.low } else { bar.high };
                self.trail_to(best);
                outcome.trailed = self.trailed().filter(|_| before != (self.extreme, self.stop));
                return outcome;
            };
            self.triggered = true;
            outcome.triggered = Some(Triggered { stop: stop.unwrap_or(price), at_ns });
            self.on_trigger(bar, price, at_ns)
        } else {
            self.offer(bar, first_ns, seen)
        };
        if let Some(offer) = offer {
            self.trade(offer, bar, costs, volume_left, &mut outcome);
        }
        outcome
    }

    /// An order that takes the open or nothing.
    fn at_open(
        &mut self,
        bar: &Bar,
        first_ns: i64,
        costs: &Costs,
        volume_left: &mut Quantity,
        otherwise: End,
    ) -> Outcome {
        self.auction(bar.open, first_ns, bar, costs, volume_left, otherwise)
    }

    /// An on-close order: the bar that ends with the session, or with which the session ends.
    fn at_close(&mut self, bar: &Bar, session: Bounds, costs: &Costs, volume_left: &mut Quantity) -> Outcome {
        let end_ns = session.day_ends_ns();
        let last = bar.close_ns >= end_ns && self.accepted_ns < end_ns;
        if !last || self.wanted() <= Quantity::ZERO {
            return Outcome::default();
        }
        self.auction(bar.close, end_ns, bar, costs, volume_left, End::ClosingOver)
    }

    fn auction(
        &mut self,
        price: Price,
        at_ns: i64,
        bar: &Bar,
        costs: &Costs,
        volume_left: &mut Quantity,
        otherwise: End,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        if self.limit.is_none_or(|limit| is_better(self.side, price, limit)) {
            let offer = Offer { reference: price, at_ns, slips: self.limit.is_none(), worst: None };
            self.trade(offer, bar, costs, volume_left, &mut outcome);
        }
        outcome.ended = outcome.ended.or(Some(otherwise));
        outcome
    }

    /// Where a market or limit order, or a stop that was reached in an earlier bar, trades.
    fn offer(&self, bar: &Bar, first_ns: i64, seen: Seen) -> Option<Offer> {
        let Some(limit) = self.limit else {
            // What came within the bar is sold no earlier than it came.
            let at_ns = if seen == Seen::Whole { first_ns } else { bar.close_ns };
            return Some(Offer { reference: opening(bar, seen), at_ns, slips: true, worst: None });
        };
        // After an entry within the bar nothing says that the price came to the target later.
        if seen != Seen::Whole {
            return None;
        }
        let reference = through(self.side, bar, limit)?;
        // When within the bar a limit was traded through is not known; its close is when it is known. An open at the
        // limit is a touch.
        let at_ns = if is_better(self.side, bar.open, limit) { first_ns } else { bar.close_ns };
        Some(Offer { reference, at_ns, slips: false, worst: None })
    }

    /// The price at which the bar reaches the stop, and when.
    fn reached(&self, bar: &Bar, first_ns: i64, seen: Seen) -> Option<(Price, i64)> {
        let stop = self.stop?;
        let beyond = |price: Price| if self.side == Side::Buy { price >= stop } else { price <= stop };
        match seen {
            Seen::Whole if beyond(bar.open) => return Some((bar.open, first_ns)),
            Seen::After(entry) if beyond(entry) => return Some((entry, bar.close_ns)),
            _ => {}
        }
        let furthest = if self.side == Side::Buy { bar.high } else { bar.low };
        beyond(furthest).then_some((stop, bar.close_ns))
    }

    /// Where an order trades whose stop was just reached at `price`.
    fn on_trigger(&self, bar: &Bar, price: Price, at_ns: i64) -> Option<Offer> {
        let Some(limit) = self.limit else {
            return Some(Offer { reference: price, at_ns, slips: true, worst: None });
        };
        if price == bar.open && at_ns < bar.close_ns {
            // Reached at the open: the whole bar came after it.
            return self.offer(bar, at_ns, Seen::Whole);
        }
        let offer = Offer { reference: price, at_ns, slips: true, worst: Some(limit) };
        is_better(self.side, price, limit).then_some(offer)
    }

    fn trade(
        &mut self,
        offer: Offer,
        bar: &Bar,
        costs: &Costs,
        volume_left: &mut Quantity,
        outcome: &mut Outcome,
    ) {
        let mut quantity = self.takes(*volume_left);
        if quantity <= Quantity::ZERO {
            return;
        }
        let (mut price, mut slippage) = (offer.reference, Price::ZERO);
        if offer.slips {
            let Some(slipped) = slip_volume(costs, self.side, offer.reference, quantity, bar.volume) else {
                outcome.ended = Some(End::Costs("slippage"));
                return;
            };
            (price, slippage) = slipped;
            if let Some(worst) = offer.worst {
                let past = if self.side == Side::Buy { price > worst } else { price < worst };
                if past {
                    price = worst;
                    slippage = Price((worst.0 - offer.reference.0).abs());
                }
            }
        }
        if let Some(unspent) = self.unspent.as_mut() {
            // All of the amount at the price that it gets; what is below a billionth of a share stays unspent.
            let shares = unspent.0.saturating_mul(i128::from(E9)) / i128::from(price.0.max(1));
            quantity = i64::try_from(shares).map_or(quantity, Quantity).min(*volume_left);
            quantity = self.most.map_or(quantity, |most| quantity.min(most));
            if quantity <= Quantity::ZERO {
                outcome.ended = Some(End::NotImmediate);
                return;
            }
            unspent.0 -= Amount::notional(price, quantity).0;
            let over = *unspent < crate::order::CENT || self.most == Some(quantity);
            // What the bar has no volume for works on, however few shares it was expected to be.
            let works_on = Quantity(quantity.0.saturating_add(1));
            self.remaining = if over { quantity } else { self.remaining.max(works_on) };
        }
        let Some(commission) = charge(costs, self.side, price, quantity, self.next_fill == 1) else {
            outcome.ended = Some(End::Costs("commission"));
            return;
        };
        let number = self.next_fill;
        self.take(quantity);
        self.next_fill = self.next_fill.saturating_add(1);
        volume_left.0 -= quantity.0;
        let executed_ns = offer.at_ns;
        outcome.filled =
            Some(Filled { number, quantity, price, commission, slippage, executed_ns, ambiguous: false });
        if self.remaining == Quantity::ZERO {
            outcome.ended = Some(End::Filled);
        }
    }

    /// Takes shares that it filled off what is left of it.
    fn take(&mut self, quantity: Quantity) {
        self.remaining.0 -= quantity.0;
        for bound in [&mut self.tradable, &mut self.most].into_iter().flatten() {
            bound.0 -= quantity.0;
        }
    }

    /// Moves a trailing stop with a better price. False when there is no stop that it could have.
    fn trail_to(&mut self, price: Price) -> bool {
        let Some(trail) = self.trail else { return true };
        let best = self.extreme.map_or(price, |extreme| match self.side {
            Side::Buy => extreme.min(price),
            _ => extreme.max(price),
        });
        let Some(stop) = trail.stop(self.side, best) else { return self.stop.is_some() };
        (self.extreme, self.stop) = (Some(best), Some(stop));
        true
    }

    fn trailed(&self) -> Option<Trailed> {
        Some(Trailed { extreme: self.extreme?, stop: self.stop? })
    }
}

/// The first price of the bar that an order sees.
fn opening(bar: &Bar, seen: Seen) -> Price {
    match seen {
        Seen::Whole => bar.open,
        Seen::After(price) => price,
    }
}

/// Whether `price` is better for the order than its limit.
fn is_better(side: Side, price: Price, limit: Price) -> bool {
    if side == Side::Buy { price < limit } else { price > limit }
}

/// The price of a limit order when the bar trades through its limit: touching it is not enough.
fn through(side: Side, bar: &Bar, limit: Price) -> Option<Price> {
    match side {
        Side::Buy => (bar.low < limit).then(|| bar.open.min(limit)),
        Side::Sell => (bar.high > limit).then(|| bar.open.max(limit)),
        Side::Unspecified => None,
    }
}

/// Which of two exits of one position a bar reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The stop, beyond doubt.
    Stop,
    /// The target, beyond doubt.
    Target,
    /// Neither, or only the one that trades by itself.
    Either,
    /// Both, in an order that is not known: the stop is taken, the worse.
    StopByDoubt,
}

/// Which of two exits a bar reaches first. The open decides where it is beyond one of them.
#[must_use]
pub fn first_of(stop: &Resting, target: &Resting, bar: &Bar, first_ns: i64, seen: Seen) -> First {
    if stop.triggered {
        return First::Stop;
    }
    let sees = |order: &Resting| first_ns >= order.accepted_ns && order.wanted() > Quantity::ZERO;
    if !sees(stop) || !sees(target) {
        return First::Either;
    }
    let Some((_, at_ns)) = stop.reached(bar, first_ns, seen) else { return First::Either };
    let Some(limit) = target.limit else { return First::Stop };
    let touched = through(target.side, bar, limit);
    match touched {
        None => First::Stop,
        Some(_) if seen == Seen::Whole && at_ns == first_ns => First::Stop,
        Some(_) if seen == Seen::Whole && is_better(target.side, bar.open, limit) => First::Target,
        Some(_) => First::StopByDoubt,
    }
}
