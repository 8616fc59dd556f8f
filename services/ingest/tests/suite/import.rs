//! Import onto a tape in memory: what goes in, what does not, and that doing it again changes nothing.

use contracts::v1::event::Body;
use contracts::v1::{Origin, Severity};
use contracts::{bar_id, from_timestamp};
use event_log::{Append, Expect};
use ingest::file::{Adjusted, ReadOptions};
use ingest::import::{self, ImportOptions};

use crate::support::{import, memory, stored, told, write};

const HEADER: &str = "symbol,timeframe,start_utc,open,high,low,close,volume\n";

fn hours(symbol: &str, closes: &[(u32, &str)]) -> String {
    let row =
        |(hour, close): &(u32, &str)| format!("{symbol},1h,2020-01-02T{hour}:00:00Z,10,20,5,{close},100\n");
    closes.iter().map(row).collect()
}

#[tokio::test]
async fn bars_are_stored_under_their_subject_with_their_close() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let file = write(&dir, "x.csv", format!("{HEADER}{}", hours("BRK.B", &[(15, "11"), (16, "12.5")])));
    let report = import(&tape, &[file]).await;
    assert_eq!(
        serde_json::to_string(&report).unwrap(),
        r#"{"read":2,"appended":2,"duplicates":0,"revisions":0,"findings":0,"rejected":[]}"#
    );
    let bars = stored(&tape, "market.bar.1h.BRK%2EB").await;
    let last = &bars[1].event;
    let close_ns = last.event_time.as_ref().and_then(from_timestamp).unwrap();
    assert_eq!(close_ns, 1_577_984_400_000_000_000, "one hour after the start");
    assert_eq!(last.id, bar_id("import", "BRK.B", "1h", close_ns));
    let Some(Body::Bar(bar)) = &last.body else { panic!("not a bar") };
    assert_eq!((bar.close_e9, bar.volume_e3, bar.origin()), (12_500_000_000, 100_000, Origin::Import));
    assert_eq!(last.instant, None, "an import does not know whole instants");
}

#[tokio::test]
async fn a_second_import_appends_nothing() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let text = format!("{HEADER}{}{}", hours("X", &[(15, "11"), (16, "12")]), hours("Y", &[(15, "7")]));
    let first = write(&dir, "a.csv", &text);
    assert_eq!(import(&tape, &[first]).await.appended, 3);
    // Another name, another order, and one bar more.
    let text =
        format!("{HEADER}{}{}", hours("Y", &[(15, "7"), (16, "8")]), hours("X", &[(15, "11"), (16, "12")]));
    let second = write(&dir, "b.csv", &text);
    let report = import(&tape, &[second.clone(), second]).await;
    assert_eq!((report.read, report.appended, report.duplicates, report.revisions), (8, 1, 7, 0));
    assert_eq!(stored(&tape, "market.>").await.len(), 4);
}

#[tokio::test]
async fn other_values_are_a_revision_once() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let was = write(&dir, "was.csv", format!("{HEADER}{}", hours("X", &[(15, "11"), (16, "12")])));
    let is = write(&dir, "is.csv", format!("{HEADER}{}", hours("X", &[(15, "11"), (16, "13")])));
    import(&tape, std::slice::from_ref(&was)).await;
    let report = import(&tape, std::slice::from_ref(&is)).await;
    assert_eq!((report.appended, report.duplicates, report.revisions), (0, 1, 1));
    let report = import(&tape, std::slice::from_ref(&is)).await;
    assert_eq!((report.appended, report.duplicates, report.revisions), (0, 2, 0));
    let bars = stored(&tape, "market.bar.>").await;
    let revisions = stored(&tape, "market.revision.1h.X").await;
    let Some(Body::BarRevision(revision)) = &revisions[0].event.body else { panic!("not a revision") };
    assert_eq!(revision.revises, bars[1].event.id);
    assert_eq!(revision.bar.as_ref().unwrap().close_e9, 13_000_000_000);
    // Back to the first values is a revision of its own.
    assert_eq!(import(&tape, &[was]).await.revisions, 1);
    assert_eq!(import(&tape, &[is]).await.revisions, 1);
    let revisions = stored(&tape, "market.revision.>").await;
    let ids: std::collections::BTreeSet<_> = revisions.iter().map(|revision| &revision.event.id).collect();
    assert_eq!((revisions.len(), ids.len()), (3, 3));
}

