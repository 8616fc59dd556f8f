//! Groups of orders: what is done when one of them fails, until nothing is open or it is said what is.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountMarked, GroupHandled, GroupKind, GroupPolicy, OrderSpec, PositionsFate, RiskDecision, Side,
    StrategyDisabled, StrategyEnabled, StrategyMode, Verdict,
};
use domain::book::{Book, GROUP_PATIENCE_NS, GroupStep};
use domain::money::Quantity;
use domain::order::{BrokerReport, Execution, GroupStage, decide};

use crate::support::{ACCOUNT, STRATEGY, amount, deposit, event, price, registered, shares, spec};

const SIGNAL: &str = "signal-1";

fn fold(book: &mut Book, bodies: impl IntoIterator<Item = Body>) {
    for body in bodies {
        let sequence = book.sequence() + 1;
        book.apply(sequence, &event(i64::try_from(sequence).unwrap(), body)).unwrap();
    }
}

fn leg(index: u32, symbol: &str, side: Side) -> OrderSpec {
    OrderSpec {
        order_id: contracts::order_id(SIGNAL, index),
        symbol: symbol.to_owned(),
        side: side.into(),
        leg: index,
        ..spec("")
    }
}

/// A pair: 100 KO bought, 100 PEP sold, both worked by the broker.
fn pair(policy: GroupPolicy) -> (Book, [String; 2]) {
    let (mut book, ids) = approved(policy, [leg(0, "KO", Side::Buy), leg(1, "PEP", Side::Sell)]);
    for id in &ids {
        work(&mut book, id);
    }
    (book, ids)
}

/// A pair of which one leg has filled and the other one does not, and a third leg that the broker has just accepted.
fn basket(policy: GroupPolicy) -> (Book, [String; 3]) {
    let legs = [leg(0, "KO", Side::Buy), leg(1, "PEP", Side::Sell), leg(2, "MO", Side::Buy)];
    let (mut book, [ko, pep, mo]) = approved(policy, legs);
    work(&mut book, &ko);
    work(&mut book, &pep);
    fill(&mut book, &ko, shares("100"));
    let sent = decide::submit(book.order(&mo).unwrap(), "simulated").unwrap();
    fold(&mut book, sent);
    let accepted = BrokerReport::Accepted { broker_order_id: "b".to_owned() };
    let body = decide::report(book.order(&mo).unwrap(), &accepted).unwrap().unwrap();
    book.apply(book.sequence() + 1, &event(GROUP_PATIENCE_NS, body)).unwrap();
    (book, [ko, pep, mo])
}

/// Orders that one decision has approved.
fn approved<const LEGS: usize>(policy: GroupPolicy, mut legs: [OrderSpec; LEGS]) -> (Book, [String; LEGS]) {
    for leg in &mut legs {
        leg.group_policy = policy.into();
    }
    let mut book = Book::default();
    let decision = RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: STRATEGY.to_owned(),
        signal_id: SIGNAL.to_owned(),
        verdict: Verdict::Approved.into(),
        orders: legs.to_vec(),
        ..RiskDecision::default()
    };
    fold(&mut book, [registered("1"), deposit("100000"), Body::RiskDecision(decision)]);
    (book, legs.map(|leg| leg.order_id))
}

fn work(book: &mut Book, order_id: &str) {
    let body = decide::submit(book.order(order_id).unwrap(), "simulated").unwrap();
    fold(book, body);
    say(book, order_id, &BrokerReport::Accepted { broker_order_id: "b".to_owned() });
}

fn say(book: &mut Book, order_id: &str, report: &BrokerReport) {
    let body = decide::report(book.order(order_id).unwrap(), report).unwrap();
    fold(book, body);
}

fn fill(book: &mut Book, order_id: &str, quantity: Quantity) {
    let number = book.order(order_id).unwrap().fills + 1;
    let execution = Execution {
        execution_id: format!("{order_id}-{number}"),
        quantity,
        price: price("50"),
        commission: amount("0"),
        slippage: price("0"),
        executed_ns: 1,
        ambiguous: false,
    };
    say(book, order_id, &BrokerReport::Filled(execution));
}

