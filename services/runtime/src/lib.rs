//! What every service stands on: its context, health and heartbeats, exactly-once appends, instants,
//! parking, read errors, commands, metrics, telemetry.
//!
//! This is the only crate below the binary that may read the wall clock. Deliberately absent: domain
//! decisions, SQL, configuration files (only the binary reads files and the environment).

mod alerts;
mod append;
pub mod clock;
pub mod command;
mod consumed;
mod context;
mod external;
mod health;
mod instant;
pub mod metrics;
mod parking;
mod read_model;
pub mod telemetry;
pub mod testing;
mod ticks;

pub use alerts::Alerts;
pub use append::{append, append_all};
pub use clock::{ClockMode, now_ns, utc};
pub use consumed::Consumed;
pub use context::Context;
pub use external::{
    AccessError, Credentials, CredentialsFile, DEFAULT_SUBJECTS, ExternalStrategy, Rights, StrategyAccess,
    consumer_name,
};
pub use health::{BREAKER_OPEN, Breakers, Health, HealthState, Heartbeats, SILENT_AFTER_NS, ServiceHealth};
pub use instant::{Instant, Instants, is_live};
pub use parking::{Unfit, park, park_all, parked};
pub use read_model::{AsOf, ReadError};
pub use ticks::{LastQuote, LastTick, LastTrade, SizedPrice};
