//! Deterministic identity: an id is a pure function of the event's cause.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// An event id: 32 lowercase hex digits.
pub type EventId = String;

/// The id of the `index`-th event that `handler` makes of the event `cause`.
///
/// A retry or a redelivery of the same cause therefore produces the same id and changes nothing.
/// For a first cause (an operator's command, a deposit) `cause` is whatever names it uniquely.
#[must_use]
pub fn event_id(cause: &str, handler: &str, index: u32) -> EventId {
    hex(&[cause.as_bytes(), handler.as_bytes(), &index.to_be_bytes()], 16)
}

/// The id of the `index`-th signal that an external strategy makes of the event `causation_id`: the first 32
/// hex digits of the SHA-256 of the text `signal/<strategy>/<causation id>/<index>`.
///
/// Every language has SHA-256 at hand. The text cannot be read in two ways, because neither the name of a
/// strategy nor an index holds a slash. `proto/ids.json` has samples.
#[must_use]
pub fn signal_id(strategy: &str, causation_id: &str, index: u32) -> EventId {
    let digest = Sha256::digest(format!("signal/{strategy}/{causation_id}/{index}").as_bytes());
    digits(&digest[..16])
}

/// The id of a bar: hash of source, symbol, timeframe and close (UTC nanoseconds).
///
/// A bar of equal identity with other values is a revision.
#[must_use]
pub fn bar_id(source: &str, symbol: &str, timeframe: &str, close_ns: i64) -> EventId {
    hex(&[source.as_bytes(), symbol.as_bytes(), timeframe.as_bytes(), &close_ns.to_be_bytes()], 16)
}

/// The id of the order that serves leg `leg` of the signal `signal_id`: 24 hex digits.
#[must_use]
pub fn order_id(signal_id: &str, leg: u32) -> String {
    hex(&[b"order", signal_id.as_bytes(), &leg.to_be_bytes()], 12)
}

/// The id of the `index`-th order that depends on the order `parent_id` (0 takes the profit, 1 stops the loss):
/// 24 hex digits.
#[must_use]
pub fn child_order_id(parent_id: &str, index: u32) -> String {
    hex(&[b"child", parent_id.as_bytes(), &index.to_be_bytes()], 12)
}

/// The client order id sent to the broker: a pure function of the order id, at most 48 characters.
#[must_use]
pub fn client_order_id(order_id: &str) -> String {
    format!("td-{order_id}")
}

/// Hashes length-prefixed parts, so that no two different lists of parts collide by concatenation.
fn hex(parts: &[&[u8]], bytes: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    digits(&hasher.finalize().as_bytes()[..bytes])
}

fn digits(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
