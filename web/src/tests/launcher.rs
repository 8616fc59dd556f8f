//! What a run can be asked for: strategies of the tape, an account's terms, every cost, limits by scope, groups of symbols.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::backtests::{json, post};
use super::{Deck, HOST, cookie, read};

#[tokio::test]
async fn a_program_asks_for_all_that_the_command_line_can() {
    let deck = Deck::traded().await;
    let body = json!({
        "strategies": [
            {"registered": "momentum", "sizing": "notional:5000"},
            {"kind": "sma_cross", "name": "second", "parameters": {"fast": "5"}, "symbols": ["@pair"]},
        ],
        "symbols": ["@pair"], "timeframe": "1h", "account_kind": "margin", "commission_per_order": "2",
        "regulatory_fees": "us", "slippage_per_share": "0.01", "slippage_volume": "0.5", "max_volume_share": "0.1",
        "finalize": true,
        "limit_sets": [
            {"strategy": "second", "limits": {"max_open_orders": "3"}},
            {"symbol": "SPY", "limits": {"max_order_value": "500", "session_only": "true"}},
        ],
    });
    let answer = read(deck.send_as_it_is(post(&deck, "/api/v1/backtests", "all-of-it", &body)).await).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    deck.settle().await;
    let answer: Value = serde_json::from_str(&answer.text).unwrap();
    let id = answer["run_id"].as_str().unwrap().to_owned();
    let row = json(&deck, &format!("/api/v1/backtests/{id}")).await;
    let request = &row["request"];
    let first = &request["strategies"][0];
    assert_eq!(first["name"], "momentum", "{row}");
    assert_eq!(first["kind"], "momentum", "{row}");
    assert_eq!(first["sizing"]["kind"], "SIZING_KIND_NOTIONAL", "{row}");
    assert_eq!(request["strategies"][1]["symbols"], json!(["SPY", "AAPL"]), "{row}");
    assert_eq!(request["symbols"], json!(["SPY", "AAPL"]), "{row}");
    // The registered strategy trades on one account, whose limits hold where none are stated.
    assert_eq!(request["account"], "paper", "{row}");
    assert!(request["limits"].is_object(), "{row}");
    assert_eq!(request["accountKind"], "ACCOUNT_KIND_MARGIN", "{row}");
    let costs = &request["costs"];
    assert_eq!(costs["commissionPerOrder"]["units"], "2", "{row}");
    assert_eq!(costs["saleFeeRateE9"], "27800", "{row}");
    assert_eq!(costs["slippagePerShareE9"], "10000000", "{row}");
    assert_eq!(costs["slippageVolumeRateE9"], "500000000", "{row}");
    assert_eq!(costs["volumeShareMostE9"], "100000000", "{row}");
    assert_eq!(request["finalize"], true, "{row}");
    assert_eq!(request["limitSets"][0]["scope"]["strategy"], "second", "{row}");
    assert_eq!(request["limitSets"][0]["limits"]["maxOpenOrders"], 3, "{row}");
    assert_eq!(request["limitSets"][1]["scope"]["symbol"], "SPY", "{row}");
    let page = deck.get(&format!("/backtests/{id}")).await.text;
    for part in [
        "strategy second: max_open_orders=3",
        "<dd>margin</dd>",
        "Commission per order",
        "closed at the last close",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn a_run_of_what_is_registered_has_the_limits_of_the_tape() {
    let deck = Deck::traded().await;
    for (number, scope) in [
        json!({"account": "paper"}),
        json!({"strategy": "momentum", "symbol": "SPY"}),
        json!({"strategy": "sma_cross"}),
        json!({"symbol": "AAPL"}),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"scope": scope, "limits": [{"name": "max_open_orders", "value": "3"}]});
        let request = post(&deck, "/api/v1/limits", &format!("stated-{number}"), &body);
        let answer = read(deck.send_as_it_is(request).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let asked = async |key: &str, more: Value| {
        let mut body = json!({"strategies": [{"registered": "momentum", "name": "mine"}], "symbols": ["SPY"],
            "timeframe": "1h"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = read(deck.send_as_it_is(post(&deck, "/api/v1/backtests", key, &body)).await).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
        deck.settle().await;
        let answer: Value = serde_json::from_str(&answer.text).unwrap();
        let id = answer["run_id"].as_str().unwrap().to_owned();
        let row = json(&deck, &format!("/api/v1/backtests/{id}")).await;
        (id, row["request"].clone())
    };
    let (id, request) = asked("limited-run", json!({})).await;
    assert_eq!(request["limitSetsOfTape"], 2, "{request}");
    let mut scopes: Vec<String> =
        request["limitSets"].as_array().unwrap().iter().map(|set| set["scope"].to_string()).collect();
    scopes.sort();
    let expected = [json!({"account": "paper"}), json!({"strategy": "mine", "symbol": "SPY"})];
    assert_eq!(scopes, expected.map(|scope| scope.to_string()), "{request}");
    let page = deck.get(&format!("/backtests/{id}")).await.text;
    assert!(page.contains("account paper (tape, v1): max_open_orders=3"), "{page}");

    // What is stated goes before the tape; a run without limits has none of it, and nor has one of a kind.
    let ended = json!({"limit_sets": [{"limits": {"max_open_orders": "none"}}]});
    assert_eq!(asked("ended-run", ended).await.1["limitSetsOfTape"], 1);
    for (key, more) in [
        ("none-run", json!({"buying_power_only": true})),
        ("kind-run", json!({"strategies": [{"kind": "momentum"}]})),
    ] {
        let request = asked(key, more).await.1;
        assert_eq!((&request["limitSets"], &request["limits"]), (&Value::Null, &Value::Null), "{request}");
    }
    let (_, of_account) =
        asked("of-account", json!({"strategies": [{"kind": "momentum"}], "account": "paper"})).await;
    assert_eq!(of_account["limitSetsOfTape"], 1, "{of_account}");
}

#[tokio::test]
async fn what_is_not_there_is_refused_by_its_field() {
    let deck = Deck::traded().await;
    let before = deck.stored().await;
    for (number, (more, field)) in [
        (json!({"strategies": [{"registered": "nobody"}]}), "registered"),
        (json!({"strategies": [{"registered": ""}]}), "registered"),
        (json!({"strategies": [{"registered": "momentum", "kind": "momentum"}]}), "kind"),
        (json!({"strategies": [{}]}), "strategy"),
        (json!({"account": "nobody"}), "account"),
        (json!({"account_kind": "gold"}), "account_kind"),
        (json!({"account_kind": "cash", "allow_short": true}), "allow_short"),
        (json!({"kind": "sweep", "finalize": true}), "finalize"),
        (json!({"regulatory_fees": "eu"}), "regulatory_fees"),
        (json!({"max_volume_share": "2"}), "max_volume_share"),
        (json!({"slippage_per_share": "-1"}), "slippage_per_share"),
        (json!({"symbols": ["@nobody"]}), "symbols"),
        (json!({"limit_sets": [{"limits": {"max_luck": "1"}}]}), "limit_sets"),
        (json!({"limit_sets": [{"strategy": "other", "limits": {"max_open_orders": "1"}}]}), "limit_sets"),
        (json!({"limit_sets": [{"limits": {}}]}), "limit_sets"),
        (
            json!({"buying_power_only": true, "limits": {"max_position": "1", "max_exposure": "1",
                "max_order_value": "1", "max_daily_loss": "1", "price_collar": "1", "max_price_age_ms": 1}}),
            "buying_power_only",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h"});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let request = post(&deck, "/api/v1/backtests", &format!("refused-{number}"), &body);
        let answer = read(deck.send_as_it_is(request).await).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text);
        let problem: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(problem["field"], field, "{}", answer.text);
    }
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn the_form_runs_several_strategies_and_offers_what_the_tape_has() {
    let deck = Deck::traded().await;
    let page = deck.get("/backtests?strategy=sma_cross&strategy_2=registered%3Amomentum").await.text;
    for part in [
        "name=\"p.fast\"",
        "name=\"strategy_2\" value=\"registered:momentum\"",
        "name=\"p2.",
        "name=\"sizing_2\"",
        "<select name=\"strategy_3\">",
        "momentum (registered)",
        "<option value=\"@pair\">",
        "<option value=\"paper\">",
        "name=\"commission_minimum\"",
        "name=\"limits\"",
        "name=\"finalize\"",
        "risk_parity:SHARE_OF_EQUITY",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let unknown = deck.get("/backtests?strategy_2=registered%3Anobody").await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", unknown.text);

    let body = "key=two-form&run=single&strategy=sma_cross&p.fast=5&sizing=fixed%3A10\
        &strategy_2=sma_cross&p2.fast=7&strategy_3=registered%3Amomentum&group_policy_3=alert&timeframe=1h\
        &cash=1000&symbols=%40pair&account=paper&account_kind=cash&finalize=on\
        &commission_minimum=1.5&slippage_bps=\
        &limits=max_open_orders%3D3+strategy%3Asma_cross_2.max_order_value%3D50";
    let request = Request::post("/backtests")
        .header("host", HOST)
        .header("origin", format!("http://{HOST}"))
        .header("cookie", cookie(&deck.session))
        .header("x-csrf-token", deck.app.sessions.token(&deck.session))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap();
    let answer = read(deck.send_as_it_is(request).await).await;
    assert!(answer.status.is_redirection(), "{} {}", answer.status, answer.text);
    deck.settle().await;
    let list = json(&deck, "/api/v1/backtests").await;
    let request = &list["rows"][0]["request"];
    let strategies = request["strategies"].as_array().unwrap();
    let names: Vec<_> = strategies.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sma_cross", "sma_cross_2", "momentum"], "{request}");
    assert_eq!(strategies[1]["parameters"][0], json!({"name": "fast", "value": "7"}), "{request}");
    assert_eq!(strategies[2]["groupPolicy"], "GROUP_POLICY_ALERT", "{request}");
    assert_eq!(request["accountKind"], "ACCOUNT_KIND_CASH", "{request}");
    assert_eq!(request["costs"]["commissionMinimum"]["nanos"], 500_000_000, "{request}");
    assert_eq!(request["finalize"], true, "{request}");
    assert_eq!(request["limitSets"].as_array().map(Vec::len), Some(2), "{request}");
    assert_eq!(request["symbols"], json!(["SPY", "AAPL"]), "{request}");
}
