//! The live stream, from a commit of the projector to the event a browser reads.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures::StreamExt as _;

use super::script::{self, NOW_NS};
use super::{Deck, HOST};
use crate::access::Role;
use crate::live::{OWN_STREAMS_MAX, TOPICS_MAX};
use crate::pages::{self, Of};

/// An event as a browser reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    topic: String,
    version: u64,
    data: String,
}

struct Browser {
    body: BodyDataStream,
    text: String,
}

impl Browser {
    async fn open(deck: &Deck, topics: &str, after: u64, last: Option<u64>) -> Self {
        let mut request = Request::get(format!("/live?topics={topics}&after={after}")).header("host", HOST);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = deck.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    async fn next(&mut self) -> Seen {
        let wait = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                if let Some(end) = self.text.find("\n\n") {
                    let event: String = self.text.drain(..end + 2).collect();
                    return parse(&event);
                }
                let bytes = self.body.next().await.unwrap().unwrap();
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        });
        wait.await.unwrap()
    }

    /// The next event that is none of the connection's heartbeats.
    async fn next_change(&mut self) -> Seen {
        for _ in 0..20 {
            let seen = self.next().await;
            if seen.topic != "beat" {
                return seen;
            }
        }
        panic!("nothing changed within 20 heartbeats");
    }
}

fn parse(event: &str) -> Seen {
    let field = |name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_default().to_owned()
    };
    Seen { topic: field("event"), version: field("id").parse().unwrap(), data: field("data") }
}

async fn live_deck() -> Deck {
    let deck = Deck::traded().await;
    tokio::spawn(crate::live::feed(Arc::clone(&deck.app)));
    deck
}

#[tokio::test]
async fn a_commit_reaches_the_browser_as_the_whole_element() {
    let deck = live_deck().await;
    let mut browser = Browser::open(&deck, "tiles.paper", deck.app.hub.version(), None).await;
    let first = browser.next_change().await;
    assert!(first.data.contains("100,179.00"), "{}", first.data);
    deck.append(vec![script::mark(950, NOW_NS + 1_000_000_000, 100_250, true, false)]).await;
    let second = browser.next_change().await;
    assert_eq!(second.topic, "tiles.paper");
    assert!(second.version > first.version);
    assert!(second.data.starts_with(&format!("<div id=\"tiles\" data-panel data-v=\"{}\"", second.version)));
    assert!(second.data.contains("100,250.00"));
    assert!(!second.data.contains('\n'));
}

#[tokio::test]
async fn resuming_gives_what_was_missed_and_nothing_twice() {
    let deck = live_deck().await;
    let mut browser = Browser::open(&deck, "tiles.paper,kill.paper", deck.app.hub.version(), None).await;
    let (one, two) = (browser.next_change().await, browser.next_change().await);
    let newest = one.version.max(two.version);
    drop(browser);
    let watcher = Browser::open(&deck, "tiles.paper", newest, None).await;
    deck.append(vec![script::mark(950, NOW_NS + 1_000_000_000, 100_300, true, false)]).await;
    let mut late = Browser::open(&deck, "tiles.paper,kill.paper", 0, Some(newest)).await;
    let missed = late.next_change().await;
    assert_eq!(missed.topic, "tiles.paper");
    assert!(missed.data.contains("100,300.00"), "{}", missed.data);
    drop(watcher);
}

#[tokio::test]
async fn a_version_the_server_does_not_know_must_resync() {
    let deck = live_deck().await;
    let before = deck.app.hub.version();
    for version in [0, u64::MAX / 2] {
        let mut browser = Browser::open(&deck, "tiles.paper", version, None).await;
        let seen = browser.next_change().await;
        assert_eq!(seen.topic, "resync");
        // What it holds after it has taken the page again: a version of this server.
        assert!(seen.version >= before && seen.version <= deck.app.hub.version(), "{seen:?}");
    }
}

#[tokio::test]
async fn a_quiet_connection_beats() {
    let deck = Deck::traded().await;
    let version = deck.app.hub.version();
    let mut browser = Browser::open(&deck, "tiles.paper", version, None).await;
    for _ in 0..2 {
        assert_eq!(
            browser.next().await,
            Seen { topic: "beat".to_owned(), version, data: version.to_string() }
        );
    }
}

