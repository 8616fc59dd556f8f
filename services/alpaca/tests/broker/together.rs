//! Entries that go with their exits: one request, one order that is worked, and exits that Alpaca holds.

use broker::{Broker as _, BrokerError, Outgoing, Report};
use contracts::v1::{GroupKind, OrderSpec, OrderType, Side, TimeInForce};
use contracts::{child_order_id, client_order_id};
use serde_json::json;
use tapedeck_vendors::alpaca_trading::Act;
use tapedeck_vendors::fault::{HttpFault, When};

use crate::support::{Desk, E9, OnTape, kinds, limit, reason};

/// Ten shares at 180, to be sold at 200 or at 170.
fn bracket() -> [OrderSpec; 3] {
    let order = limit("together", 10, 18_000);
    let entry = OrderSpec {
        group_id: order.order_id.clone(),
        group: GroupKind::Bracket.into(),
        time_in_force: TimeInForce::Gtc.into(),
        ..order
    };
    let exit = |index, kind: OrderType, limit_price_e9, stop_price_e9| OrderSpec {
        order_id: child_order_id(&entry.order_id, index),
        parent_id: entry.order_id.clone(),
        side: Side::Sell.into(),
        order_type: kind.into(),
        reducing: true,
        limit_price_e9,
        stop_price_e9,
        ..entry.clone()
    };
    let target = exit(0, OrderType::Limit, Some(200 * E9), None);
    let stop = exit(1, OrderType::Stop, None, Some(170 * E9));
    [entry, target, stop]
}

impl Desk {
    async fn submit_whole(&mut self, orders: &[OrderSpec; 3]) -> Result<Vec<Report>, BrokerError> {
        let [order, target, stop] = orders;
        let client_order_id = client_order_id(&order.order_id);
        let entry = Outgoing { order: order.clone(), client_order_id, now_ns: 0 };
        Ok(self.broker.submit_with_exits(&entry, &[target, stop]).await?.unwrap())
    }

    /// Kinds of what is known of an order; `None` where it is not known.
    async fn known(&mut self, order: &OrderSpec) -> Option<Vec<&'static str>> {
        self.lookup(order).await.map(|reports| kinds(&reports))
    }

    /// Client order ids that Alpaca made up for the target and the stop.
    fn legs(&self) -> [String; 2] {
        self.vendors.stand.desk(|desk, _, _| [1, 2].map(|place| desk.orders()[place].client_order_id.clone()))
    }

    fn statuses(&self) -> Vec<String> {
        self.vendors.stand.desk(|desk, _, _| desk.orders().iter().map(|order| order.status.name()).collect())
    }

    fn end_entry(&self, entry: &OrderSpec, act: Act) {
        self.act(&client_order_id(&entry.order_id), act);
    }
}

fn of<'said>(said: &'said [Report], order: &OrderSpec) -> Vec<&'said Report> {
    said.iter().filter(|report| report.order_id == order.order_id).collect()
}

#[tokio::test]
async fn exits_are_held_until_the_entry_is_filled_and_one_ends_the_other() {
    let mut desk = Desk::listening().await;
    let orders = bracket();
    let [entry, target, stop] = &orders;
    assert_eq!(
        kinds(&desk.submit_whole(&orders).await.unwrap()),
        ["accepted"],
        "the entry alone is answered"
    );
    assert_eq!((desk.requests("POST", "/v2/orders"), desk.orders()), (1, 3));
    for exit in [target, stop] {
        assert_eq!(desk.known(exit).await, Some(Vec::new()), "there is nothing to say of it");
        assert_eq!(desk.broker.truth(&OnTape::of(exit).order).await.unwrap(), None);
    }
    desk.fill(entry, "4", "180");
    assert_eq!(desk.known(stop).await, Some(Vec::new()), "not before the entry is filled whole");
    desk.fill(entry, "6", "180");
    assert_eq!(kinds(&desk.heard().await).iter().filter(|kind| **kind == "filled").count(), 2);
    let (mut of_target, mut of_stop) = (OnTape::of(target), OnTape::of(stop));
    assert_eq!(of_target.true_up(&mut desk.broker).await, ["accepted"]);
    assert_eq!(of_stop.true_up(&mut desk.broker).await, ["accepted"]);
    desk.act(&desk.legs()[0], serde_json::from_value(json!({"do": "fill", "price": "200"})).unwrap());
    let said = desk.heard().await;
    assert_eq!((of_target.fold(&said), of_stop.fold(&said)), (1, 1), "{said:?}");
    assert_eq!((of_target.order.stage().name(), of_stop.order.stage().name()), ("filled", "cancelled"));
}

