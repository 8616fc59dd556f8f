//! Every change that the site knows, as tables: refused it changes nothing, repeated it has one effect.
//!
//! The API's changes are those of its document, the pages' those of the routes: one that is added without an
//! example here fails.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use contracts::stream;
use contracts::v1::event::Body as EventBody;
use contracts::v1::{Event, Intent, Signal, SignalLeg};
use serde_json::Value;

use super::script::NOW_NS;
use super::{Deck, HOST, cookie, read};
use crate::access::Role;

const KEY: &str = "key-number-1";
const PASSWORD: &str = "correct horse battery";

/// What a request lacks or has wrong, its headers, and the status it is refused with.
type Refusal = (&'static str, Vec<(&'static str, String)>, StatusCode);
/// The same of a page, whose body is part of it.
type PageRefusal<'a> = (&'static str, &'a [(&'a str, &'a str)], &'a str, u16);

/// What an example needs: path, body, and the least role.
type Example = (&'static str, &'static str, Role);

/// An example of each change of the API by its operation; `{}` is what there is to act on.
fn example(operation: &str) -> Example {
    use Role::{Admin, Operator, Viewer};
    match operation {
        "halt_trading" | "resume_trading" => ("", "{\"reason\":\"drill\"}", Operator),
        "kill_trading" => ("", "{\"strategy\":\"manual\",\"flatten\":true,\"reason\":\"drill\"}", Operator),
        "reset_breaker" => ("", "{\"account\":\"paper\",\"breaker\":\"drawdown\"}", Operator),
        "set_limits" => ("", "{\"limits\":[{\"name\":\"max_leverage\",\"value\":\"2\"}]}", Operator),
        "cancel_order" => ("order", "{}", Operator),
        "place_order" => {
            ("", "{\"side\":\"buy\",\"symbol\":\"AAPL\",\"quantity\":\"1\",\"account\":\"paper\"}", Operator)
        }
        "replace_order" => ("order", "{\"limit_price\":\"10.5\"}", Operator),
        "replay_parked" => ("parked-1", "", Operator),
        "dismiss_parked" => ("parked-2", "{\"reason\":\"a typing error\"}", Operator),
        "rebuild_projection" => ("bars", "", Operator),
        "verify_projection" => ("logs", "", Operator),
        "test_connection" => ("nats", "", Operator),
        "add_user" => ("", "{\"name\":\"new\",\"role\":\"viewer\"}", Admin),
        "change_user" => ("ann", "{\"role\":\"operator\",\"disabled\":true}", Admin),
        "remove_user" => ("bob", "", Admin),
        "create_token" => ("", "{\"name\":\"new\",\"role\":\"viewer\",\"days\":1}", Admin),
        "revoke_token" => ("ci", "", Admin),
        "set_own_password" => {
            ("", "{\"current\":\"correct horse battery\",\"password\":\"another long one\"}", Viewer)
        }
        "request_backtest" => {
            ("", "{\"strategies\":[{\"kind\":\"sma_cross\"}],\"timeframe\":\"1h\"}", Operator)
        }
        "cancel_backtest" => ("backtest", "{}", Operator),
        "request_parity" => ("", "{\"session\":\"2020-01-02\"}", Operator),
        "request_fork" => (
            "",
            "{\"at\":\"1\",\"parameters\":{\"sma_cross\":{\"fast\":\"3\"}},\"limits\":{\"paper\":{\"max_position\":\"0.1\"}}}",
            Operator,
        ),
        "cancel_comparison" => ("comparison", "{}", Operator),
        "register_strategy" => ("", "{\"name\":\"swing\",\"account\":\"paper\"}", Admin),
        "remove_strategy" => ("swing", "", Admin),
        "disable_strategy" => ("sma_cross", "{}", Operator),
        "enable_strategy" => ("sma_cross", "{\"mode\":\"paper\"}", Operator),
        "rotate_strategy" => ("outer", "", Admin),
        "replace_strategy" => ("momentum", "{\"with\":\"sma_cross\",\"positions\":\"keep\"}", Admin),
        other => panic!("{other} has no example: add one, so that its refusals and its key are tested"),
    }
}

/// A change of the API.
#[derive(Debug)]
struct Change {
    operation: String,
    method: String,
    path: String,
    body: &'static str,
    role: Role,
}

