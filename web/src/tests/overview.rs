//! What the Overview shows, panel by panel.

use axum::http::StatusCode;
use contracts::v1::event::Body;
use contracts::v1::{
    AlertRaised, BrokerDiffered, DifferenceKind, DifferenceResolution, Event, InvariantBroken,
};
use contracts::{Subject, event_id, to_timestamp};

use super::script::{self, NOW_NS};
use super::{Deck, STALE_AFTER, get, read, reference};
use crate::pages::{self, Panel};

/// The panel as the live stream renders it, one element or piece of text a line, so that a change of a page
/// reads as one.
async fn panel(deck: &Deck, panel: &Panel) -> String {
    let path = format!("/panels/{}?account={}", panel.name, script::ACCOUNT);
    let version = format!("data-v=\"{}\"", deck.app.hub.version());
    let answer = deck.get(&path).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let lines: Vec<String> =
        answer
            .text
            .replace(&version, "data-v=\"0\"")
            .replace('<', "\n<")
            .lines()
            // Of a closing tag only the text behind it.
            .map(|line| {
                if line.starts_with("</") { line.split_once('>').map_or("", |(_, text)| text) } else { line }
            })
            .map(|line| line.trim().to_owned())
            .filter(|line| !line.is_empty())
            // Keys of forms are new in each rendering.
            .map(|line| {
                let key = line.contains("name=\"key\"") || line.contains("name=\"csrf\"");
                if key { "<input …>".to_owned() } else { line }
            })
            .collect();
    lines.join("\n")
}

#[tokio::test]
async fn every_panel_shows_what_the_tape_holds() {
    let deck = Deck::traded().await;
    for shown in std::iter::once(&pages::CLOCK).chain(pages::overview::PANELS.iter().copied()) {
        insta::assert_snapshot!(format!("traded_{}", shown.name), panel(&deck, shown).await);
    }
}

#[tokio::test]
async fn an_article_stands_once_whatever_the_number_of_its_symbols() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let deck = Deck::traded().await;
    let good = || reference::article(1, "Good & <b>bold</b>", "https://news.example/1", 0.62, "none");
    let mut also = good();
    if let Body::NewsArticle(article) = &mut also {
        article.symbol = "MSFT".to_owned();
    }
    let bad = reference::article(2, "Bad", "javascript:alert(2)", -0.5, "24h");
    deck.append(vec![
        reference::told(0, NOW_NS - HOUR_NS, "alpaca", good()),
        reference::told(1, NOW_NS - HOUR_NS, "alpaca", also),
        reference::told(2, NOW_NS, "newsapi", bad),
    ])
    .await;
    let news = Panel::named("news").unwrap();
    insta::assert_snapshot!("told_news", panel(&deck, news).await);
    let page = deck.get("/").await.text;
    assert!(page.contains("id=\"news-3\"") && page.contains(",news.\""), "{page}");
}

#[tokio::test]
async fn an_empty_tape_says_what_to_do() {
    let deck = Deck::empty().await;
    deck.settle().await;
    let page = deck.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in [
        "First steps",
        "tapedeck import FILE…",
        "No bars.",
        "No orders yet",
        "Flat",
        "The stream is empty",
        "No article is on the tape.",
    ] {
        assert!(page.text.contains(text), "{text} is missing");
    }
}

#[tokio::test]
async fn the_page_states_mode_tape_and_a_version_older_than_any_update() {
    let deck = Deck::traded().await;
    let page = deck.get("/").await;
    for text in [">DEMO<", "<strong>test</strong>", "600× speed", "Tue 6 Jan 2026, 14:30 ET", "lang=\"en\""]
    {
        assert!(page.text.contains(text), "{text} is missing");
    }
    let version = deck.app.hub.version();
    assert!(page.text.contains(&format!(
        "<html lang=\"en\" data-theme=\"system\" data-live=\"connecting\" data-v=\"{version}\">"
    )));
    assert!(!page.text.contains("Loading…"), "a panel was not read in time");
    assert!(page.text.contains("topics=\"clock.paper,"), "live topics are missing");
}

