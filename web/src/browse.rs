//! Browsing the tape: lists, the tree of subjects and single messages, for pages and API alike.
//!
//! Invariants: browsing leaves no consumer behind; every answer is bounded, and one that had to stop
//! looking says where; a message that cannot be read is shown as it is, with the reason.
//!
//! Deliberately absent: HTML and any write. HTTP is in `api` alone.

pub mod api;
mod chain;
mod list;
mod message;
pub mod parked;
mod tree;

pub use chain::{Hop, chain};
pub use list::{Listed, Place, Wanted, WantedError, list};
pub use message::{Message, Row, message};
pub use tree::{Branch, Level, STREAMS, StreamCount, level, stream_named, streams, subjects_of};

/// Why the tape was not browsed.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] event_log::LogError),
    /// The read model could not be read.
    #[error(transparent)]
    Query(#[from] projections::QueryError),
}
