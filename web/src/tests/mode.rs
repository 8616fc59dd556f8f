//! Whose money moves: every page says it, and so does the status.

use axum::Router;
use axum::http::StatusCode;
use contracts::v1::event::Body;
use contracts::v1::{BrokerAttached, Event, TradingMode};
use contracts::{Subject, event_id, to_timestamp};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::script::{ACCOUNT, NOW_NS};
use super::{Deck, HOST, cookie, get, read};
use crate::app::App;
use crate::pages::Page;
use crate::security::Hosts;
use crate::url::Url;
use crate::{Mode, WebConfig, server};

const LIVE: &str = r#"<span class="badge badge-mode" title="The market of today, real money.">LIVE</span>"#;
const PAPER: &str =
    r#"<span class="badge badge-mode" title="The market of today, simulated money.">PAPER</span>"#;

/// Execution says whose money the script's account moves.
fn attached(mode: TradingMode, broker_account: &str) -> (Subject, Event) {
    let attached = BrokerAttached {
        account: ACCOUNT.to_owned(),
        broker: "alpaca".to_owned(),
        mode: mode.into(),
        broker_account: broker_account.to_owned(),
    };
    let event = Event {
        id: event_id("script", broker_account, 0),
        event_time: Some(to_timestamp(NOW_NS)),
        source: "execution".to_owned(),
        body: Some(Body::BrokerAttached(attached)),
        ..Event::default()
    };
    (Subject::for_event(&event, None).unwrap(), event)
}

/// The deck's tape and read models behind a site of this mode.
fn site(deck: &Deck, mode: Mode) -> Router {
    let config = WebConfig { mode, ..deck.app.config.clone() };
    let app = App::new(deck.app.context.clone(), config).unwrap();
    server::router(app, Hosts::new([HOST.to_owned()]))
}

async fn answer(site: &Router, deck: &Deck, path: &str) -> String {
    let mut request = get(path);
    request.headers_mut().append("cookie", cookie(&deck.session).parse().unwrap());
    let answer = read(site.clone().oneshot(request).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    answer.text
}

/// Every page of the navigation, and those that lead on from them.
async fn paths(deck: &Deck) -> Vec<String> {
    let orders: Value = serde_json::from_str(&deck.get("/api/v1/orders").await.text).unwrap();
    let order = orders["rows"][0]["order_id"].as_str().unwrap();
    let head = deck.app.timeline.head().await.unwrap();
    let path = |page: &&Page| match page.url {
        // It leads to the chart of a symbol.
        Url::Chart => Url::Symbol("AAPL").to_string(),
        ref url => url.to_string(),
    };
    let mut paths: Vec<String> = Page::ALL.iter().map(path).collect();
    paths.extend([
        format!("/?account={ACCOUNT}"),
        format!("/?as_of=seq:{head}"),
        format!("/positions?account={ACCOUNT}&as_of=seq:{head}"),
        Url::Order(order).to_string(),
        Url::Strategy("momentum").to_string(),
        Url::Event("TRADING", 1).to_string(),
        Url::Parked.to_string(),
    ]);
    paths
}

#[tokio::test]
async fn money_is_marked_on_every_page_and_in_the_status() {
    let deck = Deck::traded().await;
    deck.append(vec![attached(TradingMode::Live, "123456789")]).await;
    let site = site(&deck, Mode::Live);
    for path in paths(&deck).await {
        let page = answer(&site, &deck, &path).await;
        assert!(page.contains(LIVE) && !page.contains(PAPER), "{path}: {page}");
    }
    let status: Value = serde_json::from_str(&answer(&site, &deck, "/api/v1/status").await).unwrap();
    assert_eq!(status["mode"], "LIVE");
    assert_eq!(
        status["brokers"],
        json!([{"account": ACCOUNT, "broker": "alpaca", "mode": "live", "broker_account": "123456789"}])
    );
}

#[tokio::test]
async fn an_account_that_another_process_attaches_to_money_is_marked_at_once() {
    let deck = Deck::traded().await;
    let site = site(&deck, Mode::Paper);
    assert!(answer(&site, &deck, "/").await.contains(PAPER));
    deck.append(vec![attached(TradingMode::Live, "123456789")]).await;
    let page = answer(&site, &deck, "/").await;
    assert!(page.contains(LIVE) && !page.contains(PAPER), "{page}");
    let status: Value = serde_json::from_str(&answer(&site, &deck, "/api/v1/status").await).unwrap();
    assert_eq!(status["mode"], "LIVE");
}

#[tokio::test]
async fn a_paper_account_is_marked_as_one() {
    let deck = Deck::traded().await;
    deck.append(vec![attached(TradingMode::Paper, "PA1")]).await;
    let site = site(&deck, Mode::Paper);
    for path in paths(&deck).await {
        let page = answer(&site, &deck, &path).await;
        assert!(page.contains(PAPER) && !page.contains(">LIVE<"), "{path}: {page}");
    }
    let status: Value = serde_json::from_str(&answer(&site, &deck, "/api/v1/status").await).unwrap();
    assert_eq!((&status["mode"], &status["brokers"][0]["mode"]), (&"PAPER".into(), &"paper".into()));
}
