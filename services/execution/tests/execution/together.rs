//! Entries that go with their exits to a broker that holds those until the entry is filled whole.

use std::time::Duration;

use contracts::v1::{GroupKind, OrderSpec, OrderType, SessionPhase, TimeInForce, TradingMode};
use domain::book::Book;
use domain::money::Quantity;
use domain::order::BrokerReport;

use crate::exits::{Noting, bracket, running, started};
use crate::support::{E9, HOUR_NS, OPEN_NS, book, session};

const WHOLE: &str = "buy 30 ORDER_TYPE_LIMIT with sell 30 ORDER_TYPE_LIMIT and sell 30 ORDER_TYPE_STOP";
/// The intents come together, the entry is answered.
const HELD: &[&[&str]] = &[&["submitted", "accepted"], &["submitted"], &["submitted"]];
const UNANSWERED: &[&[&str]] = &[&["submitted"], &["submitted"], &["submitted"]];
pub const CLOSE_NS: i64 = OPEN_NS + 13 * HOUR_NS / 2;

/// One that is until cancelled as a whole.
fn whole(name: &str) -> [OrderSpec; 3] {
    bracket(name).map(|order| OrderSpec { time_in_force: TimeInForce::Gtc.into(), ..order })
}

/// One that buys at the market for the day, with exits until cancelled.
pub fn at_market(name: &str) -> [OrderSpec; 3] {
    let [entry, target, stop] = bracket(name);
    [OrderSpec { order_type: OrderType::Market.into(), limit_price_e9: None, ..entry }, target, stop]
}

fn statuses(book: &Book, orders: &[OrderSpec]) -> Vec<&'static str> {
    orders.iter().map(|order| book.order(&order.order_id).unwrap().status.name()).collect()
}