/// Every change of the document.
fn changes(order: &str) -> Vec<Change> {
    let document = serde_json::to_value(crate::api::document()).unwrap();
    let mut changes = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if method == "get" {
                continue;
            }
            let operation = operation["operationId"].as_str().unwrap().to_owned();
            let (target, body, role) = example(&operation);
            let target = match target {
                "order" => order.to_owned(),
                "backtest" => backtest_id(),
                "comparison" => contracts::event_id("test/comparison-1", "backtest", 0),
                "parked-1" => parked_id(7),
                "parked-2" => parked_id(8),
                other => other.to_owned(),
            };
            let path = match path.split_once('{') {
                Some((head, tail)) => format!("{head}{target}{}", tail.split_once('}').unwrap().1),
                None => path.clone(),
            };
            changes.push(Change { operation, method: method.to_uppercase(), path, body, role });
        }
    }
    assert!(changes.len() >= 14, "{changes:?}");
    changes
}

/// Id of the run that a deck has.
fn backtest_id() -> String {
    contracts::event_id("test/backtest-1", "backtest", 0)
}

fn parked_id(sequence: u64) -> String {
    contracts::event_id(&format!("TRADING/{sequence}"), "park/risk", 0)
}

/// A deck with everything that the examples act on.
async fn deck() -> (Deck, String) {
    let deck = Deck::traded().await;
    deck.append(vec![super::script::tripped()]).await;
    let leg = SignalLeg { symbol: "SPY".to_owned(), intent: Intent::Exit.into(), ..SignalLeg::default() };
    let signal = Signal { strategy: "ext".to_owned(), legs: vec![leg], ..Signal::default() };
    for sequence in [7, 8] {
        let event = Event {
            id: format!("late-{sequence}"),
            event_time: Some(contracts::to_timestamp(NOW_NS)),
            source: "test".to_owned(),
            body: Some(EventBody::Signal(signal.clone())),
            ..Event::default()
        };
        let payload = contracts::encode(&event);
        runtime::park(&deck.tape, "risk", "TRADING", sequence, "signal.ext.SPY", &payload, "unread")
            .await
            .unwrap();
    }
    let caller = runtime::command::Caller { actor: "test".to_owned(), key: "backtest-1".to_owned() };
    let run_id =
        runtime::command::request_backtest(&deck.tape, &caller, super::backtests::request(), "").await;
    assert_eq!(run_id.unwrap(), backtest_id());
    let caller = runtime::command::Caller { actor: "test".to_owned(), key: "comparison-1".to_owned() };
    runtime::command::request_backtest(&deck.tape, &caller, super::comparisons::request(), "").await.unwrap();
    let new = runtime::command::NewStrategy {
        name: "outer".to_owned(),
        subjects: vec!["market.bar.>".to_owned()],
        account: "paper".to_owned(),
        sizing: domain::sizing::parse("fixed:10").unwrap(),
        group_policy: contracts::v1::GroupPolicy::Unspecified,
    };
    let server = deck.app.config.strategies.as_ref();
    runtime::command::register_strategy(&deck.tape, server, &caller, &new).await.unwrap();
    deck.settle().await;
    let access = &deck.app.config.access;
    for name in ["ann", "bob"] {
        access.add_user(name, Role::Viewer, None).unwrap();
    }
    access.set_own_password(super::OWNER, PASSWORD, &deck.session).unwrap();
    access.create_token("ci", Role::Viewer, "test", i64::MAX).unwrap();
    let open: Value = serde_json::from_str(&deck.get("/api/v1/orders?open=true").await.text).unwrap();
    let order = open["rows"][0]["order_id"].as_str().unwrap().to_owned();
    (deck, order)
}

fn token(deck: &Deck, role: Role) -> String {
    deck.app.config.access.create_token(&format!("as-{role}"), role, "test", i64::MAX).unwrap().secret
}

/// Last sequences of all streams, and who may what: what a refused change leaves as it is.
async fn state(deck: &Deck) -> (Vec<u64>, String) {
    let mut last = Vec::new();
    for stream in [stream::MARKET, stream::TRADING, stream::AUDIT, stream::PARKED, stream::LOGS] {
        last.push(deck.tape.state(stream).await.unwrap().last_sequence);
    }
    (last, std::fs::read_to_string(deck.access_file()).unwrap())
}