#[tokio::test]
async fn a_new_process_finds_the_exits_of_an_entry_that_was_filled_meanwhile() {
    let mut desk = Desk::open().await;
    let orders = bracket();
    let [entry, target, stop] = &orders;
    desk.submit_whole(&orders).await.unwrap();
    desk.restart();
    let listed = desk.broker.listed_orders("paper").await.unwrap().unwrap();
    let mut listed: Vec<String> = listed.into_iter().map(|order| order.client_order_id).collect();
    let mut ours: Vec<String> = orders.iter().map(|order| client_order_id(&order.order_id)).collect();
    listed.sort();
    ours.sort();
    assert_eq!(listed, ours, "legs are no orders of others");
    desk.fill(entry, "10", "180");
    desk.restart();
    assert_eq!(desk.known(stop).await.unwrap(), ["accepted"]);
    desk.act(&desk.legs()[1], serde_json::from_value(json!({"do": "fill", "price": "169"})).unwrap());
    desk.restart();
    assert_eq!(desk.known(stop).await.unwrap(), ["accepted", "filled"]);
    assert_eq!(desk.known(target).await.unwrap(), ["accepted", "cancelled"]);
    assert_eq!(desk.orders(), 3, "nothing else was sent");
}

#[tokio::test]
async fn what_an_entry_filled_before_it_ended_gets_exits_of_its_own() {
    let mut desk = Desk::listening().await;
    let orders = bracket();
    let [entry, target, stop] = &orders;
    desk.submit_whole(&orders).await.unwrap();
    desk.fill(entry, "4", "180");
    desk.end_entry(entry, Act::Expire);
    desk.heard().await;
    assert_eq!((desk.known(target).await, desk.known(stop).await), (None, None), "they ended with it");
    let sized = |order: &OrderSpec| OrderSpec { quantity_e9: 4 * E9, ..order.clone() };
    let said = desk.broker.submit_pair([&sized(target), &sized(stop)], 0).await.unwrap().unwrap();
    assert_eq!(kinds(&said), ["accepted", "accepted"]);
    desk.heard().await;
    let late = serde_json::from_value(json!({"do": "announce", "event": "canceled"})).unwrap();
    desk.act(&desk.legs()[1], late);
    assert_eq!(desk.heard().await, [], "that a leg ended says nothing of what took its place");
    desk.restart();
    for exit in [target, stop] {
        assert_eq!(desk.known(exit).await.unwrap(), ["accepted"]);
    }
    assert_eq!(desk.orders(), 5);
}

#[tokio::test]
async fn an_exit_that_took_the_place_of_its_leg_is_the_one_that_is_cancelled() {
    let mut desk = Desk::open().await;
    let orders = bracket();
    let [entry, target, stop] = &orders;
    desk.submit_whole(&orders).await.unwrap();
    desk.fill(entry, "4", "180");
    desk.end_entry(entry, Act::Expire);
    let sized = |order: &OrderSpec| OrderSpec { quantity_e9: 4 * E9, ..order.clone() };
    desk.arm("POST", "/v2/orders", When::After, HttpFault::Cut);
    let said = desk.broker.submit_pair([&sized(target), &sized(stop)], 0).await;
    assert!(matches!(said, Err(BrokerError::Unknown { .. })), "{said:?}");
    for exit in [target, stop] {
        assert_eq!(desk.known(exit).await.unwrap(), ["accepted"], "it landed");
    }
    assert_eq!(desk.cancel(stop).await.unwrap(), [], "it works, and its leg has ended before");
    assert_eq!(desk.statuses()[3..], ["canceled"; 2]);
}

