//! The tape as a visitor meets it: lists, messages in every form, chains, parked messages.

use axum::http::StatusCode;
use contracts::v1::event::Body;
use contracts::v1::{
    Bar, Basis, Event, IndicatorValue, Intent, RiskDecision, RiskInput, Signal, SignalLeg, Verdict,
};
use contracts::{Subject, stream, to_timestamp};

use super::action::Visitor;
use super::script::NOW_NS;
use super::{Deck, read};

fn event(id: &str, cause: &str, body: Body) -> (Subject, Event) {
    let event = Event {
        id: id.to_owned(),
        event_time: Some(to_timestamp(NOW_NS)),
        source: "test".to_owned(),
        correlation_id: "bar-1".to_owned(),
        causation_id: cause.to_owned(),
        basis: vec![Basis { stream: stream::MARKET.to_owned(), sequence: 3 }],
        body: Some(body),
        ..Event::default()
    };
    (Subject::for_event(&event, None).unwrap(), event)
}

fn bar(id: &str, symbol: &str) -> (Subject, Event) {
    let bar = Bar {
        symbol: symbol.to_owned(),
        timeframe: "1h".to_owned(),
        start: Some(to_timestamp(NOW_NS - 3_600_000_000_000)),
        ..Bar::default()
    };
    event(id, "", Body::Bar(bar))
}

fn signal(strategy: &str) -> Body {
    let leg =
        SignalLeg { symbol: "SPY".to_owned(), intent: Intent::EnterLong.into(), ..SignalLeg::default() };
    Body::Signal(Signal {
        strategy: strategy.to_owned(),
        legs: vec![leg],
        indicators: vec![IndicatorValue { name: "sma_fast".to_owned(), value: 101.5 }],
        reason: "crossed".to_owned(),
        ..Signal::default()
    })
}

/// Three bars; the second caused a signal, which was denied.
async fn decided() -> Deck {
    let deck = Deck::empty().await;
    let input = RiskInput { symbol: "SPY".to_owned(), price_age_ms: 1_250, ..RiskInput::default() };
    let decision = RiskDecision {
        account: "paper".to_owned(),
        strategy: "ext".to_owned(),
        signal_id: "signal-1".to_owned(),
        verdict: Verdict::Denied.into(),
        rule: "max_position".to_owned(),
        inputs: vec![input],
        ..RiskDecision::default()
    };
    deck.append(vec![
        bar("bar-0", "QQQ"),
        bar("bar-1", "SPY"),
        bar("bar-2", "TLT"),
        event("signal-1", "bar-1", signal("ext")),
        event("decision-1", "signal-1", Body::RiskDecision(decision)),
    ])
    .await;
    deck
}

