//! Sign-in slows down whoever guesses: per user and per address, for longer each time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

const SECOND_NS: i64 = 1_000_000_000;
/// Failures that cost nothing: people mistype.
const FREE: u32 = 3;
/// Longest wait.
const WAIT_NS_MAX: i64 = 300 * SECOND_NS;
/// Keys remembered; past that, the ones that failed longest ago are forgotten.
const KEYS_MAX: usize = 4_096;
/// A failure this long ago is forgotten.
const FORGET_NS: i64 = 3_600 * SECOND_NS;

/// See the module.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<String, Failures>>);

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last_ns: i64,
}

impl Failures {
    fn until_ns(self) -> i64 {
        let Some(steps) = self.count.checked_sub(FREE) else { return 0 };
        let wait_ns = SECOND_NS.saturating_mul(1 << steps.min(16)).min(WAIT_NS_MAX);
        self.last_ns.saturating_add(wait_ns)
    }
}

impl Throttle {
    /// Seconds to wait before any of `keys` may try again; 0 when now is fine.
    #[must_use]
    pub fn wait_s(&self, keys: &[&str], now_ns: i64) -> u64 {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = keys.iter().filter_map(|key| known.get(*key)).map(|failures| failures.until_ns()).max();
        let left_ns = until.unwrap_or_default().saturating_sub(now_ns).max(0);
        u64::try_from(left_ns).unwrap_or_default().div_ceil(SECOND_NS.unsigned_abs())
    }

    /// Remembers a failure of `keys`.
    pub fn failed(&self, keys: &[&str], now_ns: i64) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + keys.len() > KEYS_MAX {
            known.retain(|_, failures| now_ns - failures.last_ns < FORGET_NS);
        }
        while known.len() + keys.len() > KEYS_MAX {
            let oldest =
                known.iter().min_by_key(|(_, failures)| failures.last_ns).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            known.remove(&oldest);
        }
        for key in keys {
            let failures = known.entry((*key).to_owned()).or_default();
            if now_ns - failures.last_ns >= FORGET_NS {
                failures.count = 0;
            }
            failures.count = failures.count.saturating_add(1);
            failures.last_ns = now_ns;
        }
    }

    /// Forgets the failures of a user who has signed in.
    pub fn succeeded(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_from_the_third_failure_to_its_most_and_ends_with_success() {
        let throttle = Throttle::default();
        let now = 1_000 * SECOND_NS;
        let mut waits = Vec::new();
        for _ in 0..14 {
            waits.push(throttle.wait_s(&["user/a"], now));
            throttle.failed(&["user/a"], now);
        }
        assert_eq!(waits, [0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(throttle.wait_s(&["user/b"], now), 0);
        assert_eq!(throttle.wait_s(&["user/a"], now + WAIT_NS_MAX), 0);
        throttle.succeeded("user/a");
        assert_eq!(throttle.wait_s(&["user/a"], now), 0);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for index in 0..5_000i64 {
            throttle.failed(&[&format!("address/{index}")], index);
        }
        assert_eq!(throttle.0.lock().unwrap().len(), KEYS_MAX);
    }
}
