//! A stand-in for the vendors: what Alpaca (trading and market data), Massive, Yahoo and NewsAPI serve, over HTTP
//! and WebSocket, on this machine.
//!
//! One scripted market and one broker's desk are told in each vendor's shape. A test tells the stand-in what to
//! serve and what to let go wrong, through [`Vendors::stand`] or, from any language, over the control interface
//! (`docs/vendors.md`), and asks afterwards what arrived and what was sent. That the shapes are right is shown by
//! the vendors' own clients, which `tests/clients` points at it.
//!
//! Invariants: the same script and the same calls give the same answers; nothing is sent that is not counted;
//! an order, a fill or a price has one source, however many vendors tell it.
//!
//! Deliberately absent: everything of the product (no crate of the workspace is used, so that both cannot be
//! wrong in the same way), TLS, persistence, options and crypto, vendors' limits that no document states.

mod alpaca;
pub mod alpaca_data;
pub mod alpaca_trading;
pub mod calendar;
mod control;
mod decimal;
pub mod fault;
mod id;
pub mod ledger;
mod limit;
mod line;
pub mod market;
mod massive;
mod news;
mod query;
mod server;
mod settings;
mod socket;
mod stand;
mod wire;
mod yahoo;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use decimal::Decimal;
pub use server::{Addresses, Vendors};
pub use settings::Settings;
pub use stand::{HangUp, KEY, Keys, SECRET, Stand};

/// The value behind a lock; a panic elsewhere in a test is that test's failure, not this one's.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
