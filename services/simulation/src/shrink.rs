//! A failure, made smaller: fewer kinds of faults, fewer faults, less of the market, as long as it fails alike: the same
//! invariant is broken, or the run breaks off with the same words.

use crate::batch::{Failure, attempt};
use crate::fate::{Extra, Fault, Mask};
use crate::run::Settings;

/// Runs that a failure is worth.
const ATTEMPTS_MAX: u32 = 120;

/// The smallest settings found that fail alike, and how they do, with the trace. What failing panics say while it is looked
/// for goes nowhere.
pub fn shrink(settings: &Settings, failure: &Failure) -> (Settings, Failure) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut search =
        Search { wanted: failure.kind(), best: (settings.clone(), failure.clone()), left: ATTEMPTS_MAX };
    search.quiet();
    search.extras();
    search.kinds();
    search.instants();
    search.range();
    let (settings, smallest) = search.best;
    let found = traced(&settings, smallest);
    std::panic::set_hook(before);
    found
}

/// The same failure once more, with its trace.
pub fn traced(settings: &Settings, failure: Failure) -> (Settings, Failure) {
    let settings = Settings { trace: true, ..settings.clone() };
    let again = attempt(&settings).err().filter(|again| again.kind() == failure.kind());
    (settings, again.unwrap_or(failure))
}

struct Search {
    wanted: String,
    best: (Settings, Failure),
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
        let Err(failure) = attempt(&settings) else { return false };
        let same = failure.kind() == self.wanted;
        if same {
            self.best = (settings, failure);
        }
        same
    }

    fn quiet(&mut self) {
        self.attempt(|mask| mask.quiet = true);
    }

    fn extras(&mut self) {
        for extra in Extra::ALL.into_iter().filter(|extra| extra.is_on()) {
            self.attempt(|mask| mask.leave_out.push(extra));
        }
    }

    fn kinds(&mut self) {
        let happened: Vec<Fault> = self.best.1.outcome.faults.keys().copied().collect();
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
        let (mut low, mut high) = (0, self.best.1.outcome.happened);
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
