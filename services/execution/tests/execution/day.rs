//! A script of four sessions that touches everything execution does, and what must come of it.

use contracts::v1::event::Body;
use contracts::v1::{ActionKind, OrderType, SessionPhase, Side, TimeInForce};
use domain::money::{Amount, Price, Quantity};
use domain::order::OrderStatus;
use event_log::MemoryLog;
use runtime::ClockMode;
use tokio_util::sync::CancellationToken;

use crate::support::{
    E9, HOUR_NS, OPEN_NS, Script, Staleness, action, bar, book, config, context, everything, leg, limit,
    order, session,
};

const DAY_NS: i64 = 24 * HOUR_NS;
const CLOSE_NS: i64 = OPEN_NS + 13 * HOUR_NS / 2;

/// Plays the whole script against an execution that somebody else runs, and starts again.
pub async fn play(script: &Script) {
    script.setup().await;
    first_session(script).await;
    split_session(script).await;
    reverse_split_session(script).await;
}

async fn first_session(script: &Script) {
    let opened = session(SessionPhase::Opened, OPEN_NS);
    script.instant(OPEN_NS, vec![opened]).await;

    let t1 = OPEN_NS + HOUR_NS;
    script.instant(t1, vec![bar("A", t1, 99, 100), bar("B", t1, 50, 50)]).await;
    let accepted: &[&[&str]] = &[&["accepted"]];
    script.approve("buy-a", t1, &[order("buy-a", "paper", "A", Side::Buy, 11)], accepted).await;
    let expiring = limit(order("low-b", "paper", "B", Side::Buy, 5), 20, TimeInForce::Day);
    script.approve("low-b", t1, &[expiring], accepted).await;
    let second = order("second-a", "second", "A", Side::Buy, 7);
    script.approve("second-a", t1, &[second], accepted).await;

    let t2 = t1 + HOUR_NS;
    script.instant(t2, vec![bar("A", t2, 101, 103), bar("B", t2, 50, 51)]).await;
    // The broker works no stop orders: its refusal takes the other leg with it.
    let stop = order("pair", "paper", "B", Side::Buy, 4);
    let stop = contracts::v1::OrderSpec { order_type: OrderType::Stop.into(), ..stop };
    let pair = [leg("pair", 0, order("pair", "paper", "A", Side::Sell, 2)), leg("pair", 1, stop)];
    script.approve("pair", t2, &pair, &[&["submitted", "cancelled"], &["rejected"]]).await;
    let resting = limit(order("rest-a", "paper", "A", Side::Buy, 7), 60, TimeInForce::Gtc);
    script.approve("rest-a", t2, &[resting], accepted).await;
    let unwanted = limit(order("rest-b", "second", "B", Side::Buy, 7), 30, TimeInForce::Gtc);
    script.approve("rest-b", t2, std::slice::from_ref(&unwanted), accepted).await;
    script.cancel(&unwanted, "cancelled").await;

    let closing = vec![
        bar("A", CLOSE_NS, 104, 105),
        bar("B", CLOSE_NS, 52, 53),
        session(SessionPhase::Closed, OPEN_NS),
    ];
    script.instant(CLOSE_NS, closing).await;
    script.approve("late-b", CLOSE_NS, &[order("late-b", "paper", "B", Side::Buy, 3)], accepted).await;
}

async fn split_session(script: &Script) {
    let open = OPEN_NS + DAY_NS;
    let opening = vec![
        session(SessionPhase::Opened, open),
        action("A", ActionKind::Split, 3 * E9 / 2, "2024-01-09"),
        action("B", ActionKind::Dividend, E9 / 4, "2024-01-09"),
        action("A", ActionKind::Dividend, E9 / 2, "2024-01-09"),
    ];
    script.instant(open, opening).await;
    let t1 = open + HOUR_NS;
    script.instant(t1, vec![bar("A", t1, 70, 71), bar("B", t1, 54, 55)]).await;
    let t2 = t1 + HOUR_NS;
    script.instant(t2, vec![bar("A", t2, 72, 73)]).await;
    script.instant(CLOSE_NS + DAY_NS, vec![session(SessionPhase::Closed, open)]).await;
}

async fn reverse_split_session(script: &Script) {
    let open = OPEN_NS + 2 * DAY_NS;
    let opening =
        vec![session(SessionPhase::Opened, open), action("A", ActionKind::Split, E9 / 10, "2024-01-10")];
    script.instant(open, opening).await;
    let t1 = open + HOUR_NS;
    script.instant(t1, vec![bar("A", t1, 700, 710), bar("B", t1, 54, 55)]).await;
}

/// Runs execution over a fresh tape while the script plays.
pub async fn undisturbed(clock: ClockMode, play: impl AsyncFn(&Script)) -> MemoryLog {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: clock == ClockMode::Tape };
    let shutdown = CancellationToken::new();
    let context = context(std::sync::Arc::new(tape.clone()), clock, shutdown.clone());
    let service = tokio::spawn(execution::run(context, config(&tape, Staleness::Behind(0))));
    play(&script).await;
    shutdown.cancel();
    service.await.unwrap().unwrap();
    tape
}

#[tokio::test]
async fn the_day_comes_to_what_the_market_did() {
    let tape = undisturbed(ClockMode::Tape, play).await;
    let book = book(&tape).await;
    domain::book::identity::check_identity(&book).unwrap();

    // 11 bought at 101 plus 1 basis point, split 3 for 2: 16 and a half; the half paid at 70; 1 for 10: 1.6.
    let a = book.position("paper", "momentum", "A").unwrap();
    assert_eq!((a.quantity, a.fraction), (Quantity(E9), Quantity::ZERO));
    let b = book.position("paper", "momentum", "B").unwrap();
    assert_eq!((b.quantity, b.average_cost()), (Quantity(3 * E9), Some(Price(54_005_400_000))));
    // Dividends: none on B, bought the day after; 16 shares of A at 0.50.
    assert_eq!(book.account("paper").unwrap().dividends, Amount(8 * i128::from(E9)));

    let status = |name: &str, leg| {
        let id = contracts::order_id(&contracts::event_id(name, "signal", 0), leg);
        book.order(&id).unwrap().status
    };
    assert_eq!(status("buy-a", 0), OrderStatus::Filled);
    assert_eq!(status("low-b", 0), OrderStatus::Expired);
    assert_eq!(status("pair", 0), OrderStatus::Cancelled);
    assert_eq!(status("pair", 1), OrderStatus::Rejected);
    assert_eq!(status("rest-b", 0), OrderStatus::Cancelled);
    assert_eq!(status("late-b", 0), OrderStatus::Filled);
    assert_eq!(status("rest-a", 0), OrderStatus::Cancelled);
    assert_eq!(book.open_orders().count(), 0);

    let events = everything(&tape).await;
    let starts = events.iter().filter(|recorded| {
        matches!(&recorded.event.body, Some(Body::AccountMarked(mark)) if mark.account == "paper" && mark.session_start)
    });
    assert_eq!(starts.count(), 3, "one first mark per session");
}

#[tokio::test]
async fn the_wall_clock_gives_the_same_orders_and_fills() {
    let chain = |events: Vec<event_log::Recorded>| {
        let mut chain = contracts::ChainHash::default();
        events.iter().for_each(|recorded| chain.add(&recorded.event));
        chain.finish().unwrap()
    };
    let tape = undisturbed(ClockMode::Tape, play).await;
    let wall = undisturbed(ClockMode::Wall, play).await;
    assert_eq!(chain(everything(&tape).await), chain(everything(&wall).await));
}
