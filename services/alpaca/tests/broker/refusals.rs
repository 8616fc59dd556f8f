//! What is refused before it is sent, with the rule in words.

use broker::{Broker as _, BrokerError};
use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};
use domain::money::{Amount, Price, Quantity};
use serde_json::json;
use tapedeck_vendors::fault::{HttpFault, When};

use crate::support::{Desk, E9, kinds, order, reason};

async fn refused(desk: &mut Desk, order: OrderSpec) -> String {
    let reason = reason(&desk.submit(&order).await.unwrap());
    assert_eq!(desk.requests("POST", "/v2/orders"), 0, "{reason}");
    reason
}

fn of(symbol: &str, order: OrderSpec) -> OrderSpec {
    OrderSpec { symbol: symbol.into(), ..order }
}

#[tokio::test]
async fn a_symbol_has_to_be_traded_there() {
    let mut desk = Desk::open().await;
    assert!(refused(&mut desk, of("NOPE", order("a", Side::Buy, 1))).await.contains("not known to Alpaca"));
    assert!(refused(&mut desk, of("GONE", order("b", Side::Buy, 1))).await.contains("cannot be traded"));
    assert!(refused(&mut desk, of("THIN", order("c", Side::Sell, 1))).await.contains("sold short"));
    let half = OrderSpec { quantity_e9: E9 / 2, ..order("d", Side::Buy, 1) };
    assert!(refused(&mut desk, of("THIN", half.clone())).await.contains("whole shares"));
    let short = OrderSpec { side: Side::Sell.into(), ..half };
    assert!(refused(&mut desk, short).await.contains("sold short"));
    let asked = desk.requests("GET", "/v2/assets/THIN");
    assert_eq!(asked, 1, "an answer is kept for a while");
}

#[tokio::test]
async fn rules_of_prices_and_parts_are_kept_here() {
    let mut desk = Desk::open().await;
    let at = |price_e9| OrderSpec {
        order_type: OrderType::Limit.into(),
        limit_price_e9: Some(price_e9),
        ..order("tick", Side::Buy, 1)
    };
    assert!(refused(&mut desk, at(187_455_000_000)).await.contains("two decimals"));
    assert!(refused(&mut desk, at(0)).await.contains("more than 0"));
    let part = OrderSpec { quantity_e9: E9 / 2, ..at(187_000_000_000) };
    assert!(refused(&mut desk, part).await.contains("market orders for the day"));
    assert_eq!(desk.requests("GET", "/v2/assets"), 0, "nothing had to be asked");
    // At Alpaca's own rules the stand-in agrees with what is let through.
    let half = OrderSpec { quantity_e9: E9 / 2, ..order("half", Side::Buy, 1) };
    assert_eq!(kinds(&desk.submit(&half).await.unwrap()), ["accepted"]);
    let amount = OrderSpec { notional_e9: Some(25 * E9), ..order("amount", Side::Buy, 1) };
    assert_eq!(kinds(&desk.submit(&amount).await.unwrap()), ["accepted"]);
}

#[tokio::test]
async fn a_blocked_account_opens_nothing() {
    let mut desk = Desk::open().await;
    desk.vendors.stand.desk(|desk, _, _| desk.book_mut().trading_blocked = true);
    assert!(refused(&mut desk, order("blocked", Side::Buy, 1)).await.contains("trading is blocked"));
    let account = desk.broker.account("paper").await.unwrap().unwrap();
    assert!(account.blocked.is_some());
    assert_eq!((account.number.as_str(), account.cash), ("PA0000000001", Amount(100_000 * 1_000_000_000)));
}

#[tokio::test]
async fn an_account_that_takes_no_orders_says_why() {
    for (field, value, why) in [
        ("account_blocked", json!(true), "the account is blocked"),
        ("trading_blocked", json!(true), "trading is blocked on the account"),
        ("trade_suspended_by_user", json!(true), "trading is suspended in the account's settings"),
        ("status", json!("ACCOUNT_CLOSED"), "the account is ACCOUNT_CLOSED, expected ACTIVE"),
    ] {
        let mut desk = Desk::open().await;
        let patch = json!({
            "vendor": "alpaca_trading", "method": "GET", "path": "/v2/account", "times": 99, "fault": "patch",
            "merge": {field: value},
        });
        desk.vendors.stand.faults.on_request(serde_json::from_value(patch).unwrap());
        assert_eq!(refused(&mut desk, order("opens", Side::Buy, 1)).await, why);
        // Nor is anything closed there: Alpaca would refuse it.
        let closing = OrderSpec { reducing: true, ..order("closes", Side::Sell, 1) };
        assert_eq!(refused(&mut desk, closing).await, why);
        let account = desk.broker.account("paper").await.unwrap().unwrap();
        assert_eq!(account.blocked.as_deref(), Some(why), "{field}");
        desk.vendors.stand.faults.clear();
        let account = desk.broker.account("paper").await.unwrap().unwrap();
        assert_eq!(account.blocked, None, "{field}: it is over");
    }
}

