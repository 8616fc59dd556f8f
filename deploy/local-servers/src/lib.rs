//! The servers behind a local tape: nats-server and PostgreSQL, found, started and supervised.
//!
//! A person who runs Tapedeck on one machine should need nothing that runs already. This crate finds the
//! two programs, gives each a private directory with generated credentials, starts it on a loopback port,
//! starts it again when it dies, and stops it cleanly at the end.
//!
//! Invariants:
//! - One directory has one owner. [`InstanceLock`] is a lock of the kernel, so a killed owner leaves none.
//! - A child never outlives its parent for long: where `setpriv` exists the kernel ends the child with the
//!   thread that started it, and every start first ends what an earlier parent left behind.
//! - No server accepts a connection without a password, for loopback is open to every user of the machine.
//!   Files with credentials are readable by their owner alone.
//! - PostgreSQL refuses to run as root, so as root it runs as an unprivileged user, and the directories above
//!   its data stay as private as they were.
//!
//! Deliberately absent: any other crate of this workspace, streams, migrations and roles (their owners apply
//! them), and the environment. The paths to search are arguments; only [`testing`] and the binary
//! `with-servers` read variables, because both are started by hand or by a test runner.

mod child;
mod credentials;
mod error;
mod files;
mod lock;
mod nats;
mod port;
mod postgres;
mod process;
mod search;
mod supervisor;
pub mod testing;

pub use error::ServerError;
pub use lock::{InstanceLock, Stay};
pub use nats::{
    NatsOptions, NatsServer, NatsUser, NatsUsers, ServiceUser, USER_CONNECTIONS_MAX, find_nats_server,
};
pub use postgres::{PostgresOptions, PostgresPrograms, PostgresServer, find_postgres};
pub use search::Search;
pub use supervisor::ServerState;