/// A request with the given headers, `host` included.
fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn no_change_of_the_api_gets_past_role_token_csrf_host_origin_or_key() {
    let (deck, order) = deck().await;
    let bearer = |token: &str| format!("Bearer {token}");
    let [viewer, operator, admin] = Role::ALL.map(|role| bearer(&token(&deck, role)));
    let expired = deck.app.config.access.create_token("old", Role::Admin, "test", 1).unwrap().secret;
    let (expired, unknown) = (bearer(&expired), bearer("td_none"));
    let (own, csrf) = (cookie(&deck.session), deck.app.sessions.token(&deck.session));
    let origin = format!("http://{HOST}");
    let (host, key) = (("host", HOST), ("idempotency-key", KEY));
    let json = ("content-type", "application/json");
    let signed = [host, key, json, ("cookie", own.as_str()), ("origin", origin.as_str())];
    let with = |more: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let all = signed.iter().chain(more);
        all.map(|(name, value)| (*name, (*value).to_owned())).collect()
    };
    let before = state(&deck).await;
    for change in changes(&order) {
        let mut cases: Vec<Refusal> = Vec::new();
        let program = |authorization: &str| -> Vec<(&'static str, String)> {
            let all = [host, key, json, ("authorization", authorization)];
            all.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
        };
        cases.push(("nobody", with(&[("cookie", "none=1")]), StatusCode::UNAUTHORIZED));
        cases.push(("an unknown token", program(&unknown), StatusCode::UNAUTHORIZED));
        cases.push(("an expired token", program(&expired), StatusCode::UNAUTHORIZED));
        cases.push(("another scheme", program("Basic b3duZXI6eA=="), StatusCode::UNAUTHORIZED));
        let least = [(Role::Operator, &viewer), (Role::Admin, &operator)];
        if let Some((_, token)) = least.into_iter().find(|(role, _)| *role == change.role) {
            cases.push(("a role too low", program(token), StatusCode::FORBIDDEN));
        }
        cases.push(("a cookie alone", with(&[]), StatusCode::FORBIDDEN));
        cases.push(("a wrong csrf token", with(&[("x-csrf-token", &"f".repeat(64))]), StatusCode::FORBIDDEN));
        let foreign = [("x-csrf-token", csrf.as_str()), ("origin", "http://evil.example")];
        cases.push(("a foreign origin", with(&foreign), StatusCode::FORBIDDEN));
        let cross = [("x-csrf-token", csrf.as_str()), ("sec-fetch-site", "cross-site")];
        cases.push(("a cross-site fetch", with(&cross), StatusCode::FORBIDDEN));
        let mut elsewhere = program(&admin);
        elsewhere[0].1 = "evil.example".to_owned();
        cases.push(("a foreign host", elsewhere, StatusCode::MISDIRECTED_REQUEST));
        for (what, wrong) in [("no key", None), ("a short key", Some("short"))] {
            let mut headers = program(&admin);
            match wrong {
                Some(wrong) => headers[1].1 = wrong.to_owned(),
                None => drop(headers.remove(1)),
            }
            cases.push((what, headers, StatusCode::UNPROCESSABLE_ENTITY));
        }
        for (what, headers, status) in cases {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let request = request(&change.method, &change.path, &headers, change.body);
            let answer = read(deck.send_as_it_is(request).await).await;
            assert_eq!(answer.status, status, "{} with {what}: {}", change.operation, answer.text);
            assert_eq!(answer.headers["content-type"], "application/problem+json", "{what}");
        }
        assert_eq!(state(&deck).await, before, "{} was refused and changed something", change.operation);
    }
}

