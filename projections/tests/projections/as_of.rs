//! The state as of a moment against the fold of the tape up to it, and against the read model at the head.

use std::sync::Arc;

use contracts::v1::event::Body;
use contracts::v1::{AccountEntry, EntryKind, OrderExpired, Side};
use domain::book::Book;
use domain::money::{Amount, Price, Quantity};
use event_log::Delivery;
use projections::as_of::{AsOfError, Moment, Timeline};
use projections::{Name, queries};

use crate::support::{
    HOUR, Outcome, SECOND, START, World, approved, chain, event, fill, marked, of_order, signal, spec,
    submitted,
};

/// Orders that end, more than a book remembers.
const ENDED: usize = domain::book::SETTLED_ORDERS_MAX + 50;

/// The fold of the first `sequence` events, orders that have left memory included.
async fn folded(world: &World, sequence: u64) -> Book {
    let mut book = Book::default();
    if sequence == 0 {
        return book;
    }
    let mut reader = world.tape.read("TRADING", &[], 1).await.unwrap();
    let mut orders = std::collections::BTreeMap::new();
    loop {
        for delivery in reader.batch(1_000).await.unwrap() {
            let Delivery::Event(recorded) = delivery else { panic!("undecodable") };
            if let Err(domain::book::FoldError::OrderNotLoaded { order_id }) =
                book.apply(recorded.sequence, &recorded.event)
            {
                book.admit(orders.remove(&order_id).unwrap());
                book.apply(recorded.sequence, &recorded.event).unwrap();
            }
            for order in book.to_parts().orders.into_iter().filter(|_| recorded.sequence < 40) {
                orders.insert(order.id().to_owned(), order);
            }
            if recorded.sequence == sequence {
                return book;
            }
        }
    }
}

/// A chain of decisions, then many orders that end, then a late fill of one that ended first.
pub async fn long_tape(world: &World) {
    chain(world).await;
    let early = spec("eeeeeeeeeeeeeeeeeeeeeeee", "IBM", Side::Buy, 10);
    let why = signal("sma", "IBM", START + 6 * HOUR);
    world.append(why.clone(), None).await;
    world.append(approved(&why, vec![early.clone()], START + 6 * HOUR), None).await;
    world.append(submitted(&early, START + 6 * HOUR), None).await;
    let over = |order: &contracts::v1::OrderSpec| {
        let body = OrderExpired { order_id: order.order_id.clone(), reason: "day".to_owned() };
        of_order(order, "expired", START + 6 * HOUR, Body::OrderExpired(body))
    };
    world.append(over(&early), Some(&early)).await;
    for index in 0..ENDED {
        let order = spec(&format!("{index:024x}"), "IBM", Side::Buy, 1);
        world.append(submitted(&order, START + 6 * HOUR), None).await;
        world.append(over(&order), Some(&order)).await;
    }
    world.append(fill(&early, 1, 10, 50 * SECOND, START + 7 * HOUR), None).await;
    let prices = [("BRK.B", 110 * SECOND), ("IBM", 51 * SECOND)];
    world.append(marked("paper", START + 7 * HOUR, 100_060, &prices), None).await;
}

#[tokio::test]
async fn as_of_the_head_it_is_the_read_model() -> Outcome {
    let world = World::new().await;
    long_tape(&world).await;
    world.catch_up(Name::Trading).await;
    let timeline = Timeline::new(Arc::clone(&world.tape));
    let head = timeline.head().await?;
    let past = timeline.at(Moment::Sequence(head)).await?;
    assert_eq!(past.sequence(), head);
    for with_flat in [false, true] {
        let expected = queries::positions(&world.reader, None, with_flat).await?;
        assert_eq!(past.positions(None, with_flat), expected);
    }
    assert_eq!(past.positions(Some("nobody"), true), []);
    // The late fill found its order, which had left the book's memory.
    let late = past.positions(None, false).into_iter().find(|row| row.symbol == "IBM").unwrap();
    assert_eq!((late.quantity, late.unrealized_pnl), (Quantity(10 * SECOND), Some(Amount(10_000_000_000))));
    assert_eq!(past.accounts(), queries::accounts(&world.reader).await?);
    assert_eq!(past.accounts()[0].state, "reduce_only");
    Ok(())
}

