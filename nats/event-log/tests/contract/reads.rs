//! Ordered reads and single lookups.

use std::time::Duration;

use contracts::Subject;
use contracts::stream::{LOGS, MARKET, TRADING};
use contracts::v1::Event;
use event_log::{Append, AppendError, Bookmark, Delivery, Expect, StreamState, events_under, last_of};

use crate::fixture::{Fixture, PATIENCE, bar, sequences, signal, take};

crate::contract!(
    a_read_delivers_everything_in_order_and_follows,
    a_read_starts_at_a_sequence_and_honours_filters,
    what_stands_under_filters_is_read_and_nothing_is_waited_for,
    a_batch_is_bounded_and_nothing_is_lost_between_batches,
    a_cancelled_batch_loses_nothing,
    an_undecodable_message_is_delivered_as_such,
    json_of_a_plain_client_is_read,
    single_events_are_found,
    a_signal_in_anothers_name_is_no_event,
    a_control_that_contradicts_its_subject_is_no_event,
    followers_have_everything_once_wherever_they_begin,
    who_falls_behind_the_others_misses_nothing,
    an_unknown_stream_is_an_error,
    a_bookmark_tells_whether_the_tape_is_still_the_same,
    what_a_stream_has_let_go_of_leaves_its_sequences_behind,
);

async fn a_signal_in_anothers_name_is_no_event(fixture: Fixture) {
    let tape = fixture.tape();
    assert_eq!(tape.last_sequence(TRADING, "signal.>").await.unwrap(), 0);
    let own = contracts::encode(&signal("mine", "SPY", 1).event);
    fixture.publish_raw("signal.mine.SPY", &own, None).await;
    assert!(tape.last(TRADING, "signal.>").await.unwrap().is_some());
    fixture.publish_raw("signal.yours.SPY", &own, None).await;
    let mut reader = tape.read(TRADING, &[], 1).await.unwrap();
    let read = take(&mut reader, 2).await;
    assert!(matches!(&read[0], Delivery::Event(_)));
    let Delivery::Undecodable { error, .. } = &read[1] else { panic!("{:?}", read[1]) };
    assert!(error.to_string().contains("signal.strategy"), "{error}");
    // It has a place all the same, and whoever asks for it learns that it is no event.
    assert_eq!(tape.last_sequence(TRADING, "signal.>").await.unwrap(), 2);
    assert!(tape.last(TRADING, "signal.>").await.unwrap_err().is_undecodable());
    assert!(tape.get(TRADING, 2).await.unwrap_err().is_undecodable());
    assert!(!tape.get("NOWHERE", 2).await.unwrap_err().is_undecodable());
}

