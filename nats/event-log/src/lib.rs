//! The event log: the port through which everything reads and writes the tape, and its adapters.
//!
//! Invariants: an append with the same id takes effect once, whatever fails in between; a read delivers
//! every message in stream order; a message that cannot be decoded is delivered as such, never skipped.
//!
//! Deliberately absent: any knowledge of what an event means to trading, SQL, and services.

mod port;
mod bookmark;
mod clock;
mod filter;
mod observer;
mod wire;
mod browse;
mod under;
mod memory;
mod jetstream;
pub mod definitions;
pub mod label;
mod external;

pub use bookmark::{Bookmark, TakenBack};
pub use browse::{Last, Moment, STORED_MAX, SUBJECTS_MAX, Stored, SubjectCount, Subjects, first_at, last_of};
pub use clock::Clock;
pub use external::DurableSpec;
pub use filter::{covers, is_well_formed};
pub use jetstream::{
    Answers, Auth, ConnectError, ConnectOptions, HopError, Hops, Introduced, Introduction, JetStreamLog,
    Shared, connect, measure_hops,
};
pub use memory::MemoryLog;
pub use observer::{MalformedTraceParent, Observer, Pending, TraceParent};
pub use port::{
    AckSeen, Acks, Append, AppendError, Appended, Consumer, Delivery, DurableState, EventLog, Expect, Hint,
    Hints, LogError, Reader, Recorded, StreamState, Tape,
};
pub use under::events_under;
pub use wire::MAX_BATCH;
