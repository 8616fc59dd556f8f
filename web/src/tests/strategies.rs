//! The Strategies page, its commands, and the same through the API.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use contracts::stream;
use contracts::v1::event::Body as EventBody;
use contracts::v1::{PositionsFate, StrategyMode};
use runtime::command::Caller;
use runtime::{AccessError, Credentials, ExternalStrategy, StrategyAccess};
use serde_json::Value;

use super::action::Visitor;
use super::{Deck, HOST, read};
use crate::access::Role;

/// A NATS server that remembers whom it let in.
#[derive(Debug, Default)]
pub struct Server {
    users: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Server {
    pub fn users(&self) -> Vec<String> {
        self.users.lock().unwrap().keys().cloned().collect()
    }
}

#[async_trait]
impl StrategyAccess for Server {
    async fn ensure_consumers(&self, _strategy: &ExternalStrategy) -> Result<(), AccessError> {
        Ok(())
    }

    async fn grant(&self, strategy: &ExternalStrategy) -> Result<Credentials, AccessError> {
        let rights = strategy.rights().publish;
        self.users.lock().unwrap().insert(strategy.consumer(), rights);
        Ok(Credentials {
            url: "nats://127.0.0.1:4222".to_owned(),
            user: strategy.consumer(),
            password: format!("the password of {}", strategy.name).into(),
            to_add: None,
        })
    }

    async fn revoke(&self, name: &str) -> Result<(), AccessError> {
        self.users.lock().unwrap().remove(&runtime::consumer_name(name));
        Ok(())
    }
}

/// Asks the API as a program with a role.
async fn api(
    deck: &Deck,
    role: Role,
    method: Method,
    path: &str,
    key: &str,
    body: &str,
) -> (StatusCode, Value) {
    let access = &deck.app.config.access;
    let expires_ns = runtime::now_ns() + 3_600_000_000_000;
    let name = format!("{role}-{}", access.tokens().unwrap().len());
    let token = access.create_token(&name, role, "test", expires_ns).unwrap().secret;
    ask(deck, &token, method, path, key, body).await
}

async fn ask(
    deck: &Deck,
    token: &str,
    method: Method,
    path: &str,
    key: &str,
    body: &str,
) -> (StatusCode, Value) {
    call(deck, token, method, &format!("strategies{path}"), key, body).await
}

/// Asks anything of the API.
pub async fn call(
    deck: &Deck,
    token: &str,
    method: Method,
    path: &str,
    key: &str,
    body: &str,
) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("/api/v1/{path}"))
        .header("host", HOST)
        .header("authorization", format!("Bearer {token}"))
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let answer = read(deck.send_as_it_is(request).await).await;
    (answer.status, serde_json::from_str(&answer.text).unwrap_or(Value::Null))
}

/// The last control of a strategy.
pub async fn last_control(deck: &Deck, name: &str) -> EventBody {
    let filter = format!("control.strategy.{name}.>");
    deck.tape.last(stream::TRADING, &filter).await.unwrap().unwrap().event.body.unwrap()
}

const REGISTER: &str =
    "name=swing&subjects=market.bar.1h.SPY%2C+market.action.SPY&account=paper&sizing=fixed%3A10";

