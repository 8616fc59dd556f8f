//! Parity and forks as recorded runs: the service does them, and what they came to stands on the tape.

use std::sync::Arc;
use std::time::Duration;

use analytics::Comparison;
use analytics::comparison::Outcome;
use chrono::DateTime;
use contracts::v1::event::Body;
use contracts::v1::{BacktestFinished, BacktestKind, BacktestOutcome, BacktestRequest, BacktestStretch};
use contracts::{Subject, from_timestamp, stream};
use domain::calendar::{Calendar, Market};
use event_log::{Delivery, MemoryLog, Tape};
use runtime::command::request_backtest;
use runtime::{ClockMode, Context, Health};
use tokio_util::sync::CancellationToken;

use crate::by_hand::caller;
use crate::rehearsal::{everything, rehearse};

/// Asks for a run and waits for its end, with a service that runs meanwhile.
async fn done(tape: &Tape, key: &str, kind: BacktestKind, stretch: BacktestStretch) -> BacktestFinished {
    let shutdown = CancellationToken::new();
    let context = Context {
        tape: tape.clone(),
        clock: ClockMode::Tape,
        health: Health::default(),
        shutdown: shutdown.clone(),
    };
    let segments = tempfile::tempdir().unwrap();
    let config = backtest::Config {
        at_once: 1,
        threads: 1,
        code_version: "test".into(),
        fallback_account: "paper".into(),
        calendar: Market::Xnys,
        segments: segments.path().to_owned(),
        books: None,
    };
    let service = tokio::spawn(backtest::run(context, config));
    let request = BacktestRequest { kind: kind.into(), stretch: Some(stretch), ..BacktestRequest::default() };
    let run_id = request_backtest(tape, &caller(key), request, "").await.unwrap();
    let filter = Subject::backtest(&run_id, "finished").as_str().to_owned();
    let mut reader = tape.read(stream::TRADING, &[filter], 0).await.unwrap();
    let end = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            for delivery in reader.batch(1).await.unwrap() {
                if let Delivery::Event(recorded) = delivery
                    && let Some(Body::BacktestFinished(end)) = recorded.event.body
                {
                    return end;
                }
            }
        }
    })
    .await
    .unwrap();
    shutdown.cancel();
    service.await.unwrap().unwrap();
    end
}

fn fork(at: u64, parameters: &[&str], limits: &[&str]) -> BacktestStretch {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    BacktestStretch {
        at: at.to_string(),
        parameters: owned(parameters),
        limits: owned(limits),
        ..BacktestStretch::default()
    }
}

fn read(end: &BacktestFinished) -> Comparison {
    assert_eq!(end.outcome(), BacktestOutcome::Succeeded, "{}", end.detail);
    Comparison::unpack(&end.document).unwrap()
}

/// The date of the session in the middle of what is on MARKET.
async fn some_session(log: &MemoryLog) -> String {
    let market = everything(log, stream::MARKET).await;
    let middle = market[market.len() / 2].event.event_time.as_ref().and_then(from_timestamp).unwrap();
    let date = Calendar::xnys().date_of(middle);
    assert!(DateTime::from_timestamp_nanos(middle).timestamp() > 0);
    date.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_done_by_the_service_and_both_sides_are_kept() {
    let log = rehearse(160, 1).await;
    let tape: Tape = Arc::new(log.clone());
    let at = tape.state(stream::TRADING).await.unwrap().last_sequence / 3;

    let end = done(&tape, "same", BacktestKind::Fork, fork(at, &[], &[])).await;
    let same = read(&end);
    assert_eq!((same.verdict.as_str(), same.differing, same.first.is_none()), ("same", 0, true));
    assert!(same.compared > 20 && same.orders_total > 3, "{} {}", same.compared, same.orders_total);
    assert_eq!(same.recorded, same.derived);
    assert_eq!(same.equity.len(), 2, "two accounts");
    assert!(same.equity.iter().all(|line| line.recorded == line.derived && line.recorded.len() > 10));
    assert!(!same.fills.is_empty() && same.fills.iter().all(|fill| fill.outcome == Outcome::Same));
    assert!(same.orders.iter().any(|row| {
        row.recorded.as_ref().is_some_and(|side| side.status == "filled" && side.average_price.is_some())
    }));
    assert_eq!(end.result_hash.len(), 64);

    let end = done(&tape, "limit", BacktestKind::Fork, fork(at, &[], &["paper.max_exposure=0"])).await;
    let other = read(&end);
    assert_eq!(other.verdict, "differs");
    let first = other.first.as_ref().unwrap();
    assert!(other.rows.iter().find(|row| row.outcome != Outcome::Same) == Some(first));
    // An order on one side stands beside the denial on the other, and its chain is on the tape.
    let denied = other.orders.iter().find(|row| {
        let status = |side: &Option<analytics::comparison::OrderSide>| {
            side.as_ref().map(|side| side.status.clone()).unwrap_or_default()
        };
        status(&row.derived).starts_with("denied") && !status(&row.recorded).starts_with("denied")
    });
    let denied = denied.unwrap_or_else(|| panic!("{:#?}", other.orders));
    let known = everything(&log, stream::TRADING).await;
    assert!(known.iter().any(|recorded| recorded.event.id == denied.chain_of), "{denied:#?}");
    assert!(other.derived.fills < other.recorded.fills);
    let statistics: serde_json::Value = serde_json::from_str(&end.statistics).unwrap();
    assert_eq!(statistics["differing"].as_u64(), Some(other.differing as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_compared_and_one_that_is_not_there_is_named() {
    let log = rehearse(160, 1).await;
    let tape: Tape = Arc::new(log.clone());
    let session = |date: &str| BacktestStretch { session: date.into(), ..BacktestStretch::default() };
    let date = some_session(&log).await;
    let parity = read(&done(&tape, "parity", BacktestKind::Parity, session(&date)).await);
    assert_eq!((parity.verdict.as_str(), parity.session.as_deref()), ("same", Some(date.as_str())));
    assert!(parity.equity.iter().all(|line| !line.recorded.is_empty()), "{:?}", parity.equity);
    // The verdict is in the audit of who asked, whoever does the run.
    let filter = format!("audit.{}.parity", caller("parity").actor);
    let last = tape.last(stream::AUDIT, &filter).await.unwrap().unwrap();
    let Some(Body::Audit(audit)) = last.event.body else { panic!("{filter}") };
    let said = format!("same: 0 of {} events differ", parity.compared);
    assert_eq!((audit.action.as_str(), audit.target, audit.detail), ("parity", date, said));

    let end = done(&tape, "missing", BacktestKind::Parity, session("2019-01-02")).await;
    assert_eq!(end.outcome(), BacktestOutcome::Failed);
    assert_eq!(end.detail, "the tape holds nothing of the session 2019-01-02");
    let end = done(&tape, "nobody", BacktestKind::Fork, fork(20, &["nobody.fast=3"], &[])).await;
    assert!(end.detail.contains("a built-in strategy of that moment"), "{}", end.detail);
}
