//! Trading through a broker outside, from the command line: orders, a process that dies in the middle, what others do
//! there, and what it takes to trade with money.

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use anyhow::Context as _;
use domain::calendar::Calendar;
use serde_json::{Value, json};
use tapedeck_vendors::Vendors;
use tapedeck_vendors::alpaca_trading::{Act, Plan};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;

use crate::harness::{Home, Outcome, Running, eventually};

pub const DRAIN_MAX: Duration = Duration::from_secs(20);
pub const SOON: Duration = Duration::from_secs(60);
const MINUTE_NS: i64 = 60_000_000_000;

/// The stand-in as the broker of the account `paper`, and a home that trades through it.
pub struct Stage {
    /// What the program runs in.
    pub home: Home,
    /// Where its orders go.
    pub vendors: Vendors,
    // Last: what runs on it ends before.
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    /// A home of its own, and a stand-in within a session.
    pub fn new(mode: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Runtime::new()?;
        // Within a session, whatever day it is.
        let calendar = Calendar::xnys();
        let open_ns = calendar.previous_session_before(runtime::now_ns() - 20 * 3_600_000_000_000)?.open_ns;
        let script = Script { start_ns: open_ns + 60 * MINUTE_NS, ..Script::default() };
        let vendors = runtime.block_on(Vendors::start(script))?;
        let mut home = Home::new()?;
        home.set("APCA_API_KEY_ID", tapedeck_vendors::KEY);
        home.set("APCA_API_SECRET_KEY", tapedeck_vendors::SECRET);
        let stage = Self { home, vendors, runtime };
        stage.configure(mode)?;
        Ok(stage)
    }

    fn configure(&self, mode: &str) -> Outcome {
        self.home.configure(&format!(
            "[account.paper]\nbroker = \"alpaca\"\nmode = \"{mode}\"\nmax_position = 1\n\
             [account.paper.alpaca]\nbase_url = \"{}\"\nrequests_per_minute = 10000\n",
            self.vendors.addresses().http(Vendor::AlpacaTrading)
        ))
    }

    /// The program, once it says that it is up.
    pub fn up(&self, name: &str, more: &[&str]) -> anyhow::Result<Running> {
        let arguments = [&["up", "--tape", "main", "--no-progress"], more].concat();
        let running = self.home.spawn(name, &arguments)?;
        let is_up = eventually("everything is up", Duration::from_secs(90), || {
            Ok(self.home.printed(name)?.contains("Tapedeck is at"))
        });
        is_up.with_context(|| self.home.said(name))?;
        Ok(running)
    }

    /// Tells the tape a price of now, as a source of live bars does, and waits until the account is marked with it.
    pub fn price(&self, symbol: &str, dollars: i64) -> Outcome {
        let directory = self.home.path().join("tapes/main/nats");
        let port = std::fs::read_to_string(directory.join("port"))?;
        let users: Value = serde_json::from_slice(&std::fs::read(directory.join("services.json"))?)?;
        let ingest = users.as_array().into_iter().flatten().find(|user| user["user"] == "service-ingest");
        let password = ingest.and_then(|user| user["password"].as_str()).context("a password")?;
        let close_ns = runtime::now_ns() / MINUTE_NS * MINUTE_NS;
        let time = |ns| chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339();
        let price = (dollars * 1_000_000_000).to_string();
        let id = contracts::bar_id("test", symbol, "1m", close_ns);
        let event = json!({
            "id": id, "eventTime": time(close_ns), "source": "test",
            "bar": {
                "symbol": symbol, "timeframe": "1m", "start": time(close_ns - MINUTE_NS), "openE9": price,
                "highE9": price, "lowE9": price, "closeE9": price, "volumeE3": "1000000", "origin": "ORIGIN_LIVE",
            },
        });
        self.runtime.block_on(async {
            let options = async_nats::ConnectOptions::with_user_and_password(
                "service-ingest".to_owned(),
                password.to_owned(),
            );
            let options = options.custom_inbox_prefix("_INBOX_service-ingest");
            let client = options.connect(format!("nats://127.0.0.1:{}", port.trim())).await?;
            let mut headers = async_nats::HeaderMap::new();
            headers.insert("Nats-Msg-Id", id.as_str());
            headers.insert("Content-Type", "application/json");
            let subject = format!("market.bar.1m.{symbol}");
            client.publish_with_headers(subject, headers, event.to_string().into()).await?;
            anyhow::Ok(client.flush().await?)
        })?;
        eventually("the account is marked", SOON, || Ok(!self.tape("account.paper.marked")?.is_empty()))
    }

