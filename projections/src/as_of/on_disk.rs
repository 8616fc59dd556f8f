//! Books kept on disk, so that a process need not fold what another one has folded.
//!
//! A file holds a book and the event that it stands at, as JSON. Its name says the sequence, the market time, the fold
//! that made it and the hash of the content:
//!
//!     000000001024_1704207600000000000_<fold>_<hash>.json
//!
//! Invariants: a file is written under another name, renamed, and never changed; a book is kept only where it reads back
//! exactly. One that is damaged, of another fold or of another tape (another event stands at its sequence, recorded time
//! included) is removed and counts for nothing. Their number and size are bounded. The tape holds it all, so that
//! whatever goes wrong with a file costs time and nothing else.
//!
//! Deliberately absent: waiting. Of two processes that keep a book at once, one does not.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use contracts::v1::Event;
use contracts::{event_id, stream, to_json};
use event_log::{LogError, Tape};

use super::{Moment, Past};

/// Books of a tape.
pub(super) const BOOKS_MAX: usize = 16;
/// Size of them all. One that is larger than a quarter of it is not kept.
const BYTES_MAX: u64 = 64 << 20;
/// The sources that this program folds with.
const FOLD: &str = env!("FOLD_VERSION");

/// The books of one directory.
#[derive(Debug)]
pub(super) struct OnDisk {
    dir: PathBuf,
    /// Sequences of those that are there, and of those that could not be kept, so that they are not tried again.
    known: BTreeSet<u64>,
}

/// A file and what its name says.
#[derive(Clone, Debug)]
struct BookFile {
    path: PathBuf,
    sequence: u64,
    market_ns: Option<i64>,
    fold: String,
    hash: String,
    bytes: u64,
}

/// What a file holds: the event as text, since it is only compared, and reading it here would compile the reading of
/// every event once more.
type Content = (String, Past);

impl OnDisk {
    /// The books in `dir`, which is made when the first one is kept.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, known: BTreeSet::new() }
    }

    /// The last book behind `after` that is not past the moment and that stands on this tape.
    pub async fn before(
        &mut self,
        tape: &Tape,
        moment: Moment,
        after: u64,
    ) -> Result<Option<Past>, LogError> {
        let dir = self.dir.clone();
        let listed = tokio::task::spawn_blocking(move || listed(&dir)).await;
        let (files, _) = listed.ok().and_then(Result::ok).unwrap_or_default();
        self.known = files.iter().map(|file| file.sequence).collect();
        let wanted = files.into_iter().rev().filter(|file| file.sequence > after && !file.is_past(moment));
        for file in wanted {
            let path = file.path.clone();
            let sequence = file.sequence;
            let content = tokio::task::spawn_blocking(move || file.read().map(Box::new)).await;
            if let Some(content) = content.ok().flatten() {
                let (event, past) = *content;
                if stands(tape, sequence, &event).await? {
                    return Ok(Some(past));
                }
            }
            tracing::debug!(path = %path.display(), "a book that is damaged or of another tape is removed");
            // Where it cannot be removed, it is passed over again the next time.
            let _ = tokio::fs::remove_file(&path).await;
            self.known.remove(&sequence);
        }
        Ok(None)
    }

    /// Whether the last book that is not past `sequence` is at least `distance` events before it.
    pub fn wants(&self, sequence: u64, distance: u64) -> bool {
        let last = self.known.range(..=sequence).next_back().copied().unwrap_or_default();
        sequence >= last.saturating_add(distance)
    }

    /// Keeps a book that stands at `event`.
    pub async fn keep(&mut self, event: Event, past: Past) {
        self.known.insert(past.sequence());
        let (dir, content) = (self.dir.clone(), Box::new((event, past)));
        let kept = tokio::task::spawn_blocking(move || {
            let (event, past) = *content;
            keep(&dir, &(to_json(&event)?, past))
        });
        let kept = kept.await;
        if let Ok(Err(error)) = kept {
            tracing::debug!(dir = %self.dir.display(), %error, "a book is not kept");
        }
    }
}

impl BookFile {
    /// What a file's name says; `None` when it is no book's.
    fn parse(path: PathBuf, bytes: u64) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".json")?;
        let parts: Vec<&str> = name.split('_').collect();
        let [sequence, market, fold, hash] = <[&str; 4]>::try_from(parts).ok()?;
        let market_ns = if market.is_empty() { None } else { Some(market.parse().ok()?) };
        let (fold, hash) = (fold.to_owned(), hash.to_owned());
        Some(Self { sequence: sequence.parse().ok()?, market_ns, fold, hash, bytes, path })
    }

    fn is_past(&self, moment: Moment) -> bool {
        match moment {
            Moment::Sequence(sequence) => self.sequence > sequence,
            Moment::Instant(instant_ns) => self.market_ns.is_some_and(|time| time > instant_ns),
        }
    }

    /// The content, if it is what the name says.
    fn read(&self) -> Option<Content> {
        let text = fs::read_to_string(&self.path).ok()?;
        if hash(&text) != self.hash {
            return None;
        }
        let (event, past): Content = serde_json::from_str(&text).ok()?;
        let is_so = past.sequence() == self.sequence && past.market_ns == self.market_ns;
        is_so.then_some((event, past))
    }
}

