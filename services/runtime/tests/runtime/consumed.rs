//! What a durable consumer delivered here, and what another instance took.

use std::sync::Arc;

use contracts::stream::MARKET;
use contracts::v1::event::Body;
use contracts::v1::{Bar, Event};
use contracts::{Subject, to_timestamp};
use event_log::{Append, Expect, MemoryLog, Tape};
use runtime::Consumed;

const DURABLE: &str = "strategy";

/// A tape with bars behind each other.
async fn tape(bars: i64) -> Tape {
    let tape: Tape = Arc::new(MemoryLog::new());
    for number in 1..=bars {
        let bar = Bar { symbol: "A".into(), timeframe: "1h".into(), ..Bar::default() };
        let event = Event {
            id: format!("bar-{number}"),
            event_time: Some(to_timestamp(number)),
            body: Some(Body::Bar(bar)),
            ..Event::default()
        };
        let subject = Subject::for_event(&event, None).unwrap();
        tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    }
    tape
}

#[tokio::test]
async fn what_another_instance_took_is_missed() {
    let tape = tape(9).await;
    let mut old = tape.consume(MARKET, DURABLE).await.unwrap();
    assert_eq!(old.batch(9).await.unwrap().len(), 9);
    old.ack_through(2).await.unwrap();
    let mut here = Consumed::open(&tape, MARKET, DURABLE).await.unwrap();
    assert_eq!(here.through(), 2);
    here.take(&tape, 3).await.unwrap();
    // Delivered again it is nothing new.
    here.take(&tape, 3).await.unwrap();
    here.check(&tape).await.unwrap();
    old.ack_through(5).await.unwrap();
    // It is found out without another delivery too.
    here.check(&tape).await.unwrap_err();
    let missed = here.take(&tape, 6).await.unwrap_err().to_string();
    assert!(missed.contains("another client was given what came next"), "{missed}");
    assert_eq!(here.through(), 3);
}

#[tokio::test]
async fn a_hole_in_the_stream_is_nobodys() {
    let tape = tape(1).await;
    let mut here = Consumed::open(&tape, MARKET, DURABLE).await.unwrap();
    here.take(&tape, 4).await.unwrap();
    assert_eq!(here.through(), 4);
}
