//! How long to wait before a connection is made again: full jitter, doubled after each failure.

use std::time::Duration;

const BASE: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(30);
/// What a place that another connection holds is left alone for at least.
const BUSY_LEAST: Duration = Duration::from_secs(3);
/// A connection that told data for so long was a good one: the next begins anew.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// The wait after a connection that told data for as long as it `lived`.
    pub(super) fn wait(
        &mut self,
        busy: bool,
        lived: Duration,
        jitter: impl Fn(Duration) -> Duration,
    ) -> Duration {
        if lived >= GOOD_AFTER {
            self.0 = 0;
        }
        let most = BASE.saturating_mul(1 << self.0.min(6)).min(CAP);
        self.0 = self.0.saturating_add(1);
        let least = if busy { BUSY_LEAST } else { Duration::ZERO };
        least + jitter(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::default();
        let mut wait = |busy, lived| backoff.wait(busy, Duration::from_secs(lived), |most| most).as_millis();
        let waits: Vec<_> = (0..8).map(|_| wait(false, 0)).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(wait(false, 29), 30_000, "one that ended soon was no good one");
        assert_eq!(wait(false, 30), 500);
        assert_eq!(wait(true, 0), 4_000, "a place that is taken");
    }
}
