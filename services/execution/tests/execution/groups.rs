//! Partial fills, a trailing stop and groups through execution, and an instant that has to wait for its marks.

use std::sync::Arc;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Costs, GroupKind, OrderSpec, OrderType, SessionPhase, Side, TimeInForce};
use contracts::{child_order_id, stream};
use domain::money::Quantity;
use domain::order::OrderStatus;
use event_log::{EventLog as _, MemoryLog};
use runtime::ClockMode;
use tokio_util::sync::CancellationToken;

use crate::day::undisturbed;
use crate::support::{
    ACCOUNTS, E9, HOUR_NS, OPEN_NS, Script, Staleness, bar, book, config, context, everything, leg, limit,
    order, session,
};

/// A tenth of a bar's 1,000 shares.
fn costs() -> Costs {
    Costs { volume_share_most_e9: E9 / 10, ..Costs::default() }
}

fn gtc(spec: OrderSpec) -> OrderSpec {
    OrderSpec { time_in_force: TimeInForce::Gtc.into(), ..spec }
}

/// An entry of 30 shares at `price`, and its exits.
fn bracket(name: &str, symbol: &str, price: i64) -> [OrderSpec; 3] {
    let entry = limit(order(name, "paper", symbol, Side::Buy, 30), price, TimeInForce::Day);
    let id = entry.order_id.clone();
    let entry = OrderSpec { group: GroupKind::Bracket.into(), group_id: id.clone(), ..entry };
    let exit = |index| OrderSpec {
        order_id: child_order_id(&id, index),
        parent_id: id.clone(),
        side: Side::Sell.into(),
        time_in_force: TimeInForce::Gtc.into(),
        reducing: true,
        ..entry.clone()
    };
    let target = OrderSpec { limit_price_e9: Some((price + 10) * E9), ..exit(0) };
    let stop = OrderSpec {
        order_type: OrderType::Stop.into(),
        limit_price_e9: None,
        stop_price_e9: Some((price - 10) * E9),
        ..exit(1)
    };
    [entry, target, stop]
}

pub async fn play(script: &Script) {
    script.setup_accounts(&ACCOUNTS, costs()).await;
    script.instant(OPEN_NS, vec![session(SessionPhase::Opened, OPEN_NS)]).await;
    let accepted: &[&str] = &["accepted"];
    let t = |hour: i64| OPEN_NS + hour * HOUR_NS;

    script.instant(t(1), vec![bar("A", t(1), 50, 50), bar("B", t(1), 50, 50)]).await;
    let large = gtc(order("large", "paper", "A", Side::Buy, 220));
    script.approve("large", t(1), &[large], &[accepted]).await;
    let trail = OrderSpec {
        order_type: OrderType::TrailingStop.into(),
        trail_price_e9: Some(3 * E9),
        ..gtc(order("trail", "paper", "B", Side::Sell, 10))
    };
    script.approve("trail", t(1), &[trail], &[accepted]).await;
    let group: &[&[&str]] = &[accepted, accepted, accepted];
    script.approve("won", t(1), &bracket("won", "C", 50), group).await;
    script.approve("lost", t(1), &bracket("lost", "D", 50), group).await;
    script.approve("missed", t(1), &bracket("missed", "E", 20), group).await;

    // 100 of the large one; the trailing stop moves; the entries fill.
    let bars = |hour, a, b: [i64; 2], c: [i64; 2], d: [i64; 2]| {
        let at = t(hour);
        let of = |symbol, [open, close]: [i64; 2]| bar(symbol, at, open, close);
        vec![bar("A", at, a, a), of("B", b), of("C", c), of("D", d), bar("E", at, 50, 50)]
    };
    script.instant(t(2), bars(2, 50, [50, 54], [49, 51], [51, 50])).await;
    // Behind the large one in the queue, so that nothing is left for it.
    let small = gtc(order("small", "second", "A", Side::Buy, 40));
    script.approve("small", t(2), &[small], &[accepted]).await;
    script.instant(t(3), bars(3, 51, [54, 57], [52, 58], [50, 48])).await;
    script.instant(t(4), bars(4, 52, [56, 51], [58, 62], [45, 38])).await;
    let close = OPEN_NS + 13 * HOUR_NS / 2;
    script.instant(close, vec![bar("A", close, 53, 53), session(SessionPhase::Closed, OPEN_NS)]).await;
}

