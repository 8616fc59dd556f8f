//! History as columns: read once from MARKET or from files, kept as segments, mapped into memory.
//!
//! Deliberately absent: what is done with it (the `engine` crate), imports onto the tape (`ingest`).
