//! Tests of history: files as columns, resampling, segments, hostile bytes. One binary, so that it links once.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod hostile;
mod resampling;
mod segments;
mod support;
