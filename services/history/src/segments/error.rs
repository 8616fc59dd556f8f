//! What can be wrong with segments.

use std::path::PathBuf;

/// Why segments cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or directory.
        path: PathBuf,
        /// Cause.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what was written: it is removed and read again from the stream.
    #[error("{}: damaged: {problem}", path.display())]
    Damaged {
        /// File.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The Arrow writer refused.
    #[error("{}: {problem}", path.display())]
    Write {
        /// File.
        path: PathBuf,
        /// Its words.
        problem: String,
    },
}
