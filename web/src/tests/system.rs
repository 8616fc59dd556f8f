//! System, Logs and Settings, and their part of the API.

use async_trait::async_trait;
use axum::body::Body as Content;
use axum::http::{Request, StatusCode};
use contracts::v1::event::Body;
use contracts::v1::{
    BacktestRequest, Event, LogField, LogRecord, ProjectionFinished, ProjectionOutcome, ProjectionTask,
    SourceReported,
};
use contracts::{Subject, event_id, stream, to_timestamp};
use projections::as_of::Timeline;
use runtime::command::Caller;
use runtime::command::filled::{Action, Filled, record};

use crate::probe::{
    Connection, Finding, NATS, NatsHealth, NoStretch, POSTGRES, Probe, Secret, Setting, Settings, Severity,
};
use crate::tests::action::Visitor;
use crate::tests::{Deck, HOST, RECORDED_NS, read};

/// Servers that are well, and a configuration with one value of a file.
#[derive(Debug)]
pub struct Calm;

#[async_trait]
impl Probe for Calm {
    async fn nats(&self) -> Result<NatsHealth, String> {
        Ok(NatsHealth { version: "2.15.1".to_owned(), ..NatsHealth::default() })
    }

    async fn findings(&self) -> Vec<Finding> {
        vec![Finding {
            check: "disk".to_owned(),
            severity: Severity::Warning,
            detail: "1.0 GB free".to_owned(),
            mend: "delete tapes".to_owned(),
        }]
    }

    fn settings(&self) -> Result<Settings, String> {
        Ok(Settings {
            file: Some("tapedeck.toml".to_owned()),
            home: "/home/deck".to_owned(),
            values: vec![Setting {
                field: "demo.seed".to_owned(),
                value: "8".to_owned(),
                default: Some("7".to_owned()),
                source: "file".to_owned(),
            }],
            secrets: vec![Secret {
                name: "NATS_URL".to_owned(),
                set: true,
                source: "environment".to_owned(),
            }],
            connections: [
                (NATS, "NATS", ""),
                (POSTGRES, "PostgreSQL", ""),
                ("yahoo", "Yahoo Finance", ""),
                ("massive", "Massive", "source.massive.key_env"),
            ]
            .into_iter()
            .map(|(name, title, unset)| Connection {
                name: name.to_owned(),
                title: title.to_owned(),
                url: String::new(),
                unset: unset.split(' ').filter(|field| !field.is_empty()).map(str::to_owned).collect(),
            })
            .collect(),
        })
    }

    async fn test(&self, connection: &str) -> Result<String, String> {
        match connection {
            NATS | "yahoo" => Ok("answered".to_owned()),
            _ => Err("refused".to_owned()),
        }
    }

    /// Its tape ends before the millionth event and before 2199, and has no strategy `nobody` and no bars of 2019; the
    /// exchange is closed on New Year's Day.
    async fn stretch(&self, _past: &Timeline, request: &BacktestRequest) -> Result<(), NoStretch> {
        let stretch = request.stretch.clone().unwrap_or_default();
        let of_nobody = stretch.parameters.iter().find(|text| text.starts_with("nobody."));
        let wrong = [
            ("at", Some(&stretch.at).filter(|at| *at == "1000000" || at.starts_with("2199"))),
            ("parameters", of_nobody),
            ("session", Some(&stretch.session).filter(|day| day.starts_with("2019") || *day == "2020-01-01")),
        ];
        match wrong.into_iter().find_map(|(field, value)| Some((field, value?.clone()))) {
            Some((field, value)) => {
                Err(NoStretch::Asked { field, value, expected: "what the tape holds".to_owned() })
            }
            None => Ok(()),
        }
    }
}

fn line(number: u32, service: &str, level: &str, message: &str) -> (Subject, Event) {
    let record = LogRecord {
        service: service.to_owned(),
        level: level.to_owned(),
        target: format!("{service}::shell"),
        message: message.to_owned(),
        fields: vec![
            LogField { name: "lag".to_owned(), value: number.to_string() },
            LogField { name: "run".to_owned(), value: "0123abcd".to_owned() },
        ],
    };
    let event = Event {
        id: event_id("log", "test", number),
        event_time: Some(to_timestamp(RECORDED_NS + i64::from(number))),
        source: service.to_owned(),
        correlation_id: if number == 2 { "c0ffee".to_owned() } else { String::new() },
        body: Some(Body::LogRecord(record)),
        ..Event::default()
    };
    (Subject::for_event(&event, None).unwrap(), event)
}

async fn logged() -> Deck {
    let deck = Deck::empty().await;
    deck.append(vec![
        line(1, "risk", "INFO", "deciding"),
        line(2, "risk", "WARN", "the read model is <late>"),
        line(3, "web", "ERROR", "no answer"),
    ])
    .await;
    deck
}