#[tokio::test]
async fn a_browser_with_many_charts_open_is_served() {
    let deck = Deck::traded().await;
    let panels: Vec<&str> = pages::chart::PAGE
        .panels
        .iter()
        .filter(|panel| panel.of == Of::Symbol)
        .map(|panel| panel.name)
        .collect();
    assert!(!panels.is_empty());
    let charts = (0..40).flat_map(|chart| panels.iter().map(move |name| format!("{name}.S{chart}")));
    let topics: Vec<String> = charts.chain(["tiles.paper".to_owned()]).collect();
    Browser::open(&deck, &topics.join(","), deck.app.hub.version(), None).await.next().await;
}

#[tokio::test]
async fn unknown_topics_and_too_many_are_refused() {
    let deck = Deck::traded().await;
    let many = (0..=TOPICS_MAX).map(|index| format!("tiles.x{index}")).collect::<Vec<_>>().join(",");
    for (topics, status) in [
        ("", StatusCode::BAD_REQUEST),
        (many.as_str(), StatusCode::BAD_REQUEST),
        ("tiles.nobody", StatusCode::NOT_FOUND),
        ("nothing.paper", StatusCode::NOT_FOUND),
        ("tiles", StatusCode::NOT_FOUND),
    ] {
        let answer = deck.get(&format!("/live?topics={topics}")).await;
        assert_eq!(answer.status, status, "{topics}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{topics}");
    }
}

#[tokio::test]
async fn one_token_does_not_take_the_streams_of_all() {
    let deck = Deck::traded().await;
    let secret = deck.app.config.access.create_token("bot", Role::Viewer, "test", i64::MAX).unwrap().secret;
    let ask = async || {
        let request = Request::get("/live?topics=tiles.paper").header("host", HOST);
        let request = request.header("authorization", format!("Bearer {secret}"));
        deck.send(request.body(Body::empty()).unwrap()).await
    };
    let mut open = Vec::new();
    for _ in 0..OWN_STREAMS_MAX {
        let answer = ask().await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push(answer);
    }
    assert_eq!(ask().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Somebody else is served, and one that ended makes room.
    Browser::open(&deck, "tiles.paper", deck.app.hub.version(), None).await.next().await;
    drop(open.pop());
    assert_eq!(ask().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_stream_ends_when_the_server_stops() {
    let deck = Deck::traded().await;
    let mut browser = Browser::open(&deck, "tiles.paper", deck.app.hub.version(), None).await;
    browser.next().await;
    deck.app.context.shutdown.cancel();
    let end = tokio::time::timeout(Duration::from_secs(10), async {
        while let Some(chunk) = browser.body.next().await {
            chunk.unwrap();
        }
    });
    end.await.unwrap();
}

#[tokio::test]
async fn the_stream_ends_with_the_session_that_opened_it() {
    let deck = Deck::traded().await;
    let mut browser = Browser::open(&deck, "tiles.paper", deck.app.hub.version(), None).await;
    browser.next().await;
    deck.app.config.access.end_session(&deck.session).unwrap();
    let end = tokio::time::timeout(Duration::from_secs(10), async {
        while let Some(chunk) = browser.body.next().await {
            chunk.unwrap();
        }
    });
    end.await.unwrap();
}

#[tokio::test]
async fn an_account_without_a_value_is_not_called_missing() {
    let deck = Deck::traded().await;
    let empty = deck.get("/panels/tiles?account=none").await.text;
    assert!(empty.contains("The account none was not valued yet"), "{empty}");
    assert!(!empty.contains("No account on this tape"), "{empty}");
}

#[tokio::test]
async fn a_page_opened_on_an_empty_tape_fills_as_the_tape_does() {
    let deck = Deck::empty().await;
    deck.settle().await;
    let page = deck.get("/").await.text;
    assert!(page.contains("data-topics=\"clock.,checklist.,tiles.,"), "topics of the first account to come");
    tokio::spawn(crate::live::feed(Arc::clone(&deck.app)));
    let mut browser = Browser::open(&deck, "tiles.", deck.app.hub.version(), None).await;
    assert!(browser.next_change().await.data.contains("No account on this tape yet"));
    deck.append(script::events()).await;
    let mut seen = browser.next_change().await;
    while !seen.data.contains("100,179.00") {
        seen = browser.next_change().await;
    }
}
