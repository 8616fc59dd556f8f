//! The API of trading: the pages' questions and commands as JSON.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use contracts::stream;
use contracts::v1::event::Body as EventBody;
use runtime::command::{Caller, change_limits};
use serde_json::Value;

use super::action::Visitor;
use super::{Deck, read, script};

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
        ("orders?symbol=brk.b", 1),
        ("signals?symbol=aapl", 1),
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
    // How far a consumer has come is of now.
    let rows = |list: &Value| {
        let mut rows = list["rows"].clone();
        for row in rows.as_array_mut().into_iter().flatten() {
            row.as_object_mut().and_then(|row| row.remove("subscription"));
        }
        rows
    };
    for list in ["orders", "strategies"] {
        let (_, now) = json(&deck, &format!("/api/v1/{list}")).await;
        let (_, then) = json(&deck, &format!("/api/v1/{list}?as_of=seq:{head}")).await;
        assert_eq!((rows(&now), &now["as_of"]), (rows(&then), &Value::Null), "{list}");
        assert_eq!(then["as_of"], head, "{list}");
        let (_, first) = json(&deck, &format!("/api/v1/{list}?as_of=seq:0")).await;
        assert_eq!((&first["rows"], &first["as_of"]), (&Value::Array(Vec::new()), &0.into()), "{list}");
    }
    let (_, one) = json(&deck, &format!("/api/v1/orders?as_of=seq:{head}&limit=1")).await;
    let older = one["older"].as_str().unwrap();
    let (_, rest) = json(&deck, &format!("/api/v1/orders?as_of=seq:{head}&limit=1&before={older}")).await;
    assert_eq!((rest["rows"].as_array().map(Vec::len), &rest["older"]), (Some(1), &Value::Null));
    assert_ne!(one["rows"], rest["rows"]);
    for (list, rows) in [("fills", 0), ("decisions?verdict=denied", 0)] {
        let and = if list.contains('?') { '&' } else { '?' };
        let (_, before) = json(&deck, &format!("/api/v1/{list}{and}as_of=2026-01-06T18:30:00Z")).await;
        assert_eq!(before["rows"].as_array().map(Vec::len), Some(rows), "{list}: {before}");
    }
}