#[tokio::test]
async fn an_account_that_may_not_sell_short_buys_and_closes() {
    let mut desk = Desk::open().await;
    let patch = json!({
        "vendor": "alpaca_trading", "method": "GET", "path": "/v2/account", "times": 99, "fault": "patch",
        "merge": {"shorting_enabled": false},
    });
    desk.vendors.stand.faults.on_request(serde_json::from_value(patch).unwrap());
    let why = "the account may not sell short at Alpaca";
    assert_eq!(refused(&mut desk, order("short", Side::Sell, 1)).await, why);
    assert_eq!(kinds(&desk.submit(&order("buys", Side::Buy, 1)).await.unwrap()), ["accepted"]);
    let closing = OrderSpec { reducing: true, ..order("closes", Side::Sell, 1) };
    desk.submit(&closing).await.unwrap();
    assert_eq!(desk.requests("POST", "/v2/orders"), 2, "both are sent");
}

#[tokio::test]
async fn what_is_null_is_as_what_is_not_said() {
    let mut desk = Desk::open().await;
    let told = |body| HttpFault::Answer { status: 200, headers: Default::default(), body };
    let account = json!({
        "account_number": "PA0000000001", "status": "ACTIVE", "cash": "5", "equity": null, "trading_blocked": null,
        "account_blocked": false, "trade_suspended_by_user": null,
    });
    let asset = json!({
        "symbol": "AAPL", "status": "active", "tradable": true, "shortable": null, "fractionable": null,
    });
    desk.arm("GET", "/v2/account", When::Before, told(account));
    desk.arm("GET", "/v2/assets/AAPL", When::Before, told(asset));
    assert_eq!(kinds(&desk.submit(&order("whole", Side::Buy, 1)).await.unwrap()), ["accepted"]);
    let half = OrderSpec { quantity_e9: E9 / 2, ..order("half", Side::Buy, 1) };
    assert!(reason(&desk.submit(&half).await.unwrap()).contains("whole shares"));
}

#[tokio::test]
async fn what_cannot_wait_needs_an_open_market() {
    let mut desk = Desk::open().await;
    // 20:00 in New York.
    desk.vendors.stand.jump(1_767_747_600_000_000_000);
    let ioc = OrderSpec { time_in_force: TimeInForce::Ioc.into(), ..order("ioc", Side::Buy, 1) };
    assert!(refused(&mut desk, ioc).await.contains("the market is closed until"));
    assert_eq!(
        kinds(&desk.submit(&order("day", Side::Buy, 1)).await.unwrap()),
        ["accepted"],
        "a day order waits"
    );
}

#[tokio::test]
async fn what_cannot_be_checked_stops_what_opens_and_lets_pass_what_closes() {
    let mut desk = Desk::open().await;
    desk.submit(&order("entry", Side::Buy, 10)).await.unwrap();
    desk.fill(&order("entry", Side::Buy, 10), "10", "187");
    desk.restart();
    let unreadable = json!({
        "vendor": "alpaca_trading", "method": "GET", "path": "/v2/account", "times": 2, "fault": "answer", "status": 400,
    });
    desk.vendors.stand.faults.on_request(serde_json::from_value(unreadable).unwrap());
    let unchecked = desk.submit(&order("more", Side::Buy, 1)).await.unwrap_err();
    assert!(matches!(unchecked, BrokerError::Unchecked { .. }), "{unchecked}");
    assert_eq!(desk.requests("POST", "/v2/orders"), 1, "the entry alone");
    let closing = OrderSpec { reducing: true, ..order("closing", Side::Sell, 10) };
    assert_eq!(kinds(&desk.submit(&closing).await.unwrap()), ["accepted"]);
}

