//! Rebuilding beside the live tables.

use projections::{Name, RebuildError, State, queries, rebuild};
use tokio_util::sync::CancellationToken;

use crate::support::{HOUR, Outcome, Running, SECOND, START, World, bar, chain, configured, deposit, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_under_live_writes_mends_what_was_wrong() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    sqlx::query("UPDATE trading.positions SET quantity = 77").execute(&world.admin).await?;
    sqlx::query("DELETE FROM trading.fills").execute(&world.admin).await?;

    let running = Running::start(&world, &[Name::Trading]);
    let writing = {
        let tape = world.tape.clone();
        tokio::spawn(async move {
            for index in 1..300 {
                let event = deposit("paper", index);
                let subject = contracts::Subject::for_event(&event, None).unwrap();
                let append = event_log::Append { subject, event, expect: event_log::Expect::Nothing };
                tape.append(append).await.unwrap();
                tokio::time::sleep(std::time::Duration::from_micros(500)).await;
            }
        })
    };
    // A reader that looks all the time always sees an account, and deposits that only grow.
    let watching = {
        let (pool, cancel) = (world.reader.clone(), CancellationToken::new());
        let stop = cancel.clone();
        let task = tokio::spawn(async move {
            let mut last = domain::money::Amount::ZERO;
            let mut looks = 0_u32;
            while !stop.is_cancelled() {
                let snapshot = queries::trading_snapshot(&pool).await.unwrap();
                let deposits = snapshot.book.account("paper").unwrap().deposits;
                assert!(deposits >= last, "{deposits} after {last} at {}", snapshot.checkpoint);
                last = deposits;
                looks += 1;
            }
            looks
        });
        (cancel, task)
    };
    let cancel = CancellationToken::new();
    let report = rebuild(&world.writer, &world.tape, Name::Trading, world.port.as_ref(), &cancel).await?;
    assert!(report.messages >= 19, "{report:?}");
    writing.await?;
    world.wait(Name::Trading).await;
    watching.0.cancel();
    assert!(watching.1.await? > 0);
    running.stop().await;
    let report = projections::verify(&world.writer, &world.tape, Name::Trading).await?;
    assert_eq!(report.first, None);
    assert_eq!(world.count("trading.fills").await, 3);
    let left = sqlx::query("SELECT FROM pg_namespace WHERE nspname ~ '_(rebuild|before)$'")
        .fetch_all(&world.admin)
        .await?;
    assert!(left.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_cancelled_rebuild_leaves_no_trace() -> Outcome {
    let world = World::new().await;
    for index in 0..300 {
        world.append(bar("IBM", START + index * HOUR, 100 * SECOND), None).await;
    }
    world.catch_up(Name::Bars).await;
    let before = world.rows("bars").await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let outcome = rebuild(&world.writer, &world.tape, Name::Bars, world.port.as_ref(), &cancel).await;
    assert!(matches!(outcome, Err(RebuildError::Cancelled(Name::Bars))), "{outcome:?}");
    assert_eq!(world.rows("bars").await, before);
    let status = queries::checkpoints(&world.reader).await?;
    assert_eq!(status[0].rebuild_sequence, None);
    let again =
        rebuild(&world.writer, &world.tape, Name::Bars, world.port.as_ref(), &CancellationToken::new())
            .await?;
    assert_eq!(again.messages, 300);
    assert_eq!(world.rows("bars").await, before);
    Ok(())
}

#[tokio::test]
async fn a_read_model_of_an_older_version_is_rebuilt_at_start() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    sqlx::query("ALTER TABLE projection.checkpoints DROP CONSTRAINT checkpoints_version_check")
        .execute(&world.admin)
        .await?;
    sqlx::query("UPDATE projection.checkpoints SET version = 0; ").execute(&world.admin).await?;
    sqlx::query("UPDATE trading.accounts SET cash = 0").execute(&world.admin).await?;
    world.append(deposit("paper", 3), None).await;
    // Nobody goes on from what another version folded.
    assert!(queries::own_book(&world.reader).await?.is_none());
    let running = Running::start(&world, &[Name::Trading]);
    world.wait(Name::Trading).await;
    running.stop().await;
    let checkpoint = queries::trading_checkpoint(&world.reader).await?;
    let own = queries::own_book(&world.reader).await?;
    assert_eq!(own.map(|book| book.sequence()), Some(checkpoint));
    let status = queries::checkpoints(&world.reader).await?;
    let version = Name::Trading.version();
    assert_eq!(status[0].version, u64::from(version));
    assert_eq!(projections::verify(&world.writer, &world.tape, Name::Trading).await?.first, None);
    // A newer one is left alone.
    let newer = i64::from(version) + 1;
    let set = sqlx::query("UPDATE projection.checkpoints SET version = $1").bind(newer);
    set.execute(&world.admin).await?;
    assert!(queries::own_book(&world.reader).await?.is_none());
    let refused = world.projector().follow(Name::Trading, &CancellationToken::new()).await;
    assert!(refused.unwrap_err().to_string().contains(&format!("version {newer}")));
    Ok(())
}

/// Two instances start on an older read model: one builds it anew, the other says so and waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_of_another_instance_is_waited_for_and_no_fault() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    // Progress is left behind by a process that was killed, and says nothing.
    let older = "UPDATE projection.checkpoints SET version = 1, rebuild_sequence = 5, rebuild_target = 9";
    sqlx::query(older).execute(&world.admin).await?;
    assert_eq!(queries::checkpoints(&world.reader).await?[0].rebuild_sequence, None);
    let mut other = world.admin.acquire().await?;
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('tapedeck/projection/trading/rebuild', 0))")
        .execute(&mut *other)
        .await?;
    world.port.states.lock().unwrap().clear();
    let running = Running::start(&world, &[Name::Trading]);
    let underway = (Name::Trading, State::Rebuilding { sequence: 5, target: 9 });
    until("the rebuild is told of and waited for", async || {
        let states = world.port.states.lock().unwrap();
        states.iter().filter(|told| **told == underway).count() > 1
    })
    .await;
    let waiting = queries::checkpoints(&world.reader).await?.remove(0);
    assert_eq!((waiting.version, waiting.rebuild_sequence, waiting.rebuild_target), (1, Some(5), Some(9)));
    // The other instance is gone without an end: this one does it.
    sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut *other).await?;
    until("it is built here", async || {
        let rows = queries::checkpoints(&world.reader).await;
        rows.is_ok_and(|rows| rows[0].version == u64::from(Name::Trading.version()))
    })
    .await;
    running.stop().await;
    let built = queries::checkpoints(&world.reader).await?.remove(0);
    assert_eq!((waiting.fault_reason, built.fault_reason), (None, None));
    let states = world.port.states.lock().unwrap();
    assert!(!states.iter().any(|(_, state)| matches!(state, State::Faulted { .. })), "{states:?}");
    Ok(())
}

