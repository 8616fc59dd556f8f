//! The race that must not exist, through the whole system: a thousand signals of twenty strategies at the same time
//! against one limit, with a nats-server, PostgreSQL and every service. `services/risk/tests/risk/race.rs` does the same
//! to risk alone, over the tape in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use async_nats::Client;
use local_servers::testing::{TestNats, TestPostgres};
use serde_json::{Value, json};

use crate::harness::{Home, Outcome, eventually};
use crate::tapes::url;
use crate::telemetry::client;

const SOON: Duration = Duration::from_secs(60);
/// How long a thousand decisions may take.
const DECIDED_MAX: Duration = Duration::from_secs(120);
const TAPE: [&str; 2] = ["--tape", "main"];
const STRATEGIES: usize = 20;
const SYMBOLS: usize = 50;
const MINUTE_NS: i64 = 60_000_000_000;
/// 257,000 of exposure are 25 orders of 100 shares at 100.
const LIMIT: &str = "max_gross_exposure=257000";
const APPROVED: usize = 25;
const CONFIGURATION: &str = "[account.paper]\ncash = 1000000\nmax_position = 1\nmax_exposure = 10\n\
                             max_order_value = 1000000\nmax_daily_loss = 1\nmax_price_age_s = 86400\n";

/// Puts an event on the tape; gives its sequence.
async fn put(client: &Client, subject: &str, event: &Value) -> anyhow::Result<u64> {
    let answer = client.request(subject.to_owned(), event.to_string().into()).await?;
    let said: Value = serde_json::from_slice(&answer.payload)?;
    said["seq"].as_u64().with_context(|| format!("{subject}: {said}"))
}

fn time(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).to_rfc3339()
}

fn strategy(number: usize) -> String {
    format!("racer{number}")
}

/// Registers and enables the strategies, and prices every symbol; gives the last sequence of MARKET.
async fn prepare(client: &Client, now_ns: i64) -> anyhow::Result<u64> {
    for name in (0..STRATEGIES).map(strategy) {
        let registered = json!({
            "id": format!("registered-{name}"), "eventTime": time(now_ns),
            "strategyRegistered": {
                "strategy": name, "account": "paper",
                "sizing": { "kind": "SIZING_KIND_FIXED", "valueE9": "100000000000" },
            },
        });
        put(client, &format!("control.strategy.{name}.registered"), &registered).await?;
        let enabled = json!({
            "id": format!("enabled-{name}"), "eventTime": time(now_ns),
            "strategyEnabled": { "strategy": name, "mode": "STRATEGY_MODE_PAPER", "actor": "test" },
        });
        put(client, &format!("control.strategy.{name}.enabled"), &enabled).await?;
    }
    let (close_ns, price, mut last) = (now_ns / MINUTE_NS * MINUTE_NS, "100000000000", 0);
    for symbol in 0..SYMBOLS {
        let bar = json!({
            "id": format!("bar-{symbol}"), "eventTime": time(close_ns), "source": "test",
            "bar": {
                "symbol": format!("S{symbol}"), "timeframe": "1m", "start": time(close_ns - MINUTE_NS),
                "openE9": price, "highE9": price, "lowE9": price, "closeE9": price, "volumeE3": "1000000",
                "origin": "ORIGIN_LIVE",
            },
        });
        last = put(client, &format!("market.bar.1m.S{symbol}"), &bar).await?;
    }
    Ok(last)
}

/// One strategy's signals, one of each symbol, as fast as the tape takes them.
async fn race(client: Client, name: String, now_ns: i64, market: u64) -> Outcome {
    for symbol in 0..SYMBOLS {
        let signal = json!({
            "id": format!("signal-{name}-{symbol}"), "eventTime": time(now_ns), "source": name,
            "basis": [{ "stream": "MARKET", "sequence": market.to_string() }],
            "signal": {
                "strategy": name,
                "legs": [{
                    "symbol": format!("S{symbol}"), "intent": "INTENT_ENTER_LONG",
                    "timeInForce": "TIME_IN_FORCE_GTC",
                }],
            },
        });
        put(&client, &format!("signal.{name}.S{symbol}"), &signal).await?;
    }
    Ok(())
}