#[tokio::test]
async fn an_order_that_an_open_breaker_held_back_is_known_not_to_have_been_sent() {
    let mut desk = Desk::open().await;
    let down = json!({
        "vendor": "alpaca_trading", "method": "GET", "path": "", "times": 1_000, "fault": "answer", "status": 503,
    });
    desk.vendors.stand.faults.on_request(serde_json::from_value(down).unwrap());
    for attempt in 0..20 {
        desk.broker.account("paper").await.unwrap_err();
        let before = desk.requests("POST", "/v2/orders");
        let closing = OrderSpec { reducing: true, ..order(&format!("closing {attempt}"), Side::Sell, 1) };
        // Where this process had to wait, the breaker's time may be over.
        let Err(error) = desk.submit(&closing).await else { continue };
        assert!(matches!(error, BrokerError::Unchecked { .. }), "{error}");
        assert_eq!(desk.requests("POST", "/v2/orders"), before);
        return;
    }
    panic!("the breaker never was open");
}

#[tokio::test]
async fn what_others_did_there_is_seen_and_not_taken_for_ours() {
    let mut desk = Desk::listening().await;
    let by_hand = json!({
        "symbol": "MSFT", "qty": "3", "side": "buy", "type": "limit", "time_in_force": "gtc", "limit_price": "400",
    });
    let id = desk
        .vendors
        .stand
        .desk(|desk, market, settings| desk.submit(&by_hand, market, settings))
        .unwrap()["client_order_id"]
        .clone();
    assert_eq!(desk.heard().await, []);
    let open = desk.broker.listed_orders("paper").await.unwrap().unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].symbol.as_str(), open[0].terms.as_str()), ("MSFT", "buy 3 at limit"));
    assert!(open[0].open);
    desk.act(id.as_str().unwrap(), serde_json::from_value(json!({"do": "fill", "price": "400"})).unwrap());
    assert_eq!(desk.heard().await, []);
    let ended = desk.broker.listed_orders("paper").await.unwrap().unwrap();
    assert!(ended.len() == 1 && !ended[0].open, "{ended:?}");
    let held = desk.broker.positions("paper").await.unwrap().unwrap();
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].quantity, held[0].cost), (Quantity(3 * E9), Amount(1_200 * 1_000_000_000)));
}

#[tokio::test]
async fn a_position_is_worth_what_alpaca_says_and_nothing_where_it_does_not() {
    let mut desk = Desk::open().await;
    let body = json!([
        {"symbol": "NVDA", "qty": "60", "cost_basis": "9600", "side": "long", "current_price": "160.25"},
        {"symbol": "THIN", "qty": "60", "cost_basis": "9600", "side": "long", "current_price": null},
        {"symbol": "AAPL", "qty": "60", "cost_basis": "9600", "side": "long", "current_price": "0"},
        {"symbol": "MSFT", "qty": "60", "cost_basis": "9600", "side": "long"},
    ]);
    let told = HttpFault::Answer { status: 200, headers: Default::default(), body };
    desk.arm("GET", "/v2/positions", When::Before, told);
    let held = desk.broker.positions("paper").await.unwrap().unwrap();
    let prices: Vec<_> = held.into_iter().map(|position| position.price).collect();
    assert_eq!(prices, [Some(Price(160_250_000_000)), None, None, None]);
}

#[tokio::test]
async fn a_position_that_cannot_be_read_is_named_and_the_others_count() {
    let mut desk = Desk::open().await;
    let told = |body| HttpFault::Answer { status: 200, headers: Default::default(), body };
    let body = json!([
        {"symbol": "NVDA", "qty": "many", "cost_basis": "9600", "side": "long", "current_price": "160.25"},
        {"symbol": "THIN", "qty": "60", "cost_basis": null, "side": "long"},
        {"symbol": "AAPL", "qty": "60", "cost_basis": "9600", "side": "short"},
    ]);
    desk.arm("GET", "/v2/positions", When::Before, told(body));
    let held = desk.broker.positions("paper").await.unwrap().unwrap();
    let unread: Vec<_> = held.iter().map(|position| position.unread.as_deref()).collect();
    let expected =
        [Some("position NVDA: qty is no number"), Some("position THIN: cost_basis is no number"), None];
    assert_eq!(unread, expected);
    assert_eq!((held[2].quantity, held[2].cost), (Quantity(-60 * E9), Amount(-9_600 * 1_000_000_000)));
    // What has no symbol could be any of those that are held here.
    let body = json!([{"symbol": null, "qty": "60", "cost_basis": "9600"}]);
    desk.arm("GET", "/v2/positions", When::Before, told(body));
    let error = desk.broker.positions("paper").await.unwrap_err().to_string();
    assert!(error.contains("positions"), "{error}");
}
