//! What the tests share.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use contracts::stream::MARKET;
use event_log::{Delivery, MemoryLog, Recorded, Tape};
use ingest::file::{self, Chunk, FileError, Opened, ReadOptions, Rejected};
use ingest::import::{self, ImportOptions, ImportReport};

/// The real data; a test without them fails.
pub fn data_dir() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    #[expect(clippy::disallowed_methods, reason = "the test data's place is configured by the environment")]
    let dir = std::env::var_os("TAPEDECK_TEST_DATA").map_or_else(beside, PathBuf::from);
    assert!(dir.is_dir(), "no test data at {}; set TAPEDECK_TEST_DATA", dir.display());
    dir
}

/// The files of real bars.
pub fn bar_files() -> Vec<PathBuf> {
    ["AAPL", "BAC", "IBM", "SPY"].map(|symbol| data_dir().join(format!("bars-1h-{symbol}.csv.gz"))).to_vec()
}

/// The file of real corporate actions.
pub fn actions_file() -> PathBuf {
    data_dir().join("corporate-actions.csv")
}

pub fn memory() -> Tape {
    Arc::new(MemoryLog::new())
}

/// Writes a file that lives as long as the directory.
pub fn write(dir: &tempfile::TempDir, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Everything a text says as a file of bars.
pub fn read_text(content: impl AsRef<[u8]>, options: &ReadOptions) -> Result<Chunk, FileError> {
    let dir = tempfile::tempdir().unwrap();
    read_file(&write(&dir, "bars.csv", content), options)
}

pub fn read_file(path: &Path, options: &ReadOptions) -> Result<Chunk, FileError> {
    let Opened::Bars(mut bars) = file::open(path, options)? else { panic!("not a file of bars") };
    let mut all = Chunk::default();
    // A small chunk makes every test cross a boundary.
    while let Some(chunk) = bars.chunk(2)? {
        all.rows.extend(chunk.rows);
        all.series.extend(chunk.series);
        all.rejected.extend(chunk.rejected);
        all.read += chunk.read;
        all.duplicates += chunk.duplicates;
    }
    Ok(all)
}

/// Rejected rows as `line field reason`.
pub fn told(rejected: &[Rejected]) -> Vec<String> {
    rejected.iter().map(|row| format!("{} {}: {}", row.line, row.field, row.reason)).collect()
}

pub async fn import(tape: &Tape, files: &[PathBuf]) -> ImportReport {
    import::run(tape, &ImportOptions::default(), files).await.whole().unwrap()
}

/// Everything that a filter of MARKET holds now.
pub async fn stored(tape: &Tape, filter: &str) -> Vec<Recorded> {
    let Some(last) = tape.last(MARKET, filter).await.unwrap() else { return Vec::new() };
    let mut reader = tape.read(MARKET, &[filter.to_owned()], 0).await.unwrap();
    let mut all = Vec::new();
    loop {
        for delivery in reader.batch(4_096).await.unwrap() {
            let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
            let done = recorded.sequence >= last.sequence;
            all.push(recorded);
            if done {
                return all;
            }
        }
    }
}
