//! Atomic batches: all or none, repeated, refused.

use contracts::Subject;
use contracts::stream::{MARKET, TRADING};
use contracts::v1::OrderSpec;
use event_log::{Append, AppendError, Appended, Expect, MAX_BATCH};

use crate::fixture::{Fixture, accepted, bar, expecting, fill, order, signal};

crate::contract!(
    a_batch_takes_effect_as_a_whole,
    a_batch_with_one_stale_expectation_stores_nothing,
    a_repeated_batch_answers_where_it_stands,
    a_batch_of_single_appends_answers_where_they_stand,
    a_batch_with_one_stored_event_is_a_conflict,
    a_batch_with_ids_that_a_strategy_took_takes_effect,
    a_batch_of_long_ago_is_not_stored_again,
    several_wildcard_expectations_fit_in_one_batch,
    the_first_event_of_each_subject_may_state_an_expectation,
    a_wrong_batch_is_refused,
    two_batches_on_one_aggregate_cannot_both_win,
    a_batch_may_expect_what_the_one_before_it_is_about_to_write,
);

fn fresh(outcome: &[Appended]) -> Vec<u64> {
    assert!(outcome.iter().all(|appended| !appended.duplicate));
    outcome.iter().map(|appended| appended.sequence).collect()
}

fn repeated(outcome: &[Appended]) -> Vec<u64> {
    assert!(outcome.iter().all(|appended| appended.duplicate));
    outcome.iter().map(|appended| appended.sequence).collect()
}

async fn a_batch_takes_effect_as_a_whole(fixture: Fixture) {
    let tape = fixture.tape();
    let full: Vec<_> = (0..1_000).map(|number| bar("A", number)).collect();
    assert_eq!(full.len(), MAX_BATCH);
    let outcome = tape.append_batch(full).await.unwrap();
    assert_eq!(fresh(&outcome), (1..=1_000).collect::<Vec<_>>());
    assert_eq!(fresh(&tape.append_batch(vec![bar("B", 1)]).await.unwrap()), [1_001]);
    assert_eq!(fresh(&tape.append_batch(vec![bar("B", 2), bar("C", 1)]).await.unwrap()), [1_002, 1_003]);
    assert_eq!(tape.get(MARKET, 500).await.unwrap().unwrap().event.id, bar("A", 499).event.id);
}

async fn a_batch_with_one_stale_expectation_stores_nothing(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(expecting(bar("B", 1), 0)).await.unwrap();
    let batch = vec![expecting(bar("A", 1), 0), expecting(bar("B", 2), 0), bar("C", 1)];
    let refused = tape.append_batch(batch).await.unwrap_err();
    let AppendError::Conflict { filter, actual: Some(actual), .. } = refused else {
        panic!("expected a conflict, got {refused}");
    };
    assert_eq!((filter.as_str(), actual.sequence), ("market.bar.1h.B", 1));
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 1);
    assert!(tape.last(MARKET, "market.bar.1h.A").await.unwrap().is_none());
}

async fn a_repeated_batch_answers_where_it_stands(fixture: Fixture) {
    let tape = fixture.tape();
    let expecting_batch =
        || vec![expecting(bar("A", 1), 0), bar("A", 2), expecting(bar("B", 1), 0), bar("B", 2), bar("C", 1)];
    let plain_batch = || vec![bar("D", 1), bar("D", 2), bar("E", 1)];
    let first = fresh(&tape.append_batch(expecting_batch()).await.unwrap());
    let second = fresh(&tape.append_batch(plain_batch()).await.unwrap());
    assert_eq!(repeated(&tape.append_batch(expecting_batch()).await.unwrap()), first);
    assert_eq!(repeated(&tape.append_batch(plain_batch()).await.unwrap()), second);
    // Also when the subjects have moved on since.
    for symbol in ["A", "B", "C"] {
        tape.append(bar(symbol, 9)).await.unwrap();
    }
    assert_eq!(repeated(&tape.append_batch(expecting_batch()).await.unwrap()), first);
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 11);
}

