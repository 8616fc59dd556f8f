//! The service killed at each of its effects and started again gives the same signals.

use std::sync::Arc;

use contracts::stream;
use contracts::v1::event::Body;
use event_log::{MemoryLog, Tape};
use runtime::ClockMode;
use runtime::testing::{Death, MortalLog};
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

/// Plays the script against a service that dies at its `life`-th effect and is started again.
async fn killed(clock: ClockMode, life: i64, death: Death, staleness: Staleness) -> (MemoryLog, bool) {
    let tape = MemoryLog::new();
    let shutdown = CancellationToken::new();
    let mortal = MortalLog::new(Arc::new(tape.clone()), life, death);
    let died = mortal.died();
    let supervisor = {
        let (tape, shutdown, died) = (tape.clone(), shutdown.clone(), died.clone());
        tokio::spawn(async move {
            let first: Tape = Arc::new(mortal);
            tokio::select! {
                () = died.cancelled() => {}
                ended = strategy::run(context(first, clock, shutdown.clone()), config(&tape, staleness)) => return ended,
            }
            let second: Tape = Arc::new(tape.clone());
            strategy::run(context(second, clock, shutdown), config(&tape, staleness)).await
        })
    };
    play(&mut Script::new(tape.clone(), clock)).await;
    shutdown.cancel();
    supervisor.await.unwrap().unwrap();
    (tape, died.is_cancelled())
}

async fn check(clock: ClockMode) {
    let expected = facts(&undisturbed(clock).await).await;
    let staleness = [Staleness::Behind(0), Staleness::Behind(4), Staleness::Failing];
    for (turn, death) in [Death::Before, Death::After].into_iter().enumerate() {
        for (life, round) in (1i64..).zip(turn..) {
            let stale = staleness[round % staleness.len()];
            let (tape, died) = killed(clock, life, death, stale).await;
            let got = facts(&tape).await;
            for (got, expected) in got.iter().zip(&expected) {
                assert_eq!(got, expected, "{clock:?}, killed {death:?} effect {life}, read model {stale:?}");
            }
            assert_eq!(got.len(), expected.len(), "{clock:?}, killed {death:?} effect {life}, {stale:?}");
            if !died {
                assert!(life > 40, "the script has too few effects to be worth killing at: {life}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn killed_at_every_effect_on_the_tape_clock() {
    check(ClockMode::Tape).await;
}
