//! How often a vendor is asked: a bucket of our own, corrected by what the vendor says.
//!
//! Invariant: no minute has more requests than are allowed. The bucket alone, which lets some go at once, would let them
//! go beside the minute's others, and a plan of five a minute answers the sixth with 429.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use reqwest::header::HeaderMap;

use crate::clock::Clock;

/// Requests of a minute's allowance that may come at once.
const BURST_MAX: u32 = 10;
const MINUTE_NS: i64 = 60_000_000_000;
/// Shortest wait.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// The clock as the bucket reads it.
#[derive(Clone, Debug)]
struct Ticks(Arc<dyn Clock>);

impl governor::clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.now_ns()).unwrap_or_default())
    }
}

/// Lets requests pass.
#[derive(Debug)]
pub(super) struct Limit {
    bucket: RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>,
    ticks: Ticks,
    per_minute: usize,
    /// When the requests of the last minute went, UTC nanoseconds.
    gone: Mutex<VecDeque<i64>>,
    /// Until when the vendor said that nothing is left, or wants nothing.
    blocked_until_ns: AtomicI64,
}

impl Limit {
    pub(super) fn new(per_minute: u32, clock: Arc<dyn Clock>) -> Self {
        let per_minute = NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(BURST_MAX).map_or(per_minute, |burst| burst.min(per_minute));
        let ticks = Ticks(clock);
        let quota = Quota::per_minute(per_minute).allow_burst(burst);
        let bucket = RateLimiter::direct_with_clock(quota, ticks.clone());
        let per_minute = usize::try_from(per_minute.get()).unwrap_or(usize::MAX);
        Self { bucket, ticks, per_minute, gone: Mutex::default(), blocked_until_ns: AtomicI64::new(0) }
    }

    /// Waits until one more request may go.
    pub(super) async fn pass(&self, clock: &dyn Clock) {
        if let Some(wait) = self.blocked_for(clock.now_ns()) {
            clock.sleep(wait).await;
        }
        while let Err(early) = self.bucket.check() {
            let wait = early.wait_time_from(governor::clock::Clock::now(&self.ticks));
            clock.sleep(wait.max(WAIT_MIN)).await;
        }
        while let Some(wait) = self.full_for(clock.now_ns()) {
            clock.sleep(wait).await;
        }
    }

    /// How much longer the last minute has as many requests as are allowed; where it has fewer, one more is noted.
    fn full_for(&self, now_ns: i64) -> Option<Duration> {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        // What went later than now did so before the clock was set back.
        let minute = now_ns.saturating_sub(MINUTE_NS).saturating_add(1)..=now_ns;
        while gone.front().is_some_and(|at_ns| !minute.contains(at_ns)) {
            gone.pop_front();
        }
        let first_ns = gone.front().copied().filter(|_| gone.len() >= self.per_minute);
        let Some(first_ns) = first_ns else {
            gone.push_back(now_ns);
            return None;
        };
        let left_ns = first_ns.saturating_add(MINUTE_NS).saturating_sub(now_ns);
        Some(Duration::from_nanos(u64::try_from(left_ns).unwrap_or_default()).max(WAIT_MIN))
    }

    /// Follows `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds since 1970), where they are sent.
    pub(super) fn correct(&self, headers: &HeaderMap, now_ns: i64) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
        let (Some(0), Some(reset_s)) = (number("x-ratelimit-remaining"), number("x-ratelimit-reset")) else {
            return;
        };
        // More than a few minutes is no reset of a minute's allowance.
        let until_ns = reset_s.saturating_mul(1_000_000_000).min(now_ns.saturating_add(300_000_000_000));
        self.blocked_until_ns.fetch_max(until_ns, Ordering::Relaxed);
    }

    /// Holds everything back for a time that the vendor asked for.
    pub(super) fn hold(&self, span: Duration, now_ns: i64) {
        let span_ns = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        self.blocked_until_ns.fetch_max(now_ns.saturating_add(span_ns), Ordering::Relaxed);
    }

    /// How much longer the vendor said that nothing is left.
    pub(super) fn blocked_for(&self, now_ns: i64) -> Option<Duration> {
        let left_ns = self.blocked_until_ns.load(Ordering::Relaxed).saturating_sub(now_ns);
        u64::try_from(left_ns).ok().filter(|left| *left > 0).map(Duration::from_nanos)
    }
}
