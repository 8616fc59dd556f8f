//! Browsing: messages as they are, forwards, backwards, by subject and by moment.

use contracts::stream::{MARKET, TRADING};
use event_log::{Moment, STORED_MAX, Stored, Tape, first_at};

use crate::fixture::{Fixture, accepted, bar, fill, order, plain_client, signal};

crate::contract!(
    messages_are_shown_as_they_are,
    messages_are_read_forwards_and_backwards,
    backwards_finds_what_is_rare_and_what_is_clustered,
    subjects_are_counted,
    a_moment_is_found,
    what_is_not_there_is_empty_or_an_error,
);

fn sequences(stored: &[Stored]) -> Vec<u64> {
    stored.iter().map(|stored| stored.sequence).collect()
}

async fn messages_are_shown_as_they_are(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(bar("A", 1)).await.unwrap();
    fixture.publish_raw("market.bar.1h.B", b"\xff\x00nonsense", None).await;
    fixture.publish_raw("market.bar.1h.C", b"{\"id\":1}", Some("application/json")).await;
    let stored = tape.stored_from(MARKET, ">", 1, 10).await.unwrap();
    assert_eq!(sequences(&stored), [1, 2, 3]);
    let own = bar("A", 1);
    assert_eq!(stored[0].subject, "market.bar.1h.A");
    assert_eq!(stored[0].header("nats-msg-id"), Some(own.event.id.as_str()));
    assert_eq!(stored[0].decode().unwrap().body, own.event.body);
    assert!(stored[0].stored_ns > 1_600_000_000_000_000_000);
    assert!(stored[0].stored_ns <= stored[1].stored_ns);
    assert_eq!(stored[1].payload, b"\xff\x00nonsense");
    assert!(stored[1].headers.is_empty(), "{:?}", stored[1].headers);
    assert!(stored[1].decode().is_err());
    assert_eq!(stored[2].headers, [("Content-Type".to_owned(), "application/json".to_owned())]);
    assert!(stored[2].decode().unwrap_err().to_string().contains("`id`: 1, expected a string"));
}

async fn messages_are_read_forwards_and_backwards(fixture: Fixture) {
    let tape = fixture.tape();
    // A and B take turns: A has the odd sequences.
    let mut entries = Vec::new();
    for number in 0..300 {
        entries.extend([bar("A", number), bar("B", number)]);
    }
    tape.append_batch(entries).await.unwrap();
    let from = async |filter: &str, from, max| {
        sequences(&tape.stored_from(MARKET, filter, from, max).await.unwrap())
    };
    let before = async |filter: &str, before, max| {
        sequences(&tape.stored_before(MARKET, filter, before, max).await.unwrap())
    };
    assert_eq!(from(">", 0, 3).await, [1, 2, 3]);
    assert_eq!(from("market.bar.1h.A", 2, 3).await, [3, 5, 7]);
    assert_eq!(from("market.bar.1h.B", 599, 3).await, [600]);
    assert_eq!(from(">", 601, 3).await, [] as [u64; 0]);
    assert_eq!(before(">", u64::MAX, 3).await, [600, 599, 598]);
    assert_eq!(before(">", 3, 10).await, [2, 1]);
    assert_eq!(before(">", 1, 10).await, [] as [u64; 0]);
    assert_eq!(before("market.bar.1h.A", u64::MAX, 3).await, [599, 597, 595]);
    assert_eq!(before("market.*.*.A", 595, 2).await, [593, 591]);
    // Pages join without a gap.
    let mut seen = Vec::new();
    let mut cursor = u64::MAX;
    loop {
        let page = before("market.bar.1h.B", cursor, 70).await;
        let Some(last) = page.last() else { break };
        cursor = *last;
        seen.extend(page);
    }
    assert_eq!(seen, (1..=300).rev().map(|number| number * 2).collect::<Vec<_>>());
}

async fn backwards_finds_what_is_rare_and_what_is_clustered(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(bar("RARE", 1)).await.unwrap();
    let dense = |symbol: &'static str, count| (0..count).map(move |number| bar(symbol, number)).collect();
    for batch in [dense("OLD", 900), dense("NEW", 1_000)] {
        tape.append_batch(batch).await.unwrap();
    }
    tape.append(bar("RARE", 2)).await.unwrap();
    tape.append_batch(dense("END", 500)).await.unwrap();
    let before = async |filter: &str, before, max| {
        sequences(&tape.stored_before(MARKET, filter, before, max).await.unwrap())
    };
    assert_eq!(before("market.bar.1h.RARE", u64::MAX, 50).await, [1_902, 1]);
    assert_eq!(before("market.bar.1h.RARE", 1_902, 50).await, [1]);
    assert_eq!(before("market.bar.1h.OLD", u64::MAX, 2).await, [901, 900]);
    assert_eq!(before("market.bar.1h.OLD", u64::MAX, STORED_MAX).await.len(), 900);
    assert_eq!(before("market.bar.1h.NEW", 1_500, 3).await, [1_499, 1_498, 1_497]);
}

