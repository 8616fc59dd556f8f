//! The checker finds what is broken on the tape and in the read model, says so on the tape, and ends `tapedeck check`
//! with 7; and says that it holds again once it does.

use std::time::Duration;

use local_servers::testing::{TestNats, TestPostgres};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::harness::{Home, Outcome, Running, eventually, refused};
use crate::tapes::url;
use crate::telemetry::client;

const SOON: Duration = Duration::from_secs(60);
const TAPE: [&str; 2] = ["--tape", "demo"];

/// Events under a subject.
fn tape(home: &Home, subject: &str) -> anyhow::Result<Vec<Value>> {
    let arguments = ["tail", "--subject", subject, "--from-seq", "1", "--no-follow", "--json"];
    let printed = home.text(&[&arguments[..], &TAPE].concat())?;
    printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// What `tapedeck check` says of an invariant, and with which code it ends.
fn checked(home: &Home, name: &str) -> anyhow::Result<(Option<i32>, String, String)> {
    let output = home.run(&[&["check", "--json"][..], &TAPE].concat())?;
    let document: Value = serde_json::from_slice(&output.stdout)?;
    let rows = document["invariants"].as_array().cloned().unwrap_or_default();
    let row = rows.into_iter().find(|row| row["name"] == name).unwrap_or_default();
    let word = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
    Ok((output.status.code(), word("state"), word("detail")))
}

fn up(home: &Home, name: &str) -> anyhow::Result<Running> {
    let running = home.spawn(name, &["up", "--tape", "demo"])?;
    eventually("a URL is printed", SOON, || Ok(url(home, name)?.is_some()))?;
    Ok(running)
}

/// Alerts of an invariant on the tape: whether each says that it holds again.
fn alerts(home: &Home, name: &str) -> anyhow::Result<Vec<bool>> {
    let told = tape(home, &format!("control.invariant.{name}.broken"))?;
    Ok(told.iter().map(|row| row["event"]["invariantBroken"]["mended"] == true).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_that_stands_twice_is_found() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let mut home = Home::new()?;
    home.configure("[account.paper]\n")?;
    home.set("NATS_URL", &nats.url());
    home.set("DATABASE_URL", database.url());
    let mut running = up(&home, "up")?;
    let submitted = "order.*.*.*.*.submitted";
    eventually("an order is sent", SOON, || Ok(!tape(&home, submitted)?.is_empty()))?;
    let (code, state, _) = checked(&home, "no_order_twice")?;
    assert_eq!((code, state.as_str()), (Some(0), "holds"));
    let (_, state, detail) = checked(&home, "orders_end")?;
    assert_eq!((state.as_str(), detail.as_str()), ("holds", "groups; no broker outside"));
    assert_eq!(checked(&home, "replay_agrees")?.1, "not checked");

    // The same intent under another id.
    let sent = tape(&home, submitted)?.remove(0);
    let subject = sent["subject"].as_str().unwrap_or_default().to_owned();
    let mut event = sent["event"].clone();
    event["id"] = "ffffffffffffffffffffffffffffffff".into();
    let client = client(&nats).await?;
    let answer = client.request(subject, event.to_string().into()).await?;
    let said = String::from_utf8_lossy(&answer.payload).into_owned();
    anyhow::ensure!(said.contains("\"seq\":"), "{said}");

    eventually("it is an alert", SOON, || Ok(!alerts(&home, "no_order_twice")?.is_empty()))?;
    let (code, state, detail) = checked(&home, "no_order_twice")?;
    assert_eq!((code, state.as_str()), (Some(7), "broken"));
    assert!(detail.contains("is submitted twice"), "{detail}");
    eventually("the checker says so of itself", SOON, || {
        let status = home.run(&[&["status", "--json"][..], &TAPE].concat())?;
        Ok(String::from_utf8_lossy(&status.stdout).contains("invariant 2 no_order_twice"))
    })?;
    let mut risk = Value::Null;
    eventually("the alert is folded", SOON, || {
        risk = home.json(&[&["risk"][..], &TAPE].concat())?;
        Ok(risk["alerts"].as_array().is_some_and(|rows| !rows.is_empty()))
    })?;
    let kinds: Vec<&Value> =
        risk["alerts"].as_array().into_iter().flatten().map(|row| &row["kind"]).collect();
    assert!(kinds.contains(&&json!("invariant_no_order_twice")), "{risk}");
    assert_eq!(running.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    // Found again by another start it is no other alert.
    let mut again = up(&home, "again")?;
    eventually("it is found again", SOON, || Ok(home.said("again").contains("no_order_twice")))?;
    assert_eq!(again.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("again"));
    assert_eq!(alerts(&home, "no_order_twice")?, [false]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_tape_does_not_make_is_found_until_it_is_gone() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let mut home = Home::new()?;
    home.configure("[account.paper]\n")?;
    home.set("NATS_URL", &nats.url());
    home.set("DATABASE_URL", database.url());
    let name = "read_model_is_fold";
    let mut running = up(&home, "up")?;
    eventually("the read model is compared", SOON, || {
        let output = home.run(&[&["status", "--json"][..], &TAPE].concat())?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("read model compared at"))
    })?;
    let mut connection = PgConnection::connect(database.url()).await?;
    let insert = "INSERT INTO trading.risk_tallies (account, strategy, tally, sequence) \
                  VALUES ('nobody', '', '{\"account\": \"nobody\", \"consecutiveLosses\": 3}', 1)";
    sqlx::query(insert).execute(&mut connection).await?;
    eventually("it is an alert", SOON, || Ok(alerts(&home, name)? == [false]))?;
    assert_eq!(running.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    let (code, state, detail) = checked(&home, name)?;
    assert_eq!((code, state.as_str()), (Some(7), "broken"));
    assert!(detail.contains("tally: read") && detail.contains("nobody"), "{detail}");

    sqlx::query("DELETE FROM trading.risk_tallies WHERE account = 'nobody'").execute(&mut connection).await?;
    let (code, state, _) = checked(&home, name)?;
    assert_eq!((code, state.as_str()), (Some(0), "holds"));

    // What holds values that nobody writes, or stands where the tape has nothing, is no fold of it either.
    let strategies = "UPDATE trading.strategies SET symbols = '{\"no\": \"list\"}'";
    let ahead = "UPDATE projection.checkpoints SET sequence = sequence + 1000000 WHERE name = 'trading'";
    for (damage, words) in [(ahead, "expected at most"), (strategies, "cannot be read")] {
        sqlx::query(damage).execute(&mut connection).await?;
        let (code, state, detail) = checked(&home, name)?;
        assert_eq!((code, state.as_str()), (Some(7), "broken"), "{detail}");
        assert!(detail.contains(words), "{detail}");
        refused(&home, &[&["replay", "--verify"][..], &TAPE].concat(), 7, &["projection rebuild trading"])?;
        home.text(&[&["projection", "rebuild", "trading"][..], &TAPE].concat())?;
    }
    assert_eq!(checked(&home, name)?.1, "holds");
    let mut again = up(&home, "again")?;
    eventually("it holds again", SOON, || Ok(alerts(&home, name)? == [false, true]))?;
    assert_eq!(again.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("again"));
    Ok(())
}
