//! The service killed at each of its effects and started again gives the same signals.

use std::sync::Arc;

use contracts::stream;
use contracts::v1::event::Body;
use event_log::MemoryLog;
use runtime::ClockMode;
use runtime::testing::{Death, at_every_effect, killed_once};
use tokio_util::sync::CancellationToken;

use crate::day::{play, undisturbed};
use crate::support::{Script, Staleness, config, context, disabled, enabled, everything, registered};

/// Everything on TRADING but the record of warm-ups, of which a restart makes one more.
async fn facts(tape: &MemoryLog) -> Vec<(String, Option<i64>, Option<Body>)> {
    let events = everything(tape, stream::TRADING).await.into_iter();
    let mut facts: Vec<_> = events
        .filter(|recorded| !matches!(recorded.event.body, Some(Body::StrategyWarmed(_))))
        .map(|recorded| {
            let event = recorded.event;
            (event.id, event.event_time.as_ref().and_then(contracts::from_timestamp), event.body)
        })
        .collect();
    facts.sort_by(|left, right| left.0.cmp(&right.0));
    facts
}

/// Plays the script against a service that dies at its `life`-th effect and is started again, with a read
/// model as stale as told.
async fn killed(clock: ClockMode, life: i64, death: Death, staleness: Staleness) -> (MemoryLog, bool) {
    let tape = MemoryLog::new();
    let shutdown = CancellationToken::new();
    let supervisor = {
        let (tape, shutdown) = (tape.clone(), shutdown.clone());
        tokio::spawn(async move {
            let run = |log| strategy::run(context(log, clock, shutdown.clone()), config(&tape, staleness));
            killed_once(Arc::new(tape.clone()), life, death, run).await
        })
    };
    play(&mut Script::new(tape.clone(), clock)).await;
    shutdown.cancel();
    let died = supervisor.await.unwrap().unwrap();
    (tape, died)
}

async fn check(clock: ClockMode) {
    let expected = facts(&undisturbed(clock).await).await;
    let staleness = [Staleness::Behind(0), Staleness::Behind(4), Staleness::Failing];
    at_every_effect(&expected, 40, async |life, death, round| {
        let (tape, died) = killed(clock, life, death, staleness[round % staleness.len()]).await;
        (facts(&tape).await, died)
    })
    .await;
}

#[tokio::test]
async fn killed_at_every_effect_on_the_tape_clock() {
    check(ClockMode::Tape).await;
}

/// Runs the service until `until` is over.
async fn while_running(tape: &MemoryLog, until: impl Future<Output = ()>) {
    let shutdown = CancellationToken::new();
    let context = context(Arc::new(tape.clone()), ClockMode::Tape, shutdown.clone());
    let service = tokio::spawn(strategy::run(context, config(tape, Staleness::Behind(0))));
    until.await;
    shutdown.cancel();
    service.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_change_while_nobody_ran_is_warmed_up_once_more_on_record() {
    let tape = MemoryLog::new();
    let mut script = Script::new(tape.clone(), ClockMode::Tape);
    script.control(registered("cross", "sma_cross", &[("fast", "2"), ("slow", "4")])).await;
    script.control(enabled("cross")).await;
    while_running(&tape, script.warmed("cross", 1)).await;
    // MARKET has not gone on, so nothing but the change tells this warm-up from the first.
    script.control(disabled("cross")).await;
    script.control(enabled("cross")).await;
    while_running(&tape, script.warmed("cross", 2)).await;
    // Started again without one, it finds its warm-up recorded.
    script.control(registered("other", "sma_cross", &[("fast", "2"), ("slow", "4")])).await;
    script.control(enabled("other")).await;
    while_running(&tape, script.warmed("other", 1)).await;
    let events = everything(&tape, stream::TRADING).await;
    let warm_ups = events.iter().filter(|recorded| recorded.subject == "control.strategy.cross.warmed");
    assert_eq!(warm_ups.count(), 2);
}
