//! Two instances at once, kills, and replays.

use std::time::Duration;

use local_servers::PostgresServer;
use local_servers::testing::test_options;
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

/// Nothing more comes: risk waits for the read model, and the clock for risk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_of_the_database_takes_back_is_folded_again_though_nothing_new_comes() -> Outcome {
    let directory = tempfile::tempdir()?;
    // The server's user must get through to its files.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut options = test_options(directory.path().join("postgres"));
    let server = PostgresServer::start(options.clone()).await?;
    options.port = Some(server.port());
    server.ensure_database("tapedeck").await?;
    let world = World::at(&server.url("tapedeck"), Box::new(directory)).await;
    let running = Running::start(&world, &[Name::Trading]);
    chain(&world).await;
    world.wait(Name::Trading).await;
    // From now on a commit that does not wait for the disk is in no file for ten seconds, or until a page of the log
    // is full; a new one begins last.
    for statement in [
        "ALTER SYSTEM SET wal_writer_delay = '10s'",
        "SELECT pg_reload_conf()",
        "CREATE TABLE public.taken ()",
        "SELECT pg_sleep(0.5)",
        "SELECT pg_switch_wal()",
        "SET synchronous_commit = off; INSERT INTO public.taken DEFAULT VALUES",
    ] {
        sqlx::raw_sql(statement).execute(&world.admin).await?;
    }
    world.append(deposit("paper", 1), None).await;
    world.wait(Name::Trading).await;
    drop(server);
    let _server = PostgresServer::start(options).await?;
    assert_eq!(world.count("public.taken").await, 0, "the crash took nothing");
    world.wait(Name::Trading).await;
    running.stop().await;
    assert_eq!(projections::verify(&world.writer, &world.tape, Name::Trading).await?.first, None);
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
