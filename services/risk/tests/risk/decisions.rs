//! What is decided, in which order and on what.

use std::time::Duration;

use contracts::v1::{Intent, Origin, StrategyMode};
use contracts::{Subject, event_id, from_timestamp};
use risk::READ_MODEL_BASIS;
use runtime::ClockMode;

use crate::events::{self, E9, HOUR, T0, limits};
use crate::world::{World, verdicts};

const OPEN: i64 = 1_000_000;

fn row(name: &str, verdict: &'static str, rule: &str) -> (String, &'static str, String) {
    (name.to_owned(), verdict, rule.to_owned())
}

/// 100 shares of 100 are 10,000; with 15,000 of exposure allowed only one of two signals passes.
fn tight() -> contracts::v1::RiskLimits {
    limits(OPEN, 15 * E9 / 1_000)
}

#[tokio::test]
async fn two_signals_of_an_instant_never_pass_one_limit_together() {
    let world = World::new(ClockMode::Tape, tight()).await;
    world.instant(T0, &["SPY", "QQQ"]).await;
    let first = world.buy("alpha", "SPY").await;
    world.buy("beta", "QQQ").await;
    // The read model never sees the approval.
    world.limit(first - 1);
    let decisions = world.decide(2).await;
    assert_eq!(
        verdicts(&decisions),
        [row("alpha SPY", "approved", ""), row("beta QQQ", "denied", "max_exposure")]
    );
    assert_eq!(decisions[1].inputs[0].reserved_exposure, events::money(10_000));
}

#[tokio::test]
async fn two_live_signals_never_pass_one_limit_together_while_the_read_model_lags() {
    let world = World::new(ClockMode::Wall, tight()).await;
    let now = runtime::now_ns();
    world.instant(now, &["SPY", "QQQ"]).await;
    let running = world.start();
    let market = world.market().await;
    let signal = |strategy, symbol| events::signal(strategy, symbol, now, Intent::EnterLong, market);
    let first = world.put(signal("alpha", "SPY")).await;
    world.limit(first - 1);
    assert_eq!(world.decided(1).await.len(), 1);
    world.put(signal("beta", "QQQ")).await;
    let decisions: Vec<_> = world.decided(2).await.into_iter().map(|(_, decision)| decision).collect();
    running.stop().await;
    assert_eq!(
        verdicts(&decisions),
        [row("alpha SPY", "approved", ""), row("beta QQQ", "denied", "max_exposure")]
    );
}

#[tokio::test]
async fn an_instant_is_decided_by_strategy_and_symbol_and_each_expects_the_one_before() {
    let world = World::new(ClockMode::Tape, limits(OPEN, E9)).await;
    let symbols = ["AAA", "BBB", "CCC", "DDD"];
    world.instant(T0, &symbols).await;
    for symbol in ["DDD", "AAA", "CCC", "BBB"] {
        for strategy in ["beta", "alpha"] {
            world.buy(strategy, symbol).await;
        }
    }
    let decisions = world.decide(8).await;
    let expect: Vec<_> = ["alpha", "beta"]
        .iter()
        .flat_map(|strategy| symbols.map(|symbol| row(&format!("{strategy} {symbol}"), "approved", "")))
        .collect();
    assert_eq!(verdicts(&decisions), expect);
}

#[tokio::test]
async fn the_event_of_a_decision_follows_from_its_signal() {
    let world = World::new(ClockMode::Tape, limits(OPEN, E9)).await;
    world.instant(T0, &["SPY"]).await;
    let sequence = world.buy("alpha", "SPY").await;
    let running = world.start();
    let (event, decision) = world.decided(1).await.remove(0);
    running.stop().await;
    let id = events::signal_id("alpha", "SPY", T0);
    assert_eq!(event.id, event_id(&id, "risk", 0));
    assert_eq!((&event.causation_id, &event.correlation_id, &decision.signal_id), (&id, &id, &id));
    assert_eq!(event.event_time.as_ref().and_then(from_timestamp), Some(T0));
    let basis: Vec<_> = event.basis.iter().map(|basis| (basis.stream.as_str(), basis.sequence)).collect();
    assert_eq!(basis, [("MARKET", 1), ("TRADING", sequence), (READ_MODEL_BASIS, sequence)]);
    assert_eq!(decision.inputs[0].price_e9, 100 * E9);
    assert_eq!(decision.orders[0].quantity_e9, 100 * E9);
}

