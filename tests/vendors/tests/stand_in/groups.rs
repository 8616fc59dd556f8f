//! Entries with exits: when the exits work, and what ends with what.

use std::time::Duration;

use serde_json::{Value, json};
use tapedeck_vendors::Vendors;
use tapedeck_vendors::alpaca_trading::Act;
use tapedeck_vendors::market::Script;

use super::start;

/// A bracket of ten shares, which a script alone fills.
async fn bracket(time_in_force: &str) -> Vendors {
    let vendors = start(Script::default()).await;
    let mut settings = vendors.stand.settings();
    settings.alpaca_trading.fills = false;
    vendors.stand.set(settings);
    let body = json!({
        "symbol": "AAPL", "side": "buy", "type": "limit", "qty": "10", "limit_price": "180",
        "time_in_force": time_in_force, "order_class": "bracket", "client_order_id": "entry",
        "take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "170"},
    });
    vendors.stand.desk(|desk, market, settings| desk.submit(&body, market, settings)).expect("an order");
    vendors
}

/// Does something with the entry, or with one of its legs; answers how all three stand.
fn act(vendors: &Vendors, place: usize, act: Value) -> Vec<String> {
    let act: Act = serde_json::from_value(act).expect("something to do");
    vendors.stand.desk(|desk, market, _| {
        let id = desk.orders()[place].id.clone();
        desk.act(&id, act, market).expect("it is done");
    });
    statuses(vendors)
}

fn statuses(vendors: &Vendors) -> Vec<String> {
    vendors.stand.desk(|desk, _, _| desk.orders().iter().map(|order| order.status.name()).collect())
}

#[tokio::test]
async fn exits_work_once_their_entry_is_filled_whole_and_for_its_day() {
    let vendors = bracket("day").await;
    let part = act(&vendors, 0, json!({"do": "fill", "qty": "4", "price": "180"}));
    assert_eq!(part, ["partially_filled", "held", "held"]);
    let whole = act(&vendors, 0, json!({"do": "fill", "price": "180"}));
    assert_eq!(whole, ["filled", "new", "held"]);
    vendors.stand.advance(Duration::from_secs(7 * 3600));
    assert_eq!(statuses(&vendors), ["filled", "expired", "expired"]);
    let vendors = bracket("gtc").await;
    act(&vendors, 0, json!({"do": "fill", "price": "180"}));
    vendors.stand.advance(Duration::from_secs(7 * 3600));
    assert_eq!(statuses(&vendors), ["filled", "new", "held"]);
    assert_eq!(act(&vendors, 2, json!({"do": "fill", "price": "169"})), ["filled", "canceled", "filled"]);
}

#[tokio::test]
async fn one_that_is_cancelled_ends_its_group() {
    for (place, event) in [(0, "cancel"), (0, "expire"), (1, "cancel"), (2, "cancel")] {
        let vendors = bracket("gtc").await;
        act(&vendors, 0, json!({"do": "fill", "qty": "4", "price": "180"}));
        let mut ends = ["canceled"; 3];
        if event == "expire" {
            ends[0] = "expired";
        }
        assert_eq!(act(&vendors, place, json!({"do": event})), ends, "{event} {place}");
        assert_eq!(vendors.stand.desk(|desk, _, _| desk.orders()[0].filled().to_string()), "4");
    }
}

#[tokio::test]
async fn of_a_bracket_prices_alone_are_replaced() {
    let vendors = bracket("gtc").await;
    let replace = |body: Value| vendors.stand.desk(|desk, market, _| desk.replace("entry", &body, market));
    assert!(replace(json!({"qty": "12"})).is_err_and(|refusal| refusal.status == 422));
    let taken = replace(json!({"limit_price": "179"})).expect("new terms");
    assert_eq!(taken["limit_price"], "179");
    assert_eq!(statuses(&vendors), ["replaced", "held", "held", "new"]);
}
