//! The machine by itself: given events, then work.

use contracts::v1::event::Body;
use contracts::v1::{
    AccountEntry, AccountMarked, EntryKind, Event, Money, OrderAccepted, OrderCancelRejected,
    OrderCancelRequested, OrderExpired, OrderRejected, OrderSubmitted, RiskDecision, Side, TimeInForce,
    TradingKilled, Verdict,
};
use contracts::{MANUAL, Subject, chain_id, event_id, to_timestamp};
use domain::book::{Book, GROUP_PATIENCE_NS};
use domain::calendar::Calendar;
use domain::order::GroupStage;
use event_log::Recorded;
use execution::{Follower, Machine, Step, Work};

use crate::exits::bracket;
use crate::support::{ACCOUNTS, E9, OPEN_NS, leg, order};
use crate::together::{CLOSE_NS, at_market};

/// Events as they stand on a tape.
fn recorded(given: &[Body]) -> Vec<Recorded> {
    let one = |(sequence, body): (u64, &Body)| {
        let event = Event {
            id: event_id("given", "test", u32::try_from(sequence).unwrap()),
            event_time: Some(to_timestamp(OPEN_NS)),
            body: Some(body.clone()),
            ..Event::default()
        };
        Recorded { sequence, subject: String::new(), event }
    };
    (1..).zip(given).map(one).collect()
}

/// A machine that has folded `given`, and the work it then sees.
fn check(given: &[Body], expect: &[Work]) -> Machine {
    let mut machine = Machine::new(Book::default(), &ACCOUNTS.map(str::to_owned), Calendar::xnys());
    for recorded in recorded(given) {
        machine.fold(&recorded).unwrap();
    }
    assert_eq!(machine.work(), expect);
    assert_eq!(machine.work(), expect, "asking again gives the same answer");
    machine
}

fn approved(name: &str, orders: Vec<contracts::v1::OrderSpec>) -> Body {
    Body::RiskDecision(RiskDecision {
        account: "paper".into(),
        strategy: "momentum".into(),
        signal_id: event_id(name, "signal", 0),
        verdict: Verdict::Approved.into(),
        orders,
        ..RiskDecision::default()
    })
}

fn submitted(spec: &contracts::v1::OrderSpec) -> Body {
    submitted_to(broker::SIMULATED, spec)
}

fn submitted_to(broker: &str, spec: &contracts::v1::OrderSpec) -> Body {
    Body::OrderSubmitted(OrderSubmitted {
        order: Some(spec.clone()),
        client_order_id: contracts::client_order_id(&spec.order_id),
        broker: broker.into(),
    })
}

#[test]
fn a_closing_that_is_refused_is_tried_on_at_a_broker_outside_and_five_times_at_the_simulated_one() {
    let refused = |broker: &str, times: u32| {
        let entry = AccountEntry {
            account: "paper".into(),
            kind: EntryKind::External.into(),
            strategy: MANUAL.into(),
            symbol: "A".into(),
            amount: Some(Money { units: 350, nanos: 0 }),
            quantity_e9: 7 * E9,
            ..AccountEntry::default()
        };
        let kill = TradingKilled { account: "paper".into(), flatten: true, ..TradingKilled::default() };
        let mut machine = Machine::new(Book::default(), &ACCOUNTS.map(str::to_owned), Calendar::xnys());
        let mut sequence = 0;
        let mut fold = |machine: &mut Machine, body: Body| {
            sequence += 1;
            let event = Event {
                id: event_id("given", "test", sequence),
                event_time: Some(to_timestamp(OPEN_NS)),
                body: Some(body),
                ..Event::default()
            };
            let recorded = Recorded { sequence: sequence.into(), subject: String::new(), event };
            machine.fold(&recorded).unwrap();
        };
        fold(&mut machine, Body::AccountEntry(entry));
        fold(&mut machine, Body::TradingKilled(kill));
        for time in 0..times {
            let work = machine.work();
            let [Work::Flatten { order, attempt, .. }] = work.as_slice() else { panic!("{work:?}") };
            assert_eq!(*attempt, time);
            let sent = OrderSubmitted {
                order: Some((**order).clone()),
                client_order_id: contracts::client_order_id(&order.order_id),
                broker: broker.into(),
            };
            let (order_id, reason) = (order.order_id.clone(), "wash trade".to_owned());
            fold(&mut machine, Body::OrderSubmitted(sent));
            fold(&mut machine, Body::OrderRejected(OrderRejected { order_id, reason }));
        }
        machine.work()
    };
    assert!(matches!(refused("alpaca", 20).as_slice(), [Work::Flatten { attempt: 20, .. }]));
    assert!(refused("simulated", 5).is_empty());
}