fn expire(book: &mut Book, order_id: &str) {
    say(book, order_id, &BrokerReport::Expired { reason: "closed".to_owned() });
}

/// Takes the next step and folds it.
fn step(book: &mut Book) -> GroupHandled {
    let handled = book.group_step(SIGNAL, 10).expect("a step");
    fold(book, [Body::GroupHandled(handled.clone())]);
    handled
}

fn held(book: &Book, symbol: &str) -> Quantity {
    book.position(ACCOUNT, STRATEGY, symbol).map_or(Quantity::ZERO, |row| row.quantity)
}

#[test]
fn a_group_that_fills_is_over_and_nothing_is_done() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Unwind);
    fill(&mut book, &ko, shares("100"));
    assert_eq!(book.group_step(SIGNAL, 10), None);
    fill(&mut book, &pep, shares("100"));
    assert_eq!(book.group_step(SIGNAL, 10), None);
    assert_eq!(book.active_groups().count(), 0);
    assert_eq!(book.order(&ko).unwrap().group_stage, GroupStage::Done);
}

#[test]
fn unwind_cancels_what_is_open_and_closes_what_was_filled() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Unwind);
    fill(&mut book, &ko, shares("40"));
    expire(&mut book, &pep);
    let first = step(&mut book);
    assert_eq!((first.failure.as_str(), &first.failed_order_id), ("expired", &pep));
    assert_eq!((first.cancels, first.orders.len(), first.done), (vec![ko.clone()], 0, false));
    assert_eq!(book.group_step(SIGNAL, 10), None, "the cancel is under way");
    // A fill overtakes the cancel: it is closed too.
    fill(&mut book, &ko, shares("10"));
    say(&mut book, &ko, &BrokerReport::Cancelled { reason: "asked".to_owned() });
    let second = step(&mut book);
    let closing = &second.orders[0];
    assert_eq!(
        (closing.symbol.as_str(), closing.side(), closing.quantity_e9),
        ("KO", Side::Sell, shares("50").0)
    );
    assert!(closing.reducing);
    work(&mut book, &closing.order_id);
    fill(&mut book, &closing.order_id, shares("50"));
    let last = step(&mut book);
    assert_eq!((last.done, last.open.as_str()), (true, ""));
    assert_eq!((held(&book, "KO"), held(&book, "PEP")), (Quantity::ZERO, Quantity::ZERO));
    assert_eq!(book.active_groups().count(), 0);
}

#[test]
fn a_cancel_that_is_refused_is_asked_for_again_after_a_while() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Unwind);
    fill(&mut book, &ko, shares("40"));
    expire(&mut book, &pep);
    let first = book.group_step(SIGNAL, 10).unwrap();
    let mut states = vec![book.group_state(&first)];
    step(&mut book);
    for _ in 0..2 {
        say(&mut book, &ko, &BrokerReport::CancelRejected { reason: "busy".to_owned() });
        let refused_ns = book.order(&ko).unwrap().updated_ns;
        assert_eq!(book.group_step(SIGNAL, refused_ns + GROUP_PATIENCE_NS - 1), None, "not at once");
        let again = book.group_step(SIGNAL, refused_ns + GROUP_PATIENCE_NS).unwrap();
        assert_eq!((&again.cancels, again.done), (&vec![ko.clone()], false));
        states.push(book.group_state(&again));
        fold(&mut book, [Body::GroupHandled(again)]);
        assert!(book.order(&ko).unwrap().cancel_requested);
        assert_eq!(book.group_step(SIGNAL, i64::MAX), None, "the cancel is under way");
    }
    states.sort();
    states.dedup();
    assert_eq!(states.len(), 3, "each is an event of its own: {states:?}");
}