    /// Events under a subject.
    pub fn tape(&self, subject: &str) -> anyhow::Result<Vec<Value>> {
        let printed = self.home.text(&[
            "tail",
            "--tape",
            "main",
            "--subject",
            subject,
            "--from-seq",
            "1",
            "--no-follow",
            "--json",
        ])?;
        printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Asks for an order. Risk may hear a price a moment after the account was marked with it.
    fn ask(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let all = [&["order", "place"], arguments, &["--tape", "main", "--json"]].concat();
        let mut answer = None;
        eventually("risk has a price", SOON, || {
            let output = self.home.run(&all)?;
            let early = String::from_utf8_lossy(&output.stderr).contains("there is no price of");
            answer = (!early).then_some(output);
            Ok(answer.is_some())
        })?;
        answer.context("an answer")
    }

    /// Places an order that is taken; gives its id.
    pub fn place(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.ask(arguments)?;
        anyhow::ensure!(output.status.success(), "{arguments:?}: {output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        Ok(answer["order_id"].as_str().with_context(|| answer.to_string())?.to_owned())
    }

    fn order(&self, id: &str) -> anyhow::Result<Value> {
        let shown = self.home.json(&["order", "show", id, "--tape", "main"])?;
        Ok(shown.get("order").cloned().unwrap_or(shown))
    }

    /// Waits until an order stands so.
    pub fn until(&self, id: &str, status: &str) -> Outcome {
        let mut last = Value::Null;
        let waited = eventually(&format!("the order is {status}"), SOON, || {
            last = self.order(id).unwrap_or_default();
            Ok(last["status"] == status)
        });
        waited.with_context(|| format!("{last}"))
    }

    fn client(id: &str) -> String {
        contracts::client_order_id(id)
    }

    /// Does something with an order at the broker.
    pub fn act(&self, id: &str, act: Value) -> Outcome {
        let act: Act = serde_json::from_value(act)?;
        let done = self.vendors.stand.desk(|desk, market, _| desk.act(&Self::client(id), act, market));
        done.map_err(|refusal| anyhow::anyhow!(refusal.message))
    }

    /// Decides about an order before it comes.
    pub fn plan(&self, plan: Value) -> Outcome {
        let plan: Plan = serde_json::from_value(plan)?;
        self.vendors.stand.desk(|desk, _, _| desk.plan(plan));
        Ok(())
    }

    /// How many orders were sent, and how many the broker has.
    pub fn sent(&self) -> (usize, usize) {
        let requests = self.vendors.stand.ledger.requests(Some(Vendor::AlpacaTrading), "/v2/orders");
        let posted = requests.iter().filter(|request| request.method == "POST").count();
        (posted, self.vendors.stand.desk(|desk, _, _| desk.orders().len()))
    }
}

#[test]
fn orders_from_the_command_line_are_filled_there_and_a_killed_process_doubles_nothing() -> Outcome {
    let stage = Stage::new("paper")?;
    let mut up = stage.up("up", &[])?;
    stage.price("AAPL", 187)?;
    stage.vendors.stand.hold_price("AAPL", Some(1_870_000));

    // At once.
    let first = stage.place(&["buy", "AAPL", "--qty", "10"])?;
    stage.until(&first, "filled")?;
    let shown = stage.order(&first)?;
    let at_broker = stage.vendors.stand.desk(|desk, _, _| desk.orders()[0].clone());
    assert_eq!(at_broker.client_order_id, Stage::client(&first));
    assert_eq!(shown["broker"], "alpaca", "{shown}");
    assert_eq!(shown["broker_order_id"], at_broker.id.as_str(), "{shown}");
    let fills = stage.tape("fill.paper.manual.AAPL.>")?;
    assert_eq!(fills.len(), 1);
    let text = fills[0].to_string();
    assert!(text.contains(&format!("{}/10", at_broker.id)), "the fill bears the broker's ids: {text}");

    // Killed while an order works; it is filled while nobody listens.
    stage.plan(json!({"manual": true}))?;
    let second = stage.place(&["buy", "AAPL", "--qty", "6", "--limit", "187"])?;
    stage.until(&second, "accepted")?;
    up.kill()?;
    stage.act(&second, json!({"do": "fill", "qty": "4", "price": "186.5"}))?;
    stage.act(&second, json!({"do": "fill", "price": "186.75"}))?;
    let mut up = stage.up("again", &[])?;
    stage.until(&second, "filled")?;
    assert_eq!(stage.sent(), (2, 2));
    assert_eq!(stage.tape("fill.paper.manual.AAPL.>")?.len(), 3);
    let differed = stage.tape("account.paper.differed")?;
    assert_eq!(differed.len(), 2, "two fills were missing: {differed:?}");
    assert!(differed.iter().all(|event| event.to_string().contains("DIFFERENCE_RESOLUTION_ADOPTED")));

    // Killed before the answer to an order came.
    let fault = json!({
        "vendor": "alpaca_trading", "method": "POST", "path": "/v2/orders", "when": "after", "fault": "hang",
    });
    stage.vendors.stand.faults.on_request(serde_json::from_value(fault)?);
    let third = stage.place(&["buy", "AAPL", "--qty", "2", "--no-wait"])?;
    eventually("it is sent", SOON, || Ok(stage.sent() == (3, 3)))?;
    up.kill()?;
    let mut up = stage.up("third", &[])?;
    stage.until(&third, "filled")?;
    assert_eq!(stage.sent(), (3, 3), "it was asked for and not sent again");

    // What others do there becomes a position of `manual`, and everything agrees.
    let by_hand =
        json!({"symbol": "MSFT", "qty": "3", "side": "buy", "type": "market", "time_in_force": "day"});
    let stand = &stage.vendors.stand;
    let taken = stand.desk(|desk, market, settings| desk.submit(&by_hand, market, settings));
    taken.map_err(|refusal| anyhow::anyhow!(refusal.message))?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("third"));
    let mut up = stage.up("fourth", &[])?;
    eventually("the position is there", SOON, || Ok(!stage.tape("account.paper.external")?.is_empty()))?;
    let held: BTreeMap<String, String> = stage
        .home
        .json(&["positions", "--tape", "main"])?
        .as_array()
        .context("a list")?
        .iter()
        .map(|row| (row["symbol"].as_str().unwrap_or_default().to_owned(), row["quantity"].to_string()))
        .collect();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held["AAPL"].contains("18") && held["MSFT"].contains('3'), "{held:?}");
    let entries = stage.tape("account.paper.external")?.len();
    let before = stage.tape("account.paper.differed")?.len();
    assert_eq!(entries, 1, "once");

