//! Limits by scope, held against what decisions approve; and what a broker in use, a group and a read model show.

use std::collections::BTreeMap;

use contracts::v1::event::Body;
use contracts::v1::{
    AccountMarked, Basis, BreakerKind, BreakerTripped, GroupHandled, GroupPolicy, LimitInput, MarkPrice,
    OrderCancelRejected, OrderCancelled, OrderRejected, OrderSpec, RiskDecision, RiskLimits, RiskMeasured,
};
use contracts::{client_order_id, order_id, stream, to_timestamp};
use domain::book::{CLOSING_LEG, Scope};
use domain::calendar::Calendar;
use domain::invariant::{AtBroker, Invariant, Watch, compare_book, compare_open, half_open};

use crate::invariant::{limited, opening, watch};
use crate::scopes::NOW;
use crate::support::{
    ACCOUNT, SYMBOL, approval, at, book_of, configured, deposit, event, fill, limits, money, price, shares,
    spec, submitted,
};

/// What is found broken, in words, when all of `bodies` happen at one instant of a session.
fn found(mut watch: Watch, bodies: Vec<Body>) -> Vec<String> {
    let mut found = Vec::new();
    for (sequence, body) in (1_u64..).zip(bodies) {
        let mut event = event(at(NOW), body);
        event.basis = vec![Basis { stream: stream::TRADING.to_owned(), sequence: sequence - 1 }];
        found.extend(watch.fold(sequence, &event));
    }
    assert!(found.iter().all(|found| found.invariant == Invariant::WithinLimits), "{found:?}");
    found.into_iter().map(|found| found.detail).collect()
}

fn marked(prices: &[(&str, &str)]) -> Body {
    let price = |(symbol, value): &(&str, &str)| MarkPrice {
        symbol: (*symbol).to_owned(),
        price_e9: price(value).0,
        time: Some(to_timestamp(at(NOW))),
    };
    Body::AccountMarked(AccountMarked {
        account: ACCOUNT.to_owned(),
        equity: money("10000"),
        prices: prices.iter().map(price).collect(),
        ..AccountMarked::default()
    })
}

/// An account with 10,000 under one limit of its own.
fn under(name: &str, value: &str) -> Vec<Body> {
    let limit = limited(ACCOUNT, &[(name, value)]);
    let whole = RiskLimits { max_position_fraction_e9: shares("1").0, ..limits() };
    vec![configured(whole), deposit("10000"), limit, marked(&[])]
}

#[test]
fn two_approvals_together_keep_every_limit_of_a_scope() {
    // Each buys 100 shares at 20.
    let both = || vec![approval(&spec("a"), price("20")), approval(&spec("b"), price("20"))];
    let held =
        |name: &str, value: &str| found(Watch::by(Calendar::xnys()), [under(name, value), both()].concat());
    for (name, kept, broken) in [
        ("max_order_value", "2000", "1999.99"),
        ("max_order_quantity", "100", "99"),
        ("max_position_quantity", "200", "199"),
        ("max_position_value", "4000", "3999"),
        ("max_concentration", "0.4", "0.3999"),
        ("max_gross_exposure", "4000", "3999"),
        ("max_net_exposure", "4000", "3999"),
        ("max_leverage", "0.4", "0.3999"),
        ("max_open_orders", "2", "1"),
        ("max_orders_per_minute", "2", "1"),
        ("max_orders_per_hour", "2", "1"),
        ("max_orders_per_day", "2", "1"),
    ] {
        assert_eq!(held(name, kept), Vec::<String>::new(), "{name} {kept}");
        let found = held(name, broken);
        assert!(!found.is_empty(), "{name} {broken}");
        assert!(found[0].ends_with("(limits of account paper)"), "{found:?}");
    }
    // When a day begins only a calendar can say.
    let day = [under("max_orders_per_day", "1"), both()].concat();
    assert_eq!(found(Watch::default(), day), Vec::<String>::new());
}

#[test]
fn a_rate_is_that_of_the_decisions_and_not_of_their_signals() {
    let hour = 3_600_000_000_000;
    // Two signals an hour apart, decided together or each in its time.
    let approved = |id: &str, signalled_ns: i64, decided_ns: i64| {
        let Body::RiskDecision(mut decision) = approval(&spec(id), price("20")) else { panic!() };
        decision.inputs[0].price_time = Some(to_timestamp(decided_ns - hour));
        decision.inputs[0].price_age_ms = 3_600_000;
        event(signalled_ns, Body::RiskDecision(decision))
    };
    let now = at(NOW);
    let broken = |second_decided_ns: i64| {
        let mut watch = Watch::by(Calendar::xnys());
        let before = under("max_orders_per_hour", "1").into_iter().map(|body| event(now - hour, body));
        let both = [approved("a", now - hour, now), approved("b", now, second_decided_ns)];
        let told = (1_u64..).zip(before.chain(both)).flat_map(|(sequence, mut event)| {
            event.basis = vec![Basis { stream: stream::TRADING.to_owned(), sequence: sequence - 1 }];
            watch.fold(sequence, &event)
        });
        told.map(|found| found.detail).collect::<Vec<_>>()
    };
    let together = broken(now);
    assert_eq!(together.len(), 1, "{together:?}");
    assert!(together[0].starts_with("2 orders are approved within a hour"), "{together:?}");
    assert_eq!(broken(now + hour), Vec::<String>::new());
}

