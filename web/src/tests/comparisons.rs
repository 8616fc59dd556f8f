//! Parity and forks on the site: asking for one, how it shows, both sides of it.

use analytics::Comparison;
use analytics::comparison::{
    AccountEnd, Difference, EquityLine, FillMark, OrderRow, OrderSide, Outcome, Row, Side,
};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use contracts::v1::event::Body as EventBody;
use contracts::v1::{
    BacktestFinished, BacktestKind, BacktestOutcome, BacktestRequest, BacktestStretch, Event,
};
use contracts::{Subject, event_id, to_timestamp};
use serde_json::{Value, json};

use super::script::NOW_NS;
use super::{Deck, HOST, cookie, read};

/// A request as it stands on the tape.
pub fn request() -> BacktestRequest {
    let stretch = BacktestStretch { session: "2020-01-02".into(), ..BacktestStretch::default() };
    BacktestRequest {
        kind: BacktestKind::Parity.into(),
        stretch: Some(stretch),
        ..BacktestRequest::default()
    }
}

fn post(deck: &Deck, path: &str, key: &str, kind: &str, body: String) -> Request<Body> {
    Request::post(path)
        .header("host", HOST)
        .header("origin", format!("http://{HOST}"))
        .header("cookie", cookie(&deck.session))
        .header("x-csrf-token", deck.app.sessions.token(&deck.session))
        .header("idempotency-key", key)
        .header("hx-request", "true")
        .header("content-type", kind)
        .body(Body::from(body))
        .unwrap()
}

async fn ask(deck: &Deck, path: &str, key: &str, body: &Value) -> (StatusCode, Value) {
    let request = post(deck, path, key, "application/json", body.to_string());
    let answer = read(deck.send_as_it_is(request).await).await;
    deck.settle().await;
    (answer.status, serde_json::from_str(&answer.text).unwrap())
}

fn side(status: &str, filled: &str) -> OrderSide {
    OrderSide {
        order_id: "aaaaaaaaaaaaaaaaaaaaaaaa".into(),
        side: "buy".into(),
        quantity: "10".into(),
        terms: "market day".into(),
        status: status.into(),
        filled: filled.into(),
        average_price: Some("101.5".into()).filter(|_| filled != "0"),
        fees: "0".into(),
    }
}

fn comparison() -> Comparison {
    let end = |equity: &str| Side {
        signals: 2,
        orders: 1,
        fills: 1,
        denials: 0,
        accounts: vec![AccountEnd {
            account: "paper".into(),
            equity: equity.into(),
            cash: "1".into(),
            realized_pnl: "0".into(),
            fees: "0".into(),
        }],
    };
    let row = |id: &str, outcome| Row {
        time_ns: NOW_NS,
        kind: "risk_decision".into(),
        event_id: id.into(),
        chain_of: "c0ffee".into(),
        recorded: "approved buy 10 SPY".into(),
        derived: if outcome == Outcome::Same { "approved buy 10 SPY" } else { "denied max_exposure" }.into(),
        outcome,
        fields: vec![Difference {
            field: "riskDecision.rule".into(),
            recorded: Value::Null,
            derived: "max_exposure".into(),
        }],
    };
    let order = |symbol: &str, derived: OrderSide| {
        let recorded = side("filled", "10");
        OrderRow {
            time_ns: NOW_NS,
            signal_id: format!("signal-{symbol}"),
            account: "paper".into(),
            strategy: "cross".into(),
            symbol: symbol.into(),
            chain_of: "c0ffee".into(),
            outcome: Outcome::of(Some(&recorded), Some(&derived)),
            recorded: Some(recorded),
            derived: Some(derived),
        }
    };
    Comparison {
        kind: "fork".into(),
        session: None,
        at: 3,
        from: 4,
        to: 90,
        parameters: Vec::new(),
        limits: vec!["paper.max_exposure=0".into()],
        verdict: "differs".into(),
        compared: 2,
        differing: 1,
        open: 0,
        first: Some(row("two", Outcome::Differs)),
        recorded: end("100"),
        derived: end("90.5"),
        orders: vec![order("SPY", side("filled", "10")), order("QQQ", side("denied: max_exposure", "0"))],
        orders_total: 2,
        orders_differing: 1,
        rows: vec![row("one", Outcome::Same), row("two", Outcome::Differs)],
        equity: vec![EquityLine {
            account: "paper".into(),
            recorded: vec![(NOW_NS, 100.0)],
            derived: vec![(NOW_NS, 90.5)],
        }],
        fills: vec![FillMark {
            time_ns: NOW_NS,
            account: "paper".into(),
            strategy: "cross".into(),
            symbol: "SPY".into(),
            side: "buy".into(),
            quantity: "10".into(),
            price: "101.5".into(),
            outcome: Outcome::OnlyRecorded,
        }],
        left_out: Vec::new(),
    }
}