    let status = stage.home.run(&["status", "--tape", "main", "--json"])?;
    let status: Value = serde_json::from_slice(&status.stdout)?;
    assert_eq!(
        status["brokers"],
        json!([{
            "account": "paper", "broker": "alpaca", "mode": "paper", "broker_account": "PA0000000001",
            "blocked": null,
        }])
    );
    stage.home.text(&["projection", "verify", "--tape", "main"])?;
    stage.home.text(&["check", "--tape", "main"])?;
    let doctor = String::from_utf8_lossy(&stage.home.run(&["doctor", "--tape", "main"])?.stdout).into_owned();
    assert!(doctor.contains("account paper: Alpaca PA0000000001, paper"), "{doctor}");
    // Started once more, it finds nothing to settle.
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("fourth"));
    let mut up = stage.up("fifth", &[])?;
    let starts = || -> anyhow::Result<usize> {
        let all = stage.tape("account.paper.reconciled")?;
        Ok(all.iter().filter(|event| event.to_string().contains("\"start\"")).count())
    };
    eventually("it has looked", SOON, || Ok(starts()? == 5))?;
    assert_eq!(stage.tape("account.paper.differed")?.len(), before);
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("fifth"));
    // No secret is anywhere.
    let config = String::from_utf8_lossy(&stage.home.run(&["config", "check"])?.stderr).into_owned();
    assert!(config.contains("account.paper.alpaca.secret_env set"), "{config}");
    for name in ["up", "again", "third", "fourth", "fifth"] {
        let said = format!("{}{}", stage.home.said(name), stage.home.printed(name)?);
        assert!(!said.contains(tapedeck_vendors::SECRET), "{name}: {said}");
    }
    Ok(())
}