async fn post(deck: &Deck, path: &str, key: &str) -> crate::tests::Answer {
    let visitor = Visitor::of(deck).await;
    let request = visitor.post(path, &format!("csrf={}&key={key}", visitor.token));
    read(deck.send(request).await).await
}

#[tokio::test]
async fn log_lines_are_filtered_and_escaped() {
    let deck = logged().await;
    let page = deck.get("/logs").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("the read model is &#60;late&#62;"), "{}", page.text);
    assert!(page.text.contains("correlation=c0ffee run=0123abcd"), "{}", page.text);
    let warned = deck.get("/logs?level=warn&service=risk").await.text;
    assert!(warned.contains("late") && !warned.contains("deciding") && !warned.contains("no answer"));
    assert!(deck.get("/logs?correlation=c0ffee").await.text.contains("late"));
    assert!(deck.get("/logs?text=LATE").await.text.contains("late"));
    assert!(deck.get("/logs?text=100%25").await.text.contains("No match"));
    assert!(deck.get("/logs?to=2020-01-01").await.text.contains("Clear the filters"));
    let refused = deck.get("/logs?level=loud").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.starts_with("level = \"loud\": expected one of error, warn"));
}

#[tokio::test]
async fn the_tail_goes_on_after_a_line() {
    let deck = logged().await;
    let rest = deck.get("/logs/lines?after=1").await;
    assert_eq!(rest.headers["x-last"], "3");
    assert!(rest.text.contains("id=\"log-2\"") && !rest.text.contains("id=\"log-1\""));
    assert_eq!(deck.get("/logs/lines?after=1&count=yes").await.text, "2");
    assert_eq!(deck.get("/logs/lines?after=3").await.headers["x-last"], "3");
    assert_eq!(deck.get("/logs/lines?after=x").await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn lines_are_a_file_and_an_answer_of_the_api() {
    let deck = logged().await;
    let csv = deck.get("/logs.csv?level=warn").await.text;
    assert_eq!(csv.lines().count(), 3);
    let ndjson = deck.get("/logs.ndjson?service=web").await.text;
    let row: serde_json::Value = serde_json::from_str(ndjson.trim()).unwrap();
    assert_eq!((row["message"].as_str(), row["fields"]["lag"].as_str()), (Some("no answer"), Some("3")));
    let page = deck.get("/api/v1/logs?limit=1").await.text;
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!((page["rows"][0]["sequence"].as_u64(), page["before"].as_u64()), (Some(3), Some(3)));
    let older = deck.get("/api/v1/logs?before=3").await.text;
    assert!(older.contains("deciding") && !older.contains("no answer"));
    // A service that nobody knows is no service without lines.
    let unknown = deck.get("/api/v1/logs?service=nope").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND, "{}", unknown.text);
    assert!(unknown.text.contains("there are risk, checker, web, tapedeck"), "{}", unknown.text);
    // One of the program's own may not have said anything yet.
    let quiet = deck.get("/api/v1/logs?service=checker").await;
    assert_eq!(quiet.status, StatusCode::OK, "{}", quiet.text);
    let quiet: serde_json::Value = serde_json::from_str(&quiet.text).unwrap();
    assert_eq!(quiet["rows"], serde_json::json!([]));
    let choices = deck.get("/logs").await.text;
    assert!(choices.contains("<option value=\"checker\""), "{choices}");
    assert_eq!(deck.get("/api/v1/logs?service=risk&text=nothing").await.status, StatusCode::OK);
    let problem = deck.get("/api/v1/logs?before=soon").await;
    assert_eq!(problem.headers["content-type"], "application/problem+json");
    let problem: serde_json::Value = serde_json::from_str(&problem.text).unwrap();
    assert_eq!(
        (problem["status"].as_u64(), problem["title"].as_str()),
        (Some(422), Some("Unprocessable Entity"))
    );
}

#[tokio::test]
async fn the_system_page_tells_how_everything_is() {
    let deck = Deck::traded().await;
    let page = deck.get("/system").await;
    assert_eq!(page.status, StatusCode::OK);
    for part in [
        "id=\"p-trading\" data-state=\"Up to date\"",
        "nats-server 2.15.1",
        "delete tapes",
        "Slowest statement",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let health = deck.get("/api/v1/health").await;
    assert_eq!(health.status, StatusCode::OK, "{}", health.text);
    assert!(deck.get("/api/v1/projections").await.text.contains("\"name\":\"logs\""));
    assert_eq!(deck.get("/api/v1/services").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_was_found_about_the_data_is_listed_for_all_symbols() {
    let deck = Deck::empty().await;
    assert!(deck.get("/system").await.text.contains("Nothing was found about the data."));
    let finding = contracts::v1::QualityFinding {
        symbol: "BRK.B".to_owned(),
        rule: "price_difference".to_owned(),
        severity: contracts::v1::Severity::Warning.into(),
        timeframe: "1d".to_owned(),
        detail: "high 101 by yahoo, 100 by alpaca: 1.000 % apart".to_owned(),
        found: "101".to_owned(),
        expected: "100".to_owned(),
        authority: "alpaca".to_owned(),
        ..contracts::v1::QualityFinding::default()
    };
    let event = Event {
        id: event_id("yahoo", "test", 0),
        event_time: Some(to_timestamp(1_767_709_800_000_000_000)),
        source: "yahoo".to_owned(),
        body: Some(Body::QualityFinding(finding)),
        ..Event::default()
    };
    deck.append(vec![(Subject::for_event(&event, None).unwrap(), event)]).await;
    let page = deck.get("/system").await.text;
    for part in ["/chart/BRK.B", "price difference", "badge-warn", "high 101 by yahoo"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let listed = deck.get("/api/v1/findings").await;
    let listed: serde_json::Value = serde_json::from_str(&listed.text).unwrap();
    let item = &listed["items"][0];
    assert_eq!(
        (&item["found"], &item["expected"], &item["authority"]),
        (&"101".into(), &"100".into(), &"alpaca".into())
    );
}

#[tokio::test]
async fn a_live_source_is_shown_with_what_it_suffers_from() {
    let deck = Deck::empty().await;
    assert!(deck.get("/system").await.text.contains("Nothing is streamed here"));
    let report = SourceReported {
        source: "alpaca".to_owned(),
        instance: "i1".to_owned(),
        state: "live".to_owned(),
        detail: "a gap is not filled: <slow down>".to_owned(),
        symbols: vec!["AAPL".to_owned(), "BRK.B".to_owned()],
        bars: 4_711,
        lag_p99_ns: Some(1_234_000_000),
        reconnects: 3,
        breaker: "open".to_owned(),
        ..SourceReported::default()
    };
    let event = Event {
        id: event_id("alpaca", "test", 0),
        event_time: Some(to_timestamp(runtime::now_ns())),
        source: "alpaca".to_owned(),
        body: Some(Body::SourceReported(report)),
        ..Event::default()
    };
    deck.append(vec![(Subject::for_event(&event, None).unwrap(), event)]).await;
    let page = deck.get("/system").await.text;
    for part in [
        "id=\"src-alpaca\" data-state=\"live\"",
        "badge-warn",
        "&#60;slow down&#62;",
        "AAPL, BRK.B",
        "1234 ms",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let rows: serde_json::Value = serde_json::from_str(&deck.get("/api/v1/sources").await.text).unwrap();
    assert_eq!((rows[0]["bars"].as_u64(), rows[0]["breaker"].as_str()), (Some(4_711), Some("open")));
}

#[tokio::test]
async fn what_came_of_filling_a_series_is_shown_and_the_failing_ones_first() {
    let deck = Deck::empty().await;
    let filled = |symbol: &str, outcome: Result<&str, &str>| Filled {
        source: "yahoo".to_owned(),
        symbol: symbol.to_owned(),
        timeframe: "1h".to_owned(),
        outcome: outcome.map(str::to_owned).map_err(str::to_owned),
    };
    let caller = |key: &str| Caller { actor: "ada".to_owned(), key: key.to_owned() };
    let first = [filled("AAPL", Ok("7 events appended")), filled("MSFT", Ok("7 events appended"))];
    record(&deck.tape, &caller("1"), Action::Backfill, &first).await.unwrap();
    let page = deck.get("/system").await.text;
    assert!(page.contains("Nothing is streamed here") && page.contains("filled-yahoo-MSFT-1h"), "{page}");
    assert!(!page.contains("data-state=\"failing\""), "{page}");
    let second = [filled("MSFT", Err("refuses (400): <not today>"))];
    record(&deck.tape, &caller("2"), Action::Backfill, &second).await.unwrap();
    let page = deck.get("/system").await.text;
    assert!(page.contains("id=\"filled-yahoo-MSFT-1h\" data-state=\"failing\""), "{page}");
    assert!(page.contains("refuses (400): &#60;not today&#62;"), "{page}");
    let at = |id: &str| page.find(id).unwrap();
    assert!(at("filled-yahoo-MSFT-1h") < at("filled-yahoo-AAPL-1h"));
    let rows: serde_json::Value =
        serde_json::from_str(&deck.get("/api/v1/sources/history").await.text).unwrap();
    assert_eq!(rows.as_array().map(Vec::len), Some(2), "{rows}");
    assert_eq!((&rows[0]["symbol"], &rows[0]["last_error_ns"]), (&"AAPL".into(), &serde_json::Value::Null));
    assert!(rows[1]["last_success_ns"].is_i64() && rows[1]["last_error_ns"].is_i64(), "{rows}");
    assert_eq!(rows[1]["last_error"], "refuses (400): <not today>");
}

#[tokio::test]
async fn a_rebuild_is_asked_for_once_and_a_second_is_refused_until_the_first_has_ended() {
    let deck = Deck::traded().await;
    let (trading, audits) = deck.stored().await;
    let asked = post(&deck, "/projections/bars/rebuild", "key-0001").await;
    assert_eq!(asked.status, StatusCode::OK, "{}", asked.text);
    assert_eq!(post(&deck, "/projections/bars/rebuild", "key-0001").await.status, StatusCode::OK);
    deck.settle().await;
    assert_eq!(deck.stored().await, (trading + 1, audits + 1), "one key, one effect");
    let second = post(&deck, "/projections/bars/verify", "key-0002").await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(second.text.contains("rebuild of bars was asked for by owner"), "{}", second.text);
    assert_eq!(deck.stored().await, (trading + 1, audits + 1), "nothing changed");
    assert_eq!(post(&deck, "/projections/none/rebuild", "key-0003").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        post(&deck, "/projections/bars/drop", "key-0004").await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let recorded = deck.tape.last(stream::TRADING, "control.projection.>").await.unwrap().unwrap();
    assert_eq!(recorded.subject, "control.projection.bars.rebuild_requested");
    let end = ProjectionFinished {
        projection: "bars".to_owned(),
        task: ProjectionTask::Rebuild.into(),
        request_id: recorded.event.id.clone(),
        outcome: ProjectionOutcome::Succeeded.into(),
        sequence: 9,
        messages: 9,
        state_hash: "feed".to_owned(),
        state_hash_before: "feed".to_owned(),
        sequence_before: 9,
        duration_ms: 1_500,
        ..ProjectionFinished::default()
    };
    let event = Event {
        id: event_id(&recorded.event.id, "projection_finished", 0),
        event_time: recorded.event.event_time,
        body: Some(Body::ProjectionFinished(end)),
        ..Event::default()
    };
    deck.append(vec![(Subject::for_event(&event, None).unwrap(), event)]).await;
    let page = deck.get("/system").await.text;
    assert!(page.contains("built from 9 messages up to 9 in 1.5 s; same state hash as before"), "{page}");
    assert_eq!(post(&deck, "/projections/bars/verify", "key-0005").await.status, StatusCode::OK);
}

#[tokio::test]
async fn settings_mark_what_differs_and_hold_no_secret() {
    let deck = Deck::empty().await;
    let page = deck.get("/settings").await.text;
    for part in [
        "demo.seed",
        "differs",
        "id=\"h-limits\">Risk limits</h2>",
        "<code>tapedeck limits set</code>",
        "Money is in US dollars",
        "Copyright (с) 2023 TradingView",
        "id=\"licences\"",
        "tokio",
        "lightweight-charts",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // The key behind sessions is seven in every byte; it is in no form anywhere.
    for path in ["/settings", "/api/v1/settings", "/api/v1/health", "/system"] {
        let text = deck.get(path).await.text;
        assert!(!text.contains("0707070707") && !text.contains("postgres://"), "{path}");
    }
    let (_, audits) = deck.stored().await;
    let tested = post(&deck, "/settings/connections/nats/test", "key-0001").await;
    assert!(tested.text.contains("NATS: answered"), "{}", tested.text);
    let failed = post(&deck, "/settings/connections/postgres/test", "key-0002").await;
    assert_eq!(
        (failed.status, failed.text.as_str()),
        (StatusCode::CONFLICT, "PostgreSQL cannot be reached: refused\n")
    );
    assert_eq!(deck.stored().await.1, audits + 2);
    let vendor = post(&deck, "/settings/connections/yahoo/test", "key-0003").await;
    assert!(vendor.text.contains("Yahoo Finance: answered"), "{}", vendor.text);
    let page = deck.get("/settings").await.text;
    assert!(page.contains("form-test-yahoo") && !page.contains("form-test-massive"), "{page}");
    assert!(page.contains("unset: source.massive.key_env"), "{page}");
    let unset = post(&deck, "/settings/connections/massive/test", "key-0004").await;
    assert_eq!(
        (unset.status, unset.text.as_str()),
        (StatusCode::CONFLICT, "Massive cannot be asked: source.massive.key_env unset\n")
    );
    let missing = post(&deck, "/settings/connections/elsewhere/test", "key-0005").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn files_are_whole_when_they_come_compressed() {
    let deck = logged().await;
    for path in ["/logs.csv", "/logs.ndjson", "/orders.csv?tab=all"] {
        let request = Request::get(path).header("host", HOST).header("accept-encoding", "gzip");
        let response = deck.send(request.body(Content::empty()).unwrap()).await;
        assert_eq!(response.headers()["content-encoding"], "gzip");
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 22).await.unwrap();
        assert!(!bytes.is_empty(), "{path}");
    }
}
