//! The projections against a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod adjusted;
mod as_of;
mod backtests;
mod bars;
mod books;
mod fleet;
mod instances;
mod lists;
mod logs;
mod migrations;
mod rebuilding;
mod reference;
mod risk;
mod rows;
mod support;
mod told;
mod track;
mod trading;
mod verifying;
mod void_terms;
