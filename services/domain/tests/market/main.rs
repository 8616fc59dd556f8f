//! The market half of the domain: numbers, bars, calendar, corporate actions, indicators, performance.
//!
//! The calendar and the performance measures are compared with independent Python packages, which must be
//! there (`make setup-test`): a comparison that cannot be made is a failure, not a success.

#![expect(clippy::unwrap_used, reason = "in a test a missing value is a failure, and the panic says where")]

mod bar;
mod calendar;
mod markets;
mod corporate_action;
mod indicator;
mod indicator_catalogue;
mod indicator_reference;
mod key_statistics;
mod metrics;
mod money;
mod performance;
mod reference;
mod restate;
mod statistics;
mod trade_block;
