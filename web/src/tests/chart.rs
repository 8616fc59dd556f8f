//! The Chart page: what it shows of a symbol, its bars as JSON and as a file, its way there.

use axum::http::StatusCode;
use contracts::v1::event::Body as EventBody;
use contracts::v1::{ActionKind, Bar, BarRevision, CorporateAction, Event, Origin, Quote, Trade};
use contracts::{Subject, event_id, to_timestamp};
use serde_json::Value;

use super::Deck;
use super::script::NOW_NS;

async fn json(deck: &Deck, path: &str) -> Value {
    let answer = deck.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

/// A quote with nobody who sells, and a trade.
fn ticks() -> Vec<(Subject, Event)> {
    let tick = |kind: &str, body: EventBody| {
        let event = Event {
            id: event_id("script", kind, 0),
            event_time: Some(to_timestamp(NOW_NS)),
            source: "alpaca".to_owned(),
            body: Some(body),
            ..Event::default()
        };
        (Subject::for_event(&event, None).unwrap(), event)
    };
    let symbol = || "AAPL".to_owned();
    vec![
        tick(
            "quote",
            EventBody::Quote(Quote {
                symbol: symbol(),
                bid_e9: 191_490_000_000,
                bid_size_e3: 200_000,
                ..Quote::default()
            }),
        ),
        tick(
            "trade",
            EventBody::Trade(Trade {
                symbol: symbol(),
                price_e9: 191_505_000_000,
                size_e3: 500,
                ..Trade::default()
            }),
        ),
    ]
}

#[tokio::test]
async fn the_last_quote_and_trade_are_shown_where_they_are_streamed() {
    let deck = Deck::traded().await;
    let none = deck.get("/chart/AAPL").await.text;
    assert!(none.contains("No quote or trade of AAPL is on the tape"), "{none}");
    assert_eq!(json(&deck, "/api/v1/quotes/aapl").await["quote"], Value::Null);
    deck.append(ticks()).await;
    let page = deck.get("/chart/AAPL").await.text;
    for text in
        ["Bid <span class=\"num\">191.49", "Ask <span class=\"num\">–", "Trade <span class=\"num\">191.505"]
    {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    let told = json(&deck, "/api/v1/quotes/AAPL").await;
    assert_eq!((&told["quote"]["bid"], &told["quote"]["ask"]), (&"191.49".into(), &Value::Null));
    assert_eq!((&told["quote"]["bid_size"], &told["quote"]["ask_size"]), (&"200".into(), &"0".into()));
    assert_eq!((&told["trade"]["price"], &told["trade"]["size"]), (&"191.505".into(), &"0.5".into()));
    assert_eq!(told["trade"]["at_ns"], NOW_NS);
    assert_eq!(deck.get("/api/v1/quotes/A%20B").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// Two for one on the script's day, which its bars of that day do not know; and a dividend of the day before.
fn actions() -> Vec<(Subject, Event)> {
    let action = |ex_date: &str, kind: ActionKind, value_e9: i64| {
        let event = Event {
            id: event_id("script", ex_date, 0),
            event_time: Some(to_timestamp(NOW_NS)),
            source: "script".to_owned(),
            body: Some(EventBody::CorporateAction(CorporateAction {
                symbol: "AAPL".to_owned(),
                ex_date: ex_date.to_owned(),
                kind: kind.into(),
                value_e9,
                origin: Origin::Rehearsal.into(),
            })),
            ..Event::default()
        };
        (Subject::for_event(&event, None).unwrap(), event)
    };
    vec![
        action("2026-01-05", ActionKind::Dividend, 250_000_000),
        action("2026-01-07", ActionKind::Split, 2_000_000_000),
    ]
}

#[tokio::test]
async fn the_page_says_what_the_chart_draws() {
    let deck = Deck::traded().await;
    deck.append(actions()).await;
    let page = deck.get("/chart/AAPL").await.text;
    for text in [
        "<h1>AAPL</h1>",
        "data-source=\"/api/v1/bars?symbol=AAPL&#38;timeframe=1h&#38;adjustment=split&#38;sma=20%2C50&#38;limit=1000\"",
        "data-fills=\"/chart/AAPL/fills.json?account=\"",
        "data-topics=\"clock.paper,chart-latest.AAPL,chart-ticks.AAPL,chart-lines.AAPL,chart-fills.AAPL,",
        "data-chart-state=\"loading\"",
        // The newest bar, the fill, the position's average, the statistics, the actions.
        "data-label=\"Close\" class=\"r num\">191.50",
        "data-at=\"1767727800\"",
        "entry <a href=\"/positions?account=paper\">momentum 120</a></dt><dd class=\"num\">190.00",
        "<dt>52-week high</dt><dd class=\"num\">192.50",
        ">2 for 1<",
        ">0.25 per share<",
        "Nothing was found about this symbol",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    // A limit order is a line of its own; the list of fills is that of the symbol.
    let other = deck.get("/chart/BRK.B").await.text;
    assert!(other.contains("limit <a href=\"/orders/") && other.contains("momentum BUY 10"), "{other}");
    assert!(other.contains("No fills of BRK.B yet") && other.contains("data-fill=\"0\""));
    // What is missing says how it comes.
    assert!(other.contains("<code>tapedeck backfill --source yahoo --symbols BRK.B</code>"), "{other}");
}

#[tokio::test]
async fn the_address_holds_what_is_shown_and_a_wrong_field_is_named() {
    let deck = Deck::traded().await;
    let page = deck.get("/chart/AAPL?timeframe=1d&adjustment=raw&sma=off&account=paper").await.text;
    assert!(page.contains("No bars of AAPL in 1d") && page.contains("data-chart-state=\"empty\""));
    assert!(page.contains("tapedeck import FILE --symbol AAPL --timeframe 1d"));
    // The series that there is stays a tab away, with the rest of the address.
    assert!(
        page.contains("href=\"/chart/AAPL?adjustment=raw&#38;sma=off&#38;account=paper&#38;timeframe=1h\""),
        "{page}"
    );
    for (query, named) in [
        ("timeframe=2h", "timeframe = \"2h\": expected one of 1m"),
        ("adjustment=no", "adjustment = \"no\": expected one of raw, split, total-return"),
        ("sma=0", "sma = \"0\": expected up to 4 lengths"),
        ("before=x", "before = \"x\": expected a cursor"),
    ] {
        let answer = deck.get(&format!("/chart/AAPL?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains(named), "{}", answer.text);
    }
    assert_eq!(deck.get("/chart/A%20B").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_way_there_leads_to_the_symbol_that_was_traded_last() {
    let deck = Deck::traded().await;
    for (path, leads) in [
        ("/chart", "/chart/AAPL"),
        ("/chart?sma=5", "/chart/AAPL?sma=5"),
        ("/chart?symbol=brk.b&adjustment=raw", "/chart/BRK.B?adjustment=raw"),
        ("/chart/brk.b?timeframe=1h", "/chart/BRK.B?timeframe=1h"),
    ] {
        let answer = deck.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.headers["location"], leads, "{path}");
    }
    let places = deck.get("/palette.json").await.text;
    assert!(places.contains("\"url\":\"/chart\"") && places.contains("\"url\":\"/chart/AAPL\""), "{places}");
    let empty = Deck::empty().await;
    empty.settle().await;
    let page = empty.get("/chart").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("No bars. Import some: <code>tapedeck import FILE</code>"), "{}", page.text);
    let page = empty.get("/chart/AAPL").await.text;
    assert!(page.contains("No bars of AAPL in 1h") && page.contains("Never traded"));
}

#[tokio::test]
async fn bars_come_as_json_part_by_part() {
    let deck = Deck::traded().await;
    let first = json(&deck, "/api/v1/bars?symbol=aapl&sma=1,2&limit=1").await;
    assert_eq!((&first["symbol"], &first["timeframe"]), (&"AAPL".into(), &"1h".into()));
    assert_eq!(first["items"][0]["close"], "191.5");
    assert_eq!(first["items"][0]["sma"], serde_json::json!(["191.5", "190.75"]));
    let cursor = first["next"].as_str().unwrap();
    let second = json(&deck, &format!("/api/v1/bars?symbol=AAPL&sma=1,2&limit=1&cursor={cursor}")).await;
    assert_eq!(second["items"][0]["sma"], serde_json::json!(["190", null]));
    assert_eq!(second["next"], Value::Null);
    let none = json(&deck, "/api/v1/bars?symbol=AAPL&from=2026-01-07").await;
    assert_eq!(none["items"], Value::Array(Vec::new()));
    for (query, status, field) in [
        ("symbol=AAPL&timeframe=2h", 422, "timeframe".into()),
        ("symbol=AAPL&limit=2001", 422, "limit".into()),
        ("symbol=AAPL&cursor=1", 422, "cursor".into()),
        ("symbol=AAPL&from=soon", 422, "from".into()),
        ("symbol=AAPL&smaa=5", 422, "query".into()),
        ("symbol=NVDA", 404, Value::Null),
        ("symbol=AAPL&timeframe=1d", 404, Value::Null),
    ] {
        let answer = deck.get(&format!("/api/v1/bars?{query}")).await;
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{query}");
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!((&body["status"], &body["field"]), (&status.into(), &field), "{query}");
    }
}

/// What follows the script: a bar of the day after, and behind it other values of the first bar of AAPL.
fn later() -> Vec<(Subject, Event)> {
    const HOUR: i64 = 3_600_000_000_000;
    let bar = |start_ns: i64, close_e9: i64| Bar {
        symbol: "AAPL".to_owned(),
        timeframe: "1h".to_owned(),
        start: Some(to_timestamp(start_ns)),
        open_e9: close_e9,
        high_e9: close_e9,
        low_e9: close_e9,
        close_e9,
        volume_e3: 1_000_000,
        origin: Origin::Rehearsal.into(),
        ..Bar::default()
    };
    let event = |name: &str, time_ns: i64, body: EventBody| {
        let event = Event {
            id: event_id("script", name, 0),
            event_time: Some(to_timestamp(time_ns)),
            source: "script".to_owned(),
            body: Some(body),
            ..Event::default()
        };
        (Subject::for_event(&event, None).unwrap(), event)
    };
    let day_after = NOW_NS + 24 * HOUR;
    let first = bar(NOW_NS - 2 * HOUR, 180_000_000_000);
    let revised = BarRevision { bar: Some(first), revises: "the first".to_owned() };
    vec![
        event("day after", day_after, EventBody::Bar(bar(day_after - HOUR, 96_000_000_000))),
        event("revised", NOW_NS - HOUR, EventBody::BarRevision(revised)),
    ]
}

#[tokio::test]
async fn bars_come_as_they_were_known() {
    let deck = Deck::traded().await;
    deck.append(actions()).await;
    deck.append(later()).await;
    // A date counts to its end, an instant is counted in; the split and the revision came the day after.
    for (as_of, closes) in [
        ("", vec!["96", "95.75", "90"]),
        ("&as_of=2026-01-07T19:30:00Z", vec!["96", "95.75", "90"]),
        ("&as_of=2026-01-07T19:29:59Z", vec!["191.5", "190"]),
        ("&as_of=2026-01-06", vec!["191.5", "190"]),
        ("&as_of=2026-01-06T18:30:00Z", vec!["190"]),
        ("&as_of=2026-01-05", Vec::new()),
    ] {
        let part = json(&deck, &format!("/api/v1/bars?symbol=AAPL{as_of}")).await;
        let items = part["items"].as_array().unwrap();
        let found: Vec<_> = items.iter().map(|item| item["close"].as_str().unwrap()).collect();
        assert_eq!(found, closes, "{as_of}");
    }
    let figures = json(&deck, "/api/v1/bars?symbol=AAPL&indicators=min:length=2&as_of=2026-01-06").await;
    assert_eq!(figures["items"][0]["figures"][0], 190.0);
    let file = deck.get("/bars.csv?symbol=AAPL&as_of=2026-01-06").await.text;
    let lines: Vec<&str> = file.lines().collect();
    assert_eq!((lines.len(), lines[2].contains(",190,1000,")), (3, true), "{file}");
    for (query, value) in [("as_of=soon", "soon"), ("as_of=2026-01-06&from=2026-01-07", "2026-01-06")] {
        let answer = deck.get(&format!("/api/v1/bars?symbol=AAPL&{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(body["field"], "as_of", "{query}");
        assert!(answer.text.contains(value), "{}", answer.text);
    }
}

#[tokio::test]
async fn the_page_is_shown_as_it_was_known() {
    let deck = Deck::traded().await;
    deck.append(actions()).await;
    deck.append(later()).await;
    let now = deck.get("/chart/AAPL").await.text;
    for text in [
        "data-label=\"Close\" class=\"r num\">96.00",
        ">2 for 1<",
        "<dt>Last close</dt><dd class=\"num\">96.00",
    ] {
        assert!(now.contains(text), "{text} is missing in {now}");
    }
    assert!(!now.contains("Back to now"), "{now}");
    let then = deck.get("/chart/AAPL?as_of=2026-01-06").await.text;
    for text in [
        "data-source=\"/api/v1/bars?as_of=2026-01-06&#38;symbol=AAPL&#38;",
        "href=\"/bars.csv?as_of=2026-01-06&#38;symbol=AAPL&#38;",
        "name=\"as_of\" value=\"2026-01-06\"",
        "as they were known as of 2026-01-06; everything else is of now. <a href=\"/chart/AAPL\">Back to now</a>",
        "data-label=\"Close\" class=\"r num\">191.50",
        "data-label=\"Close\" class=\"r num\">190.00",
        "<dt>Last close</dt><dd class=\"num\">191.50",
        "<dt>Bars of 1h</dt><dd class=\"num\">2<",
        ">0.25 per share<",
    ] {
        assert!(then.contains(text), "{text} is missing in {then}");
    }
    assert!(!then.contains("2 for 1") && !then.contains(">96.00"), "{then}");
    let before = deck.get("/chart/AAPL?timeframe=1h&as_of=2026-01-02").await.text;
    for text in [
        "No bar of AAPL in 1h had closed as of 2026-01-02.",
        "No split and no dividend of AAPL with an ex-date up to 2026-01-02.",
        "No bars, so nothing to measure",
    ] {
        assert!(before.contains(text), "{text} is missing in {before}");
    }
    let wrong = deck.get("/chart/AAPL?as_of=seq:4").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text.contains("as_of = \"seq:4\": expected a date"), "{}", wrong.text);
    // What a form leaves empty is no field of the address that the script asks.
    let empty = deck.get("/chart/AAPL?indicators=&as_of=").await.text;
    let source =
        "\"/api/v1/bars?symbol=AAPL&#38;timeframe=1h&#38;adjustment=split&#38;sma=20%2C50&#38;limit=1000\"";
    assert!(empty.contains(source), "{empty}");
}

#[tokio::test]
async fn indicators_come_with_the_bars() {
    let deck = Deck::traded().await;
    let asked = "symbol=AAPL&indicators=max:length=2;donchian:length=1";
    let bars = json(&deck, &format!("/api/v1/bars?{asked}")).await;
    let labels: Vec<_> = bars["figures"].as_array().unwrap().iter().map(|figure| &figure["label"]).collect();
    let expected =
        ["max:length=2", "donchian:length=1 upper", "donchian:length=1 middle", "donchian:length=1 lower"];
    assert_eq!(labels, expected);
    assert_eq!(
        (&bars["figures"][3]["indicator"], &bars["figures"][3]["on_price"]),
        (&1.into(), &true.into())
    );
    let newest = &bars["items"][0];
    assert_eq!(newest["figures"][0], 191.5);
    assert_eq!(newest["figures"][1].as_f64().unwrap().to_string(), newest["high"].as_str().unwrap());
    assert_eq!(bars["items"][1]["figures"][0], Value::Null);
    let file = deck.get(&format!("/bars.csv?{asked}")).await.text;
    assert!(
        file.lines().next().unwrap().ends_with(
            ",max:length=2,donchian:length=1 upper,donchian:length=1 middle,donchian:length=1 lower"
        ),
        "{file}"
    );
    let page = deck.get("/chart/AAPL?indicators=max:length=2").await.text;
    for text in [
        "name=\"indicators\" value=\"max:length=2\"",
        "indicators=max%3Alength%3D2",
        "data-label=\"max:length=2\" class=\"r num\">191.5000",
        "<option value=\"bbands\">Bollinger bands</option>",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    for wrong in ["rsii", "rsi:length=0", "beta", "obv", "sma;ema;wma;rsi;cci"] {
        let answer = deck.get(&format!("/api/v1/bars?symbol=AAPL&indicators={wrong}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(body["field"], "indicators", "{wrong}");
    }
}

#[tokio::test]
async fn symbols_actions_and_fills_come_as_json() {
    let deck = Deck::traded().await;
    deck.append(actions()).await;
    let symbols = json(&deck, "/api/v1/symbols?limit=1").await;
    assert_eq!(symbols["items"][0]["symbol"], "AAPL");
    assert_eq!(symbols["items"][0]["series"][0]["bars"], 2);
    let cursor = symbols["next"].as_str().unwrap();
    let rest = json(&deck, &format!("/api/v1/symbols?limit=1&cursor={cursor}")).await;
    assert_eq!((&rest["items"][0]["symbol"], &rest["next"]), (&"BRK.B".into(), &Value::Null));
    let actions = json(&deck, "/api/v1/corporate-actions?symbol=AAPL&limit=1").await;
    assert_eq!((&actions["items"][0]["kind"], &actions["items"][0]["value"]), (&"split".into(), &"2".into()));
    let cursor = actions["next"].as_str().unwrap();
    let rest = json(&deck, &format!("/api/v1/corporate-actions?limit=1&cursor={cursor}")).await;
    assert_eq!((&rest["items"][0]["ex_date"], &rest["next"]), (&"2026-01-05".into(), &Value::Null));
    let some = json(&deck, "/api/v1/corporate-actions?from=2026-01-06&to=2026-01-07").await;
    assert_eq!(some["items"].as_array().map(Vec::len), Some(1));
    let wrong = deck.get("/api/v1/corporate-actions?from=2026").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(json(&deck, "/api/v1/findings").await["items"], Value::Array(Vec::new()));
    let fills = json(&deck, "/chart/AAPL/fills.json?from=2026-01-06&to=2026-01-06").await;
    assert_eq!((&fills["fills"][0]["side"], &fills["fills"][0]["quantity"]), (&"buy".into(), &"120".into()));
    assert_eq!(fills["more"], false);
    let none = json(&deck, "/chart/AAPL/fills.json?to=2026-01-05").await;
    assert_eq!(none["fills"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn the_file_holds_the_bars_with_their_averages() {
    let deck = Deck::traded().await;
    let answer = deck.get("/bars.csv?symbol=AAPL&sma=2").await;
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"AAPL-1h-split.csv\"");
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!(lines[0], "start,close_time,open,high,low,close,volume,vwap,sma_2");
    assert_eq!(
        lines[1],
        "2026-01-06T18:30:00.000Z,2026-01-06T19:30:00.000Z,191.5,192.5,190.5,191.5,1000,,190.75"
    );
    assert_eq!((lines.len(), lines[2].ends_with(",,")), (3, true));
    assert_eq!(deck.get("/bars.csv?symbol=NVDA").await.status, StatusCode::NOT_FOUND);
    assert_eq!(deck.get("/bars.csv?symbol=AAPL&side=buy").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}
