//! Positions & risk, now and as of a moment of the past.

use axum::http::{Method, StatusCode};
use contracts::v1::TradingState;
use contracts::v1::event::Body as EventBody;
use serde_json::Value;

use super::action::Visitor;
use super::script::NOW_NS;
use super::strategies::{call, last_control};
use super::{Deck, read, script};
use crate::access::Role;

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
async fn the_monitor_measures_each_strategy_and_sector() {
    let deck = Deck::traded().await;
    deck.append(vec![script::measured()]).await;
    let page = deck.get("/positions").await.text;
    let monitor = page.split("<div id=\"monitor\"").nth(1).unwrap();
    let row = |id: &str| monitor.split(id).nth(1).and_then(|rest| rest.split("</tr>").next()).unwrap();
    let strategy = row("id=\"m-strategy-momentum\"");
    for text in [
        ">20.00 %<span class=\"sub\">AAPL</span>",
        "+180.00",
        ">−1.02 %<",
        ">1.25 %<",
        ">2.00 %<",
        ">0.75<span class=\"sub\">AAPL / MSFT</span>",
    ] {
        assert!(strategy.contains(text), "{text} is missing: {strategy}");
    }
    let sector = row("id=\"m-sector-Technology\"");
    for text in ["−5.00", ">0.00 %<", ">– (12 of 30 bars)<"] {
        assert!(sector.contains(text), "{text} is missing: {sector}");
    }
    assert!(!row("id=\"m-symbol-AAPL\"").contains("bars"), "of a symbol nothing else is measured");
    assert!(monitor.contains("<dt>Largest position</dt><dd class=\"num\">20.00 % AAPL</dd>"));

    let told: Value = serde_json::from_str(&deck.get("/api/v1/risk").await.text).unwrap();
    let measure = &told["measures"][0];
    assert_eq!((&measure["concentration"], &measure["concentrated"]), (&"0.2".into(), &"AAPL".into()));
    let strategy = &measure["strategies"][0];
    assert_eq!((&strategy["pnl"], &strategy["peak_pnl"]), (&"180".into(), &"1200".into()));
    assert_eq!((&strategy["drawdown"], &strategy["value_at_risk"]), (&"0.0102".into(), &0.0125_f64.into()));
    assert_eq!(
        (&strategy["expected_shortfall"], &strategy["concentration"]),
        (&0.02_f64.into(), &"0.2".into())
    );
    assert_eq!(strategy["correlated"], serde_json::json!(["AAPL", "MSFT"]));
    let (sector, symbol) = (&measure["sectors"][0], &measure["symbols"][0]);
    assert_eq!((&sector["value_at_risk"], &sector["bars"]), (&Value::Null, &12.into()));
    assert_eq!((&symbol["sector"], &symbol["pnl"]), (&"Technology".into(), &Value::Null));
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
async fn orders_and_strategies_have_a_past_too() {
    let deck = Deck::traded().await;
    let head = deck.app.timeline.head().await.unwrap();
    for path in ["/orders?tab=all&", "/strategies?"] {
        let page = deck.get(&format!("{path}as_of=seq:{head}")).await.text;
        assert!(page.contains("data-live=\"past\"") && page.contains("data-topics=\"\""), "{path}");
        assert!(!main(&page).contains("method=\"post\""), "{path} commands nothing: {page}");
    }
    let orders = deck.get(&format!("/orders?tab=all&as_of=seq:{head}")).await.text;
    assert_eq!(orders.matches("<tr id=\"o-").count(), 2);
    // The slider and the filters keep what else the address says.
    assert!(orders.contains("<input type=\"hidden\" name=\"tab\" value=\"all\">"));
    assert!(orders.contains(&format!("href=\"/orders.csv?tab=all&#38;as_of=seq%3A{head}\"")), "{orders}");
    assert!(orders.contains("href=\"/orders?tab=all\">Back to live</a>"));
    // Where the list of then was turned to is no place in that of now.
    let turned = deck.get(&format!("/orders?tab=all&as_of=seq:{head}&before=9.9")).await.text;
    assert!(turned.contains("href=\"/orders?tab=all\">Back to live</a>"), "{turned}");
    let strategies = deck.get(&format!("/strategies?as_of=seq:{head}")).await.text;
    assert!(strategies.contains("id=\"s-momentum\""), "{strategies}");
    let then = "2026-01-06T18:30:00Z";
    assert!(deck.get(&format!("/orders?tab=fills&as_of={then}")).await.text.contains("No fills yet"));
    let csv = deck.get("/orders.csv?tab=all&as_of=seq:0").await.text;
    assert_eq!(csv.lines().count(), 1, "{csv}");
}

#[tokio::test]
async fn a_moment_that_is_none_or_has_not_come_names_the_field() {
    let deck = Deck::traded().await;
    for (text, expected) in
        [("yesterday", "as_of = \"yesterday\": expected seq:N"), ("seq:9999", "at most seq:")]
    {
        for path in ["/", "/positions", "/orders", "/strategies"] {
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

#[tokio::test]
async fn a_strategy_is_halted_killed_and_resumed_on_the_pages() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let send = async |path: &str, form: &str| {
        let form = format!("csrf={}&{form}", visitor.token);
        read(deck.send(visitor.post(path, &form)).await).await
    };
    let before = deck.stored().await;
    for (path, form, said) in [
        ("/trading/halt", "key=key-number-1&word=halt&strategy=momentum", "word = \"halt\": expected HALT"),
        (
            "/trading/halt",
            "key=key-number-1&word=HALT&strategy=momentum&state=off",
            "state = \"off\": expected",
        ),
        ("/trading/resume", "key=key-number-1&word=HALT&strategy=momentum", "expected RESUME"),
        ("/trading/kill", "key=key-number-1&word=HALT&of=strategy:momentum", "expected KILL"),
    ] {
        let refused = send(path, form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{path} {form}");
        assert!(refused.text.contains(said), "{}", refused.text);
    }
    let nobody = send("/trading/halt", "key=key-number-1&word=HALT&strategy=nobody").await;
    assert_eq!((nobody.status, deck.stored().await), (StatusCode::NOT_FOUND, before));

    let form = "key=key-number-2&word=HALT&strategy=momentum&account=paper&state=halted";
    let said = send("/trading/halt", form).await.text;
    assert!(said.contains("strategy momentum on paper is halted"), "{said}");
    let EventBody::TradingHalted(halt) = last_control(&deck, "momentum").await else { panic!("no halt") };
    assert_eq!((halt.account.as_str(), halt.state()), ("paper", TradingState::Halted));
    deck.settle().await;
    let resume = "id=\"form-resume-halt-paper-momentum\"";
    for (path, texts) in [
        ("/positions", [resume, "Strategy momentum on paper, halted since"]),
        ("/strategies", ["id=\"in-force-momentum\">HALTED<", "href=\"/strategies/momentum\""]),
        ("/strategies/momentum", [resume, "id=\"stops-state\">HALTED<"]),
    ] {
        let page = deck.get(path).await.text;
        for text in texts {
            assert!(page.contains(text), "{text} is missing on {path}");
        }
    }
    let form = "key=key-number-3&word=RESUME&strategy=momentum&account=paper";
    assert_eq!(send("/trading/resume", form).await.status, StatusCode::OK);
    deck.settle().await;
    assert!(!deck.get("/strategies").await.text.contains("id=\"in-force-momentum\""));

    let form = "key=key-number-4&word=KILL&of=strategy:momentum&back=%2Fstrategies";
    assert_eq!(send("/trading/kill", form).await.status, StatusCode::OK);
    deck.settle().await;
    let resume = "id=\"form-resume-kill--momentum\"";
    for path in ["/positions", "/strategies/momentum"] {
        assert!(deck.get(path).await.text.contains(resume), "{path}");
    }
    let form = "key=key-number-5&word=RESUME&strategy=momentum&account=";
    let said = send("/trading/resume", form).await.text;
    assert!(said.contains("strategy momentum on all accounts is resumed"), "{said}");
    deck.settle().await;
    let page = deck.get("/strategies/momentum").await.text;
    assert!(page.contains("id=\"stops-state\">NORMAL<") && !page.contains(resume));
}

#[tokio::test]
async fn what_is_not_stopped_is_not_resumed() {
    let deck = Deck::traded().await;
    let token = deck.app.config.access.create_token("boss", Role::Admin, "test", i64::MAX).unwrap().secret;
    let asked = async |path: &str, key: &str, body: &str| {
        deck.settle().await;
        let (status, answer) = call(&deck, &token, Method::POST, path, key, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["state"].as_str().unwrap().to_owned()
    };
    let paper = "{\"account\":\"paper\"}";
    assert_eq!(asked("trading/resume", "key-number-1", paper).await, "not_stopped");
    assert_eq!(asked("trading/halt", "key-number-2", paper).await, "reduce_only");
    assert_eq!(asked("trading/resume", "key-number-3", "{}").await, "not_stopped", "another scope is");
    assert_eq!(asked("trading/resume", "key-number-4", paper).await, "resumed");
    assert_eq!(asked("trading/resume", "key-number-5", paper).await, "not_stopped");

    // The pages say the same.
    let visitor = Visitor::of(&deck).await;
    let send = async |path: &str, word: &str, key: &str| {
        deck.settle().await;
        let form = format!("csrf={}&key={key}&word={word}", visitor.token);
        read(deck.send(visitor.post(path, &form)).await).await.text
    };
    let said = send("/trading/resume", "RESUME", "key-number-6").await;
    assert!(said.contains("Trading was not stopped."), "{said}");
    let said = send("/accounts/paper/resume", "RESUME", "key-number-7").await;
    assert!(said.contains("paper was not stopped."), "{said}");
    send("/accounts/paper/halt", "HALT", "key-number-8").await;
    let said = send("/accounts/paper/resume", "RESUME", "key-number-9").await;
    assert!(said.contains("paper is resumed."), "{said}");
}

#[tokio::test]
async fn a_weaker_stop_tells_what_stays_in_force() {
    let deck = Deck::traded().await;
    let token = deck.app.config.access.create_token("boss", Role::Admin, "test", i64::MAX).unwrap().secret;
    let asked = async |path: &str, key: &str, body: &str| {
        let (status, answer) = call(&deck, &token, Method::POST, path, key, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        (answer["state"].clone(), answer["stays"].clone())
    };
    let halted = "{\"account\":\"paper\",\"state\":\"halted\",\"reason\":\"looks odd\"}";
    assert_eq!(asked("trading/halt", "key-number-1", halted).await, ("halted".into(), Value::Null));
    let paper = "{\"account\":\"paper\",\"reason\":\"later\"}";
    let (state, stays) = asked("trading/halt", "key-number-2", paper).await;
    assert_eq!((&state, &stays["state"]), (&"halted".into(), &"halted".into()));
    assert_eq!((&stays["reason"], &stays["actor"]), (&"looks odd".into(), &"token-boss".into()), "{stays}");
    assert_eq!(asked("trading/kill", "key-number-3", paper).await.1, stays);
    assert_eq!(asked("trading/halt", "key-number-4", "{}").await, ("reduce_only".into(), Value::Null));

    // The pages say the same, and show both.
    let visitor = Visitor::of(&deck).await;
    let send = async |path: &str, form: &str| {
        let form = format!("csrf={}&{form}", visitor.token);
        read(deck.send(visitor.post(path, &form)).await).await.text
    };
    let stays = "stays halted: looks odd (by token-boss); asked for reduce-only.";
    let said = send("/accounts/paper/halt", "key=key-number-5&word=HALT").await;
    assert!(said.contains(&format!("paper {stays}")), "{said}");
    let said = send("/trading/halt", "key=key-number-6&word=HALT&account=paper&strategy=").await;
    assert!(said.contains(&format!("paper {stays}")), "{said}");
    let said = send("/trading/kill", "key=key-number-7&word=KILL&of=account:paper").await;
    assert!(said.contains(&format!("open orders are being cancelled. paper {stays}")), "{said}");
    deck.settle().await;
    let page = deck.get("/positions").await.text;
    assert!(page.contains("id=\"account-state\">HALTED<") && page.contains("looks odd"), "{page}");

    // So it is with a strategy, whose switch hides no halt but its own.
    let halted = "{\"strategy\":\"momentum\",\"state\":\"halted\"}";
    asked("trading/halt", "key-number-8", halted).await;
    let momentum = "{\"strategy\":\"momentum\"}";
    assert_eq!(asked("trading/kill", "key-number-9", momentum).await.1["state"], "halted");
    deck.settle().await;
    let (_, risk) = call(&deck, &token, Method::GET, "risk", "key-number-0", "").await;
    let rows = risk["stopped"].as_array().unwrap().iter().filter(|row| row["strategy"] == "momentum");
    let rows: Vec<_> = rows.map(|row| (row["by"].as_str(), row["state"].as_str())).collect();
    assert_eq!(rows, [(Some("halt"), Some("halted")), (Some("kill"), Some("reduce_only"))]);
}

#[tokio::test]
async fn a_breaker_that_has_not_tripped_is_not_reset() {
    let deck = Deck::traded().await;
    let visitor = Visitor::of(&deck).await;
    let token = deck.app.config.access.create_token("boss", Role::Admin, "test", i64::MAX).unwrap().secret;
    let reset = async |key: &str| {
        let form = format!("csrf={}&key={key}&word=RESET&breaker=drawdown", visitor.token);
        read(deck.send(visitor.post("/accounts/paper/breakers/reset", &form)).await).await.text
    };
    let asked = async |key: &str, breaker: &str| {
        let body = format!("{{\"account\":\"paper\",\"breaker\":\"{breaker}\"}}");
        let (status, answer) = call(&deck, &token, Method::POST, "breakers/reset", key, &body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["state"].as_str().unwrap().to_owned()
    };
    let before = deck.stored().await;
    let said = reset("key-number-1").await;
    assert!(said.contains("drawdown of paper has not tripped: nothing was changed."), "{said}");
    assert_eq!(asked("key-number-2", "drawdown").await, "not_tripped");
    assert_eq!(deck.stored().await, before, "a peak stays where it is");

    deck.append(vec![script::tripped()]).await;
    let (_, risk) = call(&deck, &token, Method::GET, "risk", "key-number-0", "").await;
    let row = &risk["stopped"][0];
    assert_eq!((&row["by"], &row["actor"]), (&"drawdown".into(), &"".into()), "{risk}");
    assert_eq!(row["reason"], "equity is 0.11 below its peak");
    assert_eq!(asked("key-number-3", "daily_loss").await, "not_tripped", "another one has");
    let said = reset("key-number-4").await;
    assert!(said.contains("drawdown of paper is reset."), "{said}");
    let last = deck.tape.last("TRADING", "account.paper.breaker_reset").await.unwrap().unwrap();
    assert!(matches!(last.event.body, Some(EventBody::BreakerReset(_))));
}

#[tokio::test]
async fn limits_are_stated_once_each_and_only_where_they_change() {
    let deck = Deck::traded().await;
    let token = deck.app.config.access.create_token("boss", Role::Admin, "test", i64::MAX).unwrap().secret;
    let set = async |key: &str, limits: &str| {
        let body = format!("{{\"limits\":[{limits}]}}");
        call(&deck, &token, Method::POST, "limits", key, &body).await
    };
    let one = |name: &str, value: &str| format!("{{\"name\":\"{name}\",\"value\":\"{value}\"}}");
    let before = deck.stored().await;
    let twice = format!("{},{}", one("max_leverage", "1"), one("max_leverage", "2"));
    let (status, problem) = set("key-number-1", &twice).await;
    assert_eq!((status.as_u16(), &problem["value"]), (422, &"max_leverage=2".into()), "{problem}");
    let (status, nothing) = set("key-number-2", &one("max_leverage", "none")).await;
    assert_eq!((status, &nothing["version"]), (StatusCode::OK, &0.into()), "{nothing}");
    assert_eq!(deck.stored().await, before);
    let (_, stated) = set("key-number-3", &one("restricted", "GME,AMC,GME")).await;
    assert_eq!(
        (&stated["version"], &stated["limits"][0]["value"]),
        (&1.into(), &"GME,AMC".into()),
        "{stated}"
    );
    let (_, again) = set("key-number-4", &one("restricted", "GME,AMC")).await;
    assert_eq!(again["version"], 1, "{again}");
    assert_eq!(deck.stored().await, (before.0 + 1, before.1 + 1));
}