async fn a_control_that_contradicts_its_subject_is_no_event(fixture: Fixture) {
    let tape = fixture.tape();
    let kill = |id: &str, body: &str| {
        let time = "\"eventTime\":\"2024-05-01T14:30:00Z\"";
        format!("{{\"id\":\"{id}\",{time},\"tradingKilled\":{{{body}}}}}").into_bytes()
    };
    let right = kill("right", "\"flatten\":true");
    fixture.publish_raw("control.trading.all.killed", &right, None).await;
    let wrong = [
        ("control.trading.alt.killed", kill("all", "\"flatten\":true"), "field `subject`"),
        ("control.strategy.manual.killed", kill("other", "\"strategy\":\"swing\""), "field `subject`"),
        (
            "control.trading.all.killed",
            b"{\"id\":\"timeless\",\"tradingKilled\":{}}".to_vec(),
            "field `event_time`",
        ),
    ];
    for (subject, payload, _) in &wrong {
        fixture.publish_raw(subject, payload, None).await;
    }
    // A reader, a look at what is stored and the question for one message all give the same.
    let mut reader = tape.read(TRADING, &[], 1).await.unwrap();
    let read = take(&mut reader, 4).await;
    assert!(matches!(&read[0], Delivery::Event(_)), "{:?}", read[0]);
    let stored = tape.stored_from(TRADING, ">", 2, 3).await.unwrap();
    for ((delivery, stored), (_, sent, field)) in read[1..].iter().zip(&stored).zip(&wrong) {
        let Delivery::Undecodable { sequence, payload, error, .. } = delivery else { panic!("{delivery:?}") };
        assert!(payload == sent && error.to_string().starts_with(field), "{error}");
        assert_eq!(stored.decode().unwrap_err().to_string(), error.to_string());
        assert!(tape.get(TRADING, *sequence).await.unwrap_err().is_undecodable());
    }
    // What was stated before counts, and the place counts all the same.
    let last = async |filter| last_of(&tape, TRADING, filter).await.unwrap();
    let all = last("control.trading.>").await;
    let id = all.event.map(|event| event.event.id);
    assert_eq!((all.sequence, id.as_deref()), (4, Some("right")));
    let manual = last("control.strategy.manual.>").await;
    assert!(manual.sequence == 3 && manual.event.is_none(), "{manual:?}");
    assert_eq!(last("control.limits.>").await.sequence, 0);
    let subject = Subject::parse("control.trading.all.killed").unwrap();
    let event = Event { id: "again".into(), ..contracts::decode(&right).unwrap() };
    let expect = Expect::Last { filter: subject.to_string(), sequence: 1 };
    let refused = tape.append(Append { subject, event, expect }).await.unwrap_err();
    let named = matches!(refused, AppendError::Conflict { expected: 1, last: 4, actual: None, .. });
    assert!(named, "{refused:?}");
    // A program that took it for an event knows it again.
    let bookmark = |id: &str| Bookmark { sequence: 4, id: Some(id.to_owned()) };
    tape.check(TRADING, &bookmark("timeless")).await.unwrap();
    assert!(tape.check(TRADING, &bookmark("another")).await.unwrap_err().is_taken_back());
}

async fn a_read_delivers_everything_in_order_and_follows(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append_batch((0..500).map(|number| bar("A", number)).collect()).await.unwrap();
    let mut reader = tape.read(MARKET, &[], 0).await.unwrap();
    let history = take(&mut reader, 500).await;
    assert_eq!(sequences(&history), (1..=500).collect::<Vec<_>>());
    let Delivery::Event(first) = &history[0] else { panic!("expected an event") };
    assert_eq!((first.event.id.clone(), first.subject.as_str()), (bar("A", 0).event.id, "market.bar.1h.A"));
    for number in 500..600 {
        tape.append(bar("A", number)).await.unwrap();
        assert_eq!(sequences(&take(&mut reader, 1).await), [u64::from(number) + 1]);
    }
}

async fn a_read_starts_at_a_sequence_and_honours_filters(fixture: Fixture) {
    let tape = fixture.tape();
    for number in 0..30 {
        for symbol in ["A", "B", "C"] {
            tape.append(bar(symbol, number)).await.unwrap();
        }
    }
    let mut one = tape.read(MARKET, &["market.bar.1h.B".into()], 50).await.unwrap();
    assert_eq!(sequences(&take(&mut one, 14).await), (50..=90).step_by(3).collect::<Vec<_>>());
    let filters = ["market.bar.1h.A".to_owned(), "market.bar.1h.C".to_owned()];
    let mut two = tape.read(MARKET, &filters, 82).await.unwrap();
    assert_eq!(sequences(&take(&mut two, 6).await), [82, 84, 85, 87, 88, 90]);
    let mut wildcard = tape.read(MARKET, &["market.bar.*.A".into()], 1).await.unwrap();
    assert_eq!(take(&mut wildcard, 30).await.len(), 30);
    tape.append(bar("B", 30)).await.unwrap();
    tape.append(bar("A", 30)).await.unwrap();
    assert_eq!(sequences(&take(&mut wildcard, 1).await), [92]);
    // A start behind the end waits for what comes there.
    let mut ahead = tape.read(MARKET, &[], 93).await.unwrap();
    tape.append(bar("A", 31)).await.unwrap();
    assert_eq!(sequences(&take(&mut ahead, 1).await), [93]);
}

