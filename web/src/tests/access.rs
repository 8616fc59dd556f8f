//! Who may do what: whoever may not, changes nothing.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use contracts::v1::TradingState;
use runtime::command::{self, Caller, Stop};
use serde_json::Value;

use super::action::Visitor;
use super::{Answer, Deck, HOST, OWNER, cookie, get, read};
use crate::access::Role;
use crate::access::manage::{self, Wanted};

const HALT: &str = "/api/v1/trading/halt";
const DAY_NS: i64 = 86_400_000_000_000;

fn token(deck: &Deck, name: &str, role: Role) -> String {
    let expires_ns = runtime::now_ns() + DAY_NS;
    deck.app.config.access.create_token(name, role, "test", expires_ns).unwrap().secret
}

fn change(path: &str, token: &str, key: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header("host", HOST)
        .header("authorization", format!("Bearer {token}"))
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn answered(deck: &Deck, request: Request<Body>) -> (StatusCode, Value) {
    let answer: Answer = read(deck.send_as_it_is(request).await).await;
    let kind = answer.headers["content-type"].to_str().unwrap().to_owned();
    if !answer.status.is_success() {
        assert_eq!(kind, "application/problem+json", "{}", answer.text);
    }
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

#[tokio::test]
async fn nobody_sees_a_page_or_an_answer_and_is_led_to_sign_in() {
    let deck = Deck::empty().await;
    let mut page = get("/orders?tab=all");
    page.headers_mut().insert("accept", "text/html".parse().unwrap());
    let answer = deck.send_as_it_is(page).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], "/sign-in?next=%2Forders%3Ftab%3Dall");
    for path in ["/", "/live?topics=clock", "/panels/halts", "/api/v1/status", "/api/v1/none"] {
        let answer = deck.send_as_it_is(get(path)).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/healthz", "/sign-in", "/api/v1/openapi.json", "/api/docs"] {
        assert_eq!(deck.send_as_it_is(get(path)).await.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn a_person_is_told_of_an_error_on_a_page_and_a_program_in_a_line() {
    let deck = Deck::empty().await;
    for (path, said) in [
        ("/nowhere", "There is no page at this address."),
        ("/sign-out", "This address takes what a form sends and shows no page."),
        ("/orders/none", "There is no order &#34;none&#34;."),
        ("/orders?side=%3Cb%3E", "side = &#34;&#60;b&#62;&#34;: expected one of buy, sell"),
    ] {
        let mut page = get(path);
        page.headers_mut().insert("accept", "text/html,*/*".parse().unwrap());
        let page = read(deck.send(page).await).await;
        assert!(page.status.is_client_error() && page.headers["content-type"] == "text/html; charset=utf-8");
        assert!(
            page.text.contains(said) && page.text.contains("<a href=\"/\">Overview</a>"),
            "{}",
            page.text
        );
        let line = deck.get(path).await;
        assert_eq!(line.status, page.status, "{path}");
        assert!(!line.text.contains("<html"), "{}", line.text);
    }
}

#[tokio::test]
async fn a_wrong_role_token_key_or_origin_is_refused_and_changes_nothing() {
    let deck = Deck::traded().await;
    let viewer = token(&deck, "viewer", Role::Viewer);
    let operator = token(&deck, "operator", Role::Operator);
    let access = &deck.app.config.access;
    let expired = access.create_token("old", Role::Admin, "test", 1).unwrap().secret;
    let before = deck.stored().await;
    let cases = [
        (change(HALT, &viewer, "key-number-1", "{}"), StatusCode::FORBIDDEN),
        (change(HALT, &expired, "key-number-1", "{}"), StatusCode::UNAUTHORIZED),
        (change(HALT, "td_no", "key-number-1", "{}"), StatusCode::UNAUTHORIZED),
        (change(HALT, &operator, "short", "{}"), StatusCode::UNPROCESSABLE_ENTITY),
        (change(HALT, &operator, "key-number-1", "{\"acount\":\"\"}"), StatusCode::UNPROCESSABLE_ENTITY),
        (change(HALT, &operator, "key-number-1", "{"), StatusCode::BAD_REQUEST),
        (change(HALT, &operator, "key-number-1", "{\"account\":\"no\"}"), StatusCode::NOT_FOUND),
        (change("/api/v1/users", &operator, "key-number-1", "{}"), StatusCode::FORBIDDEN),
        (change("/api/v1/status", &operator, "key-number-1", "{}"), StatusCode::METHOD_NOT_ALLOWED),
        (change("/api/v1/none", &operator, "key-number-1", "{}"), StatusCode::NOT_FOUND),
    ];
    for (request, status) in cases {
        let asked = format!("{request:?}");
        assert_eq!(answered(&deck, request).await.0, status, "{asked}");
    }
    // A cookie alone, from this site or another, commands nothing; another Host is not this server.
    let visitor = Visitor::of(&deck).await;
    for (name, value, status) in [
        ("x-csrf-token", "0", StatusCode::FORBIDDEN),
        ("origin", "http://evil.example", StatusCode::FORBIDDEN),
        ("host", "evil.example", StatusCode::MISDIRECTED_REQUEST),
    ] {
        let mut request = visitor.post(HALT, "{}");
        request.headers_mut().insert("idempotency-key", "key-number-1".parse().unwrap());
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(answered(&deck, request).await.0, status, "{name}");
    }
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn a_halt_is_said_as_the_state_that_it_makes() {
    let deck = Deck::traded().await;
    let operator = token(&deck, "bot", Role::Operator);
    for (key, body, state, words) in [
        ("key-number-1", "{}", "reduce_only", "<strong>Reduce-only</strong>"),
        ("key-number-2", "{\"state\":\"halted\"}", "halted", "<strong>Halted</strong>"),
    ] {
        let (status, answer) = answered(&deck, change(HALT, &operator, key, body)).await;
        assert_eq!((status, answer["state"].as_str()), (StatusCode::OK, Some(state)));
        deck.settle().await;
        let status: Value = serde_json::from_str(&deck.get("/api/v1/status").await.text).unwrap();
        assert_eq!(status["halts"][0]["state"], state, "{status}");
        let accounts: Value = serde_json::from_str(&deck.get("/api/v1/accounts").await.text).unwrap();
        assert_eq!(accounts["rows"][0]["state"], state, "{accounts}");
        let page = deck.get("/").await.text;
        assert!(page.contains(words), "{page}");
    }
}

#[tokio::test]
async fn one_key_has_one_effect_and_one_answer_and_no_second_meaning() {
    let deck = Deck::traded().await;
    let operator = token(&deck, "bot", Role::Operator);
    let (trading, audit) = deck.stored().await;
    let first = answered(&deck, change(HALT, &operator, "key-number-1", "{}")).await;
    assert_eq!((first.0, first.1["state"].as_str()), (StatusCode::OK, Some("reduce_only")));
    assert_eq!(answered(&deck, change(HALT, &operator, "key-number-1", "{}")).await, first);
    let other = change(HALT, &operator, "key-number-1", "{\"reason\":\"other\"}");
    assert_eq!(answered(&deck, other).await.0, StatusCode::CONFLICT);
    assert_eq!(deck.stored().await, (trading + 1, audit + 1));
    let last = deck.tape.last(contracts::stream::AUDIT, "audit.>").await.unwrap().unwrap();
    assert_eq!(last.event.source, "token-bot");
}

#[tokio::test]
async fn a_key_that_the_server_before_was_given_is_not_good_for_something_else() {
    let deck = Deck::traded().await;
    let operator = token(&deck, "op", Role::Operator);
    // What it did is on the tape; the answers that it remembered are gone.
    let by = Caller { actor: "token-op".to_owned(), key: "key-number-1".to_owned() };
    let stop = Stop { reason: "drill".to_owned(), ..Stop::default() };
    command::halt_scope(&deck.tape, &by, &stop, TradingState::Unspecified).await.unwrap();
    let before = deck.stored().await;
    let ask = async |body: &str| answered(&deck, change(HALT, &operator, "key-number-1", body)).await;
    let (status, told) = ask("{\"reason\":\"drill\",\"state\":\"halted\"}").await;
    assert_eq!(status, StatusCode::CONFLICT, "{told}");
    assert!(told["detail"].as_str().unwrap().contains("used for something else"), "{told}");
    let (status, told) = ask("{\"reason\":\"drill\"}").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn everything_is_killed_only_where_that_is_said() {
    let deck = Deck::traded().await;
    let operator = token(&deck, "op", Role::Operator);
    let kill = "/api/v1/trading/kill";
    let ask = async |body: &str| answered(&deck, change(kill, &operator, "key-number-1", body)).await;
    let before = deck.stored().await;
    let (status, told) = ask("{\"reason\":\"drill\"}").await;
    assert_eq!((status, &told["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &"scope".into()), "{told}");
    assert_eq!(deck.stored().await, before);
    let (status, told) = ask("{\"scope\":\"all\",\"reason\":\"drill\"}").await;
    assert_eq!(status, StatusCode::OK, "{told}");
    assert_eq!((&told["account"], &told["strategy"]), (&"".into(), &"".into()), "{told}");
    assert_eq!(deck.stored().await, (before.0 + 1, before.1 + 1));
}

#[tokio::test]
async fn a_link_for_nobody_named_is_the_owners_whoever_else_is_admin() {
    let deck = Deck::empty().await;
    let access = &deck.app.config.access;
    access.add_user("ann", Role::Admin, None).unwrap();
    assert_eq!(access.first_admin().unwrap().as_deref(), Some(OWNER));
    access.set_disabled(OWNER, true).unwrap();
    assert_eq!(access.first_admin().unwrap().as_deref(), Some("ann"));
}

#[tokio::test]
async fn each_change_of_a_user_has_its_audit_whatever_its_key() {
    let deck = Deck::empty().await;
    deck.app.config.access.add_user("ann", Role::Viewer, None).unwrap();
    let by = Caller { actor: OWNER.to_owned(), key: "key-number-1".to_owned() };
    let before = deck.stored().await;
    for role in [Role::Operator, Role::Admin] {
        let wanted = Wanted { role: Some(role), ..Wanted::default() };
        manage::change_user(&deck.app, &by, "ann", wanted).await.unwrap();
    }
    assert_eq!(deck.stored().await, (before.0, before.1 + 2));
}

#[tokio::test]
async fn a_password_a_link_and_a_changed_role() {
    let deck = Deck::empty().await;
    let access = &deck.app.config.access;
    access.set_password(OWNER, "correct horse battery").unwrap();
    let form = |password: &str| {
        Request::post("/sign-in")
            .header("host", HOST)
            .header("origin", format!("http://{HOST}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("user={OWNER}&password={password}&next=/orders")))
            .unwrap()
    };
    let refused = deck.send_as_it_is(form("wrong")).await;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(!refused.headers().contains_key("set-cookie"));
    let entered = deck.send_as_it_is(form("correct+horse+battery")).await;
    assert_eq!(entered.headers()["location"], "/orders");
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly; SameSite=Strict"), "{cookie}");
    let session = cookie.split(';').next().unwrap().to_owned();
    let with_session = || {
        let mut request = get("/api/v1/session");
        request.headers_mut().insert("cookie", session.parse().unwrap());
        request
    };
    assert_eq!(answered(&deck, with_session()).await.1["name"], OWNER);
    // A link works once; new rights end what was open under the old ones.
    let link = format!("/sign-in?ticket={}", access.make_link(OWNER).unwrap());
    let mut looked = get(&link);
    *looked.method_mut() = Method::HEAD;
    let looked = deck.send_as_it_is(looked).await;
    assert_eq!((looked.status(), looked.headers().contains_key("set-cookie")), (StatusCode::OK, false));
    assert_eq!(deck.send_as_it_is(get(&link)).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(deck.send_as_it_is(get(&link)).await.status(), StatusCode::FORBIDDEN);
    assert!(access.set_role(OWNER, Role::Viewer).is_err(), "the last admin stays one");
    access.set_password(OWNER, "another long password").unwrap();
    assert_eq!(answered(&deck, with_session()).await.0, StatusCode::UNAUTHORIZED);
    // Guessing slows down.
    for _ in 0..3 {
        deck.send_as_it_is(form("wrong")).await;
    }
    let slowed = deck.send_as_it_is(form("another+long+password")).await;
    assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(slowed.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn an_admin_makes_users_and_tokens_and_no_secret_is_kept() {
    let deck = Deck::empty().await;
    let admin = token(&deck, "boss", Role::Admin);
    let user = "{\"name\":\"ann\",\"role\":\"operator\",\"password\":\"long enough words\"}";
    let made = answered(&deck, change("/api/v1/users", &admin, "key-number-1", user)).await;
    assert_eq!((made.0, made.1["role"].as_str()), (StatusCode::CREATED, Some("operator")));
    let again = answered(&deck, change("/api/v1/users", &admin, "key-number-2", user)).await;
    assert_eq!(again.0, StatusCode::CONFLICT);
    let new = "{\"name\":\"ci\",\"role\":\"viewer\",\"days\":1}";
    let made = answered(&deck, change("/api/v1/tokens", &admin, "key-number-3", new)).await;
    let secret = made.1["secret"].as_str().unwrap().to_owned();
    let file = std::fs::read_to_string(deck.access_file()).unwrap();
    assert!(!file.contains(&secret) && !file.contains("long enough"));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(deck.access_file()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(deck.stored().await.1, 2);
}

#[tokio::test]
async fn another_address_than_loopback_needs_a_certificate_and_says_so() {
    let deck = Deck::empty().await;
    let open = crate::WebConfig { bind: "0.0.0.0:0".parse().unwrap(), ..deck.app.config.clone() };
    let refused = crate::bind(deck.app.context.clone(), open.clone()).await.unwrap_err().to_string();
    assert!(refused.contains("web.tls_cert") && refused.contains("web.bind = 0.0.0.0:0"), "{refused}");
    let missing = deck.access_file().with_file_name("none.pem");
    let tls = Some(crate::TlsFiles { certificate: missing.clone(), key: missing });
    // Whoever asks before there is anything to bind is told the same.
    assert_eq!(crate::check(open.bind, None).unwrap_err().to_string(), refused);
    assert!(crate::check("127.0.0.1:0".parse().unwrap(), None).is_ok());
    let early = crate::check(open.bind, tls.as_ref()).unwrap_err().to_string();
    let refused = crate::bind(deck.app.context.clone(), crate::WebConfig { tls, ..open }).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.starts_with("web.tls_cert = ") && early == refused, "{early} {refused}");
}

#[tokio::test]
async fn a_viewer_is_told_why_nothing_can_be_changed_and_others_are_not() {
    let deck = Deck::traded().await;
    let access = &deck.app.config.access;
    for (name, role) in [("ann", Role::Viewer), ("bob", Role::Operator)] {
        access.add_user(name, role, None).unwrap();
        let session = access.begin_session(name).unwrap();
        for path in ["/", "/orders", "/positions", "/strategies", "/system", "/settings", "/events/parked"] {
            let mut page = get(path);
            page.headers_mut().insert("cookie", cookie(&session).parse().unwrap());
            let page = read(deck.send(page).await).await.text;
            let told = [page.contains(" data-role=\"viewer\">"), page.contains("You look as a viewer")];
            assert_eq!(told, [role == Role::Viewer; 2], "{name} at {path}: {page}");
        }
    }
}
