//! What two programs must agree on: golden bytes, the subject grammar, the codec, ids, the chain hash.

mod chain;
mod codec;
mod golden;
mod id;
mod subject;