#[tokio::test]
async fn the_recorded_inputs_do_not_depend_on_how_far_the_read_model_is() {
    let mut seen = Vec::new();
    for ahead in 0..4 {
        let world = World::new(ClockMode::Tape, tight()).await;
        world.instant(T0, &["SPY", "QQQ"]).await;
        let before = world.trading().await;
        world.buy("beta", "QQQ").await;
        // A change among the signals counts for all of them, wherever the read model is.
        world.put(events::enabled("beta", StrategyMode::Shadow)).await;
        world.buy("alpha", "SPY").await;
        world.limit(before + ahead);
        seen.push(world.decide(2).await);
    }
    assert_eq!(
        verdicts(&seen[0]),
        [row("alpha SPY", "approved", ""), row("beta QQQ", "shadowed", "max_exposure")]
    );
    assert!(seen.iter().all(|decisions| *decisions == seen[0]), "{seen:#?}");
}

#[tokio::test]
async fn a_shadow_strategy_is_recorded_and_reserves_nothing() {
    let world = World::new(ClockMode::Tape, tight()).await;
    world.put(events::enabled("alpha", StrategyMode::Shadow)).await;
    world.instant(T0, &["SPY", "QQQ"]).await;
    world.buy("alpha", "SPY").await;
    world.buy("beta", "QQQ").await;
    let decisions = world.decide(2).await;
    assert_eq!(verdicts(&decisions), [row("alpha SPY", "shadowed", ""), row("beta QQQ", "approved", "")]);
    assert!(decisions[0].orders.is_empty());
}

#[tokio::test]
async fn a_halt_denies_entries() {
    let world = World::new(ClockMode::Tape, limits(OPEN, E9)).await;
    world.instant(T0, &["SPY"]).await;
    world.put(events::halted(T0)).await;
    world.buy("alpha", "SPY").await;
    let decisions = world.decide(1).await;
    assert_eq!(verdicts(&decisions), [row("alpha SPY", "denied", "halted")]);
    assert!(decisions[0].inputs[0].halted);
}

#[tokio::test]
async fn imported_history_prices_nothing_and_a_split_restates_the_price() {
    let world = World::new(ClockMode::Tape, limits(OPEN, E9)).await;
    world.put(events::bar("SPY", T0 - HOUR, 400, Origin::Rehearsal)).await;
    world.put(events::split("SPY", T0 - HOUR / 2, 4)).await;
    world.put(events::bar("SPY", T0 - HOUR / 4, 7, Origin::Import)).await;
    world.put(events::bar("SPY", T0 + HOUR, 9, Origin::Import)).await;
    world.instant(T0, &["QQQ"]).await;
    world.buy("alpha", "SPY").await;
    let decisions = world.decide(1).await;
    let input = &decisions[0].inputs[0];
    assert_eq!((input.price_e9, input.price_age_ms), (100 * E9, 3_600_000));
}

#[tokio::test]
async fn another_decider_is_read_before_the_rest_is_decided() {
    let world = World::new(ClockMode::Tape, tight()).await;
    world.instant(T0, &["SPY", "QQQ"]).await;
    world.buy("alpha", "SPY").await;
    world.buy("beta", "QQQ").await;
    // What another decider approves for beta, as it would stand on the tape.
    let other = World::new(ClockMode::Tape, tight()).await;
    other.instant(T0, &["SPY", "QQQ"]).await;
    other.buy("beta", "QQQ").await;
    let running = other.start();
    let (event, _) = other.decided(1).await.remove(0);
    running.stop().await;
    // The read model holds the decision up, so that the other one comes in between.
    world.limit(1);
    let running = world.start();
    world.health_is(runtime::HealthState::Ready).await;
    for _ in 0..5 {
        world.say_decide(T0).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.put_under(Subject::of(&["risk", events::ACCOUNT, "approved"]), event).await;
    world.limit(u64::MAX);
    let decisions: Vec<_> = world.decided(2).await.into_iter().map(|(_, decision)| decision).collect();
    running.stop().await;
    assert_eq!(
        verdicts(&decisions),
        [row("beta QQQ", "approved", ""), row("alpha SPY", "denied", "max_exposure")]
    );
}
