//! The recorded source: order within an instant, merging of files, ranges, resuming.

use std::path::PathBuf;
use std::time::Duration;

use contracts::v1::event::Body;
use domain::calendar::Market;
use history::{Selection, data_hash};
use ingest::clock::{FinishReason, Speed, control};
use ingest::file::ReadOptions;
use ingest::source::{Instant, Loaded, Range, RecordedConfig, RecordedSource, Source};
use ingest::{IngestConfig, SourceConfig};

use crate::support::{memory, told, write};
use crate::{clock, fakes};

const HEADER: &str = "symbol,timeframe,start_utc,open,high,low,close,volume\n";

fn written(dir: &tempfile::TempDir, texts: &[&str]) -> Vec<PathBuf> {
    let name = |index: usize| format!("{index}.csv");
    texts.iter().enumerate().map(|(index, text)| write(dir, &name(index), text)).collect()
}

fn load(texts: &[&str], range: Range) -> Loaded {
    let dir = tempfile::tempdir().unwrap();
    let files = written(&dir, texts);
    RecordedSource::load("rehearsal", &files, &ReadOptions::default(), range).unwrap()
}

/// An instant in words.
fn words(instant: &Instant) -> String {
    let events: Vec<String> = instant
        .events
        .iter()
        .map(|(subject, event)| {
            let place = event.instant.unwrap();
            let extra = match &event.body {
                Some(Body::SessionChange(change)) if change.phase == 1 => " opened",
                Some(Body::SessionChange(_)) => " closed",
                _ => "",
            };
            format!("{}/{} {subject}{extra}", place.position, place.size)
        })
        .collect();
    format!(
        "{}: {}",
        chrono::DateTime::from_timestamp_nanos(instant.ns).format("%m-%d %H:%M"),
        events.join(", ")
    )
}

fn play(source: &mut dyn Source) -> Vec<Instant> {
    std::iter::from_fn(|| source.next()).collect()
}

fn two_days() -> [String; 3] {
    let rows = |symbol: &str, days: &[&str]| -> String {
        days.iter().map(|start| format!("{symbol},1h,2020-11-{start}:00:00Z,10,20,5,11,100\n")).collect()
    };
    [
        format!("{HEADER}{}", rows("B", &["25T19", "25T20", "27T17", "27T18"])),
        format!("{HEADER}{}X,1d,2020-11-25,10,20,5,11,100\n", rows("A", &["25T20", "27T17"])),
        "symbol,ex_date,kind,value\nB,2020-11-26,dividend,0.1\nA,2020-11-27,dividend,0.2\nA,2020-11-27,split,2\n\
         A,2020-11-24,split,3\nA,2020-11-30,split,3\n"
            .to_owned(),
    ]
}

#[test]
fn instants_come_in_order_and_are_complete() {
    let texts = two_days();
    let mut loaded = load(&[&texts[0], &texts[1], &texts[2]], Range::default());
    assert_eq!(told(&loaded.rejected), Vec::<String>::new());
    let words: Vec<String> = play(&mut loaded.source).iter().map(words).collect();
    // The session of the 27th closes at 18:00; one bar lies after it. Actions outside the range stay out.
    assert_eq!(
        words,
        [
            "11-25 14:30: 0/1 market.session.XNYS opened",
            "11-25 20:00: 0/1 market.bar.1h.B",
            "11-25 21:00: 0/4 market.bar.1h.A, 1/4 market.bar.1h.B, 2/4 market.bar.1d.X, 3/4 market.session.XNYS closed",
            "11-27 14:30: 0/4 market.session.XNYS opened, 1/4 market.action.A, 2/4 market.action.A, 3/4 market.action.B",
            "11-27 18:00: 0/3 market.bar.1h.A, 1/3 market.bar.1h.B, 2/3 market.session.XNYS closed",
            "11-27 19:00: 0/1 market.bar.1h.B",
        ]
    );
}

