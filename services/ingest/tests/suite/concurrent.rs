//! Two imports at once, over a tape that lets each come in the other's way.

use std::path::PathBuf;

use contracts::v1::event::Body;
use contracts::v1::{Bar, Event};
use contracts::{Subject, bar_id, to_timestamp};
use event_log::{Append, Expect, Tape};
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
        tokio::spawn(
            async move { import::run(&tape, &ImportOptions::default(), &files).await.whole().unwrap() },
        )
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

/// A batch is sent before the one in front of it is stored, and somebody else's event may come between them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_beside_another_writer_stores_every_bar_once_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(&dir, "x.csv", minutes("11"));
    let tape = memory();
    let importing = {
        let tape = tape.clone();
        tokio::spawn(
            async move { import::run(&tape, &ImportOptions::default(), &[file]).await.whole().unwrap() },
        )
    };
    let mut others = 0_i64;
    while !importing.is_finished() {
        let close_ns = 1_577_979_000_000_000_000 + others * 60_000_000_000;
        let bar = Bar { symbol: "Z".to_owned(), timeframe: "1m".to_owned(), ..Bar::default() };
        let event = Event {
            id: bar_id("other", "Z", "1m", close_ns),
            event_time: Some(to_timestamp(close_ns)),
            body: Some(Body::Bar(bar)),
            ..Event::default()
        };
        let subject = Subject::bar("1m", "Z");
        tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
        others += 1;
        tokio::task::yield_now().await;
    }
    let report = importing.await.unwrap();
    assert_eq!((report.appended, report.duplicates, report.revisions), (5_460, 0, 0));
    for symbol in ["X", "Y"] {
        let bars = stored(&tape, &format!("market.bar.1m.{symbol}")).await;
        let closes: Vec<_> = bars.iter().map(|recorded| recorded.event.event_time).collect();
        assert_eq!(closes.len(), 2_730);
        assert!(closes.windows(2).all(|pair| pair[0].map(|at| at.seconds) < pair[1].map(|at| at.seconds)));
    }
    assert!(others > 5, "{others} events came between");
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
