//! Two instances at once, kills, and replays.

use std::time::Duration;

use projections::{Name, queries};

use crate::support::{HOUR, Outcome, Running, SECOND, START, World, bar, chain, deposit, marked};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_apply_everything_once() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    let names = [Name::Trading, Name::Trading, Name::Bars, Name::Bars];
    let running = Running::start(&world, &names);
    for index in 1..150 {
        world.append(deposit("paper", index), None).await;
        world.append(bar("IBM", START + index * HOUR, 100 * SECOND), None).await;
    }
    world.wait(Name::Trading).await;
    world.wait(Name::Bars).await;
    running.stop().await;
    let account = queries::accounts(&world.reader).await?.remove(0);
    assert_eq!(account.deposits.to_string(), (100_000 + 149 * 150 / 2).to_string());
    assert_eq!(queries::series(&world.reader).await?[0].bars, 149);
    for name in [Name::Trading, Name::Bars] {
        assert_eq!(projections::verify(&world.writer, &world.tape, name).await?.first, None);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_leaves_rows_and_checkpoint_together() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    for index in 0..400 {
        world.append(bar("IBM", START + index * HOUR, 100 * SECOND), None).await;
    }
    for round in 0..25_u64 {
        let running = Running::start(&world, &[Name::Trading, Name::Bars]);
        let next = i64::try_from(round).unwrap();
        world.append(deposit("paper", 1 + next), None).await;
        world.append(marked("paper", START + (10 + next) * HOUR, 100_000 + next, &[]), None).await;
        world.append(bar("IBM", START + (400 + next) * HOUR, 100 * SECOND), None).await;
        tokio::time::sleep(Duration::from_micros(round * 700)).await;
        running.kill();
    }
    world.catch_up(Name::Trading).await;
    world.catch_up(Name::Bars).await;
    for name in [Name::Trading, Name::Bars] {
        assert_eq!(projections::verify(&world.writer, &world.tape, name).await?.first, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_replay_from_zero_gives_the_same_rows() -> Outcome {
    let world = World::new().await;
    let running = Running::start(&world, &[Name::Trading]);
    chain(&world).await;
    world.wait(Name::Trading).await;
    running.stop().await;
    let first = world.rows("trading").await;
    assert!(first.len() > 40, "{}", first.len());
    let tables =
        "trading.events, trading.signals, trading.risk_decisions, trading.orders, trading.order_events,
        trading.fills, trading.entries, trading.pending_signals, trading.positions, trading.accounts,
        trading.limits, trading.equity, trading.strategies, trading.halts, projection.checkpoints";
    sqlx::query(sqlx::AssertSqlSafe(format!("TRUNCATE {tables}"))).execute(&world.admin).await?;
    world.catch_up(Name::Trading).await;
    assert_eq!(world.rows("trading").await, first);
    // Running again over a stream that is folded changes nothing.
    world.catch_up(Name::Trading).await;
    assert_eq!(world.rows("trading").await, first);
    Ok(())
}
