//! New terms of an order among other decisions: each knows of those before it, and of nothing that came of them.

use contracts::v1::event::Body;
use contracts::v1::{
    Event, LimitsSet, OrderAccepted, OrderReplaced, OrderSpec, OrderSubmitted, OrderType, RiskDecision, Side,
    Signal, SignalLeg, TimeInForce, TradeLimits,
};
use contracts::{MANUAL, Subject, basis_of, client_order_id, client_order_id_of};
use domain::book::Scope;
use domain::risk::fields;
use risk::ROUND_BASIS;
use runtime::ClockMode;

use crate::events::{self, ACCOUNT, E9, HOUR, T0, limits};
use crate::world::{World, verdicts};

const ID: &str = "0123456789abcdef01234567";

/// An operator's order to buy 100 shares at 99, until cancelled.
fn resting() -> OrderSpec {
    OrderSpec {
        order_id: ID.to_owned(),
        account: ACCOUNT.to_owned(),
        strategy: MANUAL.to_owned(),
        symbol: "SPY".to_owned(),
        side: Side::Buy.into(),
        order_type: OrderType::Limit.into(),
        time_in_force: TimeInForce::Gtc.into(),
        quantity_e9: 100 * E9,
        limit_price_e9: Some(99 * E9),
        ..OrderSpec::default()
    }
}

/// An account that may hold 110 shares of a symbol, and an order for 100 that its broker works.
async fn world(mode: ClockMode, event_ns: i64) -> World {
    let world = World::new(mode, limits(1_000_000, E9)).await;
    let mut most = TradeLimits::default();
    fields::state(&mut most, "max_position_quantity", "110").unwrap();
    let scope = Some(Scope::new(ACCOUNT, "", "").to_wire());
    let stated = LimitsSet { scope, version: 1, limits: Some(most), ..LimitsSet::default() };
    world.put(events::event("limits", event_ns - HOUR, Body::LimitsSet(stated))).await;
    let submitted = OrderSubmitted {
        order: Some(resting()),
        client_order_id: client_order_id(ID),
        broker: "simulated".to_owned(),
    };
    let accepted = OrderAccepted { order_id: ID.to_owned(), ..OrderAccepted::default() };
    for (name, body) in
        [("submitted", Body::OrderSubmitted(submitted)), ("accepted", Body::OrderAccepted(accepted))]
    {
        world.put_under(Subject::order(&resting(), name), events::event(name, event_ns - HOUR, body)).await;
    }
    world.instant(event_ns, &["SPY"]).await;
    world
}

/// What an operator asks for: an order of its own, or new terms of the one that works.
fn asks(name: &str, event_ns: i64, shares: i64, replaces: &str) -> Event {
    let leg = SignalLeg {
        symbol: "SPY".to_owned(),
        intent: contracts::v1::Intent::Buy.into(),
        quantity_e9: Some(shares * E9),
        replaces: replaces.to_owned(),
        ..SignalLeg::default()
    };
    let (strategy, account) = (MANUAL.to_owned(), ACCOUNT.to_owned());
    let signal = Signal { strategy, account, legs: vec![leg], ..Signal::default() };
    Event { causation_id: "mark".to_owned(), ..events::event(name, event_ns, Body::Signal(signal)) }
}

/// Fewer shares, an order that would be too much beside what there were, and new terms once more; the sequence of the
/// first.
async fn three(world: &World, event_ns: i64) -> u64 {
    let first = world.put(asks("fewer", event_ns, 1, ID)).await;
    world.put(asks("another", event_ns, 105, "")).await;
    world.put(asks("again", event_ns, 50, ID)).await;
    first
}

#[track_caller]
fn expect(decisions: &[RiskDecision]) {
    let rules: Vec<_> = verdicts(decisions).into_iter().map(|(_, verdict, rule)| (verdict, rule)).collect();
    let row = |verdict, rule: &str| (verdict, rule.to_owned());
    assert_eq!(
        rules,
        [row("approved", ""), row("denied", "max_position"), row("denied", "invalid_signal")],
        "{decisions:#?}"
    );
    let [fewer, another, again] = [0, 1, 2].map(|place| &decisions[place].inputs[0]);
    assert_eq!((fewer.account_reserved_e9, fewer.limits[0].reserved_e9), (0, 0));
    assert_eq!((another.account_reserved_e9, another.limits[0].reserved_e9), (100 * E9, 100 * E9));
    assert!(decisions[1].reason.starts_with("the position would be 205 shares"), "{}", decisions[1].reason);
    assert_eq!((again.replaced_pending, again.account_reserved_e9), (1, 100 * E9));
    assert!(decisions[2].reason.contains("are under way (revision 1)"), "{}", decisions[2].reason);
}

#[tokio::test]
async fn those_of_one_round_know_of_the_order_as_it_was_and_as_it_becomes() {
    for (mode, event_ns) in [(ClockMode::Tape, T0), (ClockMode::Wall, runtime::now_ns())] {
        for lags in [false, true] {
            let world = world(mode, event_ns).await;
            let first = three(&world, event_ns).await;
            if lags {
                world.limit(first - 1);
            }
            expect(&world.decide(3).await);
        }
    }
}

#[tokio::test]
async fn a_round_that_was_cut_off_is_decided_as_if_nothing_had_come_of_its_beginning() {
    let calm = world(ClockMode::Tape, T0).await;
    three(&calm, T0).await;
    let running = calm.start();
    let whole = calm.decided(3).await;
    running.stop().await;
    let named = |event: &Event| basis_of(event, ROUND_BASIS).is_some();
    assert!(whole.iter().all(|(event, _)| !named(event)));

    // The first one is stored and answered, and the read model knows of it, when another risk takes over.
    let world = world(ClockMode::Tape, T0).await;
    let first = three(&world, T0).await;
    world.put_under(Subject::of(&["risk", ACCOUNT, "approved"]), whole[0].0.clone()).await;
    let replaced = OrderReplaced {
        order_id: ID.to_owned(),
        quantity_e9: E9,
        limit_price_e9: Some(99 * E9),
        revision: 1,
        client_order_id: client_order_id_of(ID, 1),
        ..OrderReplaced::default()
    };
    let replaced = events::event("replaced", T0, Body::OrderReplaced(replaced));
    world.put_under(Subject::order(&resting(), "replaced"), replaced).await;
    let running = world.start();
    let rest = world.decided(3).await;
    running.stop().await;
    let bodies = |decided: &[(Event, RiskDecision)]| -> Vec<RiskDecision> {
        decided.iter().map(|(_, decision)| decision.clone()).collect()
    };
    expect(&bodies(&rest));
    assert_eq!(bodies(&rest), bodies(&whole));
    // They say where their round ends, so that what they know can be told again.
    for (event, _) in &rest[1..] {
        assert_eq!(basis_of(event, ROUND_BASIS), Some(first + 2), "{event:?}");
    }
}
