//! Time: the one place that reads a clock.
//!
//! Services ask here for the time and wait here, never at tokio or the machine, so that a simulation can put a
//! virtual clock in place for its thread ([`set_virtual`]). Without one, which is always so in a running
//! system, everything is the machine's, moved by [`set_offset_ns`] where a market is practised with whose day is
//! another one.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

/// What moves time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// The tape: time moves when everyone is done with the present instant.
    Tape,
    /// The wall clock.
    Wall,
}

/// A clock that stands in for the machine's.
pub trait VirtualClock: Send + Sync {
    /// Monotonic time. Only differences mean anything.
    fn now(&self) -> Instant;

    /// The wall clock in UTC nanoseconds since 1970. It may jump.
    fn now_ns(&self) -> i64;

    /// Wakes `waker` when [`VirtualClock::now`] reaches `deadline`.
    fn wake_at(&self, deadline: Instant, waker: &Waker);
}

thread_local! {
    static VIRTUAL: RefCell<Option<Arc<dyn VirtualClock>>> = const { RefCell::new(None) };
}

/// By how much the wall clock of this process differs from the machine's.
static OFFSET_NS: AtomicI64 = AtomicI64::new(0);

/// Moves the wall clock of this process against the machine's. Monotonic time stays.
pub fn set_offset_ns(offset_ns: i64) {
    OFFSET_NS.store(offset_ns, Ordering::Relaxed);
}

/// By how much the wall clock of this process differs from the machine's, by which recorded times are made.
#[must_use]
pub fn offset_ns() -> i64 {
    OFFSET_NS.load(Ordering::Relaxed)
}

/// Puts a virtual clock in place for everything that runs on this thread, or takes it away.
pub fn set_virtual(clock: Option<Arc<dyn VirtualClock>>) {
    VIRTUAL.with(|place| *place.borrow_mut() = clock);
}

fn in_place() -> Option<Arc<dyn VirtualClock>> {
    VIRTUAL.with(|place| place.borrow().clone())
}

/// The wall clock in UTC nanoseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reading of the wall clock")]
pub fn now_ns() -> i64 {
    match in_place() {
        Some(clock) => clock.now_ns(),
        None => chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX).saturating_add(offset_ns()),
    }
}

/// UTC nanoseconds as people read them.
#[must_use]
pub fn utc(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// Monotonic time, for waits; no part of any decision.
#[must_use]
pub fn now() -> Instant {
    in_place().map_or_else(Instant::now, |clock| clock.now())
}

/// Wakes `waker` at `deadline` of the virtual clock; for what stands in for the world in a simulation. Without a
/// virtual clock nothing is woken.
pub fn wake_at(deadline: Instant, waker: &Waker) {
    if let Some(clock) = in_place() {
        clock.wake_at(deadline, waker);
    }
}

/// Waits for a while. Cancel-safe.
pub async fn sleep(duration: Duration) {
    sleep_until(now() + duration).await;
}

/// Waits until `deadline`. Cancel-safe.
pub async fn sleep_until(deadline: Instant) {
    let Some(clock) = in_place() else { return tokio::time::sleep_until(deadline).await };
    poll_fn(|context| {
        if clock.now() >= deadline {
            return Poll::Ready(());
        }
        clock.wake_at(deadline, context.waker());
        Poll::Pending
    })
    .await;
}

/// Nothing came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer in time")]
pub struct Elapsed;

/// What `future` answers, if it does within `duration`.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    tokio::select! {
        biased;
        answer = future => Ok(answer),
        () = sleep(duration) => Err(Elapsed),
    }
}
