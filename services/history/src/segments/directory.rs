//! The files of a directory of segments: names, lock, removal.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use super::SegmentError;

/// Digits of a sequence in a name, so that names sort as their ranges do.
const DIGITS: usize = 12;
const EXTENSION: &str = "arrow";

/// A segment's file and what its name says.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SegmentFile {
    /// Where it is.
    pub path: PathBuf,
    /// First sequence of MARKET that it covers.
    pub first: u64,
    /// Last sequence of MARKET that it covers.
    pub last: u64,
    /// Hash of its content.
    pub hash: String,
}

impl SegmentFile {
    /// The file of a range and hash.
    pub(super) fn new(dir: &Path, first: u64, last: u64, hash: &str) -> Self {
        let name = format!("{first:0DIGITS$}-{last:0DIGITS$}-{hash}.{EXTENSION}");
        Self { path: dir.join(name), first, last, hash: hash.to_owned() }
    }

    /// What a file's name says; `None` when it is no segment's.
    fn parse(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
        let mut parts = name.split('-');
        let (first, last, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok());
        let (first, last) = (number(first)??, number(last)??);
        let is_hash = hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hash && parts.next().is_none() && (1..=last).contains(&first)).then(|| Self {
            path: path.to_owned(),
            first,
            last,
            hash: hash.to_owned(),
        })
    }
}

/// Every segment in the order of first sequence; of those with the same, the longest first.
pub(super) fn files(dir: &Path) -> Result<Vec<SegmentFile>, SegmentError> {
    let io = |source| SegmentError::Io { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io)? {
        files.extend(SegmentFile::parse(&entry.map_err(io)?.path()));
    }
    files.sort_by(|a, b| (a.first, b.last, &a.hash).cmp(&(b.first, a.last, &b.hash)));
    Ok(files)
}

/// The segments that cover the stream from its first message without a gap, and those that are not needed for it:
/// left over when a merge was interrupted, or behind a gap.
pub(super) fn chain(files: Vec<SegmentFile>) -> (Vec<SegmentFile>, Vec<SegmentFile>) {
    let (mut chain, mut rest) = (Vec::new(), Vec::new());
    let mut next = 1;
    for file in files {
        if file.first == next {
            next = file.last + 1;
            chain.push(file);
        } else {
            rest.push(file);
        }
    }
    (chain, rest)
}

/// Waits for the lock of writers; it ends with the value.
pub(super) fn lock(dir: &Path) -> Result<File, SegmentError> {
    let path = dir.join("lock");
    let open = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|source| SegmentError::Io { path: path.clone(), source })?;
    file.lock().map_err(|source| SegmentError::Io { path, source })?;
    Ok(file)
}

/// Removes a file; one that is not there is removed already.
pub(super) fn remove(path: &Path) -> Result<(), SegmentError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(SegmentError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Removes what an interrupted writer left. Called under the lock.
pub(super) fn sweep(dir: &Path) -> Result<(), SegmentError> {
    let io = |source| SegmentError::Io { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "tmp") {
            remove(&path)?;
        }
    }
    Ok(())
}
