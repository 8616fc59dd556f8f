//! How many requests a client may make, and the headers that say so.
//!
//! This is the one place that reads the real clock: a client compares `X-RateLimit-Reset` with its own.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue};

use crate::ledger::Vendor;
use crate::locked;

/// A window's length.
const WINDOW_S: u64 = 60;

/// What a client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a window.
    pub limit: u32,
    /// What is left of them.
    pub remaining: u32,
    /// When the next window begins, in seconds since 1970.
    pub reset_s: u64,
    /// This request is one too many.
    pub exceeded: bool,
}

impl Allowance {
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`.
    pub fn tell(&self, headers: &mut HeaderMap) {
        headers.insert("x-ratelimit-limit", HeaderValue::from(self.limit));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(self.remaining));
        headers.insert("x-ratelimit-reset", HeaderValue::from(self.reset_s));
    }
}

/// Counts requests by vendor in windows of a minute.
#[derive(Default)]
pub struct Meter(Mutex<BTreeMap<Vendor, (u64, u32)>>);

impl Meter {
    /// Counts a request.
    #[must_use]
    pub fn count(&self, vendor: Vendor, limit: u32) -> Allowance {
        #[expect(clippy::disallowed_methods, reason = "clients compare the reset with the real time")]
        let now = SystemTime::now();
        let now_s = now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let mut windows = locked(&self.0);
        let window = windows.entry(vendor).or_insert((now_s, 0));
        if now_s >= window.0 + WINDOW_S {
            *window = (now_s, 0);
        }
        window.1 = window.1.saturating_add(1);
        Allowance {
            limit,
            remaining: limit.saturating_sub(window.1),
            reset_s: window.0 + WINDOW_S,
            exceeded: window.1 > limit,
        }
    }

    /// Begins every window anew.
    pub fn reset(&self) {
        locked(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_after_the_last_one_is_too_many() {
        let meter = Meter::default();
        let allowances: Vec<_> = (0..3).map(|_| meter.count(Vendor::Massive, 2)).collect();
        assert_eq!(allowances.iter().map(|allowance| allowance.remaining).collect::<Vec<_>>(), [1, 0, 0]);
        assert_eq!(
            allowances.iter().map(|allowance| allowance.exceeded).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert!(!meter.count(Vendor::News, 2).exceeded, "vendors are counted apart");
    }
}
