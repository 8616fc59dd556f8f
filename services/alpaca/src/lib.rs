//! Alpaca as a broker, paper and live, behind the port that execution speaks to.
//!
//! Invariants:
//! - a request that changes something is sent once; without an answer it is asked for by client order id;
//! - an execution has one id on the tape, whichever of Alpaca's lists it was read in: the order's id and how much of
//!   the order was filled with it;
//! - what Alpaca would refuse by a rule that it publishes is refused here, with the rule in words;
//! - nothing is taken for the truth that does not add up: an order whose executions are not all listed yet is asked
//!   for again;
//! - a credential stands in no message.
//!
//! Deliberately absent: the tape, retries of requests, options and crypto; whether trading in a symbol is halted, which
//! the stream of market data says and risk denies what opens by. What closes is sent, and held there.
//!
//! Modules in reading order.

mod wire;
mod calendar;
mod rules;
mod api;
mod gate;
mod known;
mod truth;
mod legs;
mod moved;
mod socket;
mod stream;
mod adapter;
mod foreign;

pub use adapter::Alpaca;
pub use api::Config;
pub use foreign::reports_of;