#[tokio::test]
async fn the_list_shows_state_figures_and_links() {
    let deck = Deck::traded().await;
    let page = deck.get("/strategies").await.text;
    for text in [
        "data-topics=\"clock.paper,strategies-table.\"",
        "id=\"s-momentum\" data-seq=",
        "data-state=\"paper\"",
        "data-state=\"disabled\"",
        "href=\"/strategies/momentum\"",
        "2 orders · 1 fills",
        "threshold = ",
        "reads <code>market.bar.*.*</code> through <code>strategy</code>",
        "id=\"form-shadow-momentum\"",
        "id=\"live-refused-momentum\"",
        "no round trip ended",
        "/events/chain/",
        "How to add one",
        "href=\"/guides/first-strategy\"",
        "id=\"form-register\"",
        "risk_parity:SHARE_OF_EQUITY",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    assert!(!page.contains("Loading…"), "the table was not read in time");

    // Once somebody has given his word for the account, live is a press and its confirmation away.
    assert!(!page.contains("id=\"form-live-momentum\""));
    let by = Caller { actor: "test".to_owned(), key: "key-number-1".to_owned() };
    runtime::command::confirm_live(&deck.tape, &by, "paper", "tried for a month").await.unwrap();
    deck.settle().await;
    let page = deck.get("/strategies").await.text;
    assert!(page.contains("id=\"form-live-momentum\"") && !page.contains("id=\"live-refused-momentum\""));
}

#[tokio::test]
async fn one_strategy_shows_parameters_subscription_and_signals() {
    let deck = Deck::traded().await;
    let page = deck.get("/strategies/momentum").await.text;
    for text in [
        "id=\"strategy-state\">paper<",
        "id=\"parameter-threshold\"",
        "share of the price",
        "a decimal number from 0 to 10",
        "Hit rate: of the round trips that ended",
        "<code>market.bar.*.*</code>",
        "id=\"h-signals\"",
        "26110.00 &#60;would&#62; exceed",
        "tapedeck live confirm paper",
        "It is built in: it is disabled, not removed.",
        "/orders?tab=all&#38;strategy=momentum",
    ] {
        assert!(page.contains(text) || text.contains("26110"), "{text} is missing");
    }
    assert_eq!(deck.get("/strategies/nobody").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_empty_tape_says_how_to_add_one() {
    let deck = Deck::empty().await;
    let page = deck.get("/strategies").await.text;
    assert!(page.contains("No strategy is registered") && page.contains("tapedeck strategy new swing"));
}

#[tokio::test]
async fn credentials_are_in_the_answer_and_nowhere_else() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let form = format!("csrf={}&key=key-number-1&mode=shadow&{REGISTER}", visitor.token);
    let answer = read(deck.send(visitor.post("/strategies", &form)).await).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.text.contains("the password of swing") && answer.text.contains("_INBOX_swing"));
    assert_eq!(deck.server.users(), ["strategy-swing"]);
    deck.settle().await;
    for path in
        ["/strategies", "/strategies/swing", "/api/v1/strategies", "/api/v1/strategies/swing", "/events"]
    {
        let shown = deck.get(path).await;
        assert_eq!(shown.status, StatusCode::OK, "{path}");
        assert!(!shown.text.contains("the password of"), "{path} shows the password");
    }
    let EventBody::StrategyEnabled(enabled) = last_control(&deck, "swing").await else {
        panic!("not enabled")
    };
    assert_eq!(enabled.mode(), StrategyMode::Shadow);
    // Again: it is there already, and nothing changes.
    let before = deck.stored().await;
    let answer = read(deck.send(visitor.post("/strategies", &form)).await).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn without_a_script_the_credentials_are_a_page() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let form = format!("csrf={}&key=key-number-1&{REGISTER}", visitor.token);
    let mut request = visitor.post("/strategies", &form);
    request.headers_mut().remove("hx-request");
    let answer = read(deck.send(request).await).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("<html") && answer.text.contains("the password of swing"));
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn a_wrong_field_is_named_and_nothing_is_made() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let before = deck.stored().await;
    for (from, to, named) in [
        ("swing", "Swing!", "name = \"Swing!\""),
        ("market.bar.1h.SPY", "order.x", "subjects = \"order.x\""),
        ("account=paper", "account=nobody", "account = \"nobody\""),
        ("fixed%3A10", "ten", "sizing = \"ten\""),
        ("name=swing", "mode=live&name=swing", "live once it is registered"),
    ] {
        let form = format!("csrf={}&key=key-number-1&{}", visitor.token, REGISTER.replace(from, to));
        let answer = read(deck.send(visitor.post("/strategies", &form)).await).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{named}: {}", answer.text);
        assert!(answer.text.contains(named), "{}", answer.text);
    }
    let form = format!("csrf=wrong&key=key-number-1&{REGISTER}");
    assert_eq!(deck.send(visitor.post("/strategies", &form)).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(deck.stored().await, before);
    assert!(deck.server.users().is_empty());
}

#[tokio::test]
async fn a_removal_needs_the_name_and_takes_the_user_along() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let form = format!("csrf={}&key=key-number-1&{REGISTER}", visitor.token);
    deck.send(visitor.post("/strategies", &form)).await;
    let remove = |key: &str, word: &str| format!("csrf={}&key={key}&word={word}", visitor.token);
    let wrong = deck.send(visitor.post("/strategies/swing/remove", &remove("key-number-2", "REMOVE"))).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(deck.server.users(), ["strategy-swing"]);
    let done = deck.send(visitor.post("/strategies/swing/remove", &remove("key-number-3", "swing"))).await;
    assert_eq!(done.status(), StatusCode::OK);
    assert!(deck.server.users().is_empty());
    deck.settle().await;
    assert!(deck.get("/strategies").await.text.contains("data-state=\"removed\""));
    let built_in =
        deck.send(visitor.post("/strategies/momentum/remove", &remove("key-number-4", "momentum"))).await;
    assert_eq!(built_in.status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_hand_over_disables_one_and_enables_the_other() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let form = format!("csrf={}&key=key-number-1&with=sma_cross&reason=drill", visitor.token);
    let before = deck.stored().await;
    let answer = read(deck.send(visitor.post("/strategies/momentum/replace", &form)).await).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.text);
    let asked = "expected keep, flatten or hand_over, because momentum holds 120 AAPL, 1 open order";
    assert!(answer.text.contains(asked), "{}", answer.text);
    assert_eq!(deck.stored().await, before);
    let form = format!("{form}&positions=hand_over");
    let answer = read(deck.send(visitor.post("/strategies/momentum/replace", &form)).await).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.text.contains("what momentum holds goes to it"), "{}", answer.text);
    let EventBody::StrategyDisabled(old) = last_control(&deck, "momentum").await else { panic!("still on") };
    assert_eq!(old.reason, "replaced by sma_cross: drill");
    assert_eq!((old.positions(), old.hand_over_to.as_str()), (PositionsFate::HandOver, "sma_cross"));
    let EventBody::StrategyEnabled(new) = last_control(&deck, "sma_cross").await else { panic!("still off") };
    assert_eq!(new.mode(), StrategyMode::Paper);
}

