//! A vendor's pages on the tape: where to go on, what is stored, what is refused.

use chrono::NaiveDate;
use contracts::v1::event::Body;
use contracts::v1::{ActionKind, Origin, Severity};
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market, Session};
use domain::money::{Price, Volume};
use event_log::Tape;
use ingest::file::{Action, Series};
use ingest::import::{Backfill, ImportError, ImportReport, Quote};
use ingest::quality::{Rules, Unapplied};
use ingest::standards::Standards;
use ingest::status::status;

use crate::support::{import, memory, stored, told, write};

const HOUR: i64 = 3_600_000_000_000;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The hours of some dates, from the open on, at a price.
fn hours(dates: &[&str], price: i64) -> Vec<Quote> {
    let price = Price(price * domain::money::E9);
    let of_date = |text: &&str| {
        let session = Calendar::xnys().session(date(text)).unwrap().unwrap();
        (0..7).map(move |hour| Quote {
            start_ns: session.open_ns + hour * HOUR,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Volume(1_000),
        })
    };
    dates.iter().flat_map(of_date).collect()
}

async fn open(tape: &Tape) -> Backfill {
    let series = Series { symbol: "X".into(), timeframe: Timeframe::H1 };
    Backfill::open(tape, "vendor", series, Market::Xnys, &Standards::default()).await.unwrap()
}

async fn fill(tape: &Tape, pages: &[Vec<Quote>]) -> ImportReport {
    let mut filling = open(tape).await;
    for page in pages {
        filling.bars(page).await.unwrap();
    }
    filling.finish().await.unwrap();
    filling.into_report()
}

/// The date from which a vendor would be asked, for the first days of 2025.
async fn resume(tape: &Tape) -> String {
    let calendar = Calendar::xnys();
    let span = (calendar.start_of(date("2025-01-02")), calendar.start_of(date("2025-01-11")));
    let (from_ns, _) = open(tape).await.spans(span.0, span.1).unwrap()[0];
    assert_eq!(from_ns, calendar.start_of(calendar.date_of(from_ns)), "a date's beginning");
    calendar.date_of(from_ns).to_string()
}

#[tokio::test]
async fn pages_are_stored_once_under_the_vendors_name_and_warm_up_only() {
    let tape = memory();
    let pages = [hours(&["2025-01-02"], 10), hours(&["2025-01-03"], 11)];
    let report = fill(&tape, &pages).await;
    assert_eq!((report.read, report.appended, report.duplicates), (14, 14, 0));
    let report = fill(&tape, &pages).await;
    assert_eq!((report.read, report.appended, report.duplicates), (14, 0, 14));
    let report = fill(&tape, &[hours(&["2025-01-03"], 12)]).await;
    assert_eq!((report.appended, report.revisions), (0, 7));
    for recorded in stored(&tape, "market.>").await {
        assert_eq!(recorded.event.source, "vendor");
        let origin = match recorded.event.body.unwrap() {
            Body::Bar(bar) => bar.origin(),
            Body::BarRevision(revision) => revision.bar.unwrap().origin(),
            other => panic!("{other:?}"),
        };
        assert_eq!(origin, Origin::Backfill);
    }
}

