//! Time: the one place that reads the wall clock.

/// What moves time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// The tape: time moves when everyone is done with the present instant.
    Tape,
    /// The wall clock.
    Wall,
}

/// The wall clock in UTC nanoseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one reading of the wall clock")]
pub fn now_ns() -> i64 {
    chrono::Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX)
}