#[test]
fn what_is_held_counts_at_the_mark_of_the_instant_and_later_as_the_decision_recorded_it() {
    let (first, second) = (spec("a"), spec("b"));
    let bought = vec![
        approval(&first, price("20")),
        submitted(&first),
        fill(&first, 1, shares("100"), price("20"), "0"),
        marked(&[(SYMBOL, "30")]),
        approval(&second, price("30")),
    ];
    let at_mark = |most: &str| {
        let bodies = [under("max_gross_exposure", most), bought.clone()].concat();
        found(Watch::by(Calendar::xnys()), bodies)
    };
    assert_eq!(at_mark("6000"), Vec::<String>::new());
    let told = at_mark("5999.99");
    assert_eq!(
        told,
        ["gross exposure, held and ordered, is 6000, expected at most 5999.99 (limits of account paper)"]
    );
    // The decision is later than the mark, and recorded a worth of 1,000.
    let Body::RiskDecision(mut decision) = approval(&spec("c"), price("20")) else { panic!() };
    decision.inputs[0].limits = vec![LimitInput {
        scope: Some(Scope::new(ACCOUNT, "", "").to_wire()),
        gross_exposure: money("1000"),
        net_exposure: money("1000"),
        ..LimitInput::default()
    }];
    let later = |most: &str| {
        let limit = limited(ACCOUNT, &[("max_gross_exposure", most)]);
        let decided = Body::RiskDecision(decision.clone());
        watch([opening(), vec![limit, decided]].concat()).1
    };
    assert_eq!(later("3000"), []);
    assert_eq!(later("2999").len(), 1);
    // So does one of the mark's own time that had read a bar more than the mark.
    let of_the_same_time = |read: u64| {
        let limit = under("max_gross_exposure", "6000");
        let decided = Body::RiskDecision(decision.clone());
        let mut watch = Watch::by(Calendar::xnys());
        let bodies = [limit, bought.clone(), vec![marked(&[(SYMBOL, "40")]), decided]].concat();
        let last = u64::try_from(bodies.len()).unwrap();
        let told = (1_u64..).zip(bodies).flat_map(|(sequence, body)| {
            let mut event = event(at(NOW), body);
            let basis = |of: &str, sequence: u64| Basis { stream: of.to_owned(), sequence };
            let market = if sequence == last { read } else { 7 };
            event.basis = vec![basis(stream::MARKET, market), basis(stream::TRADING, sequence - 1)];
            watch.fold(sequence, &event)
        });
        told.filter(|found| found.sequence == last).count()
    };
    assert_eq!((of_the_same_time(7), of_the_same_time(8)), (1, 0));
}

#[test]
fn what_the_monitor_measured_between_hides_no_limit() {
    let limit = limited(ACCOUNT, &[("max_open_orders", "0")]);
    let mut watch = Watch::default();
    let measured =
        Body::RiskMeasured(RiskMeasured { account: ACCOUNT.to_owned(), ..RiskMeasured::default() });
    let bodies = [opening(), vec![limit, measured, approval(&spec("a"), price("20"))]].concat();
    let mut found = Vec::new();
    for (sequence, body) in (1_u64..).zip(bodies) {
        let mut event = event(i64::try_from(sequence).unwrap(), body);
        // The decision had not read the measurement.
        event.basis = vec![Basis { stream: stream::TRADING.to_owned(), sequence: 4 }];
        found.extend(watch.fold(sequence, &event));
    }
    assert_eq!(found.iter().map(|found| found.invariant).collect::<Vec<_>>(), [Invariant::WithinLimits]);
}

/// A signal's two legs, approved and sent, of which the second was refused.
fn half() -> Vec<Body> {
    let group_policy = GroupPolicy::Alert.into();
    let leg = |leg: u32| OrderSpec { leg, group_policy, ..spec(&order_id("pair", leg)) };
    let (first, second) = (leg(0), leg(1));
    let Body::RiskDecision(decision) = approval(&first, price("20")) else { panic!() };
    let decision = RiskDecision {
        signal_id: "pair".to_owned(),
        orders: vec![first.clone(), second.clone()],
        ..decision
    };
    let refused = OrderRejected { order_id: second.order_id.clone(), reason: "no".to_owned() };
    vec![Body::RiskDecision(decision), submitted(&first), submitted(&second), Body::OrderRejected(refused)]
}

