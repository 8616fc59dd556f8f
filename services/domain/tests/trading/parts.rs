//! Parts of a share and orders for an amount against bars: how many shares they trade, and what they leave to others.

use contracts::v1::event::Body;
use contracts::v1::{Costs, OrderAccepted, OrderSpec, OrderSubmitted, OrderType, Side, TimeInForce};
use domain::bar::Bar;
use domain::order::{BrokerReport, Execution, OrderStage, OrderState, decide};

use crate::matching_types::{World, hour, typed, with_volume};
use crate::support::{amount, at, fill, price, shares, submitted};

/// An order at the market for the day.
fn day(id: &str, side: Side, quantity: &str) -> OrderSpec {
    OrderSpec {
        time_in_force: TimeInForce::Day.into(),
        quantity_e9: shares(quantity).0,
        ..typed(id, side, OrderType::Market, None, None)
    }
}

/// An order for 1,000, which is 20 shares at the 50 that were known when it was approved.
fn for_amount(side: Side, reducing: bool) -> OrderSpec {
    OrderSpec { notional_e9: Some(price("1000").0), reducing, ..day("a", side, "20") }
}

/// A bar that opens at a price, with so many shares of volume.
fn opening(hours: i64, open: &str, volume: i64) -> Bar {
    with_volume(hour(hours, [open, "70", "30", "50"]), volume)
}

/// At most a tenth of the volume.
fn tenth() -> Costs {
    Costs { volume_share_most_e9: price("0.1").0, ..Costs::default() }
}

/// The order as it stands once it was submitted to `broker`, which accepted it.
fn working(order: &OrderSpec, broker: &str) -> OrderState {
    let Body::OrderSubmitted(sent) = submitted(order) else { panic!("{order:?}") };
    let accepted_ns = at("2024-06-11T15:00:00Z");
    let mut state = OrderState::approved(order.clone(), price("50"), accepted_ns);
    let sent = OrderSubmitted { broker: broker.to_owned(), ..sent };
    let accepted = OrderAccepted { order_id: order.order_id.clone(), ..OrderAccepted::default() };
    for (sequence, body) in [(1, Body::OrderSubmitted(sent)), (2, Body::OrderAccepted(accepted))] {
        state.evolve(sequence, accepted_ns, &body).unwrap();
    }
    state
}

/// Takes in that the order filled, and says how it stands.
fn filled(state: &mut OrderState, number: u32, quantity: &str, at_price: &str) -> OrderStage {
    let body = fill(&state.spec, number, shares(quantity), price(at_price), "0");
    state.evolve(2 + u64::from(number), hour(0, ["50"; 4]).close_ns, &body).unwrap();
    state.stage()
}

#[test]
fn what_reduces_for_an_amount_trades_no_more_shares_than_it_was_approved_for() {
    for side in [Side::Sell, Side::Buy] {
        let mut cheaper = World::given(&[for_amount(side, true)]);
        assert_eq!(cheaper.when(&opening(0, "40", 1_000)), ["a filled 20 at 40"]);
        assert_eq!(cheaper.when(&opening(1, "40", 1_000)), [""; 0], "it is filled");
        let mut dearer = World::given(&[for_amount(side, true)]);
        assert_eq!(dearer.when(&opening(0, "64", 1_000)), ["a filled 15.625 at 64"]);
    }
    let mut opens = World::given(&[for_amount(Side::Buy, false)]);
    assert_eq!(opens.when(&opening(0, "40", 1_000)), ["a filled 25 at 40"]);
}

#[test]
fn the_shares_that_a_sale_for_an_amount_may_trade_are_counted_over_its_fills_and_over_a_restart() {
    let order = for_amount(Side::Sell, true);
    let mut state = working(&order, "simulated");
    let mut steady = World::given(&[order]).costing(tenth());
    assert_eq!(steady.when(&opening(0, "40", 120)), ["a filled 12 at 40"]);
    assert_eq!(filled(&mut state, 1, "12", "40"), OrderStage::PartiallyFilled);
    assert_eq!((state.unspent(), state.remaining()), (Some(amount("520")), shares("8")));
    let mut resumed = World::resuming(&state).costing(tenth());
    for world in [&mut steady, &mut resumed] {
        assert_eq!(world.when(&opening(1, "40", 120)), ["a filled 8 at 40"], "520 are 13 shares");
        assert_eq!(world.when(&opening(2, "40", 120)), [""; 0]);
    }
    let last = Execution {
        execution_id: "x-last".to_owned(),
        quantity: shares("8"),
        price: price("40"),
        commission: amount("0"),
        slippage: price("0"),
        executed_ns: 1,
        ambiguous: false,
    };
    let Ok(Some(Body::Fill(said))) = decide::report(&state, &BrokerReport::Filled(last)) else {
        panic!("{state:?}");
    };
    assert_eq!(said.remaining_e9, 0);
    assert_eq!(filled(&mut state, 2, "8", "40"), OrderStage::Filled);
}

#[test]
fn a_broker_outside_sells_for_the_whole_amount() {
    let mut state = working(&for_amount(Side::Sell, true), "alpaca");
    assert_eq!(filled(&mut state, 1, "20", "40"), OrderStage::PartiallyFilled);
    assert_eq!(filled(&mut state, 2, "5", "40"), OrderStage::Filled);
}

#[test]
fn an_amount_that_a_bar_has_no_volume_for_works_on() {
    let mut world = World::given(&[for_amount(Side::Buy, false)]).costing(tenth());
    assert_eq!(world.when(&opening(0, "40", 200)), ["a filled 20 at 40"]);
    assert_eq!(world.when(&opening(1, "40", 200)), ["a filled 5 at 40"]);
    assert_eq!(world.when(&opening(2, "40", 200)), [""; 0]);
}

#[test]
fn an_order_for_whole_shares_takes_no_part_of_a_share_that_another_one_left() {
    let orders =
        [("a", "1.5"), ("b", "10"), ("c", "0.75")].map(|(id, quantity)| day(id, Side::Buy, quantity));
    let mut world = World::given(&orders).costing(tenth());
    let first = ["a filled 1.5 at 50", "b filled 3 at 50", "c filled 0.5 at 50"];
    assert_eq!(world.when(&opening(0, "50", 50)), first);
    assert_eq!(world.when(&opening(1, "50", 100)), ["b filled 7 at 50", "c filled 0.25 at 50"]);
}
