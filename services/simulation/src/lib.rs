//! The simulation: the real services over a tape in memory that goes wrong in every way a tape may, with virtual
//! time, a simulated broker, and every choice from one seed.
//!
//! Invariants: the same seed gives the same run, to the last poll; what is checked is the code that a running
//! system checks itself with (`domain::invariant`); nothing of the services is replaced but what stands behind
//! their ports (tape, read models, broker, clock).
//!
//! Deliberately absent: servers, files, threads within a run, the machine's clock.
//!
//! Modules in reading order.

pub mod executor;
pub mod fate;
pub mod tape;
mod process;
pub mod database;
pub mod exchange;
pub mod market;
mod feed;
mod setup;
mod outside;
mod operator;
pub mod stages;
pub mod seen;
mod check;
mod world;
pub mod run;
pub mod calm;
pub mod shrink;
pub mod batch;
pub mod cli;
#[cfg(feature = "planted-bugs")]
mod hunt;
