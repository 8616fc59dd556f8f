//! External strategies while the system runs: what their users may not do, and what an operator does to them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_nats::{Client, HeaderMap};
use serde_json::Value;

use crate::external::start_python;
use crate::harness::{Home, Outcome, Running, eventually, refused};
use crate::tapes::url;

const DRAIN_MAX: Duration = Duration::from_secs(20);
/// Time within which a disabled strategy must have stopped.
const STOP_MAX: Duration = Duration::from_secs(1);

/// What a strategy signs in with.
pub struct Login {
    document: Value,
    file: PathBuf,
}

impl Login {
    /// What `register` wrote to a file.
    pub fn read(file: PathBuf) -> anyhow::Result<Self> {
        Ok(Self { document: serde_json::from_str(&std::fs::read_to_string(&file)?)?, file })
    }

    /// One of its fields.
    pub fn word(&self, field: &str) -> String {
        self.document[field].as_str().unwrap_or_default().to_owned()
    }

    /// As a client of a user's own does it.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        let options = async_nats::ConnectOptions::new()
            .user_and_password(self.word("user"), self.word("password"))
            .custom_inbox_prefix(self.word("inbox_prefix"))
            .request_timeout(Some(Duration::from_millis(500)));
        Ok(options.connect(self.word("url")).await?)
    }
}

/// Registers a strategy; its credentials are in `<name>.json`.
pub fn register(home: &Home, name: &str, more: &[&str]) -> anyhow::Result<Login> {
    let file = home.path().join(format!("{name}.json"));
    let path = file.display().to_string();
    // A password that is there already is not written over.
    if file.exists() {
        std::fs::remove_file(&file)?;
    }
    let mut arguments = vec!["strategy", "register", name, "--credentials", &path];
    arguments.extend(more);
    home.text(&arguments)?;
    Login::read(file)
}

/// A demo that runs.
fn demo(home: &Home) -> anyhow::Result<Running> {
    let up = home.spawn("up", &["up"])?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(home, "up")?.is_some()))?;
    Ok(up)
}

/// The rows of a list.
pub fn rows(home: &Home, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    Ok(home.json(arguments)?.as_array().cloned().unwrap_or_default())
}

/// A row of `strategy list`.
fn strategy(home: &Home, name: &str) -> anyhow::Result<Value> {
    let all = rows(home, &["strategy", "list"])?;
    Ok(all.into_iter().find(|row| row["strategy"] == name).unwrap_or_default())
}

