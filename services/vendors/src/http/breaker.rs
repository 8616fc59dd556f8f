//! A vendor that fails again and again is left alone for a while.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Failures in a row after which nobody asks.
const FAILURES_MAX: u32 = 5;
const OPEN_FIRST: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    open_until_ns: i64,
    /// How long it was open last; zero after a success.
    open: Duration,
    last: String,
}

/// Counts failures in a row. When its time is over one request may try; if that fails it waits twice as long.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
    open_max: Duration,
}

impl Breaker {
    pub(super) fn new(open_max: Duration) -> Self {
        Self { state: Mutex::default(), open_max }
    }

    /// How much longer nobody is to ask.
    pub(super) fn closed_for(&self, now_ns: i64) -> Option<Duration> {
        let left_ns = self.state().open_until_ns.saturating_sub(now_ns);
        u64::try_from(left_ns).ok().filter(|left| *left > 0).map(Duration::from_nanos)
    }

    /// The failure that came last.
    pub(super) fn last(&self) -> String {
        self.state().last.clone()
    }

    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    pub(super) fn failed(&self, what: &str, now_ns: i64) {
        let mut state = self.state();
        state.failures += 1;
        what.clone_into(&mut state.last);
        // After the first time one failure is enough.
        if state.failures >= FAILURES_MAX || !state.open.is_zero() {
            let open = if state.open.is_zero() { OPEN_FIRST } else { state.open * 2 };
            state.open = open.min(self.open_max);
            let open_ns = i64::try_from(state.open.as_nanos()).unwrap_or(i64::MAX);
            state.open_until_ns = now_ns.saturating_add(open_ns);
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;
    const OPEN_MAX: Duration = Duration::from_secs(300);

    #[test]
    fn it_opens_after_five_failures_in_a_row_and_each_time_for_longer() {
        let breaker = Breaker::new(OPEN_MAX);
        for _ in 0..4 {
            breaker.failed("down", 0);
        }
        breaker.succeeded();
        for _ in 0..4 {
            breaker.failed("down", 0);
            assert_eq!(breaker.closed_for(0), None);
        }
        breaker.failed("gone", 0);
        assert_eq!((breaker.closed_for(0), breaker.last().as_str()), (Some(OPEN_FIRST), "gone"));
        assert_eq!(breaker.closed_for(10 * SECOND), None, "one may try");
        breaker.failed("gone", 10 * SECOND);
        assert_eq!(breaker.closed_for(10 * SECOND), Some(Duration::from_secs(20)));
        for _ in 0..10 {
            breaker.failed("gone", 0);
        }
        assert_eq!(breaker.closed_for(0), Some(OPEN_MAX));
        breaker.succeeded();
        assert_eq!(breaker.closed_for(0), None);
    }
}
