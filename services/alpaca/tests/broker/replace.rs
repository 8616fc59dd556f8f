//! Chains of replacements.

use broker::{Broker as _, BrokerError};
use contracts::client_order_id_of;
use domain::money::{Price, Quantity};
use domain::order::{BrokerReport, Replacement};
use serde_json::json;
use tapedeck_vendors::alpaca_trading::Act;
use tapedeck_vendors::fault::{HttpFault, When};

use crate::support::{Desk, E9, OnTape, kinds, limit};

/// Approves new terms and records the intent to ask for them.
fn asks(tape: &mut OnTape, revision: u32, shares: i64, cents: i64) {
    tape.order.replace = Some(Replacement {
        decision_id: "d".into(),
        revision,
        quantity: Quantity(shares * E9),
        limit: Some(Price(cents * E9 / 100)),
        stop: None,
        client_order_id: client_order_id_of(tape.order.id(), revision),
        reducing: false,
        requested: true,
    });
}

async fn worked(desk: &mut Desk) -> OnTape {
    let order = limit("chain", 10, 18_700);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    tape.fold(&desk.heard().await);
    tape
}

#[tokio::test]
async fn an_order_stays_one_through_its_replacements() {
    let mut desk = Desk::listening().await;
    let mut tape = worked(&mut desk).await;
    let spec = tape.order.spec.clone();
    desk.fill(&spec, "2", "186");
    tape.fold(&desk.heard().await);
    for (revision, shares, cents) in [(1, 12, 18_650), (2, 8, 18_600)] {
        asks(&mut tape, revision, shares, cents);
        assert_eq!(desk.broker.replace(&tape.order, 0).await.unwrap(), [], "taken is no proof");
        let said = desk.heard().await;
        assert!(kinds(&said).contains(&"replaced"), "{said:?}");
        tape.fold(&said);
        assert_eq!(tape.order.spec.quantity_e9, shares * E9);
        assert_eq!(tape.order.client_order_id, client_order_id_of(tape.order.id(), revision));
        assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new(), "revision {revision}");
    }
    let newest = client_order_id_of(tape.order.id(), 2);
    desk.act(&newest, serde_json::from_value(json!({"do": "fill", "price": "185"})).unwrap());
    tape.fold(&desk.heard().await);
    assert_eq!(tape.executions(), [(2, "186".to_owned()), (6, "185".to_owned())]);
    assert_eq!(tape.order.chain.len(), 2);
    assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
    // A process that remembers nothing finds the same through the chain of ids.
    desk.restart();
    let mut again = OnTape::of(&spec);
    again.true_up(&mut desk.broker).await;
    assert_eq!(again.executions(), tape.executions());
}

#[tokio::test]
async fn new_terms_without_an_answer_are_found_under_their_client_order_id() {
    let mut desk = Desk::open().await;
    let mut tape = worked_quietly(&mut desk).await;
    asks(&mut tape, 1, 12, 18_650);
    desk.arm("PATCH", "/v2/orders", When::After, HttpFault::Cut);
    assert!(matches!(desk.broker.replace(&tape.order, 0).await, Err(BrokerError::Unknown { .. })));
    let client = client_order_id_of(tape.order.id(), 1);
    let known = desk.broker.lookup(&tape.order.spec, &client).await.unwrap().unwrap();
    assert_eq!(kinds(&known.reports), ["replaced"]);
    assert_eq!(tape.fold(&known.reports), 1);
    // And those that never came are not.
    asks(&mut tape, 2, 14, 18_600);
    desk.arm("PATCH", "/v2/orders", When::Before, HttpFault::Cut);
    assert!(desk.broker.replace(&tape.order, 0).await.is_err());
    let client = client_order_id_of(tape.order.id(), 2);
    assert_eq!(desk.broker.lookup(&tape.order.spec, &client).await.unwrap(), None);
    assert_eq!(desk.requests("PATCH", "/v2/orders"), 2);
}

async fn worked_quietly(desk: &mut Desk) -> OnTape {
    let order = limit("chain", 10, 18_700);
    let mut tape = OnTape::of(&order);
    tape.fold(&desk.submit(&order).await.unwrap());
    tape
}

#[tokio::test]
async fn a_fill_that_was_quicker_leaves_the_terms() {
    let mut desk = Desk::listening().await;
    desk.plan(json!({"on_replace": "filled"}));
    let mut tape = worked(&mut desk).await;
    asks(&mut tape, 1, 12, 18_650);
    desk.broker.replace(&tape.order, 0).await.unwrap();
    let said = desk.heard().await;
    assert_eq!(kinds(&said), ["filled", "replace_rejected"]);
    tape.fold(&said);
    assert_eq!(tape.filled(), Quantity(10 * E9));
    assert_eq!(tape.true_up(&mut desk.broker).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_replacement_that_waits_is_not_asked_for_twice_and_may_be_refused() {
    let mut desk = Desk::listening().await;
    desk.plan(json!({"on_replace": "hold"}));
    let mut tape = worked(&mut desk).await;
    asks(&mut tape, 1, 12, 18_650);
    desk.broker.replace(&tape.order, 0).await.unwrap();
    let client = client_order_id_of(tape.order.id(), 1);
    let known = desk.broker.lookup(&tape.order.spec, &client).await.unwrap().unwrap();
    assert_eq!(known.reports, [], "nobody knows yet");
    desk.act(&contracts::client_order_id(tape.order.id()), Act::Refuse);
    assert!(kinds(&desk.heard().await).contains(&"replace_rejected"));
    let known = desk.broker.lookup(&tape.order.spec, &client).await.unwrap().unwrap();
    assert!(matches!(known.reports[0].report, BrokerReport::ReplaceRejected { .. }));
}

#[tokio::test]
async fn what_alpaca_cannot_replace_is_refused_with_words() {
    let mut desk = Desk::open().await;
    let mut tape = worked_quietly(&mut desk).await;
    asks(&mut tape, 1, 10, 18_700);
    let said = desk.broker.replace(&tape.order, 0).await.unwrap();
    let BrokerReport::ReplaceRejected { reason } = &said[0].report else { panic!("{said:?}") };
    assert!(reason.contains("42210000") && reason.contains("not changed"), "{reason}");
    asks(&mut tape, 1, 10, 18_700);
    tape.order.replace.as_mut().unwrap().limit = Some(Price(186_555_000_000));
    let said = desk.broker.replace(&tape.order, 0).await.unwrap();
    let BrokerReport::ReplaceRejected { reason } = &said[0].report else { panic!("{said:?}") };
    assert!(reason.contains("two decimals"), "{reason}");
    assert_eq!(desk.requests("PATCH", "/v2/orders"), 1);
}
