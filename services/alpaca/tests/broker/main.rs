//! The adapter against the stand-in: the port's contract, what goes wrong, and what is refused before it is sent.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod closings;
mod contract;
mod exits;
mod faults;
mod lists;
mod refusals;
mod replace;
mod stream;
mod support;
mod together;
