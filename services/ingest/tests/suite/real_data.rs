//! The real data: 163,294 hourly bars and their corporate actions.

use contracts::v1::event::Body;
use domain::calendar::Calendar;
use ingest::file::ReadOptions;
use ingest::source::{Range, RecordedSource, Source as _};

use crate::support::{actions_file, bar_files, import, memory, stored};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_real_bars_go_in_once() {
    let tape = memory();
    let mut files = bar_files();
    files.push(actions_file());
    let report = import(&tape, &files).await;
    assert_eq!(report.rejected, []);
    let actions = stored(&tape, "market.action.>").await.len() as u64;
    assert_eq!(report.appended, 163_294 + actions);
    assert_eq!((report.read, report.duplicates, report.revisions), (163_294 + actions, 0, 0));
    assert_eq!(report.findings, 158);

    let findings = stored(&tape, "market.quality.>").await;
    assert_eq!(findings.len(), 158);
    assert!(findings.iter().all(|finding| {
        matches!(&finding.event.body, Some(Body::QualityFinding(body)) if body.rule == "after_early_close")
    }));

    let before = tape.state("MARKET").await.unwrap();
    let again = import(&tape, &files).await;
    assert_eq!((again.appended, again.revisions, again.findings), (0, 0, 0));
    assert_eq!(again.duplicates, report.appended);
    assert_eq!(tape.state("MARKET").await.unwrap(), before);
}

#[test]
fn the_recorded_source_plays_every_bar_and_every_session() {
    let mut files = bar_files();
    files.push(actions_file());
    let loaded =
        RecordedSource::load("rehearsal", &files, &ReadOptions::default(), Range::default()).unwrap();
    assert_eq!((loaded.bars, loaded.rejected.len()), (163_294, 0));
    let mut source = loaded.source;
    let (mut bars, mut opened, mut closed, mut actions, mut last_ns) = (0, 0, 0, 0, i64::MIN);
    while let Some(instant) = source.next() {
        assert!(instant.ns > last_ns);
        last_ns = instant.ns;
        bars += instant.bars();
        for (_, event) in &instant.events {
            match &event.body {
                Some(Body::SessionChange(change)) if change.phase == 1 => opened += 1,
                Some(Body::SessionChange(_)) => closed += 1,
                Some(Body::CorporateAction(_)) => actions += 1,
                _ => {}
            }
        }
    }
    assert_eq!(bars, 163_294);
    let date = |year, month, day| chrono::NaiveDate::from_ymd_opt(year, month, day).unwrap();
    let sessions = Calendar::xnys().sessions(date(1998, 1, 2), date(2021, 3, 31)).unwrap().len();
    assert_eq!((opened, closed), (sessions, sessions));
    assert!(actions > 100, "{actions}");
}