/// Messages stored on the tape's streams, by stream.
pub fn stored(home: &Home, subject: &str) -> anyhow::Result<usize> {
    let printed = home.text(&["tail", "--subject", subject, "--from-seq", "1", "--no-follow", "--json"])?;
    Ok(printed.lines().count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategys_user_can_do_nothing_but_its_own() -> Outcome {
    let home = Home::new()?;
    let mut up = demo(&home)?;
    let mine = register(&home, "mine", &[])?;
    register(&home, "yours", &[])?;
    let client = mine.connect().await?;

    let own = client.request("signal.mine.ACMEX", r#"{"wrong":1}"#.into()).await?;
    assert!(String::from_utf8_lossy(&own.payload).contains("TRADING"), "its own signals reach the tape");
    let create = r#"{"stream_name":"MARKET","config":{"name":"spy","ack_policy":"none"},"action":"create"}"#;
    // At once, because none of them is answered: each is waited for to its end.
    let forbidden = [
        ("signal.yours.ACMEX", "{}"),
        ("signal.momentum.ACMEX", "{}"),
        ("control.strategy.mine.enabled", "{}"),
        ("control.trading.all.halted", "{}"),
        ("risk.paper.approved", "{}"),
        ("order.paper.mine.ACMEX.1.submitted", "{}"),
        ("fill.paper.mine.ACMEX.1.1", "{}"),
        ("account.paper.marked", "{}"),
        ("market.bar.1h.ACMEX", "{}"),
        ("parked.risk", "{}"),
        ("clock.decide", "{}"),
        ("ingest.replay.1", ""),
        ("$JS.API.STREAM.DELETE.TRADING", ""),
        ("$JS.API.STREAM.PURGE.TRADING", ""),
        ("$JS.API.STREAM.UPDATE.TRADING", r#"{"name":"TRADING","subjects":["x"]}"#),
        ("$JS.API.STREAM.MSG.DELETE.TRADING", r#"{"seq":1}"#),
        ("$JS.API.STREAM.MSG.GET.TRADING", r#"{"seq":1}"#),
        ("$JS.API.STREAM.INFO.TRADING", ""),
        ("$JS.API.DIRECT.GET.TRADING", r#"{"seq":1}"#),
        ("$JS.API.CONSUMER.CREATE.MARKET.spy", create),
        ("$JS.API.CONSUMER.DURABLE.CREATE.MARKET.spy", create),
        ("$JS.API.CONSUMER.DELETE.MARKET.execution", ""),
        ("$JS.API.CONSUMER.RESET.MARKET.execution", ""),
        ("$JS.API.CONSUMER.INFO.MARKET.execution", ""),
        ("$JS.API.CONSUMER.MSG.NEXT.MARKET.strategy-yours", ""),
        ("$JS.ACK.MARKET.execution.1.1.1.1.1", "+ACK"),
    ];
    let asked = forbidden.map(|(subject, payload)| client.request(subject, payload.into()));
    let answers = futures::future::join_all(asked).await;
    for ((subject, _), answer) in forbidden.iter().zip(answers) {
        assert!(answer.is_err(), "{subject} was answered: {answer:?}");
    }
    // Nor can it have the server's answers sent where it may not send itself.
    for reply in ["$JS.API.STREAM.DELETE.LOGS", "$JS.API.STREAM.PURGE.LOGS", "control.strategy.mine.enabled"]
    {
        for (subject, payload) in [
            ("$JS.API.DIRECT.GET.TRADING.signal.mine.NONE", ""),
            ("$JS.API.CONSUMER.RESET.TRADING.strategy-mine", r#"{"seq":1}"#),
            ("$JS.API.CONSUMER.MSG.NEXT.TRADING.strategy-mine", r#"{"batch":1}"#),
            ("signal.mine.ACMEX", "{}"),
        ] {
            client.publish_with_reply(subject, reply, payload.into()).await?;
        }
    }
    // In order behind all of them.
    client.request("$JS.API.CONSUMER.RESET.TRADING.strategy-mine", r#"{"seq":1}"#.into()).await?;
    assert_eq!(stored(&home, "control.strategy.mine.>")?, 1, "its registration alone");
    // Nothing of it took effect: the other's signals, and what only the system writes.
    for subject in ["signal.yours.>", "control.trading.>"] {
        assert_eq!(stored(&home, subject)?, 0, "{subject}");
    }
    let streams = rows(&home, &["stream", "list"])?;
    assert_eq!(streams.len(), 7, "{streams:?}");
    assert!(rows(&home, &["stream", "diff"])?.is_empty());
    // It hears nothing either, but what it asks for.
    for subject in [">", "signal.>", "fill.>", "account.>"] {
        let mut heard = client.subscribe(subject).await?;
        let listening =
            tokio::time::timeout(Duration::from_secs(1), futures::StreamExt::next(&mut heard)).await;
        assert!(!matches!(listening, Ok(Some(_))), "{subject}: {listening:?}");
    }

    // A user that is removed is out at once, and its name can be registered again.
    home.text(&["strategy", "remove", "mine", "--reason", "done"])?;
    assert!(mine.connect().await.is_err(), "the removed user connects");
    eventually("the read model knows", Duration::from_secs(10), || {
        Ok(strategy(&home, "mine")?["registered"] == false)
    })?;
    register(&home, "mine", &[])?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));
    Ok(())
}

/// A signal as a ten-line script would write it, with `change` applied.
fn signal(name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut event = serde_json::json!({
        "id": format!("{:032x}", 1), "eventTime": "2024-01-02T15:00:00Z",
        "signal": { "strategy": name, "legs": [{ "symbol": "ACMEX", "intent": "INTENT_ENTER_LONG" }] },
    });
    change(&mut event);
    event.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signal_is_parked_or_denied_and_holds_up_nobody() -> Outcome {
    let home = Home::new()?;
    let mut up = demo(&home)?;
    let login = register(&home, "scribe", &["--mode", "paper", "--subjects", "market.bar.1d.NOTHING"])?;
    let client = login.connect().await?;
    let send = async |subject: &str, payload: String| -> anyhow::Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        let answer = client.request_with_headers(subject.to_owned(), headers, payload.into()).await?;
        anyhow::ensure!(!String::from_utf8_lossy(&answer.payload).contains("error"), "{answer:?}");
        Ok(())
    };
    let subject = "signal.scribe.ACMEX";
    send(subject, signal("scribe", |event| event["signal"]["legs"][0]["sidee"] = "buy".into())).await?;
    send(subject, signal("momentum", |_| {})).await?;
    let fill = r#"{"id":"2","fill":{"strategy":"scribe"}}"#;
    send(subject, fill.to_owned()).await?;
    // Of the form that ids have, and of no cause of this strategy's: it may be another one's.
    send(subject, signal("scribe", |event| event["causationId"] = "abc".into())).await?;
    // Decodable: denied with the field's name, on the tape.
    let unsound = signal("scribe", |event| {
        event["id"] = "7".into();
        event["causationId"] = "abc".into();
    });
    send(subject, unsound).await?;

    let mut reasons = Vec::new();
    eventually("the wrong signals are parked", Duration::from_secs(20), || {
        let parked = rows(&home, &["parked", "list"])?;
        let of_risk = parked.iter().filter(|row| row["service"] == "risk");
        reasons = of_risk.filter_map(|row| row["reason"].as_str().map(str::to_owned)).collect();
        Ok(reasons.len() >= 4)
    })?;
    for named in ["signal.legs[0]", "sidee", "signal.strategy", "body", "`id`"] {
        assert!(reasons.iter().any(|reason| reason.contains(named)), "{named}: {reasons:?}");
    }
    let mut denied = String::new();
    eventually("the unsound signal is denied", Duration::from_secs(20), || {
        denied = home.text(&[
            "tail",
            "--subject",
            "risk.paper.denied",
            "--from-seq",
            "1",
            "--no-follow",
            "--json",
        ])?;
        Ok(denied.lines().any(|line| line.contains("scribe") && line.contains("invalid_signal")))
    })?;
    let line = denied.lines().find(|line| line.contains("scribe")).unwrap_or_default();
    assert!(line.contains("field `id`"), "{line}");
    // Time goes on.
    let bars = |home: &Home| -> anyhow::Result<u64> {
        let output = home.run(&["status", "--json"])?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        Ok(status.pointer("/counts/bars").and_then(Value::as_u64).unwrap_or_default())
    };
    let before = bars(&home)?;
    eventually("more bars come", Duration::from_secs(20), || Ok(bars(&home)? > before))?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));
    Ok(())
}

/// Number of signals on the tape of a strategy.
fn signals(home: &Home, name: &str) -> anyhow::Result<usize> {
    stored(home, &format!("signal.{name}.>"))
}

#[test]
fn the_python_example_orders_and_an_operator_stops_replaces_and_removes_it() -> Outcome {
    let home = Home::new()?;
    let mut up = demo(&home)?;
    // As a newcomer does it: the skeleton, registered, started, enabled.
    let directory = home.path().join("swing");
    let path = directory.display().to_string();
    home.text(&["strategy", "new", "swing", "--lang", "python", "--dir", &path])?;
    let login = register(&home, "swing", &["--sizing", "fixed:1"])?;
    assert_ne!(home.run(&["strategy", "register", "swing"])?.status.code(), Some(0), "registered twice");
    let mut process = start_python(&home, &directory, &login.file, ["2", "3"])?;
    home.text(&["strategy", "enable", "swing", "--mode", "paper"])?;
    eventually("its order is filled", Duration::from_secs(60), || {
        assert!(process.alive()?, "{}", home.said("python"));
        let orders = rows(&home, &["order", "list", "--strategy", "swing"])?;
        Ok(orders.iter().any(|order| order["status"] == "filled"))
    })?;

    let to_manual = ["--positions", "hand-over", "--to", "manual"];
    home.text(&[&["strategy", "disable", "swing", "--reason", "enough"][..], &to_manual].concat())?;
    let disabled = Instant::now();
    std::thread::sleep(STOP_MAX.saturating_sub(disabled.elapsed()));
    let signalled = signals(&home, "swing")?;
    let others = signals(&home, "sma_cross")? + signals(&home, "momentum")?;
    eventually("the others signal on", Duration::from_secs(60), || {
        Ok(signals(&home, "sma_cross")? + signals(&home, "momentum")? > others + 2)
    })?;
    assert_eq!(
        signals(&home, "swing")?,
        signalled,
        "it signals more than {STOP_MAX:?} after it was disabled"
    );

    // The same figures as the page's, for one and among all; money takes somebody's word.
    let shown = home.json(&["strategy", "show", "swing"])?;
    let listed = strategy(&home, "swing")?;
    // Not the lag: the process goes on reading bars between the two commands.
    for figure in ["state", "signals", "orders", "fills", "round_trips", "hit_rate"] {
        assert_eq!(shown[figure], listed[figure], "{figure}");
    }
    assert_eq!(shown["state"], "disabled");
    assert!(shown["orders"].as_u64() > Some(0), "{shown}");
    assert!(shown["subscription"]["lag"]["pending"].is_u64(), "{shown}");
    assert_eq!(home.run(&["strategy", "show", "nobody"])?.status.code(), Some(3));
    let live = home.run(&["strategy", "enable", "swing", "--mode", "live"])?;
    assert_eq!(live.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&live.stderr).contains("tapedeck live confirm"), "{live:?}");
    // A simulated account has no money to be confirmed for.
    let confirm = home.run(&["live", "confirm", "paper", "--reason", "by mistake"])?;
    let said = String::from_utf8_lossy(&confirm.stderr).into_owned();
    assert_eq!(confirm.status.code(), Some(4), "{said}");
    assert!(said.contains("account.paper.broker = simulated: expected alpaca"), "{said}");

    // A process that is gone holds the clock, and is named; disabling releases it.
    home.text(&["strategy", "enable", "swing", "--mode", "paper"])?;
    process.kill()?;
    eventually("the culprit is named", Duration::from_secs(30), || {
        let output = home.run(&["status", "--json"])?;
        Ok(String::from_utf8_lossy(&output.stdout).contains("external strategy swing"))
    })?;
    register(&home, "heir", &[])?;
    let to_heir = ["strategy", "disable", "swing", "--positions", "hand-over", "--to", "heir"];
    refused(&home, &to_heir, 2, &["--to heir: expected a strategy enabled in mode paper or live"])?;
    home.text(&["strategy", "replace", "swing", "--with", "heir", "--positions", "keep"])?;
    eventually("the heir has taken over", Duration::from_secs(20), || {
        let (old, new) = (strategy(&home, "swing")?, strategy(&home, "heir")?);
        Ok(old["enabled"] == false && new["enabled"] == true && new["mode"] == "paper")
    })?;
    // A disabled strategy has nothing to hand over.
    refused(&home, &["strategy", "replace", "swing", "--with", "heir"], 2, &[])?;
    let removed = home.json(&["strategy", "remove", "heir"])?;
    assert_eq!(removed["state"], "removed", "{removed}");
    let again = home.json(&["strategy", "remove", "heir"])?;
    assert_eq!(again["state"], "removed already", "{again}");
    let others = signals(&home, "sma_cross")? + signals(&home, "momentum")?;
    eventually("the clock goes on without them", Duration::from_secs(60), || {
        Ok(signals(&home, "sma_cross")? + signals(&home, "momentum")? > others)
    })?;
    // Its history stays.
    assert!(!rows(&home, &["order", "list", "--strategy", "swing"])?.is_empty());
    home.text(&["projection", "verify"])?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));
    Ok(())
}

/// The kill switch takes `manual` for a strategy.
fn what_was_bought_by_hand_is_closed_alone(home: &Home, symbol: &str) -> Outcome {
    let buy = ["order", "place", "buy", symbol, "--qty", "1", "--no-wait"];
    let held = || -> anyhow::Result<usize> {
        let positions = rows(home, &["positions"])?;
        Ok(positions.iter().filter(|row| row["strategy"] == "manual").count())
    };
    eventually("something is bought by hand", Duration::from_secs(60), || {
        home.text(&buy)?;
        Ok(held()? > 0)
    })?;
    home.text(&["kill", "--strategy", "manual", "--flatten", "--reason", "drill"])?;
    eventually("it is closed", Duration::from_secs(60), || Ok(held()? == 0))?;
    let stops = rows(home, &["breaker", "list"])?;
    assert!(stops.iter().any(|row| row["strategy"] == "manual" && row["by"] == "kill"), "{stops:?}");
    assert_eq!(home.json(&["resume", "--strategy", "manual"])?["state"], "resumed");
    refused(home, &["strategy", "disable", "manual"], 3, &["tapedeck kill --strategy manual --flatten"])
}

/// An order that risk denied is shown with the reason, and without ids that it never had.
fn what_risk_denied_says_why(home: &Home, symbol: &str) -> Outcome {
    let placed = home.run(&["order", "place", "buy", symbol, "--qty", "1", "--limit", "0.01"])?;
    assert_eq!(placed.status.code(), Some(6), "{placed:?}");
    let said = String::from_utf8_lossy(&placed.stderr).into_owned();
    let why = said.lines().find_map(|line| line.strip_prefix("denied: ")).context("a reason")?;
    let id = String::from_utf8_lossy(&placed.stdout).trim().to_owned();
    eventually("the denied order is shown with its reason", Duration::from_secs(20), || {
        let shown = home.text(&["order", "show", &id])?;
        assert!(!shown.contains("client id"), "{shown}");
        Ok(shown.contains(&format!("because {why}")))
    })
}

#[test]
fn orders_by_hand_replay_and_stops_are_told_as_they_are() -> Outcome {
    let home = Home::new()?;
    let mut up = demo(&home)?;
    let mut symbol = Value::Null;
    eventually("there are bars", Duration::from_secs(30), || {
        symbol = rows(&home, &["bars"])?.first().map(|row| row["symbol"].clone()).unwrap_or_default();
        Ok(symbol.is_string())
    })?;
    let symbol = symbol.as_str().unwrap_or_default();
    // At moments that have nothing to do with the instants of the market.
    for _ in 0..15 {
        home.text(&["order", "place", "buy", symbol, "--qty", "1", "--no-wait"])?;
    }
    for command in [
        &["positions", "--account"][..],
        &["account"],
        &["order", "list", "--account"],
        &["order", "place", "buy", symbol, "--qty", "1", "--account"],
        &["halt", "--account"],
        &["limits", "set", "max_open_orders=3", "--account"],
    ] {
        refused(&home, &[command, &["nobody"]].concat(), 3, &["expected one of paper"])?;
    }
    let of_none = ["limits", "set", "max_open_orders=3", "--strategy", "sma_corss"];
    refused(&home, &of_none, 3, &["expected one of momentum, sma_cross"])?;
    for (of, is_told) in [("NOSUCH", true), (symbol, false)] {
        let set = home.run(&["limits", "set", "max_order_quantity=1000000", "--symbol", of])?;
        assert_eq!(set.status.code(), Some(0), "{set:?}");
        let said = String::from_utf8_lossy(&set.stderr).into_owned();
        assert_eq!(said.contains(&format!("the tape knows no symbol {of}")), is_told, "{said}");
    }
    let cheap = ["order", "place", "buy", symbol, "--qty", "1", "--take-profit", "0.01"];
    refused(&home, &cheap, 2, &["take_profit \"0.01\": expected a price above the last price of "])?;
    what_was_bought_by_hand_is_closed_alone(&home, symbol)?;
    what_risk_denied_says_why(&home, symbol)?;
    // A filter that nothing can be of is refused, not an empty list.
    let impossible: [(&[&str], i32, &str); 4] = [
        (&["actions", "--from", "2020-01-31", "--to", "2020-01-02"], 2, "expected a date that is not after"),
        (&["order", "list", "--strategy", "nobody"], 3, "expected one of "),
        (&["order", "list", "--side", "up"], 2, "--side up: expected buy or sell"),
        (&["tail", "--no-follow", "--subject", "order..x"], 2, "--subject \"order..x\": expected a subject"),
    ];
    for (arguments, code, words) in impossible {
        refused(&home, arguments, code, &[words])?;
    }
    for arguments in [&["kill", "--reason", "x"], &["kill", "--flatten"]] as [&[&str]; 2] {
        assert_eq!(home.run(arguments)?.status.code(), Some(2), "{arguments:?} names no scope");
    }
    assert_eq!(home.json(&["resume"])?["state"], "not stopped");
    home.text(&["halt", "--account", "paper", "--reason", "drill"])?;
    let other = home.run(&["resume"])?;
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("not stopped: all accounts, tape ") && !said.contains("nobody runs"), "{said}");
    assert!(said.contains("still in force: halt of paper, reduce-only"), "{said}");
    assert_eq!(rows(&home, &["account"])?[0]["state"], "reduce_only");
    // While it folds, the status may be a degraded one.
    let status = home.run(&["status"])?;
    let said = home.text(&["account"])? + &String::from_utf8_lossy(&status.stdout);
    assert!(said.contains("reduce-only: drill") && said.contains("REDUCE-ONLY paper by"), "{said}");
    // What is stricter stays, whatever is said after it.
    home.text(&["halt", "--account", "paper", "--state", "halted", "--reason", "looks odd"])?;
    for (weaker, state) in [("kill", "killed"), ("halt", "halted")] {
        let told = home.json(&[weaker, "--account", "paper"])?;
        assert_eq!(
            (&told["state"], &told["stays"]["reason"]),
            (&state.into(), &"looks odd".into()),
            "{told}"
        );
    }
    let said = home.run(&["halt", "--account", "paper"])?;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("trading stays halted: looks odd (by "), "{said}");
    assert_eq!(home.json(&["resume", "--account", "paper"])?["state"], "resumed");
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));
    let decisions = home.json(&["replay", "--verify"])?;
    assert!(!decisions.is_null());
    // It stands on this tape, which need not be the one that somebody thinks of.
    let said = String::from_utf8_lossy(&home.run(&["halt"])?.stderr).into_owned();
    assert!(said.contains("nobody runs tape ") && said.contains("tapedeck tape list"), "{said}");
    // Nor does anybody act upon an order there: that is said at once, with what to type.
    let placed = home.json(&["order", "place", "buy", symbol, "--qty", "1"])?;
    assert_eq!(placed["state"], "requested", "{placed}");
    let why = placed["reason"].as_str().unwrap_or_default();
    assert!(why.starts_with("nobody runs tape ") && why.contains("`tapedeck up --tape "), "{placed}");
    Ok(())
}
