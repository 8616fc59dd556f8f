//! Statistics of pairs and the kinds of strategies, as the API tells them.

use axum::http::StatusCode;
use contracts::v1::event::Body as EventBody;
use contracts::v1::{Bar, Event, Origin};
use contracts::{Subject, event_id, to_timestamp};
use serde_json::Value;

use super::Deck;
use super::script::NOW_NS;

const HOUR_NS: i64 = 3_600_000_000_000;
const BARS: i64 = 60;

/// Hourly bars of two symbols: the first follows the second's square root and sways around it.
fn bars() -> Vec<(Subject, Event)> {
    let bar = |symbol: &str, index: i64, close: f64| {
        let start_ns = NOW_NS + index * HOUR_NS;
        #[expect(clippy::cast_possible_truncation, reason = "a price of some dollars")]
        let close_e9 = (close * 1e9).round() as i64;
        let event = Event {
            id: event_id("script", symbol, u32::try_from(index).unwrap()),
            event_time: Some(to_timestamp(start_ns + HOUR_NS)),
            source: "script".to_owned(),
            body: Some(EventBody::Bar(Bar {
                symbol: symbol.to_owned(),
                timeframe: "1h".to_owned(),
                start: Some(to_timestamp(start_ns)),
                open_e9: close_e9,
                high_e9: close_e9,
                low_e9: close_e9,
                close_e9,
                volume_e3: 1_000,
                origin: Origin::Rehearsal.into(),
                ..Bar::default()
            })),
            ..Event::default()
        };
        (Subject::for_event(&event, None).unwrap(), event)
    };
    let both = |index: i64| {
        let second = 50.0 + (index as f64 * 0.37).sin() * 3.0 + index as f64 * 0.1;
        // A sway that no lag explains.
        let sway = ((index * index * 7_919 + index * 31) % 101) as f64 / 101.0 - 0.5;
        let first = 10.0 * second.sqrt() * (1.0 + 0.008 * sway);
        [bar("FIRST", index, first), bar("SECOND", index, second)]
    };
    (0..BARS).flat_map(both).collect()
}

#[tokio::test]
async fn two_symbols_are_measured_where_both_have_bars() {
    let deck = Deck::traded().await;
    deck.append(bars()).await;
    let answer = deck.get("/api/v1/pair?first=first&second=SECOND").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let pair: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&pair["first"], &pair["timeframe"]), (&"FIRST".into(), &"1h".into()));
    assert_eq!((&pair["observations"], &pair["from_ns"]), (&BARS.into(), &(NOW_NS + HOUR_NS).into()));
    assert!((pair["hedge_ratio"].as_f64().unwrap() - 0.5).abs() < 0.05, "{pair}");
    assert!(pair["engle_granger"]["p_value"].as_f64().unwrap() < 0.05, "{pair}");
    assert_eq!(pair["johansen"]["trace_critical_values"][0].as_array().unwrap().len(), 3);
    for (query, status, field) in [
        ("first=FIRST&second=first", 422, "second".into()),
        ("first=FIRST", 422, "second".into()),
        ("first=FIRST&second=SECOND&timeframe=2h", 422, "timeframe".into()),
        ("first=FIRST&second=NVDA", 404, Value::Null),
        ("first=FIRST&second=SECOND&timeframe=1d", 409, Value::Null),
        ("first=FIRST&second=SECOND&from=2030-01-02", 409, Value::Null),
    ] {
        let answer = deck.get(&format!("/api/v1/pair?{query}")).await;
        let body: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!((&body["status"], &body["field"]), (&status.into(), &field), "{query}: {body}");
    }
}

#[tokio::test]
async fn kinds_are_told_with_their_parameters_and_guides() {
    let deck = Deck::traded().await;
    let answer = deck.get("/api/v1/strategy-kinds").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let kinds: Value = serde_json::from_str(&answer.text).unwrap();
    let rows = kinds["rows"].as_array().unwrap();
    assert_eq!(rows.len(), domain::strategy::kinds().len());
    let cross = rows.iter().find(|row| row["kind"] == "sma_cross").unwrap();
    let average = &cross["parameters"][2];
    assert_eq!((&average["type"], &average["default"]), (&"choice".into(), &"simple".into()));
    assert_eq!(average["choices"], serde_json::json!(["simple", "exponential"]));
    let pairs = rows.iter().find(|row| row["kind"] == "pairs").unwrap();
    assert_eq!(pairs["parameters"][0]["default"], Value::Null, "it must be stated");

    let page = deck.get("/strategies").await.text;
    for row in rows {
        let name = row["kind"].as_str().unwrap();
        assert!(page.contains(&format!("id=\"kind-{name}\"")), "{name} is missing");
        let guide = deck.get(&format!("/guides/{name}")).await;
        assert_eq!(guide.status, StatusCode::OK);
        assert!(guide.text.starts_with(&format!("# {name}\n")));
    }
    assert_eq!(deck.get("/guides/nothing").await.status, StatusCode::NOT_FOUND);
}
