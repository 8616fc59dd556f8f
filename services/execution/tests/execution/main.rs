//! Tests of execution: its machine by itself, and its shell over a tape in memory.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod contradiction;
mod day;
mod exits;
mod groups;
mod kill;
mod life;
mod live;
mod machine;
mod outside;
mod restart;
mod support;
mod together;
