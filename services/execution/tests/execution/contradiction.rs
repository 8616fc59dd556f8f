//! Messages that contradict their subject, or have no time: nothing follows from them, and what comes behind them goes
//! on.

use std::sync::Arc;

use contracts::v1::{SessionPhase, Side, TimeInForce};
use contracts::{Subject, stream};
use domain::book::Book;
use event_log::{EventLog as _, MemoryLog};
use runtime::ClockMode;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{HOUR_NS, OPEN_NS, Script, Staleness, bar, config, context, limit, order, session};

fn start(tape: &MemoryLog) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    let context = context(Arc::new(tape.clone()), ClockMode::Tape, shutdown.clone());
    let config = config(tape, Staleness::Failing);
    let task = tokio::spawn(async move { execution::run(context, config).await.unwrap() });
    (shutdown, task)
}

/// The fold of TRADING, and how many of its messages are no events.
async fn folded(tape: &MemoryLog) -> (Book, u64) {
    let (mut book, mut others) = (Book::default(), 0);
    for sequence in 1..=tape.state(stream::TRADING).await.unwrap().last_sequence {
        match tape.get(stream::TRADING, sequence).await {
            Ok(recorded) => {
                book.apply(sequence, &recorded.unwrap().event).unwrap();
            }
            Err(error) => {
                assert!(error.is_undecodable(), "{error}");
                book.skip(sequence);
                others += 1;
            }
        }
    }
    (book, others)
}

#[tokio::test]
async fn what_is_no_event_stops_nobody_and_holds_nothing_up() {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    let (shutdown, running) = start(&tape);
    script.setup().await;
    script.instant(OPEN_NS, vec![session(SessionPhase::Opened, OPEN_NS)]).await;
    let resting = limit(order("rest", "paper", "A", Side::Buy, 10), 10, TimeInForce::Gtc);
    script.approve("rest", OPEN_NS, std::slice::from_ref(&resting), &[&["accepted"]]).await;

    let requested = Subject::order(&resting, "cancel_requested");
    let cancel =
        format!("{{\"id\":\"c\",\"orderCancelRequested\":{{\"orderId\":\"{}\"}}}}", resting.order_id);
    let everything = r#"{"id":"k1","eventTime":"2024-01-08T15:00:00Z","tradingKilled":{"flatten":true}}"#;
    for (subject, payload) in [
        ("control.trading.second.killed", everything),
        ("control.trading.all.killed", r#"{"id":"k2","tradingKilled":{"flatten":true}}"#),
        // They are the last ones of an account and of an order, which the next event there has to expect.
        ("account.paper.breaker_reset", r#"{"id":"r1","breakerReset":{"account":"paper"}}"#),
        (requested.as_str(), cancel.as_str()),
    ] {
        tape.publish_raw(subject, payload.as_bytes(), None).unwrap();
    }
    let t = OPEN_NS + HOUR_NS;
    script.instant(t, vec![bar("A", t, 9, 9)]).await;
    assert!(tape.last(stream::TRADING, "fill.>").await.unwrap().is_some(), "the order works and fills");
    let (book, others) = folded(&tape).await;
    assert_eq!((book.kills().count(), others), (0, 4));
    for account in ["paper", "second"] {
        assert!(!book.is_stopped(account, "momentum", false), "{account}");
    }
    assert_eq!(tape.state(stream::PARKED).await.unwrap().messages, 4, "each is parked once");

    // What a signal should have been is risk's to park.
    tape.publish_raw("signal.momentum.A", b"{}", None).unwrap();
    // A start behind such a message goes on too, and parks nothing twice.
    tape.publish_raw("account.paper.breaker_reset", br#"{"id":"r2","breakerReset":{}}"#, None).unwrap();
    shutdown.cancel();
    running.await.unwrap();
    let (shutdown, running) = start(&tape);
    let t = t + HOUR_NS;
    script.instant(t, vec![bar("A", t, 9, 9)]).await;
    assert_eq!(tape.state(stream::PARKED).await.unwrap().messages, 5);
    shutdown.cancel();
    running.await.unwrap();
}
