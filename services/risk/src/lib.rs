//! The risk service: one ordered decider that answers every signal once.
//!
//! It reads TRADING and MARKET in order. Live it decides each signal as it comes; on the tape clock it
//! collects an instant's signals until `clock.decide` says that they are complete and takes them by
//! strategy, symbol and leg. A decision stands on one snapshot of the `trading` read model and on what
//! TRADING says past that snapshot's checkpoint.
//!
//! Invariants:
//! - two signals can never both pass one limit: an approval counts from the moment it is decided, whether
//!   or not the read model has seen it;
//! - a decision's inputs are a function of the tape and of the decision's place in its instant, never of
//!   how far the read model happened to be;
//! - a decision's id follows from its signal, and each decision expects the last one of its account, so
//!   that two deciders can never both win;
//! - a read model that is behind decides nothing: on the tape clock the clock waits, live the signal is
//!   denied after a bounded time;
//! - killed at any instruction and started again it goes on with the same decisions: everything it
//!   remembers is read from the tape, from the oldest signal on that is neither decided nor parked.
//!
//! A decision's basis names MARKET and TRADING as far as they are in its inputs, and under
//! [`READ_MODEL_BASIS`] the checkpoint of the snapshot; where that was ahead of earlier decisions of the instant, under
//! [`ROUND_BASIS`] the end of the round that it belongs to.
//!
//! Deliberately absent: the policy itself (`domain::risk`), orders and brokers, a book of its own.
//!
//! Modules in reading order.

mod read_model;
mod pricing;
mod start;
mod tail;
mod machine;
mod boundary;
mod round;
mod shell;
mod postgres;
pub mod monitor;

pub use boundary::{FOREIGN_ID, problem_at_instant};
pub use machine::{Due, Machine, Stale, Unanswerable, Wanted};
pub use postgres::PostgresReadModel;
pub use pricing::Pricing;
pub use read_model::{LastPrice, PastAction, PastFinding, ReadModel, Snapshot};
pub use round::{Outcome, Outgoing, decided_at};
pub use shell::{Config, Error, run};

/// Name of the service and source of its events.
pub const SERVICE: &str = "risk";

/// Name under which a decision's basis states the checkpoint of the read model.
pub const READ_MODEL_BASIS: &str = "projection.trading";

/// Name under which a decision's basis states how far the clock had said that signals go, where the snapshot was beyond
/// decisions behind that: of them the inputs hold what they approved, and nothing that came of it.
pub const ROUND_BASIS: &str = "clock.decide";
