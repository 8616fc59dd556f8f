//! Brokers: the port that execution speaks to, and the simulated adapter behind it.
//!
//! The port is asynchronous, because a broker on a network is; the simulated one answers at once, and its
//! matching is the pure code of `domain::matching`. What a broker says is data ([`Report`]); execution
//! folds it into events with `domain::order::decide::report`. A repeated client order id is the same
//! order: a broker never works it twice.
//!
//! [`contract`] is the suite that every adapter must pass.
//!
//! Deliberately absent: the tape, the order aggregate, retries (a timeout is resolved by
//! [`Broker::lookup`], never by sending again), other services.

pub mod contract;
mod port;
mod simulated;
mod routed;
mod exits;

pub use exits::{ALPACA, SIMULATED, is_stop, other_exit, takes_together, wants_entries_first};
pub use port::{
    Activity, ActivityKind, Booked, Broker, BrokerAccount, BrokerError, BrokerOrder, BrokerPosition, Brokers,
    ListedOrder, MarketEvent, Outgoing, Report, StateAtBroker, come_to,
};
pub use routed::Routed;
pub use simulated::{Simulated, SimulatedBroker};
