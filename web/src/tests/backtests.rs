//! Backtests on the site: asking for one, how it shows, its tear sheet.

use analytics::sheet::Counts;
use analytics::{Input, Report, TearSheet};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use contracts::v1::event::Body as EventBody;
use contracts::v1::{
    BacktestCounts, BacktestFinished, BacktestKind, BacktestOutcome, BacktestRequest, BacktestStarted,
    BacktestStrategy, Event, Money, Parameter, SessionPhase,
};
use contracts::{Subject, event_id, to_timestamp};
use domain::calendar::{Calendar, Market};
use domain::money::{Amount, Price, Quantity};
use domain::performance::{EquityRow, Trade, TradeSide};
use serde_json::{Value, json};

use super::script::NOW_NS;
use super::{Deck, HOST, cookie, read};

const HOUR_NS: i64 = 3_600_000_000_000;
/// 2024-01-02 21:00 UTC, the close of a session.
const CLOSE_NS: i64 = 1_704_229_200_000_000_000;

/// A request as it stands on the tape.
pub fn request() -> BacktestRequest {
    let asked = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies: vec![BacktestStrategy {
            kind: "sma_cross".into(),
            parameters: vec![Parameter { name: "fast".into(), value: "10".into() }],
            sizing: domain::sizing::parse("fixed:10"),
            ..BacktestStrategy::default()
        }],
        symbols: vec!["SPY".into()],
        timeframe: "1h".into(),
        cash: Some(Money { units: 100_000, nanos: 0 }),
        seed: 1,
        ..BacktestRequest::default()
    };
    domain::research::complete(asked).unwrap()
}

