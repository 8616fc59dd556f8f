//! New terms of an order that is under way: whose they are to ask for, what they are held against, and what other
//! decisions know of them.

use contracts::MANUAL;
use contracts::v1::event::Body;
use contracts::v1::{
    BreakerKind, BreakerTripped, Intent, OrderAccepted, OrderCancelRequested, OrderReplaceRejected,
    OrderReplaced, OrderSpec, OrderType, RiskDecision, Side, Signal, SignalLeg, TimeInForce, TradingHalted,
};
use domain::book::{Book, FoldError, Scope};
use domain::order::OrderState;

use crate::scopes::{OTHER, World, leg, signal};
use crate::support::{
    ACCOUNT, STRATEGY, SYMBOL, amount, approval, at, event, fill, price, shares, spec, submitted,
};

const ID: &str = "order-1";

/// An operator's order to buy at 49, good until cancelled.
fn resting(quantity: &str) -> OrderSpec {
    OrderSpec {
        strategy: MANUAL.to_owned(),
        order_type: OrderType::Limit.into(),
        limit_price_e9: Some(price("49").0),
        time_in_force: TimeInForce::Gtc.into(),
        quantity_e9: shares(quantity).0,
        ..spec(ID)
    }
}

/// The broker works `order`.
fn works(world: &mut World, order: &OrderSpec) {
    let accepted = OrderAccepted { order_id: order.order_id.clone(), ..OrderAccepted::default() };
    world.fold([approval(order, price("50")), submitted(order), Body::OrderAccepted(accepted)]);
}

/// A world in which a broker works an operator's order for so many shares.
fn world(quantity: &str) -> World {
    let mut world = World::new();
    works(&mut world, &resting(quantity));
    world
}

fn by_hand(leg: SignalLeg) -> Signal {
    Signal { strategy: MANUAL.to_owned(), account: ACCOUNT.to_owned(), legs: vec![leg], ..Signal::default() }
}

fn trades(intent: Intent, quantity: &str) -> SignalLeg {
    SignalLeg { quantity_e9: Some(shares(quantity).0), ..leg(SYMBOL, intent) }
}

fn buys(quantity: &str) -> Signal {
    by_hand(trades(Intent::Buy, quantity))
}

/// New terms of the order.
fn terms(quantity: &str) -> SignalLeg {
    SignalLeg { replaces: ID.to_owned(), ..trades(Intent::Buy, quantity) }
}

fn approve(world: &mut World, quantity: &str) -> RiskDecision {
    let decision = world.passes(&by_hand(terms(quantity)));
    world.fold([Body::RiskDecision(decision.clone())]);
    decision
}

fn known(world: &World) -> &OrderState {
    world.book.order(ID).unwrap()
}

/// The broker takes the first new terms: 130 shares at 49.
fn answered() -> Body {
    Body::OrderReplaced(OrderReplaced {
        order_id: ID.to_owned(),
        quantity_e9: shares("130").0,
        limit_price_e9: Some(price("49").0),
        revision: 1,
        client_order_id: contracts::client_order_id_of(ID, 1),
        ..OrderReplaced::default()
    })
}

