//! A read model that is behind or away, hints that come twice or not at all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use contracts::v1::{Intent, Side};
use event_log::EventLog as _;
use runtime::{ClockMode, HealthState};

use crate::events::{self, E9, T0, limits};
use crate::world::{World, verdicts};

async fn tape_world() -> World {
    let world = World::new(ClockMode::Tape, limits(1_000_000, E9)).await;
    world.instant(T0, &["SPY"]).await;
    world
}

#[tokio::test]
async fn on_the_tape_clock_a_stall_decides_nothing_and_names_the_culprit() {
    let world = tape_world().await;
    // The last that a strategy was enabled; of the mark behind it the tape tells.
    let before = world.trading().await - 1;
    world.buy("alpha", "SPY").await;
    world.limit(before - 1);
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    world.say_decide(T0).await;
    let culprit = world.health_is(HealthState::Degraded).await;
    assert_eq!(culprit, format!("the read model is at TRADING {}, expected at least {before}", before - 1));
    assert!(world.decisions().await.is_empty());
    // Without a word of the projector.
    world.limit(before);
    assert_eq!(world.decided(1).await.len(), 1);
    world.health_is(HealthState::Ready).await;
    running.stop().await;
}

#[tokio::test]
async fn live_a_stale_read_model_denies_after_two_seconds() {
    for failing in [false, true] {
        let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
        let now = runtime::now_ns();
        world.instant(now, &["SPY"]).await;
        let running = world.start();
        world.health_is(HealthState::Ready).await;
        world.limit(world.trading().await - 1);
        world.model.failing.store(failing, Ordering::SeqCst);
        let began = tokio::time::Instant::now();
        world.put(events::signal("alpha", "SPY", now, Intent::EnterLong, 1)).await;
        let decisions: Vec<_> = world.decided(1).await.into_iter().map(|(_, decision)| decision).collect();
        assert!(began.elapsed() >= Duration::from_secs(2));
        assert_eq!(verdicts(&decisions)[0].2, "stale_read_model");
        world.health_is(HealthState::Degraded).await;
        running.stop().await;
    }
}

#[tokio::test]
async fn a_hint_that_comes_twice_or_late_changes_nothing() {
    let world = tape_world().await;
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    // Before there is anything, for an instant long gone, and in a form that nobody knows.
    world.say_decide(T0).await;
    world.log.hint("clock.decide", b"{}".to_vec()).await.unwrap();
    world.buy("alpha", "SPY").await;
    assert_eq!(world.decided(1).await.len(), 1);
    for _ in 0..20 {
        world.say_decide(T0).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    running.stop().await;
    assert_eq!(world.decisions().await.len(), 1);
}

#[tokio::test]
async fn without_the_clock_nothing_is_decided_on_the_tape_clock() {
    let world = tape_world().await;
    world.buy("alpha", "SPY").await;
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(world.decisions().await.is_empty());
    running.stop().await;
}

/// Sends signals one at a time; answers how many snapshots their decisions took.
async fn snapshots_of(world: &World, strategy: &str, signals: impl IntoIterator<Item = i64>) -> u64 {
    let before = world.model.asked.load(Ordering::SeqCst);
    let market = world.market().await;
    for event_ns in signals {
        let decided = world.decisions().await.len();
        world.put(events::signal(strategy, "SPY", event_ns, Intent::EnterLong, market)).await;
        let decisions = world.decided(decided + 1).await;
        assert_ne!(decisions[decided].1.rule, "stale_read_model");
    }
    world.model.asked.load(Ordering::SeqCst) - before
}

#[tokio::test]
async fn a_snapshot_serves_until_something_comes_that_the_read_model_has_to_hold() {
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    let now = runtime::now_ns();
    world.instant(now, &["SPY"]).await;
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    // A book that is as far behind as it may be.
    world.limit(world.trading().await);
    assert_eq!(snapshots_of(&world, "alpha", now..now + 3).await, 0, "it was read at the start");
    world.put(events::mark(now + 1, 1_000_000)).await;
    assert_eq!(snapshots_of(&world, "alpha", [now + 3]).await, 0, "a mark is on the tape");
    let halted = world.put(events::halted(now + 4)).await;
    world.limit(halted);
    assert_eq!(snapshots_of(&world, "beta", [now + 5]).await, 1);
    let decisions = world.decisions().await;
    assert_eq!(decisions.last().map(|(_, decision)| decision.rule.as_str()), Some("halted"));
    // More than 48 events make a book that is read again between two decisions.
    world.limit(u64::MAX);
    assert_eq!(snapshots_of(&world, "alpha", now + 6..now + 76).await, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_fill_is_known_before_the_read_model_holds_it() {
    for mode in [ClockMode::Wall, ClockMode::Tape] {
        let world = World::new(mode, limits(1_000_000, E9)).await;
        let now = if mode == ClockMode::Wall { runtime::now_ns() } else { T0 };
        world.instant(now, &["SPY"]).await;
        let running = world.start();
        world.health_is(HealthState::Ready).await;
        world.limit(world.trading().await);
        for (subject, event) in events::filled("bought", "SPY", Side::Buy, now) {
            world.put_under(subject, event).await;
        }
        let market = world.market().await;
        world.put(events::signal("alpha", "SPY", now, Intent::Exit, market)).await;
        let decisions = world.decided(2).await;
        running.stop().await;
        let input = &decisions[1].1.inputs[0];
        assert_eq!((input.strategy_position_e9, input.strategy_reserved_e9), (100 * E9, 0), "{mode:?}");
        assert_eq!(decisions[1].1.orders.len(), 1, "{mode:?}: {}", decisions[1].1.rule);
    }
}

#[tokio::test]
async fn what_the_read_model_has_reached_is_read_before_a_signal_comes() {
    let world = World::new(ClockMode::Wall, limits(1_000_000, E9)).await;
    let now = runtime::now_ns();
    world.instant(now, &["SPY"]).await;
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    world.limit(world.trading().await);
    let halted = world.put(events::halted(now + 1)).await;
    let asked = || world.model.asked.load(Ordering::SeqCst);
    let before = asked();
    world.limit(halted);
    // A word of the projector, said again in case it came before the event.
    let read = async {
        while asked() == before {
            let committed = halted.to_string().into_bytes();
            world.log.hint("projection.trading.committed", committed).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("read ahead");
    assert_eq!(snapshots_of(&world, "beta", [now + 2]).await, 0);
    let decisions = world.decisions().await;
    assert_eq!(decisions.last().map(|(_, decision)| decision.rule.as_str()), Some("halted"));
    running.stop().await;
}

#[tokio::test]
async fn what_was_read_at_the_start_serves_an_instant() {
    let world = tape_world().await;
    for strategy in ["alpha", "beta"] {
        world.buy(strategy, "SPY").await;
    }
    let running = world.start();
    world.health_is(HealthState::Ready).await;
    let before = world.model.asked.load(Ordering::SeqCst);
    world.decided(2).await;
    running.stop().await;
    assert_eq!(world.model.asked.load(Ordering::SeqCst) - before, 0);
}
