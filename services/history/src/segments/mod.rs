//! History segments: parts of MARKET as columnar files that are mapped into memory.
//!
//! A segment is an Arrow file named by the range of the stream that it holds and the hash of its content; it is
//! written under another name, synced and renamed, and never changed. What the stream holds beyond the last segment
//! is read once and becomes a new one. Small neighbours are merged into a new file, so that there are few; the file
//! that replaces others is there before they go, and a reader that has them mapped keeps them.
//!
//! Several processes may work on one directory: writers take turns by a lock on the file `lock`; readers need none,
//! because a file is complete when it has its name.
//!
//! Deliberately absent: the projections (Postgres), unbounded memory: a segment holds at most [`ROWS_MAX`] bars.

mod collect;
mod directory;
mod error;
mod format;
mod load;
mod merge;
mod sync;

use std::path::{Path, PathBuf};

pub use directory::SegmentFile;
pub use error::SegmentError;
pub use format::{ActionNote, BatchNote, Content, KnownNote};
pub use sync::Stats;

/// Most bars of one segment.
pub const ROWS_MAX: usize = 1 << 20;

/// The segments of one tape.
#[derive(Clone, Debug)]
pub struct Segments {
    dir: PathBuf,
}

/// A segment as `list` and `verify` tell it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Listed {
    /// The file and what its name says.
    #[serde(flatten)]
    pub file: SegmentFile,
    /// Size in bytes.
    pub bytes: u64,
    /// What it holds; `None` when it cannot be read.
    pub content: Option<Content>,
    /// What is wrong with it.
    pub damage: Option<String>,
}

/// Opens the segments in `dir`, which is made when it is not there.
pub fn open(dir: &Path) -> Result<Segments, SegmentError> {
    std::fs::create_dir_all(dir).map_err(|source| SegmentError::Io { path: dir.to_owned(), source })?;
    Ok(Segments { dir: dir.to_owned() })
}

impl Segments {
    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The segments and their ranges, from what the files say of themselves. Blocking.
    pub fn list(&self) -> Result<Vec<Listed>, SegmentError> {
        self.told(|segment| Ok(segment.content().clone()))
    }

    /// Compares every column of every segment with its hash. Blocking.
    pub fn verify(&self) -> Result<Vec<Listed>, SegmentError> {
        self.told(|segment| segment.verify_all().map(|()| segment.content().clone()))
    }

    fn told(
        &self,
        look: impl Fn(&format::Mapped) -> Result<Content, SegmentError>,
    ) -> Result<Vec<Listed>, SegmentError> {
        let files = directory::files(&self.dir)?;
        Ok(files
            .into_iter()
            .map(|file| {
                let bytes = std::fs::metadata(&file.path).map_or(0, |data| data.len());
                let outcome = format::Mapped::open(&file).and_then(|segment| look(&segment));
                let damage = outcome.as_ref().err().map(ToString::to_string);
                Listed { file, bytes, content: outcome.ok(), damage }
            })
            .collect())
    }

    /// Removes every segment and answers how many there were: the next catch-up reads the stream anew.
    pub fn clear(&self) -> Result<usize, SegmentError> {
        let _lock = directory::lock(&self.dir)?;
        let files = directory::files(&self.dir)?;
        for file in &files {
            self.discard(&file.path)?;
        }
        Ok(files.len())
    }

    /// Removes one segment.
    pub fn discard(&self, path: &Path) -> Result<(), SegmentError> {
        directory::remove(path)
    }
}
