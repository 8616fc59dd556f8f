//! The domain: everything Tapedeck decides, as pure functions of (state, event, arguments).
//!
//! The same code runs in a backtest, a simulation, a rehearsal, on paper and live; only the shell
//! around it differs. Bodies of signals, decisions, orders and fills are the contract's own types, so
//! that there is one family of them; hot paths (bars, prices, indicators) use the small types here.
//!
//! Deliberately absent: I/O, async, clocks, randomness, NATS, SQL. Time and ids are arguments.
//!
//! Modules in reading order.

pub mod money;
pub mod bar;
pub mod series;
pub mod calendar;
pub mod corporate_action;
pub mod indicator;
pub mod statistics;
pub mod strategy;
pub mod order;
pub mod book;
pub mod sizing;
pub mod risk;
pub mod limits;
pub mod matching;
pub mod performance;
pub mod key_statistics;
pub mod research;
pub mod invariant;
