//! What the broker outside shows to the checks.

use std::ops::ControlFlow;

use broker::Brokers as _;
use contracts::v1::{Costs, OrderSpec, OrderType, Side, TimeInForce};
use domain::bar::Bar;
use domain::book::Book;
use domain::calendar::Calendar;
use domain::money::{E9, Price, Quantity, Volume};
use runtime::clock::set_virtual;
use simulation::exchange::{Abilities, Exchange};
use simulation::executor::{Ended, Executor};
use simulation::fate::{Fate, Mask};

fn spec(order_id: &str) -> OrderSpec {
    OrderSpec {
        order_id: order_id.to_owned(),
        account: "paper".to_owned(),
        strategy: "wild".to_owned(),
        symbol: "ACME".to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Market.into(),
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: 100_000_000_000,
        ..OrderSpec::default()
    }
}

/// Client order ids of what changed since the last time and of `order_ids`.
fn changed(exchange: &Exchange, order_ids: &[&str]) -> Vec<String> {
    let order_ids = order_ids.iter().map(|order_id| (*order_id).to_owned()).collect();
    exchange.changed(&order_ids).into_iter().map(|order| order.client_order_id).collect()
}

#[test]
fn each_change_is_shown_once_and_again_where_the_tape_spoke_of_the_order() {
    let fate = Fate::new(0, true, Mask::default(), false);
    let exchange = Exchange::new(fate, Abilities::of(0, &Mask::bare()));
    let mut executor = Executor::new(0, 0);
    set_virtual(Some(executor.timeline()));
    let other = exchange.clone();
    executor.spawn(async move {
        let mut link = other.resume(&Book::default()).unwrap();
        for (order_id, client) in [("a", "client-a"), ("b", "client-b")] {
            link.submit(&spec(order_id), client, 0).await.unwrap();
        }
    });
    let ended = executor.run(1_000, |_| ControlFlow::Continue(()));
    set_virtual(None);
    assert_eq!(ended, Ended::Idle);
    assert_eq!(changed(&exchange, &[]), ["client-a", "client-b"]);
    assert_eq!(changed(&exchange, &[]), [""; 0]);
    assert_eq!(changed(&exchange, &["b", "of nobody"]), ["client-b"]);
    assert_eq!(exchange.orders().len(), 2);
}

/// 2024-01-08, 9:30 in New York.
const OPEN_NS: i64 = 1_704_724_200_000_000_000;

#[test]
fn an_order_for_an_amount_ends_when_that_is_spent_however_few_shares_it_buys() {
    let fate = Fate::new(0, true, Mask::default(), false);
    let exchange = Exchange::new(fate, Abilities::of(0, &Mask::bare()));
    exchange.set_costs("paper", Costs::default());
    let mut executor = Executor::new(0, 0);
    set_virtual(Some(executor.timeline()));
    let other = exchange.clone();
    executor.spawn(async move {
        let mut link = other.resume(&Book::default()).unwrap();
        // Ten shares at the price that was known when it was approved.
        let order = OrderSpec { quantity_e9: 10 * E9, notional_e9: Some(500 * E9), ..spec("a") };
        link.submit(&order, "client-a", OPEN_NS - 60 * E9).await.unwrap();
    });
    executor.run(1_000, |_| ControlFlow::Continue(()));
    let (price, close_ns) = (Price(52 * E9), OPEN_NS + 300 * E9);
    let (open, high, low, close) = (price, price, price, price);
    let bar = Bar { start_ns: OPEN_NS, close_ns, open, high, low, close, volume: Volume(1_000_000_000) };
    let session = Calendar::xnys().overlapping_after(None, OPEN_NS, close_ns).unwrap();
    exchange.on_bar("ACME", &bar, session.as_ref());
    set_virtual(None);
    let orders = exchange.orders();
    let filled: Vec<_> = orders.iter().flat_map(|order| order.executions.values().copied()).collect();
    assert_eq!(filled, [(Quantity(9_615_384_615), price)]);
    assert!(orders.iter().all(|order| !order.working), "{orders:?}");
}
