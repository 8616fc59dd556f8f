//! The simulated broker: the contract of every adapter, and what is its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up fails by panicking")]

mod exits;

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use broker::contract::{Bench, run_all};
use broker::{Broker, MarketEvent, Report, SimulatedBroker, StateAtBroker};
use contracts::v1::event::Body;
use contracts::v1::{
    Costs, Event, Fill, GroupKind, OrderAccepted, OrderCancelled, OrderExpired, OrderRejected, OrderSpec,
    OrderSubmitted, OrderType, RiskDecision, Side, TimeInForce, Verdict,
};
use contracts::{child_order_id, client_order_id, to_timestamp};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::{Calendar, Session};
use domain::matching::kernel::End;
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

/// With the number of hours that a broker has seen, each later than the one before.
#[derive(Default)]
struct SimulatedBench(AtomicI64);

impl SimulatedBench {
    fn hour(&self, price_e9: i64, volume: Volume) -> Bar {
        let hours = self.0.fetch_add(1, Ordering::Relaxed);
        Bar { volume, ..bar(NOW_NS + hours * HOUR_NS, price_e9) }
    }
}

#[async_trait]
impl Bench for SimulatedBench {
    async fn fresh(&self) -> Box<dyn Broker> {
        self.0.store(0, Ordering::Relaxed);
        Box::new(SimulatedBroker::default())
    }

    fn symbol(&self) -> &'static str {
        "ACME"
    }

    async fn trade(&self, broker: &mut dyn Broker, price_e9: i64) -> Vec<Report> {
        feed(broker, &self.hour(price_e9, Volume(1)))
    }

    async fn trade_some(&self, broker: &mut dyn Broker, price_e9: i64, shares_e9: i64) -> Vec<Report> {
        // Every share of the hour may be had, and of the others as many as are wanted.
        broker.set_costs("contract", Costs { volume_share_most_e9: 1_000_000_000, ..Costs::default() });
        let reports = feed(broker, &self.hour(price_e9, Volume(shares_e9 / 1_000_000)));
        broker.set_costs("contract", Costs::default());
        reports
    }
}

#[tokio::test]
async fn it_keeps_the_contract() {
    run_all(&SimulatedBench::default()).await;
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
            apply(Body::OrderAccepted(OrderAccepted { order_id, broker_order_id, reopened: false }));
        }
    }
    book
}

#[tokio::test]
async fn it_resumes_what_it_had_accepted() {
    let book = book(&[(order("a"), true), (order("b"), false)]);
    let mut resumed = SimulatedBroker::resume(&book).unwrap();
    assert_eq!(resumed.working(), 1);
    let known = resumed.lookup(&order("a"), &client_order_id("a")).await.unwrap().unwrap();
    assert_eq!((known.state, known.broker_order_id.as_str()), (StateAtBroker::Working, "sim-a"));
    assert_eq!(
        resumed.lookup(&order("b"), &client_order_id("b")).await.unwrap(),
        None,
        "its answer was lost"
    );

    // Sent again with the time of its intent, the lost one stands as if nothing had happened.
    resumed.submit(&order("b"), &client_order_id("b"), NOW_NS).await.unwrap();
    let mut steady = SimulatedBroker::default();
    for order in [order("a"), order("b")] {
        steady.submit(&order, &client_order_id(&order.order_id), NOW_NS).await.unwrap();
    }
    let bar = bar(NOW_NS, 39_000_000_000);
    assert_eq!(feed(&mut resumed, &bar), feed(&mut steady, &bar));
}

fn bracket() -> [OrderSpec; 3] {
    let group = |order_id: &str| OrderSpec {
        group: GroupKind::Bracket.into(),
        group_id: "a".to_owned(),
        ..order(order_id)
    };
    let exit = |index| OrderSpec {
        side: Side::Sell.into(),
        time_in_force: TimeInForce::Gtc.into(),
        parent_id: "a".to_owned(),
        limit_price_e9: Some(60_000_000_000),
        ..group(&child_order_id("a", index))
    };
    let stop = OrderSpec {
        order_type: OrderType::Stop.into(),
        limit_price_e9: None,
        stop_price_e9: Some(30_000_000_000),
        ..exit(1)
    };
    [group("a"), exit(0), stop]
}

