//! What two programs must agree on: golden bytes, the subject grammar, what may stand under a subject, symbols, the
//! codec, ids, the chain hash.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admission;
mod chain;
mod codec;
mod golden;
mod id;
mod subject;
mod symbol;