#[tokio::test]
async fn an_alert_of_the_monitor_leads_to_what_it_measured() {
    let deck = Deck::traded().await;
    deck.append(vec![script::alert()]).await;
    let page = deck.get("/").await.text;
    let link = "href=\"/positions?account=paper#monitor\"";
    assert!(page.contains(link) && page.contains("max exposure: 22980 of 25000 used"));
    let there = deck.get("/positions?account=paper").await.text;
    let monitor = there.split("<div id=\"monitor\"").nth(1).unwrap();
    assert!(monitor.contains("22980 of 25000 used") && monitor.contains("/events/chain/"));
}

#[tokio::test]
async fn words_from_the_tape_are_text_never_markup() {
    let deck = Deck::traded().await;
    let page = deck.get("/").await;
    assert!(page.text.contains("26110.00 &#60;would&#62; exceed"));
    assert!(!page.text.contains("<would>"));
}

#[tokio::test]
async fn the_theme_follows_the_visitors_cookie() {
    let deck = Deck::empty().await;
    let mut request = get("/");
    request.headers_mut().insert("cookie", "theme=light".parse().unwrap());
    let page = read(deck.send(request).await).await;
    assert!(page.text.contains("data-theme=\"light\""));
}

#[tokio::test]
async fn the_equity_line_comes_oldest_first() {
    let deck = Deck::traded().await;
    let answer = deck.get("/overview/equity.json").await;
    let line: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    let seconds = NOW_NS / 1_000_000_000;
    let expected = serde_json::json!([[seconds - 5 * 3_600, 100_000.0], [seconds, 100_179.0]]);
    assert_eq!(line["points"], expected);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let deck = Deck::traded().await;
    for path in ["/?account=nobody", "/panels/nothing", "/assets/nothing.js", "/assets/manifest.json", "/x"] {
        assert_eq!(deck.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn assets_may_be_kept_for_ever_and_pages_never() {
    let deck = Deck::empty().await;
    let page = deck.get("/").await;
    assert_eq!(page.headers["cache-control"], "no-store");
    let script = deck.app.assets.path("app.js");
    assert!(page.text.contains(&script));
    let asset = deck.get(&script).await;
    assert_eq!(asset.status, StatusCode::OK);
    assert_eq!(asset.headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(asset.headers["content-type"], "text/javascript; charset=utf-8");
}

#[tokio::test]
async fn ready_only_when_every_service_is_and_every_projection_is_at_its_head() {
    let deck = Deck::traded().await;
    let answer = deck.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    deck.app.context.health.set("risk", runtime::HealthState::Degraded, "waits for trading");
    let answer = deck.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let body: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(body["not_ready"], serde_json::json!(["risk: degraded waits for trading"]));
    assert_eq!(deck.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_projection_behind_its_stream_is_named() {
    let deck = Deck::traded().await;
    // Without a projector nothing moves any more.
    deck.app.context.shutdown.cancel();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let (subject, event) = script::mark(950, NOW_NS + 1, 100_200, true, false);
    deck.tape.append(event_log::Append { subject, event, expect: event_log::Expect::Nothing }).await.unwrap();
    let answer = deck.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text.contains("projection trading: 1 event behind"), "{}", answer.text);
    // Pages do not show old data as new.
    tokio::time::sleep(STALE_AFTER).await;
    deck.app.freshness.refresh(&deck.app).await;
    let page = deck.get("/").await.text;
    assert!(page.contains("May be old: trading makes no progress, 1 event behind"));
    assert!(page.contains("<strong>Projection</strong>"), "no alert tells of it");
}

#[tokio::test]
async fn a_read_model_that_cannot_be_read_costs_the_panels_not_the_page() {
    let deck = Deck::traded().await;
    deck.pool.close().await;
    let page = deck.get("/").await;
    assert_eq!(page.status, StatusCode::OK);
    let failed = page.text.matches("<strong>Not available.</strong>").count();
    assert!(failed >= 10, "{failed} panels say that they cannot be read");
    assert!(page.text.contains("hx-get=\"/panels/orders?account=\""));
    assert!(!page.text.contains("No orders yet"), "a failure is not an empty tape");
}

#[tokio::test]
async fn a_panel_that_takes_long_loads_by_itself() {
    let deck = Deck::traded().await;
    let mut busy = deck.superuser().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE trading.positions IN ACCESS EXCLUSIVE MODE")
        .execute(&mut busy)
        .await
        .unwrap();
    let page = deck.get("/").await.text;
    assert!(page.contains("hx-get=\"/panels/positions?account=paper\" hx-trigger=\"load\""));
    assert!(page.contains("100,179.00"), "the other panels are there");
    sqlx::raw_sql("COMMIT").execute(&mut busy).await.unwrap();
    let late = deck.get("/panels/positions?account=paper").await.text;
    assert!(late.contains("id=\"position-momentum-AAPL\""), "{late}");
}

#[tokio::test]
async fn a_broken_invariant_is_an_alert_whatever_account_is_looked_at() {
    let deck = Deck::traded().await;
    let alert = |mended: bool| {
        let body = Body::InvariantBroken(InvariantBroken {
            number: 7,
            name: "read_model_is_fold".to_owned(),
            detail: "position: read 3, expected 4".to_owned(),
            mended,
            ..InvariantBroken::default()
        });
        let event = Event {
            id: event_id(&format!("broken/{mended}"), "checker", 0),
            event_time: Some(to_timestamp(NOW_NS)),
            source: "checker".to_owned(),
            body: Some(body),
            ..Event::default()
        };
        (Subject::of(&["control", "invariant", "read_model_is_fold", "broken"]), event)
    };
    let path = format!("/panels/alerts?account={}", script::ACCOUNT);
    deck.append(vec![alert(false)]).await;
    let shown = deck.get(&path).await.text;
    let words = "<a href=\"/system\">invariant read model is fold: position: read 3, expected 4</a>";
    assert!(shown.contains(words), "{shown}");
    deck.append(vec![alert(true)]).await;
    let shown = deck.get(&path).await.text;
    assert!(!shown.contains("invariant read model is fold"), "{shown}");
}

#[tokio::test]
async fn alerts_of_sources_of_the_server_and_of_brokers_say_whose_they_are() {
    let deck = Deck::traded().await;
    let raised = |kind: &str, detail: &str, cleared: bool| {
        let (kind, detail) = (kind.to_owned(), detail.to_owned());
        Body::AlertRaised(AlertRaised { kind, detail, cleared, ..AlertRaised::default() })
    };
    let differed = |over: bool| {
        Body::BrokerDiffered(BrokerDiffered {
            account: script::ACCOUNT.to_owned(),
            kind: DifferenceKind::Order.into(),
            order_id: "0123".to_owned(),
            resolution: DifferenceResolution::Alert.into(),
            detail: "the broker does not know the order".to_owned(),
            over,
            ..BrokerDiffered::default()
        })
    };
    let all = |over: bool| {
        let bodies = [
            raised("breaker_news_alpaca_news", "alpaca is not asked", over),
            raised("connections_strategy-one", "strategy-one is refused connections", over),
            differed(over),
        ];
        let event = |(place, body): (u32, Body)| {
            let event = Event {
                id: event_id(&format!("alerts/{over}"), "test", place),
                event_time: Some(to_timestamp(NOW_NS)),
                source: "test".to_owned(),
                body: Some(body),
                ..Event::default()
            };
            (Subject::for_event(&event, None).unwrap(), event)
        };
        (0..).zip(bodies).map(event).collect::<Vec<_>>()
    };
    let words =
        ["alpaca is not asked", "strategy-one is refused connections", "the broker does not know the order"];
    let path = format!("/panels/alerts?account={}", script::ACCOUNT);
    deck.append(all(false)).await;
    let (shown, told) = (deck.get(&path).await.text, deck.get("/api/v1/risk").await.text);
    for (label, words) in ["Source", "Server", "Broker"].into_iter().zip(words) {
        assert!(shown.contains(label) && shown.contains(words), "{label}: {shown}");
        assert!(told.contains(words), "{told}");
    }
    deck.append(all(true)).await;
    let (shown, told) = (deck.get(&path).await.text, deck.get("/api/v1/risk").await.text);
    for words in words {
        assert!(!shown.contains(words) && !told.contains(words), "{words}: {shown} {told}");
    }
}