async fn answer(broker: &mut SimulatedBroker, order: &OrderSpec) -> BrokerReport {
    let mut said = broker.submit(order, &client_order_id(&order.order_id), NOW_NS).await.unwrap();
    said.remove(0).report
}

#[tokio::test]
async fn an_exit_sent_again_follows_what_became_of_its_entry() {
    let [entry, target, stop] = bracket();
    let over = BrokerReport::Cancelled { reason: End::EntryOver.reason().to_owned() };
    let closing_bar = bar(NOW_NS + HOUR_NS, 61_000_000_000);
    let given = |body: Option<Body>| {
        let mut book = book(&[(entry.clone(), true), (target.clone(), false), (stop.clone(), false)]);
        if let Some(body) = body {
            let event =
                Event { event_time: Some(to_timestamp(NOW_NS)), body: Some(body), ..Event::default() };
            book.apply(book.sequence() + 1, &event).unwrap();
        }
        SimulatedBroker::resume(&book).unwrap()
    };
    let fill = |quantity_e9| {
        let body = Fill {
            order_id: "a".to_owned(),
            account: entry.account.clone(),
            strategy: entry.strategy.clone(),
            symbol: entry.symbol.clone(),
            side: entry.side,
            number: 1,
            quantity_e9,
            price_e9: 40_000_000_000,
            execution_id: "sim-a-1".to_owned(),
            executed_at: Some(to_timestamp(NOW_NS)),
            remaining_e9: entry.quantity_e9 - quantity_e9,
            ..Fill::default()
        };
        Some(Body::Fill(body))
    };
    // Filled, whole or in part: the exits close what it filled.
    for quantity_e9 in [entry.quantity_e9, 4_000_000_000] {
        let mut broker = given(fill(quantity_e9));
        for exit in [&target, &stop] {
            let said = answer(&mut broker, exit).await;
            assert!(matches!(said, BrokerReport::Accepted { .. }), "{said:?}");
        }
        let reports = feed(&mut broker, &closing_bar);
        let Some(Report { report: BrokerReport::Filled(execution), .. }) = reports.first() else {
            panic!("{reports:?}")
        };
        assert_eq!(execution.quantity, Quantity(quantity_e9));
    }
    // Working still.
    assert!(matches!(answer(&mut given(None), &target).await, BrokerReport::Accepted { .. }));
    // Ended unfilled.
    let (order_id, reason) = ("a".to_owned(), "over".to_owned());
    let cancelled = OrderCancelled { order_id: order_id.clone(), reason: reason.clone() };
    assert_eq!(answer(&mut given(Some(Body::OrderCancelled(cancelled))), &target).await, over);
    let expired = OrderExpired { order_id: order_id.clone(), reason: reason.clone() };
    assert_eq!(answer(&mut given(Some(Body::OrderExpired(expired))), &target).await, over);
    let rejected = OrderRejected { order_id, reason };
    let said = answer(&mut given(Some(Body::OrderRejected(rejected))), &target).await;
    assert!(matches!(said, BrokerReport::Rejected { .. }), "{said:?}");
}

#[tokio::test]
async fn an_exit_that_comes_after_its_entry_filled_closes_it() {
    let [entry, target, stop] = bracket();
    let mut broker = SimulatedBroker::default();
    answer(&mut broker, &entry).await;
    answer(&mut broker, &stop).await;
    assert_eq!(feed(&mut broker, &bar(NOW_NS, 39_000_000_000)).len(), 1, "the entry fills whole");
    assert!(matches!(answer(&mut broker, &target).await, BrokerReport::Accepted { .. }));
    let reports = feed(&mut broker, &bar(NOW_NS + HOUR_NS, 61_000_000_000));
    let [
        Report { report: BrokerReport::Filled(_), .. },
        Report { report: BrokerReport::Cancelled { .. }, .. },
    ] = reports.as_slice()
    else {
        panic!("{reports:?}")
    };
}

