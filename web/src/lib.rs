//! The dashboard: server-rendered pages over the read models, live rows, and commands that become events.
//!
//! Invariants: a page never writes anything but a command, and a command changes nothing unless it comes
//! from this site's own page with the visitor's token and an idempotency key; a number that is not known
//! is shown as unknown; everything a client can make the server hold is bounded.
//!
//! Deliberately absent: the tape's internals, brokers, SQL that writes, plain HTTP on any other address than
//! loopback, and any page that does not exist yet: the navigation lists exactly `pages::Page::ALL`.
//!
//! Modules in reading order.

mod config;
pub mod probe;
mod progress;
mod server;
mod app;
mod attached;
mod url;
mod security;
mod session;
pub mod access;
mod tls;
mod error;
mod refused;
mod assets;
mod health;
mod operations;
mod history;
mod missing;
mod fleet;
mod holders;
mod live;
mod view;
mod browse;
mod socket;
mod pages;
mod api;
mod action;

#[cfg(test)]
mod tests;

pub use config::{Mode, Speed, TlsFiles, WebConfig};
pub use operations::Operations;
pub use server::{Server, WebError, bind, check, run};
pub use view::{EXPECTED_TIME, from_time, to_time};
