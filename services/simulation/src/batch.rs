//! Many seeds: how often everything happened, and the first that failed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use domain::invariant::Violation;
use domain::order::OrderStatus;

use crate::check::{Terms, Transition};
use crate::fate::Fault;
use crate::run::{Outcome, Settings, run};

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
    /// Changes of an order's status.
    pub transitions: BTreeMap<Transition, u64>,
    /// What became of new terms of an order.
    pub terms: BTreeMap<Terms, u64>,
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
}

/// Every change of status that must happen now and then; what else an order may go through is printed where it does.
pub const TRANSITIONS: [Transition; 12] = [
    (None, OrderStatus::Approved),
    (None, OrderStatus::Submitted),
    (Some(OrderStatus::Approved), OrderStatus::Submitted),
    (Some(OrderStatus::Approved), OrderStatus::Cancelled),
    (Some(OrderStatus::Submitted), OrderStatus::Accepted),
    (Some(OrderStatus::Submitted), OrderStatus::Rejected),
    (Some(OrderStatus::Accepted), OrderStatus::Filled),
    (Some(OrderStatus::Accepted), OrderStatus::Cancelled),
    (Some(OrderStatus::Accepted), OrderStatus::Expired),
    (Some(OrderStatus::Accepted), OrderStatus::Suspended),
    (Some(OrderStatus::Suspended), OrderStatus::Accepted),
    // A fill that was heard of after the end.
    (Some(OrderStatus::Cancelled), OrderStatus::Filled),
];

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
        for (terms, count) in &outcome.terms {
            *self.terms.entry(*terms).or_default() += count;
        }
        if outcome.events < EVENTS_MIN || outcome.orders < ORDERS_MIN {
            self.small.push(seed);
        }
    }

    /// What should have happened and never did.
    pub fn missing(&self) -> Vec<String> {
        let faults = Fault::ALL.iter().filter(|(fault, _)| !self.faults.contains_key(fault));
        let faults = faults.map(|(fault, _)| format!("fault {}", fault.name()));
        let transitions = TRANSITIONS.iter().filter(|transition| !self.transitions.contains_key(transition));
        let transitions = transitions.map(|transition| format!("transition {}", words(*transition)));
        let terms = Terms::ALL.iter().filter(|terms| !self.terms.contains_key(terms));
        faults.chain(transitions).chain(terms.map(|terms| format!("new terms: {}", terms.name()))).collect()
    }
}

/// A transition in words.
pub fn words((from, to): Transition) -> String {
    format!("{} -> {}", from.map_or("new", OrderStatus::name), to.name())
}

/// Runs a seed; a run that broke off is a failure too.
pub fn attempt(settings: &Settings) -> Result<Outcome, Failure> {
    let seed = settings.seed;
    let outcome = catch_unwind(AssertUnwindSafe(|| run(settings)));
    runtime::clock::set_virtual(None);
    let broke_off = |panic: String| Failure { seed, violation: None, panic: Some(panic) };
    match outcome {
        Ok(Ok(outcome)) => match &outcome.violation {
            None => Ok(outcome),
            Some(violation) => Err(Failure { seed, violation: Some(violation.clone()), panic: None }),
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
