//! The contract that every broker adapter must pass, written against a bench that can make a market.
//!
//! A test of an adapter makes a [`Bench`] and calls [`run_all`] with it. The simulated adapter's bench
//! feeds bars; that of an adapter for a network feeds its stand-in server.

use async_trait::async_trait;
use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};
use contracts::{client_order_id, order_id};
use domain::order::BrokerReport;

use crate::port::{Broker, Outgoing, Report, StateAtBroker};

/// An adapter with a market that the suite can move.
#[async_trait]
pub trait Bench: Sync {
    /// A broker without orders.
    async fn fresh(&self) -> Box<dyn Broker>;

    /// The symbol that is traded.
    fn symbol(&self) -> &'static str;

    /// Trades the symbol at `price_e9` after every order so far, in such a way that market orders and limit
    /// orders through that price fill, and returns what the broker reports.
    async fn trade(&self, broker: &mut dyn Broker, price_e9: i64) -> Vec<Report>;

    /// What the broker says without being asked, until it has nothing more to say.
    async fn heard(&self, _broker: &mut dyn Broker) -> Vec<Report> {
        Vec::new()
    }
}

const PRICE_E9: i64 = 50_000_000_000;
const NOW_NS: i64 = 1_718_118_000_000_000_000; // 2024-06-11 15:00 UTC, within a session.

/// Runs every clause; a failed one panics with its name.
pub async fn run_all(bench: &dyn Bench) {
    accepts_and_fills_a_market_order(bench).await;
    sending_again_works_nothing_twice(bench).await;
    a_limit_waits_for_its_price(bench).await;
    a_cancelled_order_trades_no_more(bench).await;
    cancelling_what_does_not_work_changes_nothing(bench).await;
    an_unknown_order_is_not_known(bench).await;
    what_it_cannot_work_is_rejected(bench).await;
    orders_sent_together_are_answered_in_their_order(bench).await;
}

fn order(bench: &dyn Bench, name: &str) -> OrderSpec {
    OrderSpec {
        order_id: order_id(name, 0),
        account: "contract".to_owned(),
        strategy: "contract".to_owned(),
        symbol: bench.symbol().to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 10_000_000_000,
        ..OrderSpec::default()
    }
}

fn limit_order(bench: &dyn Bench, name: &str, limit_price_e9: i64) -> OrderSpec {
    let limit_price_e9 = Some(limit_price_e9);
    OrderSpec { order_type: OrderType::Limit.into(), limit_price_e9, ..order(bench, name) }
}

/// Submits and returns the reports; an adapter of the suite always answers.
async fn submit(broker: &mut dyn Broker, order: &OrderSpec) -> Vec<Report> {
    match broker.submit(order, &client_order_id(&order.order_id), NOW_NS).await {
        Ok(reports) => reports,
        Err(error) => panic!("submit of {}: {error}", order.order_id),
    }
}

/// Asks to cancel, and returns the answer with what was said after it.
async fn cancel(bench: &dyn Bench, broker: &mut dyn Broker, order: &OrderSpec) -> Vec<Report> {
    bench.heard(broker).await;
    let mut reports = match broker.cancel(order, &client_order_id(&order.order_id), NOW_NS).await {
        Ok(reports) => reports,
        Err(error) => panic!("cancel of {}: {error}", order.order_id),
    };
    reports.extend(bench.heard(broker).await);
    reports
}

/// State and number of reports under an order's client order id; `None` when it is not known.
async fn lookup(broker: &mut dyn Broker, order: &OrderSpec) -> Option<(StateAtBroker, usize)> {
    match broker.lookup(order, &client_order_id(&order.order_id)).await {
        Ok(found) => found.map(|found| (found.state, found.reports.len())),
        Err(error) => panic!("lookup of {}: {error}", order.order_id),
    }
}

fn fills(reports: &[Report], order: &OrderSpec) -> Vec<(String, i64, i64)> {
    let of_order = reports.iter().filter(|report| report.order_id == order.order_id);
    of_order
        .filter_map(|report| match &report.report {
            BrokerReport::Filled(execution) => {
                assert!(!execution.execution_id.is_empty(), "a fill has no execution id");
                Some((execution.execution_id.clone(), execution.quantity.0, execution.price.0))
            }
            _ => None,
        })
        .collect()
}

fn is_cancelled(reports: &[Report]) -> bool {
    reports.iter().any(|report| matches!(report.report, BrokerReport::Cancelled { .. }))
}

