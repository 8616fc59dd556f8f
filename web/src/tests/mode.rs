//! Whose money moves: every page says it, and so does the status. Whose days are counted.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use contracts::v1::event::Body;
use contracts::v1::{AccountConfigured, BrokerAttached, Event, RiskLimits, TradingMode};
use contracts::{Subject, event_id, to_timestamp};
use domain::calendar::Market;
use runtime::command::{Caller, confirm_live};
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

const BACKTEST: &str = r#"<span class="badge badge-mode" title="The events of a backtest, as it wrote them. No real money.">BACKTEST</span>"#;

/// Execution says whose money the script's account moves.
fn attached(mode: TradingMode, broker_account: &str) -> (Subject, Event) {
    let attached = BrokerAttached {
        account: ACCOUNT.to_owned(),
        broker: "alpaca".to_owned(),
        mode: mode.into(),
        broker_account: broker_account.to_owned(),
        blocked: String::new(),
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
    configured(deck, WebConfig { mode, ..deck.app.config.clone() })
}

fn configured(deck: &Deck, config: WebConfig) -> Router {
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
        json!([{
            "account": ACCOUNT, "broker": "alpaca", "mode": "live", "broker_account": "123456789", "blocked": null,
        }])
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
async fn what_is_known_of_an_account_is_kept_until_execution_says_more() {
    let deck = Deck::traded().await;
    let config = WebConfig { mode: Mode::Paper, ..deck.app.config.clone() };
    let app = App::new(deck.app.context.clone(), config).unwrap();
    let feed = tokio::spawn(crate::live::feed(Arc::clone(&app)));
    let accounts = [ACCOUNT.to_owned()];
    let heard = tokio::time::timeout(Duration::from_secs(20), async {
        while !app.attached.keeps(ACCOUNT) {
            assert_eq!(app.mode(&accounts).await.unwrap(), Mode::Paper);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        deck.append(vec![attached(TradingMode::Live, "123456789")]).await;
        while app.mode(&accounts).await.unwrap() != Mode::Live {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // So is somebody's word on it.
        assert!(!app.attached.is_confirmed(&deck.tape, ACCOUNT).await.unwrap());
        let caller = Caller { actor: "ada".to_owned(), key: "word".to_owned() };
        confirm_live(&deck.tape, &caller, ACCOUNT, "tried on paper").await.unwrap();
        while !app.attached.is_confirmed(&deck.tape, ACCOUNT).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    heard.await.unwrap();
    feed.abort();
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

#[tokio::test]
async fn the_tape_of_a_backtest_is_marked_as_one() {
    let deck = Deck::traded().await;
    let site = site(&deck, Mode::Backtest);
    for path in paths(&deck).await {
        let page = answer(&site, &deck, &path).await;
        assert!(page.contains(BACKTEST), "{path}: {page}");
        assert_eq!(page.matches("badge-mode").count(), 1, "{path}: {page}");
    }
    let status: Value = serde_json::from_str(&answer(&site, &deck, "/api/v1/status").await).unwrap();
    assert_eq!(status["mode"], "BACKTEST");
    // Whatever an account of it is attached to: nothing of a backtest is traded.
    assert_eq!(Mode::Backtest.traded(TradingMode::Live), Mode::Backtest);
}

#[tokio::test]
async fn an_account_that_takes_no_orders_says_so_wherever_it_is_shown() {
    let deck = Deck::traded().await;
    let configured = AccountConfigured {
        account: ACCOUNT.to_owned(),
        version: 2,
        broker: "alpaca".to_owned(),
        limits: Some(RiskLimits::default()),
        ..AccountConfigured::default()
    };
    let event = Event {
        id: event_id("script", "at a broker outside", 0),
        event_time: Some(to_timestamp(NOW_NS)),
        body: Some(Body::AccountConfigured(configured)),
        ..Event::default()
    };
    deck.append(vec![(Subject::for_event(&event, None).unwrap(), event)]).await;
    let site = site(&deck, Mode::Paper);
    let said = "takes no orders at its broker";
    for (number, why) in [("PA1", ""), ("PA2", "trading is blocked"), ("PA3", "")] {
        let (subject, mut event) = attached(TradingMode::Paper, number);
        if let Some(Body::BrokerAttached(attached)) = &mut event.body {
            attached.blocked = why.to_owned();
        }
        deck.append(vec![(subject, event)]).await;
        let page = answer(&site, &deck, "/").await;
        assert_eq!(page.contains(&format!("{said}: {why}.")), !why.is_empty(), "{page}");
        let expected = if why.is_empty() { Value::Null } else { why.into() };
        let accounts = answer(&site, &deck, "/api/v1/accounts").await;
        let accounts: Value = serde_json::from_str(&accounts).unwrap();
        assert_eq!(accounts["rows"][0]["blocked"], expected, "{accounts}");
        let status = answer(&site, &deck, "/api/v1/status").await;
        let status: Value = serde_json::from_str(&status).unwrap();
        assert_eq!(status["brokers"][0]["blocked"], expected, "{status}");
    }
}

#[tokio::test]
async fn a_tape_of_another_calendar_shows_its_own_sessions() {
    const DAY_NS: i64 = 86_400_000_000_000;
    let deck = Deck::traded().await;
    assert!(deck.get("/").await.text.contains(">NYSE<"));
    let calendar = Market::TwentyFourSeven.calendar();
    let site = configured(&deck, WebConfig { calendar, ..deck.app.config.clone() });
    let page = answer(&site, &deck, "/").await;
    assert!(page.contains(">24x7<") && !page.contains("NYSE"), "{page}");
    let market: Value = serde_json::from_str(&answer(&site, &deck, "/api/v1/market").await).unwrap();
    let session = &market["session"];
    assert_eq!((&session["calendar"], &session["open"]), (&json!("24x7"), &json!(true)), "{market}");
    assert_eq!(session["next_close_ns"].as_i64().map(|at_ns| at_ns % DAY_NS), Some(0), "{market}");
}
