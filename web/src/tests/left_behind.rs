//! What a strategy leaves behind when it is stopped or removed: somebody says what becomes of it, and nothing of it is out
//! of reach.

use axum::http::{Method, StatusCode};
use contracts::stream;
use contracts::v1::event::Body as EventBody;
use contracts::v1::{PositionsFate, StrategyMode};

use super::action::Visitor;
use super::strategies::{call, last_control};
use super::{Deck, read, script};
use crate::access::Role;

#[tokio::test]
async fn what_a_removed_strategy_leaves_behind_is_asked_for_and_stays_within_reach() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let expires_ns = runtime::now_ns() + 3_600_000_000_000;
    let token = deck.app.config.access.create_token("boss", Role::Admin, "test", expires_ns).unwrap().secret;
    let body = "{\"name\":\"swing\",\"account\":\"paper\",\"subjects\":[\"market.bar.1h.SPY\"]}";
    let made = call(&deck, &token, Method::POST, "strategies", "key-number-1", body).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    deck.append(script::bought("swing")).await;

    // Without a word nothing is left behind.
    let before = deck.stored().await;
    for (query, field, expected) in [
        ("", "positions", "keep, flatten or hand_over, because swing holds 20 AAPL"),
        ("?positions=sell", "positions", "one of keep, flatten, hand_over"),
        ("?positions=hand_over", "hand_over_to", "another strategy that is enabled, or manual"),
        ("?positions=keep&hand_over_to=manual", "hand_over_to", "none, or positions hand_over beside it"),
    ] {
        let path = format!("strategies/swing{query}");
        let (status, problem) = call(&deck, &token, Method::DELETE, &path, "key-number-2", "").await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &field.into()), "{query}: {problem}");
        assert_eq!(problem["expected"], expected, "{query}");
    }
    let form = format!("csrf={}&key=key-number-3&word=swing&hand_over_to=manual", visitor.token);
    let refused = read(deck.send(visitor.post("/strategies/swing/remove", &form)).await).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("because swing holds 20 AAPL"), "{}", refused.text);
    assert_eq!((deck.stored().await, deck.server.users()), (before, vec!["strategy-swing".to_owned()]));

    let form =
        format!("csrf={}&key=key-number-4&word=swing&hand_over_to=manual&positions=keep", visitor.token);
    let removed = read(deck.send(visitor.post("/strategies/swing/remove", &form)).await).await;
    assert_eq!(removed.status, StatusCode::OK, "{}", removed.text);
    assert!(removed.text.contains("What it holds stays in its name"), "{}", removed.text);
    deck.settle().await;
    for (path, texts) in [
        ("/strategies", ["data-state=\"removed\"", "id=\"form-disable-swing\""]),
        ("/strategies/swing", ["removed; what it held stays in its name", "<dd>20 AAPL</dd>"]),
        ("/positions", ["<option value=\"strategy:swing\">", "<option value=\"swing\">"]),
    ] {
        let page = deck.get(path).await.text;
        for text in texts {
            assert!(page.contains(text), "{text} is missing on {path}");
        }
    }

    // What is in its name is stopped, limited and closed as that of any other.
    let stop = "{\"strategy\":\"swing\",\"reason\":\"drill\"}";
    let kill = "{\"strategy\":\"swing\",\"flatten\":true,\"reason\":\"drill\"}";
    let limit = |value: &str| {
        let limits = format!("[{{\"name\":\"max_open_orders\",\"value\":\"{value}\"}}]");
        format!("{{\"scope\":{{\"strategy\":\"swing\"}},\"limits\":{limits}}}")
    };
    for (number, path, body) in [
        (5, "trading/halt", stop.to_owned()),
        (6, "trading/resume", stop.to_owned()),
        (7, "limits", limit("3")),
        (8, "limits", limit("none")),
        (9, "trading/kill", kill.to_owned()),
    ] {
        let key = format!("key-number-{number}");
        let (status, answer) = call(&deck, &token, Method::POST, path, &key, &body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        assert!(path == "limits" || answer["strategy"] == "swing", "{path}: {answer}");
    }
    deck.settle().await;
    let (_, risk) = call(&deck, &token, Method::GET, "risk", "key-number-0", "").await;
    let killed = risk["stopped"].as_array().unwrap().iter().find(|row| row["by"] == "kill").unwrap();
    assert_eq!((&killed["actor"], &killed["reason"]), (&"token-boss".into(), &"drill".into()), "{killed}");

    let close = "{\"positions\":\"flatten\"}";
    let (status, closed) =
        call(&deck, &token, Method::POST, "strategies/swing/disable", "key-number-10", close).await;
    assert_eq!((status, &closed["state"]), (StatusCode::OK, &"removed".into()), "{closed}");
    let EventBody::StrategyDisabled(stop) = last_control(&deck, "swing").await else { panic!("not told") };
    assert_eq!(stop.positions(), PositionsFate::Flatten);
    let form = format!("csrf={}&key=key-number-11&positions=hand_over&hand_over_to=manual", visitor.token);
    let handed = read(deck.send(visitor.post("/strategies/swing/disable", &form)).await).await;
    assert_eq!(handed.status, StatusCode::OK, "{}", handed.text);
    // It trades no more, and a name with nothing in it is nobody's.
    let enable = "{\"mode\":\"paper\"}";
    let (status, _) =
        call(&deck, &token, Method::POST, "strategies/swing/enable", "key-number-12", enable).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let nobody = "{\"strategy\":\"nobody\"}";
    let (status, _) = call(&deck, &token, Method::POST, "trading/halt", "key-number-13", nobody).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whoever_stops_a_strategy_says_what_becomes_of_what_it_holds() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let expires_ns = runtime::now_ns() + 3_600_000_000_000;
    let token = deck.app.config.access.create_token("boss", Role::Admin, "test", expires_ns).unwrap().secret;
    let ask = async |command: &str, key: &str, body: &str| {
        let path = format!("strategies/momentum/{command}");
        call(&deck, &token, Method::POST, &path, key, body).await
    };
    // By whatever way it is asked for: without a word nothing is stopped.
    let before = deck.stored().await;
    let said = "keep, flatten or hand_over, because momentum holds 120 AAPL, 1 open order";
    for (number, command, body) in [
        (1, "disable", "{}"),
        (2, "disable", "{\"reason\":\"drill\"}"),
        (3, "enable", "{\"mode\":\"shadow\"}"),
    ] {
        let (status, problem) = ask(command, &format!("key-number-{number}"), body).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &"positions".into()), "{body}: {problem}");
        assert_eq!(problem["expected"], said, "{body}");
    }
    for (command, fields) in
        [("disable", ""), ("disable", "&positions=&hand_over_to=manual"), ("enable", "&mode=shadow")]
    {
        let form = format!("csrf={}&key=key-number-4{fields}", visitor.token);
        let path = format!("/strategies/momentum/{command}");
        let refused = read(deck.send(visitor.post(&path, &form)).await).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{fields}");
        assert!(refused.text.contains(said), "{}", refused.text);
    }
    assert_eq!(deck.stored().await, before);
    // The Overview asks as the Strategies page does.
    let overview = deck.get("/").await.text;
    assert!(overview.contains("id=\"fate-momentum-held\""), "no question on the Overview");

    let fate = "mode=shadow&positions=hand_over&hand_over_to=manual";
    let form = format!("csrf={}&key=key-number-5&{fate}", visitor.token);
    let shadowed = read(deck.send(visitor.post("/strategies/momentum/enable", &form)).await).await;
    assert_eq!(shadowed.status, StatusCode::OK, "{}", shadowed.text);
    assert!(shadowed.text.contains("manual takes its positions over"), "{}", shadowed.text);
    let EventBody::StrategyEnabled(enabled) = last_control(&deck, "momentum").await else { panic!("off") };
    assert_eq!(enabled.mode(), StrategyMode::Shadow);
    let stop = deck.tape.last(stream::TRADING, "control.strategy.momentum.disabled").await.unwrap().unwrap();
    let Some(EventBody::StrategyDisabled(stop)) = stop.event.body else { panic!("no stop") };
    assert_eq!((stop.positions(), stop.hand_over_to.as_str()), (PositionsFate::HandOver, "manual"));
    deck.settle().await;
    let page = deck.get("/strategies").await.text;
    assert!(page.contains("stopped; its positions go to manual: under way"), "{page}");
    // What was said goes on, and need not be said twice.
    let (status, stopped) = ask("disable", "key-number-6", "{}").await;
    assert_eq!((status, &stopped["state"]), (StatusCode::OK, &"disabled".into()), "{stopped}");
    deck.settle().await;
    let page = deck.get("/strategies").await.text;
    assert!(page.contains("stopped; its positions go to manual: under way"), "{page}");
}
