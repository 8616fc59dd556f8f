//! Sizes that are measured: ATR, volatility, half of Kelly's share, equal risk; caps, lots and ticks.

use contracts::v1::event::Body;
use contracts::v1::{Intent, OrderType, Side, Signal, SignalLeg, StrategyRegistered};
use domain::money::Quantity;
use domain::sizing;

use crate::scopes::{World, buy, leg, signal};
use crate::support::{ACCOUNT, STRATEGY, SYMBOL, approval, fill, price, shares, spec, submitted};

const OTHER: &str = "OTHR";

fn sized(text: &str) -> World {
    let mut world = World::new();
    world.fold([Body::StrategyRegistered(StrategyRegistered {
        strategy: STRATEGY.to_owned(),
        kind: "sma_cross".to_owned(),
        sizing: Some(sizing::parse(text).unwrap()),
        account: ACCOUNT.to_owned(),
        ..StrategyRegistered::default()
    })]);
    world
}

/// Closes that go up and down by a share.
fn swings(around: f64, share: f64, bars: usize) -> Vec<f64> {
    (0..bars).map(|index| if index % 2 == 0 { around } else { around * (1.0 + share) }).collect()
}

fn quantity(world: &World) -> Quantity {
    Quantity(world.passes(&buy()).orders[0].quantity_e9)
}

#[test]
fn atr_risks_a_share_of_equity_on_a_multiple_of_the_range() {
    let mut world = sized("atr:0.01");
    assert!(world.denies(&buy(), "size_zero").contains("average true range"));
    // Closes of 50 and 51 with half a point on both sides: true ranges of 1.5.
    world.bars(&[(SYMBOL, &swings(50.0, 0.02, 31))]);
    let decision = world.passes(&buy());
    assert_eq!(decision.inputs[0].sizing.as_ref().unwrap().atr_e9, price("1.5").0);
    // 1,000 at risk over a move of 3.
    assert_eq!(quantity(&world), shares("333"));
    let mut narrow = sized("atr:0.01,multiple=1,bars=30,cap=0.2");
    narrow.bars(&[(SYMBOL, &swings(50.0, 0.02, 31))]);
    assert_eq!(quantity(&narrow), shares("400"), "capped at 20,000");
}

#[test]
fn volatility_is_brought_to_its_target() {
    let mut world = sized("volatility:0.1");
    world.bars(&[(SYMBOL, &swings(50.0, 0.01, 30))]);
    world.denies(&buy(), "size_zero");
    world.bars(&[(SYMBOL, &swings(50.0, 0.01, 61))]);
    let input = world.passes(&buy()).inputs[0].sizing.unwrap();
    assert_eq!(input.bars, 60);
    assert!((input.volatility - 0.010_035).abs() < 1e-4, "{}", input.volatility);
    let value = 100_000.0 * 0.1 / input.yearly_volatility;
    let expected = (value / 50.0).floor();
    assert!((quantity(&world).to_f64() - expected).abs() <= 1.0);
}

fn trades(world: &mut World, winners: usize, losers: usize) {
    trades_at(world, &[vec!["52"; winners], vec!["49"; losers]].concat());
}

/// Trades of 100 shares from 50 to each of the exits.
fn trades_at(world: &mut World, exits: &[&str]) {
    for (index, exit) in exits.iter().enumerate() {
        let id = |name: &str| contracts::order_id(&format!("{name}{index}"), 0);
        let entry = spec(&id("in"));
        let mut close = spec(&id("out"));
        (close.side, close.reducing) = (Side::Sell.into(), true);
        for (order, at) in [(entry, "50"), (close, *exit)] {
            let size = Quantity(order.quantity_e9);
            world.fold([
                approval(&order, price(at)),
                submitted(&order),
                fill(&order, 1, size, price(at), "0"),
            ]);
        }
    }
    world.mark();
}

#[test]
fn half_kelly_waits_for_twenty_trades() {
    let mut world = sized("half_kelly");
    assert_eq!(quantity(&world), shares("40"), "2 % of 100,000 at 50");
    trades(&mut world, 10, 9);
    let before = world.passes(&buy());
    assert_eq!(before.inputs[0].sizing.as_ref().unwrap().closed_trades, 19);
    let mut world = sized("half_kelly");
    trades(&mut world, 10, 10);
    // p = 0.5 and b = 2: half of 0.25 of 101,000.
    assert_eq!(quantity(&world), shares("252"));
    let mut capped = sized("half_kelly:0.1");
    trades(&mut capped, 10, 10);
    assert_eq!(quantity(&capped), shares("202"));
    let mut losing = sized("half_kelly");
    trades(&mut losing, 5, 15);
    assert!(losing.denies(&buy(), "size_zero").contains("no edge"));
}

