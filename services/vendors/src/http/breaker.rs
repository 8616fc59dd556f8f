//! A vendor that fails again and again is left alone for a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures in a row after which nobody asks.
const FAILURES_MAX: u32 = 5;
const OPEN_FIRST: Duration = Duration::from_secs(10);
/// When to look again, for who meets another's trial.
const TRIAL: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until_ns: i64,
    /// How long it was open last; zero after a success.
    open: Duration,
    /// Whether one asks for all: the time of an open one is over.
    tried: bool,
    last: String,
    last_ns: Option<i64>,
}

impl State {
    fn left(&self, now_ns: i64) -> Option<Duration> {
        let left_ns = self.open_until_ns.saturating_sub(now_ns);
        u64::try_from(left_ns).ok().filter(|left| *left > 0).map(Duration::from_nanos)
    }
}

/// Whether a source is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is not, after failures in a row.
    Open,
    /// The time of an open one is over: one asks, and all others not before its answer closes it; its failure opens it for
    /// longer.
    HalfOpen,
}

impl BreakerState {
    /// The word on the tape and in pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// How a breaker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakerView {
    /// Whether the source is asked.
    pub state: BreakerState,
    /// Until when it is not, UTC nanoseconds; only of an open one.
    pub until_ns: Option<i64>,
    /// Failures in a row.
    pub failures: u32,
    /// What failed last, without credentials; empty where nothing did.
    pub last_failure: String,
    /// When, UTC nanoseconds.
    pub last_failure_ns: Option<i64>,
}

/// Counts failures in a row. When its time is over one may try again; if that fails it is open twice as long.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
    open_max: Duration,
}

impl Breaker {
    pub(super) fn new(open_max: Duration) -> Self {
        Self { state: Mutex::default(), open_max }
    }

