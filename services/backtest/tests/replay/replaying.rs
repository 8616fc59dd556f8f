//! What is proved, and what a changed field, a missing event and an invented one look like.

use std::sync::Arc;

use backtest::replay::{Divergence, Options, Problem, Report, replay};
use contracts::v1::Event;
use contracts::v1::event::Body;
use event_log::{MemoryLog, Tape};
use tokio::sync::OnceCell;

use crate::by_hand::options;
use crate::rehearsal::{copy, rehearse};

/// Instants of the rehearsal that most tests share.
const INSTANTS: usize = 160;

async fn tape() -> &'static MemoryLog {
    static TAPE: OnceCell<MemoryLog> = OnceCell::const_new();
    TAPE.get_or_init(|| rehearse(INSTANTS, 1)).await
}

async fn replayed(log: &MemoryLog, from: u64, to: Option<u64>) -> Report {
    let tape: Tape = Arc::new(log.clone());
    let options = Options { from, to, ..options() };
    Box::pin(replay(&tape, options, |_, _| {})).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_follows_from_its_inputs() {
    let report = replayed(tape().await, 1, None).await;
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
    let counts = &report.counts;
    for (what, count) in [
        ("signals", counts.signals),
        ("warm-ups", counts.warm_ups),
        ("decisions", counts.decisions),
        ("order events", counts.order_events),
        ("fills", counts.fills),
        ("marks", counts.marks),
    ] {
        assert!(count > 2, "{what}: {count}");
    }
    assert_eq!(counts.signals, counts.decisions);
    assert_eq!((counts.controls, counts.external_signals, counts.parked), (10, 0, 0));
    assert_eq!(counts.all_proved() + counts.all_inputs(), report.to);
    assert_eq!(report.chain_hash.len(), 64);
    let part = replayed(tape().await, report.to / 2, None).await;
    assert!(part.divergence.is_none() && part.counts.all_proved() < counts.all_proved());
    let early = replayed(tape().await, 1, Some(report.to / 2)).await;
    assert!(early.divergence.is_none(), "{:#?}", early.divergence);
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_were_started_anew_are_followed() {
    let log = rehearse(INSTANTS, 3).await;
    let report = replayed(&log, 1, None).await;
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
    assert_eq!(report.counts.warm_ups, 9, "three strategies in three runs");
}

/// The divergence of a copy in which the first event that `change` takes was changed.
async fn changed(mut change: impl FnMut(&mut Event) -> bool) -> Divergence {
    let mut done = false;
    let log = copy(tape().await, |_, event| {
        done = done || change(event);
        true
    })
    .await;
    assert!(done, "there is such an event");
    Box::pin(replayed(&log, 1, None)).await.divergence.expect("the change is found")
}

fn named(divergence: &Divergence, kind: &str, fields: &[&str]) {
    assert_eq!((divergence.kind.as_str(), divergence.problem), (kind, Problem::Differs), "{divergence:#?}");
    let found: Vec<_> = divergence.fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(found, fields, "{divergence:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_says_something_else_is_found() {
    let divergence = changed(|event| match &mut event.body {
        Some(Body::Signal(signal)) => {
            signal.indicators[0].value += 0.5;
            true
        }
        _ => false,
    })
    .await;
    named(&divergence, "signal", &["signal.indicators[0].value"]);
    assert_eq!(divergence.chain_of, divergence.event_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_of_a_decision_that_the_book_does_not_hold_is_found() {
    let divergence = changed(|event| match &mut event.body {
        Some(Body::RiskDecision(decision)) => {
            decision.inputs[0].account_position_e9 += 1;
            true
        }
        _ => false,
    })
    .await;
    named(&divergence, "risk_decision", &["riskDecision.inputs[0].accountPositionE9"]);
    assert!(divergence.detail.contains("inputs"), "{}", divergence.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_of_another_size_is_found() {
    let divergence = changed(|event| match &mut event.body {
        Some(Body::RiskDecision(decision)) if !decision.orders.is_empty() => {
            decision.orders[0].quantity_e9 += 1_000_000_000;
            true
        }
        _ => false,
    })
    .await;
    named(&divergence, "risk_decision", &["riskDecision.orders[0].quantityE9"]);
    assert!(divergence.detail.contains("does not follow"), "{}", divergence.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fill_at_another_price_is_found() {
    let divergence = changed(|event| match &mut event.body {
        Some(Body::Fill(fill)) => {
            fill.price_e9 -= 10_000_000;
            true
        }
        _ => false,
    })
    .await;
    named(&divergence, "fill", &["fill.priceE9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_is_too_high_is_found() {
    let divergence = changed(|event| match &mut event.body {
        Some(Body::AccountMarked(mark)) => {
            mark.equity.as_mut().unwrap().units += 1;
            true
        }
        _ => false,
    })
    .await;
    named(&divergence, "account_marked", &["accountMarked.equity.units"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_missed() {
    type Kind = fn(&Body) -> bool;
    let kinds: [(&str, Kind); 5] = [
        ("signal", |body| matches!(body, Body::Signal(_))),
        ("risk_decision", |body| matches!(body, Body::RiskDecision(_))),
        ("order_submitted", |body| matches!(body, Body::OrderSubmitted(_))),
        ("fill", |body| matches!(body, Body::Fill(_))),
        ("account_marked", |body| matches!(body, Body::AccountMarked(_))),
    ];
    for (kind, is) in kinds {
        let mut gone = false;
        let log = copy(tape().await, |_, event| {
            let drop = !gone && event.body.as_ref().is_some_and(is);
            gone |= drop;
            !drop
        })
        .await;
        let divergence = replayed(&log, 1, None).await.divergence.expect("it is missed");
        // What stood behind the missing event may come first and follow from nothing without it.
        let expected = divergence.problem == Problem::NotRecorded && divergence.kind == kind;
        let orphan = divergence.problem == Problem::NotDerived;
        // A decision that is gone reserves nothing, which the next one of its instant shows.
        let poorer = kind == "risk_decision" && divergence.kind == kind;
        assert!(expected || orphan || poorer, "{kind}: {divergence:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_apart_before_the_range_is_not_of_it() {
    let mut at = 0;
    let log = copy(tape().await, |sequence, event| {
        if at == 0
            && let Some(Body::Signal(signal)) = &mut event.body
        {
            signal.reason.push('!');
            at = sequence;
        }
        true
    })
    .await;
    assert_eq!(replayed(&log, 1, None).await.divergence.unwrap().sequence, at);
    assert!(replayed(&log, at + 1, None).await.divergence.is_none());
}