async fn accepts_and_fills_a_market_order(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "market");
    let reports = submit(&mut *broker, &order).await;
    assert!(matches!(
        reports.as_slice(),
        [Report { report: BrokerReport::Accepted { broker_order_id }, .. }] if !broker_order_id.is_empty()
    ));
    assert_eq!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Working, 1)));
    let reports = bench.trade(&mut *broker, PRICE_E9).await;
    let filled = fills(&reports, &order);
    assert_eq!(filled.len(), 1, "a market order fills: {reports:?}");
    assert_eq!((filled[0].1, filled[0].2), (order.quantity_e9, PRICE_E9), "whole, at the price");
    assert_eq!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Ended, 2)));
    let again = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&again, &order).is_empty(), "a filled order fills once");
}

async fn sending_again_works_nothing_twice(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "again");
    let first = submit(&mut *broker, &order).await;
    assert_eq!(submit(&mut *broker, &order).await, first, "the same id is the same order");
    let reports = bench.trade(&mut *broker, PRICE_E9).await;
    assert_eq!(fills(&reports, &order).len(), 1, "an order sent twice fills once");
    let third = submit(&mut *broker, &order).await;
    assert_eq!(fills(&third, &order), fills(&reports, &order), "sent after the end, it says how it ended");
    let more = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&more, &order).is_empty(), "an ended order is not revived");
}

async fn a_limit_waits_for_its_price(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = limit_order(bench, "limit", PRICE_E9 - 1_000_000_000);
    submit(&mut *broker, &order).await;
    let early = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&early, &order).is_empty(), "a limit order waits");
    let reports = bench.trade(&mut *broker, PRICE_E9 - 2_000_000_000).await;
    let filled = fills(&reports, &order);
    assert_eq!(filled.len(), 1, "a limit order fills through its limit");
    assert!(filled.iter().all(|fill| Some(fill.2) <= order.limit_price_e9), "never worse than its limit");
}

async fn a_cancelled_order_trades_no_more(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "cancelled");
    submit(&mut *broker, &order).await;
    let reports = cancel(bench, &mut *broker, &order).await;
    assert!(is_cancelled(&reports), "{reports:?}");
    let later = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&later, &order).is_empty(), "a cancelled order does not fill");
    assert!(matches!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Ended, _))));
}

async fn cancelling_what_does_not_work_changes_nothing(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = order(bench, "late");
    submit(&mut *broker, &order).await;
    let filled = fills(&bench.trade(&mut *broker, PRICE_E9).await, &order);
    let reports = cancel(bench, &mut *broker, &order).await;
    // It says that it cannot, or how the order ended.
    let refused = reports.iter().any(|report| matches!(report.report, BrokerReport::CancelRejected { .. }));
    assert!(!is_cancelled(&reports), "{reports:?}");
    assert!(refused || fills(&reports, &order) == filled, "{reports:?}");
}

async fn an_unknown_order_is_not_known(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    assert_eq!(lookup(&mut *broker, &order(bench, "never")).await, None);
}

async fn what_it_cannot_work_is_rejected(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let order = limit_order(bench, "nonsense", -1);
    let reports = submit(&mut *broker, &order).await;
    assert!(matches!(reports.as_slice(), [Report { report: BrokerReport::Rejected { .. }, .. }]));
    let later = bench.trade(&mut *broker, PRICE_E9).await;
    assert!(fills(&later, &order).is_empty(), "a rejected order does not fill");
}

async fn orders_sent_together_are_answered_in_their_order(bench: &dyn Bench) {
    let mut broker = bench.fresh().await;
    let mut orders: Vec<OrderSpec> =
        ["one", "two", "four"].into_iter().map(|name| order(bench, &format!("together {name}"))).collect();
    orders.insert(2, limit_order(bench, "together nonsense", -1));
    let outgoing: Vec<Outgoing> = orders
        .iter()
        .map(|order| Outgoing {
            client_order_id: client_order_id(&order.order_id),
            order: order.clone(),
            now_ns: NOW_NS,
        })
        .collect();
    let outcomes = broker.submit_all(&outgoing).await;
    assert_eq!(outcomes.len(), orders.len());
    for (place, (order, outcome)) in orders.iter().zip(outcomes).enumerate() {
        let reports = outcome.unwrap_or_else(|error| panic!("order {place}: {error}"));
        assert!(reports.iter().all(|report| report.order_id == order.order_id), "{reports:?}");
        let rejected = matches!(reports.as_slice(), [Report { report: BrokerReport::Rejected { .. }, .. }]);
        assert_eq!(rejected, place == 2, "{reports:?}");
    }
    let later = bench.trade(&mut *broker, PRICE_E9).await;
    for (place, order) in orders.iter().enumerate() {
        assert_eq!(fills(&later, order).is_empty(), place == 2, "order {place}: {later:?}");
    }
}