/// Events under a subject.
fn events(home: &Home, subject: &str) -> anyhow::Result<Vec<Value>> {
    let arguments = ["tail", "--subject", subject, "--from-seq", "1", "--no-follow", "--json"];
    let printed = home.text(&[&arguments[..], &TAPE].concat())?;
    printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_signals_at_once_never_pass_a_limit_together() -> Outcome {
    let nats = TestNats::start().await?;
    let database = TestPostgres::shared().await?.create_database(None).await?;
    let mut home = Home::new()?;
    home.configure(CONFIGURATION)?;
    home.set("NATS_URL", &nats.url());
    home.set("DATABASE_URL", database.url());
    let mut up = home.spawn("up", &[&["up"][..], &TAPE].concat())?;
    eventually("a URL is printed", SOON, || Ok(url(&home, "up")?.is_some()))?;
    let limit = ["limits", "set", "--account", "paper", LIMIT, "--reason", "race"];
    home.text(&[&limit[..], &TAPE].concat())?;
    let (client, now_ns) = (client(&nats).await?, runtime::now_ns());
    let market = prepare(&client, now_ns).await?;
    eventually("the account is marked", SOON, || Ok(!events(&home, "account.paper.marked")?.is_empty()))?;

    let racers: Vec<_> = (0..STRATEGIES)
        .map(|number| tokio::spawn(race(client.clone(), strategy(number), now_ns, market)))
        .collect();
    for racer in racers {
        racer.await??;
    }
    let mut decisions = Vec::new();
    eventually("every signal is decided", DECIDED_MAX, || {
        decisions = events(&home, "risk.paper.>")?;
        Ok(decisions.len() >= STRATEGIES * SYMBOLS)
    })?;

    let (mut orders, mut denied, mut decided) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
    for line in &decisions {
        let decision = &line["event"]["riskDecision"];
        let word = |field: &str| decision[field].as_str().unwrap_or_default().to_owned();
        decided.insert(word("signalId"));
        if word("verdict") != "VERDICT_APPROVED" {
            *denied.entry(word("rule")).or_insert(0_usize) += 1;
        }
        for order in decision["orders"].as_array().into_iter().flatten() {
            assert_eq!(order["quantityE9"], "100000000000", "{order}");
            orders.insert(order["orderId"].as_str().unwrap_or_default().to_owned());
        }
    }
    assert_eq!((decisions.len(), decided.len()), (STRATEGIES * SYMBOLS, STRATEGIES * SYMBOLS));
    assert_eq!(orders.len(), APPROVED, "{denied:?}");
    // Where the machine is slow a signal may wait too long for the read model, which denies it too.
    let of = |rule: &str| denied.get(rule).copied().unwrap_or_default();
    let known = of("max_gross_exposure") + of("stale_read_model");
    assert_eq!(known, STRATEGIES * SYMBOLS - APPROVED, "{denied:?}");

    // What was approved went out, each once, and tape and read model agree about it.
    let mut sent = BTreeSet::new();
    eventually("every order is sent", SOON, || {
        let submitted = events(&home, "order.paper.*.*.*.submitted")?;
        let id =
            |line: &Value| line["event"]["orderSubmitted"]["order"]["orderId"].as_str().map(str::to_owned);
        sent = submitted.iter().filter_map(id).collect();
        anyhow::ensure!(sent.len() == submitted.len(), "an order was sent twice");
        Ok(sent.len() >= APPROVED)
    })?;
    assert_eq!(sent, orders);
    home.text(&[&["projection", "verify"][..], &TAPE].concat())?;
    home.text(&[&["check"][..], &TAPE].concat())?;
    assert_eq!(up.interrupt(Duration::from_secs(20))?, Some(0), "{}", home.said("up"));
    Ok(())
}
