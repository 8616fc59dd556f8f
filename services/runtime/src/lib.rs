//! What every service stands on: its context, health and heartbeats, parking, commands, telemetry.
//!
//! This is the only crate below the binary that may read the wall clock. Deliberately absent: domain
//! decisions, SQL, configuration files (only the binary reads files and the environment).

mod clock;
pub mod command;
mod context;
mod health;
mod parking;
pub mod telemetry;

pub use clock::{ClockMode, now_ns};
pub use context::Context;
pub use health::{Health, HealthState, Heartbeats, ServiceHealth};
pub use parking::park;
