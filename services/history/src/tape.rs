//! The history of a tape: what its segments hold, caught up with MARKET.

use std::path::Path;

use event_log::{LogError, Tape};

use crate::loaded::{Loaded, Selection};
use crate::segments::{self, SegmentError};

/// Why the history of a tape cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The files could not be read or written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
    /// A thread that works on files ended early.
    #[error("history segments: {0}")]
    Task(String),
}

/// Times that damaged files are set aside and read again from the stream before it is an error.
const REPAIRS_MAX: usize = 2;

/// Reads what MARKET holds beyond the segments in `dir`, then loads `selection`.
///
/// A damaged file is removed, read again from the stream, and told in the notes.
pub async fn tape(dir: &Path, log: &Tape, selection: &Selection) -> Result<Loaded, HistoryError> {
    let segments = segments::open(dir)?;
    let mut notes = Vec::new();
    let mut repairs = 0;
    loop {
        let stats = segments.catch_up(log).await?;
        notes.extend(stats.notes);
        let (own, wanted) = (segments.clone(), selection.clone());
        let outcome = tokio::task::spawn_blocking(move || own.load(&wanted)).await;
        match outcome.map_err(|error| HistoryError::Task(error.to_string()))? {
            Ok(mut loaded) => {
                notes.append(&mut loaded.notes);
                loaded.notes = notes;
                return Ok(loaded);
            }
            Err(SegmentError::Damaged { path, problem }) if repairs < REPAIRS_MAX => {
                repairs += 1;
                notes.push(format!("{}: {problem}; read again from the tape", path.display()));
                segments.discard(&path)?;
            }
            Err(other) => return Err(other.into()),
        }
    }
}
