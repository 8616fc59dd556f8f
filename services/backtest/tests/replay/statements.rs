//! What people state between instants is met in a rerun where it was met at first.

use std::sync::Arc;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{
    Event, Intent, OrderType, PositionsFate, StrategyDisabled, StrategyEnabled, StrategyMode, TimeInForce,
};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use domain::book::Scope;
use event_log::{Append, EventLog as _, Expect, MemoryLog, Tape};
use projections::as_of::{Moment, Timeline};
use runtime::command::{NewOrder, cancel_order};

use crate::by_hand::{buy, caller, order, place, wait};
use crate::limited::limits;
use crate::moved::beside_execution;
use crate::rehearsal::{everything, market, prepared, rehearse, rehearse_between, rehearse_on};
use crate::rerunning::{again, differing};

const INSTANTS: usize = 120;
const CENT_E9: i64 = 10_000_000;

/// States something in the midst of a rehearsal.
pub fn state(tape: &Tape, body: Body) {
    let event = Event {
        id: event_id(&format!("{body:?}"), "stated", 0),
        event_time: Some(to_timestamp(1_704_100_000_000_000_000)),
        source: "test".into(),
        body: Some(body),
        ..Event::default()
    };
    let subject = Subject::for_event(&event, None).unwrap();
    wait(tape.append(Append { subject, event, expect: Expect::Nothing })).unwrap();
}

fn stop(tape: &Tape) {
    let (strategy, positions) = ("cross".into(), PositionsFate::Keep.into());
    let stopped = StrategyDisabled { strategy, positions, ..StrategyDisabled::default() };
    state(tape, Body::StrategyDisabled(stopped));
}

