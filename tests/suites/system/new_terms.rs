//! New terms of orders on a tape clock: what is asked for in one instant knows each other and replays; who is no operator
//! asks in vain, and holds up nobody.

use std::time::Duration;

use async_nats::{Client, Message};
use contracts::Subject;
use contracts::v1::event::Body;
use contracts::v1::{Event, Intent, Signal, SignalLeg};
use futures::StreamExt as _;
use serde_json::Value;

use crate::hands::{register, rows, stored};
use crate::harness::{Home, Outcome, Running, eventually};
use crate::tapes::url;

const DRAIN_MAX: Duration = Duration::from_secs(20);

/// The demo with an account of whose own nobody trades, and which may hold 110 shares of a symbol.
const TWO: &str = r#"
[account.paper]

[account.alt]
cash = 1000000
max_position = 1.0
max_exposure = 1.0
max_order_value = 1000000

[[limits]]
account = "alt"
max_position_quantity = 110
"#;

/// A demo in which the broker works an order of `alt` to buy 100 shares, the order's symbol and its id.
fn demo(home: &Home) -> anyhow::Result<(Running, String, String)> {
    home.configure(TWO)?;
    let up = home.spawn("up", &["up"])?;
    eventually("a URL is printed", Duration::from_secs(40), || Ok(url(home, "up")?.is_some()))?;
    let mut symbol = Value::Null;
    eventually("there are bars", Duration::from_secs(30), || {
        symbol = rows(home, &["bars"])?.first().map(|row| row["symbol"].clone()).unwrap_or_default();
        Ok(symbol.is_string())
    })?;
    let symbol = symbol.as_str().unwrap_or_default().to_owned();
    let place = ["order", "place", "buy", &symbol, "--qty", "100", "--account", "alt"];
    // It follows the price at a distance that no bar crosses.
    let place = [&place[..], &["--trail-rate", "0.9", "--tif", "gtc"]].concat();
    eventually("it is approved", Duration::from_secs(60), || Ok(home.run(&place)?.status.success()))?;
    let mut id = String::new();
    eventually("it is worked", Duration::from_secs(30), || {
        let open = rows(home, &["order", "list", "--account", "alt", "--status", "accepted"])?;
        id = open.first().and_then(|row| row["order_id"].as_str()).unwrap_or_default().to_owned();
        Ok(!id.is_empty())
    })?;
    Ok((up, symbol, id))
}

/// Quantity and status of an order.
fn order(home: &Home, id: &str) -> anyhow::Result<(Value, Value)> {
    let all = rows(home, &["order", "list", "--account", "alt"])?;
    let row = all.into_iter().find(|row| row["order_id"] == id).unwrap_or_default();
    Ok((row["quantity"].clone(), row["status"].clone()))
}

/// Decisions, in the order of the tape, as they are printed.
fn decisions(home: &Home, account: &str) -> anyhow::Result<Vec<String>> {
    let subject = format!("risk.{account}.>");
    let printed = home.text(&["tail", "--subject", &subject, "--from-seq", "1", "--no-follow", "--json"])?;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// Waits until the clock stands for want of a strategy's acknowledgement.
fn stands(home: &Home, strategy: &str) -> anyhow::Result<bool> {
    let status = home.run(&["status", "--json"])?;
    Ok(String::from_utf8_lossy(&status.stdout).contains(&format!("external strategy {strategy}")))
}

fn bars(home: &Home) -> anyhow::Result<u64> {
    let status: Value = serde_json::from_slice(&home.run(&["status", "--json"])?.stdout)?;
    Ok(status.pointer("/counts/bars").and_then(Value::as_u64).unwrap_or_default())
}

fn goes_on(home: &Home) -> Outcome {
    let before = bars(home)?;
    eventually("more bars come", Duration::from_secs(30), || Ok(bars(home)? > before))
}

#[test]
fn what_is_asked_for_in_one_instant_knows_each_other_and_replays() -> Outcome {
    let home = Home::new()?;
    let (mut up, symbol, id) = demo(&home)?;
    // A strategy without a process holds the clock, so that all of it is decided in one instant.
    register(&home, "holder", &["--mode", "paper"])?;
    eventually("the clock stands", Duration::from_secs(30), || stands(&home, "holder"))?;
    let (asked, decided) = (stored(&home, "signal.manual.>")?, decisions(&home, "alt")?.len());
    let is_asked = |more: usize| {
        eventually("it is asked for", Duration::from_secs(20), || {
            Ok(stored(&home, "signal.manual.>")? == asked + more)
        })
    };
    let _fewer = home.spawn("fewer", &["order", "replace", &id, "--qty", "1"])?;
    is_asked(1)?;
    home.text(&["order", "place", "buy", &symbol, "--qty", "105", "--account", "alt", "--no-wait"])?;
    is_asked(2)?;
    let _again = home.spawn("again", &["order", "replace", &id, "--qty", "50"])?;
    is_asked(3)?;
    home.text(&["strategy", "disable", "holder", "--positions", "keep"])?;
    let mut made = Vec::new();
    eventually("all of it is decided", Duration::from_secs(30), || {
        made = decisions(&home, "alt")?.split_off(decided);
        Ok(made.len() >= 3)
    })?;
    let expected = ["risk.alt.approved", "\"max_position\"", "are under way (revision 1)"];
    for (decision, expected) in made.iter().zip(expected) {
        assert!(decision.contains(expected), "{expected}: {made:#?}");
    }
    goes_on(&home)?;
    eventually("the broker works it with the first terms", Duration::from_secs(20), || {
        Ok(order(&home, &id)? == ("1".into(), "replaced".into()))
    })?;
    // Once they are answered, others may be asked for.
    home.text(&["order", "replace", &id, "--qty", "60"])?;
    eventually("it has others", Duration::from_secs(20), || {
        Ok(order(&home, &id)? == ("60".into(), "replaced".into()))
    })?;
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));
    home.json(&["replay", "--verify"])?;
    home.text(&["check"])?;
    Ok(())
}