#[test]
fn shares_amounts_and_new_terms_are_an_operators_alone() {
    let world = world("100");
    let amount = |intent| SignalLeg { notional_e9: Some(price("500").0), ..leg(SYMBOL, intent) };
    let why = "because only an operator";
    for (wrong, reason) in [
        (
            trades(Intent::Buy, "5"),
            format!("`legs[0].intent` is buy, expected enter long, enter short, exit or target, {why} buys"),
        ),
        (
            trades(Intent::Sell, "5"),
            format!("`legs[0].intent` is sell, expected enter long, enter short, exit or target, {why}"),
        ),
        (terms("300"), "`legs[0].intent` is buy, expected".to_owned()),
        (
            SignalLeg { replaces: ID.to_owned(), ..trades(Intent::EnterLong, "300") },
            format!("`legs[0].replaces` is {ID}, expected none, {why} asks for new terms"),
        ),
        (
            SignalLeg { replaces: ID.to_owned(), ..leg(SYMBOL, Intent::Exit) },
            format!("`legs[0].replaces` is {ID}, expected none"),
        ),
        (
            amount(Intent::EnterLong),
            format!("`legs[0].notional_e9` is 500, expected none, {why} trades for an amount"),
        ),
    ] {
        let said = world.denies(&signal(vec![wrong]), "invalid_signal");
        assert!(said.starts_with(&reason), "{said}");
    }
    // What a strategy may say of its size stays.
    world.passes(&signal(vec![trades(Intent::EnterLong, "5")]));
    world.passes(&buys("5"));
    // Neither goes with another intent of an operator's.
    let target = SignalLeg { replaces: ID.to_owned(), ..leg(SYMBOL, Intent::Target) };
    let said = world.denies(&by_hand(target), "invalid_signal");
    let beside = "`legs[0].replaces` is order-1, expected none but beside buy or sell";
    assert!(said.starts_with(beside), "{said}");
    let said = world.denies(&by_hand(amount(Intent::Exit)), "invalid_signal");
    assert_eq!(said, "`legs[0].notional_e9` is 500, expected none but for buy or sell");
}

#[test]
fn new_terms_are_of_an_open_order_of_the_account_symbol_and_side_that_are_stated() {
    let mut world = world("100");
    let alt = OrderSpec { account: "alt".to_owned(), order_id: "order-2".to_owned(), ..resting("100") };
    works(&mut world, &alt);
    for (wrong, reason) in [
        (
            SignalLeg { replaces: "order-2".to_owned(), ..terms("300") },
            "the account of order order-2 is alt, expected paper",
        ),
        (
            SignalLeg { symbol: OTHER.to_owned(), ..terms("90") },
            "the symbol of order order-1 is ACME, expected OTHR",
        ),
        (
            SignalLeg { intent: Intent::Sell.into(), ..terms("90") },
            "the side of order order-1 is buy, expected sell",
        ),
        (
            SignalLeg { replaces: "order-3".to_owned(), ..terms("90") },
            "order order-3 is not open, expected one whose terms can be replaced",
        ),
    ] {
        let decision = world.decide(&by_hand(wrong.clone()));
        assert_eq!(world.denies(&by_hand(wrong), "invalid_signal"), reason);
        assert_eq!((decision.account.as_str(), decision.orders.len()), (ACCOUNT, 0));
    }
    // Who does not say whose order it is asks on the account of the order, under its limits.
    let unstated = SignalLeg { replaces: "order-2".to_owned(), ..terms("110") };
    let unstated = Signal { account: String::new(), ..by_hand(unstated) };
    world.denies(&unstated, "limits_missing");
    assert_eq!(world.decide(&unstated).account, "alt");
    // A strategy's order keeps its strategy, and is judged on what that holds.
    let strategys = OrderSpec {
        order_id: "order-4".to_owned(),
        strategy: STRATEGY.to_owned(),
        side: Side::Sell.into(),
        limit_price_e9: Some(price("51").0),
        ..resting("20")
    };
    world.hold(SYMBOL, 20);
    works(&mut world, &OrderSpec { reducing: true, ..strategys });
    let fewer = SignalLeg { replaces: "order-4".to_owned(), ..trades(Intent::Sell, "15") };
    let order = world.passes(&by_hand(fewer)).orders[0].clone();
    assert_eq!((order.strategy.as_str(), order.reducing, order.revision), (STRATEGY, true, 1));
}