/// Whether the tape holds this very event there. An id alone would not say: a rehearsal that is made anew gives the same
/// ones.
async fn stands(tape: &Tape, sequence: u64, event: &str) -> Result<bool, LogError> {
    match tape.get(stream::TRADING, sequence).await {
        Ok(found) => Ok(found.is_some_and(|found| to_json(&found.event).is_ok_and(|found| found == event))),
        Err(error) if error.is_undecodable() => Ok(false),
        Err(error) => Err(error),
    }
}

fn hash(text: &str) -> String {
    event_id(text, "book", 0)
}

/// The books of this fold, in the order of their sequences, and what is of no use: those of another fold, and what an
/// interrupted writer left.
fn listed(dir: &Path) -> io::Result<(Vec<BookFile>, Vec<PathBuf>)> {
    let (mut files, mut useless) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            useless.push(path);
        } else if let Some(file) = BookFile::parse(path, entry.metadata()?.len()) {
            if file.fold == FOLD {
                files.push(file);
            } else {
                useless.push(file.path);
            }
        }
    }
    files.sort_by(|a, b| (a.sequence, &a.hash).cmp(&(b.sequence, &b.hash)));
    Ok((files, useless))
}

fn keep(dir: &Path, content: &Content) -> io::Result<()> {
    let text = serde_json::to_string(content)?;
    // What no text gives back, such as a number that is none, stays with the tape.
    if serde_json::from_str::<Content>(&text)? != *content {
        return Err(io::Error::other("it does not read back the same"));
    }
    if text.len() as u64 > BYTES_MAX / 4 {
        return Err(io::Error::other(format!(
            "it has {} bytes, expected at most {}",
            text.len(),
            BYTES_MAX / 4
        )));
    }
    fs::create_dir_all(dir)?;
    let lock = File::create(dir.join("lock"))?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    for path in listed(dir)?.1 {
        fs::remove_file(path)?;
    }
    let (sequence, hash) = (content.1.sequence(), hash(&text));
    let market = content.1.market_ns.map_or_else(String::new, |ns| ns.to_string());
    let path = dir.join(format!("{sequence:012}_{market}_{FOLD}_{hash}.json"));
    let made = path.with_extension("tmp");
    // Not synced: one that a failing machine cuts off has another hash.
    fs::write(&made, text)?;
    fs::rename(&made, &path)?;
    thin_out(dir)
}

/// Removes books until their bounds are kept.
fn thin_out(dir: &Path) -> io::Result<()> {
    let (mut files, _) = listed(dir)?;
    loop {
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        if files.len() <= BOOKS_MAX && bytes <= BYTES_MAX {
            return Ok(());
        }
        let Some(place) = dispensable(&files) else { return Ok(()) };
        fs::remove_file(&files.remove(place).path)?;
    }
}

/// The book without which the distance between those beside it is the least; never the newest.
fn dispensable(files: &[BookFile]) -> Option<usize> {
    (0..files.len().saturating_sub(1)).min_by_key(|place| {
        let before = place.checked_sub(1).map_or(0, |before| files[before].sequence);
        files[place + 1].sequence - before
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64) -> Content {
        let mut past = Past::default();
        past.book.skip(sequence);
        (String::new(), past)
    }

    #[test]
    fn books_on_disk_stay_bounded_and_spread() {
        let dir = tempfile::tempdir().unwrap();
        for sequence in 1..=100 {
            keep(dir.path(), &at(sequence * 1_000)).unwrap();
        }
        let (files, useless) = listed(dir.path()).unwrap();
        let sequences: Vec<u64> = files.iter().map(|file| file.sequence).collect();
        assert_eq!((files.len(), useless.len()), (BOOKS_MAX, 0), "{sequences:?}");
        assert_eq!(sequences.last(), Some(&100_000));
        let distances = sequences.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(distances.max() <= Some(20_000), "{sequences:?}");
    }

    #[test]
    fn what_another_fold_made_and_a_writer_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), &at(1_000)).unwrap();
        let own = listed(dir.path()).unwrap().0.remove(0).path;
        let name = own.file_name().unwrap().to_str().unwrap();
        fs::copy(&own, dir.path().join(name.replace(FOLD, "0123456789abcdef"))).unwrap();
        fs::write(dir.path().join("half.tmp"), "[").unwrap();
        fs::write(dir.path().join("notes.txt"), "somebody's own").unwrap();
        assert_eq!(listed(dir.path()).unwrap().1.len(), 2);
        keep(dir.path(), &at(2_000)).unwrap();
        let (files, useless) = listed(dir.path()).unwrap();
        assert_eq!((files.len(), useless.len()), (2, 0));
        assert!(dir.path().join("notes.txt").exists());
    }

    #[test]
    fn a_name_that_does_not_fit_its_content_is_no_book() {
        let dir = tempfile::tempdir().unwrap();
        keep(dir.path(), &at(1_000)).unwrap();
        let file = listed(dir.path()).unwrap().0.remove(0);
        assert_eq!(file.read(), Some(at(1_000)));
        let moved = BookFile { sequence: 2_000, ..file.clone() };
        assert_eq!(moved.read(), None);
        fs::write(&file.path, "[]").unwrap();
        assert_eq!(file.read(), None);
    }
}
