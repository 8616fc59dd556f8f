//! Durable consumers: delivery, acknowledgement, redelivery.

use contracts::stream::MARKET;
use event_log::{Delivery, DurableState};

use crate::fixture::{EXTERNAL, Fixture, bar, consume, sequences, take, until};

crate::contract!(
    what_was_not_acknowledged_comes_again,
    a_consumer_follows_the_stream,
    a_waiting_consumer_sees_a_batch_at_once,
    the_floor_is_the_end_of_what_is_acknowledged_without_a_gap,
    everything_up_to_a_message_is_acknowledged_at_once,
    a_consumer_delivers_what_cannot_be_decoded,
    another_program_takes_over_where_the_first_stopped,
    an_unknown_acknowledgement_changes_nothing,
    a_consumer_tells_how_far_it_is,
);

async fn what_was_not_acknowledged_comes_again(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append_batch((0..20).map(|number| bar("A", number)).collect()).await.unwrap();
    let mut consumer = tape.consume(MARKET, "strategy").await.unwrap();
    assert_eq!(sequences(&consume(&mut consumer, 20).await), (1..=20).collect::<Vec<_>>());
    for sequence in 1..=7 {
        consumer.ack(sequence).await.unwrap();
    }
    until(|| async { tape.ack_floor(MARKET, "strategy").await.unwrap() == 7 }).await;
    drop(consumer);
    let mut again = tape.consume(MARKET, "strategy").await.unwrap();
    assert_eq!(sequences(&consume(&mut again, 13).await), (8..=20).collect::<Vec<_>>());
    // The other consumer of the stream is none the wiser.
    let mut other = tape.consume(MARKET, "execution").await.unwrap();
    assert_eq!(sequences(&consume(&mut other, 20).await), (1..=20).collect::<Vec<_>>());
}

async fn a_consumer_follows_the_stream(fixture: Fixture) {
    let tape = fixture.tape();
    let mut consumer = tape.consume(MARKET, "strategy").await.unwrap();
    // More than one pull asks for.
    for number in 0..2_500_u32 {
        tape.append(bar("A", number)).await.unwrap();
        let sequence = u64::from(number) + 1;
        assert_eq!(sequences(&consume(&mut consumer, 1).await), [sequence]);
        consumer.ack(sequence).await.unwrap();
    }
    until(|| async { tape.ack_floor(MARKET, "strategy").await.unwrap() == 2_500 }).await;
}

async fn a_waiting_consumer_sees_a_batch_at_once(fixture: Fixture) {
    let tape = fixture.tape();
    let mut consumer = tape.consume(MARKET, "strategy").await.unwrap();
    let mut reader = tape.read(MARKET, &[], 1).await.unwrap();
    for round in 0..5_u32 {
        let bars = (0..100).map(|number| bar("A", round * 100 + number)).collect();
        let from = std::time::Instant::now();
        tape.append_batch(bars).await.unwrap();
        let expected: Vec<_> = (u64::from(round) * 100 + 1..=u64::from(round) * 100 + 100).collect();
        assert_eq!(sequences(&take(&mut reader, 100).await), expected);
        assert_eq!(sequences(&consume(&mut consumer, 100).await), expected);
        assert!(from.elapsed().as_secs() < 2, "{:?}", from.elapsed());
        for sequence in expected {
            consumer.ack(sequence).await.unwrap();
        }
    }
}

async fn the_floor_is_the_end_of_what_is_acknowledged_without_a_gap(fixture: Fixture) {
    let tape = fixture.tape();
    assert_eq!(tape.ack_floor(MARKET, EXTERNAL).await.unwrap(), 0);
    tape.append_batch((0..10).map(|number| bar("A", number)).collect()).await.unwrap();
    let mut consumer = tape.consume(MARKET, EXTERNAL).await.unwrap();
    consume(&mut consumer, 10).await;
    for sequence in [1, 2, 4, 5] {
        consumer.ack(sequence).await.unwrap();
    }
    until(|| async { tape.ack_floor(MARKET, EXTERNAL).await.unwrap() == 2 }).await;
    consumer.ack(3).await.unwrap();
    until(|| async { tape.ack_floor(MARKET, EXTERNAL).await.unwrap() == 5 }).await;
}

