//! From which sequence of TRADING on events are too young to be judged: what execution may still settle.

use std::collections::VecDeque;

const SECOND_NS: i64 = 1_000_000_000;
/// How old an order's last event has to be, by its writer's clock: execution asks for what has no answer every minute.
const SETTLED_AFTER_NS: i64 = 60 * SECOND_NS;

/// When the events of the last minute were recorded, one a second at most.
#[derive(Debug, Default)]
pub struct Lately {
    /// Sequence and recorded time, UTC nanoseconds; the oldest first.
    moments: VecDeque<(u64, i64)>,
}

impl Lately {
    /// Takes the next event.
    pub fn note(&mut self, sequence: u64, recorded_ns: i64) {
        if self.moments.back().is_some_and(|(_, at_ns)| recorded_ns < at_ns.saturating_add(SECOND_NS)) {
            return;
        }
        self.moments.push_back((sequence, recorded_ns));
        let old = |(_, at_ns): &(u64, i64)| recorded_ns.saturating_sub(*at_ns) > SETTLED_AFTER_NS;
        while self.moments.front().is_some_and(old) {
            self.moments.pop_front();
        }
    }

    /// The first sequence that is too young at `now_ns`, to within a second.
    pub fn young_from(&self, now_ns: i64) -> u64 {
        let young = |(_, at_ns): &&(u64, i64)| now_ns.saturating_sub(*at_ns) < SETTLED_AFTER_NS;
        self.moments.iter().find(young).map_or(u64::MAX, |(sequence, _)| *sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_within_a_minute_is_too_young_and_no_more_than_that_is_kept() {
        let mut lately = Lately::default();
        assert_eq!(lately.young_from(0), u64::MAX);
        for sequence in 1..=1_000_u64 {
            // Ten a second.
            lately.note(sequence, i64::try_from(sequence).unwrap() * SECOND_NS / 10);
        }
        assert!(lately.moments.len() <= 62, "{}", lately.moments.len());
        let young_from = lately.young_from(100 * SECOND_NS);
        assert_eq!(young_from, 401, "of the events of a second the first stands for all");
        assert_eq!(lately.young_from(200 * SECOND_NS), u64::MAX);
    }
}