#[test]
fn an_order_is_replaced_and_cancelled_there() -> Outcome {
    let stage = Stage::new("paper")?;
    let mut up = stage.up("up", &[])?;
    stage.price("AAPL", 187)?;
    stage.plan(json!({"manual": true, "times": 2}))?;
    let id = stage.place(&["buy", "AAPL", "--qty", "6", "--limit", "180"])?;
    stage.until(&id, "accepted")?;
    stage.home.json(&["order", "replace", &id, "--qty", "8", "--limit", "181", "--tape", "main"])?;
    eventually("the new terms stand", SOON, || Ok(stage.order(&id)?["revision"] == 1))?;
    stage.home.text(&["order", "cancel", &id, "--tape", "main"])?;
    stage.until(&id, "cancelled")?;
    let orders = stage.vendors.stand.desk(|desk, _, _| desk.orders().to_vec());
    let stages: Vec<String> = orders.iter().map(|order| order.status.name()).collect();
    assert_eq!(stages, ["replaced", "canceled"]);
    let requests = stage.vendors.stand.ledger.requests(Some(Vendor::AlpacaTrading), "/v2/orders/");
    let count = |method: &str| requests.iter().filter(|request| request.method == method).count();
    assert_eq!((count("PATCH"), count("DELETE")), (1, 1));
    stage.home.text(&["projection", "verify", "--tape", "main"])?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("up"));
    Ok(())
}

#[test]
fn trading_with_money_takes_three_things_at_once() -> Outcome {
    let stage = Stage::new("paper")?;
    let refused = |more: &[&str], missing: &[&str]| -> Outcome {
        let output = stage.home.run(&[&["up", "--tape", "main"], more].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::ensure!(output.status.code() == Some(4), "{said}");
        let words = ["mode = \"live\"", "--live paper", "tapedeck live confirm"];
        for word in words {
            let named = said.contains(&format!("`{word}")) && said.contains("missing");
            anyhow::ensure!(named == missing.contains(&word), "{word}: {said}");
        }
        Ok(())
    };
    let (in_file, by_word) = ("mode = \"live\"", "tapedeck live confirm");
    refused(&["--live", "paper"], &[in_file, by_word])?;
    stage.configure("live")?;
    refused(&[], &["--live paper", by_word])?;
    refused(&["--live", "paper"], &[by_word])?;
    // Whoever knows when the exchange is open is asked.
    let doctor = stage.home.run(&["doctor"])?;
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("calendar: Alpaca's sessions of the next 60 days are ours"), "{said}");
    // The reason is part of it.
    let nothing = stage.home.run(&["live", "confirm", "paper", "--reason", " ", "--tape", "main"])?;
    assert_eq!(nothing.status.code(), Some(2));
    stage.home.text(&["live", "confirm", "paper", "--reason", "rehearsed for a month", "--tape", "main"])?;
    refused(&[], &["--live paper"])?;
    // What is there already is no hint.
    let hinted = stage.home.run(&["up", "--tape", "main"])?;
    assert!(String::from_utf8_lossy(&hinted.stderr).contains("tapedeck up --live paper"), "{hinted:?}");

    let mut up = stage.up("live", &["--live", "paper"])?;
    assert!(
        stage.home.printed("live")?.contains("live: orders move money"),
        "{}",
        stage.home.printed("live")?
    );
    eventually("the tape says so", SOON, || {
        let rows = stage.home.json(&["live", "status", "--tape", "main"])?;
        Ok(rows[0]["traded"] == "live" && rows[0]["reason"] == "rehearsed for a month")
    })?;
    let audit = stage.tape("audit.>")?;
    assert!(audit.iter().any(|event| event.to_string().contains("live_confirm")), "{audit:?}");
    // A strategy takes a command of its own.
    stage.home.text(&["strategy", "enable", "sma_cross", "--mode", "live", "--tape", "main"])?;
    let shown = stage.home.json(&["strategy", "show", "sma_cross", "--tape", "main"])?;
    assert_eq!(shown["state"], "live", "{shown}");
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("live"));

    stage.home.text(&["live", "revoke", "paper", "--reason", "holiday", "--tape", "main"])?;
    refused(&["--live", "paper"], &[by_word])?;
    let output = stage.home.run(&["strategy", "enable", "sma_cross", "--mode", "live", "--tape", "main"])?;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    // A demo sends nothing anywhere, whatever is configured.
    let output = stage.home.run(&["up", "--tape", "demo", "--live", "paper"])?;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    Ok(())
}

