//! Whoever is not this site's own page changes nothing.

use axum::body::Body;
use axum::http::{Request, StatusCode};

use super::action::{Visitor, halt_form};
use super::{Deck, HOST, read};

#[tokio::test]
async fn an_unknown_host_is_refused() {
    let deck = Deck::empty().await;
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:8080"] {
        let request = Request::get("/").header("host", host).body(Body::empty()).unwrap();
        let answer = read(deck.send(request).await).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!answer.text.contains("csrf"), "{host}");
    }
}

#[tokio::test]
async fn a_change_from_another_site_is_refused_and_changes_nothing() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let before = deck.stored().await;
    let own = format!("http://{HOST}");
    let cases: [(&str, &[(&str, &str)]); 5] = [
        ("no origin", &[]),
        ("other origin", &[("origin", "http://evil.example")]),
        ("opaque origin", &[("origin", "null")]),
        ("other port", &[("origin", "http://127.0.0.1:9999")]),
        ("cross-site fetch", &[("origin", own.as_str()), ("sec-fetch-site", "cross-site")]),
    ];
    for (case, headers) in cases {
        let mut request = visitor.post("/trading/halt", &halt_form(&visitor.token, "some-key-1"));
        request.headers_mut().remove("origin");
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = read(deck.send(request).await).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{case}");
    }
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn who_is_refused_before_the_body_was_read_is_told_that_the_connection_ends() {
    let deck = Deck::empty().await;
    let visitor = Visitor::of(&deck).await;
    let refused = deck.send(visitor.post("/nowhere", "a=1")).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    assert_eq!(refused.headers()["connection"], "close");
    for path in ["/", "/nowhere"] {
        assert!(!deck.get(path).await.headers.contains_key("connection"), "{path}");
    }
}

#[tokio::test]
async fn a_form_without_the_visitors_token_is_refused_and_changes_nothing() {
    let deck = Deck::traded().await;
    let (visitor, other) = (Visitor::of(&deck).await, Visitor::of(&deck).await);
    let before = deck.stored().await;
    for token in ["", "0", other.token.as_str(), &"f".repeat(64)] {
        let answer =
            read(deck.send(visitor.post("/trading/halt", &halt_form(token, "some-key-1"))).await).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{token:?}");
    }
    let mut without_session = visitor.post("/trading/halt", &halt_form(&visitor.token, "some-key-1"));
    without_session.headers_mut().remove("cookie");
    assert_eq!(deck.send(without_session).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn every_answer_carries_the_policy() {
    let deck = Deck::empty().await;
    for path in ["/", "/healthz", "/nowhere"] {
        let answer = deck.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    }
    let page = deck.get("/").await.text;
    assert!(!page.contains(" style="), "an inline style would be refused by the policy");
    assert!(!page.contains("<script>"), "an inline script would be refused by the policy");
}

#[tokio::test]
async fn a_large_body_is_refused() {
    let deck = Deck::empty().await;
    let visitor = Visitor::of(&deck).await;
    let answer = deck.send(visitor.post("/trading/halt", &"x".repeat(100_000))).await;
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
