//! The backtest engine: the domain's strategies, risk, orders and accounts, driven over columns in one loop.
//!
//! For the same data, parameters and seed it makes the same events as a rehearsal, so that the chain hash of
//! both is one number.
//!
//! Deliberately absent: I/O, async, clocks, reports (the `analytics` crate), where data come from (`history`).
