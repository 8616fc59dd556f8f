//! Two imports at once, over a tape that lets each come in the other's way.

use std::path::PathBuf;

use event_log::Tape;
use ingest::import::{self, ImportOptions, ImportReport};

use crate::support::{memory, stored, write};

pub async fn side_by_side(
    one: &Tape,
    two: &Tape,
    left: Vec<PathBuf>,
    right: Vec<PathBuf>,
) -> (ImportReport, ImportReport) {
    let start = |tape: &Tape, files: Vec<PathBuf>| {
        let tape = tape.clone();
        tokio::spawn(async move { import::run(&tape, &ImportOptions::default(), &files).await.unwrap() })
    };
    let (left, right) = (start(one, left), start(two, right));
    (left.await.unwrap(), right.await.unwrap())
}

/// Minute bars of seven days, enough for some batches.
pub fn minutes(close: &str) -> String {
    let mut text = "symbol,timeframe,start_utc,open,high,low,close,volume\n".to_owned();
    for day in [2, 3, 6, 7, 8, 9, 10] {
        for minute in 0..390 {
            let (hour, minute) = (14 + (30 + minute) / 60, (30 + minute) % 60);
            for symbol in ["X", "Y"] {
                let start = format!("2020-01-{day:02}T{hour}:{minute:02}:00Z");
                text.push_str(&format!("{symbol},1m,{start},10,20,5,{close},100\n"));
            }
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_of_one_file_store_it_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "x.csv", minutes("11"));
    for _ in 0..5 {
        let tape = memory();
        let (left, right) = side_by_side(&tape, &tape, vec![file.clone()], vec![file.clone()]).await;
        assert_eq!(left.appended + right.appended, 5_460);
        assert_eq!(left.duplicates + right.duplicates, 5_460);
        assert_eq!(left.revisions + right.revisions, 0);
        assert_eq!(stored(&tape, "market.>").await.len(), 5_460);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_that_disagree_leave_one_bar_and_one_revision_of_each() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (write(&dir, "1.csv", minutes("11")), write(&dir, "2.csv", minutes("12")));
    let tape = memory();
    let (left, right) = side_by_side(&tape, &tape, vec![one], vec![two]).await;
    assert_eq!(left.appended + right.appended, 5_460);
    assert_eq!(left.revisions + right.revisions, 5_460);
    let events = stored(&tape, "market.>").await;
    let ids: std::collections::BTreeSet<_> = events.iter().map(|recorded| &recorded.event.id).collect();
    assert_eq!((events.len(), ids.len()), (10_920, 10_920));
}
