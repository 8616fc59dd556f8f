//! The monitor: when it measures.

use std::sync::Arc;
use std::time::Duration;

use contracts::from_timestamp;
use contracts::v1::event::Body;
use domain::calendar::Calendar;
use runtime::{ClockMode, Context, HealthState};
use tokio_util::sync::CancellationToken;

use crate::events::{self, E9, T0, limits};
use crate::world::{Running, World};

const MINUTE: i64 = 60 * E9;

fn start(world: &World) -> Running {
    let (tape, shutdown) = (Arc::new(world.log.clone()), CancellationToken::new());
    let (clock, health) = (world.mode, world.health.clone());
    let context = Context { tape, clock, health, shutdown: shutdown.clone() };
    let run = risk::monitor::run(context, Arc::clone(&world.model) as _, Calendar::xnys());
    let task = tokio::spawn(run);
    Running { shutdown, task }
}

/// Minutes after [`T0`] at which the account was measured.
async fn measured(world: &World) -> Vec<i64> {
    let minutes = |recorded: event_log::Recorded| {
        let measured = matches!(recorded.event.body, Some(Body::RiskMeasured(_)));
        let at_ns = recorded.event.event_time.as_ref().and_then(from_timestamp).filter(|_| measured)?;
        Some((at_ns - T0) / MINUTE)
    };
    world.events().await.into_iter().filter_map(minutes).collect()
}

async fn until(condition: impl AsyncFn() -> bool) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
}

#[tokio::test]
async fn an_account_that_holds_nothing_is_measured_every_quarter_of_an_hour() {
    let world = World::new(ClockMode::Tape, limits(1_000_000, E9)).await;
    let running = start(&world);
    let ready = || {
        let health = world.health.all();
        health.get(risk::monitor::SERVICE).is_some_and(|service| service.state == HealthState::Ready)
    };
    until(async || ready()).await;
    for minute in [0, 5, 14, 15, 29, 30, 61] {
        world.put(events::mark(T0 + minute * MINUTE, 1_000_000)).await;
    }
    let expected = [0, 15, 30, 61];
    until(async || measured(&world).await.len() >= expected.len()).await;
    running.stop().await;
    assert_eq!(measured(&world).await, expected);
}
