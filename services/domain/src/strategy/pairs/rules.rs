//! When a pair is entered and when it is left.

use std::sync::Arc;

use contracts::v1::Intent;
use smallvec::SmallVec;

use super::fit::Fit;
use super::state::{Seen, Side, Window};
use crate::money::Quantity;
use crate::strategy::{Wish, WishLeg};

/// The lines, and the reasons in words.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    exit: f64,
    stop: f64,
    low: Arc<str>,
    high: Arc<str>,
    back: Arc<str>,
    stopped: Arc<str>,
    too_long: Arc<str>,
    no_fit: Arc<str>,
    half: Arc<str>,
}

impl Rules {
    /// `stated` are exit, entry and stop as the parameters write them.
    pub fn new(exit: f64, window: &Window, stated: [&str; 3]) -> Self {
        let [exit_text, entry, stop] = stated;
        let max_hold = window.max_hold;
        Self {
            exit,
            stop: window.stop,
            low: format!("the spread fell to {entry} standard deviations below its mean").into(),
            high: format!("the spread rose to {entry} standard deviations above its mean").into(),
            back: format!("the spread is back within {exit_text} standard deviations of its mean").into(),
            stopped: format!("the spread is {stop} standard deviations from its mean").into(),
            too_long: format!("the spread crossed its entry line more than {max_hold} bars ago").into(),
            no_fit: "there is no good fit of the pair any more".into(),
            half: "the two legs do not fit each other".into(),
        }
    }

    /// What is wanted at an instant.
    pub fn decide(&self, seen: &Seen) -> Option<Wish> {
        if seen.positions == [Quantity::ZERO; 2] {
            let (fit, score) = seen.fit?;
            let side = seen.crossed?;
            let reason = if side == Side::Low { &self.low } else { &self.high };
            return Some(wish(entry(seen, &fit, side), seen, reason, Some(score)));
        }
        let reason = self.way_out(seen)?;
        let held = |leg: usize| seen.positions[leg] != Quantity::ZERO;
        let leg = |leg: usize| held(leg).then(|| WishLeg::market(seen.slots[leg], Intent::Exit));
        let score = seen.fit.map(|(_, score)| score);
        Some(wish([0, 1].into_iter().filter_map(leg).collect(), seen, reason, score))
    }

    /// Why the position is to be left, if it is.
    fn way_out(&self, seen: &Seen) -> Option<&Arc<str>> {
        let [first, second] = seen.positions.map(|position| position.cmp(&Quantity::ZERO));
        let Some((fit, score)) = seen.fit else { return Some(&self.no_fit) };
        let hedged = if fit.hedge_ratio > 0.0 { first.reverse() } else { first };
        if first.is_eq() || second != hedged {
            return Some(&self.half);
        }
        // Seen from the low side: entered far below 0, back near 0.
        let (side, score) = if first.is_gt() { (Side::Low, score) } else { (Side::High, -score) };
        if score >= -self.exit {
            Some(&self.back)
        } else if score <= -self.stop {
            Some(&self.stopped)
        } else if !seen.recent[side as usize] {
            Some(&self.too_long)
        } else {
            None
        }
    }
}

/// The low side is bought, the high side sold; with a negative hedge ratio both go the same way.
fn entry(seen: &Seen, fit: &Fit, side: Side) -> SmallVec<[WishLeg; 2]> {
    let long_first = side == Side::Low;
    let long_second = long_first == (fit.hedge_ratio < 0.0);
    let weights = fit.weights_e9();
    let leg = |leg: usize, long: bool| WishLeg {
        weight_e9: weights[leg],
        ..WishLeg::market(seen.slots[leg], if long { Intent::EnterLong } else { Intent::EnterShort })
    };
    SmallVec::from_buf([leg(0, long_first), leg(1, long_second)])
}

fn wish(legs: SmallVec<[WishLeg; 2]>, seen: &Seen, reason: &Arc<str>, score: Option<f64>) -> Wish {
    let mut indicators = SmallVec::new();
    if let Some(((fit, _), score)) = seen.fit.zip(score) {
        indicators.extend([
            ("z_score", score),
            ("hedge_ratio", fit.hedge_ratio),
            ("p_value", fit.p_value),
            ("half_life", fit.half_life),
        ]);
    }
    Wish { legs, indicators, reason: Arc::clone(reason) }
}