pub fn post(deck: &Deck, path: &str, key: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header("host", HOST)
        .header("origin", format!("http://{HOST}"))
        .header("cookie", cookie(&deck.session))
        .header("x-csrf-token", deck.app.sessions.token(&deck.session))
        .header("idempotency-key", key)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

/// Asks for a run and answers its id.
async fn asked(deck: &Deck, key: &str) -> String {
    let body = json!({"strategies": [{"kind": "sma_cross", "parameters": {"fast": "10"}}], "symbols": ["SPY"],
        "timeframe": "1h", "cash": "50000", "slippage_bps": "2.5", "benchmark": "SPY"});
    let answer = read(deck.send_as_it_is(post(deck, "/api/v1/backtests", key, &body)).await).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    deck.settle().await;
    let answer: Value = serde_json::from_str(&answer.text).unwrap();
    answer["run_id"].as_str().unwrap().to_owned()
}

async fn append(deck: &Deck, run_id: &str, name: &str, body: EventBody) {
    let event = Event {
        id: event_id(run_id, name, 0),
        event_time: Some(to_timestamp(NOW_NS)),
        source: "backtest".to_owned(),
        body: Some(body),
        ..Event::default()
    };
    deck.append(vec![(Subject::for_event(&event, None).unwrap(), event)]).await;
}

/// The opening of a market's session, as a rehearsal of its bars states it.
fn opened(market: Market) -> (Subject, Event) {
    let session = market.calendar().current_or_next(CLOSE_NS - HOUR_NS).unwrap();
    let event = Event {
        id: event_id(market.name(), "session", 0),
        event_time: Some(to_timestamp(session.open_ns)),
        source: "test".to_owned(),
        body: Some(EventBody::SessionChange(session.to_wire(market.name(), SessionPhase::Opened))),
        ..Event::default()
    };
    (Subject::of(&["market", "session", market.name()]), event)
}

#[tokio::test]
async fn a_run_without_a_calendar_has_the_one_whose_sessions_the_tape_holds() {
    let deck = Deck::empty().await;
    deck.append(vec![opened(Market::TwentyFourSeven)]).await;
    let run_id = asked(&deck, "run-always").await;
    let row = json(&deck, &format!("/api/v1/backtests/{run_id}")).await;
    assert_eq!(row["request"]["calendar"], "24x7");
    deck.append(vec![opened(Market::Xnys)]).await;
    let body = json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h"});
    let refused = read(deck.send_as_it_is(post(&deck, "/api/v1/backtests", "run-either", &body)).await).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    assert!(refused.text.contains("sessions of 24x7 and XNYS"), "{}", refused.text);
}

fn trade() -> Trade {
    Trade {
        strategy: "sma_cross".into(),
        symbol: "SPY".into(),
        side: TradeSide::Long,
        quantity: Quantity(10_000_000_000),
        entry_ns: CLOSE_NS + HOUR_NS,
        entry_price: Price(400_000_000_000),
        exit_ns: CLOSE_NS + 48 * HOUR_NS,
        exit_price: Price(410_000_000_000),
        commission: Amount(2_000_000_000),
        pnl: Amount(98_000_000_000),
    }
}

/// Says that a run ended with a trade.
async fn finish(deck: &Deck, run_id: &str, hash: &str) {
    finish_with(deck, run_id, hash, &[trade()], Counts::default()).await;
}

/// Says that a run ended, with a report of sixty days over three months.
async fn finish_with(deck: &Deck, run_id: &str, hash: &str, trades: &[Trade], counts: Counts) {
    let rows: Vec<EquityRow> = (0..60)
        .map(|day| EquityRow {
            time_ns: CLOSE_NS + day * 24 * HOUR_NS,
            equity: Amount((50_000 + i128::from(day % 7) * 300 + i128::from(day) * 40) * 1_000_000_000),
            cash: Amount::ZERO,
            exposure: Amount(1_000_000_000),
        })
        .collect();
    let sheet = TearSheet::of(Input { counts, ..Input::new(trades, &rows, Calendar::xnys()) }).unwrap();
    let statistics = serde_json::to_string(&sheet.statistics).unwrap();
    let body = EventBody::BacktestFinished(BacktestFinished {
        run_id: run_id.to_owned(),
        outcome: BacktestOutcome::Succeeded.into(),
        statistics,
        data_hash: "d".repeat(64),
        result_hash: hash.to_owned(),
        code_version: "0.0.0".to_owned(),
        counts: Some(BacktestCounts {
            bars: 100,
            signals: 2,
            trades: trades.len() as u64,
            ..BacktestCounts::default()
        }),
        duration_ms: 12,
        document: Report::of(sheet).pack().unwrap(),
        ..BacktestFinished::default()
    });
    append(deck, run_id, "backtest_finished", body).await;
}

pub async fn json(deck: &Deck, path: &str) -> Value {
    let answer = deck.get(path).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

#[tokio::test]
async fn a_run_shows_from_its_request_to_its_tear_sheet() {
    let deck = Deck::empty().await;
    let run_id = asked(&deck, "backtest-one").await;
    let path = format!("/api/v1/backtests/{run_id}");
    let row = json(&deck, &path).await;
    assert_eq!((row["status"].as_str(), row["statistics"].is_null()), (Some("waiting"), true));
    assert_eq!(row["request"]["costs"]["slippageRateE9"], "250000");
    assert_eq!(row["request"]["revisions"], "BACKTEST_REVISIONS_LATEST");
    // Nothing was said of it: that of the tape.
    assert_eq!(row["request"]["calendar"], "XNYS");
    // Nothing to show yet, and why.
    let none = deck.get(&format!("{path}/sheet")).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    assert!(none.text.contains("which is waiting"), "{}", none.text);

    let started = BacktestStarted { run_id: run_id.clone(), attempt: 1, code_version: "0.0.0".into() };
    append(&deck, &run_id, "backtest_started", EventBody::BacktestStarted(started)).await;
    // Nothing was heard of it, as after a restart of the site: no number rather than one that jumps.
    let list = deck.get("/backtests").await.text;
    assert!(list.contains("<progress") && !list.contains("data-percent"), "{list}");
    let hint = json!({"percent": 42.5, "bars": 17, "total": 40, "bars_per_s": 1e6, "pnl": "1.50", "remaining_s": 0.1});
    deck.app.runs.take(&format!("backtest.{run_id}.progress"), hint.to_string().as_bytes());
    let late = json!({"percent": 40.0, "bars": 16, "total": 40, "bars_per_s": 1e6, "pnl": "1.50", "remaining_s": 0.1});
    deck.app.runs.take(&format!("backtest.{run_id}.progress"), late.to_string().as_bytes());
    let row = json(&deck, &path).await;
    assert_eq!((row["status"].as_str(), row["progress"]["percent"].as_f64()), (Some("running"), Some(42.5)));
    let list = deck.get("/backtests").await.text;
    assert!(list.contains("data-percent=\"42.5\"") && list.contains("Yes, cancel"), "{list}");

    finish(&deck, &run_id, "abc").await;
    let row = json(&deck, &path).await;
    assert_eq!((row["status"].as_str(), row["result_hash"].as_str()), (Some("succeeded"), Some("abc")));
    assert!(row["statistics"]["sharpe"].is_number() && row["progress"].is_null());
    let sheet = json(&deck, &format!("{path}/sheet")).await;
    assert_eq!(sheet["sheet"]["trades_total"], 1);
    let trades = deck.get(&format!("{path}/trades.csv")).await.text;
    assert!(trades.contains("SPY,long,10,"), "{trades}");
    let equity = deck.get(&format!("{path}/equity.csv")).await.text;
    let mut lines = equity.lines();
    assert_eq!(lines.next(), Some("time,equity,cash,exposure"), "{equity}");
    // The second session closes a day after the first row; nothing was put aside as cash.
    assert_eq!(lines.next(), Some("2024-01-03T21:00:00Z,50340,0,1"), "{equity}");
    let page = deck.get(&format!("/backtests/{run_id}")).await.text;
    for part in [
        "data-metric=\"sharpe\"",
        "id=\"months\"",
        "/chart/SPY?timeframe=1h",
        "id=\"result-hash\">abc<",
        "id=\"code-version\">0.0.0<",
        "<svg",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test]
async fn a_run_without_trades_names_the_bars_that_are_missing() {
    let deck = Deck::empty().await;
    let run_id = asked(&deck, "backtest-one").await;
    let counts = Counts { bars: 40, missing_bars: Some(26), ..Counts::default() };
    finish_with(&deck, &run_id, "abc", &[], counts).await;
    let page = deck.get(&format!("/backtests/{run_id}")).await.text;
    let why = page.split("id=\"h-none\"").nth(1).unwrap();
    for reason in [
        "<li>The strategy gave no signal on 40 bars.</li>",
        "<li>26 bars that the calendar expects are missing.</li>",
    ] {
        assert!(why.contains(reason), "{reason}: {page}");
    }
}

#[tokio::test]
async fn the_heatmap_compounds_to_the_year() {
    let deck = Deck::empty().await;
    let run_id = asked(&deck, "backtest-one").await;
    finish(&deck, &run_id, "abc").await;
    let page = deck.get(&format!("/backtests/{run_id}")).await.text;
    let value = |text: &str| text.split('"').next().unwrap().parse::<f64>().ok();
    let months: f64 =
        page.split("data-value=\"").skip(1).filter_map(value).map(|month| 1.0 + month).product();
    let total = page.split("data-total=\"").nth(1).and_then(value).unwrap();
    assert!((months - 1.0 - total).abs() < 1e-9, "{months} {total}");
    // What is read in the cells does so as well, each rounded by itself.
    let shown = |mark: &str| -> Vec<String> {
        let cells = page.split(mark).skip(1).filter_map(|cell| Some(cell.split_once('>')?.1));
        let texts = cells.map(|cell| cell.trim_start_matches("<strong>").split('<').next().unwrap());
        texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
    };
    let read = |text: &String| text.replace('−', "-").trim_end_matches(" %").parse::<f64>().unwrap() / 100.0;
    let (months, total) = (shown("data-month=\""), shown("data-total=\""));
    assert_eq!((months.len(), total.len()), (3, 1), "{months:?} {total:?}");
    let decimals =
        |text: &String| text.trim_end_matches(" %").split_once('.').map(|(_, places)| places.len());
    assert!(months.iter().chain(&total).all(|text| decimals(text) == Some(3)), "{months:?} {total:?}");
    let compounded: f64 = months.iter().map(|text| 1.0 + read(text)).product();
    assert!((compounded - 1.0 - read(&total[0])).abs() <= 0.000_1, "{months:?} {total:?}");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_by_its_field() {
    let deck = Deck::empty().await;
    let before = deck.stored().await;
    for (number, (body, field)) in [
        (json!({"strategies": [], "timeframe": "1h"}), "strategies"),
        (json!({"strategies": [{"kind": "none"}], "timeframe": "1h"}), "strategy"),
        (
            json!({"strategies": [{"kind": "sma_cross", "parameters": {"fast": "99"}}], "timeframe": "1h"}),
            "parameters",
        ),
        (json!({"strategies": [{"kind": "sma_cross", "sizing": "half"}], "timeframe": "1h"}), "sizing"),
        (json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "2h"}), "timeframe"),
        (json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "cash": "-1"}), "cash"),
        (json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "from": "x"}), "from"),
        (json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "revisions": "x"}), "revisions"),
        (json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "kind": "sweep"}), "search"),
        (
            json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "kind": "sweep", "search":
                {"sampler": "grid", "metric": "luck", "ranges": [{"parameter": "fast", "values": ["3"]}]}}),
            "metric",
        ),
        (
            json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "kind": "sweep", "search":
                {"sampler": "grid", "ranges": [{"parameter": "fast", "values": ["9..3"]}]}}),
            "ranges",
        ),
        (
            json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "slippage_bps": "x"}),
            "slippage_bps",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let request = post(&deck, "/api/v1/backtests", &format!("backtest-{number}"), &body);
        let answer = read(deck.send_as_it_is(request).await).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text);
        let problem: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(problem["field"], field, "{}", answer.text);
    }
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn nobody_has_a_command_run_or_a_tape_made_from_here() {
    let deck = Deck::empty().await;
    let before = deck.stored().await;
    for (number, (field, body)) in [
        ("external", json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "external": ["true"]})),
        ("command", json!({"strategies": [{"kind": "sma_cross", "command": "true"}], "timeframe": "1h"})),
        ("record", json!({"strategies": [{"kind": "sma_cross"}], "timeframe": "1h", "record": "tape"})),
    ]
    .into_iter()
    .enumerate()
    {
        let request = post(&deck, "/api/v1/backtests", &format!("command-{number}"), &body);
        let answer = read(deck.send_as_it_is(request).await).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", answer.text);
        assert!(answer.text.contains(&format!("\"{field}\\\": expected only ")), "{}", answer.text);
    }
    assert_eq!(deck.stored().await, before);
}

