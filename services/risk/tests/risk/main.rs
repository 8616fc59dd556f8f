//! The risk service over a tape in memory, with a read model that can lag, fail or run ahead.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod events;
mod read_model;
mod world;
mod decisions;
mod new_terms;
mod race;
mod restarts;
mod staleness;
mod wrong_signals;
mod outside;
mod measured;
mod halts;
mod postgres;