async fn everything_up_to_a_message_is_acknowledged_at_once(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append_batch((0..10).map(|number| bar("A", number)).collect()).await.unwrap();
    for name in ["strategy", EXTERNAL] {
        let mut consumer = tape.consume(MARKET, name).await.unwrap();
        consume(&mut consumer, 8).await;
        consumer.ack_through(5).await.unwrap();
        until(|| async { tape.ack_floor(MARKET, name).await.unwrap() == 5 }).await;
        // Nothing new, and something not delivered yet: only what was delivered is acknowledged.
        consumer.ack_through(5).await.unwrap();
        consumer.ack_through(99).await.unwrap();
        drop(consumer);
        until(|| async { tape.ack_floor(MARKET, name).await.unwrap() >= 8 }).await;
        let mut again = tape.consume(MARKET, name).await.unwrap();
        let floor = tape.ack_floor(MARKET, name).await.unwrap();
        let behind = consume(&mut again, usize::try_from(10 - floor).unwrap()).await;
        assert_eq!(sequences(&behind), (floor + 1..=10).collect::<Vec<_>>(), "{name}");
    }
}

async fn a_consumer_delivers_what_cannot_be_decoded(fixture: Fixture) {
    let tape = fixture.tape();
    fixture.publish_raw("market.bar.1h.A", b"nonsense", None).await;
    tape.append(bar("A", 1)).await.unwrap();
    let mut consumer = tape.consume(MARKET, "strategy").await.unwrap();
    let taken = consume(&mut consumer, 2).await;
    assert!(matches!(taken[0], Delivery::Undecodable { sequence: 1, .. }));
    assert!(matches!(taken[1], Delivery::Event(_)));
    consumer.ack(1).await.unwrap();
    consumer.ack(2).await.unwrap();
    until(|| async { tape.ack_floor(MARKET, "strategy").await.unwrap() == 2 }).await;
}

async fn another_program_takes_over_where_the_first_stopped(fixture: Fixture) {
    let tape = fixture.tape();
    let mut next = 0;
    for round in 0..10_u64 {
        tape.append_batch((next..next + 10).map(|number| bar("A", number)).collect()).await.unwrap();
        next += 10;
        let program = fixture.other().await;
        let mut consumer = program.consume(MARKET, "strategy").await.unwrap();
        // Everything behind the floor, which is five further with every round.
        let behind = usize::try_from(10 + 5 * round).unwrap();
        let taken = sequences(&consume(&mut consumer, behind).await);
        assert_eq!(taken[0], 5 * round + 1, "round {round}");
        for sequence in &taken[..5] {
            consumer.ack(*sequence).await.unwrap();
        }
        until(|| async { tape.ack_floor(MARKET, "strategy").await.unwrap() == 5 * round + 5 }).await;
    }
}

async fn an_unknown_acknowledgement_changes_nothing(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(bar("A", 1)).await.unwrap();
    let mut consumer = tape.consume(MARKET, "strategy").await.unwrap();
    consume(&mut consumer, 1).await;
    consumer.ack(99).await.unwrap();
    assert_eq!(tape.ack_floor(MARKET, "strategy").await.unwrap(), 0);
    consumer.ack(1).await.unwrap();
    consumer.ack(1).await.unwrap();
    until(|| async { tape.ack_floor(MARKET, "strategy").await.unwrap() == 1 }).await;
}

async fn a_consumer_tells_how_far_it_is(fixture: Fixture) {
    let tape = fixture.tape();
    assert_eq!(tape.durable_state(MARKET, "nobody").await.unwrap(), None);
    tape.append_batch((0..10).map(|number| bar("A", number)).collect()).await.unwrap();
    let state = async || tape.durable_state(MARKET, EXTERNAL).await.unwrap().unwrap();
    until(|| async { state().await.pending == 10 }).await;
    let mut consumer = tape.consume(MARKET, EXTERNAL).await.unwrap();
    consume(&mut consumer, 10).await;
    consumer.ack_through(7).await.unwrap();
    let expected = DurableState { ack_floor: 7, pending: 0, ack_pending: 3 };
    until(|| async { state().await == expected }).await;
}
