//! The kill switch through execution: every open order is cancelled, every position closed, also across a restart.

use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{
    BreakerKind, Event, LimitsSet, OrderSpec, SessionPhase, Side, TimeInForce, TradeLimits, TradingKilled,
    TradingResumed,
};
use contracts::{MANUAL, Subject, basis_of, event_id, stream, to_timestamp};
use domain::book::{Book, Scope};
use domain::calendar::Calendar;
use domain::money::Quantity;
use domain::risk::fields;
use event_log::{Append, EventLog as _, Expect, MemoryLog, Recorded};
use execution::{Derived, Follower};
use runtime::ClockMode;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{
    E9, HOUR_NS, OPEN_NS, Script, Staleness, bar, book, config, context, everything, limit, order, session,
};

fn start(tape: &MemoryLog) -> (CancellationToken, JoinHandle<()>) {
    let shutdown = CancellationToken::new();
    let context = context(std::sync::Arc::new(tape.clone()), ClockMode::Tape, shutdown.clone());
    let config = config(tape, Staleness::Behind(0));
    let task = tokio::spawn(async move { execution::run(context, config).await.unwrap() });
    (shutdown, task)
}

pub async fn put(tape: &MemoryLog, name: &str, body: Body) {
    let event = contracts::v1::Event {
        id: event_id(name, "script", 0),
        event_time: Some(to_timestamp(OPEN_NS)),
        source: "script".into(),
        body: Some(body),
        ..contracts::v1::Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap();
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
}

async fn held(tape: &MemoryLog, account: &str) -> Vec<(String, Quantity)> {
    let book = book(tape).await;
    let held = book.positions_of(account).filter(|row| row.quantity != Quantity::ZERO);
    held.map(|row| (format!("{}/{}", row.key.strategy, row.key.symbol), row.quantity)).collect()
}

/// Two positions and two resting orders of the account, one of each by hand, and the same of another account.
async fn traded(script: &Script) {
    script.setup().await;
    script.instant(OPEN_NS, vec![session(SessionPhase::Opened, OPEN_NS)]).await;
    let filled: &[&str] = &["accepted"];
    let of = |name: &str, account: &str, symbol: &str, side: Side, strategy: &str| OrderSpec {
        strategy: strategy.into(),
        ..order(name, account, symbol, side, 10)
    };
    let orders = [
        of("a", "paper", "A", Side::Buy, "momentum"),
        of("b", "paper", "B", Side::Sell, MANUAL),
        of("c", "second", "A", Side::Buy, "momentum"),
    ];
    for order in &orders {
        script
            .approve(&format!("in-{}", order.order_id), OPEN_NS, std::slice::from_ref(order), &[filled])
            .await;
    }
    let t = OPEN_NS + HOUR_NS;
    script.instant(t, vec![bar("A", t, 50, 50), bar("B", t, 50, 50)]).await;
    let rest = |name: &str, account: &str, strategy: &str| {
        limit(of(name, account, "A", Side::Buy, strategy), 10, TimeInForce::Gtc)
    };
    for (name, account, strategy) in
        [("r1", "paper", "momentum"), ("r2", "paper", MANUAL), ("r3", "second", "momentum")]
    {
        script.approve(name, t, &[rest(name, account, strategy)], &[filled]).await;
    }
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..5_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("never: {what}");
}

#[tokio::test]
async fn a_killed_account_is_flat_after_the_next_bar_and_the_others_are_not() {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    let (shutdown, running) = start(&tape);
    traded(&script).await;
    let kill = TradingKilled { account: "paper".into(), flatten: true, ..TradingKilled::default() };
    put(&tape, "kill", Body::TradingKilled(kill)).await;
    until("the orders of the account are those that close it", async || {
        let book = book(&tape).await;
        let open: Vec<_> = book.open_orders().filter(|order| order.spec.account == "paper").collect();
        open.len() == 2 && open.iter().all(|order| order.spec.reducing && order.accepted_ns.is_some())
    })
    .await;
    // Killed and started again in the middle, it adds nothing.
    shutdown.cancel();
    running.await.unwrap();
    let before = everything(&tape).await.len();
    let (shutdown, running) = start(&tape);
    let t = OPEN_NS + 2 * HOUR_NS;
    script.instant(t, vec![bar("A", t, 51, 51), bar("B", t, 49, 49)]).await;
    assert!(held(&tape, "paper").await.is_empty());
    assert_eq!(held(&tape, "second").await, [("momentum/A".to_owned(), Quantity(10 * E9))]);
    let book = book(&tape).await;
    assert_eq!(book.open_orders().map(|order| order.spec.account.as_str()).collect::<Vec<_>>(), ["second"]);
    assert!(book.is_stopped("paper", "momentum", true) && !book.is_stopped("second", "momentum", false));
    // Two fills and two marks came since; a bar later nothing more is done.
    let after = everything(&tape).await.len();
    assert_eq!(after - before, 4);
    let t = OPEN_NS + 3 * HOUR_NS;
    script.instant(t, vec![bar("A", t, 51, 51)]).await;
    assert_eq!(everything(&tape).await.len() - after, 2);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_killed_strategy_keeps_its_positions_unless_told_and_what_comes_late_is_withdrawn() {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    let (shutdown, running) = start(&tape);
    traded(&script).await;
    let kill = TradingKilled { strategy: "momentum".into(), ..TradingKilled::default() };
    put(&tape, "kill", Body::TradingKilled(kill)).await;
    let late = order("late", "paper", "B", Side::Buy, 5);
    script.approve("late", OPEN_NS + HOUR_NS, std::slice::from_ref(&late), &[&["cancelled"]]).await;
    assert!(tape.last(stream::TRADING, Subject::order(&late, "submitted").as_str()).await.unwrap().is_none());
    until("its resting orders are gone", async || {
        book(&tape).await.open_orders().map(|order| order.spec.strategy.clone()).collect::<Vec<_>>()
            == [MANUAL]
    })
    .await;
    assert_eq!(held(&tape, "paper").await.len(), 2);
    // What reduces still passes.
    let exit = OrderSpec { reducing: true, ..order("exit", "paper", "A", Side::Sell, 10) };
    script.approve("exit", OPEN_NS + HOUR_NS, &[exit], &[&["accepted"]]).await;
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_was_traded_by_hand_is_closed_alone_and_goes_on_when_it_is_resumed() {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    let (shutdown, running) = start(&tape);
    traded(&script).await;
    let kill = TradingKilled { strategy: MANUAL.into(), flatten: true, ..TradingKilled::default() };
    put(&tape, "kill", Body::TradingKilled(kill)).await;
    until("the order by hand is the one that closes", async || {
        let book = book(&tape).await;
        let own: Vec<_> = book.open_orders().filter(|order| order.spec.strategy == MANUAL).collect();
        own.len() == 1 && own.iter().all(|order| order.spec.reducing && order.accepted_ns.is_some())
    })
    .await;
    let t = OPEN_NS + 2 * HOUR_NS;
    script.instant(t, vec![bar("A", t, 51, 51), bar("B", t, 49, 49)]).await;
    assert_eq!(held(&tape, "paper").await, [("momentum/A".to_owned(), Quantity(10 * E9))]);
    let stopped = book(&tape).await;
    assert!(stopped.is_stopped("paper", MANUAL, true) && !stopped.is_stopped("paper", "momentum", false));
    let resumed = TradingResumed { strategy: MANUAL.into(), ..TradingResumed::default() };
    put(&tape, "resume", Body::TradingResumed(resumed)).await;
    assert!(!book(&tape).await.is_stopped("paper", MANUAL, false));
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_breaker_trips_before_the_mark_that_shows_why() {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    let (shutdown, running) = start(&tape);
    let mut limits = TradeLimits::default();
    fields::state(&mut limits, "breaker_drawdown", "0.001").unwrap();
    traded(&script).await;
    let scope = Some(Scope::new("paper", "", "").to_wire());
    let set = LimitsSet { scope, version: 1, limits: Some(limits), ..LimitsSet::default() };
    put(&tape, "limits", Body::LimitsSet(set)).await;
    let t = OPEN_NS + 2 * HOUR_NS;
    script.instant(t, vec![bar("A", t, 30, 30), bar("B", t, 50, 50)]).await;
    let events = everything(&tape).await;
    let place = |wanted: &dyn Fn(&Body) -> bool| {
        events.iter().rposition(|recorded| recorded.event.body.as_ref().is_some_and(wanted))
    };
    let tripped = place(
        &|body| matches!(body, Body::BreakerTripped(event) if event.kind() == BreakerKind::Drawdown && event.account == "paper"),
    );
    let mark = place(&|body| matches!(body, Body::AccountMarked(mark) if mark.account == "paper"));
    assert!(tripped.is_some() && tripped < mark, "{tripped:?} {mark:?}");
    let t = OPEN_NS + 3 * HOUR_NS;
    script.instant(t, vec![bar("A", t, 30, 30), bar("B", t, 50, 50)]).await;
    let count = |events: &[event_log::Recorded]| {
        events.iter().filter(|recorded| matches!(recorded.event.body, Some(Body::BreakerTripped(_)))).count()
    };
    assert_eq!(count(&everything(&tape).await), 1);
    shutdown.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_closing_order_follows_although_the_switch_was_put_back_before_its_writer_knew() {
    let tape = MemoryLog::new();
    let script = Script { tape: tape.clone(), framed: true };
    let (shutdown, running) = start(&tape);
    traded(&script).await;
    let kill = TradingKilled { account: "paper".into(), flatten: true, ..TradingKilled::default() };
    put(&tape, "kill", Body::TradingKilled(kill)).await;
    let closes = |body: &Option<Body>| matches!(body, Some(Body::OrderSubmitted(submitted)) if submitted.order.as_ref().is_some_and(|order| order.reducing));
    until("a position is being closed", async || {
        everything(&tape).await.iter().any(|recorded| closes(&recorded.event.body))
    })
    .await;
    shutdown.cancel();
    running.await.unwrap();
    let events = everything(&tape).await;
    let sent = events.iter().find(|recorded| closes(&recorded.event.body)).unwrap();
    let read = basis_of(&sent.event, stream::TRADING).unwrap();
    let mut follower = Follower::new(&[], Calendar::xnys());
    for recorded in &events[..usize::try_from(sent.sequence - 1).unwrap()] {
        follower.fold(recorded).unwrap();
    }
    let resumed = TradingResumed { account: "paper".into(), ..TradingResumed::default() };
    let event = Event {
        event_time: Some(to_timestamp(OPEN_NS)),
        body: Some(Body::TradingResumed(resumed)),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap().as_str().to_owned();
    follower.fold(&Recorded { sequence: sent.sequence, subject, event }).unwrap();
    let late = Recorded { sequence: sent.sequence + 1, ..sent.clone() };
    assert!(matches!(follower.derive(&late).await.unwrap(), Derived::Nothing));
    let mut then = Book::default();
    for recorded in events.iter().filter(|recorded| recorded.sequence <= read) {
        then.apply(recorded.sequence, &recorded.event).unwrap();
    }
    let Derived::Event(append) = follower.derive_unaware(&late, then) else { panic!("{late:?}") };
    assert_eq!((append.event.id, append.event.body), (late.event.id, late.event.body));
}