#[test]
fn an_approval_is_submitted_and_a_group_together() {
    let single = order("one", "paper", "A", Side::Buy, 1);
    let pair = vec![
        leg("two", 0, order("two", "paper", "A", Side::Buy, 1)),
        leg("two", 1, order("two", "paper", "B", Side::Sell, 1)),
    ];
    let ids: Vec<_> = pair.iter().map(|order| order.order_id.clone()).collect();
    let given = [approved("one", vec![single.clone()]), approved("two", pair)];
    let mut expect = vec![Work::Submit(vec![single.order_id.clone()]), Work::Submit(ids.clone())];
    // Work comes by order id, and a group with the first of its legs.
    let first = ids.iter().min().unwrap();
    if *first < single.order_id {
        expect.reverse();
    }
    check(&given, &expect);
}

#[test]
fn an_intent_without_an_answer_is_asked_for() {
    let spec = order("one", "paper", "A", Side::Buy, 1);
    let given = [approved("one", vec![spec.clone()]), submitted(&spec)];
    check(&given, &[Work::Ask(spec.order_id)]);
}

#[test]
fn an_exit_that_went_with_its_entry_is_asked_for_once_that_is_over() {
    let orders = bracket("held");
    let sent = |spec: &contracts::v1::OrderSpec| submitted_to(broker::ALPACA, spec);
    let [entry, target, stop] = orders.each_ref().map(|order| order.order_id.clone());
    let accepted = OrderAccepted { order_id: entry.clone(), ..OrderAccepted::default() };
    let expired = OrderExpired { order_id: entry, ..OrderExpired::default() };
    let cancel = OrderCancelRequested { order_id: target.clone(), ..OrderCancelRequested::default() };
    let mut given = vec![approved("held", orders.to_vec())];
    given.extend(orders.iter().map(sent));
    given.push(Body::OrderAccepted(accepted));
    check(&given, &[]);
    let cancelled = [given.clone(), vec![Body::OrderCancelRequested(cancel)]].concat();
    check(&cancelled, &[Work::Cancel(target.clone())]);
    given.push(Body::OrderExpired(expired));
    check(&given, &[Work::Ask(target), Work::Ask(stop)]);
}

#[tokio::test]
async fn an_entry_for_the_day_that_its_exits_keep_open_is_cancelled_as_its_day_is_over() {
    let given = |orders: &[contracts::v1::OrderSpec; 3]| {
        let accepted = OrderAccepted { order_id: orders[0].order_id.clone(), ..OrderAccepted::default() };
        let mut given = vec![approved("over", orders.to_vec())];
        given.extend(orders.iter().map(|spec| submitted_to(broker::ALPACA, spec)));
        given.push(Body::OrderAccepted(accepted));
        given
    };
    let ends = |machine: &Machine, event_ns| {
        let order_id = at_market("over")[0].order_id.clone();
        machine.decide(&Step::EndDay { order_id, event_ns }).unwrap()
    };
    let events = given(&at_market("over"));
    let machine = check(&events, &[]);
    assert!(ends(&machine, CLOSE_NS - 1).is_none(), "its day goes on");
    let asked = ends(&machine, CLOSE_NS).unwrap();
    let mut follower = Follower::new(&[], Calendar::xnys());
    for recorded in recorded(&events) {
        follower.fold(&recorded).unwrap();
    }
    let id = asked.event.id.clone();
    let subject = asked.subject.as_str().to_owned();
    let asked = Recorded { sequence: follower.book().sequence() + 1, subject, event: asked.event };
    assert!(follower.derive(&asked).await.unwrap().is(&id), "a replay agrees");
    follower.fold(&asked).unwrap();
    assert!(follower.book().order(&at_market("over")[0].order_id).unwrap().cancel_requested);
    // One whose exits are for the day too ends by itself.
    let of_the_day = at_market("over")
        .map(|order| contracts::v1::OrderSpec { time_in_force: TimeInForce::Day.into(), ..order });
    assert!(ends(&check(&given(&of_the_day), &[]), CLOSE_NS).is_none());
}

#[test]
fn a_cancel_before_the_intent_withdraws() {
    let spec = order("one", "paper", "A", Side::Buy, 1);
    let cancel = OrderCancelRequested { order_id: spec.order_id.clone(), ..OrderCancelRequested::default() };
    let given = [approved("one", vec![spec.clone()]), Body::OrderCancelRequested(cancel)];
    check(&given, &[Work::Withdraw(spec.order_id)]);
}

#[test]
fn a_refused_leg_takes_its_group_with_it() {
    let pair = [
        leg("two", 0, order("two", "paper", "A", Side::Buy, 1)),
        leg("two", 1, order("two", "paper", "B", Side::Sell, 1)),
    ];
    let rejected = OrderRejected { order_id: pair[1].order_id.clone(), reason: "the broker says no".into() };
    let given = [
        approved("two", pair.to_vec()),
        submitted(&pair[0]),
        submitted(&pair[1]),
        Body::OrderRejected(rejected),
    ];
    let [order_id, failed] = pair.map(|order| order.order_id);
    check(&given, &[Work::Unwind { order_id, failed }]);
}