#[tokio::test]
async fn a_run_that_has_ended_is_not_cancelled_and_two_are_compared() {
    let deck = Deck::empty().await;
    let (one, two) = (asked(&deck, "backtest-one").await, asked(&deck, "backtest-two").await);
    assert_ne!(one, two);
    finish(&deck, &one, "abc").await;
    finish(&deck, &two, "abd").await;
    let cancel = post(&deck, &format!("/api/v1/backtests/{one}/cancel"), "cancel-one", &json!({}));
    assert_eq!(deck.send_as_it_is(cancel).await.status(), StatusCode::CONFLICT);
    // Nothing need be said with it.
    for body in ["", "null"] {
        let mut request =
            post(&deck, &format!("/api/v1/backtests/{one}/cancel"), "cancel-bare", &Value::Null);
        *request.body_mut() = Body::from(body);
        if body.is_empty() {
            request.headers_mut().remove("content-type");
        }
        let key = format!("cancel-bare-{}", body.len());
        request.headers_mut().insert("idempotency-key", key.parse().unwrap());
        assert_eq!(deck.send_as_it_is(request).await.status(), StatusCode::CONFLICT, "{body:?}");
    }
    let unknown = post(&deck, "/api/v1/backtests/none/cancel", "cancel-two", &json!({}));
    assert_eq!(deck.send_as_it_is(unknown).await.status(), StatusCode::NOT_FOUND);
    let page = deck.get(&format!("/backtests?compare={one},{two}")).await.text;
    assert!(page.contains("Side by side") && page.contains("Sharpe"), "{page}");
    // The lines of the chart as a table, the newest session first.
    let table = page.split("id=\"compared-sessions\"").nth(1).unwrap().split("</table>").next().unwrap();
    assert_eq!(table.matches("<tr><th scope=\"row\"").count(), 20, "{table}");
    let lines = json(&deck, &format!("/backtests/lines.json?compare={one},{two}")).await;
    let last = lines[1]["points"].as_array().and_then(|points| points.last()).unwrap();
    let newest = table.split("<tr><th scope=\"row\"").nth(1).unwrap();
    assert!(newest.contains(&format!(">{:.2}</td>", last[1].as_f64().unwrap())), "{newest}");
    assert_eq!(lines.as_array().map(Vec::len), Some(2));
    assert_eq!(lines[0]["points"][0][1], 100.0);
}