#[test]
fn one_replacement_of_an_order_is_under_way_at_a_time() {
    let mut world = world("140");
    world.fold([fill(&resting("140"), 1, shares("49"), price("49"), "0")]);
    let approved = approve(&mut world, "130");
    let input = &approved.inputs[0];
    assert_eq!((input.replaced_filled_e9, input.replaced_pending), (shares("49").0, 0));
    // Any other one, whatever it asks for, until the broker has answered.
    let under_way = "new terms of order order-1 are under way (revision 1), expected none: ask again once its \
                     broker has answered";
    let cheaper = SignalLeg { quantity_e9: None, limit_price_e9: Some(price("48").0), ..terms("1") };
    for second in [terms("5"), terms("200"), cheaper] {
        let decision = world.decide(&by_hand(second.clone()));
        assert_eq!(world.denies(&by_hand(second), "invalid_signal"), under_way);
        assert_eq!(decision.inputs[0].replaced_pending, 1);
        // It goes on to count: 91 shares are open.
        assert_eq!(decision.inputs[0].account_reserved_e9, shares("91").0);
    }
    world.fold([answered()]);
    for quantity in ["5", "49"] {
        let few = format!("quantity is {quantity}, expected more than the 49 that are filled");
        assert_eq!(world.denies(&by_hand(terms(quantity)), "invalid_signal"), few);
    }
    assert_eq!(world.passes(&by_hand(terms("50"))).orders[0].revision, 2);
    let asked = OrderCancelRequested { order_id: ID.to_owned(), ..OrderCancelRequested::default() };
    world.fold([Body::OrderCancelRequested(asked)]);
    let reason = "order order-1 is to be cancelled, expected one whose terms can be replaced";
    assert_eq!(world.denies(&by_hand(terms("60")), "invalid_signal"), reason);
}

#[test]
fn a_trailing_stop_keeps_its_own_price() {
    let mut world = World::new();
    let trailing = OrderSpec {
        order_type: OrderType::TrailingStop.into(),
        limit_price_e9: None,
        stop_price_e9: Some(price("55").0),
        trail_rate_e9: Some(100_000_000),
        ..resting("100")
    };
    works(&mut world, &trailing);
    let moved = SignalLeg { stop_price_e9: Some(price("54").0), ..terms("100") };
    let reason = "stop price: order order-1 trails its own, expected new terms without one";
    assert_eq!(world.denies(&by_hand(moved), "invalid_signal"), reason);
    let order = world.passes(&by_hand(terms("90"))).orders[0].clone();
    assert_eq!((order.quantity_e9, order.stop_price_e9), (shares("90").0, trailing.stop_price_e9));
}

#[test]
fn an_exit_has_no_new_terms_before_it_is_sent() {
    let mut world = world("100");
    let exit = OrderSpec {
        order_id: "exit".to_owned(),
        parent_id: ID.to_owned(),
        side: Side::Sell.into(),
        limit_price_e9: Some(price("51").0),
        reducing: true,
        ..resting("100")
    };
    world.fold([approval(&exit, price("50"))]);
    let dearer = SignalLeg {
        replaces: "exit".to_owned(),
        quantity_e9: None,
        limit_price_e9: Some(price("52").0),
        ..trades(Intent::Sell, "1")
    };
    let reason = "order exit is not open, expected one whose terms can be replaced";
    assert_eq!(world.denies(&by_hand(dearer.clone()), "invalid_signal"), reason);
    let entry = resting("100");
    world.fold([fill(&entry, 1, shares("100"), price("49"), "0"), submitted(&exit)]);
    world.mark();
    assert_eq!(world.passes(&by_hand(dearer)).orders[0].revision, 1);
}

#[test]
fn no_two_requests_for_new_terms_have_one_number() {
    let mut world = world("140");
    assert_eq!(approve(&mut world, "130").orders[0].revision, 1);
    let refused = OrderReplaceRejected { order_id: ID.to_owned(), reason: "no".to_owned(), revision: 1 };
    world.fold([Body::OrderReplaceRejected(refused.clone())]);
    assert_eq!((known(&world).replace.is_none(), known(&world).spec.revision), (true, 0));
    assert_eq!(approve(&mut world, "120").orders[0].revision, 2);
    let second = contracts::client_order_id_of(ID, 2);
    let asked = |world: &World| known(world).replace.as_ref().map(|asked| asked.client_order_id.clone());
    assert_eq!(asked(&world), Some(second.clone()));
    // A late word on the first ones says nothing of the second.
    world.fold([Body::OrderReplaceRejected(refused)]);
    assert_eq!(asked(&world), Some(second.clone()));
    let taken = OrderReplaced {
        order_id: ID.to_owned(),
        quantity_e9: shares("120").0,
        revision: 2,
        client_order_id: second,
        ..OrderReplaced::default()
    };
    world.fold([Body::OrderReplaced(taken)]);
    assert_eq!((asked(&world), known(&world).spec.revision), (None, 2));
    assert_eq!(known(&world).chain.iter().map(|link| link.revision).collect::<Vec<_>>(), [0]);
    assert_eq!(world.passes(&by_hand(terms("110"))).orders[0].revision, 3);
}