#[tokio::test]
async fn an_exit_waits_for_the_end_of_its_leg() {
    let mut desk = Desk::open().await;
    let orders = bracket();
    let [entry, target, stop] = &orders;
    desk.submit_whole(&orders).await.unwrap();
    desk.fill(entry, "4", "180");
    desk.end_entry(entry, Act::Expire);
    let announce = |event, status| {
        serde_json::from_value(json!({"do": "announce", "event": event, "status": status})).unwrap()
    };
    let [leg, _] = desk.legs();
    desk.act(&leg, announce("pending_cancel", "pending_cancel"));
    assert_eq!((desk.known(target).await, desk.known(stop).await), (None, None), "it is on its way out");
    let sized = |order: &OrderSpec| OrderSpec { quantity_e9: 4 * E9, ..order.clone() };
    let pair = [&sized(target), &sized(stop)];
    let said = desk.broker.submit_pair(pair, 0).await;
    assert!(matches!(said, Err(BrokerError::Unchecked { .. })), "{said:?}");
    desk.act(&leg, announce("canceled", "canceled"));
    let said = desk.broker.submit_pair(pair, 0).await.unwrap().unwrap();
    assert_eq!(kinds(&said), ["accepted", "accepted"]);
    assert_eq!(desk.orders(), 5, "once");
}

#[tokio::test]
async fn exits_of_an_entry_that_filled_nothing_end_with_it() {
    let mut desk = Desk::open().await;
    let orders = bracket();
    desk.submit_whole(&orders).await.unwrap();
    desk.end_entry(&orders[0], Act::Cancel);
    for exit in &orders[1..] {
        assert_eq!(desk.known(exit).await.unwrap(), ["accepted", "cancelled"]);
    }
}

#[tokio::test]
async fn without_an_answer_an_entry_is_found_with_its_exits() {
    let mut desk = Desk::open().await;
    let orders = bracket();
    let [entry, _, stop] = &orders;
    desk.arm("POST", "/v2/orders", When::Before, HttpFault::Cut);
    assert!(matches!(desk.submit_whole(&orders).await, Err(BrokerError::Unknown { .. })));
    assert_eq!((desk.known(entry).await, desk.known(stop).await), (None, None), "it never came");
    desk.arm("POST", "/v2/orders", When::After, HttpFault::Cut);
    assert!(matches!(desk.submit_whole(&orders).await, Err(BrokerError::Unknown { .. })));
    assert_eq!(desk.known(entry).await.unwrap(), ["accepted"]);
    assert_eq!(desk.known(stop).await, Some(Vec::new()));
    assert_eq!(kinds(&desk.submit_whole(&orders).await.unwrap()), ["accepted"]);
    assert_eq!(desk.orders(), 3, "once");
}

#[tokio::test]
async fn what_is_refused_is_refused_whole() {
    let mut desk = Desk::open().await;
    let orders = bracket();
    let refuse = json!({"status": 403, "code": 40_310_000, "message": "insufficient buying power"});
    desk.plan(json!({"on_submit": {"refuse": refuse}}));
    assert!(reason(&desk.submit_whole(&orders).await.unwrap()).contains("insufficient buying power"));
    let [entry, target, stop] = orders;
    let fine = OrderSpec { stop_price_e9: Some(170 * E9 + 1), ..stop };
    let said = desk.submit_whole(&[entry, target, fine]).await.unwrap();
    assert!(reason(&said).contains("stop price"), "{said:?}");
    assert_eq!((desk.requests("POST", "/v2/orders"), desk.orders()), (1, 0));
}

#[tokio::test]
async fn a_held_exit_that_is_cancelled_takes_its_group_with_it() {
    let mut desk = Desk::listening().await;
    let orders = bracket();
    let [entry, target, stop] = &orders;
    desk.submit_whole(&orders).await.unwrap();
    desk.fill(entry, "4", "180");
    desk.heard().await;
    assert_eq!(desk.cancel(stop).await.unwrap(), []);
    let said = desk.heard().await;
    for order in &orders {
        assert_eq!(of(&said, order).len(), 1, "{said:?}");
    }
    assert_eq!(desk.known(target).await, None, "four shares are without it");
}

#[tokio::test]
async fn a_held_exit_is_known_to_whoever_never_sent_it() {
    let mut desk = Desk::open().await;
    let orders = bracket();
    desk.submit_whole(&orders).await.unwrap();
    desk.restart();
    assert_eq!(desk.cancel(&orders[1]).await.unwrap(), []);
    assert_eq!(desk.statuses(), ["canceled"; 3]);
}