#[tokio::test]
async fn every_change_of_the_api_has_one_effect_per_key_by_token_and_by_cookie() {
    for by_cookie in [false, true] {
        let (deck, order) = deck().await;
        let admin = format!("Bearer {}", token(&deck, Role::Admin));
        let (own, csrf) = (cookie(&deck.session), deck.app.sessions.token(&deck.session));
        let origin = format!("http://{HOST}");
        for (number, change) in changes(&order).into_iter().enumerate() {
            let key = format!("key-number-{number}");
            let mut headers =
                vec![("host", HOST), ("idempotency-key", key.as_str()), ("content-type", "application/json")];
            if by_cookie {
                let more = [("cookie", own.as_str()), ("x-csrf-token", &csrf), ("origin", &origin)];
                headers.extend(more);
            } else if change.operation == "set_own_password" {
                continue; // A token has no password.
            } else {
                headers.push(("authorization", &admin));
            }
            let before = state(&deck).await;
            let ask = || request(&change.method, &change.path, &headers, change.body);
            let first = read(deck.send_as_it_is(ask()).await).await;
            assert!(first.status.is_success(), "{change:?}: {} {}", first.status, first.text);
            let after = state(&deck).await;
            assert!(after.0[2] > before.0[2], "{} has no audit event", change.operation);
            let again = read(deck.send_as_it_is(ask()).await).await;
            assert_eq!((again.status, &again.text), (first.status, &first.text), "{}", change.operation);
            assert_eq!(again.headers["idempotent-replayed"], "true", "{}", change.operation);
            let other = request(&change.method, "/api/v1/trading/halt", &headers, "{\"reason\":\"other\"}");
            if change.method == "POST" {
                let other = deck.send_as_it_is(other).await;
                assert_eq!(other.status(), StatusCode::CONFLICT, "{}", change.operation);
            }
            assert_eq!(state(&deck).await, after, "{} had a second effect", change.operation);
        }
    }
}

/// The routes of pages that change something, read where they are: the router does not tell them.
fn page_changes() -> Vec<String> {
    let source = include_str!("../server.rs");
    let routes = source.lines().filter(|line| line.contains(".route(") && line.contains("post("));
    let paths: Vec<String> = routes
        .map(|line| line.split('"').nth(1).unwrap().to_owned())
        .filter(|path| path != "/sign-in")
        .collect();
    assert!(paths.len() >= 16, "{paths:?}");
    paths
}

#[tokio::test]
async fn no_change_of_a_page_gets_past_role_token_csrf_host_or_origin() {
    let (deck, _) = deck().await;
    let viewer = format!("Bearer {}", token(&deck, Role::Viewer));
    let (own, csrf) = (cookie(&deck.session), deck.app.sessions.token(&deck.session));
    let origin = format!("http://{HOST}");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let before = state(&deck).await;
    for path in page_changes() {
        let path = path.replace("{name}", "ann").replace("{id}", "x").replace("{task}", "remove");
        let path = path.replace("{account}", "paper");
        let good = format!("csrf={csrf}&key={KEY}&word=HALT");
        let site = [("host", HOST), form, ("cookie", own.as_str()), ("origin", origin.as_str())];
        let open_to_all = ["/settings/password", "/sign-out"].contains(&path.as_str());
        let role = if open_to_all { "no role" } else { "a role too low" };
        let cases: [PageRefusal<'_>; 6] = [
            ("nobody", &[("host", HOST), form, ("origin", &origin)], &good, 401),
            (role, &[("host", HOST), form, ("authorization", &viewer)], &good, 403),
            ("no csrf token", &site, "key=key-number-1&word=HALT", 403),
            ("a wrong csrf token", &site, "csrf=ff&key=key-number-1&word=HALT", 403),
            ("no origin", &site[..3], &good, 403),
            ("a foreign host", &[("host", "evil.example"), form, site[2], site[3]], &good, 421),
        ];
        for (what, headers, body, status) in cases {
            if what == "no role" {
                continue;
            }
            let answer = read(deck.send_as_it_is(request("POST", &path, headers, body)).await).await;
            assert_eq!(answer.status.as_u16(), status, "{path} with {what}: {}", answer.text);
        }
        assert_eq!(state(&deck).await, before, "{path} was refused and changed something");
    }
}

#[tokio::test]
async fn a_program_needs_no_csrf_token_on_a_page_and_a_browser_does() {
    let deck = Deck::traded().await;
    let operator = format!("Bearer {}", token(&deck, Role::Operator));
    let headers = [
        ("host", HOST),
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", operator.as_str()),
        ("hx-request", "true"),
    ];
    let (trading, audit) = deck.stored().await;
    let answer =
        deck.send_as_it_is(request("POST", "/trading/halt", &headers, "key=key-number-1&word=HALT")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(deck.stored().await, (trading + 1, audit + 1));
}