async fn subjects_are_counted(fixture: Fixture) {
    let tape = fixture.tape();
    let order = order("A", 1);
    for entry in [signal("sma", "A", 1), signal("sma", "A", 2), signal("sma", "B", 1)] {
        tape.append(entry).await.unwrap();
    }
    tape.append(accepted(&order, "a", 0)).await.unwrap();
    tape.append(fill(&order, 1, 4)).await.unwrap();
    let found = tape.subjects(TRADING, "signal.>").await.unwrap();
    let counts: Vec<_> = found.counts.iter().map(|count| (count.subject.as_str(), count.messages)).collect();
    assert_eq!(counts, [("signal.sma.A", 2), ("signal.sma.B", 1)]);
    assert_eq!(found.total, 2);
    assert_eq!(tape.subjects(TRADING, ">").await.unwrap().total, 4);
    assert_eq!(tape.subjects(TRADING, "risk.>").await.unwrap(), event_log::Subjects::default());
}

async fn a_moment_is_found(fixture: Fixture) {
    let tape = fixture.tape();
    let event = async |tape: &Tape, hours: i64| {
        first_at(tape, MARKET, Moment::Event, hours * 3_600_000_000_000).await.unwrap()
    };
    assert_eq!(event(&tape, 0).await, 1, "an empty stream");
    tape.append_batch((0..100).map(|number| bar("A", number * 2)).collect()).await.unwrap();
    fixture.publish_raw("market.bar.1h.B", b"nonsense", None).await;
    assert_eq!(event(&tape, -5).await, 1);
    assert_eq!(event(&tape, 0).await, 1);
    assert_eq!(event(&tape, 99).await, 51);
    assert_eq!(event(&tape, 100).await, 51);
    assert_eq!(event(&tape, 199).await, 102, "behind the last");
    let recorded = tape.stored_from(MARKET, ">", 101, 1).await.unwrap().remove(0).stored_ns;
    assert_eq!(first_at(&tape, MARKET, Moment::Recorded, 0).await.unwrap(), 1);
    assert_eq!(first_at(&tape, MARKET, Moment::Recorded, recorded).await.unwrap(), 101);
    assert_eq!(first_at(&tape, MARKET, Moment::Recorded, recorded + 1).await.unwrap(), 102);
}

async fn what_is_not_there_is_empty_or_an_error(fixture: Fixture) {
    let tape = fixture.tape();
    assert!(tape.stored_from(MARKET, ">", 1, 10).await.unwrap().is_empty());
    assert!(tape.stored_before(MARKET, ">", u64::MAX, 10).await.unwrap().is_empty());
    assert_eq!(tape.subjects(MARKET, ">").await.unwrap(), event_log::Subjects::default());
    tape.append(bar("A", 1)).await.unwrap();
    assert!(tape.stored_before(MARKET, "market.bar.1d.>", u64::MAX, 10).await.unwrap().is_empty());
    for filter in ["", "a..b", "a b", ">.a"] {
        assert!(tape.stored_from(MARKET, filter, 1, 1).await.is_err(), "{filter:?}");
        assert!(tape.subjects(MARKET, filter).await.is_err(), "{filter:?}");
    }
    assert!(tape.stored_from("NOWHERE", ">", 1, 1).await.is_err());
    assert!(tape.stored_before("NOWHERE", ">", 1, 1).await.is_err());
    assert!(tape.subjects("NOWHERE", ">").await.is_err());
}

/// Number of consumers of a stream, as the server tells it.
async fn consumers(client: &async_nats::Client, stream: &str) -> u64 {
    let answer = client.request(format!("$JS.API.STREAM.INFO.{stream}"), "".into()).await.unwrap();
    let info: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    info["state"]["consumer_count"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsing_adds_no_consumer() {
    let fixture = Fixture::jetstream().await;
    let Fixture::JetStream { server, .. } = &fixture else { panic!("a server was asked for") };
    let client = plain_client(server).await;
    let tape = fixture.tape();
    tape.append_batch((0..500).map(|number| bar("A", number)).collect()).await.unwrap();
    let before = consumers(&client, MARKET).await;
    for cursor in (1..500).step_by(50) {
        assert!(!tape.stored_from(MARKET, "market.>", cursor, 50).await.unwrap().is_empty());
        tape.stored_before(MARKET, "market.bar.1h.A", cursor, 50).await.unwrap();
        first_at(&tape, MARKET, Moment::Event, 0).await.unwrap();
        // Looked at while under way too, not only when all is over.
        assert_eq!(consumers(&client, MARKET).await, before);
    }
    tape.subjects(MARKET, ">").await.unwrap();
    assert_eq!(consumers(&client, MARKET).await, before);
}