async fn a_batch_with_ids_that_a_strategy_took_takes_effect(fixture: Fixture) {
    let tape = fixture.tape();
    let order = order("A", 1);
    let filled = || Append { expect: Expect::Nothing, ..fill(&order, 1, 0) };
    let batch = || vec![accepted(&order, "first", 0), filled()];
    fixture.publish_under("signal.mine.A", b"{}", &filled().event.id).await;
    assert_eq!(fresh(&tape.append_batch(batch()).await.unwrap()), [2, 3]);
    assert_eq!(repeated(&tape.append_batch(batch()).await.unwrap()), [2, 3]);
    assert_eq!(tape.state(TRADING).await.unwrap().messages, 3);
}

async fn a_batch_of_long_ago_is_not_stored_again(fixture: Fixture) {
    let tape = fixture.tape();
    let orders = [order("A", 1), order("A", 2)];
    let both = |when: &str| -> Vec<Append> {
        let accept = |order: &OrderSpec| accepted(order, &format!("{when} {}", order.order_id), 0);
        orders.iter().map(accept).map(|entry| Append { expect: Expect::Nothing, ..entry }).collect()
    };
    tape.append_batch(both("first")).await.unwrap();
    // Since then something else came under each of its subjects.
    tape.append_batch(both("second")).await.unwrap();
    let outcome = tape.append_batch(both("first")).await;
    let stands = outcome.as_ref().is_ok_and(|appended| appended.iter().all(|one| one.duplicate));
    assert!(stands || matches!(outcome, Err(AppendError::Conflict { .. })), "{outcome:?}");
    assert_eq!(tape.state(TRADING).await.unwrap().messages, 4);
}

async fn a_batch_of_single_appends_answers_where_they_stand(fixture: Fixture) {
    let tape = fixture.tape();
    for entry in [bar("A", 1), bar("X", 1), bar("B", 1)] {
        tape.append(entry).await.unwrap();
    }
    let batch = vec![expecting(bar("A", 1), 0), expecting(bar("B", 1), 0)];
    assert_eq!(repeated(&tape.append_batch(batch).await.unwrap()), [1, 3]);
}

async fn a_batch_with_one_stored_event_is_a_conflict(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(bar("A", 1)).await.unwrap();
    let refused = tape.append_batch(vec![bar("B", 1), bar("A", 1)]).await.unwrap_err();
    let AppendError::Conflict { actual: Some(actual), .. } = refused else {
        panic!("expected a conflict, got {refused}");
    };
    assert_eq!(actual.event.id, bar("A", 1).event.id);
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 1);
}

async fn several_wildcard_expectations_fit_in_one_batch(fixture: Fixture) {
    let tape = fixture.tape();
    let orders = [order("A", 1), order("B", 2), order("C", 3)];
    let open = orders.iter().map(|order| accepted(order, &order.order_id, 0)).collect();
    assert_eq!(fresh(&tape.append_batch(open).await.unwrap()), [1, 2, 3]);
    let fills = |stale: u64| {
        let last = [1, 2, stale];
        orders.iter().zip(last).map(|(order, last)| fill(order, 1, last)).collect::<Vec<_>>()
    };
    assert!(matches!(tape.append_batch(fills(0)).await, Err(AppendError::Conflict { .. })));
    assert_eq!(tape.state(TRADING).await.unwrap().messages, 3);
    // Two events of one order in one batch: the expectation is stated on the first.
    let mut batch = fills(3);
    batch.push(Append { expect: Expect::Nothing, ..fill(&orders[0], 2, 0) });
    assert_eq!(fresh(&tape.append_batch(batch).await.unwrap()), [4, 5, 6, 7]);
    let last = tape.last(TRADING, &Subject::order_filter(&orders[0])).await.unwrap().unwrap();
    assert_eq!(last.sequence, 7);
}