#[test]
fn half_kelly_takes_a_trade_that_broke_even_for_a_loss_of_nothing() {
    let mut world = sized("half_kelly");
    trades_at(&mut world, &[vec!["52"; 10], vec!["49"; 5], vec!["50"; 5]].concat());
    let input = world.passes(&buy()).inputs[0].sizing.unwrap();
    assert_eq!((input.closed_trades, input.winners), (20, 10));
    // p = 0.5 and b = 200 / 50: half of 0.375 of 101,500.
    assert_eq!(quantity(&world), shares("380"));
    // 10 times 100 are won and lost: whatever else broke even, there is no edge.
    let mut even = sized("half_kelly");
    trades_at(&mut even, &[vec!["51"; 10], vec!["49"; 10], vec!["50"; 5]].concat());
    assert!(even.denies(&buy(), "size_zero").contains("no edge"));
}

#[test]
fn equal_risk_gives_the_calmer_leg_more() {
    let mut world = sized("risk_parity:0.3");
    let both = signal(vec![leg(SYMBOL, Intent::EnterLong), leg(OTHER, Intent::EnterLong)]);
    world.denies(&both, "size_zero");
    world.bars(&[(SYMBOL, &swings(50.0, 0.01, 61)), (OTHER, &swings(20.0, 0.02, 61))]);
    let decision = world.passes(&both);
    let values: Vec<f64> = [50.0, 20.0]
        .iter()
        .zip(&decision.orders)
        .map(|(at, order)| at * Quantity(order.quantity_e9).to_f64())
        .collect();
    assert!((values[0] / values[1] - 2.0).abs() < 0.02, "{values:?}");
    assert!(values.iter().sum::<f64>() <= 30_000.0);
    // A hedge ratio that the strategy states stays.
    let weight = |symbol: &str, weight: &str| SignalLeg {
        weight_e9: shares(weight).0,
        ..leg(symbol, Intent::EnterLong)
    };
    let hedged = signal(vec![weight(SYMBOL, "1"), weight(OTHER, "0.5")]);
    let orders = world.passes(&hedged).orders;
    assert_eq!((orders[0].quantity_e9, orders[1].quantity_e9), (shares("399").0, shares("499").0));
}

#[test]
fn a_cap_keeps_what_the_legs_are_to_each_other() {
    let weight = |symbol: &str, weight: &str| SignalLeg {
        weight_e9: shares(weight).0,
        ..leg(symbol, Intent::EnterLong)
    };
    let sizes = |world: &World, signal: &Signal| -> Vec<i64> {
        world.passes(signal).orders.iter().map(|order| order.quantity_e9).collect()
    };
    // 20,000 and 10,000 of equity, of which a leg may be 10,000: then the other one is 5,000.
    let hedged = signal(vec![weight(SYMBOL, "1"), weight(OTHER, "0.5")]);
    let world = sized("fraction:0.3,leg_cap=0.1");
    assert_eq!(sizes(&world, &hedged), [shares("200").0, shares("250").0]);
    assert_eq!(sizes(&sized("fraction:0.3,cap=0.1"), &hedged), [shares("200").0, shares("250").0]);
    // Legs without weights are capped one by one.
    let plain = signal(vec![leg(SYMBOL, Intent::EnterLong), leg(OTHER, Intent::EnterLong)]);
    assert_eq!(sizes(&world, &plain), [shares("200").0, shares("500").0]);
    // Equal risk is what the legs are to each other.
    let mut world = sized("risk_parity:0.3,leg_cap=0.1");
    world.bars(&[(SYMBOL, &swings(50.0, 0.01, 61)), (OTHER, &swings(20.0, 0.02, 61))]);
    let [calm, wild] = sizes(&world, &plain)[..] else { panic!("two legs") };
    assert_eq!(calm, shares("200").0);
    assert!((shares("248").0..=shares("252").0).contains(&wild), "{wild}");
}

#[test]
fn sizes_are_lots_and_prices_are_on_the_tick() {
    let mut world = sized("fraction:0.1,lot=30,tick=0.05");
    assert_eq!(quantity(&world), shares("180"), "200 shares are six lots of 30");
    let limit = |intent: Intent| {
        signal(vec![SignalLeg {
            order_type: OrderType::Limit.into(),
            limit_price_e9: Some(price("50.03").0),
            ..leg(SYMBOL, intent)
        }])
    };
    let at = |world: &World, intent| world.passes(&limit(intent)).orders[0].limit_price_e9;
    assert_eq!(at(&world, Intent::EnterLong), Some(price("50").0));
    assert_eq!(at(&world, Intent::EnterShort), Some(price("50.05").0));
    world = sized("fraction:0.1,lot=0.001");
    world.bars(&[(SYMBOL, &[30.0])]);
    assert_eq!(quantity(&world), shares("333.333"));
}
