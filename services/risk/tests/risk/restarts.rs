//! Killed at any effect and started again, risk goes on with the same decisions.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::v1::event::Body;
use contracts::v1::{Event, RiskLimits};
use event_log::Tape;
use runtime::ClockMode;
use runtime::testing::{Death, MortalLog};

use crate::events::{self, E9, T0, limits};
use crate::world::World;

/// Exposure for two of the signals.
fn two_of_many() -> RiskLimits {
    limits(1_000_000, 25 * E9 / 1_000)
}

async fn world(symbols: &[&str]) -> World {
    let world = World::new(ClockMode::Tape, two_of_many()).await;
    world.instant(T0, symbols).await;
    for symbol in symbols {
        world.buy("beta", symbol).await;
        world.buy("alpha", symbol).await;
    }
    world
}

/// What must not change: everything of a decision but the writer's clock and how far the read model was.
fn decided(decisions: Vec<(Event, contracts::v1::RiskDecision)>) -> Vec<(Event, bool)> {
    let canonical = |(mut event, _): (Event, _)| {
        event.recorded_time = None;
        event.basis.clear();
        (event, true)
    };
    decisions.into_iter().map(canonical).collect()
}

/// Kills risk at every effect in turn. `refusing` lets the broker refuse what was approved in between,
/// and the read model see it, which must change nothing within the instant.
async fn check(symbols: &[&str], refusing: bool) {
    let count = symbols.len() * 2;
    let calm = world(symbols).await;
    let running = calm.start();
    let expect = decided(calm.decided(count).await);
    running.stop().await;
    let effects = if count < 6 { count } else { 1 };
    for life in 1..=i64::try_from(effects).unwrap() {
        for death in [Death::Before, Death::After] {
            let world = world(symbols).await;
            let mortal = MortalLog::new(Arc::new(world.log.clone()), life, death);
            let died = mortal.died();
            let running = world.start_on(Arc::new(mortal) as Tape);
            while !died.is_cancelled() {
                world.say_decide(T0).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            running.task.abort();
            if refusing {
                refuse(&world).await;
            }
            let running = world.start();
            let got = decided(world.decided(count).await);
            running.stop().await;
            assert_eq!(got, expect, "killed at effect {life}, {death:?}");
        }
    }
}

/// The broker refuses everything approved so far.
async fn refuse(world: &World) {
    for (event, decision) in world.decisions().await {
        assert!(matches!(event.body, Some(Body::RiskDecision(_))));
        for order in &decision.orders {
            for (subject, event) in events::refused_by_broker(order, T0) {
                world.put_under(subject, event).await;
            }
        }
    }
}

#[tokio::test]
async fn killed_at_every_append_it_decides_the_same() {
    check(&["AAA", "BBB"], false).await;
}

#[tokio::test]
async fn killed_around_a_batch_it_decides_the_same() {
    check(&["AAA", "BBB", "CCC", "DDD"], false).await;
}

#[tokio::test]
async fn what_became_of_an_approval_meanwhile_changes_nothing_within_the_instant() {
    check(&["AAA", "BBB"], true).await;
}

#[tokio::test]
async fn started_without_a_read_model_it_reads_the_tape() {
    let world = world(&["AAA", "BBB"]).await;
    world.model.failing.store(true, Ordering::SeqCst);
    let running = world.start();
    world.health_is(runtime::HealthState::Ready).await;
    world.model.failing.store(false, Ordering::SeqCst);
    assert_eq!(world.decided(4).await.len(), 4);
    running.stop().await;
}

#[tokio::test]
async fn a_signal_is_decided_once_however_often_it_comes() {
    let world = world(&["AAA"]).await;
    let first = world.start();
    world.decided(2).await;
    // The same message once more, as after the dedupe window, while running and after a restart.
    let again = events::signal("alpha", "AAA", T0, contracts::v1::Intent::EnterLong, 1);
    let payload = contracts::encode(&again);
    for running in [first, world.start()] {
        world.log.publish_raw("signal.alpha.AAA", &payload, None).unwrap();
        for _ in 0..20 {
            world.say_decide(T0).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        running.stop().await;
    }
    assert_eq!(world.decisions().await.len(), 2);
}
