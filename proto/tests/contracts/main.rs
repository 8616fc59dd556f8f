//! What two programs must agree on: golden bytes, the subject grammar, the codec, ids, the chain hash.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
mod codec;
mod golden;
mod id;
mod subject;
