//! Plain messages and acknowledgements as they pass, and their order.

use contracts::stream::MARKET;
use event_log::AckSeen;

use crate::fixture::{EXTERNAL, Fixture, PATIENCE, bar, consume, expecting, signal};

crate::contract!(
    a_hint_reaches_its_subscribers,
    acknowledgements_are_seen,
    what_a_publisher_sent_before_an_acknowledgement_is_ready_when_it_is_seen,
    no_message_means_none_was_sent,
    a_refused_append_passes_too,
);

async fn a_hint_reaches_its_subscribers(fixture: Fixture) {
    let (tape, other) = (fixture.tape(), fixture.other().await);
    let mut hints = tape.hints("clock.*").await.unwrap();
    assert!(hints.ready().is_none());
    other.hint("clock.decide", b"5".to_vec()).await.unwrap();
    other.hint("elsewhere.decide", b"6".to_vec()).await.unwrap();
    other.hint("clock.again", b"7".to_vec()).await.unwrap();
    for (subject, payload) in [("clock.decide", "5"), ("clock.again", "7")] {
        let hint = tokio::time::timeout(PATIENCE, hints.next()).await.unwrap().unwrap();
        assert_eq!((hint.subject.as_str(), hint.payload.as_slice()), (subject, payload.as_bytes()));
    }
}

async fn acknowledgements_are_seen(fixture: Fixture) {
    let (tape, other) = (fixture.tape(), fixture.other().await);
    let mut acks = tape.acks(MARKET).await.unwrap();
    tape.append_batch((0..5).map(|number| bar("A", number)).collect()).await.unwrap();
    for (durable, order) in [("strategy", [1, 2, 3]), ("execution", [2, 3, 5]), (EXTERNAL, [1, 3, 2])] {
        let mut consumer = other.consume(MARKET, durable).await.unwrap();
        consume(&mut consumer, 5).await;
        for sequence in order {
            consumer.ack(sequence).await.unwrap();
            let seen = tokio::time::timeout(PATIENCE, acks.next()).await.unwrap().unwrap();
            assert_eq!(seen, AckSeen { consumer: durable.into(), sequence });
        }
    }
}

/// The rule of the tape clock: signals, then the acknowledgement; who sees the latter has the former.
async fn what_a_publisher_sent_before_an_acknowledgement_is_ready_when_it_is_seen(fixture: Fixture) {
    const BARS: u32 = 400;
    let (tape, publisher) = (fixture.tape(), fixture.other().await);
    let mut hints = tape.hints("signal.>").await.unwrap();
    let mut acks = tape.acks(MARKET).await.unwrap();
    let strategy = tokio::spawn(async move {
        let mut consumer = publisher.consume(MARKET, "strategy").await.unwrap();
        for number in 0..BARS {
            consume(&mut consumer, 1).await;
            for index in 0..number % 4 {
                publisher.append(signal("sma", "A", number * 4 + index)).await.unwrap();
            }
            consumer.ack(u64::from(number) + 1).await.unwrap();
        }
        // A program that ends here might take its last acknowledgement with it.
        (publisher, consumer)
    });
    tape.append_batch((0..BARS).map(|number| bar("A", number)).collect()).await.unwrap();
    for number in 0..BARS {
        let seen = tokio::time::timeout(PATIENCE, acks.next()).await.unwrap().unwrap();
        assert_eq!(seen.sequence, u64::from(number) + 1);
        for index in 0..number % 4 {
            let hint = hints.ready().unwrap_or_else(|| panic!("signal {index} of bar {number} is missing"));
            assert_eq!(hint.subject, "signal.sma.A");
        }
        if number % 50 == 0 {
            // Polling until the cooperative budget is used up must not make a queue look empty.
            while tokio::task::coop::has_budget_remaining() {
                tokio::task::coop::consume_budget().await;
            }
        }
    }
    strategy.await.unwrap();
}

async fn no_message_means_none_was_sent(fixture: Fixture) {
    let (tape, publisher) = (fixture.tape(), fixture.other().await);
    let mut hints = tape.hints("signal.>").await.unwrap();
    let mut acks = tape.acks(MARKET).await.unwrap();
    tape.append(bar("A", 1)).await.unwrap();
    let mut consumer = publisher.consume(MARKET, "strategy").await.unwrap();
    consume(&mut consumer, 1).await;
    consumer.ack(1).await.unwrap();
    tokio::time::timeout(PATIENCE, acks.next()).await.unwrap().unwrap();
    assert!(hints.ready().is_none());
}

async fn a_refused_append_passes_too(fixture: Fixture) {
    let (tape, publisher) = (fixture.tape(), fixture.other().await);
    let mut hints = tape.hints("market.bar.>").await.unwrap();
    publisher.append(expecting(bar("A", 1), 0)).await.unwrap();
    publisher.append(expecting(bar("A", 2), 0)).await.unwrap_err();
    for _ in 0..2 {
        tokio::time::timeout(PATIENCE, hints.next()).await.unwrap().unwrap();
    }
}
