//! Every adapter against the stand-in, failure by failure.
//!
//! Deliberately absent: waiting. The clock of these tests only counts how long it was to sleep.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actions;
mod articles;
mod astray;
mod facts;
mod failures;
mod history;
mod live;
mod newswire;
mod office;
mod paths;
mod plans;
mod shared;
mod support;