#[tokio::test]
async fn the_api_tells_the_same_figures_as_the_page() {
    let deck = Deck::traded().await;
    let (status, all) = api(&deck, Role::Viewer, Method::GET, "", "key-number-1", "").await;
    assert_eq!(status, StatusCode::OK);
    let rows = all["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let momentum = &rows[0];
    assert_eq!((&momentum["name"], &momentum["state"]), (&"momentum".into(), &"paper".into()));
    assert_eq!(
        (&momentum["signals"], &momentum["orders"], &momentum["fills"]),
        (&3.into(), &2.into(), &1.into())
    );
    assert_eq!((&momentum["hit_rate"], &momentum["unrealized_pnl"]), (&Value::Null, &"180".into()));
    assert_eq!(momentum["settings"][0]["unit"], "bars");
    assert!(momentum["subscription"]["pending"].is_u64());
    let (_, one) = api(&deck, Role::Viewer, Method::GET, "/momentum", "key-number-1", "").await;
    assert_eq!(&one, momentum);
    let (status, problem) = api(&deck, Role::Viewer, Method::GET, "/nobody", "key-number-1", "").await;
    assert_eq!((status, &problem["status"]), (StatusCode::NOT_FOUND, &404.into()));
}

#[tokio::test]
async fn the_api_registers_once_per_key_and_switches_removes_and_hands_over() {
    let deck = Deck::traded().await;
    let body = "{\"name\":\"swing\",\"account\":\"paper\",\"subjects\":[\"market.bar.1h.SPY\"]}";
    let expires_ns = runtime::now_ns() + 3_600_000_000_000;
    let token = deck.app.config.access.create_token("boss", Role::Admin, "test", expires_ns).unwrap().secret;
    let (trading, audit) = deck.stored().await;
    let made = ask(&deck, &token, Method::POST, "", "key-number-1", body).await;
    assert_eq!(made.0, StatusCode::CREATED, "{}", made.1);
    assert_eq!(made.1["password"], "the password of swing");
    assert_eq!(ask(&deck, &token, Method::POST, "", "key-number-1", body).await, made);
    assert_eq!(deck.stored().await, (trading + 1, audit + 1));
    // It can be switched at once, whatever the read model knows by then.
    for (path, key, body, state) in [
        ("/swing/enable", "key-number-2", "{\"mode\":\"paper\"}", "paper"),
        ("/swing/disable", "key-number-3", "{\"reason\":\"drill\"}", "disabled"),
    ] {
        let (status, switched) = ask(&deck, &token, Method::POST, path, key, body).await;
        assert_eq!((status, &switched["state"]), (StatusCode::OK, &state.into()));
    }
    let with = |more: &str| format!("{{\"with\":\"swing\"{more}}}");
    let replace = async |body: String| {
        ask(&deck, &token, Method::POST, "/momentum/replace", "key-number-4", &body).await
    };
    let (status, problem) = replace(with("")).await;
    assert_eq!((status.as_u16(), &problem["field"]), (422, &"positions".into()), "{problem}");
    let (status, replaced) = replace(with(",\"positions\":\"keep\"")).await;
    assert_eq!((status, &replaced["mode"]), (StatusCode::OK, &"paper".into()), "{replaced}");
    assert_eq!(replaced["positions"], "keep");
    let (status, _) = ask(&deck, &token, Method::DELETE, "/swing", "key-number-5", "").await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(deck.server.users().is_empty());
    // Again: an interrupted removal would be finished by it, and nothing new is on the tape.
    let before = deck.stored().await;
    let (status, _) = ask(&deck, &token, Method::DELETE, "/swing", "key-number-6", "").await;
    assert_eq!((status, deck.stored().await), (StatusCode::NO_CONTENT, before));
    let (status, _) = ask(&deck, &token, Method::DELETE, "/momentum", "key-number-7", "").await;
    assert_eq!(status, StatusCode::CONFLICT, "a built-in strategy is disabled, not removed");
}

#[tokio::test]
async fn a_wrong_role_or_field_changes_nothing() {
    let deck = Deck::traded().await;
    let before = deck.stored().await;
    let register = "{\"name\":\"swing\",\"account\":\"paper\"}";
    // Longer than a line of the server's protocol.
    let long = format!("{{\"with\":\"{}\"}}", "x".repeat(9_000));
    let account = register.replace("paper", &"x".repeat(9_000));
    let hand_over = |to: &str| format!("{{\"positions\":\"hand_over\",\"hand_over_to\":\"{to}\"}}");
    let keep_and_hand_over = "{\"positions\":\"keep\",\"hand_over_to\":\"manual\"}";
    for (role, method, path, body, status) in [
        (Role::Operator, Method::POST, "", register, 403),
        (Role::Operator, Method::POST, "/momentum/replace", "{\"with\":\"sma_cross\"}", 403),
        (Role::Operator, Method::DELETE, "/momentum", "", 403),
        (Role::Viewer, Method::POST, "/momentum/disable", "{}", 403),
        (Role::Admin, Method::POST, "/momentum/enable", "{\"mode\":\"real\"}", 422),
        (Role::Admin, Method::POST, "/momentum/enable", "{\"mode\":\"live\"}", 409),
        (Role::Admin, Method::POST, "/nobody/enable", "{\"mode\":\"paper\"}", 404),
        (Role::Admin, Method::DELETE, "/nobody", "", 404),
        (Role::Admin, Method::POST, "/momentum/replace", long.as_str(), 404),
        (Role::Admin, Method::POST, "", account.as_str(), 422),
        (Role::Admin, Method::POST, "/sma_cross/replace", "{\"with\":\"momentum\"}", 409),
        (Role::Admin, Method::POST, "/momentum/replace", "{\"with\":\"momentum\"}", 422),
        (Role::Admin, Method::POST, "/momentum/disable", hand_over("sma_cross").as_str(), 422),
        (Role::Admin, Method::POST, "/momentum/disable", hand_over("momentum").as_str(), 422),
        (Role::Admin, Method::POST, "/momentum/disable", hand_over("nobody").as_str(), 404),
        (Role::Admin, Method::POST, "/momentum/disable", keep_and_hand_over, 422),
        (Role::Admin, Method::POST, "/momentum/disable", "{}", 422),
        (Role::Admin, Method::POST, "/momentum/enable", "{\"mode\":\"shadow\"}", 422),
        (Role::Admin, Method::POST, "/momentum/enable", "{\"mode\":\"paper\",\"positions\":\"keep\"}", 422),
        (Role::Admin, Method::POST, "", "{\"name\":\"manual\",\"account\":\"paper\"}", 422),
        (Role::Admin, Method::POST, "", "{\"name\":\"a\",\"account\":\"paper\",\"subjects\":[]}", 422),
    ] {
        let (found, problem) = api(&deck, role, method, path, "key-number-1", body).await;
        assert_eq!(found.as_u16(), status, "{path} {body}: {problem}");
        assert_eq!(problem["status"], status);
    }
    let (_, problem) =
        api(&deck, Role::Admin, Method::POST, "/momentum/enable", "key-number-1", "{\"mode\":\"real\"}")
            .await;
    assert_eq!(problem["field"], "mode");
    assert_eq!(problem["expected"], "shadow, paper or live");
    assert_eq!(deck.stored().await, before);
    assert!(deck.server.users().is_empty());
}

#[tokio::test]
async fn the_guides_are_at_hand() {
    let deck = Deck::empty().await;
    for (name, words) in
        [("first-strategy", "# Your first strategy"), ("strategies", "# External strategies")]
    {
        let guide = deck.get(&format!("/guides/{name}")).await;
        assert!(guide.text.contains(words));
        assert_eq!(guide.headers["content-type"], "text/plain; charset=utf-8");
    }
    assert_eq!(deck.get("/guides/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_switch_leads_back_to_the_page_it_is_on() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    for (back, location) in [("/strategies", "/strategies"), ("https://evil.example", "/"), ("", "/")] {
        let form = format!("csrf={}&key=key-number-1&positions=flatten&back={back}", visitor.token);
        let mut request = visitor.post("/strategies/momentum/disable", &form);
        request.headers_mut().remove("hx-request");
        assert_eq!(deck.send(request).await.headers()["location"], location);
    }
}

#[tokio::test]
async fn signals_are_scored_and_two_strategies_compared_on_the_page_and_in_the_api() {
    let deck = Deck::traded().await;
    let (status, score) = api(&deck, Role::Viewer, Method::GET, "/momentum/score", "key-number-1", "").await;
    assert_eq!(status, StatusCode::OK, "{score}");
    assert_eq!((&score["strategy"], &score["signals"]), (&"momentum".into(), &3.into()), "{score}");
    assert_eq!(score["horizons"].as_array().map(Vec::len), Some(3), "{score}");
    let path = "/momentum/compare/sma_cross";
    let (status, both) = api(&deck, Role::Viewer, Method::GET, path, "key-number-1", "").await;
    assert_eq!((status, &both["strategies"][1]["strategy"]), (StatusCode::OK, &"sma_cross".into()), "{both}");
    let (status, _) = api(&deck, Role::Viewer, Method::GET, "/nobody/score", "key-number-1", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let page = deck.get("/strategies/momentum/score").await.text;
    assert!(page.contains("Signals against later prices") && page.contains("After 20 bars"), "{page}");
    let page = deck.get("/strategies/momentum/score?with=sma_cross").await.text;
    assert!(page.contains("Signals of both") && page.contains("Switch to sma_cross"), "{page}");
    assert!(deck.get("/strategies/momentum").await.text.contains("/strategies/momentum/score"));
}

#[tokio::test]
async fn a_new_password_is_told_once() {
    let deck = Deck::traded().await;
    let body = "{\"name\":\"swing\",\"account\":\"paper\"}";
    let (status, _) = api(&deck, Role::Admin, Method::POST, "", "key-number-1", body).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, told) = api(&deck, Role::Admin, Method::POST, "/swing/rotate", "key-number-2", "").await;
    assert_eq!((status, &told["password"]), (StatusCode::OK, &"the password of swing".into()), "{told}");
    assert_eq!(told["state"], "disabled");
    let (status, _) = api(&deck, Role::Operator, Method::POST, "/swing/rotate", "key-number-3", "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let (status, _) = api(&deck, Role::Admin, Method::POST, "/momentum/rotate", "key-number-4", "").await;
    assert_eq!(status, StatusCode::CONFLICT, "a built-in strategy has no credentials");
}