#[test]
fn a_refused_leg_takes_with_it_what_a_row_without_a_group_was_of() {
    let pair = [
        leg("two", 0, order("two", "paper", "A", Side::Buy, 1)),
        leg("two", 1, order("two", "paper", "B", Side::Sell, 1)),
    ];
    let mut asks = pair.clone().map(|order| order.order_id);
    asks.sort();
    let given = [approved("two", pair.to_vec()), submitted(&pair[0]), submitted(&pair[1])];
    let folded = check(&given, &asks.map(Work::Ask));
    // Rows of before there were groups say of none that it is in one.
    let mut parts = folded.book().to_parts();
    parts.orders.iter_mut().for_each(|order| order.group_stage = GroupStage::None);
    let mut machine = Machine::new(Book::from_parts(parts), &ACCOUNTS.map(str::to_owned), Calendar::xnys());
    let [order_id, failed] = pair.map(|order| order.order_id);
    let rejected = OrderRejected { order_id: failed.clone(), reason: "the broker says no".into() };
    let all = [given.to_vec(), vec![Body::OrderRejected(rejected)]].concat();
    machine.fold(recorded(&all).last().unwrap()).unwrap();
    assert_eq!(machine.work(), [Work::Unwind { order_id, failed }]);
}

#[test]
fn a_leg_whose_cancel_is_refused_is_asked_for_again_after_a_while_under_another_id() {
    let pair = [
        leg("two", 0, order("two", "paper", "A", Side::Buy, 1)),
        leg("two", 1, order("two", "paper", "B", Side::Sell, 1)),
    ];
    let [order_id, failed] = pair.clone().map(|order| order.order_id);
    let accepted = OrderAccepted { order_id: order_id.clone(), ..OrderAccepted::default() };
    let rejected = OrderRejected { order_id: failed.clone(), reason: "the broker says no".into() };
    let given = [
        approved("two", pair.to_vec()),
        submitted(&pair[0]),
        submitted(&pair[1]),
        Body::OrderAccepted(accepted),
        Body::OrderRejected(rejected),
    ];
    let unwind = Work::Unwind { order_id: order_id.clone(), failed: failed.clone() };
    let mut machine = check(&given, std::slice::from_ref(&unwind));
    let step = Step::Unwind { order_id: order_id.clone(), failed };
    let fold = |machine: &mut Machine, event_ns: i64, body: Body| {
        let sequence = machine.book().sequence() + 1;
        let event = Event {
            id: event_id("told", "test", u32::try_from(sequence).unwrap()),
            event_time: Some(to_timestamp(event_ns)),
            body: Some(body),
            ..Event::default()
        };
        machine.fold(&Recorded { sequence, subject: String::new(), event }).unwrap();
    };
    let mark = || Body::AccountMarked(AccountMarked { account: "paper".into(), ..AccountMarked::default() });
    let (mut now_ns, mut ids) = (OPEN_NS, Vec::new());
    for _ in 0..3 {
        assert_eq!(machine.work(), std::slice::from_ref(&unwind));
        let asked = machine.decide(&step).unwrap().unwrap().event;
        if ids.is_empty() {
            assert_eq!(asked.id, chain_id::unwind(&asked.causation_id, &pair[0]), "as it always was");
        }
        ids.push(asked.id);
        fold(&mut machine, now_ns, asked.body.unwrap());
        let refused = OrderCancelRejected { order_id: order_id.clone(), reason: "busy".into() };
        fold(&mut machine, now_ns, Body::OrderCancelRejected(refused));
        fold(&mut machine, now_ns + GROUP_PATIENCE_NS - 1, mark());
        assert!(machine.work().is_empty(), "not at once");
        now_ns += GROUP_PATIENCE_NS;
        fold(&mut machine, now_ns, mark());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "each is an event of its own: {ids:?}");
}

#[test]
fn a_step_says_the_same_thing_each_time() {
    let spec = order("one", "paper", "A", Side::Buy, 1);
    let machine = check(&[approved("one", vec![spec.clone()])], &[Work::Submit(vec![spec.order_id.clone()])]);
    let step = Step::Submit { order_id: spec.order_id.clone(), broker: "simulated".into() };
    let first = machine.decide(&step).unwrap().unwrap();
    let again = machine.decide(&step).unwrap().unwrap();
    assert_eq!(first.event, again.event);
    assert_eq!(first.event.event_time, Some(to_timestamp(OPEN_NS)), "the decision's time");
    assert_eq!(first.subject, Subject::order(&spec, "submitted"));
}
