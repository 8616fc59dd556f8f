//! Execution killed at each of its effects and started again adds exactly what is missing.

use std::sync::Arc;

use contracts::v1::event::Body;
use event_log::MemoryLog;
use runtime::ClockMode;
use runtime::testing::{Death, at_every_effect, killed_once};
use tokio_util::sync::CancellationToken;

use crate::support::{Script, Staleness, config, context, everything};
use crate::{day, groups};

/// What must be the same in every run: everything that execution wrote, and everything it was told.
async fn facts(tape: &MemoryLog) -> Vec<(String, Option<i64>, Option<Body>)> {
    let mut facts: Vec<_> = everything(tape)
        .await
        .into_iter()
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
async fn killed(
    clock: ClockMode,
    life: i64,
    death: Death,
    staleness: Staleness,
    play: impl AsyncFn(&Script),
) -> (MemoryLog, bool) {
    let tape = MemoryLog::new();
    let shutdown = CancellationToken::new();
    let supervisor = {
        let (tape, shutdown) = (tape.clone(), shutdown.clone());
        tokio::spawn(async move {
            let run = |log| execution::run(context(log, clock, shutdown.clone()), config(&tape, staleness));
            killed_once(Arc::new(tape.clone()), life, death, run).await
        })
    };
    play(&Script { tape: tape.clone(), framed: clock == ClockMode::Tape }).await;
    shutdown.cancel();
    let died = supervisor.await.unwrap().unwrap();
    (tape, died)
}

/// `effects` is the fewest that the script must have to be worth killing at.
async fn check(clock: ClockMode, effects: i64, play: impl AsyncFn(&Script)) {
    let expected = facts(&day::undisturbed(clock, &play).await).await;
    let staleness = [Staleness::Behind(0), Staleness::Behind(3), Staleness::Failing];
    at_every_effect(&expected, effects, async |life, death, round| {
        let (tape, died) = killed(clock, life, death, staleness[round % staleness.len()], &play).await;
        (facts(&tape).await, died)
    })
    .await;
}

#[tokio::test]
async fn killed_at_every_effect_on_the_tape_clock() {
    check(ClockMode::Tape, 60, day::play).await;
}

#[tokio::test]
async fn killed_at_every_effect_under_the_wall_clock() {
    check(ClockMode::Wall, 60, day::play).await;
}

#[tokio::test]
async fn parts_trailing_stops_and_brackets_killed_at_every_effect_on_the_tape_clock() {
    check(ClockMode::Tape, 30, groups::play).await;
}