#[test]
fn fills_do_not_put_off_a_cancel_that_was_refused() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Unwind);
    fill(&mut book, &ko, shares("40"));
    expire(&mut book, &pep);
    step(&mut book);
    say(&mut book, &ko, &BrokerReport::CancelRejected { reason: "busy".to_owned() });
    let refused_ns = book.order(&ko).unwrap().cancel_refused_ns.unwrap();
    fill(&mut book, &ko, shares("10"));
    assert!(book.order(&ko).unwrap().updated_ns > refused_ns);
    let again = book.group_step(SIGNAL, refused_ns + GROUP_PATIENCE_NS).unwrap();
    assert_eq!(again.cancels, vec![ko]);
}

#[test]
fn complete_orders_what_is_missing_at_the_market() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Complete);
    fill(&mut book, &ko, shares("100"));
    fill(&mut book, &pep, shares("30"));
    expire(&mut book, &pep);
    let first = step(&mut book);
    let more = &first.orders[0];
    assert_eq!((more.symbol.as_str(), more.side(), more.quantity_e9), ("PEP", Side::Sell, shares("70").0));
    assert_eq!(book.group_step(SIGNAL, 10), None);
    work(&mut book, &more.order_id);
    fill(&mut book, &more.order_id, shares("70"));
    assert!(step(&mut book).done);
    assert_eq!((held(&book, "KO"), held(&book, "PEP")), (shares("100"), shares("-100")));
}

#[test]
fn while_halted_a_group_is_not_completed_but_unwound() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Complete);
    fill(&mut book, &ko, shares("100"));
    fold(&mut book, [Body::TradingHalted(contracts::v1::TradingHalted::default())]);
    expire(&mut book, &pep);
    let first = step(&mut book);
    assert_eq!((first.policy(), first.orders[0].side()), (GroupPolicy::Unwind, Side::Sell));
}

#[test]
fn alert_and_no_policy_state_what_stays_open() {
    for policy in [GroupPolicy::Alert, GroupPolicy::Unspecified] {
        let (mut book, [ko, pep]) = pair(policy);
        fill(&mut book, &ko, shares("100"));
        expire(&mut book, &pep);
        let only = step(&mut book);
        assert_eq!((only.done, only.open.as_str()), (true, "filled and left open: 100 KO"));
        assert_eq!(book.group_step(SIGNAL, 10), None, "it is said once");
    }
}

#[test]
fn a_closing_order_that_fails_is_stated_and_nobody_tries_again() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Unwind);
    fill(&mut book, &ko, shares("100"));
    say(&mut book, &pep, &BrokerReport::Rejected { reason: "no shares to borrow".to_owned() });
    let closing = step(&mut book).orders[0].order_id.clone();
    work(&mut book, &closing);
    expire(&mut book, &closing);
    let last = step(&mut book);
    assert!(last.done);
    assert_eq!(last.open, format!("order {closing} is expired; filled and left open: 100 KO"));
    assert_eq!(book.group_step(SIGNAL, 10), None);
}

#[test]
fn an_order_that_does_not_fill_while_the_other_one_has_is_stuck() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Unwind);
    fill(&mut book, &ko, shares("100"));
    assert_eq!(book.group_step(SIGNAL, GROUP_PATIENCE_NS), None);
    let stuck = book.group_step(SIGNAL, GROUP_PATIENCE_NS + 100).unwrap();
    assert_eq!((stuck.failure.as_str(), stuck.cancels), ("stuck", vec![pep]));
}

#[test]
fn a_stuck_order_is_stated_without_a_policy_too() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Unspecified);
    fill(&mut book, &ko, shares("100"));
    assert_eq!(book.group_step(SIGNAL, GROUP_PATIENCE_NS), None);
    let stuck = book.group_step(SIGNAL, GROUP_PATIENCE_NS + 100).unwrap();
    assert_eq!((stuck.failure.as_str(), stuck.failed_order_id.as_str()), ("stuck", pep.as_str()));
    assert!(stuck.done && stuck.cancels.is_empty() && stuck.orders.is_empty(), "{stuck:?}");
    assert_eq!(stuck.open, "filled and left open: 100 KO");
}