#[tokio::test]
async fn the_list_of_runs_is_narrowed_by_the_address() {
    let deck = Deck::empty().await;
    let (ended, waits) = (asked(&deck, "backtest-one").await, asked(&deck, "backtest-two").await);
    finish(&deck, &ended, "abc").await;
    let listed = async |query: &str| {
        let page = deck.get(&format!("/backtests{query}")).await.text;
        let is_there = |id: &str| page.contains(&format!("<tr id=\"run-{id}\""));
        (is_there(&ended), is_there(&waits), page)
    };
    assert!(matches!(listed("").await, (true, true, page) if !page.contains(">Clear</a>")));
    let (first, second, page) = listed(&format!("?status=succeeded&find=sma&compare={ended}")).await;
    assert!(first && !second, "{page}");
    for part in [
        "<input name=\"find\" value=\"sma\" data-filter".to_owned(),
        "<option value=\"succeeded\" selected>succeeded</option>".to_owned(),
        // What else the address says stays.
        format!("<input type=\"hidden\" name=\"compare\" value=\"{ended}\">"),
        format!("<a class=\"btn\" href=\"/backtests?compare={ended}\">Clear</a>"),
    ] {
        assert!(page.contains(&part), "{part}: {page}");
    }
    let (_, second, page) = listed("?kind=walk_forward").await;
    assert!(!second && page.contains("No match."), "{page}");
}