#[tokio::test]
async fn two_rebuilds_at_once_are_refused() -> Outcome {
    let world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    let cancel = CancellationToken::new();
    let one = rebuild(&world.writer, &world.tape, Name::Trading, world.port.as_ref(), &cancel);
    let other = rebuild(&world.writer, &world.tape, Name::Trading, world.port.as_ref(), &cancel);
    let (one, other) = tokio::join!(one, other);
    let refused =
        [&one, &other].into_iter().filter(|outcome| matches!(outcome, Err(RebuildError::Running(_)))).count();
    assert!(refused <= 1 && (one.is_ok() || other.is_ok()), "{one:?} {other:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_tape_no_longer_holds_is_no_longer_in_the_read_model() -> Outcome {
    let mut world = World::new().await;
    chain(&world).await;
    world.catch_up(Name::Trading).await;
    let folded = world.checkpoint(Name::Trading).await;
    // The tape came back without its last messages: shorter first, then longer, each time with others in their place.
    for (deposits, first) in [(3, 100), (i64::try_from(folded)? + 10, 200)] {
        world.on_another_tape();
        for event in [configured("paper", 1), deposit("paper", 100_000)] {
            world.append(event, None).await;
        }
        for index in first..first + deposits {
            world.append(deposit("paper", index), None).await;
        }
        let refused = projections::verify(&world.writer, &world.tape, Name::Trading).await.unwrap_err();
        assert!(refused.to_string().contains("the tape was taken back: at sequence"), "{refused}");
        let running = Running::start(&world, &[Name::Trading]);
        let mut tries = 0..1_000;
        let report = loop {
            match projections::verify(&world.writer, &world.tape, Name::Trading).await {
                Ok(report) if report.messages == u64::try_from(deposits + 2)? => break report,
                _ => tries.next().expect("a read model that is built anew"),
            };
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        };
        running.stop().await;
        assert_eq!((report.first, world.count("trading.fills").await), (None, 0));
    }
    Ok(())
}