#[tokio::test]
async fn risk_is_told_of_one_account_and_as_many_statements_of_limits_as_are_asked_for() {
    let deck = Deck::traded().await;
    deck.append(vec![script::alert()]).await;
    let (_, all) = json(&deck, "/api/v1/risk").await;
    assert_eq!(json(&deck, "/api/v1/risk?account=paper").await, (StatusCode::OK, all));
    let scope = contracts::v1::LimitScope::default();
    for most in [3, 4] {
        let by = Caller { actor: "ada".to_owned(), key: format!("limits-{most}") };
        let change = |limits: &mut contracts::v1::TradeLimits| {
            limits.max_open_orders = Some(most);
            Ok(())
        };
        change_limits(&deck.tape, &by, &scope, "", change).await.unwrap();
    }
    deck.settle().await;
    let versions = |told: &Value| told["rows"].as_array().map(Vec::len);
    assert_eq!(versions(&json(&deck, "/api/v1/limits/history").await.1), Some(2));
    let (_, newest) = json(&deck, "/api/v1/limits/history?limit=1").await;
    assert_eq!((versions(&newest), &newest["rows"][0]["version"]), (Some(1), &2.into()));
    let (status, told) = json(&deck, "/api/v1/limits/history?limit=201").await;
    assert_eq!((status, &told["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &"limit".into()));
}

#[tokio::test]
async fn errors_are_problem_details_that_name_the_field() {
    let deck = Deck::traded().await;
    for (path, status, field) in [
        ("orders?side=up", 422, "side"),
        ("orders?sidee=buy", 422, "query"),
        ("orders?before=7", 422, "before"),
        ("orders?symbol=a%20b", 422, "symbol"),
        ("fills?symbol=a%2Cb", 422, "symbol"),
        ("decisions?symbol=%C4%84", 422, "symbol"),
        ("signals?symbol=a%20b", 422, "symbol"),
        ("fills?limit=0", 422, "limit"),
        ("positions?as_of=seq:99999", 422, "as_of"),
        ("decisions?rule=none", 422, "rule"),
        ("strategies?kind=pairs", 422, "query"),
        ("limits?account=paper", 422, "query"),
        ("events/TRADING/first", 422, "sequence"),
        ("orders/a%00b", 422, "id"),
    ] {
        let answer = deck.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!((&body["status"], &body["field"]), (&status.into(), &field.into()), "{path}");
    }
    assert_eq!(json(&deck, "/api/v1/orders/nothing").await.0, StatusCode::NOT_FOUND);
    let (_, word) = json(&deck, "/api/v1/events/TRADING/first").await;
    assert_eq!((&word["value"], &word["expected"]), (&"first".into(), &"a whole number, 0 or more".into()));
}

#[tokio::test]
async fn a_range_that_ends_before_it_begins_is_refused_everywhere() {
    let deck = Deck::traded().await;
    for list in
        ["orders", "fills", "decisions", "signals", "logs", "news", "corporate-actions", "bars", "pair"]
    {
        let more = match list {
            "bars" => "&symbol=AAPL",
            "pair" => "&first=AAPL&second=SPY",
            _ => "",
        };
        let (status, told) =
            json(&deck, &format!("/api/v1/{list}?from=2026-01-07&to=2026-01-06{more}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{list}: {told}");
        assert_eq!((&told["field"], &told["value"]), (&"to".into(), &"2026-01-06".into()), "{list}");
        assert_eq!(told["expected"], "a time that is not before `from`, 2026-01-07", "{list}");
    }
}

#[tokio::test]
async fn a_list_of_an_account_or_a_strategy_that_nobody_knows_is_no_empty_list() {
    let deck = Deck::traded().await;
    for path in [
        "orders?account=nobody",
        "fills?account=nobody",
        "decisions?account=nobody",
        "positions?account=nobody",
        "positions?account=nobody&as_of=2026-01-06T18:30:00Z",
        "orders?strategy=nothing",
        "signals?strategy=nothing",
        "risk?account=nobody",
    ] {
        let (status, told) = json(&deck, &format!("/api/v1/{path}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {told}");
    }
    for path in
        ["orders?account=paper&symbol=NONE", "fills?strategy=manual", "decisions?strategy=sma_cross&symbol=X"]
    {
        let (status, told) = json(&deck, &format!("/api/v1/{path}")).await;
        assert_eq!((status, told["rows"].as_array().map(Vec::len)), (StatusCode::OK, Some(0)), "{path}");
    }
}

#[tokio::test]
async fn a_body_is_refused_by_its_field_and_changes_nothing() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let before = deck.stored().await;
    let large = format!("{{\"reason\":\"{}\"}}", "x".repeat(20_000));
    let json = "application/json";
    for (path, kind, body, status, field, expected) in [
        ("trading/halt", json, "{\"acount\":\"\"}", 422, "body", "only account, strategy, state, reason"),
        ("trading/halt", json, "{\"reason\":5}", 422, "reason", "a string"),
        ("trading/halt", json, "{", 400, "body", "JSON ("),
        // An array is no object whose fields come in their order.
        ("trading/halt", json, "[]", 422, "body", "an object"),
        ("trading/resume", json, "[]", 422, "body", "an object"),
        ("trading/kill", json, "[]", 422, "body", "an object"),
        ("strategies/sma_cross/disable", json, "[]", 422, "body", "an object"),
        ("strategies/sma_cross/enable", json, "[\"shadow\"]", 422, "body", "an object"),
        ("parity", json, "[\"2020-01-02\"]", 422, "body", "an object"),
        ("tokens", json, "[\"new\",\"admin\",1]", 422, "body", "an object"),
        ("limits", json, "{\"limits\":[[\"max_leverage\",\"1\"]]}", 422, "limits[0]", "an object"),
        ("trading/halt", json, large.as_str(), 413, "body", "at most 16384 bytes"),
        ("trading/halt", "text/plain", "{}", 415, "Content-Type", "application/json"),
        ("trading/kill", json, "{\"flatten\":\"yes\"}", 422, "flatten", "true or false"),
        // What names nothing is not everything.
        ("trading/kill", json, "{}", 422, "scope", "all, or an account"),
        ("trading/kill", json, "{\"account\":\"\",\"flatten\":true}", 422, "scope", "all, or an account"),
        ("trading/kill", json, "{\"scope\":\"ALL\"}", 422, "scope", "all, or an account"),
        ("trading/kill", json, "{\"scope\":\"all\",\"account\":\"paper\"}", 422, "scope", "none beside"),
        // What takes no body takes none.
        ("projections/trading/rebuild", json, "{\"dry_run\":true}", 422, "body", "only no field"),
        ("connections/nats/test", json, "[]", 422, "body", "an object"),
        ("parked/x/replay", "text/plain", "dry run", 415, "Content-Type", "application/json"),
        ("breakers/reset", json, "{}", 422, "account", "a value, because it is required"),
        ("limits", json, "{\"limits\":[{\"name\":\"max_leverage\"}]}", 422, "limits[0].value", "a value"),
        ("limits", json, "{\"limits\":[],\"scope\":{\"acount\":\"a\"}}", 422, "scope", "only account"),
        (
            "orders",
            json,
            "{\"side\":\"buy\",\"symbol\":\"AAPL\",\"quantity\":\"1\",\"time_in_force\":\"x\"}",
            422,
            "time_in_force",
            "day, gtc",
        ),
        (
            "orders",
            json,
            "{\"side\":\"buy\",\"symbol\":\"AAPL\",\"account\":\"paper\"}",
            422,
            "quantity",
            "a number of shares above 0, or an amount",
        ),
        (
            "orders",
            json,
            "{\"side\":\"buy\",\"symbol\":\"AAPL\",\"account\":\"paper\",\"quantity\":\"1\",\"notional\":\"100\"}",
            422,
            "notional",
            "none beside a quantity",
        ),
        (
            "orders",
            json,
            "{\"side\":\"buy\",\"symbol\":\"a b\",\"quantity\":\"1\",\"account\":\"paper\"}",
            422,
            "symbol",
            "1 to 32 printable ASCII characters",
        ),
        (
            "orders",
            json,
            "{\"side\":\"buy\",\"symbol\":\"AAPL\",\"quantity\":\"99999999999999\",\"account\":\"paper\"}",
            422,
            "quantity",
            "a positive number of shares, at most 9223372036.854775807 (out of range)",
        ),
        (
            "orders",
            json,
            "{\"side\":\"buy\",\"symbol\":\"AAPL\",\"quantity\":\"0\",\"account\":\"paper\"}",
            422,
            "quantity",
            "a positive number of shares, at most 9223372036.854775807 (not above 0)",
        ),
        (
            "orders",
            json,
            "{\"side\":\"buy\",\"symbol\":\"AAPL\",\"quantity\":\"1\",\"limit_price\":\"9223372037\"}",
            422,
            "limit_price",
            "a positive decimal, for example 189.50, at most 9223372036.854775807 (out of range)",
        ),
        (
            "backtests",
            json,
            "{\"strategies\":[{\"kind\":\"sma_cross\"}],\"timeframe\":\"1h\",\"slippage_bps\":\"9223372037\"}",
            422,
            "slippage_bps",
            "a decimal number of at most nine places, at most 9223372036.854775807 (out of range)",
        ),
        (
            "limits",
            json,
            "{\"limits\":[{\"name\":\"max_leverage\",\"value\":\"2\"}],\"scope\":{\"symbol\":\"a b\"}}",
            422,
            "scope.symbol",
            "1 to 32 printable ASCII characters",
        ),
        (
            "tokens",
            json,
            "{\"name\":\"new\",\"role\":\"viewer\",\"days\":1.5}",
            422,
            "days",
            "a whole number",
        ),
        ("users", json, "{\"name\":\"new\",\"role\":\"king\"}", 422, "role", "one of "),
        ("parity", json, "{\"session\":null}", 422, "session", "a string"),
        (
            "backtests",
            json,
            "{\"strategies\":[{\"kind\":1}],\"timeframe\":\"1h\"}",
            422,
            "strategies[0].kind",
            "a string",
        ),
        ("trading/resume?all=yes", json, "{}", 422, "query", "only no field"),
    ] {
        let mut request = visitor.post(&format!("/api/v1/{path}"), body);
        let headers = request.headers_mut();
        headers.insert("content-type", kind.parse().unwrap());
        headers.insert("x-csrf-token", visitor.token.parse().unwrap());
        headers.insert("idempotency-key", "key-number-1".parse().unwrap());
        let answer = read(deck.send(request).await).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{body}");
        let told: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(
            (answer.status.as_u16(), &told["field"]),
            (status, &field.into()),
            "{path} {body}: {told}"
        );
        let said = told["expected"].as_str().unwrap();
        assert!(said.starts_with(expected) && told["value"].is_string(), "{path} {body}: {told}");
    }
    assert_eq!(deck.stored().await, before);
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

#[tokio::test]
async fn an_order_is_cancelled_without_a_body() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let (_, open) = json(&deck, "/api/v1/orders?open=true").await;
    let path = format!("/api/v1/orders/{}/cancel", open["rows"][0]["order_id"].as_str().unwrap());
    let before = deck.stored().await;
    let mut request = visitor.post(&path, "");
    let headers = request.headers_mut();
    headers.remove("content-type");
    headers.insert("x-csrf-token", visitor.token.parse().unwrap());
    headers.insert("idempotency-key", "key-number-1".parse().unwrap());
    let answer = read(deck.send(request).await).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    assert_eq!(deck.stored().await, (before.0 + 1, before.1 + 1));
}

#[tokio::test]
async fn an_order_in_small_letters_is_one_in_the_symbol_of_the_tape() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let body = "{\"side\":\"buy\",\"symbol\":\"brk.b\",\"quantity\":\"1\",\"account\":\"paper\"}";
    let mut request = visitor.post("/api/v1/orders", body);
    let headers = request.headers_mut();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("x-csrf-token", visitor.token.parse().unwrap());
    headers.insert("idempotency-key", "key-number-1".parse().unwrap());
    let answer = read(deck.send(request).await).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let asked = deck.tape.last(stream::TRADING, "signal.manual.>").await.unwrap().unwrap();
    assert_eq!(asked.subject, "signal.manual.BRK%2EB");
    let Some(EventBody::Signal(signal)) = asked.event.body else { panic!("not a signal") };
    assert_eq!(signal.legs[0].symbol, "BRK.B");
}
