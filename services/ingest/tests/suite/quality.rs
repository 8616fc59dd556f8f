//! What looks wrong with history: each rule makes its finding, once, before the bar that it is about.

use contracts::v1::event::Body;
use contracts::v1::{ActionKind, Severity};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use domain::money::{E9, Price, Volume};
use event_log::Tape;
use ingest::file::{Action, ReadOptions, Series};
use ingest::import::{self, Backfill, ImportOptions, Quote};
use ingest::quality::Rules;
use ingest::source::Range;
use ingest::standards::Standards;

use crate::support::{memory, stored, write};

/// Days from 2025-01-02 on: a price that moves by a cent.
fn days(count: usize) -> Vec<Quote> {
    let calendar = Calendar::xnys();
    let sessions = calendar.sessions("2025-01-02".parse().unwrap(), "2025-12-31".parse().unwrap()).unwrap();
    let day = |(number, session): (usize, &domain::calendar::Session)| {
        let price = Price(100 * E9 + i64::try_from(number % 2).unwrap() * E9 / 100);
        Quote {
            start_ns: session.open_ns,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume(1_000),
        }
    };
    sessions.iter().enumerate().map(day).take(count).collect()
}

fn at(quote: &mut Quote, dollars: i64) {
    let price = Price(dollars * E9);
    (quote.open, quote.high, quote.low, quote.close) = (price, price, price, price);
}

async fn open(tape: &Tape, rules: Rules) -> Backfill {
    let series = Series { symbol: "X".into(), timeframe: Timeframe::D1 };
    let standards = Standards { rules: Some(rules), ..Standards::default() };
    Backfill::open(tape, "vendor", series, Market::Xnys, &standards).await.unwrap()
}

/// Brings days onto a tape, told up to the end of the year, and answers the findings: rule, severity, date, found.
async fn check(
    quotes: &[Quote],
    actions: Vec<Action>,
    rules: Rules,
) -> Vec<(String, Severity, String, String)> {
    let tape = memory();
    let end_ns = Calendar::xnys().start_of("2026-01-01".parse().unwrap());
    for again in [false, true] {
        let before = stored(&tape, "market.>").await.len();
        let mut filling = open(&tape, rules.clone()).await;
        filling.actions(actions.clone()).await.unwrap();
        filling.bars(quotes).await.unwrap();
        filling.told_up_to(end_ns, end_ns).unwrap();
        filling.finish().await.unwrap();
        assert!(!again || before == stored(&tape, "market.>").await.len(), "a second time says nothing new");
    }
    let mut found = Vec::new();
    for recorded in stored(&tape, "market.>").await {
        if let Some(Body::QualityFinding(finding)) = recorded.event.body {
            assert_eq!((finding.symbol.as_str(), finding.timeframe.as_str()), ("X", "1d"));
            let start_ns = finding.bar_start.as_ref().and_then(contracts::from_timestamp).unwrap();
            let date = Calendar::xnys().date_of(start_ns);
            if finding.rule == "inconsistent_bar" {
                let session = Calendar::xnys().session(date).unwrap().unwrap();
                let time = recorded.event.event_time.as_ref().and_then(contracts::from_timestamp);
                assert_eq!(time, Some(session.close_ns), "known at the close of its day");
            }
            let date = date.to_string();
            found.push((finding.rule.clone(), finding.severity(), date, finding.found));
        }
    }
    found
}

fn one(rule: &str, severity: Severity, date: &str, found: &str) -> Vec<(String, Severity, String, String)> {
    vec![(rule.to_owned(), severity, date.to_owned(), found.to_owned())]
}

/// Nothing is stale.
fn rules() -> Rules {
    Rules { stale_sessions: 0, ..Rules::default() }
}

#[tokio::test]
async fn good_history_has_no_findings() {
    assert_eq!(check(&days(300), Vec::new(), Rules::default()).await, []);
}

#[tokio::test]
async fn a_bar_that_looks_wrong_is_found() {
    let mut empty = days(60);
    empty[50].volume = Volume::ZERO;
    let expected = one("zero_volume", Severity::Info, "2025-03-18", "");
    assert_eq!(check(&empty, Vec::new(), rules()).await, expected);

    let mut negative = days(60);
    negative[50].volume = Volume(-1_000);
    let found = check(&negative, Vec::new(), Rules { hole_minutes: 0, ..rules() }).await;
    assert_eq!(found, one("inconsistent_bar", Severity::Error, "2025-03-18", "-1"));

    let mut inverted = days(60);
    inverted[50].high = Price(E9);
    let found = check(&inverted, Vec::new(), Rules { hole_minutes: 0, ..rules() }).await;
    assert_eq!(found, one("inconsistent_bar", Severity::Error, "2025-03-18", "1"));

    let mut far = days(60);
    at(&mut far[59], 110);
    let found = check(&far, Vec::new(), rules()).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].0.as_str(), found[0].1, found[0].2.as_str()),
        ("outlier", Severity::Warning, "2025-03-31")
    );
    let quiet = Rules { outlier_deviations: 0.0, ..rules() };
    assert_eq!(check(&far, Vec::new(), quiet).await, []);
    let mut off = rules();
    off.severities.insert("outlier".into(), None);
    assert_eq!(check(&far, Vec::new(), off).await, []);
}