#[test]
fn new_terms_are_held_against_every_limit_without_the_old_ones() {
    let mut world = world("100");
    world.of_account(&[("max_position_quantity", "110"), ("max_open_orders", "1")]);
    let decision = world.passes(&by_hand(terms("110")));
    let limit = &decision.inputs[0].limits[0];
    assert_eq!((limit.reserved_e9, limit.open_orders), (0, 0), "it is counted once");
    let reason = world.denies(&by_hand(terms("111")), "max_position");
    assert!(reason.starts_with("the position would be 111 shares, expected at most 110"), "{reason}");
    world.of_account(&[("max_position_quantity", "none"), ("max_order_quantity", "104")]);
    world.denies(&by_hand(terms("105")), "max_order_quantity");
    world.of_account(&[("max_order_quantity", "none"), ("restricted", SYMBOL)]);
    world.denies(&by_hand(terms("105")), "restricted");
    world.of_account(&[("restricted", "none"), ("max_gross_exposure", "5000")]);
    world.passes(&by_hand(terms("99")));
    world.denies(&by_hand(terms("101")), "max_gross_exposure");
    world.of_account(&[("max_gross_exposure", "none")]);
    // What stops the order's strategy stops new terms that open, and what stops the operator those of his own orders.
    let strategys =
        OrderSpec { strategy: STRATEGY.to_owned(), order_id: "order-2".to_owned(), ..resting("10") };
    works(&mut world, &strategys);
    world.of_account(&[("max_open_orders", "none")]);
    let more = || by_hand(SignalLeg { replaces: "order-2".to_owned(), ..terms("20") });
    world.passes(&more());
    let tripped = BreakerTripped {
        account: ACCOUNT.to_owned(),
        strategy: STRATEGY.to_owned(),
        kind: BreakerKind::WinRate.into(),
        ..BreakerTripped::default()
    };
    world.fold([Body::BreakerTripped(tripped)]);
    world.denies(&more(), "breaker");
    world.passes(&by_hand(terms("105")));
    let halt = TradingHalted { strategy: MANUAL.to_owned(), ..TradingHalted::default() };
    world.fold([Body::TradingHalted(halt)]);
    world.denies(&by_hand(terms("105")), "halted");
}

#[test]
fn until_the_broker_answers_the_larger_of_both_terms_counts_for_others() {
    for (before, after) in [("100", "1"), ("1", "100")] {
        let mut world = world(before);
        world.of_account(&[("max_position_quantity", "110")]);
        approve(&mut world, after);
        assert_eq!(known(&world).reserved_shares(), shares("100"));
        let decision = world.passes(&buys("10"));
        assert_eq!(decision.inputs[0].limits[0].reserved_e9, shares("100").0, "{before} to {after}");
        let reason = world.denies(&buys("105"), "max_position");
        assert!(reason.starts_with("the position would be 205 shares, expected at most 110"), "{reason}");
        world.denies(&buys("11"), "max_position");
    }
}