#[tokio::test]
async fn an_action_that_is_not_applied_is_a_finding_once() {
    let tape = memory();
    let told = |words: &str| Unapplied { symbol: "X".into(), date: date("2025-01-03"), words: words.into() };
    let spin_off = told("spin_off of X on 2025-01-03: new_symbol Y");
    let renamed = told("name_change of X on 2025-01-03: new_symbol Z, old_symbol X");
    for (told, expected) in [(vec![spin_off.clone()], 1), (vec![spin_off.clone(), renamed, spin_off], 1)] {
        let mut filling = open(&tape).await;
        filling.unapplied(told).await.unwrap();
        filling.finish().await.unwrap();
        assert_eq!(filling.into_report().findings, expected, "each once, told again or not");
    }
    let words: Vec<String> = stored(&tape, "market.quality.X")
        .await
        .into_iter()
        .map(|recorded| match recorded.event.body.unwrap() {
            Body::QualityFinding(finding) => {
                assert_eq!(
                    (finding.rule.as_str(), finding.severity()),
                    ("action_not_applied", Severity::Warning)
                );
                finding.detail
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(words.len(), 2);
    assert!(words[0].starts_with("spin_off") && words[1].starts_with("name_change"), "{words:?}");
}

#[tokio::test]
async fn an_action_that_is_not_applied_is_of_its_date_in_the_tapes_calendar() {
    let (tape, market) = (memory(), Market::TwentyFourSeven);
    let series = Series { symbol: "X".into(), timeframe: Timeframe::H1 };
    // A Saturday, on which this market is open.
    let day = date("2025-01-04");
    let mut filling = Backfill::open(&tape, "vendor", series, market, &Standards::default()).await.unwrap();
    filling
        .unapplied(vec![Unapplied { symbol: "X".into(), date: day, words: "fork of X".into() }])
        .await
        .unwrap();
    filling.finish().await.unwrap();
    let found = stored(&tape, "market.quality.X").await.remove(0).event;
    let time_ns = found.event_time.as_ref().and_then(contracts::from_timestamp);
    assert_eq!(time_ns, Some(market.calendar().start_of(day)));
}

#[tokio::test]
async fn a_backfill_goes_on_at_the_first_session_without_a_bar() {
    let tape = memory();
    assert_eq!(resume(&tape).await, "2025-01-02");
    fill(&tape, &[hours(&["2025-01-02", "2025-01-03"], 10)]).await;
    assert_eq!(resume(&tape).await, "2025-01-03", "its bars may not all be there");
    // What comes later does not close the gap; 2025-01-09 had no session.
    fill(&tape, &[hours(&["2025-01-08", "2025-01-10"], 10)]).await;
    assert_eq!(resume(&tape).await, "2025-01-03");
    fill(&tape, &[hours(&["2025-01-06", "2025-01-07"], 10)]).await;
    assert_eq!(resume(&tape).await, "2025-01-10");
}

/// The dates of the spans for which a vendor would be asked, from the first of `dates` up to before the last, both
/// ends as the spans have them.
async fn spans(tape: &Tape, dates: (&str, &str)) -> Vec<(String, String)> {
    let calendar = Calendar::xnys();
    let span = (calendar.start_of(date(dates.0)), calendar.start_of(date(dates.1)));
    let spans = open(tape).await.spans(span.0, span.1).unwrap();
    let day = |ns: i64| calendar.date_of(ns).to_string();
    spans.into_iter().map(|(from_ns, to_ns)| (day(from_ns), day(to_ns))).collect()
}

fn pairs(spans: &[(&str, &str)]) -> Vec<(String, String)> {
    spans.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

#[tokio::test]
async fn a_session_whose_bars_end_before_its_close_is_asked_for_again() {
    let tape = memory();
    // 2024-12-24 closes at 13:00: four hours are all of it.
    fill(&tape, &[hours(&["2024-12-23"], 10), hours(&["2024-12-24"], 10)[..4].to_vec()]).await;
    fill(&tape, &[hours(&["2024-12-26"], 10)[..4].to_vec()]).await;
    fill(&tape, &[hours(&["2024-12-27", "2024-12-30"], 10)]).await;
    let asked = spans(&tape, ("2024-12-23", "2024-12-31")).await;
    assert_eq!(asked, pairs(&[("2024-12-26", "2024-12-27"), ("2024-12-30", "2024-12-31")]));
    let asked = spans(&tape, ("2024-12-26", "2024-12-28")).await;
    assert_eq!(asked, pairs(&[("2024-12-26", "2024-12-28")]), "the last one is asked for anyway");
    let found = status(&tape, Calendar::xnys()).await.unwrap();
    let [gap] = &found[0].gaps[..] else { panic!("{found:?}") };
    assert_eq!((gap.from, gap.to, gap.sessions), (date("2024-12-26"), date("2024-12-26"), 1));
    fill(&tape, &[hours(&["2024-12-26"], 10)]).await;
    let asked = spans(&tape, ("2024-12-23", "2024-12-31")).await;
    assert_eq!(asked, pairs(&[("2024-12-30", "2024-12-31")]));
    assert_eq!(status(&tape, Calendar::xnys()).await.unwrap()[0].gaps, []);
}

#[tokio::test]
async fn spans_of_one_backfill_are_no_neighbours_and_the_series_is_read_once() {
    for (apart, expected) in [(false, 1), (true, 0)] {
        let tape = memory();
        let series = Series { symbol: "X".into(), timeframe: Timeframe::H1 };
        let standards = Standards { rules: Some(Rules::default()), ..Standards::default() };
        let mut filling = Backfill::open(&tape, "vendor", series, Market::Xnys, &standards).await.unwrap();
        filling.bars(&hours(&["2025-01-02", "2025-01-03"], 10)).await.unwrap();
        if apart {
            filling.skip().await.unwrap();
            assert_eq!((filling.report().appended, filling.held()), (14, 14), "a span is stored whole");
        }
        // Sessions lie between, of which nothing was asked.
        filling.bars(&hours(&["2025-01-10"], 10)).await.unwrap();
        filling.finish().await.unwrap();
        let report = filling.into_report();
        assert_eq!((report.read, report.appended, report.findings), (21, 21, expected));
    }
}

#[tokio::test]
async fn what_is_there_is_not_asked_for_again_because_nothing_came_before_it() {
    let tape = memory();
    assert_eq!(spans(&tape, ("2025-01-04", "2025-01-06")).await, pairs(&[("2025-01-04", "2025-01-06")]));
    // Listed on 2025-01-06; nothing was traded on 2025-01-08, and 2025-01-09 had no session.
    fill(&tape, &[hours(&["2025-01-06", "2025-01-07", "2025-01-10", "2025-01-13", "2025-01-14"], 10)]).await;
    let asked = spans(&tape, ("2025-01-01", "2025-01-15")).await;
    let expected = [("2025-01-01", "2025-01-06"), ("2025-01-07", "2025-01-10"), ("2025-01-14", "2025-01-15")];
    assert_eq!(asked, pairs(&expected));
}

#[tokio::test]
async fn a_vendor_is_asked_for_a_dozen_spans_at_most() {
    let tape = memory();
    let (first, last) = (date("2025-02-03"), date("2025-03-31"));
    let sessions = Calendar::xnys().sessions(first, last).unwrap();
    assert_eq!(sessions.len(), 40);
    // Every other session lacks its last hours.
    let page = |(at, session): (usize, &Session)| {
        let mut page = hours(&[session.date.to_string().as_str()], 10);
        page.truncate(if at % 2 == 0 { 3 } else { 7 });
        page
    };
    let pages: Vec<Vec<Quote>> = sessions.iter().enumerate().map(page).collect();
    fill(&tape, &pages).await;
    let asked = spans(&tape, ("2025-02-03", "2025-04-01")).await;
    assert_eq!(asked.len(), 12, "{asked:?}");
    assert_eq!(asked[0].0, "2025-02-03");
    // The last session but one and the last one are one span.
    assert_eq!(asked[11], ("2025-03-28".to_owned(), "2025-04-01".to_owned()));
    assert_eq!(asked[10], ("2025-03-26".to_owned(), "2025-03-27".to_owned()));
}

#[tokio::test]
async fn rows_that_are_no_bars_are_listed() {
    let tape = memory();
    let mut page = hours(&["2025-01-02"], 10);
    page[1].high = Price(1);
    page[2].close = Price(-5);
    page[4].start_ns -= 30 * 60_000_000_000;
    page.push(page[6]);
    let mut holiday = page[6];
    holiday.start_ns = Calendar::xnys().start_of(date("2025-01-09")) + 10 * HOUR;
    page.push(holiday);
    let report = fill(&tape, &[page]).await;
    assert_eq!((report.read, report.appended, report.duplicates), (9, 4, 1));
    let told = told(&report.rejected);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("2 high: below the low"), "{told:?}");
    assert!(told[1].starts_with("3 close: negative"), "{told:?}");
    assert!(told[2].starts_with("5 time: overlaps"), "{told:?}");
    assert!(told[3].starts_with("9 time: "), "{told:?}");
    assert_eq!(report.rejected[0].file.as_deref(), Some("X"));
}

#[tokio::test]
async fn bars_that_lie_across_those_on_the_tape_are_refused() {
    let tape = memory();
    let dir = tempfile::tempdir().unwrap();
    let text = "symbol,timeframe,start_utc,open,high,low,close,volume\nX,1h,2025-01-02T15:00:00Z,1,1,1,1,5\n";
    import(&tape, &[write(&dir, "x.csv", text)]).await;
    let mut filling = open(&tape).await;
    let error = filling.bars(&hours(&["2025-01-02"], 10)).await.unwrap_err();
    assert!(matches!(&error, ImportError::Across { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("closes at 2025-01-02T16:00Z") && said.contains("closes at 2025-01-02T15:30Z"),
        "{said}"
    );
    filling.finish().await.unwrap();
    assert_eq!(stored(&tape, "market.bar.>").await.len(), 1);
}

#[tokio::test]
async fn actions_are_stored_once_and_cannot_be_other_ones() {
    let tape = memory();
    let action = |value_e9| Action {
        symbol: "X".into(),
        ex_date: date("2025-01-06"),
        kind: ActionKind::Split,
        value_e9,
        line: 0,
    };
    for (value, expected) in [(4, (1, 0, 0)), (4, (0, 1, 0)), (5, (0, 0, 1))] {
        let mut filling = open(&tape).await;
        filling.actions(vec![action(value * domain::money::E9)]).await.unwrap();
        filling.finish().await.unwrap();
        let report = filling.into_report();
        assert_eq!((report.appended, report.duplicates, report.rejected.len()), expected);
    }
    let events = stored(&tape, "market.action.>").await;
    let Some(Body::CorporateAction(stored)) = &events[0].event.body else { panic!("{events:?}") };
    assert_eq!((stored.origin(), events[0].event.source.as_str()), (Origin::Backfill, "vendor"));
}

#[tokio::test]
async fn the_status_tells_sources_apart_and_names_the_gaps() {
    let tape = memory();
    assert_eq!(status(&tape, Calendar::xnys()).await.unwrap(), []);
    fill(&tape, &[hours(&["2025-01-02", "2025-01-03", "2025-01-10"], 10)]).await;
    let dir = tempfile::tempdir().unwrap();
    let text = "symbol,timeframe,start_utc,open,high,low,close,volume\nX,1d,2025-01-02,1,1,1,1,5\n";
    import(&tape, &[write(&dir, "x.csv", text)]).await;
    let found = status(&tape, Calendar::xnys()).await.unwrap();
    let keys: Vec<_> = found.iter().map(|s| (s.source.as_str(), s.timeframe.as_str(), s.bars)).collect();
    assert_eq!(keys, [("import", "1d", 1), ("vendor", "1h", 21)]);
    let [gap] = &found[1].gaps[..] else { panic!("{found:?}") };
    assert_eq!((gap.from, gap.to, gap.sessions), (date("2025-01-06"), date("2025-01-08"), 3));
    let first = Calendar::xnys().session(date("2025-01-02")).unwrap().unwrap().open_ns + HOUR;
    assert_eq!(found[1].first_close_ns, first);
}
