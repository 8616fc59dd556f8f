//! What closes positions is sent side by side, some at a time, and waits for no question.

use broker::{Broker as _, Outgoing};
use contracts::v1::{OrderSpec, OrderType, Side};
use contracts::{client_order_id, order_id};
use serde_json::json;
use tapedeck_vendors::ledger::Vendor;

use crate::support::{Desk, kinds, order};

const CLOSINGS: i64 = 12;
/// What the adapter sends at once.
const SIDE_BY_SIDE: usize = 8;
/// How long an answer takes.
const ANSWER_MS: u64 = 250;

fn closing(name: &str) -> Outgoing {
    Outgoing {
        order: OrderSpec { reducing: true, ..order(name, Side::Sell, 1) },
        client_order_id: client_order_id(&order_id(name, 0)),
        now_ns: 0,
    }
}

#[tokio::test]
async fn closings_go_side_by_side_and_ask_for_nothing_first() {
    let mut desk = Desk::open().await;
    let entry = order("entry", Side::Buy, CLOSINGS);
    desk.submit(&entry).await.unwrap();
    desk.fill(&entry, &CLOSINGS.to_string(), "187");
    desk.restart();
    let asked = desk.requests("GET", "/v2/assets");
    let slow = json!({
        "vendor": "alpaca_trading", "method": "POST", "path": "/v2/orders", "times": CLOSINGS, "fault": "delay",
        "ms": ANSWER_MS,
    });
    desk.vendors.stand.faults.on_request(serde_json::from_value(slow).unwrap());
    let mut orders: Vec<Outgoing> =
        (0..CLOSINGS).map(|number| closing(&format!("closing {number}"))).collect();
    // One breaks a rule that is kept here, and is not sent.
    let mut wrong = closing("wrong");
    wrong.order.order_type = OrderType::Limit.into();
    wrong.order.limit_price_e9 = Some(0);
    orders.insert(3, wrong);
    let outcomes = desk.broker.submit_all(&orders).await;
    assert_eq!(outcomes.len(), orders.len());
    for (place, (sent, outcome)) in orders.iter().zip(outcomes).enumerate() {
        let reports = outcome.unwrap();
        assert_eq!(kinds(&reports), [if place == 3 { "rejected" } else { "accepted" }], "{place}");
        assert_eq!(reports[0].order_id, sent.order.order_id);
    }
    let posted = desk.vendors.stand.ledger.requests(Some(Vendor::AlpacaTrading), "/v2/orders");
    let posted: Vec<u64> = posted
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| request.at_ms)
        .skip(1)
        .collect();
    assert_eq!(i64::try_from(posted.len()).unwrap(), CLOSINGS);
    // Eight at once, less the one that was not sent; the others after them.
    let first = SIDE_BY_SIDE - 1;
    assert!(posted[first - 1] < posted[0] + ANSWER_MS, "{posted:?}");
    assert!(posted[first] >= posted[0] + ANSWER_MS, "{posted:?}");
    assert_eq!(desk.requests("GET", "/v2/assets"), asked, "no question about a symbol");
    assert_eq!(desk.requests("GET", "/v2/orders:by_client_order_id"), 0, "none about an order never sent");
}
