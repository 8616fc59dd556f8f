//! Tests of the strategy service: its machine by itself, and its shell over a tape in memory.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod day;
mod history;
mod machine;
mod restart;
mod support;
