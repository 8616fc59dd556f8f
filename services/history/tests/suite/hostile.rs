//! Hostile bytes: no reader panics, whatever a file holds, and what it says of rows names line and field.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use event_log::{MemoryLog, Tape};
use history::Selection;
use history::file::{FileError, ReadOptions};
use history::segments;
use proptest::prelude::*;

use crate::support::{bar, bar_event, put, write};

const TEXT: &str = "symbol,timeframe,start_utc,open,high,low,close,volume\n\
    X,1h,2020-01-02T15:00:00Z,10,11,9,10.5,100\nX,1h,2020-01-02T16:00:00Z,10,11,9,10.5,100\n\
    Y,1h,2020-01-02T15:00:00Z,10.25,11,9,10.5,100\nX,1h,2020-01-02T17:00:00Z,10,11,9,10.5,100\n\
    X,1h,2020-01-02T18:00:00Z,10,11,9,10.5,0.125\n";
const ACTIONS: &str = "symbol,ex_date,kind,value\nX,2020-01-02,split,2\nX,2020-01-03,dividend,0.5\n";

static PARQUET: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let text = write(&dir, "bars.csv", TEXT);
    let loaded = read(&[text]).unwrap();
    let path = dir.path().join("bars.parquet");
    history::file::save(&path, &loaded.data.series).unwrap();
    std::fs::read(path).unwrap()
});

static GZIP: LazyLock<Vec<u8>> = LazyLock::new(|| {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(TEXT.as_bytes()).unwrap();
    packed.finish().unwrap()
});

/// Name and bytes of a sound segment.
static SEGMENT: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tape: Tape = Arc::new(MemoryLog::new());
        put(&tape, (0..20).map(|hour| bar_event("import", "X", &bar(hour, 1))).collect()).await;
        put(&tape, (0..9).map(|hour| bar_event("import", "Y", &bar(hour, 2))).collect()).await;
        let segments = segments::open(dir.path()).unwrap();
        segments.catch_up(&tape).await.unwrap();
        let path = segments.list().unwrap()[0].file.path.clone();
        (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap())
    })
});

fn read(files: &[PathBuf]) -> Result<history::Loaded, FileError> {
    history::file::load("test", files, &ReadOptions::default(), &Selection::default())
}

/// What must hold of a file of any bytes.
fn survives(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    match read(&[write(&dir, "X.any", bytes)]) {
        Ok(loaded) => {
            for row in &loaded.rejected {
                assert!(row.line > 0 && !row.field.is_empty() && !row.reason.is_empty(), "{row:?}");
            }
            for series in &loaded.data.series {
                assert!(series.close_ns.values().windows(2).all(|pair| pair[0] < pair[1]));
                for bar in crate::support::bars(series) {
                    assert!(bar.low.0 > 0 && bar.low <= bar.high && bar.volume.0 >= 0, "{bar:?}");
                }
            }
        }
        Err(error) => assert!(error.to_string().contains("X.any"), "{error}"),
    }
}

/// Cases of each property; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases.max(400), failure_persistence: None, ..default }
}

/// A change of some bytes of a sound file.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<prop::sample::Index>;
    let change = prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => index().prop_map(Change::Cut),
        1 => (index(), index()).prop_map(|(at, to)| Change::Repeat(at, to)),
        2 => (index(), proptest::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, more)| Change::Insert(at, more)),
    ];
    proptest::collection::vec(change, 1..6)
}

fn changed(sound: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        match change {
            Change::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Change::Repeat(from, to) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.splice(to..to, part);
            }
            Change::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
    bytes
}

/// Among them are pages that claim less than no values, for which the decoder would ask for more memory than there is:
/// the program would end.
#[test]
fn every_byte_of_parquet() {
    for at in 0..PARQUET.len() {
        for byte in [0x00, 0x01, 0x03, 0x7f, 0x80, 0xff] {
            let mut bytes = PARQUET.clone();
            bytes[at] = byte;
            survives(&bytes);
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        survives(&bytes);
    }

    #[test]
    fn any_bytes_behind_each_magic(kind in 0_usize..2, bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let magic: &[u8] = [&b"PAR1"[..], &[0x1f, 0x8b, 8, 0]][kind];
        let mut all = [magic, &bytes].concat();
        survives(&all);
        all.extend_from_slice(magic);
        survives(&all);
    }

    #[test]
    fn any_cells(rows in proptest::collection::vec(proptest::collection::vec("[0-9eE+.:TZ,;\"\u{e4}\\-\\PC]{0,14}", 0..9), 0..12)) {
        let rows: Vec<String> = rows.iter().map(|cells| cells.join(",")).collect();
        survives(format!("{TEXT}{}\n", rows.join("\n")).as_bytes());
        survives(format!("{ACTIONS}{}\n", rows.join("\n")).as_bytes());
    }

    #[test]
    fn changed_text(changes in changes()) {
        survives(&changed(TEXT.as_bytes(), &changes));
        survives(&changed(ACTIONS.as_bytes(), &changes));
    }

    #[test]
    fn changed_gzip(changes in changes()) {
        survives(&changed(&GZIP, &changes));
    }

    #[test]
    fn changed_parquet(changes in changes()) {
        survives(&changed(&PARQUET, &changes));
    }

    /// A segment is either what was written or damaged; a change is never taken for data.
    #[test]
    fn changed_segment(changes in changes()) {
        let (name, sound) = &*SEGMENT;
        let bytes = changed(sound, &changes);
        let dir = tempfile::tempdir().unwrap();
        write(&dir, name, &bytes);
        let segments = segments::open(dir.path()).unwrap();
        segments.verify().unwrap();
        match segments.load(&Selection::default()) {
            Ok(loaded) => {
                let whole = tempfile::tempdir().unwrap();
                write(&whole, name, sound);
                let expected = segments::open(whole.path()).unwrap().load(&Selection::default()).unwrap();
                prop_assert_eq!(loaded.hash, expected.hash);
            }
            Err(error) => prop_assert!(error.to_string().contains("damaged"), "{}", error),
        }
    }
}