#[tokio::test]
async fn the_form_of_a_sweep_asks_for_its_ranges_and_the_run_shows_a_map() {
    let deck = Deck::traded().await;
    let page = deck.get("/backtests?strategy=sma_cross&run=walk_forward").await.text;
    let revisions = "<option value=\"latest\">latest</option><option value=\"as-known\">";
    let fields =
        ["name=\"in_sample\"", "name=\"sampler\"", "name=\"metric\"", "name=\"revisions\"", revisions];
    for part in fields.into_iter().chain(["Run the walk-forward test"]) {
        assert!(page.contains(part), "{part}: {page}");
    }
    let body = "key=sweep-form&run=sweep&strategy=sma_cross&p.fast=2..4&p.slow=8%7C12&sampler=grid&runs=100&metric=sharpe&timeframe=1h&cash=1000&revisions=as-known";
    let request = Request::post("/backtests")
        .header("host", HOST)
        .header("origin", format!("http://{HOST}"))
        .header("cookie", cookie(&deck.session))
        .header("x-csrf-token", deck.app.sessions.token(&deck.session))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .unwrap();
    let answer = read(deck.send_as_it_is(request).await).await;
    assert!(answer.status.is_redirection(), "{} {}", answer.status, answer.text);
    deck.settle().await;
    let list = json(&deck, "/api/v1/backtests?kind=sweep").await;
    let row = &list["rows"][0];
    assert_eq!(row["request"]["search"]["ranges"][0]["values"], json!(["2", "3", "4"]), "{row}");
    assert_eq!(row["request"]["search"]["ranges"][1]["values"], json!(["8", "12"]), "{row}");
    assert_eq!(row["request"]["revisions"], "BACKTEST_REVISIONS_AS_KNOWN", "{row}");
    let run = deck.get(&format!("/backtests/{}", row["run_id"].as_str().unwrap())).await.text;
    assert!(run.contains("Revisions") && run.contains("as-known"), "{run}");
}

#[tokio::test]
async fn a_part_of_the_trades_is_called_one_and_so_is_equity_by_session() {
    let deck = Deck::empty().await;
    let run_id = asked(&deck, "backtest-one").await;
    let path = format!("/api/v1/backtests/{run_id}");
    finish_with(&deck, &run_id, "abc", &vec![trade(); 1_001], Counts::default()).await;
    let begin = format!("attachment; filename=\"backtest-{}-", &run_id[..8]);
    for (file, name) in
        [("trades.csv", "trades-newest-1000-of-1001.csv\""), ("equity.csv", "equity-by-session.csv\"")]
    {
        let answer = deck.get(&format!("{path}/{file}")).await;
        assert_eq!(answer.headers["content-disposition"], begin.clone() + name);
    }
    let page = deck.get(&format!("/backtests/{run_id}")).await.text;
    for said in ["Trades CSV, the newest 1,000 at most", "Equity CSV, one row per session"] {
        assert!(page.contains(said), "{said}: {page}");
    }
}