#[test]
fn the_order_of_files_changes_nothing_and_ids_do_not_repeat() {
    let texts = two_days();
    let forward = play(&mut load(&[&texts[0], &texts[1], &texts[2]], Range::default()).source);
    let backward = play(&mut load(&[&texts[2], &texts[1], &texts[0]], Range::default()).source);
    assert_eq!(forward, backward);
    let ids: Vec<&str> =
        forward.iter().flat_map(|instant| &instant.events).map(|(_, event)| event.id.as_str()).collect();
    let different: std::collections::BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), different.len());
}

#[test]
fn it_resumes_at_any_instant() {
    let texts = two_days();
    let mut source = load(&[&texts[0], &texts[1], &texts[2]], Range::default()).source;
    let all = play(&mut source);
    for (index, instant) in all.iter().enumerate() {
        source.seek(instant.ns);
        assert_eq!(play(&mut source), all[index..]);
        source.seek(instant.ns + 1);
        assert_eq!(play(&mut source), all[index + 1..]);
    }
    source.seek(i64::MIN);
    assert_eq!(play(&mut source), all);
}

#[test]
fn a_range_takes_whole_dates_of_the_exchange() {
    let texts = two_days();
    let date = chrono::NaiveDate::from_ymd_opt(2020, 11, 27);
    let mut loaded = load(&[&texts[0], &texts[1], &texts[2]], Range { from: date, to: date });
    assert_eq!(loaded.bars, 3);
    assert_eq!(play(&mut loaded.source).len(), 3);
    let before = Range { from: None, to: chrono::NaiveDate::from_ymd_opt(2020, 1, 1) };
    assert!(play(&mut load(&[&texts[0]], before).source).is_empty());
}

#[test]
fn where_the_market_never_rests_one_session_opens_as_another_closes() {
    let dir = tempfile::tempdir().unwrap();
    let starts = ["03T22", "03T23", "04T00"];
    let rows = starts.map(|start| format!("E,1h,2020-01-{start}:00:00Z,10,20,5,11,100\n")).concat();
    let action = "symbol,ex_date,kind,value\nE,2020-01-04,dividend,0.1\n";
    let files = written(&dir, &[&format!("{HEADER}{rows}"), action]);
    let market = Market::TwentyFourSeven;
    let read = ReadOptions { market, ..ReadOptions::default() };
    let load = |range| RecordedSource::load("rehearsal", &files, &read, range).unwrap();
    let mut source = load(Range::default()).source;
    let all = play(&mut source);
    let words: Vec<String> = all.iter().map(words).collect();
    assert_eq!(
        words,
        [
            "01-03 00:00: 0/1 market.session.24x7 opened",
            "01-03 23:00: 0/1 market.bar.1h.E",
            "01-04 00:00: 0/4 market.action.E, 1/4 market.bar.1h.E, 2/4 market.session.24x7 closed, \
             3/4 market.session.24x7 opened",
            "01-04 01:00: 0/1 market.bar.1h.E",
            "01-05 00:00: 0/1 market.session.24x7 closed",
        ]
    );
    for (index, instant) in all.iter().enumerate() {
        source.seek(instant.ns);
        assert_eq!(play(&mut source), all[index..]);
        source.seek(instant.ns + 1);
        assert_eq!(play(&mut source), all[index + 1..]);
    }
    let selection = Selection { market, ..Selection::default() };
    let columns = history::file::load("rehearsal", &files, &read, &selection).unwrap();
    assert_eq!((source.data().actions.len(), source.data().actions), (1, columns.data.actions));
    // A close at midnight belongs to the date that ends there.
    let from = chrono::NaiveDate::from_ymd_opt(2020, 1, 4);
    assert_eq!(load(Range { from, to: None }).bars, 1);
    let mut first = load(Range { from: None, to: from.and_then(|date| date.pred_opt()) });
    assert_eq!(first.bars, 2);
    let last = play(&mut first.source).last().map(self::words);
    assert_eq!(
        last.as_deref(),
        Some("01-04 00:00: 0/2 market.bar.1h.E, 1/2 market.session.24x7 closed"),
        "no session opens in which no bar lies"
    );
}