async fn the_first_event_of_each_subject_may_state_an_expectation(fixture: Fixture) {
    let tape = fixture.tape();
    let import = |from: u32, last: [u64; 3]| -> Vec<Append> {
        let symbols = ["A", "B", "C"].into_iter().zip(last);
        symbols
            .flat_map(|(symbol, last)| {
                let rest = (from + 1..from + 10).map(move |number| bar(symbol, number));
                std::iter::once(expecting(bar(symbol, from), last)).chain(rest)
            })
            .collect()
    };
    assert_eq!(fresh(&tape.append_batch(import(0, [0, 0, 0])).await.unwrap()).len(), 30);
    assert_eq!(fresh(&tape.append_batch(import(10, [10, 20, 30])).await.unwrap())[29], 60);
    let stale = tape.append_batch(import(20, [40, 50, 30])).await.unwrap_err();
    assert!(matches!(stale, AppendError::Conflict { expected: 30, .. }), "{stale}");
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 60);
}

async fn a_batch_may_expect_what_the_one_before_it_is_about_to_write(fixture: Fixture) {
    let tape = fixture.tape();
    let batch = |symbol: &str, number: u32, last: u64| {
        let from = 100 * number;
        let rest = (from + 1..from + 100).map(|number| bar(symbol, number));
        std::iter::once(expecting(bar(symbol, from), last)).chain(rest).collect::<Vec<_>>()
    };
    let sent = (0..8).map(|number| tape.append_batch(batch("A", number, 100 * u64::from(number))));
    let mut stored = Vec::new();
    for outcome in futures::future::join_all(sent).await {
        stored.extend(fresh(&outcome.unwrap()));
    }
    assert_eq!(stored, (1..=800).collect::<Vec<_>>());
    // What expects a batch that is refused is refused as well.
    let (first, second) =
        tokio::join!(tape.append_batch(batch("B", 0, 7)), tape.append_batch(batch("B", 1, 900)));
    assert!(matches!(first, Err(AppendError::Conflict { expected: 7, .. })), "{first:?}");
    assert!(matches!(second, Err(AppendError::Conflict { expected: 900, .. })), "{second:?}");
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 800);
}

async fn a_wrong_batch_is_refused(fixture: Fixture) {
    let tape = fixture.tape();
    let beside = Expect::Last { filter: "market.bar.1d.>".into(), sequence: 0 };
    for (batch, words) in [
        (vec![], "0 events"),
        ((0..1_001).map(|number| bar("A", number)).collect(), "1001 events"),
        (vec![bar("A", 1), signal("sma", "A", 1)], "spans"),
        (vec![bar("A", 1), bar("A", 1)], "twice"),
        (vec![expecting(bar("A", 1), 0), expecting(bar("A", 2), 1)], "once"),
        (vec![bar("A", 1), expecting(bar("A", 2), 0)], "once"),
        (vec![bar("A", 1), Append { expect: beside, ..bar("A", 2) }], "does not cover"),
    ] {
        let refused = tape.append_batch(batch).await.unwrap_err();
        assert!(matches!(refused, AppendError::Refused(_)), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 0);
}

async fn two_batches_on_one_aggregate_cannot_both_win(fixture: Fixture) {
    let tapes = [fixture.other().await, fixture.other().await, fixture.other().await];
    for round in 0..10_u32 {
        let last = fixture.tape().last(MARKET, "market.bar.1h.A").await.unwrap();
        let last = last.map_or(0, |last| last.sequence);
        let attempts = (0_u32..).zip(&tapes).map(|(writer, tape)| {
            let first = round * 1_000 + writer * 100;
            let mut batch: Vec<_> = (first..first + 50).map(|number| bar("A", number)).collect();
            batch[0] = expecting(batch[0].clone(), last);
            tape.append_batch(batch)
        });
        let outcomes = futures::future::join_all(attempts).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let lost =
            outcomes.iter().filter(|outcome| matches!(outcome, Err(AppendError::Conflict { .. }))).count();
        assert_eq!((won, lost), (1, 2), "round {round}: {outcomes:?}");
    }
    assert_eq!(tapes[0].state(MARKET).await.unwrap().messages, 500);
}
