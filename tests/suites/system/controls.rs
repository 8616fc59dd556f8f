//! The kill switch as one plain message, and messages that are none: those that contradict their subject or have no
//! time are nothing to anybody, whatever they hold.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use async_nats::Client;
use local_servers::testing::{TestNats, TestPostgres};
use serde_json::{Value, json};

use crate::harness::{Home, Outcome, eventually};
use crate::tapes::url;
use crate::telemetry::{client, get};

const SOON: Duration = Duration::from_secs(60);
/// Everyone who reads TRADING and parks what is no event.
const PARKS: [&str; 4] = ["execution", "projection-trading", "risk", "strategy"];
const TAPE: [&str; 2] = ["--tape", "demo"];
/// Messages that are no events.
const WRONG: usize = 5;

/// Sends a message as `nats pub` does, and expects that the tape takes it.
async fn send(client: &Client, subject: &str, payload: &Value) -> Outcome {
    let answer = client.request(subject.to_owned(), payload.to_string().into()).await?;
    let said = String::from_utf8_lossy(&answer.payload).into_owned();
    anyhow::ensure!(said.contains("\"seq\":"), "{subject}: {said}");
    Ok(())
}

/// A kill switch of now, as docs/risk.md has it.
fn kill(id: &str, body: Value) -> Value {
    let now = chrono::DateTime::from_timestamp_nanos(runtime::now_ns());
    let now = now.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    json!({ "id": id, "eventTime": now, "tradingKilled": body })
}

/// Subject, message and what is wrong with it.
fn wrong() -> [(&'static str, Value, &'static str); WRONG] {
    let mut timeless = kill("timeless", json!({ "flatten": true }));
    if let Some(fields) = timeless.as_object_mut() {
        fields.remove("eventTime");
    }
    let account = json!({ "id": "account", "accountConfigured": { "account": "paper" } });
    let (contradiction, missing) = ("field `subject`: ", "field `event_time`: missing");
    [
        (
            "control.trading.alt.killed",
            kill("all", json!({ "flatten": true, "reason": "alt" })),
            contradiction,
        ),
        ("control.trading.alt.killed", kill("paper", json!({ "account": "paper" })), contradiction),
        ("control.strategy.manual.killed", kill("other", json!({ "strategy": "momentum" })), contradiction),
        ("control.account.paper.configured", account, missing),
        ("control.trading.all.killed", timeless, missing),
    ]
}

/// What a command on the tape lists.
fn rows(home: &Home, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let document = home.json(&[arguments, &TAPE].concat())?;
    Ok(document.as_array().cloned().unwrap_or_default())
}

/// Who has parked each message of TRADING, by its sequence.
fn parked(home: &Home) -> anyhow::Result<BTreeMap<u64, Vec<String>>> {
    let mut parked: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for row in rows(home, &["parked", "list"])? {
        let of = parked.entry(row["origin_sequence"].as_u64().unwrap_or_default()).or_default();
        of.push(row["service"].as_str().unwrap_or_default().to_owned());
    }
    parked.values_mut().for_each(|services| services.sort());
    Ok(parked)
}