fn cancelled() -> BrokerReport {
    BrokerReport::Cancelled { reason: "with its group".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_has_its_exits_when_the_entry_is_filled_while_nobody_listens() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    let orders = whole("down");
    script.approve("down", OPEN_NS, &orders, HELD).await;
    assert_eq!(outside.sent(), [WHOLE]);
    shutdown.cancel();
    task.await.unwrap();
    outside.fill_unheard(&orders[0], 30);
    outside.activate(&orders[1..]);
    let (script, shutdown, task) = started(script, &outside);
    for exit in &orders[1..] {
        script.order_event(exit, "accepted").await;
    }
    let after = book(&script.tape).await;
    assert_eq!(statuses(&after, &orders), ["filled", "accepted", "accepted"]);
    assert_eq!(outside.sent(), [WHOLE], "the broker had them all the time");
    // A process after that knows them as its own.
    shutdown.cancel();
    task.await.unwrap();
    let (script, shutdown, task) = started(script, &outside);
    outside.fill(&orders[2], 30);
    let closed = async {
        while book(&script.tape).await.net_quantity("paper", "A") != Quantity::ZERO {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), closed).await.unwrap();
    assert_eq!(outside.sent(), [WHOLE]);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_that_ended_with_an_entry_go_by_themselves_for_what_it_filled() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    let orders = whole("part");
    script.approve("part", OPEN_NS, &orders, HELD).await;
    outside.fill(&orders[0], 12);
    // The broker ends an exit before it says that the entry is over.
    outside.say(&orders[1], cancelled());
    outside.activate(&[]);
    outside.say(&orders[0], cancelled());
    for exit in &orders[1..] {
        script.order_event(exit, "replaced").await;
    }
    assert_eq!(outside.sent()[1..], ["sell 12 ORDER_TYPE_LIMIT and sell 12 ORDER_TYPE_STOP"]);
    let after = book(&script.tape).await;
    assert_eq!(statuses(&after, &orders), ["cancelled", "accepted", "accepted"]);
    for exit in &orders[1..] {
        assert_eq!(after.order(&exit.order_id).unwrap().remaining(), Quantity(12 * E9));
    }
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exits_of_an_entry_that_is_refused_or_fills_nothing_end_with_it() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    let nothing = whole("nothing");
    script.approve("nothing", OPEN_NS, &nothing, HELD).await;
    outside.activate(&[]);
    outside.say(&nothing[0], cancelled());
    outside.refuse("insufficient buying power");
    let refused = whole("refused");
    script.approve("refused", OPEN_NS, &refused, &[&["rejected"], &[], &[]]).await;
    for exit in nothing[1..].iter().chain(&refused[1..]) {
        script.order_event(exit, "cancelled").await;
    }
    assert_eq!(outside.sent(), [WHOLE]);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_did_not_arrive_is_sent_again_with_its_exits() {
    let outside = Noting::new(TradingMode::Paper);
    outside.lose(1);
    let (script, shutdown, task) = running(&outside).await;
    let orders = whole("again");
    script.approve("again", OPEN_NS, &orders, HELD).await;
    assert_eq!(outside.sent(), [WHOLE]);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_exit_can_be_cancelled() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    let orders = whole("one");
    script.approve("one", OPEN_NS, &orders, HELD).await;
    script.cancel(&orders[1], "cancelled").await;
    outside.activate(&orders[2..]);
    outside.fill(&orders[0], 30);
    script.order_event(&orders[2], "accepted").await;
    let after = book(&script.tape).await;
    assert_eq!(statuses(&after, &orders), ["filled", "cancelled", "accepted"]);
    assert_eq!(outside.sent(), [WHOLE]);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exit_that_is_cancelled_before_its_entry_arrived_is_not_with_it() {
    let outside = Noting::new(TradingMode::Paper);
    outside.lose(u32::MAX);
    let (script, shutdown, task) = running(&outside).await;
    let orders = whole("late");
    script.approve("late", OPEN_NS, &orders, UNANSWERED).await;
    script.cancel(&orders[1], "cancel_requested").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    outside.lose(0);
    script.order_event(&orders[0], "accepted").await;
    script.order_event(&orders[1], "cancelled").await;
    assert_eq!(outside.sent(), ["buy 30 ORDER_TYPE_LIMIT with sell 30 ORDER_TYPE_STOP"]);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_cancelled_before_it_arrived_is_not_sent_again() {
    let outside = Noting::new(TradingMode::Paper);
    outside.lose(u32::MAX);
    let (script, shutdown, task) = running(&outside).await;
    let orders = whole("never");
    script.approve("never", OPEN_NS, &orders, UNANSWERED).await;
    script.cancel(&orders[0], "cancel_requested").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    outside.lose(0);
    for order in &orders {
        script.order_event(order, "cancelled").await;
    }
    assert!(outside.sent().is_empty(), "{:?}", outside.sent());
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_entry_for_the_day_goes_with_its_exits_and_ends_with_its_day() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    let orders = at_market("halted");
    script.approve("halted", OPEN_NS, &orders, HELD).await;
    let sent = "buy 30 ORDER_TYPE_MARKET with sell 30 ORDER_TYPE_LIMIT and sell 30 ORDER_TYPE_STOP";
    assert_eq!(outside.sent(), [sent]);
    script.instant(CLOSE_NS, vec![session(SessionPhase::Closed, OPEN_NS)]).await;
    shutdown.cancel();
    task.await.unwrap();
    // Who starts after its day asks for its end.
    let (script, shutdown, task) = started(script, &outside);
    script.order_event(&orders[0], "cancel_requested").await;
    outside.activate(&[]);
    outside.say(&orders[0], cancelled());
    for order in &orders {
        script.order_event(order, "cancelled").await;
    }
    assert_eq!(outside.sent(), [sent]);
    shutdown.cancel();
    task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_would_not_hold_goes_as_before() {
    let outside = Noting::new(TradingMode::Paper);
    let (script, shutdown, task) = running(&outside).await;
    // Its exits are for less than it buys, or outlive it.
    let mut turned = whole("turned");
    for exit in &mut turned[1..] {
        exit.quantity_e9 = 20 * E9;
    }
    for (name, orders) in [("turned", turned), ("day", bracket("day"))] {
        script.approve(name, OPEN_NS, &orders, &[&["accepted"], &[], &[]]).await;
        let now = book(&script.tape).await;
        assert_eq!(statuses(&now, &orders), ["accepted", "approved", "approved"], "{name}");
    }
    assert_eq!(outside.sent(), ["buy 30 ORDER_TYPE_LIMIT"; 2]);
    // One exit is enough.
    let [entry, _, stop] = whole("alone");
    let alone = [entry, stop].map(|order| OrderSpec { group: GroupKind::Oto.into(), ..order });
    script.approve("alone", OPEN_NS, &alone, &HELD[..2]).await;
    assert_eq!(outside.sent()[2], "buy 30 ORDER_TYPE_LIMIT with sell 30 ORDER_TYPE_STOP");
    shutdown.cancel();
    task.await.unwrap();
}
