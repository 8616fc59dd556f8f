//! The chain hash.

use contracts::v1::event::Body;
use contracts::v1::{Basis, Event, Fill, OrderAccepted, Signal, SignalLeg};
use contracts::{ChainHash, DuplicateId, EventId, chain_id, chain_key, event_id, signal_id, to_timestamp};
use proptest::prelude::*;

use crate::golden;

fn event(id: &str, time_ns: i64, body: Body) -> Event {
    Event {
        id: id.into(),
        event_time: Some(to_timestamp(time_ns)),
        recorded_time: Some(to_timestamp(time_ns + 17)),
        body: Some(body),
        ..Event::default()
    }
}

fn chain() -> Vec<Event> {
    (0..40_u32)
        .map(|index| {
            let time_ns = i64::from(index / 8);
            let id = format!("event-{index}");
            let body = match index % 4 {
                0 => Body::Signal(Signal {
                    strategy: format!("s{}", index % 3),
                    legs: vec![SignalLeg { symbol: "A".into(), ..SignalLeg::default() }],
                    ..Signal::default()
                }),
                1 => Body::Fill(Fill { symbol: "A".into(), number: index, ..Fill::default() }),
                _ => Body::OrderAccepted(OrderAccepted { order_id: id.clone(), ..OrderAccepted::default() }),
            };
            event(&id, time_ns, body)
        })
        .collect()
}

fn hash<'a>(events: impl IntoIterator<Item = &'a Event>) -> String {
    let mut chain = ChainHash::default();
    for event in events {
        chain.add(event);
    }
    chain.finish().unwrap()
}

proptest! {
    #[test]
    fn the_order_of_adding_does_not_matter(events in Just(chain()).prop_shuffle()) {
        prop_assert_eq!(hash(&events), hash(&chain()));
    }

    #[test]
    fn any_change_of_what_counts_changes_it(at in 0..40_usize, number in 1_u32..) {
        let mut events = chain();
        events[at].id.push('x');
        prop_assert_ne!(hash(&events), hash(&chain()));
        let mut events = chain();
        events[1].body = Some(Body::Fill(Fill { number: number.wrapping_add(1), quantity_e9: 1, ..Fill::default() }));
        prop_assert_ne!(hash(&events), hash(&chain()));
        let mut events = chain();
        events[at].event_time = Some(to_timestamp(1_000 + i64::from(number)));
        prop_assert_ne!(hash(&events), hash(&chain()));
    }
}

#[test]
fn what_differs_between_runs_does_not_count() {
    let mut events = chain();
    for event in &mut events {
        event.recorded_time = Some(to_timestamp(99));
        event.basis = vec![Basis { stream: "MARKET".into(), sequence: 5 }];
        event.source = "another instance".into();
        event.correlation_id = "another".into();
    }
    assert_eq!(hash(&events), hash(&chain()));
}

#[test]
fn a_missing_event_changes_it_and_an_empty_chain_has_a_hash() {
    let events = chain();
    assert_ne!(hash(&events[1..]), hash(&events));
    assert_eq!(hash([]).len(), 64);
}

#[test]
fn a_duplicate_id_is_an_error() {
    let events = chain();
    let mut chain = ChainHash::default();
    events.iter().for_each(|event| chain.add(event));
    // Also with another body, and so at another place of the chain.
    chain.add(&event(&events[3].id, 0, Body::Fill(Fill::default())));
    assert_eq!(chain.finish(), Err(DuplicateId(events[3].id.clone())));
}

#[test]
fn a_signal_that_is_sent_again_or_under_the_id_of_anothers_does_not_count() {
    let signal = |strategy: &str, id: EventId, cause: &str| {
        let body = Body::Signal(Signal { strategy: strategy.into(), ..Signal::default() });
        Event { causation_id: cause.into(), ..event(&id, 5, body) }
    };
    let own = signal("mine", signal_id("mine", "bar", 1), "bar");
    let built_in = signal("sma", chain_id::signal("bar", "sma", 0), "bar");
    let by_hand = signal(contracts::MANUAL, event_id("asked", "cli", 0), "");
    let named = signal("mine", "word".into(), "");
    let sound = [own.clone(), built_in.clone(), by_hand, named];
    let thief = |stolen: &Event, cause: &str| signal("mine", stolen.id.clone(), cause);
    let mut all = vec![thief(&built_in, "bar"), thief(&built_in, "")];
    all.extend(sound.clone());
    all.extend([own, thief(&built_in, "bar")]);
    assert_eq!(hash(&all), hash(&sound));
    assert_eq!(sound.iter().filter(|event| is_foreign(event)).count(), 0);
    assert_eq!(all.iter().filter(|event| is_foreign(event)).count(), 3);
}

fn is_foreign(event: &Event) -> bool {
    matches!(&event.body, Some(Body::Signal(signal)) if chain_id::is_foreign(event, &signal.strategy))
}

#[test]
fn exactly_the_decision_chain_counts() {
    for golden in golden::all() {
        let counts = golden.body.starts_with("order_")
            || ["signal", "risk_decision", "fill", "fill_corrected", "fill_busted"]
                .contains(&golden.body.as_str());
        assert_eq!(chain_key(&golden.event()).is_some(), counts, "{}", golden.body);
    }
}

#[test]
fn orders_and_fills_are_counted() {
    let mut chain = ChainHash::default();
    // The samples' own id follows from none of their causes.
    let named = |golden: &golden::Golden| Event { id: golden.body.clone(), ..golden.event() };
    golden::all().iter().for_each(|golden| chain.add(&named(golden)));
    assert_eq!(chain.orders_and_fills(), (1, 1));
    assert_eq!(chain.events(), 20);
}

#[test]
fn the_hash_of_the_golden_chain_is_what_it_always_was() {
    // The samples share one id, so each gets its own.
    let first = |body: &str| !["order_triggered", "order_trailed"].contains(&body);
    let samples = golden::all().into_iter().filter(|golden| first(&golden.body));
    let events: Vec<Event> =
        samples.map(|golden| Event { id: golden.body.clone(), ..golden.event() }).collect();
    assert_eq!(hash(&events), "1218f54ea6442512d6588283de01c7eb3d046d9d808db49c58765c6f072e3221");
}
