//! The contracts of the tape: what an event is, under which subject it is stored and how it is
//! written and read.
//!
//! Everything that two programs must agree on is here: the protobuf types generated from
//! `schema/tapedeck/v1`, the subject grammar, the form of symbols, deterministic ids, the codec (protobuf or proto3-JSON)
//! and the canonical encoding behind the chain hash.
//!
//! Deliberately absent: any I/O, any clock, any decision, and any other crate of this workspace.

mod admission;
mod basis;
mod canonical;
pub mod chain_id;
mod codec;
mod id;
mod order;
mod subject;
mod symbol;
mod time;
mod json;
mod wkt;

pub use admission::{SCHEMA_VERSION, SIGNAL_BYTES_MAX, admit, admit_size, is_signal};
pub use basis::basis_of;
pub use canonical::{
    ChainHash, ChainKey, ChainStream, DuplicateId, StreamError, chain_key, encode_counted, frame,
};
pub use codec::{ContentType, DecodeError, decode, decode_as, encode, to_json};
pub use id::{
    EventId, ShortEventId, ShortId, ShortOrderId, bar_id, child_order_id, client_order_id,
    client_order_id_of, event_id, id_digest, order_id, order_of_client, signal_id,
};
pub use json::JsonError;
pub use order::order_of;
pub use subject::{MalformedSubject, Subject, escape, stream_of, unescape};
pub use symbol::{EXPECTED_SYMBOL, MalformedSymbol, SYMBOL_BYTES_MAX, read_symbol};
pub use time::{from_timestamp, to_timestamp};
pub use wkt::Timestamp;

/// Version 1 of the wire types, generated from `schema/tapedeck/v1`.
#[expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes,
    reason = "generated code; the documentation of every field is in the schema"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/tapedeck.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/tapedeck.v1.serde.rs"));
}

/// The strategy to which an operator's orders, and positions that no order explains, are attributed.
pub const MANUAL: &str = "manual";

/// In place of an account, in the subject of a stop: all of them. No account has this name.
pub const ALL_ACCOUNTS: &str = "all";

/// Streams of the tape, in the order in which an event travels.
pub mod stream {
    /// Bars, revisions, corporate actions, sessions and findings.
    pub const MARKET: &str = "MARKET";
    /// Facts about companies and listings, and news.
    pub const REFERENCE: &str = "REFERENCE";
    /// The whole decision chain, in one total order.
    pub const TRADING: &str = "TRADING";
    /// Who did what.
    pub const AUDIT: &str = "AUDIT";
    /// What could not be handled.
    pub const PARKED: &str = "PARKED";
    /// Structured logs and heartbeats; kept for 30 days.
    pub const LOGS: &str = "LOGS";
    /// Quotes and trades, of each symbol one now and then; kept for 7 days. Nothing is folded from them.
    pub const QUOTES: &str = "QUOTES";
}
