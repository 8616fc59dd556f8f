//! What a pair remembers: prices of both legs, the fit, and when the entry line was crossed.
//!
//! Ages are counted in bars of each leg, the larger of the two, so that the last bars of each leg are all that a
//! restart needs, whatever bars one leg has that the other has not.

use std::collections::VecDeque;

use super::fit::Fit;
use crate::corporate_action::SplitRatio;
use crate::money::{Price, Quantity};
use crate::strategy::BarInput;
use crate::strategy::period::Period;

/// Lengths and lines that the memory follows.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub formation: usize,
    pub trading: usize,
    pub max_hold: usize,
    pub refit: Period,
    pub max_p_value: f64,
    pub max_half_life: f64,
    pub entry: f64,
    pub stop: f64,
}

/// Bars of each leg so far.
type Counts = [usize; 2];

/// The side of the mean that the spread is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The first leg is cheap: buy it.
    Low,
    /// The first leg is dear: sell it.
    High,
}

/// What a decision sees at an instant.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub slots: [usize; 2],
    pub positions: [Quantity; 2],
    /// The fit and the z-score under it.
    pub fit: Option<(Fit, f64)>,
    /// The side on which the entry line was crossed at this instant.
    pub crossed: Option<Side>,
    /// Whether the last crossing on a side, low then high, is recent enough to hold on to.
    pub recent: [bool; 2],
}

#[derive(Clone, Debug, Default)]
struct Leg {
    slot: usize,
    position: Quantity,
    count: usize,
    /// The last bars by close, oldest first.
    prices: VecDeque<(i64, Price)>,
}

#[derive(Clone, Copy, Debug)]
struct Previous {
    at: Counts,
    period: i64,
    prices: [Price; 2],
}

/// The memory of one pair and timeframe.
#[derive(Clone, Debug, Default)]
pub(super) struct PairState {
    legs: [Leg; 2],
    /// The last instant at which both had a bar.
    previous: Option<Previous>,
    fit: Option<(Fit, Counts)>,
    crossed: [Option<Counts>; 2],
}

impl PairState {
    /// Takes a bar of `leg`; what a decision sees when it is the second of the instant.
    pub fn take(&mut self, leg: usize, input: &BarInput<'_>, window: &Window) -> Option<Seen> {
        let taken = &mut self.legs[leg];
        taken.slot = input.slot;
        taken.position = input.position;
        taken.count += 1;
        // The formation bars, and the newest beside them.
        if taken.prices.len() > window.formation {
            taken.prices.pop_front();
        }
        taken.prices.push_back((input.bar.close_ns, input.bar.close));
        let [one, other] = self.legs.each_ref().map(|leg| leg.prices.back().copied());
        let ((at, first), (also, second)) = (one?, other?);
        (at == also).then(|| self.instant([first, second], window.refit.of(input.bar.start_ns), window))
    }

    fn instant(&mut self, prices: [Price; 2], period: i64, window: &Window) -> Seen {
        let at = self.legs.each_ref().map(|leg| leg.count);
        let previous = self.previous.filter(|previous| age(previous.at, at) <= window.formation);
        if previous.is_some_and(|previous| period > previous.period) {
            self.fit = self.refit(window).map(|fit| (fit, at));
        }
        self.fit = self.fit.filter(|(_, fitted)| age(*fitted, at) <= window.trading);
        let fit = self.fit.and_then(|(fit, _)| Some((fit, fit.z_score(prices)?)));
        let before = fit.zip(previous).and_then(|((fit, _), previous)| fit.z_score(previous.prices));
        let crossed = fit.zip(before).and_then(|((_, now), before)| {
            let enters = before.abs() < window.entry && (window.entry..window.stop).contains(&now.abs());
            enters.then_some(if now < 0.0 { Side::Low } else { Side::High })
        });
        if let Some(side) = crossed {
            self.crossed[side as usize] = Some(at);
        }
        self.previous = Some(Previous { at, period, prices });
        Seen {
            slots: self.legs.each_ref().map(|leg| leg.slot),
            positions: self.legs.each_ref().map(|leg| leg.position),
            fit,
            crossed,
            recent: self.crossed.map(|crossed| crossed.is_some_and(|then| age(then, at) <= window.max_hold)),
        }
    }

    /// A good fit of the formation bars: those before the newest of each leg, where both have one.
    fn refit(&self, window: &Window) -> Option<Fit> {
        let full = self.legs.iter().all(|leg| leg.prices.len() > window.formation);
        let [first, second] = self.legs.each_ref().map(|leg| leg.prices.iter().take(window.formation));
        if !full {
            return None;
        }
        let mut prices = Vec::with_capacity(window.formation);
        let mut second = second.peekable();
        for (close_ns, price) in first {
            while second.next_if(|(other, _)| other < close_ns).is_some() {}
            if let Some((_, other)) = second.next_if(|(other, _)| other == close_ns) {
                prices.push([*price, *other]);
            }
        }
        // A fit of a few common bars says little of the two.
        if prices.len() * 4 < window.formation * 3 {
            return None;
        }
        let fit = Fit::of(&prices)?;
        (fit.p_value <= window.max_p_value && fit.half_life <= window.max_half_life).then_some(fit)
    }

    /// Restates what is remembered of the leg in `slot` after a split. Prices that leave their range are no
    /// prices: better no memory than a wrong one.
    pub fn rescale(&mut self, slot: usize, ratio: SplitRatio) {
        let of_slot = |leg: &Leg| leg.slot == slot && leg.count > 0;
        let Some(index) = self.legs.iter().position(of_slot) else { return };
        for (_, price) in &mut self.legs[index].prices {
            let Ok(adjusted) = ratio.adjust_price(*price) else {
                *self = Self::default();
                return;
            };
            *price = adjusted;
        }
        if let Some(previous) = &mut self.previous {
            match ratio.adjust_price(previous.prices[index]) {
                Ok(adjusted) => previous.prices[index] = adjusted,
                Err(_) => self.previous = None,
            }
        }
        if let Some((fit, _)) = &mut self.fit {
            fit.rescale(index, ratio);
        }
    }
}

/// Bars of the leg that has had more of them since.
fn age(then: Counts, now: Counts) -> usize {
    (now[0] - then[0]).max(now[1] - then[1])
}
