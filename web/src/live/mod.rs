//! Live data: what changed on a page since the version it holds.
//!
//! A message is a whole element as the server renders it, so that only the newest message per element
//! matters: the hub keeps exactly those, a client that comes back is given those it has not seen, and
//! a slow one skips what is already overtaken. Nothing queues up for anybody.
//!
//! Deliberately absent: any knowledge of what a page shows.

mod feed;
mod hub;
mod sse;

pub use feed::feed;
pub use hub::Hub;
pub use sse::{LiveQuery, OWN_STREAMS_MAX, TOPICS_MAX, stream};