async fn finish(deck: &Deck, run_id: &str, comparison: Comparison) {
    let statistics = json!({"compared": comparison.compared, "differing": comparison.differing,
        "orders": comparison.orders_total, "orders_differing": comparison.orders_differing});
    let body = EventBody::BacktestFinished(BacktestFinished {
        run_id: run_id.to_owned(),
        outcome: BacktestOutcome::Succeeded.into(),
        statistics: statistics.to_string(),
        result_hash: "abc".to_owned(),
        document: comparison.pack().unwrap(),
        ..BacktestFinished::default()
    });
    let event = Event {
        id: event_id(run_id, "backtest_finished", 0),
        event_time: Some(to_timestamp(NOW_NS)),
        source: "backtest".to_owned(),
        body: Some(body),
        ..Event::default()
    };
    deck.append(vec![(Subject::for_event(&event, None).unwrap(), event)]).await;
}

#[tokio::test]
async fn a_fork_shows_both_sides_from_its_request_to_its_end() {
    let deck = Deck::traded().await;
    let asked = json!({"at": "3", "limits": {"paper": {"max_exposure": "0"}}});
    let (status, answer) = ask(&deck, "/api/v1/forks", "fork-0001", &asked).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    let run_id = answer["run_id"].as_str().unwrap().to_owned();
    let api = format!("/api/v1/comparisons/{run_id}");
    let row: Value = serde_json::from_str(&deck.get(&api).await.text).unwrap();
    assert_eq!((row["status"].as_str(), row["at"].as_str()), (Some("waiting"), Some("3")), "{row}");
    assert_eq!(row["limits"][0], "paper.max_exposure=0", "{row}");
    assert_eq!(deck.get(&format!("{api}/report")).await.status, StatusCode::NOT_FOUND);
    let hint =
        json!({"percent": 42.5, "bars": 0, "total": 0, "bars_per_s": 0.0, "pnl": "0", "remaining_s": null});
    deck.app.runs.take(&format!("backtest.{run_id}.progress"), hint.to_string().as_bytes());

    finish(&deck, &run_id, comparison()).await;
    let row: Value = serde_json::from_str(&deck.get(&api).await.text).unwrap();
    assert_eq!((row["verdict"].as_str(), row["differing"].as_u64()), (Some("differs"), Some(1)), "{row}");
    let page = deck.get(&format!("/fork/{run_id}")).await.text;
    for part in [
        "id=\"verdict\" data-verdict=\"differs\"",
        "First difference",
        "riskDecision.rule",
        "denied: max_exposure",
        "/events/chain/c0ffee",
        "data-chart=\"lines\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("signal-SPY") && !page.contains("event-one"), "only what differs: {page}");
    let all = deck.get(&format!("/fork/{run_id}?show=all")).await.text;
    assert!(all.contains("event-one") && all.contains("event-two"), "{all}");
    let lines: Value =
        serde_json::from_str(&deck.get(&format!("/comparisons/{run_id}/lines.json")).await.text).unwrap();
    assert_eq!(
        (lines.as_array().map(Vec::len), lines[0]["marks"].as_array().map(Vec::len)),
        (Some(2), Some(1))
    );
    assert_eq!(
        (lines[1]["points"][0][1].as_f64(), lines[1]["marks"].as_array().map(Vec::len)),
        (Some(90.5), Some(0))
    );
    let orders = deck.get(&format!("{api}/orders.csv")).await.text;
    assert!(orders.contains(",QQQ,differs,"), "{orders}");
    let events = deck.get(&format!("{api}/events.csv")).await.text;
    assert_eq!(events.lines().count(), 3, "{events}");
    let list = deck.get("/fork").await.text;
    assert!(list.contains(&format!("run-{run_id}")) && list.contains("data-verdict=\"differs\""), "{list}");
    // It is no backtest: the lists are apart.
    assert!(!deck.get("/backtests").await.text.contains(&run_id));
    assert_eq!(deck.get(&format!("/api/v1/backtests/{run_id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(deck.get(&format!("/parity/{run_id}")).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_cannot_be_run_again_is_refused_by_its_field() {
    let deck = Deck::traded().await;
    let before = deck.stored().await;
    for (number, (path, body, field)) in [
        ("/api/v1/parity", json!({"session": "soon"}), "session"),
        ("/api/v1/parity", json!({"session": "2020-01-01"}), "session"),
        ("/api/v1/forks", json!({"at": ""}), "at"),
        ("/api/v1/forks", json!({"at": "noon"}), "at"),
        ("/api/v1/forks", json!({"at": "1000000"}), "at"),
        ("/api/v1/forks", json!({"at": "2199-01-01T00:00:00Z"}), "at"),
        ("/api/v1/forks", json!({"at": "3", "to": "later"}), "to"),
        ("/api/v1/forks", json!({"at": "3", "parameters": {"nobody": {"fast": "1"}}}), "parameters"),
        ("/api/v1/parity", json!({"session": "2019-01-02"}), "session"),
        ("/api/v1/forks", json!({"at": "3", "parameters": {"": {"fast": "1"}}}), "parameters"),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, problem) = ask(&deck, path, &format!("wrong-{number:03}"), &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {problem}");
        assert_eq!(problem["field"], field, "{problem}");
    }
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn the_form_forks_with_what_was_changed_alone() {
    let deck = Deck::traded().await;
    let head = deck.app.timeline.head().await.unwrap();
    let page = deck.get(&format!("/fork?at={head}")).await.text;
    let field = |name: &str| {
        let from = page.split(&format!("name=\"{name}\" value=\"")).nth(1);
        from.map(|rest| rest.split('"').next().unwrap().to_owned())
    };
    let fast = field("p.sma_cross.fast").unwrap_or_else(|| panic!("{page}"));
    let slow = field("p.sma_cross.slow").unwrap();
    let exposure = field("l.paper.max_exposure").unwrap();
    let changed = fast.parse::<u32>().unwrap() + 1;
    let body = format!(
        "key=fork-form-1&at={head}&to=&p.sma_cross.fast={changed}&p.sma_cross.slow={slow}&l.paper.max_exposure={exposure}"
    );
    let request = post(&deck, "/fork", "fork-form-1", "application/x-www-form-urlencoded", body);
    let answer = read(deck.send_as_it_is(request).await).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    deck.settle().await;
    let list: Value = serde_json::from_str(&deck.get("/api/v1/comparisons?kind=fork").await.text).unwrap();
    assert_eq!(list["rows"][0]["parameters"], json!([format!("sma_cross.fast={changed}")]), "{list}");
    assert_eq!(list["rows"][0]["limits"], json!([]), "{list}");
    let wrong = format!("key=fork-form-2&at={head}&to=&p.sma_cross.fast=none");
    let request = post(&deck, "/fork", "fork-form-2", "application/x-www-form-urlencoded", wrong);
    assert_eq!(deck.send_as_it_is(request).await.status(), StatusCode::UNPROCESSABLE_ENTITY);
}
