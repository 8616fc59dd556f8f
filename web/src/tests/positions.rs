//! Positions & risk, now and as of a moment of the past.

use axum::http::StatusCode;
use contracts::v1::event::Body as EventBody;

use super::action::Visitor;
use super::script::NOW_NS;
use super::{Deck, read, script};

#[tokio::test]
async fn positions_limits_and_denials_are_there() {
    let deck = Deck::traded().await;
    let page = deck.get("/positions").await.text;
    for text in [
        "id=\"h-momentum-AAPL\"",
        "id=\"n-AAPL\"",
        "data-unrealized=\"180\"",
        "id=\"limit-max_exposure\"",
        "data-rule=\"max_position\"",
        "href=\"/events/chain/",
        "id=\"account-state\">NORMAL<",
        // The kill switch closes what was traded by hand alone.
        "<option value=\"strategy:manual\">",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
    assert!(page.contains("data-topics=\"clock.paper,positions-netted.paper,"));
}

#[tokio::test]
async fn lots_of_first_in_first_out_stand_below_the_average() {
    let deck = Deck::traded().await;
    let page = deck.get("/positions").await.text;
    assert!(!page.contains("FIFO"), "one lot costs its average");
    deck.append(script::second_lot()).await;
    let page = deck.get("/positions").await.text;
    for text in [
        // Averaged at 195, the sale at 200 made 600; of the first lot it made 1200.
        "195.00<span class=\"sub\" data-fifo>FIFO 200.00</span>",
        "data-realized=\"600\"",
        "data-fifo-realized=\"1200\"",
        "data-unrealized=\"-420\"",
        "data-fifo-unrealized=\"-1020\"",
        "first in, first out (FIFO)",
    ] {
        assert!(page.contains(text), "{text} is missing");
    }
}

#[tokio::test]
async fn denials_are_filtered_by_rule() {
    let deck = Deck::traded().await;
    assert!(deck.get("/positions?rule=max_position").await.text.contains("data-rule=\"max_position\""));
    assert!(deck.get("/positions?rule=daily_loss").await.text.contains("No match"));
}

/// The page without its frame, where one signs out.
fn main(page: &str) -> &str {
    page.split("<main").nth(1).unwrap()
}

#[tokio::test]
async fn a_page_of_the_past_shows_what_was_says_so_and_commands_nothing() {
    let deck = Deck::traded().await;
    // Before the fill: approved, nothing held.
    let then = "2026-01-06T18:30:00Z";
    assert_eq!(NOW_NS, 1_767_727_800_000_000_000, "the script's afternoon");
    let page = deck.get(&format!("/positions?as_of={then}")).await.text;
    assert!(page.contains("data-live=\"past\"") && page.contains("data-topics=\"\""));
    assert!(page.contains("Tue 6 Jan 2026, 13:30 ET"));
    assert!(page.contains("Flat: nothing is held") && !main(&page).contains("method=\"post\""));
    assert!(page.contains("Nothing was denied"), "the denial came an hour later");
    assert!(page.contains("href=\"/positions\">Back to live</a>"));
    let head = deck.app.timeline.head().await.unwrap();
    let now = deck.get(&format!("/positions?as_of=seq:{head}")).await.text;
    assert!(now.contains("data-unrealized=\"180\"") && now.contains("data-live=\"past\""));
}

#[tokio::test]
async fn the_overview_has_a_past_too() {
    let deck = Deck::traded().await;
    let head = deck.app.timeline.head().await.unwrap();
    let page = deck.get(&format!("/?as_of=seq:{head}")).await.text;
    assert!(page.contains("data-live=\"past\"") && page.contains("100,179.00"));
    assert!(page.contains("id=\"position-momentum-AAPL\"") && !main(&page).contains("method=\"post\""));
    let live = deck.get("/").await.text;
    assert!(live.contains("data-timeline"));
}

#[tokio::test]
async fn a_moment_that_is_none_or_has_not_come_names_the_field() {
    let deck = Deck::traded().await;
    for (text, expected) in
        [("yesterday", "as_of = \"yesterday\": expected seq:N"), ("seq:9999", "at most seq:")]
    {
        for path in ["/", "/positions"] {
            let answer = deck.get(&format!("{path}?as_of={text}")).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}");
            assert!(answer.text.contains(expected), "{}", answer.text);
        }
    }
}

#[tokio::test]
async fn one_account_is_halted_and_resumed() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let before = deck.stored().await;
    let form = |word: &str, key: &str| format!("csrf={}&key={key}&word={word}", visitor.token);
    let wrong = deck.send(visitor.post("/accounts/paper/halt", &form("STOP", "key-number-1"))).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = deck.send(visitor.post("/accounts/nobody/halt", &form("HALT", "key-number-1"))).await;
    assert_eq!(nobody.status(), StatusCode::NOT_FOUND);
    assert_eq!(deck.stored().await, before);
    for _ in 0..2 {
        let answer =
            read(deck.send(visitor.post("/accounts/paper/halt", &form("HALT", "key-number-1"))).await).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    assert_eq!(deck.stored().await, (before.0 + 1, before.1 + 1));
    let last = deck.tape.last("TRADING", "control.trading.>").await.unwrap().unwrap();
    assert!(
        matches!(last.event.body, Some(EventBody::TradingHalted(halt)) if halt.account == script::ACCOUNT)
    );
    deck.settle().await;
    assert!(deck.get("/positions").await.text.contains("id=\"account-state\">REDUCE-ONLY<"));
    deck.send(visitor.post("/accounts/paper/resume", &form("RESUME", "key-number-2"))).await;
    deck.settle().await;
    assert!(deck.get("/positions").await.text.contains("id=\"account-state\">NORMAL<"));
}
