//! The watch over one connection: whether it is subscribed in time, answers pings, and tells data.

use std::time::Duration;

use domain::calendar::Calendar;
use tokio::time::Instant;

use super::Ended;

/// Without any frame for so long, answers to pings included, the connection is dead.
const DEAD_AFTER: Duration = Duration::from_secs(30);

/// What is known of a connection's health.
pub(super) struct Watch {
    /// By when it has to be subscribed.
    pub(super) deadline: Instant,
    live_at: Option<Instant>,
    pub(super) frame_at: Instant,
    /// When it became live, and when data came last, UTC nanoseconds.
    live_ns: i64,
    pub(super) data_ns: i64,
}

impl Watch {
    pub(super) fn new(deadline: Instant) -> Self {
        Self { deadline, live_at: None, frame_at: Instant::now(), live_ns: 0, data_ns: 0 }
    }

    pub(super) fn is_live(&self) -> bool {
        self.live_at.is_some()
    }

    pub(super) fn live(&mut self, now_ns: i64) {
        self.live_at.get_or_insert_with(Instant::now);
        self.live_ns = now_ns;
    }

    pub(super) fn passing(&self, why: String, busy: bool) -> Ended {
        let lived = self.live_at.map(|at| at.elapsed()).unwrap_or_default();
        Ended::Passing { why, busy, lived }
    }

    /// Why the connection is worth nothing any more.
    pub(super) fn trouble(&self, now_ns: i64, silence: Duration) -> Option<String> {
        if self.frame_at.elapsed() > DEAD_AFTER {
            return Some(format!("no answer to a ping for {} s", DEAD_AFTER.as_secs()));
        }
        if !self.is_live() {
            return None;
        }
        // Outside of the session nothing is owed.
        let session = Calendar::xnys().session_at(now_ns).ok().flatten()?;
        let since_ns = self.data_ns.max(self.live_ns).max(session.open_ns);
        let silent = u64::try_from(now_ns.saturating_sub(since_ns)).map(Duration::from_nanos).ok()?;
        (silent > silence).then(|| format!("no data for {} s while the market is open", silent.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;
    /// Tuesday, 2026-01-06, 09:30 in New York.
    const OPEN_NS: i64 = 1_767_709_800_000_000_000;

    #[tokio::test]
    async fn a_stream_owes_data_while_the_market_is_open() {
        let mut watch = Watch::new(Instant::now());
        let silence = Duration::from_secs(180);
        let trouble = |watch: &Watch, now_ns| watch.trouble(now_ns, silence);
        assert_eq!(trouble(&watch, OPEN_NS + 10 * MINUTE_NS), None, "not live yet");
        watch.live(OPEN_NS - 60 * MINUTE_NS);
        assert_eq!(trouble(&watch, OPEN_NS - MINUTE_NS), None, "before the open");
        assert_eq!(trouble(&watch, OPEN_NS + 3 * MINUTE_NS), None, "no minute may have been told yet");
        let why = trouble(&watch, OPEN_NS + 4 * MINUTE_NS).unwrap();
        assert_eq!(why, "no data for 240 s while the market is open");
        watch.data_ns = OPEN_NS + 2 * MINUTE_NS;
        assert_eq!(trouble(&watch, OPEN_NS + 4 * MINUTE_NS), None);
    }
}
