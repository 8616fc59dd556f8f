//! Signals of external strategies at the boundary: id, time and symbol must be what they say.

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Signal, SignalLeg, StrategyMode, StrategyRegistered};
use contracts::{Subject, signal_id, to_timestamp};
use runtime::ClockMode;

use crate::events::{self, E9, HOUR, T0, limits};
use crate::world::World;

const CAUSE: &str = "0123456789abcdef0123456789abcdef";

/// A strategy `outside` with a consumer of its own, enabled.
async fn world(mode: ClockMode, event_ns: i64) -> World {
    let world = World::new(mode, limits(1_000_000, E9)).await;
    let mut registered = events::registered("outside");
    if let Some(Body::StrategyRegistered(body)) = &mut registered.body {
        *body = StrategyRegistered { consumer: "strategy-outside".into(), ..body.clone() };
    }
    world.put(registered).await;
    world.put(events::enabled("outside", StrategyMode::Paper)).await;
    world.instant(event_ns, &["SPY"]).await;
    world
}

fn signal(event_ns: i64) -> Event {
    let event = events::signal("outside", "SPY", event_ns, Intent::EnterLong, 1);
    // It need not say what it has read.
    Event { id: signal_id("outside", CAUSE, 0), causation_id: CAUSE.into(), basis: Vec::new(), ..event }
}

/// Rule and reason of the decision on `event`, sent under `subject`.
async fn check(mode: ClockMode, now_ns: i64, subject: &str, event: Event, expected: [&str; 2]) {
    let world = world(mode, now_ns).await;
    world.put_under(Subject::parse(subject).unwrap(), event).await;
    let decisions = world.decide(1).await;
    let (rule, reason) = (decisions[0].rule.as_str(), decisions[0].reason.as_str());
    assert_eq!(rule, expected[0], "{reason}");
    assert!(reason.contains(expected[1]), "{reason}");
}

#[tokio::test]
async fn a_sound_signal_is_decided_by_the_policy() {
    check(ClockMode::Tape, T0, "signal.outside.SPY", signal(T0), ["", ""]).await;
    let second = Event { id: signal_id("outside", CAUSE, 7), ..signal(T0) };
    check(ClockMode::Tape, T0, "signal.outside.SPY", second, ["", ""]).await;
}

#[tokio::test]
async fn id_time_and_symbol_are_checked() {
    let own = "signal.outside.SPY";
    let invalid = |field| ["invalid_signal", field];
    let wrong_id = Event { id: "5".into(), ..signal(T0) };
    check(ClockMode::Tape, T0, own, wrong_id, invalid("field `id`: \"5\", expected")).await;
    check(ClockMode::Tape, T0, own, signal(T0 - HOUR), invalid("field `event_time`")).await;
    check(ClockMode::Tape, T0, own, signal(T0 + HOUR), invalid("the present instant")).await;
    check(ClockMode::Tape, T0, "signal.outside.IBM", signal(T0), invalid("field `legs[0].symbol`")).await;
    let causeless = Event { id: "any".into(), causation_id: String::new(), ..signal(T0) };
    check(ClockMode::Tape, T0, own, causeless, invalid("field `causation_id`")).await;
    let mut many = signal(T0);
    if let Some(Body::Signal(Signal { legs, .. })) = &mut many.body {
        let leg = legs[0].clone();
        legs.resize(65, leg);
    }
    check(ClockMode::Tape, T0, own, many, invalid("field `legs`: 65 legs")).await;
}

#[tokio::test]
async fn what_only_an_operator_may_ask_for_is_denied_with_the_fields_name() {
    let changed = |change: fn(&mut SignalLeg)| {
        let mut event = signal(T0);
        if let Some(Body::Signal(Signal { legs, .. })) = &mut event.body {
            change(&mut legs[0]);
        }
        event
    };
    for (event, field) in [
        (changed(|leg| leg.replaces = "0123456789abcdef01234567".into()), "`legs[0].replaces` is 0123"),
        (changed(|leg| leg.notional_e9 = Some(500 * E9)), "`legs[0].notional_e9` is 500, expected none"),
        (changed(|leg| leg.intent = Intent::Buy.into()), "`legs[0].intent` is buy, expected enter long"),
        (changed(|leg| leg.intent = Intent::Sell.into()), "`legs[0].intent` is sell, expected enter long"),
    ] {
        check(ClockMode::Tape, T0, "signal.outside.SPY", event, ["invalid_signal", field]).await;
    }
}

#[tokio::test]
async fn live_a_signal_must_be_fresh_and_needs_no_cause() {
    let now = runtime::now_ns();
    let own = "signal.outside.SPY";
    let causeless = Event { id: "any".into(), causation_id: String::new(), ..signal(now) };
    check(ClockMode::Wall, now, own, causeless, ["", ""]).await;
    let old = Event { event_time: Some(to_timestamp(now - 100 * HOUR)), ..signal(now) };
    check(ClockMode::Wall, now, own, old, ["invalid_signal", "or later"]).await;
    let ahead = Event { event_time: Some(to_timestamp(now + HOUR)), ..signal(now) };
    check(ClockMode::Wall, now, own, ahead, ["invalid_signal", "expected at most"]).await;
}