#[tokio::test]
async fn a_bar_of_another_source_counts_as_existing() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let file = write(&dir, "x.csv", format!("{HEADER}{}", hours("X", &[(15, "11")])));
    import(&tape, std::slice::from_ref(&file)).await;
    let mut event = stored(&tape, "market.bar.>").await[0].event.clone();
    let played = memory();
    event.source = "rehearsal".into();
    event.id = bar_id("rehearsal", "X", "1h", 1_577_980_800_000_000_000);
    let (subject, expect) = (contracts::Subject::bar("1h", "X"), Expect::Nothing);
    played.append(Append { subject, event: event.clone(), expect }).await.unwrap();
    let report = import(&played, &[file]).await;
    assert_eq!((report.appended, report.duplicates), (0, 1));
    // Its revision names the bar that is there, not the one that an import would have written.
    let other = write(&dir, "y.csv", format!("{HEADER}{}", hours("X", &[(15, "12")])));
    assert_eq!(import(&played, &[other]).await.revisions, 1);
    let revisions = stored(&played, "market.revision.>").await;
    let Some(Body::BarRevision(revision)) = &revisions[0].event.body else { panic!("not a revision") };
    assert_eq!(revision.revises, event.id);
}

#[tokio::test]
async fn good_rows_go_in_unless_strict() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let good = write(&dir, "good.csv", format!("{HEADER}{}", hours("Y", &[(15, "7")])));
    let bad =
        write(&dir, "bad.csv", format!("{HEADER}{}", hours("X", &[(15, "11"), (16, "99"), (17, "12")])));
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    let files = [good, bad];
    let report = import::run(&tape, &strict, &files).await.whole().unwrap();
    assert_eq!((report.read, report.appended, report.rejected.len()), (4, 0, 1));
    assert!(stored(&tape, "market.>").await.is_empty());
    let report = import(&tape, &files).await;
    assert_eq!((report.read, report.appended, report.rejected.len()), (4, 3, 1));
    let row = serde_json::to_value(&report.rejected[0]).unwrap();
    assert_eq!(row["file"], files[1].display().to_string());
    assert_eq!(
        (row["line"].as_u64(), row["field"].as_str(), row["value"].as_str()),
        (Some(3), Some("close"), Some("99"))
    );
    // Strict and nothing wrong: it goes in.
    assert_eq!(import::run(&memory(), &strict, &files[..1]).await.whole().unwrap().appended, 1);
}

/// What the tape holds, what the calendar does not know, and what a row before it would have put onto the tape.
#[tokio::test]
async fn a_strict_import_appends_nothing_where_only_the_tape_refuses_a_row() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let actions = |name, rows: &str| write(&dir, name, format!("symbol,ex_date,kind,value\n{rows}"));
    let held = write(&dir, "held.csv", format!("{HEADER}{}", hours("X", &[(15, "11"), (16, "12")])));
    import(&tape, &[held, actions("a.csv", "X,2020-01-02,split,2\n")]).await;
    let before = stored(&tape, "market.>").await.len();

    let good = write(&dir, "good.csv", format!("{HEADER}{}", hours("Y", &[(15, "7")])));
    let across = write(&dir, "across.csv", format!("{HEADER}X,1h,2020-01-02T15:30:00Z,1,1,1,1,1\n"));
    let other = actions("b.csv", "X,2020-01-02,split,3\nX,2020-01-03,split,3\n");
    let early = actions("c.csv", "X,1990-01-02,split,3\nX,2020-01-03,split,3\n");
    let twice = write(&dir, "twice.csv", format!("{HEADER}Y,1h,2020-01-02T15:30:00Z,1,1,1,1,1\n"));
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    for bad in [across, other, early, twice] {
        let files = [good.clone(), bad];
        let report = import::run(&tape, &strict, &files).await.whole().unwrap();
        assert_eq!((report.events(), report.rejected.len()), (0, 1), "{report:?}");
        assert_eq!(stored(&tape, "market.>").await.len(), before, "{report:?}");
    }
    let report = import::run(&tape, &strict, &[good]).await.whole().unwrap();
    assert_eq!((report.appended, report.rejected.len()), (1, 0));
}

