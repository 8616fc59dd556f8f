//! Recorded runs over a tape in memory, by the real engine.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::sync::Arc;
use std::time::Duration;

use analytics::Report;
use backtest::Config;
use contracts::v1::event::Body;
use contracts::v1::*;
use contracts::{Subject, bar_id, stream, to_timestamp};
use domain::calendar::Market;
use event_log::{Append, Delivery, Expect, MemoryLog, Tape};
use runtime::command::{Caller, cancel_backtest, request_backtest};
use runtime::{ClockMode, Context, Health};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;
/// 2024-01-08 15:00 UTC, a Monday half an hour after the opening.
const START_NS: i64 = 1_704_726_000_000_000_000;
const E9: i64 = 1_000_000_000;

/// A tape with hourly bars of two symbols on `days` weekdays, whose prices go up and down.
async fn tape(days: i64) -> Tape {
    let tape: Tape = Arc::new(MemoryLog::new());
    put(&tape, bars(0..days)).await;
    tape
}

async fn put(tape: &Tape, entries: Vec<Append>) {
    for outcome in tape.append_pipelined(entries).await {
        outcome.unwrap();
    }
}

/// The bars of some of the weekdays.
fn bars(days: std::ops::Range<i64>) -> Vec<Append> {
    let mut entries = Vec::new();
    for day in days {
        for hour in 0..5 {
            let close_ns = START_NS + day / 5 * 7 * DAY_NS + day % 5 * DAY_NS + hour * HOUR_NS;
            for (place, symbol) in ["AAA", "BBB"].into_iter().enumerate() {
                let step = day * 5 + hour;
                let wave = (step as f64 / (9.0 + place as f64)).sin() * 10.0;
                #[expect(clippy::cast_possible_truncation, reason = "prices around a hundred")]
                let price_e9 = ((100.0 + wave) * 1e9) as i64;
                let bar = Bar {
                    symbol: symbol.into(),
                    timeframe: "1h".into(),
                    start: Some(to_timestamp(close_ns - HOUR_NS)),
                    open_e9: price_e9,
                    high_e9: price_e9 + E9,
                    low_e9: price_e9 - E9,
                    close_e9: price_e9,
                    volume_e3: 1_000_000_000,
                    origin: Origin::Import.into(),
                    ..Bar::default()
                };
                let event = Event {
                    id: bar_id("test", symbol, "1h", close_ns),
                    event_time: Some(to_timestamp(close_ns)),
                    source: "test".into(),
                    body: Some(Body::Bar(bar)),
                    ..Event::default()
                };
                let subject = Subject::bar("1h", symbol);
                entries.push(Append { subject, event, expect: Expect::Nothing });
            }
        }
    }
    entries
}

/// A revision of each of these bars, at half of its price.
fn revised(entries: Vec<Append>) -> Vec<Append> {
    let revised = entries.into_iter().map(|entry| {
        let Some(Body::Bar(bar)) = entry.event.body else { panic!("no bar: {:?}", entry.event) };
        let half = Bar {
            open_e9: bar.open_e9 / 2,
            high_e9: bar.high_e9 / 2,
            low_e9: bar.low_e9 / 2,
            close_e9: bar.close_e9 / 2,
            ..bar
        };
        let (symbol, revises) = (half.symbol.clone(), entry.event.id);
        let event = Event {
            id: contracts::event_id(&revises, "revision", 1),
            body: Some(Body::BarRevision(BarRevision { bar: Some(half), revises })),
            ..entry.event
        };
        let subject = Subject::of(&["market", "revision", "1h", symbol.as_str()]);
        Append { subject, event, expect: Expect::Nothing }
    });
    revised.collect()
}

fn request() -> BacktestRequest {
    let request = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies: vec![BacktestStrategy {
            kind: "sma_cross".into(),
            parameters: [("fast", "3"), ("slow", "8")]
                .map(|(name, value)| Parameter { name: name.into(), value: value.into() })
                .to_vec(),
            sizing: domain::sizing::parse("fixed:10"),
            ..BacktestStrategy::default()
        }],
        timeframe: "1h".into(),
        cash: Some(Money { units: 100_000, nanos: 0 }),
        benchmark: "AAA".into(),
        seed: 7,
        ..BacktestRequest::default()
    };
    domain::research::complete(request).unwrap()
}

