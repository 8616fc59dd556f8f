//! Sources on the System page and in the API: breakers, and sessions that are missing.

use contracts::v1::event::Body;
use contracts::v1::{Bar, Event, Heartbeat, Origin, SourceBreaker, SourceReported};
use contracts::{Subject, event_id, to_timestamp};
use domain::calendar::Calendar;
use runtime::command::Caller;
use runtime::command::filled::{Action, Filled, record};
use serde_json::Value;

use super::Deck;

fn event(source: &str, at_ns: i64, body: Body) -> Event {
    Event {
        id: event_id(source, "test", u32::try_from(at_ns % 1_000_000_007).unwrap()),
        event_time: Some(to_timestamp(at_ns)),
        source: source.to_owned(),
        body: Some(body),
        ..Event::default()
    }
}

/// The row of a table by its id.
fn row<'a>(page: &'a str, id: &str) -> &'a str {
    let start = page.find(&format!("id=\"{id}\"")).unwrap_or_else(|| panic!("{id} in {page}"));
    page[start..].split("</tr>").next().unwrap()
}

#[tokio::test]
async fn breakers_are_shown_with_what_failed_last() {
    let deck = Deck::empty().await;
    let now_ns = runtime::now_ns();
    let open = SourceBreaker {
        source: "alpaca".to_owned(),
        account: "paper".to_owned(),
        client: "broker".to_owned(),
        state: "open".to_owned(),
        until: Some(to_timestamp(now_ns + 10_000_000_000)),
        failures: 5,
        last_failure: "503: <busy>".to_owned(),
        last_failure_at: Some(to_timestamp(now_ns)),
    };
    let beat = |service: &str, at_ns: i64, breaker: SourceBreaker| {
        let beat = Heartbeat {
            service: service.to_owned(),
            instance: "i1".to_owned(),
            state: "ready".to_owned(),
            breakers: vec![breaker],
            ..Heartbeat::default()
        };
        (Subject::of(&["log", service, "heartbeat"]), event(service, at_ns, Body::Heartbeat(beat)))
    };
    let tried = SourceBreaker {
        account: String::new(),
        client: "live".to_owned(),
        state: "half_open".to_owned(),
        until: None,
        ..open.clone()
    };
    // News ended a minute ago.
    let gone = SourceBreaker { client: "news".to_owned(), ..open.clone() };
    let beats = vec![
        beat("execution", now_ns, open),
        beat("ingest", now_ns, tried),
        beat("news", now_ns - 60_000_000_000, gone),
    ];
    deck.append(beats).await;
    let page = deck.get("/system").await.text;
    let broker = row(&page, "breaker-execution-alpaca-broker-paper");
    for part in ["data-state=\"open\"", "503: &#60;busy&#62;", ">paper<", ">5<", "<time"] {
        assert!(broker.contains(part), "{part} in {broker}");
    }
    assert!(row(&page, "breaker-ingest-alpaca-live-").contains("half open"));
    assert!(row(&page, "breaker-news-alpaca-news-paper").contains("silent"));
    let told: Value = serde_json::from_str(&deck.get("/api/v1/sources/breakers").await.text).unwrap();
    assert_eq!(told.as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!((&told[0]["service"], &told[0]["state"]), (&"execution".into(), &"open".into()));
    assert_eq!(told[0]["until_ns"].as_i64(), Some(now_ns + 10_000_000_000));
}

#[tokio::test]
async fn sessions_that_are_missing_are_counted_for_what_was_filled_and_what_is_streamed() {
    let deck = Deck::empty().await;
    let calendar = Calendar::xnys();
    let day = |date: &str| {
        let session = calendar.session(date.parse().unwrap()).unwrap().unwrap();
        let bar = Bar {
            symbol: "GAPS".to_owned(),
            timeframe: "1d".to_owned(),
            start: Some(to_timestamp(session.open_ns)),
            open_e9: 1_000_000_000,
            high_e9: 1_000_000_000,
            low_e9: 1_000_000_000,
            close_e9: 1_000_000_000,
            volume_e3: 1_000,
            origin: Origin::Backfill.into(),
            ..Bar::default()
        };
        let event = event("yahoo", session.close_ns, Body::Bar(bar));
        (Subject::for_event(&event, None).unwrap(), event)
    };
    // 2025-12-24 is missing, Christmas and the weekend are no sessions.
    deck.append(Vec::from(["2025-12-23", "2025-12-26", "2025-12-29"].map(day))).await;
    let filled = Filled {
        source: "yahoo".to_owned(),
        symbol: "GAPS".to_owned(),
        timeframe: "1d".to_owned(),
        outcome: Ok("3 events appended".to_owned()),
    };
    let caller = Caller { actor: "ada".to_owned(), key: "1".to_owned() };
    record(&deck.tape, &caller, Action::Backfill, &[filled]).await.unwrap();
    let now_ns = runtime::now_ns();
    let report = SourceReported {
        source: "alpaca".to_owned(),
        instance: "i1".to_owned(),
        state: "live".to_owned(),
        symbols: vec!["AAPL".to_owned()],
        last_message: Some(to_timestamp(now_ns)),
        ..SourceReported::default()
    };
    let report = event("alpaca", now_ns, Body::SourceReported(report));
    deck.append(vec![(Subject::for_event(&report, None).unwrap(), report)]).await;
    let page = deck.get("/system").await.text;
    let gaps = row(&page, "filled-yahoo-GAPS-1d");
    assert!(gaps.contains("data-label=\"Missing sessions\" class=\"r num\">1<"), "{gaps}");
    let streamed = row(&page, "filled-alpaca-AAPL-1m");
    for part in ["data-state=\"streamed\"", "no bars", "<time"] {
        assert!(streamed.contains(part), "{part} in {streamed}");
    }
}