/// What was announced is known today; a market of the past tells of it in its time.
#[tokio::test]
async fn an_action_of_the_future_is_rejected_where_the_tape_has_a_present_of_its_own() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let rows = "X,2020-01-02,split,2\nX,2020-01-03,split,3\n";
    let files = [write(&dir, "a.csv", format!("symbol,ex_date,kind,value\n{rows}"))];
    // The close of the session of 2020-01-02 but for an hour.
    let read = ReadOptions { latest_ns: Some(1_577_995_200_000_000_000), ..ReadOptions::default() };
    let played = ImportOptions { read: read.clone(), ..ImportOptions::default() };
    let report = import::run(&tape, &played, &files).await.whole().unwrap();
    assert_eq!((report.read, report.appended), (2, 1));
    assert_eq!(told(&report.rejected), ["3 ex_date: takes effect in the future"]);
    let today = ImportOptions { read, now_ns: Some(1_577_995_200_000_000_000), ..ImportOptions::default() };
    let report = import::run(&tape, &today, &files).await.whole().unwrap();
    assert_eq!((report.appended, report.duplicates, report.rejected.len()), (1, 1, 0));
}

#[tokio::test]
async fn a_missing_option_is_told_before_anything_is_appended() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let good = write(&dir, "good.csv", format!("{HEADER}{}", hours("Y", &[(15, "7")])));
    let unclear = write(&dir, "unclear.csv", "t,o,h,l,c,v\n1577977200,1,1,1,1,1\n");
    let error = import::run(&tape, &ImportOptions::default(), &[good, unclear]).await.whole().unwrap_err();
    assert!(error.to_string().contains("--timeframe"), "{error}");
    assert!(stored(&tape, "market.>").await.is_empty());
}

/// Two files, of which the second one breaks off; what the first parts of it say is on the tape, and is told.
#[tokio::test]
async fn a_file_that_breaks_off_is_told_with_what_went_in() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let good = write(&dir, "good.csv", format!("{HEADER}{}", hours("Y", &[(15, "7")])));
    let hours_of = |day: i32| (14..21).map(move |hour| (day, hour));
    let minutes_of = |(day, hour): (i32, i32)| (0..60).map(move |minute| (day, hour, minute));
    let rows: String = (2..=31)
        .flat_map(hours_of)
        .flat_map(minutes_of)
        .map(|(day, hour, minute)| {
            // They do not repeat, so that half of the packed bytes are about half of the rows.
            let cents = (day * 7_919 + hour * 104_729 + minute * 1_299_709) % 1_000;
            let close = format!("{}.{:02}", 10 + cents / 100, cents % 100);
            format!("X,1m,2020-01-{day:02}T{hour}:{minute:02}:00Z,12,20,5,{close},100\n")
        })
        .collect();
    let text = format!("{HEADER}{rows}");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let path = |bytes: &[u8]| write(&dir, "broken.csv.gz", bytes);
    let broken = [good, path(&packed[..packed.len() / 2])];
    let imported = import::run(&tape, &ImportOptions::default(), &broken).await;
    let error = imported.outcome.unwrap_err().to_string();
    assert!(error.contains("broken.csv.gz: "), "{error}");
    let held = stored(&tape, "market.bar.>").await.len() as u64;
    assert!(held > 1_000, "{held}");
    let report = imported.report;
    assert_eq!((report.appended, report.read), (held, held + report.rejected_count()));
    // Repeated with the whole file nothing goes in twice.
    let whole = [broken[0].clone(), path(&packed)];
    let report = import(&tape, &whole).await;
    assert_eq!(report.duplicates, held);
    assert_eq!(import(&memory(), &whole).await.appended, held + report.appended);
}

