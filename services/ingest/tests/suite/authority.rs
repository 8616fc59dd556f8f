//! Whose bars a series' are: two sources on one tape, whose bars stand, what is compared, what is refused.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{QualityFinding, Severity};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use domain::money::{E9, Price, Volume};
use event_log::Tape;
use ingest::authority::{Authorities, Authority};
use ingest::file::Series;
use ingest::import::{self, Backfill, ImportOptions, ImportReport, Quote};
use ingest::quality::Rules;
use ingest::standards::Standards;

use crate::support::{memory, stored, told, write};

const HOUR: i64 = 3_600_000_000_000;
const HEADER: &str = "symbol,timeframe,start_utc,open,high,low,close,volume\n";

/// The hours of a session, on the open or on the clock, at a price in cents.
fn hours(date: &str, cents: i64) -> Vec<Quote> {
    let session = Calendar::xnys().session(date.parse().unwrap()).unwrap().unwrap();
    let price = Price(cents * E9 / 100);
    let hour = |hour: i64| Quote {
        start_ns: session.open_ns + hour * HOUR,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Volume(1_000),
    };
    (0..7).map(hour).collect()
}

fn standards(rules: Vec<Authority>) -> Standards {
    Standards { authorities: Authorities::new(rules), rules: Some(Rules::default()) }
}

fn authority(source: &str) -> Authority {
    Authority { source: source.to_owned(), ..Authority::default() }
}

async fn open(tape: &Tape, source: &str, standards: &Standards) -> Backfill {
    let series = Series { symbol: "X".into(), timeframe: Timeframe::H1 };
    Backfill::open(tape, source, series, Market::Xnys, standards).await.unwrap()
}

async fn fill(tape: &Tape, source: &str, standards: &Standards, quotes: &[Quote]) -> ImportReport {
    let mut filling = open(tape, source, standards).await;
    filling.bars(quotes).await.unwrap();
    filling.finish().await.unwrap();
    filling.into_report()
}

async fn findings(tape: &Tape) -> Vec<QualityFinding> {
    let finding = |body| match body {
        Body::QualityFinding(finding) => finding,
        other => panic!("{other:?}"),
    };
    let events = stored(tape, "market.quality.>").await.into_iter();
    events.map(|recorded| finding(recorded.event.body.unwrap())).collect()
}

/// Number of bars and revisions on the tape by source.
async fn told_by(tape: &Tape) -> BTreeMap<(String, &'static str), usize> {
    let mut counts = BTreeMap::new();
    for (kind, filter) in [("bar", "market.bar.>"), ("revision", "market.revision.>")] {
        for recorded in stored(tape, filter).await {
            *counts.entry((recorded.event.source, kind)).or_default() += 1;
        }
    }
    counts
}

