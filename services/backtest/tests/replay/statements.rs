//! What people state between instants is met in a rerun where it was met at first.

use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{
    Event, Intent, OrderType, PositionsFate, Side, StrategyDisabled, StrategyEnabled, StrategyMode,
    TimeInForce,
};
use contracts::{Subject, event_id, from_timestamp, stream, to_timestamp};
use event_log::{Append, Expect, Tape};
use projections::as_of::{Moment, Timeline};
use runtime::ClockMode;
use runtime::command::{Caller, NewOrder, cancel_order, place_order};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::rehearsal::{everything, market, rehearse, rehearse_between};
use crate::rerunning::{again, differing};

const INSTANTS: usize = 120;
const CENT_E9: i64 = 10_000_000;

fn wait<T>(work: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(work))
}

fn state(tape: &Tape, body: Body) {
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
        account: "paper".into(),
        symbol: "ACMEX".into(),
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        quantity_e9: Some(5_000_000_000),
        notional_e9: None,
        limit_price_e9: Some(bar.close_e9 / 10 * 9 / CENT_E9 * CENT_E9),
        stop_price_e9: None,
        trail_price_e9: None,
        trail_rate_e9: None,
        take_profit_price_e9: None,
        stop_loss_price_e9: None,
        extended_hours: false,
        reason: "to rest".into(),
    };
    let caller = Caller { actor: "ann".into(), key: "rest".into() };
    wait(place_order(tape, &caller, ClockMode::Tape, &order)).unwrap();
}

/// Two requests of one instant: the order is cancelled on the first of them.
fn cancel_twice(tape: &Tape) {
    let asked = async {
        let past = Timeline::new(tape.clone()).at(Moment::Instant(i64::MAX)).await.unwrap();
        let resting = past.book.open_orders().find(|order| order.spec.limit_price_e9.is_some());
        let spec = &resting.expect("an order that rests").spec;
        let cancelled = Subject::order(spec, "cancelled");
        for key in ["first", "second"] {
            let caller = Caller { actor: "ann".into(), key: key.into() };
            cancel_order(tape, &caller, spec, key).await.unwrap();
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