/// A basket of which it was stated that its second leg is stuck.
fn stuck(policy: GroupPolicy) -> (Book, [String; 3]) {
    let (mut book, [ko, pep, mo]) = basket(policy);
    let now_ns = GROUP_PATIENCE_NS + 100;
    let first = book.group_step(SIGNAL, now_ns).unwrap();
    assert_eq!((first.failure.as_str(), &first.failed_order_id), ("stuck", &pep));
    assert!(!first.done && first.cancels.is_empty() && first.orders.is_empty(), "{first:?}");
    fold(&mut book, [Body::GroupHandled(first)]);
    assert_eq!(book.group_step(SIGNAL, now_ns), None, "it is said once");
    (book, [ko, pep, mo])
}

#[test]
fn behind_a_stuck_order_another_one_that_fails_is_stated_too() {
    for policy in [GroupPolicy::Alert, GroupPolicy::Unspecified] {
        let (mut book, [_, pep, mo]) = stuck(policy);
        expire(&mut book, &mo);
        let last = book.group_step(SIGNAL, 10).unwrap();
        assert_eq!((last.failure.as_str(), &last.failed_order_id, last.policy()), ("expired", &mo, policy));
        assert!(last.done);
        assert_eq!(last.open, "filled and left open: 100 KO");
        // A restart, which takes up what is open and what is of such a group, comes to the same.
        let mut parts = book.to_parts();
        parts.orders.retain(|order| !order.status.is_ended() || order.group_stage.is_active());
        let again = Book::from_parts(parts);
        assert_eq!(again.group_step(SIGNAL, 10), Some(last.clone()));
        assert_eq!(again.group_state(&last), book.group_state(&last));
        fold(&mut book, [Body::GroupHandled(last)]);
        assert_eq!((book.group_step(SIGNAL, i64::MAX), book.active_groups().count()), (None, 0));
        assert_eq!(book.order(&pep).unwrap().group_stage, GroupStage::Done);
    }
}

#[test]
fn behind_a_stuck_order_a_refusal_without_a_policy_takes_it_along_and_is_stated() {
    let (mut book, [_, pep, mo]) = stuck(GroupPolicy::Unspecified);
    say(&mut book, &mo, &BrokerReport::Rejected { reason: "no".to_owned() });
    assert_eq!(book.group_step(SIGNAL, 10), None, "what is left is cancelled first");
    say(&mut book, &pep, &BrokerReport::Cancelled { reason: "asked".to_owned() });
    let last = step(&mut book);
    assert_eq!((last.failure.as_str(), &last.failed_order_id, last.done), ("rejected", &mo, true));
    assert_eq!(book.active_groups().count(), 0);
}

#[test]
fn two_stuck_orders_are_two_statements() {
    let (mut book, [.., mo]) = stuck(GroupPolicy::Alert);
    let late_ns = 2 * GROUP_PATIENCE_NS;
    let second = book.group_step(SIGNAL, late_ns).unwrap();
    assert_eq!((second.failure.as_str(), &second.failed_order_id, second.done), ("stuck", &mo, true));
    // The orders stand as they did at the first one.
    let first = GroupHandled { failed_order_id: String::new(), ..second.clone() };
    assert_ne!(book.group_state(&first), book.group_state(&second));
    fold(&mut book, [Body::GroupHandled(second)]);
    assert_eq!(book.group_step(SIGNAL, i64::MAX), None);
}

#[test]
fn behind_a_stuck_order_the_last_word_is_what_the_others_came_to() {
    let (mut book, [.., mo]) = stuck(GroupPolicy::Alert);
    fill(&mut book, &mo, shares("100"));
    let last = step(&mut book);
    assert_eq!((last.failure.as_str(), last.failed_order_id.as_str(), last.done), ("", "", true));
    assert_eq!(last.open, "filled and left open: 100 KO, 100 MO");
    assert_eq!((book.group_step(SIGNAL, i64::MAX), book.active_groups().count()), (None, 0));
}

