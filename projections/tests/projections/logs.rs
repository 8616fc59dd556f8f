//! Log lines: folded beside heartbeats, by day, as long as the stream holds them.

use std::time::Duration;

use contracts::stream::LOGS;
use contracts::v1::event::Body;
use contracts::v1::{Event, Heartbeat, LogField, LogRecord};
use projections::queries::{self, LogFilter, LogTurn};
use projections::{Name, State, fingerprint, heads, rebuild, verify};
use sqlx::Row as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::support::{Outcome, Running, START, World, event, until};

const DAY: i64 = 86_400_000_000_000;

fn line(id: &str, at_ns: i64, level: &str, message: &str) -> Event {
    let record = LogRecord {
        service: "risk".to_owned(),
        level: level.to_owned(),
        target: "risk::shell".to_owned(),
        message: message.to_owned(),
        fields: vec![
            LogField { name: "run".to_owned(), value: "r1".to_owned() },
            LogField { name: "nul".to_owned(), value: "a\0b".to_owned() },
        ],
    };
    event(id, at_ns, Body::LogRecord(record))
}

fn beat() -> Event {
    let beat = Heartbeat { service: "risk".to_owned(), instance: "i".to_owned(), ..Heartbeat::default() };
    event("beat", START, Body::Heartbeat(beat))
}

async fn partitions(world: &World) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'logs.records'::regclass ORDER BY 1",
    )
    .fetch_all(&world.admin)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

#[tokio::test]
async fn lines_are_rows_by_day_and_heartbeats_are_passed_over() -> Outcome {
    let world = World::new().await;
    world.append(line("1", START, "INFO", "one"), None).await;
    world.append(beat(), None).await;
    world.append(line("2", START + DAY, "WARN", "two"), None).await;
    world.append(line("3", START + DAY, "LOUD", "three"), None).await;
    world.catch_up(Name::Logs).await;
    let first = START / DAY;
    let days = [format!("records_{first}"), format!("records_{}", first + 1)];
    assert_eq!(partitions(&world).await?, [days[0].as_str(), days[1].as_str(), "records_default"]);
    let rows = queries::logs(&world.reader, &LogFilter::default(), LogTurn::Newest, 10).await?;
    let shown: Vec<_> = rows.iter().map(|row| (row.sequence, row.level, row.message.as_str())).collect();
    assert_eq!(shown, [(1, "INFO", "one"), (3, "WARN", "two")]);
    assert_eq!((rows[0].run.as_str(), rows[0].fields["nul"].as_str()), ("r1", Some("a\u{fffd}b")));
    // A level that there is not is set aside, a heartbeat is not.
    assert_eq!(world.port.parked.lock().unwrap().len(), 1);
    let warned = LogFilter { severity_max: Some(2), ..LogFilter::default() };
    assert_eq!(queries::logs_after(&world.reader, &warned, 1, 10).await?, 1);
    let report = verify(&world.writer, &world.tape, Name::Logs).await?;
    assert_eq!((report.first, report.messages), (None, 4));
    assert_eq!(fingerprint(&world.writer, &world.tape, Name::Logs).await?.hash, report.state_hash);
    Ok(())
}

#[tokio::test]
async fn days_that_the_stream_has_let_go_of_are_dropped() -> Outcome {
    let world = World::new().await;
    world.append(line("1", START, "INFO", "old"), None).await;
    world.append(line("2", START + DAY, "INFO", "new"), None).await;
    world.catch_up(Name::Logs).await;
    sqlx::query("SELECT projection.trim_logs('logs', 2)").execute(&world.writer).await?;
    assert_eq!(partitions(&world).await?.len(), 2);
    let rows = queries::logs(&world.reader, &LogFilter::default(), LogTurn::Newest, 10).await?;
    assert_eq!(rows.len(), 1);
    // A client with a wrong clock opens days only up to a bound; its lines are kept all the same.
    for day in 0..80 {
        let id = format!("wrong-{day}");
        world.append(line(&id, START + (100 + day) * DAY, "INFO", "far"), None).await;
    }
    world.catch_up(Name::Logs).await;
    assert!(partitions(&world).await?.len() <= 66);
    assert_eq!(world.count("logs.records").await, 81);
    Ok(())
}

#[tokio::test]
async fn a_rebuild_ends_with_the_same_state_hash() -> Outcome {
    let world = World::new().await;
    for number in 0..50 {
        world.append(line(&number.to_string(), START + number, "INFO", "line"), None).await;
    }
    world.catch_up(Name::Logs).await;
    let before = fingerprint(&world.writer, &world.tape, Name::Logs).await?;
    let stop = CancellationToken::new();
    rebuild(&world.writer, &world.tape, Name::Logs, world.port.as_ref(), &stop).await?;
    assert_eq!(fingerprint(&world.writer, &world.tape, Name::Logs).await?, before);
    sqlx::query("UPDATE logs.records SET message = 'changed' WHERE sequence = 7")
        .execute(&world.admin)
        .await?;
    assert_ne!(fingerprint(&world.writer, &world.tape, Name::Logs).await?.hash, before.hash);
    Ok(())
}

/// A stream that nobody writes to for a month holds nothing, and still says which sequence it gave last.
#[tokio::test]
async fn what_the_stream_has_let_go_of_is_neither_waited_for_nor_missed() -> Outcome {
    let world = World::new().await;
    world.append(beat(), None).await;
    for number in 2..=4 {
        world.append(line(&number.to_string(), START + number, "INFO", "line"), None).await;
    }
    let checkpoints = [(Name::Logs, 4), (Name::Services, 1)];
    for (name, _) in checkpoints {
        world.catch_up(name).await;
    }
    // The heartbeat alone first, then everything.
    for (through, head, lines) in [(1, 4, 3), (4, 0, 0)] {
        world.memory.let_go(LOGS, through)?;
        let heads = heads(&world.tape).await?;
        assert_eq!((heads[&Name::Logs], heads[&Name::Services]), (head, 0));
        for (name, checkpoint) in checkpoints {
            let soon = Duration::from_secs(20);
            let report = timeout(soon, verify(&world.writer, &world.tape, name)).await??;
            let messages = if name == Name::Logs { lines } else { 0 };
            assert_eq!((report.first, report.messages), (None, messages), "{name} {through}");
            let stop = CancellationToken::new();
            let building = rebuild(&world.writer, &world.tape, name, world.port.as_ref(), &stop);
            let rebuilt = timeout(soon, building).await??;
            assert_eq!((rebuilt.sequence, rebuilt.messages), (checkpoint, messages), "{name} {through}");
            assert_eq!(world.checkpoint(name).await, checkpoint);
        }
    }
    assert_eq!((world.count("logs.records").await, world.count("services.heartbeats").await), (0, 0));
    // The projector has nothing to wait for either, and goes on with what comes.
    world.port.states.lock().unwrap().clear();
    let running = Running::start(&world, &[Name::Logs]);
    let following = (Name::Logs, State::Following { sequence: 4 });
    until("the projector follows", async || world.port.states.lock().unwrap().contains(&following)).await;
    world.append(line("5", START, "INFO", "line"), None).await;
    world.wait(Name::Logs).await;
    running.stop().await;
    assert_eq!((world.checkpoint(Name::Logs).await, world.count("logs.records").await), (5, 1));
    Ok(())
}
