//! Signals that cannot be judged delay nobody.

use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Signal, Verdict};
use contracts::{Subject, stream};
use event_log::EventLog as _;
use runtime::{ClockMode, HealthState};

use crate::events::{self, E9, T0, limits};
use crate::world::{World, verdicts};

async fn world(mode: ClockMode, event_ns: i64) -> World {
    let world = World::new(mode, limits(1_000_000, E9)).await;
    world.instant(event_ns, &["SPY"]).await;
    world
}

/// Rules under which the wrong signal and, behind it, a right one are decided.
async fn check(wrong: Event, subject: &str, rule: &str) {
    let world = world(ClockMode::Tape, T0).await;
    world.put_under(Subject::parse(subject).unwrap(), wrong).await;
    world.buy("beta", "SPY").await;
    let mut decisions = verdicts(&world.decide(2).await);
    decisions.sort();
    let rules: Vec<_> = decisions.iter().map(|(name, _, rule)| (name.trim(), rule.as_str())).collect();
    assert!(rules.contains(&("beta SPY", "")), "{rules:?}");
    assert!(rules.iter().any(|(_, known)| *known == rule), "{rules:?}");
}

fn signal() -> Event {
    events::signal("alpha", "SPY", T0, Intent::EnterLong, 1)
}

#[tokio::test]
async fn a_wrong_signal_is_denied() {
    let causeless = Event { id: "any".to_owned(), causation_id: String::new(), ..signal() };
    check(causeless, "signal.alpha.SPY", "invalid_signal").await;
    let no_legs = Signal { strategy: "alpha".to_owned(), ..Signal::default() };
    let no_legs = Event { body: Some(Body::Signal(no_legs)), ..signal() };
    check(no_legs, "signal.alpha.SPY", "invalid_signal").await;
    // It claims to have read more of MARKET than there is.
    let ahead = events::signal("alpha", "SPY", T0, Intent::EnterLong, 1_000);
    check(ahead, "signal.alpha.SPY", "invalid_signal").await;
    let unknown = events::signal("gamma", "SPY", T0, Intent::EnterLong, 1);
    check(unknown, "signal.gamma.SPY", "strategy_not_enabled").await;
}

#[tokio::test]
async fn a_signal_without_a_cause_is_taken_live() {
    let now = runtime::now_ns();
    let world = world(ClockMode::Wall, now).await;
    let signal = events::signal("alpha", "SPY", now, Intent::EnterLong, 1);
    world.put(Event { id: "any".to_owned(), causation_id: String::new(), ..signal }).await;
    let decisions = world.decide(1).await;
    assert_eq!(verdicts(&decisions)[0].1, "approved");
}

#[tokio::test]
async fn what_cannot_be_answered_is_parked() {
    let world = world(ClockMode::Tape, T0).await;
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    let undecodable = world.log.publish_raw("signal.alpha.SPY", b"\xff\xff", None).unwrap();
    let forged = {
        let event = Event { id: "forged".to_owned(), ..signal() };
        world.put_under(Subject::parse("signal.gamma.SPY").unwrap(), event).await
    };
    let timeless = world.put(Event { event_time: None, ..signal() }).await;
    world.buy("beta", "SPY").await;
    world.decided(1).await;
    running.stop().await;
    assert_eq!(parked(&world).await, [undecodable, forged, timeless]);
}

#[tokio::test]
async fn under_the_id_of_anothers_signal_nothing_is_decided_and_the_other_one_is() {
    let world = world(ClockMode::Tape, T0).await;
    let victim = events::signal("beta", "SPY", T0, Intent::EnterLong, 1);
    // Before it, by its cause and without one; "alpha" also stands before "beta" where a round is ordered.
    let steal = |cause: &str| {
        let thief = Event { id: victim.id.clone(), causation_id: cause.to_owned(), ..signal() };
        world.log.publish_raw("signal.alpha.SPY", &contracts::encode(&thief), None).unwrap()
    };
    let (first, second) = (steal(&victim.causation_id), steal(""));
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    world.put(victim.clone()).await;
    let third = steal(&victim.causation_id);
    let decisions = world.decided(1).await;
    running.stop().await;
    let (decision, body) = &decisions[0];
    assert_eq!((body.strategy.as_str(), body.verdict()), ("beta", Verdict::Approved), "{}", body.reason);
    assert_eq!((&decision.causation_id, decisions.len()), (&victim.id, 1));
    assert_eq!(parked(&world).await, [first, second, third]);
}

/// Sequences of TRADING that risk has parked.
async fn parked(world: &World) -> Vec<u64> {
    let mut parked = Vec::new();
    for sequence in 1..=world.log.state(stream::PARKED).await.unwrap().last_sequence {
        let recorded = world.log.get(stream::PARKED, sequence).await.unwrap().unwrap();
        if let Some(Body::Parked(body)) = recorded.event.body {
            assert_eq!((body.service.as_str(), body.stream.as_str()), ("risk", "TRADING"));
            parked.push(body.sequence);
        }
    }
    parked
}

#[tokio::test]
async fn a_stop_that_is_no_event_is_parked_and_stops_nobody() {
    let world = world(ClockMode::Tape, T0).await;
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    let time = r#""eventTime":"2024-01-08T15:00:00Z""#;
    let mut sent = Vec::new();
    for (subject, payload) in [
        ("control.trading.second.killed", format!(r#"{{"id":"1",{time},"tradingKilled":{{}}}}"#)),
        (
            "control.trading.all.halted",
            format!(r#"{{"id":"2",{time},"tradingHalted":{{"strategy":"alpha"}}}}"#),
        ),
        ("control.trading.all.killed", r#"{"id":"3","tradingKilled":{"flatten":true}}"#.to_owned()),
    ] {
        sent.push(world.log.publish_raw(subject, payload.as_bytes(), None).unwrap());
    }
    world.buy("alpha", "SPY").await;
    let decisions = world.decided(1).await;
    running.stop().await;
    assert_eq!(decisions[0].1.verdict(), Verdict::Approved, "{}", decisions[0].1.reason);
    assert_eq!(parked(&world).await, sent);
}

#[tokio::test]
async fn who_floods_is_denied_in_bulk_and_another_is_decided_all_the_same() {
    let now = runtime::now_ns();
    let world = world(ClockMode::Wall, now).await;
    let flood = 1_500;
    for number in 0..flood {
        let event = events::signal("alpha", "SPY", now, Intent::EnterLong, 1);
        world.put(Event { id: format!("flood-{number}"), causation_id: String::new(), ..event }).await;
    }
    let good = events::signal("beta", "SPY", now, Intent::EnterLong, 1);
    world.put(Event { id: "good".to_owned(), causation_id: String::new(), ..good }).await;
    let decisions = world.decide(flood + 1).await;
    let of = |strategy: &str, rule: &str| {
        decisions.iter().filter(|one| one.strategy == strategy && one.rule == rule).count()
    };
    assert_eq!(of("beta", ""), 1, "the other one is judged by the policy");
    let denied: Vec<_> = decisions.iter().filter(|one| one.rule == "invalid_signal").collect();
    assert!(
        denied.iter().all(|one| one.reason.contains("more than 1000 signals of \"alpha\"")),
        "{denied:?}"
    );
    assert!(denied.len() < flood, "those that came in time are judged");
}
