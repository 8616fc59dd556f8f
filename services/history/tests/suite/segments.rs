//! Segments: what they hold is what the tape holds, whatever happens to the files.

use std::sync::Arc;

use domain::bar::Bar;
use event_log::{MemoryLog, Tape};
use history::file::ReadOptions;
use history::segments::{self, Segments};
use history::{Range, Revisions, Selection};

use crate::support::{HOUR_NS, START_NS, bar, bar_event, bar_files, bars, put, revision_event, told};

fn memory() -> Tape {
    Arc::new(MemoryLog::new())
}

fn fresh() -> (tempfile::TempDir, Segments) {
    let dir = tempfile::tempdir().unwrap();
    let segments = segments::open(&dir.path().join("segments")).unwrap();
    (dir, segments)
}

fn held(segments: &Segments) -> Vec<Bar> {
    let loaded = segments.load(&Selection::default()).unwrap();
    loaded.data.series.iter().flat_map(bars).collect()
}

#[tokio::test]
async fn a_file_and_the_tape_it_was_imported_into_are_the_same_history() {
    let files = bar_files();
    let loaded =
        history::file::load("import", &files, &ReadOptions::default(), &Selection::default()).unwrap();
    let tape = memory();
    for series in &loaded.data.series {
        let events = bars(series).iter().map(|bar| bar_event("import", &series.symbol, bar)).collect();
        put(&tape, events).await;
    }
    let (_dir, segments) = fresh();
    let stats = segments.catch_up(&tape).await.unwrap();
    assert_eq!((stats.bars, stats.written), (163_294, 1));
    let mapped = segments.load(&Selection::default()).unwrap();
    assert_eq!(told(&mapped.data), told(&loaded.data));
    assert_eq!(mapped.hash, loaded.hash);
    assert_eq!(
        history::data_hash(&mapped.data),
        loaded.hash,
        "the digests in the file are those of the columns"
    );
    assert!(mapped.data.series.iter().all(|series| &*series.source == "import"));
    // A part is the same part.
    let range = Range { from: Some("2010-01-01".parse().unwrap()), to: Some("2011-06-30".parse().unwrap()) };
    let selection = Selection { symbols: vec!["SPY".into(), "IBM".into()], range, ..Selection::default() };
    let part = segments.load(&selection).unwrap();
    let expected = history::file::load("import", &files, &ReadOptions::default(), &selection).unwrap();
    assert_eq!((told(&part.data), part.hash), (told(&expected.data), expected.hash));
    assert_eq!(segments.catch_up(&tape).await.unwrap().messages, 0);
}

#[tokio::test]
async fn growth_makes_new_files_and_merges_small_ones() {
    let (tape, (_dir, segments)) = (memory(), fresh());
    let mut expected = Vec::new();
    for day in 0..40 {
        let fresh: Vec<Bar> = (0..=day % 5).map(|hour| bar(day * 24 + hour, day + hour)).collect();
        put(&tape, fresh.iter().map(|bar| bar_event("live", "X", bar)).collect()).await;
        expected.extend(fresh);
        segments.catch_up(&tape).await.unwrap();
        assert_eq!(held(&segments), expected, "day {day}");
    }
    let listed = segments.list().unwrap();
    assert!(listed.len() < 8, "{} files", listed.len());
    let ranges: Vec<(u64, u64)> = listed.iter().map(|one| (one.file.first, one.file.last)).collect();
    assert_eq!(ranges[0].0, 1);
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{ranges:?}");
}

#[tokio::test]
async fn the_last_statement_of_an_interval_counts() {
    let (tape, (_dir, segments)) = (memory(), fresh());
    put(&tape, (0..200).map(|hour| bar_event("import", "X", &bar(hour, 1))).collect()).await;
    segments.catch_up(&tape).await.unwrap();
    // A revision of an old bar, a bar before the first one, one from another source in place of an old one.
    let (revised, before, other) = (bar(5, 7), bar(-3, 8), bar(9, 10));
    let events = vec![
        revision_event("import", "X", &revised),
        bar_event("import", "X", &before),
        bar_event("live", "X", &other),
    ];
    put(&tape, events).await;
    let check = |segments: &Segments| {
        let loaded = segments.load(&Selection::default()).unwrap();
        let mut expected: Vec<Bar> = (0..200).map(|hour| bar(hour, 1)).collect();
        (expected[5], expected[9]) = (revised, other);
        expected.insert(0, before);
        assert_eq!(bars(&loaded.data.series[0]), expected);
        assert_eq!(loaded.notes.len(), 1, "{:?}", loaded.notes);
        assert_eq!(&*loaded.data.series[0].source, "import", "that of the newest bar");
        loaded.hash
    };
    segments.catch_up(&tape).await.unwrap();
    assert_eq!(segments.list().unwrap().len(), 2);
    let apart = check(&segments);
    // Read anew it is one segment, and the same.
    assert_eq!(segments.clear().unwrap(), 2);
    segments.catch_up(&tape).await.unwrap();
    assert_eq!((segments.list().unwrap().len(), check(&segments)), (1, apart));
}

