//! The contract that every broker adapter must pass, written against a bench that can make a market.
//!
//! A test of an adapter makes a [`Bench`] and calls [`run_all`] with it. The simulated adapter's bench
//! feeds bars; that of an adapter for a network feeds its stand-in server.

use contracts::client_order_id;
use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};
use domain::order::BrokerReport;

use crate::port::{Broker, Report, StateAtBroker};

/// An adapter with a market that the suite can move.
pub trait Bench {
    /// A broker without orders.
    fn fresh(&self) -> Box<dyn Broker>;

    /// Trades `symbol` at `price_e9` after every order so far, in such a way that market orders and limit
    /// orders through that price fill, and returns what the broker reports.
    fn trade(&self, broker: &mut dyn Broker, symbol: &str, price_e9: i64) -> Vec<Report>;
}

const PRICE_E9: i64 = 50_000_000_000;
const NOW_NS: i64 = 1_718_118_000_000_000_000; // 2024-06-11 15:00 UTC, within a session.

/// Runs every clause; a failed one panics with its name.
pub async fn run_all(bench: &dyn Bench) {
    accepts_and_fills_a_market_order(bench).await;
    sending_again_works_nothing_twice(bench).await;
    a_limit_waits_for_its_price(bench).await;
    a_cancelled_order_trades_no_more(bench).await;
    cancelling_what_does_not_work_is_rejected(bench).await;
    an_unknown_order_is_not_known(bench).await;
    what_it_cannot_work_is_rejected(bench).await;
}

fn order(order_id: &str) -> OrderSpec {
    OrderSpec {
        order_id: order_id.to_owned(),
        account: "contract".to_owned(),
        strategy: "contract".to_owned(),
        symbol: "ACME".to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 10_000_000_000,
        ..OrderSpec::default()
    }
}

fn limit_order(order_id: &str, limit_price_e9: i64) -> OrderSpec {
    OrderSpec { order_type: OrderType::Limit.into(), limit_price_e9: Some(limit_price_e9), ..order(order_id) }
}

/// Submits and returns the reports; an adapter of the suite always answers.
async fn submit(broker: &mut dyn Broker, order: &OrderSpec) -> Vec<Report> {
    match broker.submit(order, &client_order_id(&order.order_id), NOW_NS).await {
        Ok(reports) => reports,
        Err(error) => panic!("submit of {}: {error}", order.order_id),
    }
}

async fn cancel(broker: &mut dyn Broker, order: &OrderSpec) -> Vec<Report> {
    match broker.cancel(order, &client_order_id(&order.order_id), NOW_NS).await {
        Ok(reports) => reports,
        Err(error) => panic!("cancel of {}: {error}", order.order_id),
    }
}

/// State and number of reports under an order's client order id; `None` when it is not known.
async fn lookup(broker: &mut dyn Broker, order: &OrderSpec) -> Option<(StateAtBroker, usize)> {
    match broker.lookup(&client_order_id(&order.order_id)).await {
        Ok(found) => found.map(|found| (found.state, found.reports.len())),
        Err(error) => panic!("lookup of {}: {error}", order.order_id),
    }
}

fn fills(reports: &[Report], order_id: &str) -> Vec<(i64, i64)> {
    let of_order = reports.iter().filter(|report| report.order_id == order_id);
    of_order
        .filter_map(|report| match &report.report {
            BrokerReport::Filled(execution) => {
                assert!(!execution.execution_id.is_empty(), "a fill of {order_id} has no execution id");
                Some((execution.quantity.0, execution.price.0))
            }
            _ => None,
        })
        .collect()
}

async fn accepts_and_fills_a_market_order(bench: &dyn Bench) {
    let mut broker = bench.fresh();
    let order = order("market");
    let reports = submit(&mut *broker, &order).await;
    assert!(matches!(
        reports.as_slice(),
        [Report { report: BrokerReport::Accepted { broker_order_id }, .. }] if !broker_order_id.is_empty()
    ));
    assert_eq!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Working, 1)));
    let reports = bench.trade(&mut *broker, "ACME", PRICE_E9);
    assert_eq!(fills(&reports, "market"), [(order.quantity_e9, PRICE_E9)], "a market order fills");
    assert_eq!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Ended, 2)));
    assert!(bench.trade(&mut *broker, "ACME", PRICE_E9).is_empty(), "a filled order fills once");
}

async fn sending_again_works_nothing_twice(bench: &dyn Bench) {
    let mut broker = bench.fresh();
    let order = order("again");
    let first = submit(&mut *broker, &order).await;
    assert_eq!(submit(&mut *broker, &order).await, first, "the same id is the same order");
    let reports = bench.trade(&mut *broker, "ACME", PRICE_E9);
    assert_eq!(fills(&reports, "again").len(), 1, "an order sent twice fills once");
    let third = submit(&mut *broker, &order).await;
    assert_eq!(fills(&third, "again"), fills(&reports, "again"), "sent after the end, it says how it ended");
    assert!(bench.trade(&mut *broker, "ACME", PRICE_E9).is_empty(), "an ended order is not revived");
}

async fn a_limit_waits_for_its_price(bench: &dyn Bench) {
    let mut broker = bench.fresh();
    let order = limit_order("limit", PRICE_E9 - 1_000_000_000);
    submit(&mut *broker, &order).await;
    assert!(bench.trade(&mut *broker, "ACME", PRICE_E9).is_empty(), "a limit order waits");
    let reports = bench.trade(&mut *broker, "ACME", PRICE_E9 - 2_000_000_000);
    let filled = fills(&reports, "limit");
    assert_eq!(filled.len(), 1, "a limit order fills through its limit");
    assert!(filled.iter().all(|fill| Some(fill.1) <= order.limit_price_e9), "never worse than its limit");
}

async fn a_cancelled_order_trades_no_more(bench: &dyn Bench) {
    let mut broker = bench.fresh();
    let order = order("cancelled");
    submit(&mut *broker, &order).await;
    let reports = cancel(&mut *broker, &order).await;
    assert!(matches!(reports.as_slice(), [Report { report: BrokerReport::Cancelled { .. }, .. }]));
    assert!(bench.trade(&mut *broker, "ACME", PRICE_E9).is_empty(), "a cancelled order does not fill");
    assert!(matches!(lookup(&mut *broker, &order).await, Some((StateAtBroker::Ended, _))));
}

async fn cancelling_what_does_not_work_is_rejected(bench: &dyn Bench) {
    let mut broker = bench.fresh();
    let order = order("late");
    submit(&mut *broker, &order).await;
    bench.trade(&mut *broker, "ACME", PRICE_E9);
    let reports = cancel(&mut *broker, &order).await;
    assert!(matches!(reports.as_slice(), [Report { report: BrokerReport::CancelRejected { .. }, .. }]));
}

async fn an_unknown_order_is_not_known(bench: &dyn Bench) {
    let mut broker = bench.fresh();
    assert_eq!(lookup(&mut *broker, &order("never")).await, None);
}

async fn what_it_cannot_work_is_rejected(bench: &dyn Bench) {
    let mut broker = bench.fresh();
    let order = limit_order("nonsense", -1);
    let reports = submit(&mut *broker, &order).await;
    assert!(matches!(reports.as_slice(), [Report { report: BrokerReport::Rejected { .. }, .. }]));
    assert!(bench.trade(&mut *broker, "ACME", PRICE_E9).is_empty(), "a rejected order does not fill");
}