#[tokio::test]
async fn any_moment_is_the_fold_up_to_it_in_whatever_order_it_is_asked() -> Outcome {
    let world = World::new().await;
    long_tape(&world).await;
    let timeline = Timeline::new(Arc::clone(&world.tape));
    let head = timeline.head().await?;
    for sequence in [head, 3, head - 1, 1_500, 12, 1_024, 1_025, 0, head] {
        let past = timeline.at(Moment::Sequence(sequence)).await?;
        let expected = folded(&world, sequence).await;
        assert_eq!(past.sequence(), sequence);
        let (found, expected) = (past.book.to_parts(), expected.to_parts());
        assert_eq!(found.accounts, expected.accounts, "{sequence}");
        assert_eq!(found.positions, expected.positions, "{sequence}");
        assert_eq!(found.strategies, expected.strategies, "{sequence}");
        assert_eq!(found.pending, expected.pending, "{sequence}");
    }
    Ok(())
}

#[tokio::test]
async fn an_instant_holds_all_that_happened_in_it() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    // A command carries the wall clock, years later; it belongs to where it stands.
    let resumed = contracts::v1::TradingResumed { account: "paper".into(), ..Default::default() };
    world.append(event("resume", START + 100_000 * HOUR, Body::TradingResumed(resumed)), None).await;
    world.append(marked("paper", START + 6 * HOUR, 100_070, &[("BRK.B", 111 * SECOND)]), None).await;
    let timeline = Timeline::new(Arc::clone(&world.tape));
    let at = async |ns: i64| timeline.at(Moment::Instant(ns)).await;
    // The buy of the second hour is approved in the first and filled in the second.
    assert_eq!(at(START + HOUR).await?.positions(None, true), []);
    let bought = at(START + 2 * HOUR).await?;
    assert_eq!(bought.positions(None, false)[0].quantity, Quantity(10 * SECOND));
    assert_eq!(bought.accounts()[0].equity, Some(Amount(100_010_000_000_000)));
    assert_eq!(at(START + 3 * HOUR - 1).await?.sequence(), bought.sequence());
    // The halt of the fifth hour is over before the market goes on.
    assert_eq!(at(START + 5 * HOUR).await?.accounts()[0].state, "normal");
    assert_eq!(at(START + 6 * HOUR).await?.market_ns, Some(START + 6 * HOUR));
    assert_eq!(at(START - 1).await?.positions(None, true), []);
    Ok(())
}

#[tokio::test]
async fn what_has_not_come_yet_is_refused() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    let timeline = Timeline::new(Arc::clone(&world.tape));
    let head = timeline.head().await?;
    let error = timeline.at(Moment::Sequence(head + 1)).await.unwrap_err();
    assert!(matches!(error, AsOfError::Future { asked, .. } if asked == head + 1), "{error}");
    let last = world.tape.get(contracts::stream::TRADING, head).await?.unwrap();
    let last = contracts::from_timestamp(&last.event.event_time.unwrap()).unwrap();
    let expected = format!("at most seq:{head}, the last event on TRADING, of {}", Moment::Instant(last));
    assert_eq!(error.to_string(), format!("as_of = seq:{}: expected {expected}", head + 1));
    Ok(())
}

#[tokio::test]
async fn after_a_split_a_position_is_valued_in_its_terms_before_the_next_mark() -> Outcome {
    let world = World::new().await;
    // It leaves five shares, marked at 110.
    chain(&world).await;
    let split = AccountEntry {
        account: "paper".to_owned(),
        kind: EntryKind::Split.into(),
        strategy: "sma".to_owned(),
        symbol: "BRK.B".to_owned(),
        quantity_after_e9: 7 * SECOND,
        fraction_e9: SECOND / 2,
        action_id: "three for two".to_owned(),
        ..AccountEntry::default()
    };
    world.append(event("split", START + 6 * HOUR, Body::AccountEntry(split)), None).await;
    world.catch_up(Name::Trading).await;
    let held = queries::positions(&world.reader, Some("paper"), false).await?;
    assert_eq!(held.len(), 1);
    // 110 for what is one and a half shares now.
    let price = Price(73_333_333_333);
    assert_eq!((held[0].quantity, held[0].mark_price), (Quantity(7 * SECOND), Some(price)));
    assert_eq!(held[0].market_value, Some(Amount::notional(price, Quantity(7 * SECOND))));
    let timeline = Timeline::new(Arc::clone(&world.tape));
    let past = timeline.at(Moment::Sequence(timeline.head().await?)).await?;
    assert_eq!(past.positions(Some("paper"), false), held);
    // The next mark has the split in its prices.
    let next = marked("paper", START + 7 * HOUR, 100_060, &[("BRK.B", 74 * SECOND)]);
    world.append(next, None).await;
    world.catch_up(Name::Trading).await;
    let held = queries::positions(&world.reader, Some("paper"), false).await?;
    assert_eq!(held[0].mark_price, Some(Price(74 * SECOND)));
    let past = timeline.at(Moment::Sequence(timeline.head().await?)).await?;
    assert_eq!(past.positions(Some("paper"), false), held);
    Ok(())
}
