//! Which exits a broker takes together with their entry.

use broker::{ALPACA, SIMULATED, takes_together};
use contracts::v1::{GroupKind, OrderSpec, OrderType, Side, TimeInForce};
use contracts::{child_order_id, order_id};
use domain::money::E9;

fn bracket() -> [OrderSpec; 3] {
    let entry = OrderSpec {
        order_id: order_id("entry", 0),
        side: Side::Buy.into(),
        order_type: OrderType::Limit.into(),
        time_in_force: TimeInForce::Gtc.into(),
        quantity_e9: 10 * E9,
        limit_price_e9: Some(100 * E9),
        group: GroupKind::Bracket.into(),
        group_id: order_id("entry", 0),
        ..OrderSpec::default()
    };
    let exit = |index| OrderSpec {
        order_id: child_order_id(&entry.order_id, index),
        parent_id: entry.order_id.clone(),
        side: Side::Sell.into(),
        reducing: true,
        ..entry.clone()
    };
    let target = OrderSpec { limit_price_e9: Some(110 * E9), ..exit(0) };
    let stop = OrderSpec {
        order_type: OrderType::Stop.into(),
        limit_price_e9: None,
        stop_price_e9: Some(90 * E9),
        ..exit(1)
    };
    [entry, target, stop]
}

fn check(change: impl FnOnce(&mut [OrderSpec; 3]), expected: bool) {
    let mut orders = bracket();
    change(&mut orders);
    let [entry, target, stop] = &orders;
    assert_eq!(takes_together(ALPACA, entry, &[target, stop]), expected, "{orders:?}");
}

#[test]
fn an_entry_goes_with_exits_that_close_all_of_it() {
    check(|_| {}, true);
    check(|[entry, ..]| entry.order_type = OrderType::Market.into(), true);
    check(|[.., stop]| stop.order_type = OrderType::StopLimit.into(), true);
    check(|orders| orders.iter_mut().for_each(|one| one.time_in_force = TimeInForce::Day.into()), true);
    check(|[entry, ..]| entry.time_in_force = TimeInForce::Day.into(), false);
    check(|orders| orders.iter_mut().for_each(|one| one.time_in_force = TimeInForce::Ioc.into()), false);
    check(|[entry, ..]| entry.order_type = OrderType::Stop.into(), false);
    check(|[entry, ..]| entry.extended_hours = true, false);
    check(|[_, target, _]| target.quantity_e9 = 8 * E9, false);
    check(|orders| orders.iter_mut().for_each(|one| one.quantity_e9 = E9 / 2), false);
    check(|[entry, ..]| entry.notional_e9 = Some(1_000 * E9), false);
    check(|[.., stop]| stop.order_type = OrderType::TrailingStop.into(), false);
    check(|[_, target, _]| target.side = Side::Buy.into(), false);
    check(|[_, target, _]| target.parent_id.clear(), false);
}

#[test]
fn a_market_entry_for_the_day_goes_until_cancelled_as_its_exits_do() {
    fn check_for_the_day(change: impl FnOnce(&mut [OrderSpec; 3]), expected: bool) {
        let at_market = |orders: &mut [OrderSpec; 3]| {
            orders[0].order_type = OrderType::Market.into();
            orders[0].time_in_force = TimeInForce::Day.into();
            change(orders);
        };
        check(at_market, expected);
    }
    check_for_the_day(|_| {}, true);
    check_for_the_day(|[_, target, _]| target.time_in_force = TimeInForce::Day.into(), false);
    check_for_the_day(|[entry, ..]| entry.time_in_force = TimeInForce::Opg.into(), false);
    check_for_the_day(|[entry, ..]| entry.time_in_force = TimeInForce::Gtc.into(), true);
    check_for_the_day(|orders| orders.iter_mut().for_each(|one| one.quantity_e9 = E9 / 2), false);
    // The exits of an entry until cancelled would end with its first day.
    let exits_for_the_day = |orders: &mut [OrderSpec; 3]| {
        orders[0].time_in_force = TimeInForce::Gtc.into();
        orders[1..].iter_mut().for_each(|exit| exit.time_in_force = TimeInForce::Day.into());
    };
    check_for_the_day(exits_for_the_day, false);
}

#[test]
fn its_prices_lie_in_their_order() {
    check(|[_, target, _]| target.limit_price_e9 = Some(100 * E9), false);
    check(|[_, target, _]| target.limit_price_e9 = Some(100 * E9 + E9 / 100), true);
    check(|[.., stop]| stop.stop_price_e9 = Some(100 * E9), false);
    let market = |orders: &mut [OrderSpec; 3]| {
        orders[0].order_type = OrderType::Market.into();
        orders[1].limit_price_e9 = Some(80 * E9);
    };
    check(market, false);
    let short = |orders: &mut [OrderSpec; 3]| {
        let sides = [Side::Sell, Side::Buy, Side::Buy];
        for (order, side) in orders.iter_mut().zip(sides) {
            order.side = side.into();
        }
    };
    check(short, false);
    let below = |orders: &mut [OrderSpec; 3]| {
        short(orders);
        (orders[1].limit_price_e9, orders[2].stop_price_e9) = (Some(90 * E9), Some(110 * E9));
    };
    check(below, true);
}

#[test]
fn one_exit_is_enough_and_another_broker_takes_none() {
    let [entry, target, stop] = bracket();
    assert!(takes_together(ALPACA, &entry, &[&target]) && takes_together(ALPACA, &entry, &[&stop]));
    assert!(!takes_together(ALPACA, &entry, &[]));
    assert!(!takes_together(ALPACA, &entry, &[&target, &target]));
    assert!(!takes_together(SIMULATED, &entry, &[&target, &stop]));
}
