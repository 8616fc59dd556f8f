//! The strategy service: hosts the built-in strategies.
//!
//! It reads bars and actions from MARKET (durable consumer `strategy`, one for all strategies) and
//! registrations, fills and marks from TRADING, and appends signals. Adding, removing or reconfiguring a
//! strategy is an event on the tape and needs no restart.
//!
//! Invariants:
//! - a signal's id follows from the bar that caused it, so that an instant taken twice signals once;
//! - a bar is acknowledged after its signals are stored;
//! - on the tape clock an instant is taken after the marks of all accounts for it, so that every fill of
//!   the instant came first;
//! - killed at any instruction and started again it goes on as if nothing had happened: a strategy's memory
//!   is its warm-up and its position, both of which the tape holds; in shadow mode its position is what it
//!   signalled there. What `on_fill` alone taught a strategy is not replayed; the built-in ones learn nothing
//!   from it.
//!
//! Deliberately absent: sizes and limits (risk's), external strategies (consumers of their own).
//!
//! Modules in reading order.

mod history;
mod signal;
mod shadow;
mod host;
mod closing;
mod machine;
mod read_model;
mod postgres;
mod shell;

pub use history::{History, Past};
pub use host::{Host, Terms, Unbuildable};
pub use machine::{Change, Changed, Machine, warm_up_id};
pub use postgres::PostgresReadModel;
pub use read_model::{PastAction, PastBar, ReadModel, Wanted};
pub use shell::{Config, Error, run};
pub use signal::Outgoing;

/// Name of the service, of its durable consumer and of the source of its own events.
pub const SERVICE: &str = "strategy";
