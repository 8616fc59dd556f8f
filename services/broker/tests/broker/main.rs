//! The simulated broker: the contract of every adapter, and what is its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up fails by panicking")]

use broker::contract::{Bench, run_all};
use broker::{Broker, MarketEvent, Report, SimulatedBroker, StateAtBroker};
use contracts::v1::event::Body;
use contracts::v1::{
    Costs, Event, OrderAccepted, OrderSpec, OrderSubmitted, OrderType, RiskDecision, Side, TimeInForce,
    Verdict,
};
use contracts::{client_order_id, to_timestamp};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::{Calendar, Session};
use domain::money::{Price, Quantity, Volume};
use domain::order::{BrokerReport, OrderState, OrderStatus};

const HOUR_NS: i64 = 3_600_000_000_000;
const NOW_NS: i64 = 1_718_118_000_000_000_000; // 2024-06-11 15:00 UTC, within a session.

fn session() -> Session {
    Calendar::xnys().session_at(NOW_NS).unwrap().unwrap()
}

fn bar(start_ns: i64, price_e9: i64) -> Bar {
    let price = Price(price_e9);
    let close_ns = start_ns + HOUR_NS;
    Bar { start_ns, close_ns, open: price, high: price, low: price, close: price, volume: Volume(1) }
}

fn feed(broker: &mut dyn Broker, bar: &Bar) -> Vec<Report> {
    let session = session();
    broker.on_market(MarketEvent::Bar { symbol: "ACME", bar, session: Some(&session) })
}

struct SimulatedBench;

impl Bench for SimulatedBench {
    fn fresh(&self) -> Box<dyn Broker> {
        Box::new(SimulatedBroker::default())
    }

    fn trade(&self, broker: &mut dyn Broker, _symbol: &str, price_e9: i64) -> Vec<Report> {
        feed(broker, &bar(NOW_NS, price_e9))
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    run_all(&SimulatedBench).await;
}

fn order(order_id: &str) -> OrderSpec {
    OrderSpec {
        order_id: order_id.to_owned(),
        account: "paper".to_owned(),
        strategy: "trend".to_owned(),
        symbol: "ACME".to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Limit.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 10_000_000_000,
        limit_price_e9: Some(40_000_000_000),
        ..OrderSpec::default()
    }
}

/// A book in which `order` was approved and submitted, and accepted where `accepted` says so.
fn book(orders: &[(OrderSpec, bool)]) -> Book {
    let mut book = Book::default();
    let mut apply = |body| {
        let sequence = book.sequence() + 1;
        let event_time = Some(to_timestamp(NOW_NS));
        let event = Event { id: format!("{sequence}"), event_time, body: Some(body), ..Event::default() };
        book.apply(sequence, &event).unwrap();
    };
    for (order, accepted) in orders {
        let order_id = order.order_id.clone();
        apply(Body::RiskDecision(RiskDecision {
            verdict: Verdict::Approved.into(),
            orders: vec![order.clone()],
            ..RiskDecision::default()
        }));
        apply(Body::OrderSubmitted(OrderSubmitted {
            order: Some(order.clone()),
            client_order_id: client_order_id(&order_id),
            broker: "simulated".to_owned(),
        }));
        if *accepted {
            let broker_order_id = format!("sim-{order_id}");
            apply(Body::OrderAccepted(OrderAccepted { order_id, broker_order_id }));
        }
    }
    book
}

#[tokio::test]
async fn it_resumes_what_it_had_accepted() {
    let book = book(&[(order("a"), true), (order("b"), false)]);
    let mut resumed = SimulatedBroker::resume(&book).unwrap();
    assert_eq!(resumed.working(), 1);
    let known = resumed.lookup(&client_order_id("a")).await.unwrap().unwrap();
    assert_eq!((known.state, known.broker_order_id.as_str()), (StateAtBroker::Working, "sim-a"));
    assert_eq!(resumed.lookup(&client_order_id("b")).await.unwrap(), None, "its answer was lost");

    // Sent again with the time of its intent, the lost one stands as if nothing had happened.
    resumed.submit(&order("b"), &client_order_id("b"), NOW_NS).await.unwrap();
    let mut steady = SimulatedBroker::default();
    for order in [order("a"), order("b")] {
        steady.submit(&order, &client_order_id(&order.order_id), NOW_NS).await.unwrap();
    }
    let bar = bar(NOW_NS, 39_000_000_000);
    assert_eq!(feed(&mut resumed, &bar), feed(&mut steady, &bar));
}

#[tokio::test]
async fn day_orders_expire_at_the_close() {
    let mut broker = SimulatedBroker::default();
    broker.submit(&order("a"), &client_order_id("a"), NOW_NS).await.unwrap();
    let reports = broker.on_market(MarketEvent::SessionClosed { session: (&session()).into() });
    let [Report { order_id, report: BrokerReport::Expired { .. } }] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!((order_id.as_str(), broker.working()), ("a", 0));
}

#[tokio::test]
async fn a_split_restates_and_a_tape_s_end_forgets() {
    let mut broker = SimulatedBroker::default();
    for order in [order("a"), order("b")] {
        broker.submit(&order, &client_order_id(&order.order_id), NOW_NS).await.unwrap();
    }
    let (quantity_e9, limit_price_e9) = (20_000_000_000, Some(20_000_000_000));
    let restated = OrderSpec { quantity_e9, limit_price_e9, ..order("a") };
    let mut state = OrderState::approved(restated, Price(0), NOW_NS);
    (state.status, state.accepted_ns) = (OrderStatus::Accepted, Some(NOW_NS));
    broker.on_adjusted(&state);
    broker.forget("b");
    assert_eq!(broker.working(), 1);
    assert!(feed(&mut broker, &bar(NOW_NS, 30_000_000_000)).is_empty());
    let reports = feed(&mut broker, &bar(NOW_NS, 19_000_000_000));
    let [Report { report: BrokerReport::Filled(execution), .. }] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!(execution.quantity, Quantity(20_000_000_000));
}

#[tokio::test]
async fn costs_out_of_range_take_one_order_off_and_fill_the_rest() {
    let mut broker = SimulatedBroker::default();
    let wild = OrderSpec {
        account: "wild".to_owned(),
        order_type: OrderType::Market.into(),
        side: Side::Sell.into(),
        ..order("a")
    };
    // Slippage of the whole price leaves a sale nothing.
    broker.set_costs("wild", Costs { slippage_rate_e9: 1_000_000_000, ..Costs::default() });
    for order in [wild, order("b")] {
        broker.submit(&order, &client_order_id(&order.order_id), NOW_NS).await.unwrap();
    }
    let reports = feed(&mut broker, &bar(NOW_NS, 39_000_000_000));
    let [first, second] = reports.as_slice() else { panic!("{reports:?}") };
    let BrokerReport::Cancelled { reason } = &first.report else { panic!("{first:?}") };
    assert_eq!(reason, "order a: slippage is out of range");
    assert!(matches!(second.report, BrokerReport::Filled(_)));
    assert_eq!(broker.working(), 0);
}
