//! Tidy: what a reader relies on, held by a test rather than by memory.
//!
//! The edges between crates against the table in `docs/ARCHITECTURE.md`, what comes into the build against
//! `deny.toml`, the paths that the documents name, one golden file for every event, the numbering of the
//! migrations, the metrics against their document and board, what `make` refuses, and a few habits of the sources. Every check names all its findings at once.
//!
//! Deliberately absent: what the compiler, clippy and rustfmt already hold.

mod deny;
mod documents;
mod edges;
mod events;
mod licence;
mod planted;
mod repository;
mod scripts;
mod sources;
mod telemetry;

/// Fails with every finding, one per line.
fn nothing(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}\n{}", findings.join("\n"));
}