    /// Leave to ask once, or how much longer to wait for it.
    pub(super) fn leave(&self, now_ns: i64) -> Result<Leave<'_>, Duration> {
        let mut state = self.state();
        if let Some(left) = state.left(now_ns) {
            return Err(left);
        }
        let tries = !state.open.is_zero();
        if tries && state.tried {
            return Err(TRIAL);
        }
        state.tried |= tries;
        Ok(Leave { breaker: self, tries })
    }

    /// How much longer nobody is to ask.
    pub(super) fn closed_for(&self, now_ns: i64) -> Option<Duration> {
        self.state().left(now_ns)
    }

    /// The failure that came last.
    pub(super) fn last(&self) -> String {
        self.state().last.clone()
    }

    /// How it stands.
    pub(super) fn view(&self, now_ns: i64) -> BreakerView {
        let held = self.state();
        let open = held.open_until_ns > now_ns;
        let state = match (open, held.open.is_zero()) {
            (true, _) => BreakerState::Open,
            (false, false) => BreakerState::HalfOpen,
            (false, true) => BreakerState::Closed,
        };
        BreakerView {
            state,
            until_ns: open.then_some(held.open_until_ns),
            failures: held.failures,
            last_failure: held.last.clone(),
            last_failure_ns: held.last_ns,
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to ask once. One that is dropped without a word decides nothing, and another may try.
#[derive(Debug)]
pub(super) struct Leave<'a> {
    breaker: &'a Breaker,
    tries: bool,
}

impl Leave<'_> {
    /// The source answered.
    pub(super) fn succeeded(&self) {
        let mut state = self.breaker.state();
        // What failed last stays to be told.
        (state.failures, state.open_until_ns, state.open) = (0, 0, Duration::ZERO);
    }

    /// It did not.
    pub(super) fn failed(&self, what: &str, now_ns: i64) {
        let mut state = self.breaker.state();
        state.failures = state.failures.saturating_add(1);
        what.clone_into(&mut state.last);
        state.last_ns = Some(now_ns);
        if !state.open.is_zero() && !self.tries {
            // What was on its way when it opened says nothing new: the trial decides.
            return;
        }
        // Of a trial one failure is enough.
        if state.failures >= FAILURES_MAX || self.tries {
            let open = if state.open.is_zero() { OPEN_FIRST } else { state.open * 2 };
            state.open = open.min(self.breaker.open_max);
            let open_ns = i64::try_from(state.open.as_nanos()).unwrap_or(i64::MAX);
            state.open_until_ns = now_ns.saturating_add(open_ns);
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if self.tries {
            self.breaker.state().tried = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const OPEN_MAX: Duration = Duration::from_secs(300);

    impl Breaker {
        /// One asks and fails.
        fn fail(&self, what: &str, now_ns: i64) {
            self.leave(now_ns).unwrap().failed(what, now_ns);
        }

        /// One asks and is answered.
        fn succeed(&self, now_ns: i64) {
            self.leave(now_ns).unwrap().succeeded();
        }
    }

    #[test]
    fn it_opens_after_five_failures_in_a_row_and_each_time_for_longer() {
        let breaker = Breaker::new(OPEN_MAX);
        for _ in 0..4 {
            breaker.fail("down", 0);
        }
        breaker.succeed(0);
        for _ in 0..4 {
            breaker.fail("down", 0);
            assert_eq!(breaker.closed_for(0), None);
        }
        breaker.fail("gone", 0);
        assert_eq!((breaker.closed_for(0), breaker.last().as_str()), (Some(OPEN_FIRST), "gone"));
        assert_eq!(breaker.closed_for(10 * SECOND), None, "one may try");
        breaker.fail("gone", 10 * SECOND);
        assert_eq!(breaker.closed_for(10 * SECOND), Some(Duration::from_secs(20)));
        let mut now = 10 * SECOND;
        for _ in 0..10 {
            now += i64::try_from(breaker.closed_for(now).unwrap().as_nanos()).unwrap();
            breaker.fail("gone", now);
        }
        assert_eq!(breaker.closed_for(now), Some(OPEN_MAX));
        now += i64::try_from(OPEN_MAX.as_nanos()).unwrap();
        breaker.succeed(now);
        assert_eq!(breaker.closed_for(now), None);
    }

    #[test]
    fn what_was_on_its_way_when_it_opened_does_not_keep_it_open() {
        let breaker = Breaker::new(OPEN_MAX);
        let on_their_way: Vec<_> = (0..8).map(|_| breaker.leave(0).unwrap()).collect();
        for leave in &on_their_way[..7] {
            leave.failed("down", 0);
        }
        assert_eq!(breaker.closed_for(0), Some(OPEN_FIRST));
        on_their_way[7].failed("down", 10 * SECOND);
        assert_eq!(breaker.closed_for(10 * SECOND), None, "nor does what comes back after its time");
    }

    #[test]
    fn when_its_time_is_over_one_tries_and_the_others_wait_for_what_it_finds() {
        let breaker = Breaker::new(OPEN_MAX);
        (0..5).for_each(|_| breaker.fail("down", 0));
        assert_eq!(breaker.leave(0).err(), Some(OPEN_FIRST));
        let now = 10 * SECOND;
        let trial = breaker.leave(now).unwrap();
        assert_eq!(breaker.leave(now).err(), Some(TRIAL));
        trial.failed("down", now);
        drop(trial);
        assert_eq!(breaker.leave(now).err(), Some(2 * OPEN_FIRST));
        let now = 30 * SECOND;
        // One that ends without a word leaves it to the next.
        drop(breaker.leave(now).unwrap());
        let trial = breaker.leave(now).unwrap();
        assert_eq!(
            (breaker.leave(now).err(), breaker.view(now).state),
            (Some(TRIAL), BreakerState::HalfOpen)
        );
        trial.succeeded();
        assert!(breaker.leave(now).is_ok() && breaker.leave(now).is_ok(), "it is closed");
    }

    #[test]
    fn how_it_stands_is_told_with_the_last_failure() {
        let breaker = Breaker::new(OPEN_MAX);
        let view = breaker.view(0);
        assert_eq!((view.state, view.last_failure_ns), (BreakerState::Closed, None));
        for _ in 0..5 {
            breaker.fail("503: busy", SECOND);
        }
        let open = BreakerView {
            state: BreakerState::Open,
            until_ns: Some(11 * SECOND),
            failures: 5,
            last_failure: "503: busy".to_owned(),
            last_failure_ns: Some(SECOND),
        };
        assert_eq!(breaker.view(2 * SECOND), open);
        let tried = BreakerView { state: BreakerState::HalfOpen, until_ns: None, ..open };
        assert_eq!(breaker.view(11 * SECOND), tried);
        breaker.succeed(11 * SECOND);
        let closed = BreakerView { state: BreakerState::Closed, failures: 0, ..tried };
        assert_eq!(breaker.view(12 * SECOND), closed, "what failed last stays");
    }
}