/// What a run that begins with the hour of a number finds.
fn known(segments: &Segments, hour: i64) -> Vec<Bar> {
    let revisions = Revisions::AsKnown { from_ns: START_NS + hour * HOUR_NS + 1 };
    let loaded = segments.load(&Selection { revisions, ..Selection::default() }).unwrap();
    assert_eq!(history::data_hash(&loaded.data), loaded.hash);
    assert_eq!(&*loaded.data.series[0].source, "import");
    loaded.data.series.iter().flat_map(bars).collect()
}

#[tokio::test]
async fn a_revision_counts_from_when_it_was_known() {
    // The bar of hour 1 is revised behind that of hour 5 and again behind that of hour 9; that of hour 8 twice behind
    // that of hour 9, the second time to what it was at first.
    let event = |hour, value| bar_event("import", "X", &bar(hour, value));
    let revision = |hour, value| revision_event("import", "X", &bar(hour, value));
    let mut events: Vec<_> = (0..6).map(|hour| event(hour, 0)).collect();
    events.push(revision(1, 11));
    events.extend((6..10).map(|hour| event(hour, 0)));
    events.extend([revision(1, 12), revision(8, 21), revision(8, 0)]);
    events.extend((10..12).map(|hour| event(hour, 0)));
    let expected = |first: i64, eighth: i64| -> Vec<Bar> {
        let value = |hour| match hour {
            1 => first,
            8 => eighth,
            _ => 0,
        };
        (0..12).map(|hour| bar(hour, value(hour))).collect()
    };
    // Read at once, message by message and in parts that are merged, it is the same.
    for part in [events.len(), 1, 5] {
        let (tape, (_dir, segments)) = (memory(), fresh());
        let mut rest = events.clone();
        while !rest.is_empty() {
            let later = rest.split_off(part.min(rest.len()));
            put(&tape, std::mem::replace(&mut rest, later)).await;
            segments.catch_up(&tape).await.unwrap();
        }
        assert_eq!(held(&segments), expected(12, 0), "the latest, by {part}");
        // Walked from the start, every bar is as it was first stated.
        assert_eq!(known(&segments, -1_000), expected(0, 0), "by {part}");
        // A run from hour 5 on decides on the bar of hour 5, behind which the revision stands.
        assert_eq!(known(&segments, 5), expected(0, 0), "by {part}");
        assert_eq!(known(&segments, 6), expected(11, 0), "by {part}");
        assert_eq!(known(&segments, 9), expected(11, 0), "by {part}");
        assert_eq!(known(&segments, 10), expected(12, 0), "by {part}");
        assert!(segments.verify().unwrap().iter().all(|one| one.damage.is_none()));
    }
}

#[tokio::test]
async fn the_first_statement_of_a_bar_counts_from_its_close_however_late_it_came() {
    let (tape, (_dir, segments)) = (memory(), fresh());
    put(&tape, (10..20).map(|hour| bar_event("import", "X", &bar(hour, 1))).collect()).await;
    segments.catch_up(&tape).await.unwrap();
    // History before the first bar, then the same hours told by another source.
    put(&tape, (0..10).map(|hour| bar_event("import", "X", &bar(hour, 2))).collect()).await;
    put(&tape, vec![bar_event("live", "X", &bar(3, 3)), bar_event("import", "X", &bar(20, 4))]).await;
    segments.catch_up(&tape).await.unwrap();
    let first = known(&segments, 15);
    assert_eq!((first.len(), first[3]), (21, bar(3, 2)));
    assert_eq!(held(&segments)[3], bar(3, 3));
    // Behind the bar of hour 19 the other source's word was known.
    assert_eq!(known(&segments, 20)[3], bar(3, 3));
}

