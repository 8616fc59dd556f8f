//! Many seeds: how often everything happened, and the first that failed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use domain::invariant::Violation;

use crate::fate::{Extra, Fault};
use crate::run::{Outcome, Settings, run_with};
use crate::seen::Seen;
use crate::stages::{Transition, demanded, may_happen, words};

/// Least that a seed must come to.
pub const EVENTS_MIN: u64 = 1_000;
/// Least number of its orders.
pub const ORDERS_MIN: usize = 50;

/// How often things happened over many seeds.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Seeds run.
    pub seeds: u64,
    /// Events.
    pub events: u64,
    /// Orders.
    pub orders: u64,
    /// Fewest events of a seed.
    pub events_min: u64,
    /// Fewest orders of a seed.
    pub orders_min: usize,
    /// Faults.
    pub faults: BTreeMap<Fault, u64>,
    /// Steps from one stage of an order to another.
    pub transitions: BTreeMap<Transition, u64>,
    /// What else is counted.
    pub seen: BTreeMap<Seen, u64>,
    /// Seeds that came to too little.
    pub small: Vec<u64>,
}

/// A seed that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Seed.
    pub seed: u64,
    /// What does not hold; none when the run broke off.
    pub violation: Option<Violation>,
    /// Why it broke off.
    pub panic: Option<String>,
    /// What the run came to; of one that broke off its faults and its trace.
    pub outcome: Box<Outcome>,
}

impl Failure {
    /// What failed, in words.
    #[must_use]
    pub fn words(&self) -> String {
        let violation = self.violation.as_ref().map(ToString::to_string);
        violation.or_else(|| self.panic.clone()).unwrap_or_default()
    }

    /// What another run has to say to have failed alike: the invariant, or the words of the panic that hold no number.
    #[must_use]
    pub fn kind(&self) -> String {
        if let Some(violation) = &self.violation {
            return violation.invariant.to_string();
        }
        let panic = self.panic.as_deref().unwrap_or_default();
        let words = panic.split_whitespace();
        let words = words.filter(|word| !word.bytes().any(|byte| byte.is_ascii_digit()));
        words.collect::<Vec<_>>().join(" ")
    }
}

impl Tally {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        self.seeds += 1;
        self.events += outcome.events;
        self.orders += outcome.orders as u64;
        let first = self.seeds == 1;
        self.events_min = if first { outcome.events } else { self.events_min.min(outcome.events) };
        self.orders_min = if first { outcome.orders } else { self.orders_min.min(outcome.orders) };
        for (fault, count) in &outcome.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (transition, count) in &outcome.transitions {
            *self.transitions.entry(*transition).or_default() += count;
        }
        for (seen, count) in &outcome.seen {
            *self.seen.entry(*seen).or_default() += count;
        }
        if outcome.events < EVENTS_MIN || outcome.orders < ORDERS_MIN {
            self.small.push(seed);
        }
    }

    /// What should have happened and never did.
    pub fn missing(&self) -> Vec<String> {
        let possible = |fault: Fault| fault.extra().is_none_or(Extra::is_on);
        let faults = Fault::ALL.iter().map(|(fault, _)| *fault).filter(|fault| possible(*fault));
        let faults = faults.filter(|fault| !self.faults.contains_key(fault));
        let faults = faults.map(|fault| format!("fault {}", fault.name()));
        let steps = demanded().filter(|step| !self.transitions.contains_key(step));
        let steps = steps.map(|step| format!("order: {}", words(step)));
        let seen = Seen::demanded().filter(|seen| !self.seen.contains_key(seen));
        faults.chain(steps).chain(seen.map(|seen| seen.name().to_owned())).collect()
    }

    /// Steps that orders took although the domain says that none can.
    pub fn forbidden(&self) -> Vec<String> {
        self.transitions.keys().filter(|step| !may_happen(**step)).map(|step| words(*step)).collect()
    }
}

/// Runs a seed; a run that broke off is a failure too.
pub fn attempt(settings: &Settings) -> Result<Outcome, Failure> {
    let (seed, fate) = (settings.seed, settings.fate());
    let outcome = catch_unwind(AssertUnwindSafe(|| run_with(settings, &fate)));
    runtime::clock::set_virtual(None);
    let broke_off = |panic: String| {
        let outcome = Box::new(Outcome::broken_off(&fate));
        Failure { seed, violation: None, panic: Some(panic), outcome }
    };
    match outcome {
        Ok(Ok(outcome)) => match outcome.violation.clone() {
            None => Ok(outcome),
            violation => Err(Failure { seed, violation, panic: None, outcome: Box::new(outcome) }),
        },
        Ok(Err(error)) => Err(broke_off(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(broke_off(text.unwrap_or_else(|| "panic".to_owned())))
        }
    }
}

/// Runs `count` seeds from `from` on in `jobs` threads. `before` is called on each thread before each seed,
/// `progress` after each. Stops at the first failure, of which the lowest seed is answered.
pub fn run_seeds(
    from: u64,
    count: u64,
    jobs: usize,
    before: impl Fn() + Sync,
    progress: impl Fn(u64) + Sync,
) -> (Tally, Option<Failure>) {
    let next = AtomicU64::new(from);
    let stop = AtomicBool::new(false);
    let shared = Mutex::new((Tally::default(), None::<Failure>));
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        return;
                    }
                    before();
                    let outcome = attempt(&Settings::of(seed));
                    let mut shared = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    match outcome {
                        Ok(outcome) => shared.0.add(seed, &outcome),
                        Err(failure) => {
                            stop.store(true, Ordering::Relaxed);
                            if shared.1.as_ref().is_none_or(|known| known.seed > seed) {
                                shared.1 = Some(failure);
                            }
                        }
                    }
                    progress(shared.0.seeds);
                }
            });
        }
    });
    shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}
