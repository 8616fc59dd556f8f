//! `tapedeck projection fold` on servers on which nobody else folds: whatever became of a stream, of the version of a
//! read model and of a rebuild elsewhere, it ends or says what it waits for.

use std::time::{Duration, Instant};

use async_nats::Client;
use local_servers::testing::{TestNats, TestPostgres};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::harness::{Home, Outcome, eventually};
use crate::telemetry::client;

/// Time within which a command ends that has nothing to wait for.
const SOON: Duration = Duration::from_secs(60);

/// A home that uses servers of the user's own, and clients of both.
async fn stage(nats: &TestNats, url: &str) -> anyhow::Result<(Home, Client, PgConnection)> {
    let mut home = Home::new()?;
    home.set("NATS_URL", &nats.url());
    home.set("DATABASE_URL", url);
    home.json(&["import", &one_bar(&home)?, "--tape", "main"])?;
    Ok((home, client(nats).await?, PgConnection::connect(url).await?))
}

/// A file of one bar.
fn one_bar(home: &Home) -> anyhow::Result<String> {
    let bars = "symbol,timeframe,start_utc,open,high,low,close,volume\n\
                TEST,1h,2020-01-02T15:00:00Z,10,11,9,10.5,1000\n";
    let file = home.path().join("bars.csv");
    std::fs::write(&file, bars)?;
    Ok(file.display().to_string())
}

/// Folds, and gives the row of one read model as it is listed then.
fn fold(home: &Home, name: &str) -> anyhow::Result<Value> {
    let listed = home.json(&["projection", "fold", name])?;
    let row = listed.as_array().into_iter().flatten().find(|row| row["name"] == name);
    row.cloned().ok_or_else(|| anyhow::anyhow!("no {name} in {listed}"))
}

/// Asks a server, and expects that it is done.
async fn done(client: &Client, subject: &str, payload: &'static str, word: &str) -> Outcome {
    let answer = client.request(subject.to_owned(), payload.into()).await?;
    let said = String::from_utf8_lossy(&answer.payload).into_owned();
    anyhow::ensure!(said.contains(word), "{subject}: {said}");
    Ok(())
}

/// The directory of a tape holds none of its events where the servers are the user's own.
#[tokio::test(flavor = "multi_thread")]
async fn a_tape_that_is_removed_stays_on_servers_of_ones_own_and_that_is_said() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let (home, ..) = stage(&nats, database.url()).await?;
    let removed = home.run(&["tape", "remove", "main", "--yes"])?;
    let said = String::from_utf8_lossy(&removed.stderr);
    assert!(removed.status.success() && said.contains("hold stays there"), "{said}");
    assert_eq!(home.json(&["import", &one_bar(&home)?, "--tape", "main"])?["duplicates"], 1);
    Ok(())
}

/// LOGS keeps its messages for a month, and says which sequence it gave last for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stream_has_let_go_of_is_not_waited_for() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let (home, client, _) = stage(&nats, database.url()).await?;
    done(&client, "log.risk.info", "no event", "\"seq\":1").await?;
    assert_eq!(fold(&home, "logs")?["position"], 1);
    done(&client, "log.risk.info", "no event", "\"seq\":2").await?;
    done(&client, "$JS.API.STREAM.PURGE.LOGS", "", "\"success\":true").await?;
    let began = Instant::now();
    let logs = fold(&home, "logs")?;
    assert_eq!((&logs["position"], &logs["head"], &logs["lag"]), (&1.into(), &0.into(), &0.into()), "{logs}");
    home.text(&["projection", "verify", "logs"])?;
    assert_eq!(home.json(&["projection", "rebuild", "logs"])?["sequence"], 1);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    done(&client, "log.risk.info", "no event", "\"seq\":3").await?;
    assert_eq!(fold(&home, "logs")?["position"], 3);

    // What no program can read is an object on a line as every event is.
    let tail = home.text(&["tail", "--subject", "log.risk.>", "--no-follow", "--json"])?;
    let lines: Vec<Value> = tail.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let [line] = lines.as_slice() else { anyhow::bail!("one line expected: {tail}") };
    assert_eq!((&line["sequence"], &line["subject"]), (&3.into(), &"log.risk.info".into()), "{tail}");
    assert_eq!(line["payload_hex"], "6e6f206576656e74", "{tail}");
    assert!(line["undecodable"].as_str().is_some_and(|why| !why.is_empty()), "{tail}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_program_made_is_built_anew_here_or_elsewhere() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let (home, _, mut admin) = stage(&nats, database.url()).await?;
    fold(&home, "bars")?;
    let older = "DELETE FROM bars.bars; UPDATE projection.checkpoints SET version = 1 WHERE name = 'bars'";
    sqlx::raw_sql(older).execute(&mut admin).await?;
    let listed = home.run(&["projection", "list"])?;
    let said = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(said.contains("made by an older program: bars"), "{said}");
    let bars = fold(&home, "bars")?;
    assert_eq!(bars["read_model_version"], bars["version"], "{bars}");
    home.text(&["projection", "verify", "bars"])?;

    // Somebody else builds it, longer than it is waited for somebody else's projector.
    sqlx::raw_sql(older).execute(&mut admin).await?;
    let elsewhere = "SELECT pg_advisory_lock(hashtextextended('tapedeck/projection/bars/rebuild', 0));
                     UPDATE projection.checkpoints SET rebuild_sequence = 1, rebuild_target = 9
                     WHERE name = 'bars'";
    sqlx::raw_sql(elsewhere).execute(&mut admin).await?;
    let mut folding = home.spawn("fold", &["projection", "fold", "bars"])?;
    eventually("it goes on saying what it waits for", SOON, || {
        Ok(home.said("fold").matches("bars is built anew, 1 of 9").count() > 4)
    })?;
    let fault: Option<String> =
        sqlx::query_scalar("SELECT fault_reason FROM projection.checkpoints WHERE name = 'bars'")
            .fetch_one(&mut admin)
            .await?;
    assert_eq!((folding.alive()?, fault), (true, None), "{}", home.said("fold"));
    sqlx::raw_sql("SELECT pg_advisory_unlock_all()").execute(&mut admin).await?;
    assert_eq!(folding.wait(SOON)?, Some(0), "{}", home.said("fold"));
    home.text(&["projection", "verify", "bars"])?;
    Ok(())
}

/// A pool asks a server that refuses it for half a minute, and says then that it has waited; one that says nothing, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_there_is_told_at_once() -> Outcome {
    let nats = TestNats::start().await?;
    let mut home = Home::new()?;
    home.set("NATS_URL", &nats.url());
    let file = one_bar(&home)?;
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    for (port, word) in [(9, "refused"), (silent.local_addr()?.port(), "no answer within 10 seconds")] {
        home.set("DATABASE_URL", &format!("postgres://user:password@127.0.0.1:{port}/tapedeck"));
        let began = Instant::now();
        let refused = home.run(&["import", &file, "--tape", "main"])?;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(5), "{said}");
        assert!(said.contains("PostgreSQL: ") && said.contains(word), "{said}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
    Ok(())
}
