//! New terms of orders: decided beside each other in one instant, answered before time goes on, and proved; of one who is no
//! operator denied, and no reason to stand still.

use std::sync::Arc;

use backtest::replay::{Outcome, Rerun, compare, replay, unwatched};
use contracts::stream::{MARKET, TRADING};
use contracts::v1::event::Body;
use contracts::v1::{
    Event, Intent, OrderReplaced, OrderType, RiskDecision, Side, Signal, SignalLeg, StrategyEnabled,
    StrategyMode, StrategyRegistered, TimeInForce, Verdict,
};
use contracts::{MANUAL, Subject};
use event_log::{Append, Delivery, Expect, MemoryLog, Recorded, Tape};
use runtime::ClockMode;
use runtime::command::{NewOrder, NewTerms, replace_order};

use crate::by_hand::{caller, options, order, place, wait};
use crate::rehearsal::{everything, prepared, rehearse_between, rehearse_on};
use crate::rerunning::instant_end;

const INSTANTS: usize = 100;
const SYMBOL: &str = "ACMEX";
const ACCOUNT: &str = "second";
const EVIL: &str = "evil";
const E9: i64 = 1_000_000_000;

/// Asks for an order to buy: at the market, or at a distance from the price that no bar crosses.
fn buy(tape: &Tape, key: &str, shares: i64, trail_rate_e9: Option<i64>) {
    let trails = trail_rate_e9.is_some();
    let order = NewOrder {
        account: ACCOUNT.into(),
        order_type: if trails { OrderType::TrailingStop } else { OrderType::Market },
        time_in_force: if trails { TimeInForce::Gtc } else { TimeInForce::Day },
        quantity_e9: Some(shares * E9),
        trail_rate_e9,
        ..order()
    };
    place(tape, key, &order);
}

/// The first order that the broker works.
async fn worked(tape: &Tape) -> Option<String> {
    let accepted = format!("order.{ACCOUNT}.{MANUAL}.{SYMBOL}.*.accepted");
    let first = tape.stored_from(TRADING, &accepted, 1, 1).await.unwrap().pop()?;
    first.subject.split('.').nth(4).map(str::to_owned)
}

fn terms(tape: &Tape, key: &str, shares: i64) {
    let terms = NewTerms {
        order_id: wait(worked(tape)).unwrap(),
        account: ACCOUNT.into(),
        symbol: SYMBOL.into(),
        side: Side::Buy,
        quantity_e9: Some(shares * E9),
        limit_price_e9: None,
        stop_price_e9: None,
        reason: "by hand".into(),
    };
    wait(replace_order(tape, &caller(key), ClockMode::Tape, &terms)).unwrap();
}

fn rests(tape: &Tape) {
    buy(tape, "rests", 20, Some(900_000_000));
}

fn together(tape: &Tape) {
    terms(tape, "fewer", 4);
    buy(tape, "another", 5, None);
    terms(tape, "again", 10);
}

fn later(tape: &Tape) {
    terms(tape, "later", 12);
}

fn decisions(events: &[Recorded], strategy: &str) -> Vec<RiskDecision> {
    let decision = |recorded: &Recorded| match &recorded.event.body {
        Some(Body::RiskDecision(decision)) if decision.strategy == strategy => Some(decision.clone()),
        _ => None,
    };
    events.iter().filter_map(decision).collect()
}

fn replaced<'event>(events: impl Iterator<Item = &'event Event>) -> Vec<OrderReplaced> {
    let terms = |event: &Event| match &event.body {
        Some(Body::OrderReplaced(replaced)) => Some(replaced.clone()),
        _ => None,
    };
    events.filter_map(terms).collect()
}

