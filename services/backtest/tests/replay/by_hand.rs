//! What people do between instants: orders by hand.

use std::sync::Arc;

use backtest::replay::{Options, replay};
use contracts::v1::event::Body;
use contracts::v1::{OrderType, Side, TimeInForce};
use contracts::{from_timestamp, stream};
use domain::calendar::Market;
use event_log::Tape;
use runtime::ClockMode;
use runtime::command::{Caller, NewOrder, place_order};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::rehearsal::{everything, rehearse_between};

const INSTANTS: usize = 120;
const SYMBOL: &str = "ACMEX";

pub fn options() -> Options {
    Options {
        clock: ClockMode::Tape,
        calendar: Market::Xnys,
        fallback_account: "paper".into(),
        from: 1,
        to: None,
        read_model: None,
    }
}

/// Does its work in the midst of a rehearsal, between two instants.
pub fn wait<T>(work: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(work))
}

pub fn caller(key: &str) -> Caller {
    Caller { actor: "ann".into(), key: key.into() }
}

/// An order to buy five shares at the market.
pub fn order() -> NewOrder {
    NewOrder {
        account: "paper".into(),
        symbol: SYMBOL.into(),
        side: Side::Buy,
        order_type: OrderType::Market,
        time_in_force: TimeInForce::Day,
        quantity_e9: Some(5_000_000_000),
        notional_e9: None,
        limit_price_e9: None,
        stop_price_e9: None,
        trail_price_e9: None,
        trail_rate_e9: None,
        take_profit_price_e9: None,
        stop_loss_price_e9: None,
        extended_hours: false,
        reason: "by hand".into(),
    }
}

pub fn place(tape: &Tape, key: &str, order: &NewOrder) {
    wait(place_order(tape, &caller(key), ClockMode::Tape, order)).unwrap();
}

pub fn buy(tape: &Tape) {
    place(tape, "buy", &order());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_by_hand_is_decided_at_the_instant_that_met_it_and_follows() {
    let log = rehearse_between(INSTANTS, vec![(60, buy as fn(&Tape))]).await;
    let events = everything(&log, stream::TRADING).await;
    let is_signal =
        |body: &Body| matches!(body, Body::Signal(signal) if signal.strategy == contracts::MANUAL);
    let signal = events.iter().find(|recorded| recorded.event.body.as_ref().is_some_and(is_signal)).unwrap();
    let decision = events.iter().find(|recorded| recorded.event.causation_id == signal.event.id).unwrap();
    let ns = |recorded: &event_log::Recorded| recorded.event.event_time.as_ref().and_then(from_timestamp);
    assert!(ns(decision) > ns(signal), "it was met an instant later");
    let Some(Body::RiskDecision(decided)) = &decision.event.body else { panic!("{decision:#?}") };
    assert!(decided.inputs[0].price_age_ms >= 0, "{decided:#?}");
    let tape: Tape = Arc::new(log);
    let report = Box::pin(replay(&tape, options(), |_, _| {})).await.unwrap();
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
}