/// Waits until the process says that it is ready.
async fn ready(address: &str) -> Outcome {
    let mut said = String::new();
    for _ in 0..600 {
        match get(&format!("{address}readyz")).await {
            Ok((200, _)) => return Ok(()),
            other => said = format!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("{address}readyz: {said}")
}

fn bars(home: &Home) -> anyhow::Result<u64> {
    let output = home.run(&[&["status", "--json"][..], &TAPE].concat())?;
    let status: Value = serde_json::from_slice(&output.stdout)?;
    Ok(status.pointer("/counts/bars").and_then(Value::as_u64).unwrap_or_default())
}

fn decode(home: &Home, arguments: &[&str], payload: &Value) -> anyhow::Result<Output> {
    let mut command = home.command(&[&["decode"][..], arguments].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(payload.to_string().as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}

#[test]
fn decode_says_what_is_no_event() -> Outcome {
    let home = Home::new()?;
    for (subject, payload, expected) in wrong() {
        let refused = decode(&home, &["--subject", subject], &payload)?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(expected), "{subject}: {said}");
    }
    let right = kill("right", json!({ "flatten": true }));
    let taken = decode(&home, &["--subject", "control.trading.all.killed"], &right)?;
    assert!(taken.status.success() && !taken.stdout.is_empty(), "{taken:?}");
    // Without a subject its lack of a time is told all the same.
    let [.., (_, timeless, expected)] = wrong();
    let shown = decode(&home, &[], &timeless)?;
    let said = String::from_utf8_lossy(&shown.stderr).into_owned();
    assert!(shown.status.success() && said.contains(expected), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_that_contradicts_itself_or_has_no_time_kills_nobody() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let mut home = Home::new()?;
    home.configure("[account.paper]\n[account.alt]\n")?;
    home.set("NATS_URL", &nats.url());
    home.set("DATABASE_URL", database.url());
    let mut up = home.spawn("up", &["up", "--tape", "demo"])?;
    eventually("a URL is printed", SOON, || Ok(url(&home, "up")?.is_some()))?;
    let address = url(&home, "up")?.unwrap_or_default();
    eventually("something is held", SOON, || Ok(!rows(&home, &["positions"])?.is_empty()))?;

    let client = client(&nats).await?;
    for (subject, payload, _) in wrong() {
        send(&client, subject, &payload).await?;
    }
    eventually("each is parked by everyone who parks", SOON, || {
        let parked = parked(&home)?;
        Ok(parked.len() == WRONG && parked.values().all(|services| services.iter().eq(PARKS)))
    })?;
    // Whoever looks is told what to do about them.
    let screen = home.run(&[&["status"][..], &TAPE].concat())?;
    let said = String::from_utf8_lossy(&screen.stdout).into_owned();
    assert!(said.contains("tapedeck parked dismiss ID --reason TEXT"), "{said}");
    // Nothing is stopped, time and trading go on, and what must hold does.
    let stops = rows(&home, &["breaker", "list"])?;
    assert!(stops.is_empty(), "{stops:?}");
    let before = bars(&home)?;
    eventually("more bars come", SOON, || Ok(bars(&home)? > before))?;
    home.text(&[&["check"][..], &TAPE].concat())?;
    ready(&address).await?;
    let shown = home.text(&[&["tail", "--subject", "control.>", "--no-follow"][..], &TAPE].concat())?;
    for (subject, _, expected) in wrong() {
        let told = format!("{subject}  undecodable: {expected}");
        assert!(shown.contains(&told), "{told:?} in {shown}");
    }

    // The right word kills what it names, and nothing else.
    let account = kill("alt", json!({ "account": "alt", "flatten": true, "reason": "by hand" }));
    send(&client, "control.trading.alt.killed", &account).await?;
    eventually("the account is killed", SOON, || {
        Ok(rows(&home, &["breaker", "list"])?.iter().any(|row| row["by"] == "kill"))
    })?;
    let stops = rows(&home, &["breaker", "list"])?;
    assert!(stops.iter().all(|row| row["account"] == "alt"), "{stops:?}");
    send(&client, "control.trading.all.killed", &kill("everything", json!({ "flatten": true }))).await?;
    eventually("everything is flat", SOON, || Ok(rows(&home, &["positions"])?.is_empty()))?;
    assert_eq!(parked(&home)?.len(), WRONG);
    home.text(&[&["check"][..], &TAPE].concat())?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));

    // A start finds them on the tape, one of them where it looks for the account's terms.
    let mut again = home.spawn("again", &["up", "--tape", "demo"])?;
    eventually("a URL is printed again", SOON, || Ok(url(&home, "again")?.is_some()))?;
    ready(&url(&home, "again")?.unwrap_or_default()).await?;
    home.text(&[&["check"][..], &TAPE].concat())?;
    assert_eq!(parked(&home)?.len(), WRONG);
    assert_eq!(again.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("again"));
    Ok(())
}
