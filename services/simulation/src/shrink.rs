//! A failure, made smaller: fewer kinds of faults, fewer faults, less of the market, as long as the same
//! invariant is broken.

use domain::invariant::Invariant;

use crate::fate::{Fault, Mask};
use crate::run::{Outcome, Settings, run};

/// Runs that a failure is worth.
const ATTEMPTS_MAX: u32 = 120;

/// The smallest settings found that break the same invariant, and what they come to.
pub fn shrink(settings: &Settings, failed: &Outcome) -> (Settings, Outcome) {
    let Some(violation) = &failed.violation else { return (settings.clone(), failed.clone()) };
    let mut search =
        Search { wanted: violation.invariant, best: (settings.clone(), failed.clone()), left: ATTEMPTS_MAX };
    search.quiet();
    search.kinds();
    search.instants();
    search.range();
    let (mut settings, outcome) = search.best;
    settings.trace = true;
    match run(&settings) {
        Ok(traced) if traced.violation.is_some() => (settings, traced),
        _ => (settings, outcome),
    }
}

struct Search {
    wanted: Invariant,
    best: (Settings, Outcome),
    left: u32,
}

impl Search {
    /// Tries a smaller mask; true when the failure is still there.
    fn attempt(&mut self, change: impl FnOnce(&mut Mask)) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let mut settings = self.best.0.clone();
        change(&mut settings.mask);
        let Ok(outcome) = run(&settings) else { return false };
        let same = outcome.violation.as_ref().is_some_and(|found| found.invariant == self.wanted);
        if same {
            self.best = (settings, outcome);
        }
        same
    }

    fn quiet(&mut self) {
        if !self.attempt(|mask| mask.quiet = true) {
            self.attempt(|mask| mask.terms_stay = true);
        }
    }

    fn kinds(&mut self) {
        let happened: Vec<Fault> = self.best.1.faults.keys().copied().collect();
        for fault in happened {
            self.attempt(|mask| mask.without.push(fault));
        }
    }

    fn instants(&mut self) {
        let mut most = 96;
        while most > 4 {
            most /= 2;
            if !self.attempt(|mask| mask.instants = Some(most)) {
                break;
            }
        }
    }

    /// Cuts the faults from behind, then from the front, by halves.
    fn range(&mut self) {
        let (mut low, mut high) = (0, self.best.1.happened);
        while high > low {
            let middle = low + (high - low) / 2;
            if self.attempt(|mask| mask.only = Some((0, middle))) { high = middle } else { low = middle + 1 }
        }
        let end = high;
        let (mut low, mut high) = (0, end);
        while high > low {
            let middle = low + (high - low).div_ceil(2);
            if self.attempt(|mask| mask.only = Some((middle, end))) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
    }
}
