//! Commands: each is an event with its audit, once per key, or nothing at all.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use contracts::stream;
use contracts::v1::event::Body as EventBody;

use super::{Deck, HOST, OWNER, cookie, get, read};

/// A browser that has opened the Overview.
pub struct Visitor {
    cookie: String,
    pub token: String,
}

impl Visitor {
    pub async fn of(deck: &Deck) -> Self {
        let cookie = cookie(&deck.app.config.access.begin_session(OWNER).unwrap());
        let mut request = get("/");
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        let answer = read(deck.send(request).await).await;
        let token = answer.text.split("name=\"csrf-token\" content=\"").nth(1).unwrap();
        Self { cookie, token: token.split('"').next().unwrap().to_owned() }
    }

    pub fn post(&self, path: &str, form: &str) -> Request<Body> {
        Request::post(path)
            .header("host", HOST)
            .header("origin", format!("http://{HOST}"))
            .header("cookie", &self.cookie)
            .header("hx-request", "true")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap()
    }
}

pub fn halt_form(token: &str, key: &str) -> String {
    format!("csrf={token}&key={key}&word=HALT")
}

async fn last_body(deck: &Deck, filter: &str) -> EventBody {
    let last = deck.tape.last(stream::TRADING, filter).await.unwrap().unwrap();
    last.event.body.unwrap()
}

#[tokio::test]
async fn a_double_submit_of_halt_is_one_event_and_one_audit() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let (trading, audit) = deck.stored().await;
    for _ in 0..2 {
        let answer =
            deck.send(visitor.post("/trading/halt", &halt_form(&visitor.token, "key-number-1"))).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let notice = read(answer).await.text;
        assert!(notice.contains("Trading is reduce-only"), "{notice}");
    }
    assert_eq!(deck.stored().await, (trading + 1, audit + 1));
    let halted = last_body(&deck, "control.trading.>").await;
    assert!(
        matches!(halted, EventBody::TradingHalted(halt) if halt.account.is_empty() && halt.actor == OWNER)
    );
}

#[tokio::test]
async fn a_halt_shows_and_is_released_with_its_own_word() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    deck.send(visitor.post("/trading/halt", &halt_form(&visitor.token, "key-number-1"))).await;
    deck.settle().await;
    let page = deck.get("/").await.text;
    assert!(page.contains("id=\"halt-state\">REDUCE-ONLY<"));
    assert!(page.contains("All accounts by owner: kill switch"), "no alert tells of the halt");
    let form = format!("csrf={}&key=key-number-2&word=RESUME", visitor.token);
    assert_eq!(deck.send(visitor.post("/trading/resume", &form)).await.status(), StatusCode::OK);
    deck.settle().await;
    assert!(deck.get("/").await.text.contains("id=\"halt-state\">NORMAL<"));
}

#[tokio::test]
async fn a_wrong_word_or_key_names_its_field_and_changes_nothing() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let before = deck.stored().await;
    let token = &visitor.token;
    for (form, named) in [
        (format!("csrf={token}&key=key-number-1&word=halt"), "word = \"halt\": expected HALT"),
        (format!("csrf={token}&key=key-number-1"), "word = \"\": expected HALT"),
        (format!("csrf={token}&key=short&word=HALT"), "key = \"short\""),
        (format!("csrf={token}&word=HALT"), "key = \"\""),
        (format!("csrf={token}&key=a.subject.of.dots&word=HALT"), "key = "),
    ] {
        let answer = read(deck.send(visitor.post("/trading/halt", &form)).await).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        assert!(answer.text.contains(named), "{}", answer.text);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    }
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn a_strategy_stops_and_starts() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let form = |key: &str| format!("csrf={}&key={key}&mode=shadow&positions=flatten", visitor.token);
    deck.send(visitor.post("/strategies/momentum/disable", &form("key-number-1"))).await;
    let body = last_body(&deck, "control.strategy.momentum.>").await;
    assert!(matches!(body, EventBody::StrategyDisabled(_)), "{body:?}");
    deck.send(visitor.post("/strategies/momentum/enable", &form("key-number-2"))).await;
    let body = last_body(&deck, "control.strategy.momentum.>").await;
    let EventBody::StrategyEnabled(enabled) = body else { panic!("{body:?}") };
    assert_eq!(enabled.mode(), contracts::v1::StrategyMode::Shadow);
}

#[tokio::test]
async fn one_key_for_two_strategies_is_two_commands() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let (trading, _) = deck.stored().await;
    let form = format!("csrf={}&key=key-number-1&positions=flatten", visitor.token);
    for name in ["momentum", "sma_cross"] {
        let answer = deck.send(visitor.post(&format!("/strategies/{name}/disable"), &form)).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(deck.stored().await.0, trading + 2);
}

#[tokio::test]
async fn an_unknown_strategy_or_mode_changes_nothing() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let before = deck.stored().await;
    let form = format!("csrf={}&key=key-number-1&mode=real", visitor.token);
    let answer = deck.send(visitor.post("/strategies/nobody/disable", &form)).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    let answer = deck.send(visitor.post("/strategies/momentum/enable", &form)).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    // Money takes somebody's word for the account.
    let form = format!("csrf={}&key=key-number-2&mode=live", visitor.token);
    let answer = read(deck.send(visitor.post("/strategies/momentum/enable", &form)).await).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.text.contains("tapedeck live confirm paper"), "{}", answer.text);
    // One that is disabled would never manage what it takes over.
    let to = "positions=hand_over&hand_over_to=sma_cross";
    let form = format!("csrf={}&key=key-number-3&{to}", visitor.token);
    let answer = read(deck.send(visitor.post("/strategies/momentum/disable", &form)).await).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("it is disabled"), "{}", answer.text);
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn without_a_script_a_form_leads_back_to_the_overview() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let mut request = visitor.post("/trading/halt", &halt_form(&visitor.token, "key-number-1"));
    request.headers_mut().remove("hx-request");
    let answer = deck.send(request).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], "/");
}