#[test]
fn an_entry_with_exits_is_stuck_beside_another_leg_and_its_exits_never_are() {
    let policy = GroupPolicy::Unwind.into();
    let ko = OrderSpec { group_policy: policy, ..leg(0, "KO", Side::Buy) };
    let pep = contracts::order_id(SIGNAL, 1);
    let bracket = |order: OrderSpec| OrderSpec {
        group: GroupKind::Oto.into(),
        group_id: pep.clone(),
        group_policy: policy,
        ..order
    };
    let entry = bracket(leg(1, "PEP", Side::Sell));
    let exit = bracket(OrderSpec {
        order_id: contracts::child_order_id(&pep, 1),
        parent_id: pep.clone(),
        reducing: true,
        ..leg(1, "PEP", Side::Buy)
    });
    let mut book = Book::default();
    let decision = RiskDecision {
        account: ACCOUNT.to_owned(),
        strategy: STRATEGY.to_owned(),
        signal_id: SIGNAL.to_owned(),
        verdict: Verdict::Approved.into(),
        orders: vec![ko.clone(), entry, exit],
        ..RiskDecision::default()
    };
    fold(&mut book, [registered("1"), deposit("100000"), Body::RiskDecision(decision)]);
    work(&mut book, &ko.order_id);
    work(&mut book, &pep);
    fill(&mut book, &ko.order_id, shares("100"));
    let stuck = book.group_step(SIGNAL, GROUP_PATIENCE_NS + 100).unwrap();
    assert_eq!((stuck.failure.as_str(), &stuck.failed_order_id), ("stuck", &pep));
    fill(&mut book, &pep, shares("100"));
    assert_eq!(book.group_step(SIGNAL, 10 * GROUP_PATIENCE_NS), None, "the exit waits for its price");
}

fn stop(book: &mut Book, positions: PositionsFate, to: &str) {
    let body = StrategyDisabled {
        strategy: STRATEGY.to_owned(),
        positions: positions.into(),
        hand_over_to: to.to_owned(),
        ..StrategyDisabled::default()
    };
    fold(book, [Body::StrategyDisabled(body)]);
}

fn mark(book: &mut Book, event_ns: i64) {
    let body = AccountMarked { account: ACCOUNT.to_owned(), ..AccountMarked::default() };
    let sequence = book.sequence() + 1;
    book.apply(sequence, &event(event_ns, Body::AccountMarked(body))).unwrap();
}

fn next(book: &Book) -> Option<GroupStep> {
    book.stop_step(book.strategy(STRATEGY).unwrap())
}

#[test]
fn a_stopped_strategy_is_flattened() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Alert);
    fill(&mut book, &ko, shares("100"));
    stop(&mut book, PositionsFate::Flatten, "");
    let Some(GroupStep::Handle(first)) = next(&book) else { panic!("{:?}", next(&book)) };
    assert_eq!(first.cancels, std::slice::from_ref(&pep));
    fold(&mut book, [Body::GroupHandled(first)]);
    say(&mut book, &pep, &BrokerReport::Cancelled { reason: "asked".to_owned() });
    let Some(GroupStep::Handle(second)) = next(&book) else { panic!() };
    let closing = second.orders[0].clone();
    assert_eq!((closing.side(), closing.quantity_e9), (Side::Sell, shares("100").0));
    fold(&mut book, [Body::GroupHandled(second)]);
    work(&mut book, &closing.order_id);
    fill(&mut book, &closing.order_id, shares("100"));
    let Some(GroupStep::Handle(last)) = next(&book) else { panic!() };
    assert!(last.done);
    fold(&mut book, [Body::GroupHandled(last)]);
    assert_eq!(next(&book), None);
    assert!(book.strategy(STRATEGY).unwrap().stopping.as_ref().unwrap().done);
}