async fn what_stands_under_filters_is_read_and_nothing_is_waited_for(fixture: Fixture) {
    let tape = fixture.tape();
    let bars = (0..300).flat_map(|number| ["A", "B", "C"].map(|symbol| bar(symbol, number)));
    tape.append_batch(bars.collect()).await.unwrap();
    fixture.publish_raw("market.bar.1h.A", b"\xff\xff nonsense", None).await;
    let read = async |symbols: &[&str], span| {
        let filters: Vec<_> = symbols.iter().map(|symbol| format!("market.bar.1h.{symbol}")).collect();
        let read = tokio::time::timeout(PATIENCE, events_under(&tape, MARKET, &filters, span)).await;
        read.unwrap().unwrap().iter().map(|recorded| recorded.sequence).collect::<Vec<_>>()
    };
    assert_eq!(read(&["B"], 1..=u64::MAX).await, (2..=899).step_by(3).collect::<Vec<_>>());
    // It ends with what is no event, and in front of one that lies behind the span.
    assert_eq!(read(&["A"], 896..=u64::MAX).await, [898]);
    assert_eq!(read(&["A", "C"], 4..=10).await, [4, 6, 7, 9, 10]);
    assert_eq!(read(&["B"], 4..=4).await, [0_u64; 0]);
    assert_eq!(read(&["B"], 900..=u64::MAX).await, [0_u64; 0]);
    assert_eq!(read(&["D"], 1..=u64::MAX).await, [0_u64; 0]);
}

async fn a_batch_is_bounded_and_nothing_is_lost_between_batches(fixture: Fixture) {
    let tape = fixture.tape();
    for chunk in 0..5 {
        let bars = (0..1_000).map(|number| bar("A", chunk * 1_000 + number)).collect();
        tape.append_batch(bars).await.unwrap();
    }
    let mut reader = tape.read(MARKET, &[], 1).await.unwrap();
    let mut all = Vec::new();
    for max in (1..).map(|round| round * 7 % 60 + 1) {
        let batch = tokio::time::timeout(PATIENCE, reader.batch(max)).await.unwrap().unwrap();
        assert!(!batch.is_empty() && batch.len() <= max, "{} of {max}", batch.len());
        all.extend(sequences(&batch));
        if all.len() == 5_000 {
            break;
        }
    }
    assert_eq!(all, (1..=5_000).collect::<Vec<_>>());
}

async fn a_cancelled_batch_loses_nothing(fixture: Fixture) {
    let tape = fixture.tape();
    let mut reader = tape.read(MARKET, &[], 1).await.unwrap();
    let mut seen = Vec::new();
    let writer = tokio::spawn(async move {
        for number in 0..300 {
            tape.append(bar("A", number)).await.unwrap();
        }
    });
    while seen.len() < 300 {
        // Cancelled at every stage of waiting.
        let wait = Duration::from_micros(seen.len() as u64 % 50 * 20);
        if let Ok(batch) = tokio::time::timeout(wait, reader.batch(10)).await {
            seen.extend(sequences(&batch.unwrap()));
        }
    }
    writer.await.unwrap();
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
}

async fn an_undecodable_message_is_delivered_as_such(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(bar("A", 1)).await.unwrap();
    fixture.publish_raw("market.bar.1h.A", b"\xff\xff nonsense", None).await;
    fixture.publish_raw("market.bar.1h.A", b"{\"id\": 5}", Some("application/json")).await;
    tape.append(bar("A", 2)).await.unwrap();
    let mut reader = tape.read(MARKET, &[], 1).await.unwrap();
    let read = take(&mut reader, 4).await;
    assert_eq!(sequences(&read), [1, 2, 3, 4]);
    let Delivery::Undecodable { sequence: 2, subject, payload, .. } = &read[1] else {
        panic!("expected an undecodable message, got {:?}", read[1]);
    };
    assert_eq!((subject.as_str(), payload.as_slice()), ("market.bar.1h.A", &b"\xff\xff nonsense"[..]));
    assert!(matches!(read[2], Delivery::Undecodable { sequence: 3, .. }), "{:?}", read[2]);
    assert!(matches!(read[3], Delivery::Event(_)));
    assert!(tape.get(MARKET, 2).await.is_err());
    // What cannot be read still counts for an expectation.
    let appended = tape.append(crate::fixture::expecting(bar("A", 3), 4)).await.unwrap();
    assert_eq!(appended.sequence, 5);
}

