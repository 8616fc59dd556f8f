//! Facts and news on the Chart page and in the API.

use axum::http::StatusCode;
use contracts::v1::event::Body as EventBody;
use contracts::v1::*;
use contracts::{Subject, event_id, to_timestamp};
use serde_json::Value;

use super::Deck;
use super::script::NOW_NS;

const HOUR: i64 = 3_600_000_000_000;

async fn json(deck: &Deck, path: &str) -> Value {
    let answer = deck.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

pub fn told(number: u32, time_ns: i64, source: &str, body: EventBody) -> (Subject, Event) {
    let event = Event {
        id: event_id("reference", "script", number),
        event_time: Some(to_timestamp(time_ns)),
        source: source.to_owned(),
        body: Some(body),
        ..Event::default()
    };
    (Subject::for_event(&event, None).unwrap(), event)
}

fn figure(name: &str, value: &str) -> Figure {
    Figure { name: name.to_owned(), value: value.to_owned() }
}

pub fn article(number: u32, headline: &str, url: &str, compound: f64, delay: &str) -> EventBody {
    EventBody::NewsArticle(NewsArticle {
        article_id: format!("article {number}"),
        symbol: "AAPL".into(),
        publisher: "Example News".into(),
        url: url.into(),
        headline: headline.into(),
        published: Some(to_timestamp(NOW_NS - HOUR)),
        symbols: vec!["AAPL".into()],
        sentiment: Some(Sentiment { compound, ..Sentiment::default() }),
        delay: delay.into(),
        ..NewsArticle::default()
    })
}

fn events() -> Vec<(Subject, Event)> {
    let profile = |employees| {
        EventBody::CompanyProfile(CompanyProfile {
            symbol: "AAPL".into(),
            name: "Apple <Inc.>".into(),
            sector: "Technology".into(),
            website: "javascript:alert(1)".into(),
            employees: Some(employees),
            officers: vec![CompanyOfficer { name: "Ada".into(), title: "CEO".into(), ..Default::default() }],
            ..CompanyProfile::default()
        })
    };
    let statement = |period: StatementPeriod, end: &str, revenue: &str| {
        EventBody::FinancialStatement(FinancialStatement {
            symbol: "AAPL".into(),
            period: period.into(),
            period_end: end.into(),
            currency: "USD".into(),
            items: vec![figure("net_income", "-2500000"), figure("total_revenue", revenue)],
        })
    };
    let statistics = EventBody::KeyStatistics(KeyStatistics {
        symbol: "AAPL".into(),
        currency: "USD".into(),
        figures: vec![figure("dividend_yield", "0.0055"), figure("market_cap", "2912345678901")],
        ..KeyStatistics::default()
    });
    let opinions = EventBody::AnalystOpinions(AnalystOpinions {
        symbol: "AAPL".into(),
        buy: Some(23),
        hold: Some(15),
        target_mean: "205.25".into(),
        target_low: "150".into(),
        target_high: "243.75".into(),
        ..AnalystOpinions::default()
    });
    let listing = EventBody::Listing(Listing {
        symbol: "AAPL".into(),
        state: ListingState::Delisted.into(),
        exchange: "XNAS".into(),
        delisted_on: "2026-01-05".into(),
        ..Listing::default()
    });
    vec![
        told(0, NOW_NS - HOUR, "yahoo", profile(100)),
        told(1, NOW_NS, "yahoo", profile(164_000)),
        told(2, NOW_NS, "yahoo", statement(StatementPeriod::Annual, "2025-09-30", "391035000000")),
        told(3, NOW_NS, "yahoo", statement(StatementPeriod::Trailing, "2025-09-30", "400000000000")),
        told(4, NOW_NS, "yahoo", statistics),
        told(5, NOW_NS, "yahoo", opinions),
        told(6, NOW_NS, "massive", listing),
        told(
            7,
            NOW_NS - HOUR,
            "alpaca",
            article(1, "Good & <b>bold</b>", "https://news.example/1", 0.62, "none"),
        ),
        told(8, NOW_NS, "newsapi", article(2, "Bad", "javascript:alert(2)", -0.5, "24h")),
    ]
}

#[tokio::test]
async fn the_chart_shows_company_fundamentals_and_news_or_how_to_fetch_them() {
    let deck = Deck::traded().await;
    let empty = deck.get("/chart/AAPL").await.text;
    for text in [
        "tapedeck reference fetch --source yahoo --symbols AAPL",
        "tapedeck news fetch --source alpaca --symbols AAPL",
    ] {
        assert!(empty.contains(text), "{text}");
    }
    deck.append(events()).await;
    let page = deck.get("/chart/AAPL").await.text;
    for text in [
        "<strong>Apple &#60;Inc.&#62;</strong>",
        "<dt>Employees</dt><dd>164,000</dd>",
        "<dt>Ada</dt><dd>CEO</dd>",
        "delisted</span> XNAS, gone since 2026-01-05, says massive",
        "<data value=\"2912345678901\">2.91 T</data>",
        "<data value=\"0.0055\">0.55 %</data>",
        "2025-09-30<span class=\"sub\">12 months</span></th><th scope=\"col\" class=\"r\">2025-09-30<span class=\"sub\">year</span>",
        "<data value=\"-2500000\">−2.50 M</data>",
        "Analysts: 23 buy, 15 hold. Price expected: 205.25 on the mean, from 150.00 to 243.75.",
        "<a href=\"https://news.example/1\" rel=\"noreferrer noopener external\">Good &#38; &#60;b&#62;bold&#60;/b&#62;</a>",
        "good, </span>+0.62",
        "bad, </span>−0.50",
        "known 24h later",
    ] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    assert!(!page.contains("javascript:alert"), "what a source states is no address to follow");
}

#[tokio::test]
async fn the_api_has_facts_as_of_a_moment_their_history_and_news() {
    let deck = Deck::empty().await;
    deck.append(events()).await;
    let now = json(&deck, "/api/v1/reference/aapl").await;
    assert_eq!((&now["symbol"], now["facts"].as_array().map(Vec::len)), (&"AAPL".into(), Some(6)));
    let profile = now["facts"].as_array().unwrap().iter().find(|row| row["kind"] == "profile").unwrap();
    assert_eq!((&profile["fact"]["employees"], &profile["source"]), (&"164000".into(), &"yahoo".into()));
    let at = chrono::DateTime::from_timestamp_nanos(NOW_NS - 1)
        .to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let then = json(&deck, &format!("/api/v1/reference/AAPL?as_of={at}")).await;
    assert_eq!(then["facts"].as_array().map(Vec::len), Some(1));
    assert_eq!(then["facts"][0]["fact"]["employees"], "100");

    let history = json(&deck, "/api/v1/reference/AAPL/history?kind=profile&limit=1").await;
    assert_eq!(history["rows"][0]["fact"]["employees"], "164000");
    let before = history["older"].as_str().unwrap();
    let older =
        json(&deck, &format!("/api/v1/reference/AAPL/history?kind=profile&limit=1&before={before}")).await;
    assert_eq!((&older["rows"][0]["fact"]["employees"], &older["older"]), (&"100".into(), &Value::Null));

    let news = json(&deck, "/api/v1/news?symbol=aapl&limit=1").await;
    assert_eq!((&news["rows"][0]["headline"], &news["rows"][0]["delay"]), (&"Bad".into(), &"24h".into()));
    let older = news["older"].as_str().unwrap();
    let rest = json(&deck, &format!("/api/v1/news?limit=1&before={older}")).await;
    assert_eq!((&rest["rows"][0]["compound"], &rest["older"]), (&0.62.into(), &Value::Null));
    let known = json(&deck, &format!("/api/v1/news?to={at}")).await;
    assert_eq!(known["rows"].as_array().map(Vec::len), Some(1), "what was not known yet is not there");
    assert_eq!(json(&deck, "/api/v1/news?source=newsapi").await["rows"].as_array().map(Vec::len), Some(1));

    for path in ["reference/AAPL?asof=1", "reference/AAPL/history?kind=horoscope", "news?before=x"] {
        let answer = deck.get(&format!("/api/v1/{path}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{path}: {}", answer.text);
    }
    // The tape's own list shows them as what they are.
    let listed = json(&deck, "/api/v1/events?type=news_article").await;
    assert_eq!(listed["rows"].as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(listed["rows"][0]["stream"], "REFERENCE");
}

#[tokio::test]
async fn the_universe_says_of_each_symbol_whether_it_is_listed() {
    let deck = Deck::empty().await;
    deck.append(events()).await;
    let universe = json(&deck, "/api/v1/universe").await;
    assert_eq!(universe["groups"], serde_json::json!([{"name": "pair", "symbols": ["SPY", "AAPL"]}]));
    let states = |universe: &Value| -> Vec<(String, String)> {
        let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
        let rows = universe["symbols"].as_array().unwrap().iter();
        rows.map(|row| (text(row, "symbol"), text(row, "state"))).collect()
    };
    let is = |symbol: &str, state: &str| (symbol.to_owned(), state.to_owned());
    assert_eq!(states(&universe), [is("SPY", "unknown"), is("AAPL", "delisted")]);
    let apple = &universe["symbols"][1];
    assert_eq!((&apple["source"], &apple["delisted_on"]), (&"massive".into(), &"2026-01-05".into()));
    let asked = json(&deck, "/api/v1/universe?symbols=aapl,@pair,ibm").await;
    assert_eq!(states(&asked), [is("AAPL", "delisted"), is("SPY", "unknown"), is("IBM", "unknown")]);
    for (symbols, status) in [
        ("@none", StatusCode::NOT_FOUND),
        (",", StatusCode::UNPROCESSABLE_ENTITY),
        ("a%20b", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = deck.get(&format!("/api/v1/universe?symbols={symbols}")).await;
        assert_eq!(answer.status, status, "{symbols}: {}", answer.text);
    }
    let page = deck.get("/system").await.text;
    for text in ["id=\"h-universe\"", "@pair</th>", "id=\"universe-AAPL\" data-state=\"delisted\""] {
        assert!(page.contains(text), "{text} is missing in {page}");
    }
    // What has ended stands before what nobody knows.
    assert!(page.find("id=\"universe-AAPL\"") < page.find("id=\"universe-SPY\""));
}

#[tokio::test]
async fn a_symbol_is_stale_by_the_clock_of_the_tape() {
    let deck = Deck::traded().await;
    let universe = json(&deck, "/api/v1/universe?symbols=AAPL").await;
    let apple = &universe["symbols"][0];
    assert_eq!((&apple["state"], &apple["sessions_since"]), (&"bars".into(), &0.into()), "{universe}");
}
