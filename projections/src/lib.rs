//! The read models: projections that fold the tape into Postgres, and the queries that read them.
//!
//! Invariants: rows and checkpoint commit together, guarded by the checkpoint expected, so that an event
//! is applied once whatever runs at the same time; every row follows from the events up to the
//! checkpoint alone, so that a rebuild gives the same rows; a message that cannot be folded is parked and
//! passed over, in a rebuild as in the first run.
//!
//! Deliberately absent: decisions, clocks, HTTP, and any truth: a read model may be dropped at any time.
//! This is the only crate that writes to Postgres.
//!
//! Modules in reading order.

mod connect;
mod table;
mod projection;
mod write;
mod bars;
mod calendar;
mod trading;
mod services;
mod parked;
mod reference;
mod logs;
mod jobs;
mod backtests;
mod pump;
mod fold;
mod projector;
mod rebuild;
mod verify;
mod describe;
mod trace;
mod fingerprint;
mod lead;
pub mod as_of;
pub mod queries;
mod fleet;
mod hours;
mod in_name;
mod standing;

pub use connect::{
    ConnectError, PROJECTOR_LOGIN, READER_LOGIN, migrate, projector_pool, provision_logins, reader_pool,
};
pub use describe::{Description, KIND_SUBJECTS, describe, kind_subjects};
pub use fingerprint::{Fingerprint, FingerprintError, fingerprint};
pub use fleet::{Setting, StrategyReport, Subscription, strategy_reports, strategy_reports_of};
pub use hours::{HoursError, hours};
pub use in_name::{InNameError, book_from, in_name, left_behind};
pub use lead::{Lead, lead};
pub use logs::severity;
pub use projection::{FoldError, Name, Poison, Port, PortError, State, UnknownProjection, heads};
pub use projector::{Projector, ProjectorError};
pub use queries::QueryError;
pub use rebuild::{RebuildError, RebuildReport, rebuild};
pub use standing::outlasting;
pub use trace::{Link, TraceError, trace};
pub use verify::{Difference, TableReport, VerifyError, VerifyReport, verify};
