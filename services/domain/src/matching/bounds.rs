//! When a session begins and ends, as orders go by it.

use crate::calendar::Session;

/// The longest day of orders: no session but the last one of a week of the currency market is longer.
const DAY_NS: i64 = 86_400_000_000_000;

/// A session's first instant and the first one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// First instant.
    pub open_ns: i64,
    /// First instant after it.
    pub close_ns: i64,
}

impl Bounds {
    /// The first instant at which orders belong to the next session. On the currency market's Friday that is 17:00 in New
    /// York, although the session takes bars of the hour after it: whoever decides at the end of the week, as at the end of
    /// any day, trades in the next session.
    #[must_use]
    pub fn day_ends_ns(self) -> i64 {
        self.close_ns.min(self.open_ns.saturating_add(DAY_NS))
    }
}

impl From<&Session> for Bounds {
    fn from(session: &Session) -> Self {
        Self { open_ns: session.open_ns, close_ns: session.close_ns }
    }
}