async fn json_of_a_plain_client_is_read(fixture: Fixture) {
    let tape = fixture.tape();
    let json = br#"{"id":"hand-made-1","eventTime":"2024-05-01T14:30:00Z","signal":{"strategy":"mine",
        "legs":[{"symbol":"BRK.B","intent":"INTENT_ENTER_LONG","quantityE9":"5000000000"}]}}"#;
    fixture.publish_raw("signal.mine.BRK%2EB", json, None).await;
    fixture.publish_raw("signal.mine.BRK%2EB", json, Some("application/json")).await;
    let mut reader = tape.read(TRADING, &[], 1).await.unwrap();
    for delivery in take(&mut reader, 2).await {
        let Delivery::Event(read) = delivery else { panic!("expected an event, got {delivery:?}") };
        let Some(contracts::v1::event::Body::Signal(signal)) = read.event.body else { panic!("no signal") };
        assert_eq!(read.event.id, "hand-made-1");
        assert_eq!(
            (signal.legs[0].symbol.as_str(), signal.legs[0].quantity_e9),
            ("BRK.B", Some(5_000_000_000))
        );
    }
    assert_eq!(tape.last(TRADING, "signal.mine.>").await.unwrap().unwrap().sequence, 2);
}

async fn single_events_are_found(fixture: Fixture) {
    let tape = fixture.tape();
    assert_eq!(tape.state(MARKET).await.unwrap(), StreamState::default());
    assert!(tape.last(MARKET, "market.>").await.unwrap().is_none());
    for number in 1..=3 {
        tape.append(bar("A", number)).await.unwrap();
        tape.append(bar("B", number)).await.unwrap();
    }
    let last = |filter: &'static str| {
        let tape = tape.clone();
        async move { tape.last(MARKET, filter).await.unwrap().map(|found| found.sequence) }
    };
    assert_eq!(last("market.bar.1h.A").await, Some(5));
    assert_eq!(last("market.bar.*.B").await, Some(6));
    assert_eq!(last(">").await, Some(6));
    assert_eq!(last("market.bar.1h.C").await, None);
    assert_eq!(tape.get(MARKET, 4).await.unwrap().unwrap().event.id, bar("B", 2).event.id);
    assert!(tape.get(MARKET, 0).await.unwrap().is_none());
    assert!(tape.get(MARKET, 7).await.unwrap().is_none());
    let state = tape.state(MARKET).await.unwrap();
    assert_eq!((state.first_sequence, state.last_sequence, state.messages), (1, 6, 6));
    assert!(state.bytes > 0);
}

