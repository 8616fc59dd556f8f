//! Single appends: identity, expectations, refusals, races.

use contracts::stream::{MARKET, TRADING};
use event_log::{Append, AppendError, Expect, Tape};

use crate::fixture::{Fixture, accepted, bar, expecting, fill, order, signal};

crate::contract!(
    an_append_is_stored_once,
    an_id_that_a_strategy_took_is_free_to_others,
    an_id_is_one_event_of_its_author_whatever_the_subject,
    a_stale_expectation_is_a_conflict,
    a_repeated_append_stays_a_duplicate_however_much_followed,
    order_events_and_fills_are_one_aggregate,
    an_expectation_ahead_of_the_tape_is_a_conflict,
    a_wrong_request_is_refused,
    one_of_twenty_writers_wins,
    pipelined_appends_keep_their_order,
    pipelined_appends_answer_one_by_one,
    ordered_appends_stand_one_behind_the_other,
    ordered_appends_end_with_the_first_that_is_refused,
    ordered_appends_of_two_writers_keep_each_its_order,
    the_recorded_time_is_set,
);

async fn an_append_is_stored_once(fixture: Fixture) {
    let tape = fixture.tape();
    let first = tape.append(bar("A", 1)).await.unwrap();
    assert_eq!((first.sequence, first.duplicate), (1, false));
    let second = tape.append(bar("A", 2)).await.unwrap();
    assert_eq!((second.sequence, second.duplicate), (2, false));
    let again = tape.append(bar("A", 1)).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (1, true));
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 2);
}

async fn an_id_that_a_strategy_took_is_free_to_others(fixture: Fixture) {
    let tape = fixture.tape();
    let order = order("A", 1);
    let plain = |number| Append { expect: Expect::Nothing, ..fill(&order, number, 0) };
    let each = [accepted(&order, "first", 0), plain(1), signal("yours", "A", 1)];
    for (entry, taken) in each.into_iter().zip([1, 3, 5]) {
        fixture.publish_under("signal.mine.A", b"{}", &entry.event.id).await;
        for duplicate in [false, true, true] {
            let appended = tape.append(entry.clone()).await.unwrap();
            assert_eq!((appended.sequence, appended.duplicate), (taken + 1, duplicate));
        }
    }
    for number in [2, 3] {
        fixture.publish_under("signal.mine.A", b"{}", &plain(number).event.id).await;
    }
    let answers = tape.append_pipelined(vec![plain(2), plain(3), plain(4)]).await;
    assert!(
        answers.iter().all(|answer| matches!(answer, Ok(appended) if !appended.duplicate)),
        "{answers:?}"
    );
    assert_eq!(tape.state(TRADING).await.unwrap().messages, 11);
}

async fn an_id_is_one_event_of_its_author_whatever_the_subject(fixture: Fixture) {
    let tape = fixture.tape();
    let mut twin = signal("mine", "B", 1);
    twin.event.id = signal("mine", "A", 1).event.id;
    assert!(!tape.append(signal("mine", "A", 1)).await.unwrap().duplicate);
    let again = tape.append(twin).await.unwrap();
    assert_eq!((again.sequence, again.duplicate), (1, true));
}

async fn a_stale_expectation_is_a_conflict(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(expecting(bar("A", 1), 0)).await.unwrap();
    tape.append(expecting(bar("B", 1), 0)).await.unwrap();
    tape.append(expecting(bar("A", 2), 1)).await.unwrap();
    let refused = tape.append(expecting(bar("A", 3), 1)).await.unwrap_err();
    let AppendError::Conflict { filter, expected, last, actual: Some(actual) } = refused else {
        panic!("expected a conflict, got {refused}");
    };
    assert_eq!((filter.as_str(), expected, last, actual.sequence), ("market.bar.1h.A", 1, 3, 3));
    assert_eq!(actual.event.id, bar("A", 2).event.id);
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 3);
}

async fn a_repeated_append_stays_a_duplicate_however_much_followed(fixture: Fixture) {
    let tape = fixture.tape();
    let order = order("A", 1);
    tape.append(accepted(&order, "first", 0)).await.unwrap();
    tape.append(fill(&order, 1, 1)).await.unwrap();
    tape.append(fill(&order, 2, 2)).await.unwrap();
    for (entry, sequence) in
        [(accepted(&order, "first", 0), 1), (fill(&order, 1, 1), 2), (fill(&order, 2, 2), 3)]
    {
        let again = tape.append(entry).await.unwrap();
        assert_eq!((again.sequence, again.duplicate), (sequence, true));
    }
    assert_eq!(tape.state(TRADING).await.unwrap().messages, 3);
}