/// The next message of the strategy's consumer on MARKET, if there is one.
async fn next(client: &Client) -> anyhow::Result<Option<Message>> {
    let ask = r#"{"batch":1,"no_wait":true}"#;
    // It comes under the subject that it is stored under, so that a request would not know it for its answer.
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await?;
    let subject = "$JS.API.CONSUMER.MSG.NEXT.MARKET.strategy-evil";
    client.publish_with_reply(subject, inbox, ask.into()).await?;
    let message = tokio::time::timeout(Duration::from_secs(10), answers.next()).await?;
    Ok(message.filter(|message| message.status.is_none()))
}

async fn acknowledge(client: &Client, message: &Message) -> Outcome {
    let reply = message.reply.clone();
    let reply = reply.ok_or_else(|| anyhow::anyhow!("nothing to acknowledge: {message:?}"))?;
    client.publish(reply, "+ACK".into()).await?;
    Ok(client.flush().await?)
}

/// The bar that the clock waits for; those before it are acknowledged.
async fn present(home: &Home, client: &Client) -> anyhow::Result<Message> {
    let deadline = std::time::Instant::now() + Duration::from_secs(120);
    let mut last: Option<Message> = None;
    loop {
        while let Some(message) = next(client).await? {
            if let Some(past) = last.replace(message) {
                acknowledge(client, &past).await?;
            }
        }
        if last.is_some() && stands(home, "evil")? {
            return last.ok_or_else(|| anyhow::anyhow!("no bar"));
        }
        anyhow::ensure!(std::time::Instant::now() < deadline, "the clock never waits for it");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_that_asks_for_new_terms_is_denied_and_the_clock_goes_on() -> Outcome {
    let home = Home::new()?;
    let (mut up, symbol, id) = demo(&home)?;
    let login = register(&home, "evil", &["--mode", "paper"])?;
    let client = login.connect().await?;
    let message = present(&home, &client).await?;
    let bar = contracts::decode(&message.payload)?;
    let wish = |intent: Intent, replaces: &str, notional_e9: Option<i64>| SignalLeg {
        symbol: symbol.clone(),
        intent: intent.into(),
        quantity_e9: notional_e9.is_none().then_some(300_000_000_000),
        replaces: replaces.to_owned(),
        notional_e9,
        ..SignalLeg::default()
    };
    let wishes = [
        (wish(Intent::Buy, &id, None), "`legs[0].intent`"),
        (wish(Intent::EnterLong, &id, None), "`legs[0].replaces`"),
        (wish(Intent::Buy, "", None), "`legs[0].intent`"),
        (wish(Intent::EnterLong, "", Some(5_000_000_000)), "`legs[0].notional_e9`"),
    ];
    for (index, (leg, _)) in (0..).zip(&wishes) {
        let signal = Signal { strategy: "evil".to_owned(), legs: vec![leg.clone()], ..Signal::default() };
        let event = Event {
            id: contracts::signal_id("evil", &bar.id, index),
            event_time: bar.event_time,
            source: "evil".to_owned(),
            correlation_id: bar.id.clone(),
            causation_id: bar.id.clone(),
            body: Some(Body::Signal(signal)),
            ..Event::default()
        };
        let subject = Subject::signal("evil", &symbol).as_str().to_owned();
        let answer = client.request(subject, contracts::encode(&event).into()).await?;
        let answer = String::from_utf8_lossy(&answer.payload).into_owned();
        assert!(answer.contains("TRADING"), "{answer}");
    }
    acknowledge(&client, &message).await?;
    let mut denied = Vec::new();
    eventually("all of them are denied", Duration::from_secs(30), || {
        denied = decisions(&home, "paper")?;
        denied.retain(|line| line.contains("evil"));
        Ok(denied.len() == wishes.len())
    })?;
    for (line, (_, field)) in denied.iter().zip(&wishes) {
        assert!(line.contains("invalid_signal") && line.contains(field), "{field}: {denied:#?}");
    }
    home.text(&["strategy", "disable", "evil", "--positions", "keep"])?;
    goes_on(&home)?;
    assert_eq!(order(&home, &id)?, ("100".into(), "accepted".into()));
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", home.said("up"));
    home.json(&["replay", "--verify"])?;
    Ok(())
}