#[test]
fn a_stop_asks_again_for_a_cancel_that_was_refused_after_a_while() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Alert);
    fill(&mut book, &ko, shares("100"));
    stop(&mut book, PositionsFate::Flatten, "");
    let mut states = Vec::new();
    for _ in 0..3 {
        let Some(GroupStep::Handle(asks)) = next(&book) else { panic!("{:?}", next(&book)) };
        assert_eq!(asks.cancels, std::slice::from_ref(&pep));
        states.push(book.group_state(&asks));
        fold(&mut book, [Body::GroupHandled(asks)]);
        assert_eq!(next(&book), None, "the cancel is under way");
        say(&mut book, &pep, &BrokerReport::CancelRejected { reason: "busy".to_owned() });
        let refused_ns = book.order(&pep).unwrap().updated_ns;
        assert_eq!(book.order(&pep).unwrap().cancel_refused_ns, Some(refused_ns));
        mark(&mut book, refused_ns + GROUP_PATIENCE_NS - 1);
        assert_eq!(next(&book), None, "not at once");
        mark(&mut book, refused_ns + GROUP_PATIENCE_NS);
    }
    assert_eq!(states[0], format!("/{pep}//false"), "the first one goes by the name that it always had");
    states.sort();
    states.dedup();
    assert_eq!(states.len(), 3, "each is an event of its own: {states:?}");
}

#[test]
fn a_stopped_strategy_hands_its_shares_over_at_their_cost() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Alert);
    fill(&mut book, &ko, shares("100"));
    fill(&mut book, &pep, shares("100"));
    stop(&mut book, PositionsFate::HandOver, "manual");
    let Some(GroupStep::Transfer(moved)) = next(&book) else { panic!("{:?}", next(&book)) };
    fold(&mut book, moved.into_iter().map(Body::PositionTransferred));
    let row = |strategy: &str, symbol: &str| book.position(ACCOUNT, strategy, symbol).unwrap().clone();
    assert_eq!((row(STRATEGY, "KO").quantity, row(STRATEGY, "KO").cost), (Quantity::ZERO, amount("0")));
    assert_eq!((row("manual", "KO").quantity, row("manual", "KO").cost), (shares("100"), amount("5000")));
    assert_eq!(row("manual", "PEP").quantity, shares("-100"));
    domain::book::identity::check_identity(&book).unwrap();
    let Some(GroupStep::Handle(last)) = next(&book) else { panic!() };
    assert!(last.done);
}

#[test]
fn what_was_said_of_positions_goes_on_until_somebody_manages_them_again() {
    let (mut book, [ko, pep]) = pair(GroupPolicy::Alert);
    fill(&mut book, &ko, shares("100"));
    fill(&mut book, &pep, shares("100"));
    stop(&mut book, PositionsFate::HandOver, "manual");
    let enable = |book: &mut Book, mode: StrategyMode| {
        let enabled = StrategyEnabled {
            strategy: STRATEGY.to_owned(),
            mode: mode.into(),
            ..StrategyEnabled::default()
        };
        fold(book, [Body::StrategyEnabled(enabled)]);
    };
    // Neither a mode in which it manages nothing nor a stop without a word leaves them to nobody.
    enable(&mut book, StrategyMode::Shadow);
    stop(&mut book, PositionsFate::Unspecified, "");
    enable(&mut book, StrategyMode::Shadow);
    let Some(GroupStep::Transfer(moved)) = next(&book) else { panic!("{:?}", next(&book)) };
    assert_eq!(moved.len(), 2);
    assert!(book.in_name(STRATEGY).leaving);
    // On paper they are its own again.
    enable(&mut book, StrategyMode::Paper);
    assert_eq!(next(&book), None);
    // What was kept is done, and in shadow mode it is not managed.
    stop(&mut book, PositionsFate::Keep, "");
    enable(&mut book, StrategyMode::Shadow);
    let row = book.strategy(STRATEGY).unwrap();
    assert!(row.stopping.is_none() && !row.keeps_managing());
}

#[test]
fn a_strategy_that_keeps_its_positions_may_close_and_open_nothing() {
    let (mut book, _) = pair(GroupPolicy::Alert);
    stop(&mut book, PositionsFate::Keep, "");
    assert!(book.strategy(STRATEGY).unwrap().keeps_managing());
    assert_eq!(next(&book), None);
}