struct Service {
    _segments: tempfile::TempDir,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), backtest::ServiceError>>,
}

impl Service {
    fn start(tape: &Tape) -> Self {
        Self::noted(tape, Market::Xnys)
    }

    /// Of a tape whose manifest notes this calendar.
    fn noted(tape: &Tape, calendar: Market) -> Self {
        let shutdown = CancellationToken::new();
        let context = Context {
            tape: Arc::clone(tape),
            clock: ClockMode::Wall,
            health: Health::default(),
            shutdown: shutdown.clone(),
        };
        let segments = tempfile::tempdir().unwrap();
        let config = Config {
            at_once: 1,
            threads: 2,
            code_version: "test".into(),
            fallback_account: "paper".into(),
            calendar,
            segments: segments.path().to_owned(),
            books: None,
        };
        Self { _segments: segments, shutdown, task: tokio::spawn(backtest::run(context, config)) }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

async fn ask(tape: &Tape, key: &str, request: BacktestRequest) -> String {
    let caller = Caller { actor: "test".into(), key: key.into() };
    request_backtest(tape, &caller, request, "").await.unwrap()
}

async fn events(tape: &Tape, run_id: &str) -> Vec<Body> {
    let filter = format!("control.backtest.{run_id}.>");
    let last = tape.last_sequence(stream::TRADING, &filter).await.unwrap();
    let mut reader = tape.read(stream::TRADING, &[filter], 0).await.unwrap();
    let mut found = Vec::new();
    loop {
        for delivery in reader.batch(16).await.unwrap() {
            let end = delivery.sequence() >= last;
            if let Delivery::Event(recorded) = delivery {
                found.extend(recorded.event.body);
            }
            if end {
                return found;
            }
        }
    }
}

async fn end(tape: &Tape, run_id: &str) -> BacktestFinished {
    let subject = Subject::backtest(run_id, "finished");
    for _ in 0..2_000 {
        if let Some(last) = tape.last(stream::TRADING, subject.as_str()).await.unwrap() {
            let Some(Body::BacktestFinished(end)) = last.event.body else { panic!("{:?}", last.event) };
            return end;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{run_id} has not ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_asked_for_ends_with_its_report_and_the_same_again_has_the_same_hash() {
    let tape = tape(60).await;
    let mut hints = tape.hints("backtest.*.progress").await.unwrap();
    let service = Service::start(&tape);
    let one = ask(&tape, "one", request()).await;
    let end_one = end(&tape, &one).await;
    assert_eq!(end_one.outcome(), BacktestOutcome::Succeeded, "{}", end_one.detail);
    let counts = end_one.counts.clone().unwrap();
    assert_eq!(counts.bars, 600);
    assert!(counts.trades > 2 && counts.fills > 4, "{counts:?}");
    let report = Report::unpack(&end_one.document).unwrap();
    assert_eq!(report.sheet.trades_total as u64, counts.trades);
    assert_eq!(report.sheet.daily.dates.len(), report.sheet.daily.benchmark.len());
    assert!(report.sheet.benchmark.is_some());
    assert_eq!(report.sheet.run.result_hash.as_deref(), Some(end_one.result_hash.as_str()));

    let mut percents = Vec::new();
    let last = loop {
        let hint = hints.next().await.unwrap();
        let hint: serde_json::Value = serde_json::from_slice(&hint.payload).unwrap();
        percents.push(hint["percent"].as_f64().unwrap());
        assert_eq!(hint["attempt"], 1);
        if hint["percent"] == 100.0 {
            break hint;
        }
    };
    assert_eq!(last["bars"], 600);
    assert!(percents.first() == Some(&0.0) && percents.is_sorted(), "{percents:?}");

    let two = ask(&tape, "two", request()).await;
    let end_two = end(&tape, &two).await;
    assert_ne!(one, two);
    assert_eq!(end_two.result_hash, end_one.result_hash);
    assert_eq!(end_two.data_hash, end_one.data_hash);
    assert_eq!(end_two.statistics, end_one.statistics);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_sees_the_latest_version_of_a_bar_or_what_was_known_at_the_time() {
    let run = async |tape: &Tape, request: BacktestRequest| {
        let service = Service::start(tape);
        let key = format!("revisions-{}-{}", request.revisions, request.from);
        let end = end(tape, &ask(tape, &key, request).await).await;
        service.stop().await;
        assert_eq!(end.outcome(), BacktestOutcome::Succeeded, "{}", end.detail);
        end
    };
    let of = |revisions: BacktestRevisions, from: &str| {
        let request = BacktestRequest { revisions: revisions.into(), from: from.into(), ..request() };
        domain::research::complete(request).unwrap()
    };
    let (latest, known) = (BacktestRevisions::Latest, BacktestRevisions::AsKnown);
    let plain = tape(60).await;
    let first = run(&plain, of(latest, "")).await;

    // The bars of the days 20 to 29 are revised behind those of day 39.
    let tape = tape(40).await;
    put(&tape, revised(bars(20..30))).await;
    put(&tape, bars(40..60)).await;
    let as_known = run(&tape, of(known, "")).await;
    assert_eq!(as_known.data_hash, first.data_hash);
    assert_eq!(as_known.result_hash, first.result_hash);
    let newest = run(&tape, of(latest, "")).await;
    assert_ne!((&newest.data_hash, &newest.result_hash), (&first.data_hash, &first.result_hash));
    // A request of an older program says nothing, and means the latest.
    let silent = BacktestRequest { revisions: 0, ..of(latest, "") };
    assert_eq!(run(&tape, silent).await.result_hash, newest.result_hash);

    // A run warms up with what was known when it began: day 40 is eight weeks later, day 35 seven.
    let data = async |from: &str| run(&tape, of(known, from)).await.data_hash;
    assert_eq!(data("2024-03-04").await, newest.data_hash);
    assert_eq!(data("2024-02-26").await, first.data_hash);

    let sheet = Report::unpack(&as_known.document).unwrap().sheet;
    let said = sheet.run.settings.iter().find(|setting| setting.name == "revisions");
    assert_eq!(said.map(|setting| setting.value.as_str()), Some("as-known"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_trades_says_how_many_bars_are_missing() {
    // A week without its Wednesday; of the seven hours of a session five are there.
    let tape = tape(2).await;
    put(&tape, bars(3..5)).await;
    let mut asked = request();
    for parameter in &mut asked.strategies[0].parameters {
        if parameter.name == "slow" {
            parameter.value = "200".into();
        }
    }
    let service = Service::start(&tape);
    let end = end(&tape, &ask(&tape, "missing", asked).await).await;
    service.stop().await;
    let sheet = Report::unpack(&end.document).unwrap().sheet;
    // Of each symbol two hours of three days and the whole Wednesday; the last session counts as far as it goes.
    assert_eq!(sheet.counts.missing_bars, Some(2 * (3 * 2 + 7)));
    assert_eq!(
        sheet.no_trades,
        ["The strategy gave no signal on 40 bars.", "26 bars that the calendar expects are missing."]
    );
}

/// The opening of a session of `market`, as a rehearsal has it on MARKET.
fn session(market: Market) -> Append {
    let session = market.calendar().current_or_next(START_NS).unwrap();
    let event = Event {
        id: contracts::event_id(market.name(), "session", 0),
        event_time: Some(to_timestamp(session.open_ns)),
        source: "test".into(),
        body: Some(Body::SessionChange(session.to_wire(market.name(), SessionPhase::Opened))),
        ..Event::default()
    };
    let subject = Subject::of(&["market", "session", market.name()]);
    Append { subject, event, expect: Expect::Nothing }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_without_a_calendar_is_of_that_of_the_tape() {
    let run = async |tape: &Tape, noted: Market, stated: &str, number: u32| {
        let service = Service::noted(tape, noted);
        let request = BacktestRequest { calendar: stated.into(), ..request() };
        let ended = end(tape, &ask(tape, &format!("calendar-{number}"), request).await).await;
        service.stop().await;
        ended
    };
    let of = |end: &BacktestFinished| {
        let calendar = Report::unpack(&end.document).unwrap().sheet.run.calendar;
        (calendar, end.result_hash.clone(), end.statistics.clone())
    };
    let tape = tape(60).await;
    let always = of(&run(&tape, Market::Xnys, "24x7", 1).await);
    let exchange = of(&run(&tape, Market::Xnys, "", 2).await);
    assert_eq!((always.0.as_str(), exchange.0.as_str()), ("24x7", "XNYS"));
    // As the manifest has it, and as the sessions on the tape do, which go before that.
    assert_eq!(of(&run(&tape, Market::TwentyFourSeven, "", 3).await), always);
    put(&tape, vec![session(Market::TwentyFourSeven)]).await;
    assert_eq!(of(&run(&tape, Market::Xnys, "", 4).await), always);
    assert_eq!(of(&run(&tape, Market::Xnys, "XNYS", 5).await), exchange);
    put(&tape, vec![session(Market::Xnys)]).await;
    let either = run(&tape, Market::Xnys, "", 6).await;
    assert_eq!(either.outcome(), BacktestOutcome::Failed);
    for words in ["calendar: not stated", "24x7", "XNYS", "expected one of XNYS, 24x5, 24x7"] {
        assert!(either.detail.contains(words), "{}", either.detail);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_cut_off_is_done_again_and_one_that_has_ended_never() {
    let tape = tape(60).await;
    let service = Service::start(&tape);
    let done = ask(&tape, "done", request()).await;
    let reference = end(&tape, &done).await;
    service.stop().await;

    // A service that was killed leaves a request with a start and no end.
    let cut = ask(&tape, "cut", request()).await;
    let started = BacktestStarted { run_id: cut.clone(), attempt: 1, code_version: "test".into() };
    let event = Event {
        id: contracts::event_id(&cut, "backtest_started", 1),
        event_time: Some(to_timestamp(START_NS)),
        source: "backtest".into(),
        body: Some(Body::BacktestStarted(started)),
        ..Event::default()
    };
    let subject = Subject::backtest(&cut, "started");
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.unwrap();
    let service = Service::start(&tape);
    let again = end(&tape, &cut).await;
    assert_eq!(again.result_hash, reference.result_hash);
    service.stop().await;
    let attempts = |events: &[Body]| -> Vec<u32> {
        let starts = events.iter().filter_map(|body| match body {
            Body::BacktestStarted(started) => Some(started.attempt),
            _ => None,
        });
        starts.collect()
    };
    assert_eq!(attempts(&events(&tape, &cut).await), [1, 2]);
    assert_eq!(attempts(&events(&tape, &done).await), [1], "an ended run was begun again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_ends_a_run_whether_it_waits_or_runs() {
    let tape = tape(60).await;
    // Nobody is there yet: both wait.
    let first = ask(&tape, "first", request()).await;
    let second = ask(&tape, "second", request()).await;
    let caller = Caller { actor: "ann".into(), key: "cancel-1".into() };
    cancel_backtest(&tape, &caller, &second, "wrong range").await.unwrap();
    let service = Service::start(&tape);
    let cancelled = end(&tape, &second).await;
    assert_eq!(cancelled.outcome(), BacktestOutcome::Cancelled);
    assert_eq!(cancelled.detail, "cancelled by ann: wrong range");
    assert!(cancelled.document.is_empty());
    assert_eq!(end(&tape, &first).await.outcome(), BacktestOutcome::Succeeded);
    let error = cancel_backtest(&tape, &caller, &first, "").await.unwrap_err().to_string();
    assert!(error.contains("has ended already"), "{error}");
    // A long search is ended in the middle.
    let values = |from: i64| (0..80).map(|step| (from + step).to_string()).collect::<Vec<_>>();
    let range = |parameter: &str, values| BacktestRange {
        strategy: "sma_cross".into(),
        parameter: parameter.into(),
        values,
    };
    let search = BacktestSearch {
        sampler: "grid".into(),
        ranges: vec![range("fast", values(1)), range("slow", values(100))],
        metric: "sharpe".into(),
        ..BacktestSearch::default()
    };
    let long = BacktestRequest { kind: BacktestKind::Sweep.into(), search: Some(search), ..request() };
    let long = ask(&tape, "long", domain::research::complete(long).unwrap()).await;
    let started = Subject::backtest(&long, "started");
    while tape.last_sequence(stream::TRADING, started.as_str()).await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let caller = Caller { actor: "ann".into(), key: "cancel-2".into() };
    cancel_backtest(&tape, &caller, &long, "").await.unwrap();
    assert_eq!(end(&tape, &long).await.outcome(), BacktestOutcome::Cancelled);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sweep_and_a_walk_forward_test_leave_their_runs_and_windows() {
    let tape = tape(120).await;
    let service = Service::start(&tape);
    let range = BacktestRange {
        strategy: "sma_cross".into(),
        parameter: "fast".into(),
        values: ["2", "3", "4"].map(str::to_owned).to_vec(),
    };
    let search = BacktestSearch {
        sampler: "grid".into(),
        ranges: vec![range],
        metric: "total_return".into(),
        ..BacktestSearch::default()
    };
    let sweep = BacktestRequest { kind: BacktestKind::Sweep.into(), search: Some(search), ..request() };
    let folds = BacktestFolds { in_sample_sessions: 40, out_of_sample_sessions: 20, anchored: false };
    let walk =
        BacktestRequest { kind: BacktestKind::WalkForward.into(), folds: Some(folds), ..sweep.clone() };
    let sweep = ask(&tape, "sweep", domain::research::complete(sweep).unwrap()).await;
    let walk = ask(&tape, "walk", domain::research::complete(walk).unwrap()).await;
    let sweep = end(&tape, &sweep).await;
    assert_eq!(sweep.outcome(), BacktestOutcome::Succeeded, "{}", sweep.detail);
    let report = Report::unpack(&sweep.document).unwrap();
    assert_eq!((report.trials.len(), sweep.counts.unwrap().runs), (3, 3));
    assert!(report.trials[0].score >= report.trials[2].score, "the best first");
    // The sheet is that of the best run.
    assert_eq!(report.sheet.metric("total_return"), report.trials[0].score);
    let walk = end(&tape, &walk).await;
    assert_eq!(walk.outcome(), BacktestOutcome::Succeeded, "{}", walk.detail);
    let report = Report::unpack(&walk.document).unwrap();
    assert!(report.windows.len() >= 3, "{:?}", report.windows);
    assert!(report.windows.windows(2).all(|pair| pair[0].out_of_sample.1 < pair[1].out_of_sample.0));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_run_fails_with_the_reason() {
    let tape = tape(3).await;
    let service = Service::start(&tape);
    let request = BacktestRequest { symbols: vec!["ZZZ".into()], ..request() };
    let run_id = ask(&tape, "none", request).await;
    let end = end(&tape, &run_id).await;
    assert_eq!(end.outcome(), BacktestOutcome::Failed);
    assert_eq!(end.detail, "symbols \"ZZZ\": the tape has no such bars of timeframe 1h in the range");
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_puts_its_own_run_on_record_and_hears_that_it_is_to_end() {
    let tape = tape(1).await;
    let service = Service::start(&tape);
    let caller = Caller { actor: "cli".into(), key: "own-run".into() };
    let recording = backtest::record(&tape, &caller, request(), "cli", "test").await.unwrap();
    let run_id = recording.run_id().to_owned();
    let cancelled = recording.cancelled();
    let asker = Caller { actor: "ann".into(), key: "cancel-own".into() };
    cancel_backtest(&tape, &asker, &run_id, "").await.unwrap();
    while !cancelled.load(std::sync::atomic::Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let end = BacktestFinished { outcome: BacktestOutcome::Cancelled.into(), ..BacktestFinished::default() };
    assert!(recording.finish(end).await.unwrap());
    service.stop().await;
    // The service left it alone.
    let starts = events(&tape, &run_id).await;
    assert_eq!(starts.iter().filter(|body| matches!(body, Body::BacktestStarted(_))).count(), 1);
}

#[tokio::test]
async fn a_run_whose_result_the_tape_does_not_take_has_failed() {
    let tape = tape(1).await;
    let caller = Caller { actor: "cli".into(), key: "too-large".into() };
    let recording = backtest::record(&tape, &caller, request(), "cli", "test").await.unwrap();
    let run_id = recording.run_id().to_owned();
    let large = BacktestFinished { document: vec![7; 2 << 20], ..BacktestFinished::default() };
    assert!(recording.finish(large).await.is_err());
    let end = end(&tape, &run_id).await;
    assert_eq!(end.outcome(), BacktestOutcome::Failed);
    assert!(end.detail.starts_with("what it came to cannot be stored: "), "{}", end.detail);
}
