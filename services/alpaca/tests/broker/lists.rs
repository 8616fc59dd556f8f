//! Lists that are longer than a page, and what Alpaca books without a trade.

use std::collections::BTreeSet;
use std::time::Duration;

use broker::{ActivityKind, Broker as _};
use domain::money::{Amount, Quantity};
use serde_json::{Value, json};

use crate::support::{Desk, E9};

/// 2026-01-06, 15:00 UTC, which is when the stand-in's market begins.
const START_NS: i64 = 1_767_711_600 * E9;

impl Desk {
    fn books(&self, activity: &Value) {
        let other = serde_json::from_value(activity.clone()).unwrap();
        self.vendors.stand.desk(|desk, market, _| desk.add_activity(other, market));
    }
}

#[tokio::test]
async fn every_order_is_listed_however_many_there_are() {
    let mut desk = Desk::open().await;
    for batch in 0..17 {
        for number in 0..60 {
            let order = json!({
                "symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "gtc",
                "limit_price": "1", "client_order_id": format!("{batch}-{number}"),
            });
            let taken =
                desk.vendors.stand.desk(|desk, market, settings| desk.submit(&order, market, settings));
            assert!(taken.is_ok());
        }
        desk.vendors.stand.advance(Duration::from_secs(2));
    }
    let listed = desk.broker.listed_orders("paper").await.unwrap().unwrap();
    let ids: BTreeSet<&str> = listed.iter().map(|order| order.broker_order_id.as_str()).collect();
    assert_eq!((listed.len(), ids.len()), (1_020, 1_020), "each of them once");
    assert!(listed.iter().all(|order| order.open && order.filled == Some(Quantity::ZERO)));
    assert_eq!(desk.requests("GET", "/v2/orders"), 6, "of what is open three pages, and of what is of late");
    // An order that is in both lists counts as it stands in the one that is read last.
    desk.vendors.stand.desk(|desk, market, _| {
        let first = desk.orders()[0].id.clone();
        desk.cancel(&first, market).unwrap();
    });
    let listed = desk.broker.listed_orders("paper").await.unwrap().unwrap();
    assert_eq!(listed.iter().filter(|order| order.open).count(), 1_019);
}

#[tokio::test]
async fn what_is_booked_without_a_trade_is_read_page_by_page() {
    let mut desk = Desk::open().await;
    desk.books(
        &json!({"activity_type": "CSD", "net_amount": "250000", "created_at": "2026-01-05T15:00:00Z"}),
    );
    for number in 0..130 {
        let fee = format!("-0.{:02}", number % 100);
        desk.books(&json!({"activity_type": "FEE", "net_amount": fee}));
    }
    desk.books(&json!({
        "activity_type": "DIV", "symbol": "AAPL", "net_amount": "2.6", "qty": "10", "per_share_amount": "0.26",
    }));
    desk.books(&json!({"activity_type": "CSW", "net_amount": "-1000", "status": "canceled"}));
    desk.books(&json!({"activity_type": "SPLIT", "symbol": "NVDA", "qty": "90", "net_amount": null}));
    let told = desk.broker.activities("paper", START_NS - 1).await.unwrap().unwrap();
    assert!(told.unread.is_empty(), "{:?}", told.unread);
    let told = told.activities;
    let ids: BTreeSet<&str> = told.iter().map(|activity| activity.id.as_str()).collect();
    assert_eq!((told.len(), ids.len()), (133, 133), "the deposit was before");
    assert_eq!(desk.requests("GET", "/v2/account/activities"), 2);
    assert!(told.iter().all(|activity| activity.at_ns == START_NS));
    let of = |kind: ActivityKind| told.iter().filter(move |activity| activity.kind == kind);
    assert_eq!(of(ActivityKind::Fee).count(), 130);
    let dividend = of(ActivityKind::Dividend).next().unwrap();
    assert_eq!((dividend.symbol.as_str(), dividend.word.as_str()), ("AAPL", "DIV"));
    assert_eq!(dividend.amount, Amount(i128::from(26 * E9 / 10)));
    let withdrawal = of(ActivityKind::Transfer).next().unwrap();
    assert_eq!((withdrawal.amount, withdrawal.cancelled), (Amount(i128::from(-1_000 * E9)), true));
    let split = of(ActivityKind::Split).next().unwrap();
    assert_eq!((split.symbol.as_str(), split.amount), ("NVDA", Amount::ZERO));
}

#[tokio::test]
async fn an_activity_that_cannot_be_read_is_named_and_the_others_count() {
    let mut desk = Desk::open().await;
    desk.books(&json!({"id": "fee-1", "activity_type": "FEE", "net_amount": "plenty"}));
    desk.books(&json!({"id": "fee-2", "activity_type": "FEE", "net_amount": "-0.07"}));
    let told = desk.broker.activities("paper", START_NS - 1).await.unwrap().unwrap();
    assert_eq!(told.unread, ["activity fee-1: net_amount is no number"]);
    let ids: Vec<&str> = told.activities.iter().map(|activity| activity.id.as_str()).collect();
    assert_eq!(ids, ["fee-2"]);
}