#[test]
fn terms_that_open_are_reserved_although_the_order_was_to_reduce() {
    let mut world = World::new();
    let held = Scope::new(ACCOUNT, "", "");
    let bought = OrderSpec { order_id: "bought".to_owned(), ..resting("20") };
    world.fold([approval(&bought, price("50")), submitted(&bought)]);
    world.fold([fill(&bought, 1, shares("20"), price("50"), "0")]);
    world.mark();
    let stop = OrderSpec {
        order_type: OrderType::Stop.into(),
        side: Side::Sell.into(),
        limit_price_e9: None,
        stop_price_e9: Some(price("45").0),
        reducing: true,
        ..resting("20")
    };
    works(&mut world, &stop);
    assert!(known(&world).is_protective());
    let more = SignalLeg { replaces: ID.to_owned(), ..trades(Intent::Sell, "50") };
    let decision = world.passes(&by_hand(more));
    assert!(!decision.orders[0].reducing);
    world.fold([Body::RiskDecision(decision)]);
    assert!(!known(&world).is_protective());
    assert_eq!(known(&world).reserved_value(), amount("2500"));
    assert_eq!(world.book.reserved(ACCOUNT, None, SYMBOL).sell, shares("-50"));
    let replaced = OrderReplaced {
        order_id: ID.to_owned(),
        quantity_e9: shares("50").0,
        revision: 1,
        client_order_id: contracts::client_order_id_of(ID, 1),
        ..OrderReplaced::default()
    };
    world.fold([Body::OrderReplaced(replaced)]);
    assert!(!known(&world).spec.reducing, "with its new terms it opens 30");
    world.limit(held, &[("max_position_quantity", "30")]);
    world.denies(&by_hand(trades(Intent::Sell, "21")), "max_position");
}

#[test]
fn a_decision_ahead_of_the_book_counts_as_its_fold_does() {
    let mut world = world("140");
    world.fold([fill(&resting("140"), 1, shares("49"), price("49"), "0")]);
    for asked in [by_hand(terms("130")), buys("5")] {
        let wire = event(at("2024-01-08T15:30:00Z"), Body::RiskDecision(world.passes(&asked)));
        let (mut foreseen, mut folded) = (world.book.clone(), world.book.clone());
        foreseen.foresee(&wire);
        folded.apply(folded.sequence() + 1, &wire).unwrap();
        assert_eq!(foreseen.sequence(), world.book.sequence());
        let (foreseen, folded) = (foreseen.to_parts(), folded.to_parts());
        assert_eq!(foreseen.orders, folded.orders);
        assert_eq!(foreseen.approvals, folded.approvals);
    }
}

#[test]
fn what_came_of_a_decision_is_taken_back() {
    let mut world = world("140");
    world.fold([fill(&resting("140"), 1, shares("49"), price("49"), "0")]);
    let terms = event(at("2024-01-08T15:30:00Z"), Body::RiskDecision(world.passes(&by_hand(terms("130")))));
    let buy = event(at("2024-01-08T15:30:01Z"), Body::RiskDecision(world.passes(&buys("5"))));
    let sequence = world.book.sequence();
    world.book.apply(sequence + 1, &terms).unwrap();
    world.book.apply(sequence + 2, &buy).unwrap();
    let left = world.book.clone();
    let Some(Body::RiskDecision(bought)) = &buy.body else { panic!("{buy:?}") };
    let bought = &bought.orders[0];
    world.fold([answered(), submitted(bought)]);
    world.fold([fill(bought, 1, shares("5"), price("50"), "0")]);
    assert_eq!(known(&world).reserved_shares(), shares("81"));
    world.book.restore(&terms);
    world.book.restore(&buy);
    for id in [ID, bought.order_id.as_str()] {
        let (now, then) = (world.book.order(id).unwrap(), left.order(id).unwrap());
        assert_eq!((&now.spec, now.filled, &now.replace), (&then.spec, then.filled, &then.replace), "{id}");
        assert_eq!((now.status.is_ended(), now.reserved_value()), (false, then.reserved_value()), "{id}");
    }
    assert_eq!(known(&world).reserved_shares(), shares("91"));
    assert_eq!(world.book.to_parts().approvals, left.to_parts().approvals, "it counts once");
    // Also where the order has left memory since.
    let mut parts = world.book.to_parts();
    parts.orders.clear();
    let mut forgot = Book::from_parts(parts);
    forgot.restore(&terms);
    assert_eq!(forgot.order(ID).map(OrderState::reserved_shares), Some(shares("91")));
}

#[test]
fn new_terms_make_no_order_of_their_own() {
    let mut world = World::new();
    let unknown = OrderSpec { revision: 1, ..resting("100") };
    let wire = event(1, approval(&unknown, price("50")));
    let refused = world.book.apply(world.book.sequence() + 1, &wire).unwrap_err();
    assert!(matches!(refused, FoldError::OrderNotLoaded { order_id } if order_id == ID));
    assert_eq!(world.book.open_orders().count(), 0);
}
