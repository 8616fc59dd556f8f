//! The read model of backtests: a script of events gives rows, whichever way and however often it is folded.

use contracts::v1::event::Body;
use contracts::v1::*;
use contracts::{event_id, to_timestamp};
use projections::queries::{self, BacktestFilter};
use projections::{Name, rebuild, verify};
use tokio_util::sync::CancellationToken;

use crate::support::{Outcome, SECOND, START, World};

fn event(number: u32, body: Body) -> Event {
    Event {
        id: event_id("backtests", "test", number),
        event_time: Some(to_timestamp(START + i64::from(number) * SECOND)),
        source: "test".into(),
        body: Some(body),
        ..Event::default()
    }
}

fn requested(run_id: &str) -> Body {
    let request = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies: vec![BacktestStrategy {
            name: "sma_cross".into(),
            kind: "sma_cross".into(),
            parameters: vec![Parameter { name: "fast".into(), value: "10".into() }],
            ..BacktestStrategy::default()
        }],
        symbols: vec!["SPY".into()],
        timeframe: "1h".into(),
        ..BacktestRequest::default()
    };
    let (run_id, actor) = (run_id.into(), "ann".into());
    Body::BacktestRequested(BacktestRequested { run_id, actor, request: Some(request), ..Default::default() })
}

fn started(run_id: &str, attempt: u32) -> Body {
    let code_version = "1".into();
    Body::BacktestStarted(BacktestStarted { run_id: run_id.into(), attempt, code_version })
}

fn finished(run_id: &str, outcome: BacktestOutcome, hash: &str) -> Body {
    Body::BacktestFinished(BacktestFinished {
        run_id: run_id.into(),
        outcome: outcome.into(),
        statistics: "{\"sharpe\":1.25,\"max_drawdown\":-0.1,\"total_return\":null}".into(),
        result_hash: hash.into(),
        counts: Some(BacktestCounts { trades: 12, bars: 99, ..BacktestCounts::default() }),
        duration_ms: 7,
        document: vec![1, 2, 3],
        ..BacktestFinished::default()
    })
}

async fn script(world: &World) {
    let cancel = BacktestCancelRequested { run_id: "two".into(), actor: "ann".into(), reason: String::new() };
    let bodies = [
        requested("one"),
        requested("two"),
        started("one", 1),
        Body::BacktestCancelRequested(cancel),
        // Cut off, and done again.
        started("one", 2),
        finished("one", BacktestOutcome::Succeeded, "first"),
        // Another end of the same run, and the same request again: neither says anything new.
        finished("one", BacktestOutcome::Failed, "second"),
        requested("one"),
        requested("three"),
        started("three", 1),
    ];
    for (number, body) in (0..).zip(bodies) {
        world.append(event(number, body), None).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_what_its_events_say_and_its_first_end_counts() -> Outcome {
    let world = World::new().await;
    script(&world).await;
    world.catch_up(Name::Backtests).await;
    let page = queries::backtests(&world.reader, &BacktestFilter::default(), None, 50).await?;
    let shown: Vec<_> = page
        .rows
        .iter()
        .map(|row| {
            format!("{} {} attempt {} cancel {}", row.run_id, row.status, row.attempt, row.cancel_requested)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "three running attempt 1 cancel false",
            "two waiting attempt 0 cancel true",
            "one succeeded attempt 2 cancel false"
        ]
    );
    let one = queries::backtest(&world.reader, "one").await?.unwrap();
    assert_eq!((one.sharpe, one.max_drawdown, one.total_return), (Some(1.25), Some(-0.1), None));
    assert_eq!((one.trades, one.result_hash.as_deref()), (Some(12), Some("first")));
    assert_eq!(one.strategies, "sma_cross (fast 10)");
    assert_eq!(one.request.symbols, ["SPY"]);
    assert_eq!(queries::backtest_document(&world.reader, "one").await?, Some(vec![1, 2, 3]));
    assert_eq!(queries::backtest_document(&world.reader, "two").await?, None);
    let ended = BacktestFilter { status: Some("succeeded".into()), ..BacktestFilter::default() };
    assert_eq!(queries::backtests(&world.reader, &ended, None, 50).await?.rows.len(), 1);
    assert_eq!(queries::backtest_ids(&world.reader, "t").await?.len(), 2);

    // Folded in two goes, from the state that the rows give.
    world.append(event(20, finished("three", BacktestOutcome::Cancelled, "")), None).await;
    world.catch_up(Name::Backtests).await;
    let three = queries::backtest(&world.reader, "three").await?.unwrap();
    assert_eq!((three.status.as_str(), three.attempt, three.timeframe.as_str()), ("cancelled", 1, "1h"));

    // A search is told by what it tries.
    let Body::BacktestRequested(mut sweep) = requested("four") else { panic!("another body") };
    let range = BacktestRange {
        strategy: "sma_cross".into(),
        parameter: "fast".into(),
        values: ["5", "10", "15"].map(str::to_owned).to_vec(),
    };
    let search = BacktestSearch { sampler: "grid".into(), ranges: vec![range], ..BacktestSearch::default() };
    let request = sweep.request.as_mut().unwrap();
    (request.kind, request.search) = (BacktestKind::Sweep.into(), Some(search));
    world.append(event(21, Body::BacktestRequested(sweep)), None).await;
    world.catch_up(Name::Backtests).await;
    let four = queries::backtest(&world.reader, "four").await?.unwrap();
    assert_eq!((four.kind.as_str(), four.strategies.as_str()), ("sweep", "sma_cross (fast 5..15:5)"));
    let rows = world.rows("backtests").await;
    let report = verify(&world.writer, &world.tape, Name::Backtests).await?;
    assert_eq!(report.first, None);
    let cancel = CancellationToken::new();
    rebuild(&world.writer, &world.tape, Name::Backtests, world.port.as_ref(), &cancel).await?;
    assert_eq!(world.rows("backtests").await, rows);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_of_a_run_that_was_never_asked_for_is_set_aside() -> Outcome {
    let world = World::new().await;
    world.append(event(0, started("none", 1)), None).await;
    let broken =
        BacktestFinished { run_id: "one".into(), statistics: "{".into(), ..BacktestFinished::default() };
    let broken = BacktestFinished { outcome: BacktestOutcome::Succeeded.into(), ..broken };
    world.append(event(1, requested("one")), None).await;
    world.append(event(2, Body::BacktestFinished(broken)), None).await;
    world.catch_up(Name::Backtests).await;
    let reasons: Vec<String> =
        world.port.parked.lock().unwrap().iter().map(|poison| poison.reason.clone()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("\"none\", expected the id of a request"), "{reasons:?}");
    assert!(reasons[1].contains("`statistics`"), "{reasons:?}");
    let one = queries::backtest(&world.reader, "one").await?.unwrap();
    assert_eq!(one.status, "waiting");
    Ok(())
}