#[test]
fn a_group_is_half_open_until_somebody_says_what_becomes_of_it() {
    let (open, _) = watch([opening(), half()].concat());
    let found = half_open(&open).unwrap();
    assert_eq!(found.invariant, Invariant::OrdersEnd);
    assert!(found.detail.contains("was refused"), "{found}");
    // Also where the group goes on: what becomes of the others is said too.
    for done in [true, false] {
        let told = Body::GroupHandled(GroupHandled {
            group_id: "pair".to_owned(),
            policy: GroupPolicy::Alert.into(),
            failed_order_id: order_id("pair", 1),
            done,
            open: "nothing was filled".to_owned(),
            ..GroupHandled::default()
        });
        let (stated, _) = watch([opening(), half(), vec![told]].concat());
        assert_eq!(half_open(&stated), None, "{done}");
    }
    // A cancel that was refused was no silence either: it is asked for again.
    let refused = OrderCancelRejected { order_id: order_id("pair", 0), ..OrderCancelRejected::default() };
    let (asked, _) = watch([opening(), half(), vec![Body::OrderCancelRejected(refused)]].concat());
    assert_eq!(half_open(&asked), None);
}

#[test]
fn a_group_that_is_completed_is_not_half_open() {
    let leg = CLOSING_LEG + 1;
    let again = OrderSpec { leg, ..spec(&order_id("pair", leg)) };
    let completed = Body::GroupHandled(GroupHandled {
        group_id: "pair".to_owned(),
        policy: GroupPolicy::Complete.into(),
        failure: "rejected".to_owned(),
        orders: vec![again.clone()],
        ..GroupHandled::default()
    });
    // Neither the leg that goes on nor the order that takes the place of the refused one.
    let (completing, _) = watch([opening(), half(), vec![completed, submitted(&again)]].concat());
    assert_eq!(completing.book().open_orders().count(), 2);
    assert_eq!(half_open(&completing), None);
}

#[test]
fn a_broker_in_use_is_held_against_the_orders_that_it_was_asked_about() {
    let spec = spec("a");
    let sent = [opening(), vec![approval(&spec, price("20")), submitted(&spec)]].concat();
    let check = |watch: &Watch, orders: &[AtBroker]| {
        let found = compare_open(watch, ACCOUNT, orders);
        found.into_iter().map(|found| found.invariant).collect::<Vec<_>>()
    };
    let at = |working, quantity: Option<&str>| AtBroker {
        client_order_id: client_order_id("a"),
        working,
        executions: quantity
            .map(|quantity| ("x-a-1".to_owned(), (shares(quantity), price("20"))))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
    };
    let (open, _) = watch(sent.clone());
    assert_eq!(check(&open, &[at(true, None)]), []);
    assert_eq!(check(&open, &[]), [Invariant::OrdersEnd], "it is open here and unknown there");
    assert_eq!(check(&open, &[at(false, None)]), [Invariant::OrdersEnd]);
    assert_eq!(check(&open, &[at(true, Some("10"))]), [Invariant::FillsAgree]);
    let unknown = AtBroker { client_order_id: "no intent".to_owned(), working: true, ..AtBroker::default() };
    assert_eq!(check(&open, &[at(true, None), unknown]), [Invariant::NoOrderTwice]);
    assert_eq!(check(&open, &[at(true, None), at(true, None)]), [Invariant::NoOrderTwice]);
    // Orders of another account are another broker's, and those that ended are not asked for again.
    assert_eq!(compare_open(&open, "another", &[]), []);
    let part = fill(&spec, 1, shares("10"), price("20"), "0");
    let (filled, _) = watch([sent.clone(), vec![part]].concat());
    assert_eq!(check(&filled, &[at(true, Some("10"))]), []);
    assert_eq!(check(&filled, &[at(true, Some("11"))]), [Invariant::FillsAgree]);
    let over = Body::OrderCancelled(OrderCancelled { order_id: "a".to_owned(), ..OrderCancelled::default() });
    let (ended, _) = watch([sent, vec![over]].concat());
    assert_eq!(check(&ended, &[]), []);
    assert_eq!(check(&ended, &[at(true, None)]), [Invariant::OrdersEnd], "it works on there");
}

#[test]
fn limits_breakers_and_groups_are_rows_of_the_read_model_too() {
    let whole = [opening(), half()].concat();
    let fold = book_of(whole.clone());
    assert_eq!(compare_book(&fold, &fold), None);
    let limit = limited(ACCOUNT, &[("max_leverage", "2")]);
    let tripped = Body::BreakerTripped(BreakerTripped {
        account: ACCOUNT.to_owned(),
        kind: BreakerKind::Drawdown.into(),
        ..BreakerTripped::default()
    });
    for (what, body) in [("limits:", limit), ("tally:", tripped)] {
        let other = book_of([whole.clone(), vec![body]].concat());
        let mut skipped = fold.clone();
        skipped.skip(other.sequence());
        let found = compare_book(&skipped, &other).unwrap();
        assert!(found.detail.starts_with(what), "{found}");
    }
    // A read model that has lost an order of a group that is not done with.
    let mut parts = fold.to_parts();
    parts.orders.retain(|order| !order.status.is_ended());
    let found = compare_book(&domain::book::Book::from_parts(parts), &fold).unwrap();
    assert!(found.detail.starts_with("group pair:"), "{found}");
}
