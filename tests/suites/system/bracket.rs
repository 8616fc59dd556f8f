//! A bracket at a broker outside, and a program that dies with its servers while the bracket waits, while it is sent and while
//! its exits work: nothing is sent twice, and no position is without its exits.

use contracts::child_order_id;
use serde_json::{Value, json};
use tapedeck_vendors::alpaca_trading::Act;

use crate::alpaca::{DRAIN_MAX, SOON, Stage};
use crate::harness::{Outcome, eventually};

/// A limit entry that does not fill by itself at 187, and exits on either side.
const ENTRY: [&str; 10] =
    ["buy", "AAPL", "--qty", "8", "--limit", "186", "--take-profit", "200", "--stop-loss", "175"];

/// With a price of AAPL on the tape, which the broker holds it at, so that no exit is reached.
fn stage() -> anyhow::Result<Stage> {
    let stage = Stage::new("paper")?;
    let mut up = stage.up("first", &[])?;
    stage.price("AAPL", 187)?;
    stage.vendors.stand.hold_price("AAPL", Some(1_870_000));
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("first"));
    Ok(stage)
}

/// The exits of an entry: the one that takes the profit, and the one that stops the loss.
fn exits(entry: &str) -> [String; 2] {
    [0, 1].map(|index| child_order_id(entry, index))
}

/// Does something with the order that came to the broker in this place, counted from nought.
fn act(stage: &Stage, place: usize, act: Value) -> Outcome {
    let act: Act = serde_json::from_value(act)?;
    let done = stage.vendors.stand.desk(|desk, market, _| {
        let id = desk.orders()[place].id.clone();
        desk.act(&id, act, market)
    });
    done.map_err(|refusal| anyhow::anyhow!(refusal.message))
}

/// How the broker's orders stand, as they came.
fn statuses(stage: &Stage) -> Vec<String> {
    stage.vendors.stand.desk(|desk, _, _| desk.orders().iter().map(|order| order.status.name()).collect())
}

/// The next order lands, and its answer does not come.
fn lose_the_answer(stage: &Stage) -> Outcome {
    let fault = json!({
        "vendor": "alpaca_trading", "method": "POST", "path": "/v2/orders", "when": "after", "fault": "hang",
    });
    stage.vendors.stand.faults.on_request(serde_json::from_value(fault)?);
    Ok(())
}

/// What is held of AAPL, as the read model shows it.
fn held(stage: &Stage) -> anyhow::Result<String> {
    let rows = stage.home.json(&["positions", "--tape", "main"])?;
    let row = rows.as_array().into_iter().flatten().find(|row| row["symbol"] == "AAPL");
    Ok(row.and_then(|row| row["quantity"].as_str()).unwrap_or("0").to_owned())
}

/// Whether all agrees: the tape with itself, and with the broker.
fn agrees(stage: &Stage) -> Outcome {
    stage.home.text(&["projection", "verify", "--tape", "main"])?;
    stage.home.text(&["check", "--tape", "main"])?;
    let differed = stage.tape("account.paper.differed")?;
    let strange = differed.iter().find(|event| event.to_string().contains("DIFFERENCE_RESOLUTION_ALERT"));
    assert!(strange.is_none(), "somebody has to look: {strange:?}");
    Ok(())
}

#[test]
fn what_a_bracket_did_while_the_program_was_dead_is_taken_over() -> Outcome {
    let stage = stage()?;
    // Killed while the entry works; the broker fills it, and then its stop.
    let mut up = stage.up("entry", &[])?;
    stage.plan(json!({"manual": true}))?;
    let entry = stage.place(&[&ENTRY[..], &["--tif", "gtc"]].concat())?;
    stage.until(&entry, "accepted")?;
    let [target, stop] = exits(&entry);
    stage.until(&target, "submitted")?;
    assert_eq!(
        (stage.sent(), statuses(&stage)),
        ((1, 3), ["new", "held", "held"].map(String::from).to_vec())
    );
    up.kill()?;
    stage.act(&entry, json!({"do": "fill", "qty": "3", "price": "186"}))?;
    stage.act(&entry, json!({"do": "fill", "price": "185.5"}))?;
    act(&stage, 2, json!({"do": "fill", "price": "175"}))?;
    let mut up = stage.up("stopped", &[])?;
    stage.until(&entry, "filled")?;
    stage.until(&stop, "filled")?;
    stage.until(&target, "cancelled")?;
    assert_eq!((stage.sent(), held(&stage)?), ((1, 3), "0".to_owned()));

    // Killed before the answer came, and again while the exits work and one is filled in part.
    lose_the_answer(&stage)?;
    let exits_at = ["--take-profit", "200", "--stop-loss", "175"];
    let entry = stage.place(&[&["buy", "AAPL", "--qty", "6", "--no-wait"], &exits_at[..]].concat())?;
    eventually("it is sent", SOON, || Ok(stage.sent() == (2, 6)))?;
    up.kill()?;
    let mut up = stage.up("sent", &[])?;
    let [target, stop] = exits(&entry);
    stage.until(&entry, "filled")?;
    stage.until(&stop, "accepted")?;
    up.kill()?;
    act(&stage, 4, json!({"do": "fill", "qty": "2", "price": "200"}))?;
    let mut up = stage.up("part", &[])?;
    stage.until(&target, "partially_filled")?;
    assert_eq!(held(&stage)?, "4");
    act(&stage, 4, json!({"do": "fill", "price": "200.25"}))?;
    stage.until(&target, "filled")?;
    stage.until(&stop, "cancelled")?;
    assert_eq!((stage.sent(), held(&stage)?), ((2, 6), "0".to_owned()));
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("part"));
    agrees(&stage)
}

#[test]
fn exits_that_the_broker_does_not_hold_are_sent_once_by_whoever_starts_next() -> Outcome {
    let stage = stage()?;
    // A limit entry for the day keeps its exits here. It is filled while nobody is there to send them.
    let mut up = stage.up("entry", &[])?;
    stage.plan(json!({"manual": true}))?;
    let entry = stage.place(&ENTRY)?;
    stage.until(&entry, "accepted")?;
    assert_eq!(stage.sent(), (1, 1));
    up.kill()?;
    stage.act(&entry, json!({"do": "fill", "price": "186"}))?;
    // The next one sends them as a pair, and dies before it has the answer.
    lose_the_answer(&stage)?;
    let mut dying = stage.home.spawn("dying", &["up", "--tape", "main", "--no-progress"])?;
    eventually("the pair is sent", SOON, || Ok(stage.sent() == (2, 3)))?;
    dying.kill()?;
    let mut up = stage.up("pair", &[])?;
    let [target, stop] = exits(&entry);
    for exit in [&target, &stop] {
        stage.until(exit, "accepted")?;
    }
    assert_eq!((stage.sent(), held(&stage)?), ((2, 3), "8".to_owned()));
    up.kill()?;
    act(&stage, 2, json!({"do": "fill", "price": "174.5"}))?;
    let mut up = stage.up("stopped", &[])?;
    stage.until(&stop, "filled")?;
    stage.until(&target, "cancelled")?;
    assert_eq!((stage.sent(), held(&stage)?), ((2, 3), "0".to_owned()));
    assert_eq!(up.interrupt(DRAIN_MAX)?, Some(0), "{}", stage.home.said("stopped"));
    agrees(&stage)
}
