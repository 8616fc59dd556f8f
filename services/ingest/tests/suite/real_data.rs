//! The real data: 163,294 hourly bars and their corporate actions.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use domain::calendar::Calendar;
use event_log::Tape;
use ingest::file::ReadOptions;
use ingest::import::{self, ImportOptions};
use ingest::quality::Rules;
use ingest::source::{Range, RecordedSource, Source as _};
use ingest::standards::Standards;

use crate::support::{actions_file, bar_files, memory, stored};

/// How many findings of each rule a source has made.
async fn by_rule(tape: &Tape, source: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for recorded in stored(tape, "market.quality.>").await {
        if let Some(Body::QualityFinding(finding)) = recorded.event.body
            && recorded.event.source == source
        {
            *found.entry(finding.rule).or_default() += 1;
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_real_bars_go_in_once() {
    let tape = memory();
    let mut files = bar_files();
    files.push(actions_file());
    let standards = Standards { rules: Some(Rules::default()), ..Standards::default() };
    let options = ImportOptions { standards, ..ImportOptions::default() };
    let report = import::run(&tape, &options, &files).await.whole().unwrap();
    assert_eq!(report.rejected, []);
    let actions = stored(&tape, "market.action.>").await.len() as u64;
    assert_eq!(report.appended, 163_294 + actions);
    assert_eq!((report.read, report.duplicates, report.revisions), (163_294 + actions, 0, 0));
    // The six splits are none, though their file comes last: their bars are taken in after them. What is left are trades
    // after early closes, halts (9/11's first anniversary, an outage of NYSE and one of NASDAQ), an open at twice the price
    // (IBM, 2002-12-23), and days such as the flash crash of 2010 or the first one after 9/11.
    let found = by_rule(&tape, "import").await;
    let expected = [("after_early_close", 158), ("missing_bar", 5), ("outlier", 12), ("split_shaped", 1)];
    assert_eq!(found, BTreeMap::from(expected.map(|(rule, count)| (rule.to_owned(), count))));
    assert_eq!(report.findings, found.values().sum::<u64>());

    // A rehearsal of the same files finds the same, once.
    for findings in [report.findings, 0] {
        let played = import::examine(&tape, "rehearsal", &options, &files, Range::default()).await.unwrap();
        assert_eq!((played.findings, played.appended, played.read), (findings, 0, report.read));
    }
    assert_eq!(by_rule(&tape, "rehearsal").await, found);

    let before = tape.state("MARKET").await.unwrap();
    let again = import::run(&tape, &options, &files).await.whole().unwrap();
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
