//! The runtime against a tape in memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod consumed;
mod parked;
mod ticks;
