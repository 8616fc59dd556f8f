//! The API of trading: the pages' questions and commands as JSON.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

use super::action::Visitor;
use super::{Deck, read};

async fn json(deck: &Deck, path: &str) -> (StatusCode, Value) {
    let answer = deck.get(path).await;
    (answer.status, serde_json::from_str(&answer.text).unwrap_or_else(|_| panic!("{path}: {}", answer.text)))
}

#[tokio::test]
async fn lists_have_the_pages_filters_and_cursors() {
    let deck = Deck::traded().await;
    let (status, first) = json(&deck, "/api/v1/orders?limit=1").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(first["rows"][0]["symbol"], "BRK.B");
    assert_eq!(first["newer"], Value::Null);
    let (_, second) =
        json(&deck, &format!("/api/v1/orders?limit=1&before={}", first["older"].as_str().unwrap())).await;
    assert_eq!(
        (&second["rows"][0]["symbol"], &second["rows"][0]["average_price"]),
        (&"AAPL".into(), &"190".into())
    );
    assert_eq!(second["older"], Value::Null);
    for (path, rows) in [
        ("orders?open=true", 1),
        ("orders?open=false&status=filled", 1),
        ("fills?symbol=aapl", 1),
        ("fills?from=2026-01-07", 0),
        ("decisions?verdict=denied&rule=max_position", 1),
        ("signals?strategy=momentum", 3),
        ("positions", 1),
        ("accounts", 1),
    ] {
        let (status, body) = json(&deck, &format!("/api/v1/{path}")).await;
        assert_eq!((status, body["rows"].as_array().map(Vec::len)), (StatusCode::OK, Some(rows)), "{path}");
    }
    let id = second["rows"][0]["order_id"].as_str().unwrap();
    let (_, order) = json(&deck, &format!("/api/v1/orders/{id}")).await;
    assert_eq!(order["order"]["order_id"], id);
    assert_eq!(order["fills"][0]["price"], "190");
}

#[tokio::test]
async fn the_past_is_a_field() {
    let deck = Deck::traded().await;
    let (_, now) = json(&deck, "/api/v1/positions").await;
    let head = deck.app.timeline.head().await.unwrap();
    let (_, then) = json(&deck, &format!("/api/v1/positions?as_of=seq:{head}")).await;
    assert_eq!((&now["rows"], &then["as_of"]), (&then["rows"], &head.into()));
    let (_, before) = json(&deck, "/api/v1/positions?as_of=2026-01-06T18:30:00Z").await;
    assert_eq!(before["rows"], Value::Array(Vec::new()));
    let (_, accounts) = json(&deck, &format!("/api/v1/accounts?as_of=seq:{head}")).await;
    assert_eq!(accounts["rows"][0]["equity"], "100179");
}

#[tokio::test]
async fn errors_are_problem_details_that_name_the_field() {
    let deck = Deck::traded().await;
    for (path, status, field) in [
        ("orders?side=up", 422, "side"),
        ("orders?sidee=buy", 422, "query"),
        ("orders?before=7", 422, "before"),
        ("fills?limit=0", 422, "limit"),
        ("positions?as_of=seq:99999", 422, "as_of"),
        ("decisions?rule=none", 422, "rule"),
    ] {
        let answer = deck.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!((&body["status"], &body["field"]), (&status.into(), &field.into()), "{path}");
    }
    assert_eq!(json(&deck, "/api/v1/orders/nothing").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_cancel_with_one_key_is_one_event_and_without_token_or_key_none() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let (_, open) = json(&deck, "/api/v1/orders?open=true").await;
    let path = format!("/api/v1/orders/{}/cancel", open["rows"][0]["order_id"].as_str().unwrap());
    let request = |token: &str, key: &str| -> Request<Body> {
        let mut request = visitor.post(&path, "{\"reason\":\"drill\"}");
        let headers = request.headers_mut();
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("x-csrf-token", token.parse().unwrap());
        headers.insert("idempotency-key", key.parse().unwrap());
        request
    };
    let before = deck.stored().await;
    for (token, key, status) in [("0", "key-number-1", 403), (visitor.token.as_str(), "short", 422)] {
        assert_eq!(deck.send(request(token, key)).await.status().as_u16(), status);
    }
    assert_eq!(deck.stored().await, before);
    for _ in 0..2 {
        let answer = read(deck.send(request(&visitor.token, "key-number-1")).await).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    }
    assert_eq!(deck.stored().await, (before.0 + 1, before.1 + 1));
}