fn counts(expected: &[(&str, &'static str, usize)]) -> BTreeMap<(String, &'static str), usize> {
    expected.iter().map(|(source, kind, count)| (((*source).to_owned(), *kind), *count)).collect()
}

#[tokio::test]
async fn where_nothing_is_stated_who_came_first_is_compared_with_and_never_revised() {
    let (tape, standards) = (memory(), standards(Vec::new()));
    fill(&tape, "first", &standards, &hours("2025-01-02", 10_000)).await;
    // Six hours within the threshold, one beyond it.
    let mut other = hours("2025-01-02", 10_040);
    other[3].high = Price(101 * E9);
    for findings in [1, 0] {
        let report = fill(&tape, "second", &standards, &other).await;
        assert_eq!((report.read, report.appended, report.revisions), (7, 0, 0));
        assert_eq!((report.compared, report.differing, report.withheld), (7, 1, 0));
        assert_eq!(report.findings, findings, "once");
    }
    assert_eq!(told_by(&tape).await, counts(&[("first", "bar", 7)]));
    let found = findings(&tape).await;
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((finding.rule.as_str(), finding.severity()), ("price_difference", Severity::Warning));
    assert_eq!((finding.found.as_str(), finding.expected.as_str()), ("101", "100"));
    assert_eq!((finding.authority.as_str(), finding.timeframe.as_str()), ("first", "1h"));
    assert_eq!(finding.detail, "high 101 by second, 100 by first: 1.000 % apart");
    // What nobody told before is its own.
    let report = fill(&tape, "second", &standards, &hours("2025-01-03", 10_000)).await;
    assert_eq!(report.appended, 7);
    // The first one may still correct itself.
    let report = fill(&tape, "first", &standards, &hours("2025-01-02", 10_010)).await;
    assert_eq!((report.revisions, report.findings), (7, 0));
}

#[tokio::test]
async fn a_stated_authority_takes_the_place_of_others_and_is_asked_for_their_sessions() {
    let tape = memory();
    fill(&tape, "second", &standards(Vec::new()), &hours("2025-01-02", 10_000)).await;
    let stated = standards(vec![
        Authority { to: Some("2025-01-02".parse().unwrap()), ..authority("first") },
        authority("second"),
    ]);
    let calendar = Calendar::xnys();
    let date = |text: &str| calendar.start_of(text.parse().unwrap());
    let (from_ns, to_ns) = (date("2025-01-02"), date("2025-01-08"));
    let filling = open(&tape, "first", &stated).await;
    assert_eq!(filling.spans(from_ns, to_ns).unwrap()[0].0, from_ns, "what stands is not its own");
    assert_eq!(filling.other_authority(from_ns), None);
    assert_eq!(filling.other_authority(to_ns), Some("second"));
    let report = fill(&tape, "first", &stated, &hours("2025-01-02", 10_100)).await;
    assert_eq!((report.revisions, report.compared), (7, 0));
    let report = fill(&tape, "second", &stated, &hours("2025-01-02", 10_000)).await;
    assert_eq!((report.revisions, report.compared, report.differing), (0, 7, 7));
    assert_eq!(told_by(&tape).await, counts(&[("first", "revision", 7), ("second", "bar", 7)]));
    // Where the authority has nothing, nobody else's bars stand.
    let report = fill(&tape, "first", &stated, &hours("2025-01-03", 10_000)).await;
    assert_eq!((report.appended, report.compared, report.withheld), (0, 0, 7));
    assert_eq!(stored(&tape, "market.bar.>").await.len(), 7);
}

#[tokio::test]
async fn a_file_is_a_persons_word_unless_an_authority_is_stated() {
    let (tape, dir) = (memory(), tempfile::tempdir().unwrap());
    fill(&tape, "vendor", &standards(Vec::new()), &hours("2025-01-02", 1_000)).await;
    let text = format!("{HEADER}X,1h,2025-01-02T14:30:00Z,11,11,11,11,5\n");
    let file = write(&dir, "x.csv", text);
    let import = async |standards: Standards, file: &std::path::PathBuf| {
        let options = ImportOptions { standards, ..ImportOptions::default() };
        import::run(&tape, &options, std::slice::from_ref(file)).await.whole().unwrap()
    };
    let report = import(standards(vec![authority("vendor")]), &file).await;
    assert_eq!((report.revisions, report.compared, report.differing), (0, 1, 1));
    let report = import(standards(Vec::new()), &file).await;
    assert_eq!((report.revisions, report.compared), (1, 0));
    // The vendor does not take it back.
    let report = fill(&tape, "vendor", &standards(Vec::new()), &hours("2025-01-02", 1_000)[..1]).await;
    assert_eq!((report.revisions, report.compared, report.differing), (0, 1, 1));
}

#[tokio::test]
async fn rows_that_lie_across_the_tapes_bars_are_refused_one_by_one() {
    let (tape, dir) = (memory(), tempfile::tempdir().unwrap());
    fill(&tape, "vendor", &standards(Vec::new()), &hours("2025-01-02", 1_000)).await;
    let rows = "X,1h,2025-01-02T15:00:00Z,10,10,10,10,5\nX,1h,2025-01-03T15:00:00Z,10,10,10,10,5\n";
    let file = write(&dir, "x.csv", format!("{HEADER}{rows}"));
    let options = ImportOptions { standards: standards(Vec::new()), ..ImportOptions::default() };
    let report = import::run(&tape, &options, &[file]).await.whole().unwrap();
    assert_eq!((report.read, report.appended), (2, 1));
    let expected = "2 time: lies across the 1h bar of vendor that closes at 2025-01-02T15:30Z: bars of one series \
                    start at the same minutes";
    assert_eq!(told(&report.rejected), [expected]);
}
