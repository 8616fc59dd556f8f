//! History as columns: read once from MARKET or from files, kept as segments, mapped into memory.
//!
//! Invariants: a value is never altered on the way; a row that is no bar is reported with its line and field;
//! what is mapped has been compared with its hash; the same bars have the same data hash, wherever they came from.
//!
//! Deliberately absent: what is done with it (the `engine` crate), imports onto the tape (`ingest`).
//!
//! Modules in reading order.

pub mod action;
pub mod file;
mod hash;
mod loaded;
mod parts;
pub mod resample;
pub mod segments;
mod tape;

pub use hash::data_hash;
pub use loaded::{Loaded, Range, Revisions, Selection};
pub use resample::resample;
pub use tape::{HistoryError, tape};