async fn order_events_and_fills_are_one_aggregate(fixture: Fixture) {
    let tape = fixture.tape();
    let (one, two) = (order("BRK.B", 1), order("BRK.B", 2));
    tape.append(accepted(&one, "a", 0)).await.unwrap();
    tape.append(accepted(&two, "b", 0)).await.unwrap();
    tape.append(fill(&one, 1, 1)).await.unwrap();
    let refused = tape.append(accepted(&one, "c", 1)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { actual: Some(ref last), .. } if last.sequence == 3));
    assert_eq!(tape.append(fill(&two, 1, 2)).await.unwrap().sequence, 4);
}

async fn an_expectation_ahead_of_the_tape_is_a_conflict(fixture: Fixture) {
    let tape = fixture.tape();
    let refused = tape.append(expecting(bar("A", 1), 7)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { expected: 7, actual: None, .. }), "{refused}");
    tape.append(bar("A", 1)).await.unwrap();
    let refused = tape.append(expecting(bar("A", 2), 7)).await.unwrap_err();
    assert!(matches!(refused, AppendError::Conflict { expected: 7, actual: Some(_), .. }), "{refused}");
}

async fn a_wrong_request_is_refused(fixture: Fixture) {
    let tape = fixture.tape();
    let with_filter = |filter: &str| {
        let expect = Expect::Last { filter: filter.into(), sequence: 0 };
        Append { expect, ..bar("A", 1) }
    };
    let mut without_id = bar("A", 1);
    without_id.event.id.clear();
    let mut without_body = bar("A", 1);
    without_body.event.body = None;
    let mut too_large = bar("A", 1);
    too_large.event.source = "x".repeat(2 << 20);
    let outside = Append { subject: contracts::Subject::of(&["elsewhere", "A"]), ..bar("A", 1) };
    for (entry, words) in [
        (with_filter("market.bar.1h.B"), "does not cover"),
        (with_filter("*.x.>"), "does not cover"),
        (with_filter("market..>"), "malformed"),
        (without_id, "event id"),
        (without_body, "no body"),
        (too_large, "bytes long"),
        (outside, "no stream"),
    ] {
        let refused = tape.append(entry).await.unwrap_err();
        assert!(matches!(refused, AppendError::Refused(_)), "{refused}");
        assert!(refused.to_string().contains(words), "{refused}");
    }
    assert_eq!(tape.state(MARKET).await.unwrap().messages, 0);
}

async fn one_of_twenty_writers_wins(fixture: Fixture) {
    let order = order("A", 1);
    let mut writers = Vec::new();
    for _ in 0..4 {
        writers.push(fixture.other().await);
    }
    for round in 0..10_u64 {
        let attempts = (0..20).map(|writer| {
            let tape = writers[writer % writers.len()].clone();
            let entry = accepted(&order, &format!("writer {writer} in round {round}"), round);
            tokio::spawn(async move { tape.append(entry).await })
        });
        let mut won = 0;
        for outcome in futures::future::join_all(attempts).await {
            match outcome.unwrap() {
                Ok(appended) => {
                    assert_eq!((appended.sequence, appended.duplicate), (round + 1, false));
                    won += 1;
                }
                Err(AppendError::Conflict { actual: Some(actual), .. }) => {
                    assert_eq!(actual.sequence, round + 1);
                }
                Err(error) => panic!("expected a conflict, got {error}"),
            }
        }
        assert_eq!(won, 1, "round {round}");
    }
    assert_eq!(writers[0].state(TRADING).await.unwrap().messages, 10);
}

async fn pipelined_appends_keep_their_order(fixture: Fixture) {
    let tape = fixture.tape();
    // Each expects the one before it, so any other order would be a conflict.
    let entries: Vec<_> = (0..3_000).map(|number| expecting(bar("A", number), u64::from(number))).collect();
    let outcomes = tape.append_pipelined(entries).await;
    for (sequence, outcome) in (1..).zip(outcomes) {
        let outcome = outcome.unwrap();
        assert_eq!((outcome.sequence, outcome.duplicate), (sequence, false));
    }
}