#[tokio::test]
async fn an_exit_for_less_than_its_entry_waits_until_that_has_closed_the_rest() {
    let [entry, target, stop] = bracket();
    let entry = OrderSpec { quantity_e9: 15_000_000_000, ..entry };
    let given = async || {
        let mut broker = SimulatedBroker::default();
        // Every share of a bar may be had.
        broker.set_costs("paper", Costs { volume_share_most_e9: 1_000_000_000, ..Costs::default() });
        for order in [&entry, &stop] {
            assert!(matches!(answer(&mut broker, order).await, BrokerReport::Accepted { .. }));
        }
        broker
    };
    let shares = |report: &Report| match &report.report {
        BrokerReport::Filled(execution) => (report.order_id.clone(), execution.quantity.0 / 1_000_000_000),
        _ => (report.order_id.clone(), 0),
    };
    let hour = |broker: &mut SimulatedBroker, hours: i64, price_e9, volume: i64| {
        let bar = Bar { volume: Volume(volume * 1_000), ..bar(NOW_NS + hours * HOUR_NS, price_e9) };
        feed(broker, &bar).iter().map(shares).collect::<Vec<_>>()
    };
    let (id, target_id, stop_id) = (entry.order_id.clone(), target.order_id.clone(), stop.order_id.clone());
    let mut broker = given().await;
    assert_eq!(hour(&mut broker, 0, 39_000_000_000, 4), [(id.clone(), 4)], "4 of the 5 that it closes first");
    assert!(matches!(answer(&mut broker, &target).await, BrokerReport::Accepted { .. }));
    assert!(hour(&mut broker, 1, 61_000_000_000, 100).is_empty(), "there is nothing to take a profit of");
    assert_eq!(hour(&mut broker, 2, 39_000_000_000, 100), [(id.clone(), 11)]);
    assert_eq!(hour(&mut broker, 3, 61_000_000_000, 100), [(target_id, 10), (stop_id.clone(), 0)]);
    // One that did no more than close has nothing for an exit that comes later.
    let mut broker = given().await;
    assert_eq!(hour(&mut broker, 0, 39_000_000_000, 4), [(id.clone(), 4)]);
    let said = broker.cancel(&entry, &client_order_id(&id), NOW_NS).await.unwrap();
    assert_eq!(said.iter().map(shares).collect::<Vec<_>>(), [(id, 0), (stop_id, 0)]);
    let over = BrokerReport::Cancelled { reason: End::EntryOver.reason().to_owned() };
    assert_eq!(answer(&mut broker, &target).await, over);
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

#[test]
fn exits_of_brackets_and_pairs_name_each_other() {
    let order = |id: &str, parent: &str, kind: GroupKind| OrderSpec {
        order_id: id.into(),
        parent_id: parent.into(),
        group_id: "entry".into(),
        group: kind.into(),
        ..OrderSpec::default()
    };
    let [target, stop] = [0, 1].map(|index| child_order_id("entry", index));
    let other = |id: &str, parent: &str, kind| broker::other_exit(&order(id, parent, kind));
    assert_eq!(other(&target, "entry", GroupKind::Bracket), Some(stop.clone()));
    assert_eq!(other(&stop, "entry", GroupKind::Bracket), Some(target.clone()));
    assert_eq!(other("entry", "", GroupKind::Bracket), None, "the entry");
    assert_eq!(other("entry", "", GroupKind::Oco), Some(stop.clone()));
    assert_eq!(other(&stop, "", GroupKind::Oco), Some("entry".into()));
    assert_eq!(other(&stop, "entry", GroupKind::Oto), None, "one exit is no pair");
    assert_eq!(broker::other_exit(&OrderSpec::default()), None);
}
