//! Room for what waits to be exported: bounded, and what finds none is counted and said once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::metrics::metrics;

/// How many spans wait, and how many may.
#[derive(Clone, Debug)]
pub(super) struct Room {
    waiting: Arc<AtomicUsize>,
    most: usize,
    said: Arc<AtomicBool>,
}

impl Room {
    /// Room for `most` spans.
    pub fn of(most: usize) -> Self {
        Self { waiting: Arc::default(), most, said: Arc::default() }
    }

    /// Takes a place; false when there is none, and then the span is dropped.
    pub fn enter(&self) -> bool {
        let enter = |waiting| (waiting < self.most).then_some(waiting + 1);
        if self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enter).is_ok() {
            return true;
        }
        metrics().export_dropped.with(&["traces"]).increment();
        if !self.said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "more spans than the collector takes; those that find no room are dropped, and counted in \
                 tapedeck_export_dropped_total (telemetry.trace_ratio lowers their number)"
            );
        }
        false
    }

    /// Gives back the places of `spans`.
    pub fn leave(&self, spans: usize) {
        let leave = |waiting: usize| Some(waiting.saturating_sub(spans));
        // The closure always answers, so the update always takes place.
        let _ = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, leave);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_counted() {
        let room = Room::of(2);
        assert!(room.enter() && room.enter());
        assert!(!room.enter() && !room.enter());
        assert_eq!(metrics().export_dropped.with(&["traces"]).get(), 2);
        room.leave(1);
        assert!(room.enter() && !room.enter());
        room.leave(5);
        assert!(room.enter() && room.enter() && !room.enter());
    }
}
