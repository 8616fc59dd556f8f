//! The last quote and the last trade of a symbol.

use std::sync::Arc;

use contracts::v1::event::Body;
use contracts::v1::{Event, Quote, Trade};
use contracts::{Subject, to_timestamp};
use event_log::{Append, Expect, MemoryLog, Tape};
use runtime::{LastQuote, LastTick, LastTrade, SizedPrice};

async fn append(tape: &Tape, at_ns: i64, body: Body) {
    let event = Event {
        id: format!("tick-{at_ns}"),
        event_time: Some(to_timestamp(at_ns)),
        body: Some(body),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap();
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
}

fn quote(bid_e9: i64, ask_e9: i64) -> Body {
    Body::Quote(Quote {
        symbol: "A".into(),
        bid_e9,
        bid_size_e3: 200_000,
        ask_e9,
        ask_size_e3: 300_000,
        ..Quote::default()
    })
}

fn trade(symbol: &str, price_e9: i64) -> Body {
    Body::Trade(Trade { symbol: symbol.into(), price_e9, size_e3: 500, ..Trade::default() })
}

#[tokio::test]
async fn a_side_without_a_price_is_absent() {
    let tape: Tape = Arc::new(MemoryLog::new());
    assert_eq!(LastTick::of(tape.as_ref(), "A").await.unwrap(), LastTick::default());
    append(&tape, 1, quote(7, 9)).await;
    append(&tape, 2, quote(0, 8)).await;
    append(&tape, 3, trade("A", 5)).await;
    append(&tape, 4, trade("B", 6)).await;
    let told = LastTick::of(tape.as_ref(), "A").await.unwrap();
    let ask = SizedPrice { price_e9: 8, size_e3: 300_000 };
    assert_eq!(told.quote, Some(LastQuote { bid: None, ask: Some(ask), at_ns: 2 }));
    let traded = SizedPrice { price_e9: 5, size_e3: 500 };
    assert_eq!(told.trade, Some(LastTrade { traded, at_ns: 3 }));
    // A trade has a price.
    append(&tape, 5, trade("A", 0)).await;
    append(&tape, 6, quote(7, 0)).await;
    let told = LastTick::of(tape.as_ref(), "A").await.unwrap();
    assert_eq!((told.trade, told.quote.map(|quote| quote.ask)), (None, Some(None)));
}

#[tokio::test]
async fn what_is_no_event_of_its_kind_hides_only_itself() {
    let memory = MemoryLog::new();
    let tape: Tape = Arc::new(memory.clone());
    append(&tape, 1, quote(7, 9)).await;
    append(&tape, 2, trade("A", 5)).await;
    memory.publish_raw("quote.A", b"none", None).unwrap();
    let told = LastTick::of(tape.as_ref(), "A").await.unwrap();
    assert_eq!((told.quote, told.trade.map(|trade| trade.at_ns)), (None, Some(2)));
}