#[tokio::test]
async fn parts_trailing_stops_and_brackets_come_to_what_the_market_did() {
    let tape = undisturbed(ClockMode::Tape, play).await;
    let book = book(&tape).await;
    domain::book::identity::check_identity(&book).unwrap();
    let fills = |name: &str| {
        let id = contracts::order_id(&contracts::event_id(name, "signal", 0), 0);
        let order = book.order(&id).unwrap();
        (order.status, order.filled, order.fills)
    };
    assert_eq!(fills("large"), (OrderStatus::Filled, Quantity(220 * E9), 3));
    assert_eq!(fills("small"), (OrderStatus::Filled, Quantity(40 * E9), 1));
    assert_eq!(fills("trail"), (OrderStatus::Filled, Quantity(10 * E9), 1));
    let ends = |name: &str| {
        let id = contracts::order_id(&contracts::event_id(name, "signal", 0), 0);
        [id.clone(), child_order_id(&id, 0), child_order_id(&id, 1)].map(|id| book.order(&id).unwrap().status)
    };
    use OrderStatus::{Cancelled, Expired, Filled};
    assert_eq!(ends("won"), [Filled, Filled, Cancelled]);
    assert_eq!(ends("lost"), [Filled, Cancelled, Filled]);
    assert_eq!(ends("missed"), [Expired, Cancelled, Cancelled]);
    assert_eq!(book.open_orders().count(), 0);
    let first = everything(&tape).await.into_iter().find_map(|recorded| match recorded.event.body {
        Some(Body::Fill(fill)) if fill.account == "second" => fill.executed_at,
        _ => None,
    });
    let fourth = contracts::to_timestamp(OPEN_NS + 3 * HOUR_NS);
    assert_eq!(first, Some(fourth), "the third bar offers nothing to the second in the queue");
}

#[tokio::test]
async fn a_bar_is_matched_once_where_the_marks_have_to_wait() {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    let shutdown = CancellationToken::new();
    let context = context(Arc::new(tape.clone()), ClockMode::Tape, shutdown.clone());
    let service = tokio::spawn(execution::run(context, config(&tape, Staleness::Behind(0))));
    // One account of two cannot be valued.
    script.setup_accounts(&["paper"], costs()).await;
    let accepted: &[&[&str]] = &[&["accepted"]];
    let (t1, t2) = (OPEN_NS + HOUR_NS, OPEN_NS + 2 * HOUR_NS);
    let first = gtc(order("first", "paper", "A", Side::Buy, 100));
    script.approve("first", t1, std::slice::from_ref(&first), accepted).await;
    let second = gtc(order("second", "paper", "A", Side::Buy, 30));
    // Approved later, so that it stands behind.
    script.approve("second", t1 + 1, std::slice::from_ref(&second), accepted).await;
    script.publish(t2 + 1, vec![bar("A", t2 + 1, 50, 50)]).await;
    for count in 0..3 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let name = format!("noise-{count}");
        let noise = limit(order(&name, "paper", "B", Side::Buy, 1), 1, TimeInForce::Gtc);
        script.approve(&name, t2, &[noise], accepted).await;
    }
    let fills = tape.last(stream::TRADING, "fill.>").await.unwrap();
    assert!(fills.is_none(), "what the bar did is stored with the marks or not at all");
    script.setup_accounts(&["second"], costs()).await;
    script.marked(t2 + 1).await;
    let book = book(&tape).await;
    assert_eq!(book.order(&first.order_id).unwrap().status, OrderStatus::Filled);
    assert_eq!(book.order(&second.order_id).unwrap().filled, Quantity::ZERO, "the bar had nothing left");
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn groups_of_more_orders_than_one_batch_takes_are_submitted_in_several() {
    const GROUPS: usize = 20;
    const LEGS: u32 = 60;
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    script.setup_accounts(&ACCOUNTS, costs()).await;
    for group in 0..GROUPS {
        let name = format!("basket {group}");
        let of =
            |number: u32| leg(&name, number, gtc(order(&name, "paper", &format!("S{number}"), Side::Buy, 1)));
        let legs: Vec<OrderSpec> = (0..LEGS).map(of).collect();
        script.approve(&name, OPEN_NS, &legs, &[]).await;
    }
    let shutdown = CancellationToken::new();
    let context = context(Arc::new(tape.clone()), ClockMode::Tape, shutdown.clone());
    let service = tokio::spawn(execution::run(context, config(&tape, Staleness::Behind(0))));
    let all = GROUPS * usize::try_from(LEGS).unwrap();
    assert!(all > event_log::MAX_BATCH);
    script
        .until("all are accepted", async || {
            let book = book(&tape).await;
            book.open_orders().filter(|order| order.accepted_ns.is_some()).count() == all
        })
        .await;
    shutdown.cancel();
    service.await.unwrap().unwrap();
}
