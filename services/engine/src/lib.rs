//! The backtest engine: the domain's strategies, risk, orders and accounts, driven over columns in one loop.
//!
//! For the same data, parameters and seed it makes the same events as a rehearsal, so that the chain hash of
//! both is one number. Within an instant the order is that of a rehearsal: session opened, corporate actions,
//! bars to the broker (fills), session closed (day orders end), the account's mark, strategies (fills before
//! bars), risk over the instant's signals by strategy and symbol, orders.
//!
//! Invariants: every decision is the domain's own code; a run is a function of its configuration and its data
//! alone; what is not asked for is not formed ([`Recorder`]).
//!
//! Deliberately absent: I/O, async, clocks, reports (the `analytics` crate), where data come from (`history`).
//!
//! Modules in reading order.

#[cfg(test)]
extern crate self as engine;

mod config;
mod walk;
mod host;
mod ledger;
mod recorder;
mod outside;
mod outcome;
mod last;
mod run;
mod groups;
mod market;
mod submit;
mod action;
mod ids;
mod dense;
pub mod space;
mod sweep;
mod walk_forward;

pub use config::{Account, Config, ConfigError, StrategyConfig};
pub use ledger::{Dealt, Lots};
pub use outcome::{Counts, OpenTrade, Outcome};
pub use outside::{Given, OUTSIDE, Outside, OutsideError, Shown, WARM_UP_BARS};
pub use recorder::{Events, Hash, Nothing, Recorder};
pub use run::{Control, Error, Progress, Uncontrolled, run, run_beside};
pub use sweep::{Search, Trial, best, sweep};
pub use walk::session_range;
pub use walk_forward::{Fold, Folds, FoldsError, WalkForward, WalkForwardError, walk_forward};