#[tokio::test]
async fn an_option_that_a_file_contradicts_is_told_before_anything_is_appended() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let own = write(&dir, "own.csv", format!("{HEADER}{}", hours("Y", &[(15, "7")])));
    let other = write(&dir, "other.csv", format!("{HEADER}{}", hours("X", &[(15, "11")])));
    let read = ReadOptions { symbol: Some("Y".into()), ..ReadOptions::default() };
    let options = ImportOptions { read, ..ImportOptions::default() };
    let error = import::run(&tape, &options, &[own.clone(), other]).await.whole().unwrap_err().to_string();
    assert!(error.starts_with("--symbol \"Y\": ") && error.contains("\"X\" in line 2"), "{error}");
    assert!(stored(&tape, "market.>").await.is_empty());
    assert_eq!(import::run(&tape, &options, &[own]).await.whole().unwrap().appended, 1);
}

#[tokio::test]
async fn adjusted_prices_never_pass_for_raw_ones() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let file = write(&dir, "x.csv", format!("{HEADER}{}", hours("X", &[(15, "11"), (16, "12")])));
    let read = ReadOptions { adjusted: Adjusted::Yes, ..ReadOptions::default() };
    let options = ImportOptions { read, ..ImportOptions::default() };
    for findings in [1, 0] {
        let report = import::run(&tape, &options, std::slice::from_ref(&file)).await.whole().unwrap();
        assert_eq!(report.findings, findings);
    }
    let quality = stored(&tape, "market.quality.X").await;
    let Some(Body::QualityFinding(finding)) = &quality[0].event.body else { panic!("not a finding") };
    assert_eq!((finding.rule.as_str(), finding.timeframe.as_str()), ("adjusted_prices", "1h"));
    assert_eq!((finding.severity(), finding.bar_start), (Severity::Warning, None));
}

#[tokio::test]
async fn corporate_actions_are_recognised_by_their_header() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    // The second is on a Saturday: it takes effect on Monday.
    let text = "Symbol,Ex Date,Kind,Value\nX,2020-08-31,split,4\nX,2020-09-05,Dividend,0.205\n\
                x,2020-09-05,Dividend,0.205\nX,2020-09-05,dividend,0.3\nX,soon,split,2\nX,2020-09-08,merger,1\n\
                X,2020-09-08,split,0\nX,1990-01-02,split,2\n";
    let file = write(&dir, "actions.csv", text);
    let report = import(&tape, std::slice::from_ref(&file)).await;
    assert_eq!((report.read, report.appended, report.duplicates), (8, 2, 1));
    let lines: Vec<(u64, &str)> = report.rejected.iter().map(|row| (row.line, row.field)).collect();
    assert_eq!(lines, [(5, "value"), (6, "ex_date"), (7, "kind"), (8, "value"), (9, "ex_date")]);
    let report = import(&tape, &[file]).await;
    assert_eq!((report.appended, report.duplicates), (0, 3));
    let actions = stored(&tape, "market.action.X").await;
    let times: Vec<i64> = actions
        .iter()
        .map(|action| action.event.event_time.as_ref().and_then(from_timestamp).unwrap())
        .collect();
    assert_eq!(times, [1_598_880_600_000_000_000, 1_599_571_800_000_000_000], "at the opening");
    let other = write(&dir, "other.csv", "symbol,ex_date,kind,value\nX,2020-08-31,split,5\n");
    let report = import(&tape, &[other]).await;
    assert_eq!(report.appended, 0);
    assert_eq!(report.rejected[0].reason, "the tape holds this action with 4; an action cannot be revised");
}

