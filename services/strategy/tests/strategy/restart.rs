//! The service killed at each of its effects and started again gives the same signals.

use std::sync::Arc;

use contracts::stream;
use contracts::v1::event::Body;
use event_log::MemoryLog;
use runtime::ClockMode;
use runtime::testing::{Death, at_every_effect, killed_once};
use tokio_util::sync::CancellationToken;

use crate::day::{play, undisturbed};
use crate::support::{Script, Staleness, config, context, everything};

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
