//! How fast the read models move: events per second between two looks.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Least time between two looks that give a rate.
const LEAST_NS: i64 = 900_000_000;

#[derive(Clone, Copy, Debug)]
struct Look {
    sequence: u64,
    at_ns: i64,
    rate: Option<f64>,
}

/// The last look at each projection.
#[derive(Debug, Default)]
pub struct Rates(Mutex<BTreeMap<String, Look>>);

impl Rates {
    /// Looks again; events per second since the look before, `None` at the first.
    pub fn of(&self, projection: &str, sequence: u64, now_ns: i64) -> Option<f64> {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = looks.get_mut(projection) else {
            looks.insert(projection.to_owned(), Look { sequence, at_ns: now_ns, rate: None });
            return None;
        };
        let passed_ns = now_ns - last.at_ns;
        if passed_ns >= LEAST_NS {
            let moved = sequence.saturating_sub(last.sequence) as f64;
            *last = Look { sequence, at_ns: now_ns, rate: Some(moved * 1e9 / passed_ns as f64) };
        }
        last.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_moved_between_two_looks() {
        let rates = Rates::default();
        assert_eq!(rates.of("bars", 100, 0), None);
        assert_eq!(rates.of("bars", 150, 1_000), None);
        assert_eq!(rates.of("bars", 300, 2_000_000_000), Some(100.0));
        // Of another page a moment later: the same.
        assert_eq!(rates.of("bars", 310, 2_100_000_000), Some(100.0));
    }
}
