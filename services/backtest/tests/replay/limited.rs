//! Limits by scope, breakers and measured sizes: what was decided under them is proved from the tape, also where the
//! services were started anew, and a fork with another limit goes its own way.

use std::collections::BTreeSet;
use std::sync::Arc;

use backtest::replay::{Outcome, Rerun, changes, compare, replay, unwatched};
use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{LimitsSet, RiskDecision, StrategyRegistered, TradeLimits};
use domain::book::Scope;
use domain::risk::fields;
use event_log::{MemoryLog, Tape};

use crate::by_hand::options;
use crate::rehearsal::{everything, rehearse_with};

const INSTANTS: usize = 260;

pub fn limits(scope: Scope, named: &[(&str, &str)]) -> Body {
    let mut limits = TradeLimits::default();
    for (name, value) in named {
        fields::state(&mut limits, name, value).unwrap();
    }
    Body::LimitsSet(LimitsSet {
        scope: Some(scope.to_wire()),
        version: 1,
        limits: Some(limits),
        actor: "test".to_owned(),
        reason: String::new(),
    })
}

fn sized(strategy: &str, kind: &str, account: &str, sizing: &str) -> Body {
    Body::StrategyRegistered(StrategyRegistered {
        strategy: strategy.to_owned(),
        kind: kind.to_owned(),
        sizing: domain::sizing::parse(sizing),
        account: account.to_owned(),
        ..StrategyRegistered::default()
    })
}

fn statements() -> Vec<Body> {
    vec![
        limits(
            Scope::new("paper", "", ""),
            &[
                ("max_correlation", "0.6"),
                ("correlation_bars", "40"),
                ("max_var", "0.02"),
                ("max_gross_exposure", "40000"),
                ("max_orders_per_day", "9"),
                ("breaker_drawdown", "0.02"),
                ("breaker_daily_loss", "0.01"),
            ],
        ),
        limits(Scope::new("", "surge", ""), &[("max_open_orders", "2"), ("breaker_consecutive_losses", "4")]),
        limits(Scope::new("second", "", ""), &[("max_leverage", "0.5"), ("close_buffer", "1800")]),
        sized("other", "sma_cross", "second", "volatility:0.1,cap=0.2"),
    ]
}

async fn decisions(log: &MemoryLog) -> Vec<RiskDecision> {
    let events = everything(log, stream::TRADING).await.into_iter();
    let decision = |recorded: event_log::Recorded| match recorded.event.body {
        Some(Body::RiskDecision(decision)) => Some(decision),
        _ => None,
    };
    events.filter_map(decision).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_under_limits_follows_from_the_tape() {
    let log = rehearse_with(INSTANTS, 3, statements()).await;
    let tape: Tape = Arc::new(log.clone());
    let report = replay(&tape, options(), |_, _| {}).await.unwrap();
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
    let decisions = decisions(&log).await;
    let rules: BTreeSet<&str> = decisions.iter().map(|decision| decision.rule.as_str()).collect();
    assert!(rules.contains("max_var") && rules.contains("max_leverage") && rules.contains(""), "{rules:?}");
    let measured = decisions.iter().flat_map(|decision| &decision.inputs);
    assert!(measured.clone().any(|input| input.scenarios.is_some() && input.limits.len() == 2));
    assert!(measured.clone().any(|input| input.sizing.as_ref().is_some_and(|sizing| sizing.bars > 30)));
    // One run and three come to the same decisions: what is measured does not depend on who was started when.
    let once = rehearse_with(INSTANTS, 1, statements()).await;
    assert_eq!(self::decisions(&once).await, decisions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_with_another_limit_goes_its_own_way() {
    let log = rehearse_with(INSTANTS, 1, statements()).await;
    let tape: Tape = Arc::new(log.clone());
    let head = tape.state(stream::TRADING).await.unwrap().last_sequence;
    let timeline = projections::as_of::Timeline::new(tape.clone());
    let moment = projections::as_of::Moment::Sequence(head / 2);
    let at_ns = timeline.at(moment).await.unwrap().market_ns.unwrap();
    let end = timeline.at(projections::as_of::Moment::Instant(at_ns)).await.unwrap().sequence();
    for (limit, same) in
        [(None, true), (Some("paper.max_order_value=1"), false), (Some("paper.max_leverage=0"), false)]
    {
        let mut rerun = Rerun::at(&tape, &options(), end, &unwatched).await.unwrap();
        let recording = rerun.recording(&tape, head).await.unwrap();
        let limits: Vec<String> = limit.into_iter().map(str::to_owned).collect();
        let changed = changes(rerun.book(), 0, &[], &limits).unwrap();
        let derived = rerun.run(&recording, changed, &unwatched).await.unwrap();
        let rows = compare(&recording.events, &derived);
        let differing: Vec<_> = rows.iter().filter(|row| row.outcome != Outcome::Same).collect();
        assert_eq!(differing.is_empty(), same, "{limit:?}: {differing:#?}");
    }
}
