//! Conversion between UTC nanoseconds and the wire's timestamp.

use crate::wkt::Timestamp;

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// UTC nanoseconds since 1970 as a wire timestamp.
#[must_use]
pub fn to_timestamp(ns: i64) -> Timestamp {
    Timestamp {
        seconds: ns.div_euclid(NANOS_PER_SECOND),
        nanos: i32::try_from(ns.rem_euclid(NANOS_PER_SECOND)).unwrap_or_default(),
    }
}

/// A wire timestamp as UTC nanoseconds since 1970; `None` outside the years 1678 to 2262.
#[must_use]
pub fn from_timestamp(timestamp: &Timestamp) -> Option<i64> {
    timestamp.seconds.checked_mul(NANOS_PER_SECOND)?.checked_add(i64::from(timestamp.nanos))
}
