//! The execution service: owns orders, the broker and the accounts' marks.
//!
//! It reads TRADING in order and MARKET through the durable consumer `execution`. An approved risk decision
//! becomes an intent on the tape, then an order at the broker, then the broker's answer on the tape. An
//! instant of MARKET becomes entries and adjustments, fills, expiries and one mark per account.
//!
//! Invariants:
//! - intent before effect: nothing is sent to a broker before `order_submitted` is stored;
//! - no order is sent twice: an intent without an answer is resolved by asking the broker for its client
//!   order id;
//! - before anything is decided, TRADING is folded up to whatever this service has appended itself;
//! - every append expects what was last in its aggregate, every id follows from the event's cause: killed
//!   at any instruction and started again, execution adds exactly what is missing;
//! - event times are market times: a decision's, a bar's close, an instant's; never the wall clock.
//!
//! Deliberately absent: limits and sizes (risk's), matching (the broker's), replacing orders.
//!
//! Modules in reading order.

mod event;
mod machine;
mod held;
mod words;
mod step;
mod kill;
mod told;
mod instant;
mod read_model;
mod postgres;
mod shell;
mod follow;

pub use event::SERVICE;
pub use follow::{Derived, Follower};
pub use instant::{LiveBar, Part, is_barrier, parts};
pub use machine::{Machine, Work};
pub use postgres::PostgresReadModel;
pub use read_model::ReadModel;
pub use shell::{Config, Error, run};
pub use step::{Step, StepError};