async fn followers_have_everything_once_wherever_they_begin(fixture: Fixture) {
    const EVENTS: u32 = 2_000;
    let tape = fixture.tape();
    tape.append_batch((0..500).map(|number| bar("A", number)).collect()).await.unwrap();
    let writer = tape.clone();
    let writing = tokio::spawn(async move {
        for number in 500..EVENTS {
            writer.append(bar("A", number)).await.unwrap();
        }
    });
    let mut readings = Vec::new();
    for from in [0_u64, 1, 300, 499, 500, 501, 502, 700] {
        let mut reader = tape.follow(MARKET, from).await.unwrap();
        readings.push(tokio::spawn(async move {
            let first = from.max(1);
            let count = usize::try_from(u64::from(EVENTS) + 1 - first).unwrap();
            let mut read = Vec::new();
            while read.len() < count {
                // A call that is dropped loses nothing.
                tokio::time::timeout(Duration::ZERO, reader.batch(7))
                    .await
                    .map_or_else(|_| {}, |batch| read.extend(sequences(&batch.unwrap())));
                let batch = tokio::time::timeout(Duration::from_millis(5), reader.batch(64)).await;
                read.extend(batch.map_or_else(|_| Vec::new(), |batch| sequences(&batch.unwrap())));
            }
            assert_eq!(read, (first..=u64::from(EVENTS)).collect::<Vec<_>>(), "from {from}");
        }));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    writing.await.unwrap();
    for reading in readings {
        tokio::time::timeout(PATIENCE, reading).await.unwrap().unwrap();
    }
}

async fn who_falls_behind_the_others_misses_nothing(fixture: Fixture) {
    let tape = fixture.tape();
    let mut quick = tape.follow(MARKET, 1).await.unwrap();
    let mut slow = tape.follow(MARKET, 1).await.unwrap();
    for number in 0..1_000 {
        tape.append(bar("A", number)).await.unwrap();
        assert_eq!(sequences(&take(&mut quick, 1).await), [u64::from(number) + 1]);
    }
    let all = take(&mut slow, 1_000).await;
    assert_eq!(sequences(&all), (1..=1_000).collect::<Vec<_>>());
    tape.append(bar("A", 1_000)).await.unwrap();
    for reader in [&mut quick, &mut slow] {
        assert_eq!(sequences(&take(reader, 1).await), [1_001]);
    }
}

async fn an_unknown_stream_is_an_error(fixture: Fixture) {
    let tape = fixture.tape();
    assert!(tape.read("NOWHERE", &[], 1).await.is_err());
    assert!(tape.follow("NOWHERE", 1).await.is_err());
    assert!(tape.state("NOWHERE").await.is_err());
    assert!(tape.last("NOWHERE", "a.b").await.is_err());
    assert!(tape.consume(MARKET, "nobody").await.is_err());
}

async fn a_bookmark_tells_whether_the_tape_is_still_the_same(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append_batch((0..3).map(|number| bar("A", number)).collect()).await.unwrap();
    fixture.publish_raw("market.bar.1h.A", b"no event", None).await;
    let mut reader = tape.read(MARKET, &[], 1).await.unwrap();
    let read = take(&mut reader, 4).await;
    for delivery in &read {
        tape.check(MARKET, &Bookmark::at(delivery)).await.unwrap();
    }
    tape.check(MARKET, &Bookmark::default()).await.unwrap();
    tape.check(MARKET, &Bookmark::before(5)).await.unwrap();
    let (id, other) = (bar("A", 0).event.id, bar("A", 1).event.id);
    let another = Bookmark { sequence: 2, id: Some(id.clone()) };
    let error = tape.check(MARKET, &another).await.unwrap_err();
    assert!(error.is_taken_back(), "{error}");
    let said =
        format!("at sequence 2 of MARKET, which was read before, expected event {id}, found event {other}");
    assert!(error.to_string().ends_with(&said), "{error}");
    let none = tape.check(MARKET, &Bookmark { sequence: 4, id: Some(id) }).await.unwrap_err();
    assert!(none.is_taken_back() && none.to_string().ends_with("found no event"), "{none}");
    let short = tape.check(MARKET, &Bookmark::before(6)).await.unwrap_err();
    assert!(
        short.is_taken_back() && short.to_string().ends_with("found the end of the stream at 4"),
        "{short}"
    );
}

async fn what_a_stream_has_let_go_of_leaves_its_sequences_behind(fixture: Fixture) {
    let tape = fixture.tape();
    for _ in 0..3 {
        fixture.publish_raw("log.a.info", b"line", None).await;
    }
    fixture.let_go(LOGS, 2).await;
    let state = tape.state(LOGS).await.unwrap();
    assert_eq!((state.first_sequence, state.last_sequence, state.messages), (3, 3, 1));
    assert_eq!(sequences(&take(&mut tape.read(LOGS, &[], 1).await.unwrap(), 1).await), [3]);
    fixture.let_go(LOGS, 3).await;
    let none = StreamState { last_sequence: 3, ..StreamState::default() };
    assert_eq!(tape.state(LOGS).await.unwrap(), none);
    assert_eq!(tape.last_sequence(LOGS, "log.>").await.unwrap(), 0);
    assert!(tape.get(LOGS, 3).await.unwrap().is_none());
    // Whoever has read it stands where it stood, and goes on behind it.
    tape.check(LOGS, &Bookmark::before(4)).await.unwrap();
    let mut reader = tape.read(LOGS, &[], 4).await.unwrap();
    fixture.publish_raw("log.a.info", b"line", None).await;
    assert_eq!(sequences(&take(&mut reader, 1).await), [4]);
    assert_eq!(tape.state(LOGS).await.unwrap().first_sequence, 4);
}