#[tokio::test]
async fn a_jump_like_a_split_is_found_unless_the_tape_has_the_split() {
    let mut jumped = days(60);
    jumped[50..].iter_mut().for_each(|quote| at(quote, 25));
    let found = check(&jumped, Vec::new(), rules()).await;
    assert_eq!(found, one("split_shaped", Severity::Warning, "2025-03-18", "4.0004"));
    let split = Action {
        symbol: "X".into(),
        ex_date: "2025-03-18".parse().unwrap(),
        kind: ActionKind::Split,
        value_e9: 4 * E9,
        line: 0,
    };
    assert_eq!(check(&jumped, vec![split.clone()], rules()).await, []);
    // One that is stated for another day explains no jump, and shows none.
    let later = Action { ex_date: "2025-03-19".parse().unwrap(), ..split.clone() };
    let expected = [
        one("split_shaped", Severity::Warning, "2025-03-18", "4.0004"),
        one("split_without_jump", Severity::Warning, "2025-03-19", "1.0000"),
    ];
    assert_eq!(check(&jumped, vec![later], rules()).await, expected.concat());
    let unseen = check(&days(60), vec![split], rules()).await;
    assert_eq!(unseen, one("split_without_jump", Severity::Warning, "2025-03-18", "1.0001"));
}

#[tokio::test]
async fn sessions_without_a_bar_and_a_series_that_ends_are_found() {
    let mut hole = days(60);
    hole.drain(50..52);
    let found = check(&hole, Vec::new(), rules()).await;
    assert_eq!(found, one("missing_bar", Severity::Warning, "2025-03-20", "780"));
    // 250 sessions in 2025.
    let found = check(&days(245), Vec::new(), Rules::default()).await;
    assert_eq!(found, one("stale_symbol", Severity::Warning, "2025-12-23", "5"));
    assert_eq!(check(&days(246), Vec::new(), Rules::default()).await, []);
}

#[tokio::test]
async fn of_files_that_are_played_the_findings_of_an_import_are_recorded_and_no_bar() {
    let dir = tempfile::tempdir().unwrap();
    let text = "symbol,timeframe,start_utc,open,high,low,close,volume\n\
                X,1h,2020-01-02T15:00:00Z,10,11,9,10,100\n\
                X,1h,2020-01-02T16:00:00Z,10,11,9,10,0\n\
                X,1h,2020-01-02T17:00:00Z,-10,11,9,10,100\n\
                X,1h,2020-01-02T18:00:00Z,10,11,9,10,100\n\
                X,1h,2020-01-03T15:00:00Z,10,11,9,10,0\n";
    let files = [write(&dir, "x.csv", text)];
    let standards = Standards { rules: Some(Rules::default()), ..Standards::default() };
    let options = ImportOptions { standards, ..ImportOptions::default() };
    let (imported, played) = (memory(), memory());
    let report = import::run(&imported, &options, &files).await.whole().unwrap();
    assert_eq!((report.findings, report.rejected.len()), (4, 1));
    let first_day = Range { to: Some("2020-01-02".parse().unwrap()), ..Range::default() };
    for (range, findings) in [(first_day, 2), (Range::default(), 2), (Range::default(), 0)] {
        let report = import::examine(&played, "rehearsal", &options, &files, range).await.unwrap();
        assert_eq!((report.findings, report.appended, report.rejected.len()), (findings, 0, 1));
    }
    // What closes in the future was not played: the two bars behind 17:00.
    let read = ReadOptions { latest_ns: Some(1_577_984_400_000_000_000), ..ReadOptions::default() };
    let bounded = ImportOptions { read, ..options };
    let report = import::examine(&memory(), "rehearsal", &bounded, &files, Range::default()).await.unwrap();
    assert_eq!(report.rejected.len(), 3, "{report:?}");
    let found = async |tape: &Tape| -> Vec<_> {
        let events = stored(tape, "market.quality.X").await.into_iter().map(|recorded| recorded.event);
        events.map(|event| (event.event_time, event.body)).collect()
    };
    assert_eq!(found(&played).await, found(&imported).await);
    assert_eq!(stored(&played, "market.>").await.len(), 4);
}

#[tokio::test]
async fn other_values_of_the_same_source_are_found_beyond_the_threshold_and_stand_before_their_bar() {
    let tape = memory();
    for close in [100, 101, 101] {
        let mut quotes = days(2);
        at(&mut quotes[1], close);
        let mut filling = open(&tape, rules()).await;
        filling.bars(&quotes).await.unwrap();
        filling.finish().await.unwrap();
    }
    let events = stored(&tape, "market.>").await;
    let subjects: Vec<&str> = events.iter().map(|recorded| recorded.subject.as_str()).collect();
    let expected = ["market.bar.1d.X", "market.bar.1d.X", "market.quality.X", "market.revision.1d.X"];
    assert_eq!(subjects, expected);
    let Some(Body::QualityFinding(finding)) = &events[2].event.body else { panic!("no finding") };
    assert_eq!(
        (finding.rule.as_str(), finding.detail.as_str()),
        ("changed_values", "close 101 after 100: 1.000 % apart")
    );
}

#[tokio::test]
async fn a_revised_price_has_a_threshold_of_its_own() {
    let tape = memory();
    let rules = Rules { changed_values: 0.02, price_difference: 0.001, ..rules() };
    for close in [100, 101] {
        let mut quotes = days(2);
        at(&mut quotes[1], close);
        let mut filling = open(&tape, rules.clone()).await;
        filling.bars(&quotes).await.unwrap();
        filling.finish().await.unwrap();
    }
    let events = stored(&tape, "market.>").await;
    let subjects: Vec<&str> = events.iter().map(|recorded| recorded.subject.as_str()).collect();
    assert_eq!(subjects, ["market.bar.1d.X", "market.bar.1d.X", "market.revision.1d.X"]);
}
