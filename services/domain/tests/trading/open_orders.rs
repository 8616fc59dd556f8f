//! Limits by scope beside open orders: at what they are valued, and what counts while they may never fill.

use contracts::v1::{Intent, OrderSpec, OrderType, Side, SignalLeg};
use domain::book::Scope;
use domain::calendar::Calendar;
use domain::risk::scope_usage;

use crate::scopes::{OTHER, World, buy, leg, signal};
use crate::support::{ACCOUNT, SYMBOL, approval, price, shares, spec};

/// An order of 100 shares that waits at a limit.
fn waiting(side: Side, symbol: &str, at: &str) -> OrderSpec {
    OrderSpec {
        symbol: symbol.to_owned(),
        side: side.into(),
        order_type: OrderType::Limit.into(),
        limit_price_e9: Some(price(at).0),
        ..spec(&contracts::order_id(&format!("{symbol} {at}"), 0))
    }
}

/// The same, of one that closes what is held.
fn closing(side: Side, symbol: &str, quantity: &str, at: &str) -> OrderSpec {
    OrderSpec { quantity_e9: shares(quantity).0, reducing: true, ..waiting(side, symbol, at) }
}

#[test]
fn net_exposure_values_an_open_order_as_it_was_let_pass() {
    let mut world = World::new();
    // 100 at 54 are 5,400 in both of them, though the last price is 50.
    world.fold([approval(&waiting(Side::Sell, SYMBOL, "54"), price("50"))]);
    let again = signal(vec![SignalLeg {
        order_type: OrderType::Limit.into(),
        limit_price_e9: Some(price("54").0),
        quantity_e9: Some(shares("100").0),
        ..leg(SYMBOL, Intent::EnterShort)
    }]);
    world.of_account(&[("max_net_exposure", "10800")]);
    world.passes(&again);
    world.of_account(&[("max_net_exposure", "10799.999999999")]);
    world.denies(&again, "max_net_exposure");
    // What is used says the same.
    let usage = scope_usage(&world.book, ACCOUNT, Calendar::xnys());
    let net = usage.iter().find(|row| row.limit == "max_net_exposure").unwrap();
    assert_eq!(net.used_text(), "5400");
}

#[test]
fn a_position_counts_until_the_order_that_closes_it_has_filled() {
    let falls: Vec<f64> = (0..61).map(|bar| 50.0 - f64::from(bar % 2)).collect();
    let twin: Vec<f64> = falls.iter().map(|close| close * 0.4).collect();
    let world = |sale: Option<OrderSpec>| {
        let mut world = World::new();
        world.bars(&[(SYMBOL, &falls), (OTHER, &twin)]);
        world.hold(OTHER, 1_000);
        world.fold(sale.map(|sale| approval(&sale, price("20"))));
        world
    };
    let far = closing(Side::Sell, OTHER, "1000", "30");
    for mut world in [world(None), world(Some(far.clone()))] {
        world.of_account(&[("max_correlation", "0.8")]);
        let reason = world.denies(&buy(), "correlation");
        assert!(reason.starts_with("returns correlate 1.0000 with those of OTHR"), "{reason}");
        world.of_account(&[("max_correlation", "none"), ("max_var", "0.0001")]);
        world.denies(&buy(), "max_var");
    }
    let at_risk = |sale: Option<OrderSpec>| {
        let mut world = world(sale);
        world.limit(Scope::new("", "", SYMBOL), &[("max_var", "10")]);
        world.passes(&buy()).inputs[0].scenarios.clone().unwrap().book
    };
    assert_eq!(at_risk(None), at_risk(Some(far)), "an order that may never fill takes nothing from the risk");
    // One that turns the position over: the bet that is held and the one that is coming both count.
    let mut turning =
        world(Some(OrderSpec { quantity_e9: shares("1500").0, ..waiting(Side::Sell, OTHER, "30") }));
    turning.of_account(&[("max_correlation", "0.8")]);
    turning.denies(&buy(), "correlation");
    turning.denies(&signal(vec![leg(SYMBOL, Intent::EnterShort)]), "correlation");
}