async fn pipelined_appends_answer_one_by_one(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(expecting(bar("A", 1), 0)).await.unwrap();
    tape.append(expecting(bar("B", 1), 0)).await.unwrap();
    let mut nameless = bar("D", 1);
    nameless.event.id.clear();
    let outcomes = tape
        .append_pipelined(vec![
            expecting(bar("A", 1), 0),
            expecting(bar("B", 2), 0),
            nameless,
            signal("sma", "A", 1),
            expecting(bar("C", 1), 0),
        ])
        .await;
    assert!(outcomes[0].as_ref().is_ok_and(|appended| appended.duplicate && appended.sequence == 1));
    assert!(matches!(outcomes[1], Err(AppendError::Conflict { .. })), "{:?}", outcomes[1]);
    assert!(matches!(outcomes[2], Err(AppendError::Refused(_))), "{:?}", outcomes[2]);
    assert!(matches!(outcomes[3], Err(AppendError::Refused(_))), "{:?}", outcomes[3]);
    assert!(outcomes[4].as_ref().is_ok_and(|appended| !appended.duplicate && appended.sequence == 3));
}

async fn ordered_appends_stand_one_behind_the_other(fixture: Fixture) {
    let tape = fixture.tape();
    let entries: Vec<_> = (0..100).map(|number| bar("A", number)).collect();
    let outcomes = tape.append_ordered(entries.clone()).await;
    let stood: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(stood.iter().map(|stored| stored.sequence).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    assert!(stood.iter().all(|stored| !stored.duplicate));
    // Half of it stands already, and something else behind it: the rest comes all the same, in its order.
    tape.append(bar("B", 1)).await.unwrap();
    let more: Vec<_> =
        entries[90..].iter().cloned().chain((100..110).map(|number| bar("A", number))).collect();
    let outcomes = tape.append_ordered(more).await;
    let stood: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap().sequence).collect();
    assert_eq!(stood, (91..=100).chain(102..=111).collect::<Vec<_>>());
}

async fn ordered_appends_end_with_the_first_that_is_refused(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(expecting(bar("B", 1), 0)).await.unwrap();
    // What the server refuses, and what is refused before it is sent.
    let mut nameless = bar("D", 1);
    nameless.event.id.clear();
    for bad in [expecting(bar("B", 2), 0), nameless] {
        let outcomes = tape.append_ordered(vec![bar("A", 1), bad, bar("C", 1), bar("C", 2)]).await;
        assert_eq!(outcomes.len(), 2, "{outcomes:?}");
        assert_eq!(outcomes[0].as_ref().unwrap().sequence, 2);
        assert!(outcomes[1].is_err());
        assert_eq!(tape.state(MARKET).await.unwrap().last_sequence, 2, "nothing behind it is stored");
    }
    assert!(tape.append_ordered(Vec::new()).await.is_empty());
}

async fn ordered_appends_of_two_writers_keep_each_its_order(fixture: Fixture) {
    let writers = [fixture.tape(), fixture.tape()];
    let write = async |tape: &Tape, symbol: &str| {
        for round in 0..20 {
            let entries: Vec<_> = (0..8).map(|number| bar(symbol, round * 8 + number)).collect();
            assert!(tape.append_ordered(entries).await.iter().all(Result::is_ok));
        }
    };
    tokio::join!(write(&writers[0], "A"), write(&writers[1], "B"));
    let (mut stood, mut sequence) = ([Vec::new(), Vec::new()], 0);
    while let Some(recorded) = writers[0].get(MARKET, sequence + 1).await.unwrap() {
        sequence = recorded.sequence;
        stood[usize::from(recorded.subject.ends_with(".B"))].push(recorded.event.id);
    }
    for (symbol, stood) in ["A", "B"].into_iter().zip(stood) {
        assert_eq!(stood, (0..160).map(|number| bar(symbol, number).event.id).collect::<Vec<_>>());
    }
}

async fn the_recorded_time_is_set(fixture: Fixture) {
    let tape = fixture.tape();
    tape.append(bar("A", 1)).await.unwrap();
    let stored = tape.get(MARKET, 1).await.unwrap().unwrap();
    assert!(stored.event.recorded_time.is_some());
    assert_eq!(stored.event.body, bar("A", 1).event.body);
    assert_eq!(stored.subject, "market.bar.1h.A");
}