#[tokio::test]
async fn an_empty_stream_says_so() {
    let deck = Deck::empty().await;
    for stream in ["MARKET", "REFERENCE", "TRADING", "AUDIT", "PARKED", "LOGS", "QUOTES"] {
        let answer = deck.get(&format!("/events?stream={stream}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{stream}");
        assert!(answer.text.contains("Stream is empty."), "{stream}");
    }
    assert!(deck.get("/events/parked").await.text.contains("Nothing is parked."));
}

#[tokio::test]
async fn the_list_is_newest_first_and_follows_its_filters() {
    let deck = decided().await;
    let rows = async |query: &str| {
        let text = deck.get(&format!("/events{query}")).await.text;
        text.split("<tr id=\"e-")
            .skip(1)
            .map(|row| row.split('"').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(rows("?stream=MARKET").await, ["3", "2", "1"]);
    assert_eq!(rows("").await, ["2", "1"]);
    assert_eq!(rows("?type=signal").await, ["1"]);
    assert_eq!(rows("?subject=market.bar.*.SPY").await, ["2"]);
    assert_eq!(rows("?causation=signal-1").await, ["2"]);
    assert_eq!(rows("?correlation=bar-1&type=signal").await, ["1"]);
    assert_eq!(rows("?stream=MARKET&before=3&limit=1").await, ["2"]);
    assert_eq!(rows("?stream=MARKET&after=1&limit=1").await, ["2"]);
    assert!(deck.get("/events?type=fill").await.text.contains("No event of TRADING matches."));
    for (query, words) in [
        ("?subject=a..b", "subject = &quot;a..b&quot;"),
        ("?stream=NOWHERE", "stream = "),
        ("?type=nonsense", "type = "),
        ("?stream=MARKET&type=fill", "expected one of stream MARKET"),
        ("?seq=first", "a whole number"),
        ("?at=yesterday", "a time in UTC"),
    ] {
        let answer = deck.get(&format!("/events{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        let text = answer.text.replace('"', "&quot;");
        assert!(text.contains(words), "{query}: {text}");
    }
}

#[tokio::test]
async fn a_jump_leads_to_the_same_list_beginning_there() {
    let deck = decided().await;
    let to = async |query: &str| {
        let answer = deck.get(&format!("/events{query}")).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{query}");
        answer.headers["location"].to_str().unwrap().to_owned()
    };
    assert_eq!(to("?stream=MARKET&seq=2&type=bar").await, "/events?stream=MARKET&type=bar&before=3");
    assert_eq!(to("?stream=MARKET&at=2020-01-01T00:00&clock=event").await, "/events?stream=MARKET&before=2");
    assert_eq!(
        to("?stream=MARKET&at=2030-01-01T00:00&clock=recorded").await,
        "/events?stream=MARKET&before=5"
    );
}

#[tokio::test]
async fn a_message_is_shown_in_every_form_and_one_that_is_none_as_hex() {
    let deck = decided().await;
    let shown = async |path: &str| {
        let answer = deck.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        answer.text
    };
    let decoded = shown("/events/TRADING/1").await;
    assert!(decoded.contains("signal.indicators[0].name") && decoded.contains("sma_fast"), "{decoded}");
    assert!(decoded.contains("/events/chain/signal-1?stream=TRADING&#38;sequence=1"), "{decoded}");
    // The way back in time and the proof, of decisions alone: bars are what they follow from.
    assert!(decoded.contains("href=\"/?as_of=seq%3A1\""), "{decoded}");
    assert!(decoded.contains(" --from 1 --to 1</code>"), "{decoded}");
    let bar = shown("/events/MARKET/1").await;
    assert!(!bar.contains("as_of=") && !bar.contains("tapedeck replay"), "{bar}");
    assert!(shown("/events/TRADING/1?tab=json").await.contains("&#34;indicators&#34;"));
    assert!(shown("/events/TRADING/1?tab=hex").await.contains("00000000  0a 08 73 69 67 6e 61 6c"));
    assert!(shown("/events/TRADING/1?tab=headers").await.contains("Nats-Msg-Id"));
    // A type that this program does not know: field 999 instead of a body.
    let unknown = [b"\x0a\x03new".as_slice(), b"\xba\x3e\x00"].concat();
    let sequence = deck.memory.publish_raw("audit.ada.unknown", &unknown, None).unwrap();
    let hex = shown(&format!("/events/AUDIT/{sequence}")).await;
    assert!(hex.contains("00000000  0a 03 6e 65 77 ba 3e 00"), "{hex}");
    assert!(hex.contains("field `body`: missing or of an unknown type"), "{hex}");
    let list = shown("/events?stream=AUDIT").await;
    assert!(list.contains("not readable"), "{list}");
    for path in ["/events/TRADING/99", "/events/TRADING/0", "/events/NOWHERE/1"] {
        assert_eq!(deck.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_chain_leads_from_the_bar_to_the_decision_from_either_end() {
    let deck = decided().await;
    for id in ["decision-1", "signal-1", "bar-1"] {
        let answer = deck.get(&format!("/events/chain/{id}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{id}");
        let stages: Vec<&str> =
            answer.text.split("data-stage=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(stages, ["bar", "signal", "risk"], "{id}");
        assert!(answer.text.contains("101.5") && answer.text.contains("1250 ms"), "{id}: {}", answer.text);
        assert!(answer.text.contains("href=\"#market-2\""), "{id}: {}", answer.text);
    }
    // A bar from which nothing followed is found when the address says where it stands.
    assert_eq!(deck.get("/events/chain/bar-0").await.status, StatusCode::NOT_FOUND);
    let alone = deck.get("/events/chain/bar-0?stream=MARKET&sequence=1").await;
    assert!(alone.text.contains("data-stage=\"bar\""), "{}", alone.text);
}

#[tokio::test]
async fn the_tree_counts_subjects_one_level_at_a_time() {
    let deck = decided().await;
    let level = deck.get("/events/tree?stream=MARKET&path=market.bar.1h").await.text;
    for symbol in ["QQQ", "SPY", "TLT"] {
        assert!(level.contains(&format!("subject=market.bar.1h.{symbol}")), "{level}");
    }
    let level = deck.get("/events/tree?stream=MARKET&path=").await.text;
    assert!(level.contains("path=market\"") && level.contains(">3<"), "{level}");
    assert_eq!(deck.get("/events/tree?stream=NOWHERE").await.status, StatusCode::NOT_FOUND);
}

async fn park(deck: &Deck, payload: &[u8]) -> String {
    for service in ["risk", "execution"] {
        runtime::park(&deck.tape, service, "TRADING", 7, "signal.ext.SPY", payload, "field `legs`: 7")
            .await
            .unwrap();
    }
    deck.settle().await;
    contracts::event_id("TRADING/7", "park/risk", 0)
}

#[tokio::test]
async fn a_parked_message_is_dismissed_with_a_reason_or_stays() {
    let deck = decided().await;
    let id = park(&deck, b"{\"id\":\"1\",\"signal\":{\"legs\":7}}").await;
    let visitor = Visitor::of(&deck).await;
    let (list, before) = (deck.get("/events/parked").await.text, deck.stored().await);
    assert!(
        list.contains("field `legs`: 7") && list.contains(&format!("/events/parked/{id}/replay")),
        "{list}"
    );
    let post = async |action: &str, fields: &str| {
        let form = format!("csrf={}&key=key-number-1{fields}", visitor.token);
        read(deck.send(visitor.post(&format!("/events/parked/{id}/{action}"), &form)).await).await
    };
    let refused = post("replay", "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("`signal.legs`: 7, expected"), "{}", refused.text);
    assert_eq!(post("dismiss", "&reason=+").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(deck.stored().await, before);
    assert_eq!(post("dismiss", "&reason=a+typing+error").await.status, StatusCode::OK);
    // The read model may or may not know yet; the tape does.
    let again = post("dismiss", "&reason=a+typing+error").await.status;
    assert!(matches!(again, StatusCode::OK | StatusCode::CONFLICT), "{again}");
    assert_eq!(deck.stored().await, (before.0, before.1 + 1));
    deck.settle().await;
    assert!(deck.get("/events/parked").await.text.contains("Nothing is parked."));
    assert!(deck.get("/events/parked?show=all").await.text.contains("dismissed by owner: a typing error"));
    assert_eq!(post("replay", "").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_parked_signal_is_replayed_once_it_can_be_read() {
    let deck = decided().await;
    let mut leg = SignalLeg { symbol: "SPY".to_owned(), ..SignalLeg::default() };
    leg.set_intent(Intent::Exit);
    let body = Body::Signal(Signal { strategy: "ext".to_owned(), legs: vec![leg], ..Signal::default() });
    let id = park(&deck, &contracts::encode(&event("late-1", "bar-1", body).1)).await;
    let visitor = Visitor::of(&deck).await;
    let form = format!("csrf={}&key=key-number-1", visitor.token);
    let answer = read(deck.send(visitor.post(&format!("/events/parked/{id}/replay"), &form)).await).await;
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (StatusCode::OK, "<span class=\"good\">Published again as TRADING 3.</span>")
    );
    deck.settle().await;
    let again = deck.tape.get(stream::TRADING, 3).await.unwrap().unwrap();
    assert_eq!((again.event.id.as_str(), again.subject.as_str()), ("late-1", "signal.ext.SPY"));
    let all = deck.get("/events/parked?show=all").await.text;
    assert_eq!(all.matches("replayed by owner: published again as TRADING 3").count(), 2, "{all}");
}

#[tokio::test]
async fn a_parked_bar_is_published_again_by_who_writes_market_data() {
    let deck = decided().await;
    let (subject, event) = bar("bar-9", "IWM");
    let (subject, payload) = (subject.as_str(), contracts::encode(&event));
    let sequence = deck.memory.publish_raw(subject, &payload, None).unwrap();
    runtime::park(&deck.tape, "strategy", "MARKET", sequence, subject, &payload, "unread").await.unwrap();
    deck.settle().await;
    tokio::spawn(runtime::command::parked::serve(deck.app.context.clone()));
    let id = contracts::event_id(&format!("MARKET/{sequence}"), "park/strategy", 0);
    let visitor = Visitor::of(&deck).await;
    let form = format!("csrf={}&key=key-number-1", visitor.token);
    let answer = read(deck.send(visitor.post(&format!("/events/parked/{id}/replay"), &form)).await).await;
    let again = sequence + 1;
    assert_eq!(answer.text, format!("<span class=\"good\">Published again as MARKET {again}.</span>"));
    let stored = deck.tape.get(stream::MARKET, again).await.unwrap().unwrap();
    assert_eq!((stored.event.id.as_str(), stored.subject.as_str()), ("bar-9", subject));
    let resolved = deck.tape.last(stream::PARKED, "parked.resolved").await.unwrap().unwrap().event;
    let Some(Body::ParkedResolved(resolved)) = resolved.body else { panic!("no resolution") };
    assert_eq!((resolved.parked_id, resolved.actor.as_str()), (id, "owner"));
}

#[tokio::test]
async fn programs_get_the_same_as_json_and_problems_that_name_the_field() {
    let deck = decided().await;
    let json = async |path: &str| {
        let answer = deck.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        serde_json::from_str::<serde_json::Value>(&answer.text).unwrap()
    };
    let streams = json("/api/v1/streams").await;
    assert_eq!(streams["rows"][0]["name"], "MARKET");
    assert_eq!(streams["rows"][0]["messages"], 3);
    let subjects = json("/api/v1/streams/MARKET/subjects?path=market.bar.1h").await;
    assert_eq!(subjects["branches"][1]["token"], "SPY");
    let events = json("/api/v1/events?stream=MARKET&limit=2").await;
    assert_eq!((events["rows"][0]["sequence"].as_u64(), events["older"].as_u64()), (Some(3), Some(2)));
    let one = json("/api/v1/events/TRADING/1").await;
    assert_eq!(one["event"]["signal"]["reason"], "crossed");
    assert_eq!(one["row"]["kind"], "signal");
    let chain = json("/api/v1/chain/decision-1").await;
    assert_eq!((chain[0]["stage"].as_str(), chain[2]["stage"].as_str()), (Some("bar"), Some("risk")));
    assert_eq!(json("/api/v1/parked").await["rows"].as_array().map(Vec::len), Some(0));
    let wrong = deck.get("/api/v1/events?type=nonsense").await;
    assert_eq!(wrong.headers["content-type"], "application/problem+json");
    let wrong: serde_json::Value = serde_json::from_str(&wrong.text).unwrap();
    assert_eq!((wrong["status"].as_u64(), wrong["field"].as_str()), (Some(422), Some("type")));
}