#[tokio::test]
async fn rows_behind_a_stray_quote_go_in() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let bars = hours("X", &[(15, "11"), (16, "12"), (17, "13"), (18, "14")]);
    let bars = format!("{HEADER}{}", bars.replace("16:00:00Z,", "16:00:00Z,\""));
    let bars = write(&dir, "bars.csv", bars);
    let actions = "symbol,ex_date,kind,value\nX,2020-08-31,\"split,4\nX,2020-09-08,dividend,0.2\n";
    let actions = write(&dir, "actions.csv", actions);
    let report = import(&tape, &[bars, actions]).await;
    assert_eq!((report.read, report.appended, report.rejected.len()), (6, 4, 2));
    let told: Vec<_> = report.rejected.iter().map(|row| (row.line, row.value.as_str())).collect();
    assert_eq!(
        told,
        [(2, "X,2020-08-31,\"split,4"), (3, "X,1h,2020-01-02T16:00:00Z,\"10,20,5,12,100")],
        "{report:?}"
    );
    assert!(report.rejected.iter().all(|row| row.reason == "a quote that is not closed"), "{report:?}");
}

#[tokio::test]
async fn a_bar_of_the_future_is_rejected() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let text = format!("{HEADER}{}", hours("X", &[(15, "11"), (16, "12"), (17, "13")]));
    let files = [write(&dir, "x.csv", text)];
    // A day before the second bar's close.
    let now_ns = Some(1_577_984_400_000_000_000 - 86_400_000_000_000);
    for strict in [true, false] {
        let options = ImportOptions { now_ns, strict, ..ImportOptions::default() };
        let report = import::run(&tape, &options, &files).await.whole().unwrap();
        assert_eq!((report.read, report.appended), (3, if strict { 0 } else { 2 }));
        let told: Vec<_> = report.rejected.iter().map(|row| (row.line, row.reason.as_str())).collect();
        assert_eq!(told, [(4, "closes in the future, at 2020-01-02T18:00:00Z")]);
    }
    // The rows behind it are not out of order for it.
    let text = format!("{HEADER}{}", hours("Y", &[(17, "13"), (15, "11"), (16, "12")]));
    let options = ImportOptions { now_ns, ..ImportOptions::default() };
    let report = import::run(&tape, &options, &[write(&dir, "y.csv", text)]).await.whole().unwrap();
    let told: Vec<_> = report.rejected.iter().map(|row| (row.line, row.value.as_str())).collect();
    assert_eq!((report.appended, told), (2, vec![(2, "2020-01-02T17:00:00Z")]));
}

#[tokio::test]
async fn a_report_stays_bounded() {
    let (dir, tape) = (tempfile::tempdir().unwrap(), memory());
    let rows: String = (0..10_050).map(|_| "X,1h,2020-01-02T15:00:00Z,-1,1,1,1,1\n").collect();
    let file = write(&dir, "bad.csv", format!("{HEADER}{rows}"));
    let report = import(&tape, &[file]).await;
    assert_eq!(
        (report.rejected.len(), report.rejected_unlisted, report.rejected_count()),
        (10_000, 50, 10_050)
    );
    assert_eq!(report.read, 10_050);
}

#[tokio::test]
async fn an_import_names_the_series_that_it_has_read_whatever_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "symbol,timeframe,start_utc,open,high,low,close,volume\n\
                Y,1h,2025-01-02T15:00:00Z,1,1,1,1,5\nX,1h,2025-01-02T15:00:00Z,1,1,1,-1,5\n";
    let file = write(&dir, "bars.csv", rows);
    for strict in [false, true] {
        let tape = memory();
        let options = ImportOptions { strict, ..ImportOptions::default() };
        let imported = import::run(&tape, &options, std::slice::from_ref(&file)).await;
        let named: Vec<&str> = imported.series.iter().map(|series| series.symbol.as_str()).collect();
        assert!(named.contains(&"Y"), "{named:?}");
        assert_eq!(imported.whole().unwrap().appended, u64::from(!strict));
    }
}
