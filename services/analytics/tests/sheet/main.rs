//! The tear sheet: its numbers, its page, its gates and its warnings.
//!
//! The normal distribution and the Sharpe ratios' probabilities are compared with scipy, which must be there
//! (`make setup-test`).

#![expect(clippy::unwrap_used, reason = "in a test a missing value is a failure, and the panic says where")]

mod gate;
mod metrics;
mod monte_carlo;
mod page;
mod run;
mod tear_sheet;
mod warnings;
