//! The writer's clock, which stamps an event's recorded time and decides nothing.

use std::fmt;
use std::sync::Arc;

/// Tells the time in UTC nanoseconds since 1970. A simulation passes a virtual one.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> i64 + Send + Sync>);

impl Clock {
    /// A clock that answers what `now_ns` answers.
    pub fn new(now_ns: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now_ns))
    }

    /// The machine's clock.
    #[must_use]
    pub fn wall() -> Self {
        Self::new(|| {
            #[expect(
                clippy::disallowed_methods,
                reason = "recorded time is the writer's clock by definition and never part of a decision"
            )]
            let now = std::time::SystemTime::now();
            let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
    }

    /// Now, in UTC nanoseconds since 1970.
    #[must_use]
    pub fn now_ns(&self) -> i64 {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::wall()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}
