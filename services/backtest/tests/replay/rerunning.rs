//! Stretches run again: without changes they come to what was recorded, with changes they go their own way.

use std::sync::Arc;
use std::time::Duration;

use backtest::replay::{Outcome, Rerun, Row, changes, compare, unwatched};
use contracts::v1::event::Body;
use contracts::{from_timestamp, stream};
use event_log::{MemoryLog, Tape};
use projections::as_of::{Moment, Timeline};
use runtime::command::{Stop, kill};

use crate::by_hand::{caller, options, wait};
use crate::rehearsal::{everything, market, rehearse, rehearse_between};

/// The end of the instant in which a sequence stands.
pub async fn instant_end(tape: &Tape, sequence: u64) -> u64 {
    let timeline = Timeline::new(tape.clone());
    let at = timeline.at(Moment::Sequence(sequence)).await.unwrap().market_ns.unwrap();
    timeline.at(Moment::Instant(at)).await.unwrap().sequence()
}

pub async fn again(log: &MemoryLog, parameters: &[&str], limits: &[&str]) -> Vec<Row> {
    let tape: Tape = Arc::new(log.clone());
    let head = tape.state(contracts::stream::TRADING).await.unwrap().last_sequence;
    let at = instant_end(&tape, head / 3).await;
    let mut rerun = Rerun::at(&tape, &options(), at, &unwatched).await.unwrap();
    let recording = rerun.recording(&tape, head).await.unwrap();
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let changed = changes(rerun.book(), 0, &owned(parameters), &owned(limits)).unwrap();
    let derived = rerun.run(&recording, changed, &unwatched).await.unwrap();
    compare(&recording.events, &derived)
}

pub fn differing(rows: &[Row]) -> Vec<&Row> {
    rows.iter().filter(|row| row.outcome != Outcome::Same).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stretch_comes_to_what_was_recorded_and_a_change_shows() {
    let log = rehearse(160, 1).await;
    let rows = Box::pin(again(&log, &[], &[])).await;
    assert!(rows.len() > 20, "{}", rows.len());
    assert!(differing(&rows).is_empty(), "{:#?}", differing(&rows));

    let rows = Box::pin(again(&log, &["cross.fast=3"], &[])).await;
    let found = differing(&rows);
    assert!(found.iter().any(|row| row.kind == "signal"), "{found:#?}");

    let rows = Box::pin(again(&log, &[], &["paper.max_exposure=0"])).await;
    let denied = |row: &&Row| row.kind == "risk_decision" && row.outcome == Outcome::Differs;
    assert!(rows.iter().any(|row| denied(&row)), "{rows:#?}");
}

fn stop_all(tape: &Tape) {
    let stop = Stop { reason: "enough".into(), ..Stop::default() };
    let stopped = async {
        kill(tape, &caller("stop"), &stop, false).await.unwrap();
        // The next instant begins when execution has cancelled what was open.
        while open_orders(tape).await > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    wait(tokio::time::timeout(Duration::from_secs(20), stopped)).unwrap();
}

async fn open_orders(tape: &Tape) -> usize {
    let past = Timeline::new(tape.clone()).at(Moment::Instant(i64::MAX)).await.unwrap();
    past.book.open_orders().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_behind_a_decision_of_its_instant_does_not_reach_it() {
    const INSTANTS: usize = 160;
    let instants = market(INSTANTS);
    let decided = everything(&rehearse(INSTANTS, 1).await, stream::TRADING).await;
    for approved in [true, false] {
        // Behind the last such decision of an instant that another follows, and behind what became of its order.
        let decided = decided.iter().filter_map(|recorded| match &recorded.event.body {
            Some(Body::RiskDecision(decision)) if decision.orders.is_empty() != approved => {
                recorded.event.event_time.as_ref().and_then(from_timestamp)
            }
            _ => None,
        });
        let places = decided.filter_map(|ns| instants.iter().position(|instant| instant.ns == ns));
        let place = places.filter(|place| *place + 1 < INSTANTS).max().expect("a decision of this kind");
        let log = rehearse_between(INSTANTS, vec![(place + 1, stop_all as fn(&Tape))]).await;
        let killed = everything(&log, stream::TRADING).await;
        assert!(killed.iter().any(|recorded| matches!(recorded.event.body, Some(Body::TradingKilled(_)))));
        let rows = Box::pin(again(&log, &[], &[])).await;
        assert!(differing(&rows).is_empty(), "approved {approved}: {:#?}", differing(&rows));
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_made_is_named() {
    let tape: Tape = Arc::new(rehearse(8, 1).await);
    let rerun = Rerun::at(&tape, &options(), instant_end(&tape, 20).await, &unwatched).await.unwrap();
    for (parameter, limit, expected) in [
        (Some("cross.fast"), None, "expected STRATEGY.NAME=VALUE"),
        (Some("nobody.fast=3"), None, "a built-in strategy of that moment: cross, other, surge"),
        (Some("cross.fast=0"), None, "parameters of sma_cross"),
        (None, Some("nobody.max_position=1"), "an account of that moment: paper, second"),
        (None, Some("paper.max_position=much"), "0 to 10, a share of equity"),
        (None, Some("paper.max_position=11"), "0 to 10, a share of equity"),
        (None, Some("paper.most=1"), "max_position, max_exposure"),
    ] {
        let of = |text: Option<&str>| text.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let error = changes(rerun.book(), 0, &of(parameter), &of(limit)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let twice = |first: &str, second: &str| [first.to_owned(), second.to_owned()];
    let (fast, most) = (twice("cross.fast=2", "cross.fast=3"), twice("paper.max_var=1", "paper.max_var=2"));
    let refused = |parameters: &[String], limits: &[String]| {
        changes(rerun.book(), 0, parameters, limits).unwrap_err().to_string()
    };
    assert_eq!(refused(&fast, &[]), "--param \"cross.fast=3\": expected cross.fast once");
    assert_eq!(refused(&[], &most), "--limit \"paper.max_var=2\": expected paper.max_var once");
}
