//! Faults of requests, as a client sees them on its socket.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tapedeck_vendors::fault::{HttpFault, HttpRule, When};
use tapedeck_vendors::ledger::Vendor;
use tapedeck_vendors::market::Script;

use super::{client, get, start};

fn rule(fault: HttpFault, when: When) -> HttpRule {
    HttpRule { vendor: Vendor::AlpacaTrading, method: None, path: "/v2".into(), times: 1, when, fault }
}

#[tokio::test]
async fn a_fault_wears_off() {
    let vendors = start(Script::default()).await;
    let answer = HttpFault::Answer {
        status: 503,
        headers: [("Retry-After".to_owned(), "2".to_owned())].into(),
        body: json!({"message": "busy"}),
    };
    vendors.stand.faults.on_request(HttpRule { times: 2, ..rule(answer, When::Before) });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let response = get(&vendors, Vendor::AlpacaTrading, "/v2/clock").send().await.unwrap();
        statuses.push((response.status().as_u16(), response.headers().contains_key("retry-after")));
    }
    assert_eq!(statuses, [(503, true), (503, true), (200, false)]);
    let noted = vendors.stand.ledger.requests(Some(Vendor::AlpacaTrading), "/v2/clock");
    assert_eq!(noted.iter().map(|request| request.status).collect::<Vec<_>>(), [503, 503, 200]);
}

#[tokio::test]
async fn an_answer_can_be_cut_truncated_and_held_back() {
    let vendors = start(Script::default()).await;
    let faults = &vendors.stand.faults;
    let ask = || get(&vendors, Vendor::AlpacaTrading, "/v2/assets");
    let whole = ask().send().await.unwrap().text().await.unwrap();

    faults.on_request(rule(HttpFault::Cut, When::Before));
    assert!(ask().send().await.is_err(), "the connection ended without an answer");

    faults.on_request(rule(HttpFault::Truncate { bytes: 100 }, When::Before));
    let response = ask().send().await.unwrap();
    assert_eq!(response.headers()["content-length"], whole.len().to_string());
    assert!(response.text().await.is_err(), "a hundred bytes of more");

    faults.on_request(rule(HttpFault::Hang, When::Before));
    let error = ask().timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(error.is_timeout());

    faults.on_request(rule(HttpFault::Delay { ms: 300 }, When::Before));
    let began = Instant::now();
    assert_eq!(ask().send().await.unwrap().text().await.unwrap(), whole);
    assert!(began.elapsed() >= Duration::from_millis(300));

    faults.on_request(rule(HttpFault::Trickle { bytes: whole.len() / 3 + 1, ms: 50 }, When::Before));
    assert_eq!(ask().send().await.unwrap().text().await.unwrap(), whole, "in three pieces");

    let patch = json!({"is_open": null, "timestamp": "soon"});
    faults.on_request(rule(HttpFault::Patch { merge: patch }, When::Before));
    let clock: Value =
        get(&vendors, Vendor::AlpacaTrading, "/v2/clock").send().await.unwrap().json().await.unwrap();
    assert_eq!((&clock["timestamp"], clock.get("is_open")), (&json!("soon"), None));
}

#[tokio::test]
async fn an_order_lands_or_not_as_the_fault_says() {
    let vendors = start(Script::default()).await;
    let order = |id: &str| {
        let body = json!({
            "symbol": "AAPL", "side": "buy", "type": "market", "qty": "1", "time_in_force": "day",
            "client_order_id": id,
        });
        let url = format!("{}/v2/orders", vendors.addresses().http(Vendor::AlpacaTrading));
        let client = client();
        let request = client.post(url).header("APCA-API-KEY-ID", tapedeck_vendors::KEY);
        request.header("APCA-API-SECRET-KEY", tapedeck_vendors::SECRET).json(&body)
    };
    vendors.stand.faults.on_request(rule(HttpFault::Cut, When::Before));
    assert!(order("never").send().await.is_err());
    vendors.stand.faults.on_request(rule(HttpFault::Cut, When::After));
    assert!(order("landed").send().await.is_err());
    vendors.stand.faults.on_request(rule(HttpFault::Hang, When::After));
    assert!(order("silent").timeout(Duration::from_millis(300)).send().await.is_err());
    let known: Vec<String> = vendors
        .stand
        .desk(|desk, _, _| desk.orders().iter().map(|order| order.client_order_id.clone()).collect());
    assert_eq!(known, ["landed", "silent"]);
    assert_eq!(order("landed").send().await.unwrap().status(), 422, "the id is taken");
}

#[tokio::test]
async fn the_control_interface_says_what_is_wrong() {
    let vendors = start(Script::default()).await;
    let client = client();
    let control = vendors.addresses().control.clone();
    let send = |method: reqwest::Method, path: &str, body: Value| {
        client.request(method, format!("{control}{path}")).json(&body).send()
    };
    let wrong = [
        ("/faults/http", json!({"vendor": "alpaca", "fault": "cut"})),
        ("/faults/stream", json!({"vendor": "massive", "fault": "explode"})),
        ("/reset", json!({"listing": []})),
        ("/clock", json!({"pace": -1})),
        ("/market/say", json!({"kind": "miracle"})),
        ("/orders/plan", json!({"on_submit": "later"})),
    ];
    for (path, body) in wrong {
        let answer = send(reqwest::Method::POST, path, body).await.unwrap();
        assert_eq!(answer.status(), 400, "{path}");
        let told: Value = answer.json().await.unwrap();
        assert!(told["message"].as_str().is_some_and(|message| message.len() > 10), "{path}: {told}");
    }
    let answer = send(reqwest::Method::PATCH, "/settings", json!({"yahoo": {"crum": "x"}})).await.unwrap();
    assert_eq!(answer.status(), 400);
    let rule = json!({"vendor": "yahoo", "path": "/v8", "times": 3, "fault": "delay", "ms": 5});
    assert_eq!(send(reqwest::Method::POST, "/faults/http", rule).await.unwrap().status(), 200);
    let armed: Value = client.get(format!("{control}/faults")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&armed["http"][0]["fault"], &armed["http"][0]["times"]), (&json!("delay"), &json!(3)));
}