async fn proved(tape: &Tape) {
    let report = Box::pin(replay(tape, options(), |_, _| {})).await.unwrap();
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_asked_for_in_one_instant_are_decided_one_by_one_and_follow() {
    let between = vec![(40, rests as fn(&Tape)), (44, together as fn(&Tape)), (50, later as fn(&Tape))];
    let log = rehearse_between(INSTANTS, between).await;
    let events = everything(&log, TRADING).await;
    let made = decisions(&events, MANUAL);
    let [rests, fewer, another, again, later] = made.as_slice() else { panic!("{made:#?}") };
    for approved in [rests, fewer, later] {
        assert_eq!(approved.verdict(), Verdict::Approved, "{approved:#?}");
    }
    // Until the broker has answered, the larger of both terms is reserved, and there is no third one.
    assert_eq!(another.inputs[0].account_reserved_e9, 20 * E9);
    assert_eq!((again.rule.as_str(), again.inputs[0].replaced_pending), ("invalid_signal", 1));
    assert!(again.reason.contains("are under way (revision 1)"), "{}", again.reason);
    let answered = replaced(events.iter().map(|recorded| &recorded.event));
    let answered: Vec<_> = answered.iter().map(|terms| (terms.revision, terms.quantity_e9)).collect();
    assert_eq!(answered, [(1, 4 * E9), (2, 12 * E9)]);

    let tape: Tape = Arc::new(log);
    proved(&tape).await;
    // Run again from before all of it, it comes to the same.
    let first = events.iter().find(|recorded| recorded.subject.starts_with("signal.manual.")).unwrap();
    let first = first.sequence;
    let at = instant_end(&tape, first / 2).await;
    let head = tape.state(TRADING).await.unwrap().last_sequence;
    let mut rerun = Rerun::at(&tape, &options(), at, &unwatched).await.unwrap();
    let recording = rerun.recording(&tape, head).await.unwrap();
    let derived = rerun.run(&recording, Vec::new(), &unwatched).await.unwrap();
    assert_eq!(replaced(derived.iter()).len(), 2);
    let rows = compare(&recording.events, &derived);
    let differing: Vec<_> = rows.iter().filter(|row| row.outcome != Outcome::Same).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

/// A program of somebody's own, which asks for new terms of an operator's order at every bar.
async fn evil(tape: Tape) {
    let mut consumer = tape.consume(MARKET, "strategy-evil").await.unwrap();
    loop {
        for delivery in consumer.batch(1).await.unwrap() {
            let sequence = delivery.sequence();
            if let Delivery::Event(recorded) = delivery
                && matches!(&recorded.event.body, Some(Body::Bar(bar)) if bar.symbol == SYMBOL)
            {
                let order_id = worked(&tape).await.unwrap_or_else(|| "none".to_owned());
                for (index, intent) in (0..).zip([Intent::Buy, Intent::EnterLong]) {
                    wish(&tape, &recorded.event, index, intent, &order_id).await;
                }
            }
            consumer.ack(sequence).await.unwrap();
        }
    }
}

async fn wish(tape: &Tape, bar: &Event, index: u32, intent: Intent, order_id: &str) {
    let leg = SignalLeg {
        symbol: SYMBOL.to_owned(),
        intent: intent.into(),
        quantity_e9: Some(50 * E9),
        replaces: order_id.to_owned(),
        ..SignalLeg::default()
    };
    let signal = Signal { strategy: EVIL.to_owned(), legs: vec![leg], ..Signal::default() };
    let event = Event {
        id: contracts::signal_id(EVIL, &bar.id, index),
        event_time: bar.event_time,
        source: EVIL.to_owned(),
        correlation_id: bar.id.clone(),
        causation_id: bar.id.clone(),
        body: Some(Body::Signal(signal)),
        ..Event::default()
    };
    let append = Append { subject: Subject::signal(EVIL, SYMBOL), event, expect: Expect::Nothing };
    tape.append(append).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_strategy_they_are_denied_and_time_goes_on() {
    let log: MemoryLog = prepared().await;
    log.add_consumer(MARKET, "strategy-evil", &["market.bar.>".to_owned()], 1_000).unwrap();
    let registered = StrategyRegistered {
        strategy: EVIL.to_owned(),
        consumer: "strategy-evil".to_owned(),
        subjects: vec!["market.bar.>".to_owned()],
        account: "paper".to_owned(),
        ..StrategyRegistered::default()
    };
    let (strategy, mode) = (EVIL.to_owned(), StrategyMode::Paper.into());
    let enabled = StrategyEnabled { strategy, mode, ..StrategyEnabled::default() };
    let stated = vec![Body::StrategyRegistered(registered), Body::StrategyEnabled(enabled)];
    let outside = tokio::spawn(evil(Arc::new(log.clone())));
    rehearse_on(&log, INSTANTS, stated, vec![(40, rests as fn(&Tape))]).await;
    outside.abort();
    let events = everything(&log, TRADING).await;
    let made = decisions(&events, EVIL);
    assert!(made.len() > 20, "{}", made.len());
    for decision in &made {
        assert_eq!((decision.rule.as_str(), decision.orders.len()), ("invalid_signal", 0), "{decision:#?}");
    }
    for field in ["`legs[0].intent` is buy, expected enter long", "`legs[0].replaces` is "] {
        assert!(made.iter().any(|decision| decision.reason.starts_with(field)), "{field}: {made:#?}");
    }
    assert_eq!(replaced(events.iter().map(|recorded| &recorded.event)), []);
    proved(&(Arc::new(log) as Tape)).await;
}