#[test]
fn an_account_with_a_simulated_past_goes_on_at_the_broker_on_another_tape_alone() -> Outcome {
    let stage = Stage::new("paper")?;
    stage.home.configure("[account.paper]\nmax_position = 1\n")?;
    let mut up = stage.up("simulated", &[])?;
    stage.price("SPY", 187)?;
    let order = stage.place(&["buy", "SPY", "--qty", "1"])?;
    stage.until(&order, "accepted")?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0));
    stage.configure("paper")?;
    let output = stage.home.run(&["up", "--tape", "main"])?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(
        said.contains("account.paper.broker") && said.contains("tape main has orders of paper"),
        "{said}"
    );
    assert!(said.contains("tapedeck up --market real --tape NAME"), "{said}");
    assert_eq!(stage.sent(), (0, 0));
    // A kind is stated once.
    let other = stage.home.run(&["up", "--tape", "main", "--market", "demo"])?;
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    let mut second =
        stage.home.spawn("second", &["up", "--tape", "second", "--market", "real", "--no-progress"])?;
    eventually("another tape is up", SOON, || {
        Ok(stage.home.printed("second")?.contains("(tape second, paper)"))
    })
    .with_context(|| stage.home.said("second"))?;
    eventually("it is traded there", SOON, || {
        let rows = stage.home.json(&["live", "status", "--tape", "second"])?;
        Ok(rows[0]["traded"] == "paper")
    })?;
    assert_eq!(second.interrupt(DRAIN_MAX)?, Some(0));
    Ok(())
}

#[test]
fn a_key_that_the_broker_does_not_take_stops_the_start() -> Outcome {
    let mut stage = Stage::new("paper")?;
    stage.home.set("APCA_API_SECRET_KEY", "another");
    for command in ["up", "doctor"] {
        let output = stage.home.run(&[command, "--tape", "main"])?;
        let said = [output.stderr, output.stdout].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_ne!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("alpaca refuses (401)") && !said.contains("another"), "{said}");
        if command == "up" {
            assert!(said.contains("account.paper.alpaca: "), "{said}");
        }
    }
    Ok(())
}

#[test]
fn an_order_that_cannot_be_checked_is_rejected_and_never_sent() -> Outcome {
    let stage = Stage::new("paper")?;
    let mut up = stage.up("unchecked", &[])?;
    stage.price("SPY", 187)?;
    let fault = json!({
        "vendor": "alpaca_trading", "method": "GET", "path": "/v2/assets/SPY", "times": 1, "fault": "answer",
        "status": 401,
    });
    stage.vendors.stand.faults.on_request(serde_json::from_value(fault)?);
    let output = stage.ask(&["buy", "SPY", "--qty", "1"])?;
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(told["state"], "rejected", "{told}");
    let reason = told["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("nothing was sent") && reason.contains("refuses (401)"), "{reason}");
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0));
    let mut up = stage.up("again", &[])?;
    let next = stage.place(&["buy", "SPY", "--qty", "1"])?;
    stage.until(&next, "filled")?;
    assert_eq!(stage.sent(), (1, 1), "the second one alone");
    let healthy = stage.home.run(&["status", "--tape", "main"])?;
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    // One that is lost on its way is asked for after two seconds and sent again: that is waited for.
    let lost = json!({
        "vendor": "alpaca_trading", "method": "POST", "path": "/v2/orders", "times": 1, "fault": "cut",
    });
    stage.vendors.stand.faults.on_request(serde_json::from_value(lost)?);
    let output = stage.ask(&["buy", "SPY", "--qty", "1"])?;
    let told: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(told["state"], "approved", "{told}");
    assert_eq!(stage.sent(), (3, 2), "sent twice, there once");
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0));
    Ok(())
}