#[tokio::test]
async fn damage_is_found_told_and_mended() {
    let tape = memory();
    put(&tape, (0..500).map(|hour| bar_event("import", "X", &bar(hour, hour % 7))).collect()).await;
    let dir = tempfile::tempdir().unwrap();
    let whole = history::tape(dir.path(), &tape, &Selection::default()).await.unwrap();
    assert_eq!((whole.bars, whole.notes.len()), (500, 0));
    let segments = segments::open(dir.path()).unwrap();
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[5_000] ^= 1,
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes.truncate(3),
        |bytes| bytes.clear(),
        |bytes| {
            let end = bytes.len() - 100;
            bytes[end] ^= 0x40;
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let path = segments.list().unwrap()[0].file.path.clone();
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        // As a disk would: the old file is gone, its mapping must not change.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes).unwrap();
        let told = segments.verify().unwrap();
        assert!(told[0].damage.is_some(), "damage {number} is not seen");
        let mended = history::tape(dir.path(), &tape, &Selection::default()).await.unwrap();
        assert_eq!((mended.bars, &mended.hash), (500, &whole.hash), "damage {number}");
        assert_eq!(mended.notes.len(), 1, "{:?}", mended.notes);
        assert!(segments.verify().unwrap().iter().all(|one| one.damage.is_none()));
    }
    assert_eq!(history::data_hash(&whole.data), whole.hash, "what was mapped stays");
}

#[tokio::test]
async fn another_stream_under_the_same_name_is_noticed() {
    let (first, second) = (memory(), memory());
    put(&first, (0..50).map(|hour| bar_event("import", "X", &bar(hour, 1))).collect()).await;
    put(&second, (0..60).map(|hour| bar_event("import", "Y", &bar(hour, 2))).collect()).await;
    let dir = tempfile::tempdir().unwrap();
    history::tape(dir.path(), &first, &Selection::default()).await.unwrap();
    let other = history::tape(dir.path(), &second, &Selection::default()).await.unwrap();
    assert_eq!((other.bars, &*other.data.series[0].symbol), (60, "Y"));
    assert!(other.notes[0].contains("another one"), "{:?}", other.notes);
}

#[tokio::test]
async fn the_same_bars_with_other_values_are_another_stream() {
    let dir = tempfile::tempdir().unwrap();
    // Ids are those of the bars' times, so that both streams end with the same one.
    for value in [1, 2] {
        let tape = memory();
        put(&tape, (0..50).map(|hour| bar_event("import", "X", &bar(hour, value))).collect()).await;
        let loaded = history::tape(dir.path(), &tape, &Selection::default()).await.unwrap();
        assert_eq!(bars(&loaded.data.series[0])[0], bar(0, value));
        assert_eq!(loaded.notes.len(), usize::from(value == 2), "{:?}", loaded.notes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_do_not_disturb_each_other() {
    let tape = memory();
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = Vec::new();
    for round in 0..8_i64 {
        put(&tape, (0..100).map(|hour| bar_event("import", "X", &bar(round * 100 + hour, 1))).collect())
            .await;
        let (dir, tape) = (dir.path().to_owned(), tape.clone());
        tasks.push(tokio::spawn(async move {
            history::tape(&dir, &tape, &Selection::default()).await.map(|loaded| loaded.bars)
        }));
    }
    for (round, task) in (1..).zip(tasks) {
        let bars = task.await.unwrap().unwrap();
        assert!(bars >= round * 100 && bars % 100 == 0, "{bars}");
    }
    let loaded = segments::open(dir.path()).unwrap().load(&Selection::default()).unwrap();
    let closes = loaded.data.series[0].close_ns.values();
    assert_eq!(closes.len(), 800);
    assert_eq!((closes[0], closes[799]), (START_NS + HOUR_NS, START_NS + 800 * HOUR_NS));
}

#[tokio::test]
async fn what_an_interrupted_writer_left_is_swept() {
    let tape = memory();
    put(&tape, (0..10).map(|hour| bar_event("import", "X", &bar(hour, 1))).collect()).await;
    let (_dir, segments) = fresh();
    let rest = segments.dir().join("1-99.tmp");
    std::fs::write(&rest, "half a file").unwrap();
    segments.catch_up(&tape).await.unwrap();
    assert!(!rest.exists());
    assert_eq!(held(&segments).len(), 10);
}
