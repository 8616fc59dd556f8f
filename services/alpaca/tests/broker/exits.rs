//! Pairs of exits: one request, two orders of ours.

use std::collections::BTreeSet;

use broker::{Broker as _, BrokerError};
use contracts::v1::{GroupKind, OrderSpec, OrderType, Side, TimeInForce};
use contracts::{child_order_id, client_order_id};
use serde_json::json;
use tapedeck_vendors::fault::{HttpFault, When};

use crate::support::{Desk, E9, OnTape, kinds, order};

/// A position of ten shares, and the exits that close it.
async fn held(desk: &mut Desk) -> [OrderSpec; 2] {
    let entry = order("entry", Side::Buy, 10);
    desk.submit(&entry).await.unwrap();
    desk.fill(&entry, "10", "187");
    let exit = |index, kind, limit_price_e9, stop_price_e9| OrderSpec {
        order_id: child_order_id(&entry.order_id, index),
        parent_id: entry.order_id.clone(),
        group_id: entry.order_id.clone(),
        group: GroupKind::Bracket.into(),
        order_type: i32::from(kind),
        time_in_force: TimeInForce::Gtc.into(),
        reducing: true,
        limit_price_e9,
        stop_price_e9,
        ..order("exit", Side::Sell, 10)
    };
    [exit(0, OrderType::Limit, Some(200 * E9), None), exit(1, OrderType::Stop, None, Some(170 * E9))]
}

#[tokio::test]
async fn one_exit_ends_the_other() {
    let mut desk = Desk::listening().await;
    let [target, stop] = held(&mut desk).await;
    desk.heard().await;
    let said = desk.broker.submit_pair([&target, &stop], 0).await.unwrap().unwrap();
    assert_eq!(kinds(&said), ["accepted", "accepted"]);
    let (mut of_target, mut of_stop) = (OnTape::of(&target), OnTape::of(&stop));
    assert_eq!((of_target.fold(&said), of_stop.fold(&said)), (1, 1));
    assert_eq!(of_stop.true_up(&mut desk.broker).await, Vec::<&str>::new(), "it waits at the broker");
    desk.fill(&target, "10", "200");
    let said = desk.heard().await;
    of_target.fold(&said);
    of_stop.fold(&said);
    assert_eq!(of_target.order.stage().name(), "filled");
    assert_eq!(of_stop.order.stage().name(), "cancelled", "{said:?}");
    // A process that remembers nothing finds the stop beside its target.
    desk.restart();
    let found = desk.lookup(&stop).await.unwrap();
    assert_eq!(kinds(&found), ["accepted", "cancelled"]);
    let mut again = OnTape::of(&stop);
    again.fold(&found);
    assert_eq!(again.order.broker_order_id, of_stop.order.broker_order_id);
}

#[tokio::test]
async fn a_pair_without_an_answer_is_found_whole() {
    let mut desk = Desk::open().await;
    let pair = held(&mut desk).await;
    let before = desk.orders();
    desk.arm("POST", "/v2/orders", When::After, HttpFault::Cut);
    let lost = desk.broker.submit_pair([&pair[0], &pair[1]], 0).await;
    assert!(matches!(lost, Err(BrokerError::Unknown { .. })));
    for exit in &pair {
        assert_eq!(kinds(&desk.lookup(exit).await.unwrap()), ["accepted"]);
    }
    let again = desk.broker.submit_pair([&pair[0], &pair[1]], 0).await.unwrap().unwrap();
    assert_eq!(kinds(&again), ["accepted", "accepted"]);
    assert_eq!(desk.orders(), before + 2, "the pair and nothing else");
}

#[tokio::test]
async fn both_of_a_pair_without_an_answer_are_listed_as_ours() {
    let mut desk = Desk::open().await;
    let pair = held(&mut desk).await;
    desk.arm("POST", "/v2/orders", When::After, HttpFault::Cut);
    desk.broker.submit_pair([&pair[0], &pair[1]], 0).await.unwrap_err();
    let listed = desk.broker.listed_orders("paper").await.unwrap().unwrap();
    let open = listed.into_iter().filter(|order| order.open).map(|order| order.client_order_id);
    let (open, ours): (BTreeSet<String>, BTreeSet<String>) =
        (open.collect(), pair.iter().map(|exit| client_order_id(&exit.order_id)).collect());
    assert_eq!(open, ours);
}

#[tokio::test]
async fn a_pair_that_is_refused_is_refused_whole() {
    let mut desk = Desk::open().await;
    let [target, stop] = held(&mut desk).await;
    let refuse =
        json!({"status": 403, "code": 40_310_000, "message": "insufficient qty available for order"});
    desk.plan(json!({"on_submit": {"refuse": refuse}}));
    let said = desk.broker.submit_pair([&target, &stop], 0).await.unwrap().unwrap();
    assert_eq!(kinds(&said), ["rejected", "rejected"]);
    let crossed = OrderSpec { stop_price_e9: Some(200 * E9), ..stop };
    let said = desk.broker.submit_pair([&target, &crossed], 0).await.unwrap().unwrap();
    assert_eq!(kinds(&said), ["rejected", "rejected"]);
    assert_eq!(desk.requests("POST", "/v2/orders"), 2, "the entry and the first pair");
}

#[tokio::test]
async fn the_stop_of_a_pair_can_be_cancelled() {
    let mut desk = Desk::listening().await;
    let [target, stop] = held(&mut desk).await;
    desk.broker.submit_pair([&target, &stop], 0).await.unwrap();
    desk.heard().await;
    assert_eq!(desk.broker.cancel(&stop, &client_order_id(&stop.order_id), 0).await.unwrap(), []);
    let said = desk.heard().await;
    assert!(said.iter().any(|report| report.order_id == stop.order_id), "{said:?}");
}