#[test]
fn files_that_overlap_agree_or_are_reported() {
    let rows = "X,1h,2020-01-02T15:00:00Z,10,20,5,11,100\nX,1h,2020-01-02T16:00:00Z,10,20,5,11,100\n";
    let first = format!("{HEADER}{rows}");
    let second =
        format!("{HEADER}{}X,1h,2020-01-02T17:00:00Z,10,20,5,11,100\n", rows.replacen("11,100", "12,100", 1));
    let loaded = load(&[&first, &second], Range::default());
    assert_eq!(loaded.bars, 3);
    assert_eq!(told(&loaded.rejected), ["2 time: an earlier file holds this bar with other values"]);
}

/// Two events of an instant with one id would be one on the tape, and the clock would wait for the other for ever.
#[test]
fn an_action_in_two_files_is_played_once() {
    let bars = format!("{HEADER}X,1h,2020-01-02T15:00:00Z,10,20,5,11,100\n");
    let actions = |value: &str| format!("symbol,ex_date,kind,value\nX,2020-01-02,split,{value}\n");
    let loaded = load(&[&bars, &actions("2"), &actions("2.0")], Range::default());
    assert_eq!((loaded.source.data().actions.len(), loaded.rejected.len()), (1, 0));
    let loaded = load(&[&bars, &actions("2"), &actions("3")], Range::default());
    assert_eq!(loaded.source.data().actions.len(), 1);
    assert_eq!(
        told(&loaded.rejected),
        ["2 value: repeats an earlier action of that date with another value"]
    );
}

#[test]
fn a_bar_of_the_future_is_left_out_with_the_name_of_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let row = |hour: &str| format!("X,1h,2020-01-02T{hour}:00:00Z,10,20,5,11,100\n");
    let files = written(&dir, &[&format!("{HEADER}{}", ["17", "15", "16"].map(row).concat())]);
    // The close of the last row. Behind the first one it is not out of order.
    let read = ReadOptions { latest_ns: Some(1_577_984_400_000_000_000), ..ReadOptions::default() };
    let loaded = RecordedSource::load("rehearsal", &files, &read, Range::default()).unwrap();
    assert_eq!((loaded.bars, loaded.read), (2, 3));
    assert_eq!(told(&loaded.rejected), ["2 time: closes in the future, at 2020-01-02T18:00:00Z"]);
    assert_eq!(loaded.rejected[0].file, Some(files[0].display().to_string()));
}

#[test]
fn its_columns_are_those_of_a_backtest_of_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let texts = two_days();
    let files = written(&dir, &[&texts[0], &texts[1], &texts[2]]);
    let read = ReadOptions::default();
    let mut source = RecordedSource::load("rehearsal", &files, &read, Range::default()).unwrap().source;
    let columns = history::file::load("rehearsal", &files, &read, &Selection::default()).unwrap();
    assert_eq!((columns.bars, columns.data.actions.len()), (7, 3));
    assert_eq!(source.data().actions, columns.data.actions);
    assert_eq!(data_hash(&source.data()), columns.hash);
    // Wherever it stands.
    while source.next().is_some() {}
    assert_eq!(data_hash(&source.data()), columns.hash);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_loaded_already_is_played_without_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let texts = two_days();
    let (name, read, range) = ("rehearsal".to_owned(), ReadOptions::default(), Range::default());
    let recorded = RecordedConfig { name, files: written(&dir, &[&texts[0]]), read, range };
    let loaded = Some(recorded.load().unwrap());
    drop(dir);
    assert!(recorded.load().is_err(), "the file is gone");
    let tape = memory();
    let _services = fakes::all(&tape);
    let (_handle, control) = control(Speed::Max);
    let source = SourceConfig::Recorded(recorded);
    let config = IngestConfig { source, loaded, clock: clock::config(), control };
    let played = ingest::run(clock::context(&tape), config);
    let finished = tokio::time::timeout(Duration::from_secs(30), played).await.unwrap().unwrap();
    assert_eq!((finished.reason, finished.progress.bars), (FinishReason::SourceEnd, 4));
}