fn start(tape: &Tape) {
    let (strategy, mode) = ("cross".into(), StrategyMode::Paper.into());
    state(tape, Body::StrategyEnabled(StrategyEnabled { strategy, mode, actor: "ann".into() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_enabled_behind_an_instant_signals_nothing_in_it() {
    // Where the strategy would enter, if it were not stopped for that instant.
    let instants = market(INSTANTS);
    let undisturbed = everything(&rehearse(INSTANTS, 1).await, stream::TRADING).await;
    let enters = |body: &Body| {
        matches!(body, Body::Signal(signal)
            if signal.strategy == "cross" && signal.legs[0].intent() == Intent::EnterLong)
    };
    let entries = undisturbed.iter().filter(|recorded| recorded.event.body.as_ref().is_some_and(enters));
    let entries = entries.filter_map(|recorded| recorded.event.event_time.as_ref().and_then(from_timestamp));
    let places = entries.filter_map(|ns| instants.iter().position(|instant| instant.ns == ns));
    let place = places.filter(|place| place + 2 < INSTANTS).max().expect("an entry");
    let log =
        rehearse_between(INSTANTS, vec![(place, stop as fn(&Tape)), (place + 1, start as fn(&Tape))]).await;
    let rows = Box::pin(again(&log, &[], &[])).await;
    assert!(differing(&rows).is_empty(), "{:#?}", differing(&rows));
}

/// An order to buy that rests below the market.
fn rest(tape: &Tape) {
    let bar = wait(tape.last(stream::MARKET, "market.bar.*.ACMEX")).unwrap().unwrap();
    let Some(Body::Bar(bar)) = bar.event.body else { panic!("no bar") };
    let order = NewOrder {
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        limit_price_e9: Some(bar.close_e9 / 10 * 9 / CENT_E9 * CENT_E9),
        reason: "to rest".into(),
        ..order()
    };
    place(tape, "rest", &order);
}

/// Two requests of one instant: the order is cancelled on the first of them.
fn cancel_twice(tape: &Tape) {
    let asked = async {
        let past = Timeline::new(tape.clone()).at(Moment::Instant(i64::MAX)).await.unwrap();
        let resting = past.book.open_orders().find(|order| order.spec.limit_price_e9.is_some());
        let spec = &resting.expect("an order that rests").spec;
        let cancelled = Subject::order(spec, "cancelled");
        for key in ["first", "second"] {
            cancel_order(tape, &caller(key), spec, key).await.unwrap();
            while tape.last_sequence(stream::TRADING, cancelled.as_str()).await.unwrap() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    };
    wait(tokio::time::timeout(Duration::from_secs(20), asked)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_cancelled_on_the_request_that_was_read_first() {
    let between = vec![(90, rest as fn(&Tape)), (91, cancel_twice as fn(&Tape))];
    let log = rehearse_between(INSTANTS, between).await;
    let events = everything(&log, stream::TRADING).await;
    let requests =
        events.iter().filter(|recorded| matches!(recorded.event.body, Some(Body::OrderCancelRequested(_))));
    assert_eq!(requests.count(), 2);
    let rows = Box::pin(again(&log, &[], &[])).await;
    assert!(differing(&rows).is_empty(), "{:#?}", differing(&rows));
}

/// Cancels the order that rests, where nobody but execution runs.
async fn cancel_alone(log: &MemoryLog) {
    let tape: Tape = Arc::new(log.clone());
    let past = Timeline::new(tape.clone()).at(Moment::Instant(i64::MAX)).await.unwrap();
    let resting = past.book.open_orders().find(|order| order.spec.limit_price_e9.is_some());
    let spec = &resting.expect("an order that rests").spec;
    cancel_order(&tape, &caller("alone"), spec, "not wanted").await.unwrap();
    let subject = Subject::order(spec, "cancelled");
    let cancelled = async {
        while tape.last_sequence(stream::TRADING, subject.as_str()).await.unwrap() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let cancelled = async {
        tokio::time::timeout(Duration::from_secs(20), cancelled).await.expect("the order is cancelled");
    };
    beside_execution(log, Arc::new(broker::Simulated), cancelled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_execution_did_before_a_decision_of_its_instant_is_done_before_it() {
    let log = prepared().await;
    // A decision states how many orders are open where a limit is on it.
    let limited = limits(Scope::new("paper", "", ""), &[("max_open_orders", "50")]);
    rehearse_on(&log, 91, vec![limited], vec![(90, rest as fn(&Tape))]).await;
    cancel_alone(&log).await;
    let tape: Tape = Arc::new(log.clone());
    buy(&tape);
    // The clock begins again with the last instant, in which that is decided.
    rehearse_on(&log, INSTANTS, Vec::new(), Vec::new()).await;
    let rows = Box::pin(again(&log, &[], &[])).await;
    assert!(differing(&rows).is_empty(), "{:#?}", differing(&rows));
}

/// The tape once more, with the request to cancel before the marks behind which it was stated: execution had not read it
/// when it marked.
async fn with_the_request_before_the_marks(log: &MemoryLog) -> MemoryLog {
    let mut events = everything(log, stream::TRADING).await;
    let is_request = |body: &Body| matches!(body, Body::OrderCancelRequested(_));
    let asked = events.iter().position(|recorded| recorded.event.body.as_ref().is_some_and(is_request));
    let request = events.remove(asked.unwrap());
    let marked = &events[asked.unwrap() - 1].event.event_time;
    let first = events.iter().position(|recorded| recorded.event.event_time == *marked).unwrap();
    events.insert(first, request);
    let copy = MemoryLog::new();
    for recorded in everything(log, stream::MARKET).await.into_iter().chain(events) {
        let subject = Subject::parse(&recorded.subject).unwrap();
        copy.append(Append { subject, event: recorded.event, expect: Expect::Nothing }).await.unwrap();
    }
    copy
}

#[tokio::test(flavor = "multi_thread")]
async fn what_execution_had_not_read_at_the_marks_is_met_behind_them() {
    // An instant that has nothing but its marks.
    let (instants, undisturbed) = (market(INSTANTS), rehearse(INSTANTS, 1).await);
    let undisturbed = everything(&undisturbed, stream::TRADING).await;
    let is_quiet = |ns: i64| {
        let own = undisturbed
            .iter()
            .filter(|recorded| recorded.event.event_time.as_ref().and_then(from_timestamp) == Some(ns));
        own.map(|recorded| &recorded.event.body).all(|body| matches!(body, Some(Body::AccountMarked(_))))
    };
    let place = (92..INSTANTS - 1).find(|place| is_quiet(instants[*place].ns)).expect("a quiet instant");
    let log = prepared().await;
    rehearse_on(&log, place + 1, Vec::new(), vec![(90, rest as fn(&Tape))]).await;
    cancel_alone(&log).await;
    rehearse_on(&log, INSTANTS, Vec::new(), Vec::new()).await;
    let log = with_the_request_before_the_marks(&log).await;
    let rows = Box::pin(again(&log, &[], &[])).await;
    assert!(differing(&rows).is_empty(), "{:#?}", differing(&rows));
}
