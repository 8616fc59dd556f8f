//! `/metrics` and `/readyz` as a scraper and a supervisor meet them.

use axum::http::StatusCode;

use super::Deck;

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok())
}

#[tokio::test]
async fn the_site_serves_its_metrics_and_counts_its_requests() {
    let deck = Deck::empty().await;
    assert_eq!(deck.get("/").await.status, StatusCode::OK);
    assert_eq!(deck.get("/nowhere/at/all").await.status, StatusCode::NOT_FOUND);
    let answer = deck.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    let content_type = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
    assert_eq!(content_type, Some("text/plain; version=0.0.4; charset=utf-8"));
    let count = |method: &str, route: &str, status: u16| {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        value(&answer.text, &format!("tapedeck_http_request_seconds_count{labels}"))
    };
    assert!(count("GET", "/", 200) >= Some(1.0), "{}", answer.text);
    assert!(count("GET", "none", 404) >= Some(1.0), "{}", answer.text);
    assert!(!answer.text.contains("/nowhere"), "a path that no route knows is no label");
}

#[tokio::test]
async fn a_live_page_is_counted_while_it_is_open() {
    let deck = Deck::empty().await;
    let clients = || runtime::metrics::metrics().live_clients.with(&[]).get();
    let before = clients();
    let client = deck.app.hub.subscribe(std::collections::BTreeSet::new()).expect("room for a client");
    assert!((clients() - before - 1.0).abs() < f64::EPSILON);
    drop(client);
    assert!((clients() - before).abs() < f64::EPSILON);
}

#[tokio::test]
async fn readiness_names_who_is_not_ready_and_why() {
    let deck = Deck::empty().await;
    deck.app.context.health.set("risk", runtime::HealthState::Degraded, "waiting for the read model");
    let answer = deck.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let readiness: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(readiness["ready"], false);
    let reasons = readiness["not_ready"].as_array().unwrap();
    assert!(reasons.contains(&"risk: degraded waiting for the read model".into()), "{reasons:?}");
    assert_eq!(deck.get("/healthz").await.status, StatusCode::OK);
}
