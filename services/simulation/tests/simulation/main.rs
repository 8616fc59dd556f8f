//! The simulator itself: the same seed is the same run, seeds hold, and without faults it is the backtest.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod chain;
mod exchange;
mod extras;
mod failures;
mod seeds;
