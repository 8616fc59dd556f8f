//! Tests of ingest: files, import, sources, the tape clock. One binary, so that it links once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authority;
mod backfill;
mod clock;
mod concurrent;
mod external;
mod fakes;
mod import;
mod live;
mod measured;
mod news;
mod newsdesk;
mod parquet;
mod reader;
mod quality;
mod real_data;
mod recorded;
mod reference;
mod simulated;
mod support;
