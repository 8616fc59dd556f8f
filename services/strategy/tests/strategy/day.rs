//! A script that touches everything the host does: warm-up, signals, fills, a split, an import, and
//! strategies that come, change and go.

use std::collections::BTreeMap;

use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{ActionKind, CorporateAction, Intent, Origin, StrategyMode};
use event_log::{EventLog as _, MemoryLog};
use runtime::ClockMode;
use tokio_util::sync::CancellationToken;

use crate::support::{
    E9, FIRST_NS, HOUR_NS, SHADOW, Script, Staleness, bar, config, context, disabled, enabled, enabled_in,
    everything, registered,
};

const DAY_NS: i64 = 24 * HOUR_NS;

/// Bar closes of six hours on each of three days.
fn closes() -> impl Iterator<Item = i64> {
    (0..3).flat_map(|day| (0..6).map(move |hour| FIRST_NS + day * DAY_NS + hour * HOUR_NS))
}

/// A price that swings, so that averages cross often.
fn price(index: i64, phase: i64) -> i64 {
    const SWING: [i64; 8] = [100, 104, 110, 106, 98, 92, 90, 96];
    SWING[usize::try_from((index + phase).rem_euclid(8)).unwrap()]
}

/// Plays the whole script against a strategy service that somebody else runs, and starts again.
pub async fn play(script: &mut Script) {
    // History from before the first instant: warms up, never signals.
    let past = (1..6).map(|back| FIRST_NS - DAY_NS - back * HOUR_NS);
    let past = past.rev().map(|at| (at, bar("A", at, 100, Origin::Import)));
    script.import(past.collect()).await;
    script.control(registered("cross", "sma_cross", &[("fast", "2"), ("slow", "4")])).await;
    script.control(enabled("cross")).await;
    script.warmed("cross", 1).await;
    script.control(registered(SHADOW, "sma_cross", &[("fast", "2"), ("slow", "4")])).await;
    script.control(enabled_in(SHADOW, StrategyMode::Shadow)).await;
    script.warmed(SHADOW, 1).await;
    for (index, at) in (0i64..).zip(closes()) {
        match index {
            4 => {
                script
                    .control(registered("drift", "momentum", &[("lookback", "3"), ("threshold", "0.01")]))
                    .await;
                script.control(enabled("drift")).await;
                script.warmed("drift", 1).await;
            }
            // Bars of a symbol that trades later.
            8 => {
                let bars = (1..5).map(|back| at - back * HOUR_NS / 2).rev();
                let bars = bars.map(|at| (at, bar("C", at, 50, Origin::Import))).collect();
                script.import(bars).await;
            }
            10 => {
                script.control(disabled("cross")).await;
                script
                    .instant(at - HOUR_NS / 2, vec![bar("B", at - HOUR_NS / 2, 100, Origin::Rehearsal)])
                    .await;
                script.control(registered("cross", "sma_cross", &[("fast", "1"), ("slow", "3")])).await;
                script.control(enabled("cross")).await;
                script.warmed("cross", 2).await;
            }
            _ => {}
        }
        let split = if index >= 6 { 2 } else { 1 };
        let mut bodies = Vec::new();
        if index == 6 {
            bodies.push(Body::CorporateAction(CorporateAction {
                symbol: "A".into(),
                ex_date: "2024-01-09".into(),
                kind: ActionKind::Split.into(),
                value_e9: 2 * E9,
                origin: Origin::Rehearsal.into(),
            }));
        }
        bodies.push(bar("A", at, price(index, 0) / split, Origin::Rehearsal));
        bodies.push(bar("B", at, price(index, 3), Origin::Rehearsal));
        if index >= 9 {
            bodies.push(bar("C", at, price(index, 5), Origin::Rehearsal));
        }
        script.instant(at, bodies).await;
    }
}

/// Runs the service over a fresh tape while the script plays.
pub async fn undisturbed(clock: ClockMode) -> MemoryLog {
    let tape = MemoryLog::new();
    let shutdown = CancellationToken::new();
    let context = context(std::sync::Arc::new(tape.clone()), clock, shutdown.clone());
    let service = tokio::spawn(strategy::run(context, config(&tape, Staleness::Behind(0))));
    play(&mut Script::new(tape.clone(), clock)).await;
    shutdown.cancel();
    service.await.unwrap().unwrap();
    tape
}

#[tokio::test]
async fn signals_follow_their_bars() {
    let tape = undisturbed(ClockMode::Tape).await;
    let market = everything(&tape, stream::MARKET).await;
    let mut previous = (i64::MIN, String::new(), String::new());
    let (mut enters, mut exits, mut of_c) = (0, 0, 0);
    for recorded in everything(&tape, stream::TRADING).await {
        let Some(Body::Signal(signal)) = &recorded.event.body else { continue };
        let event = &recorded.event;
        let cause = market.iter().find(|bar| bar.event.id == event.causation_id).unwrap();
        assert_eq!(cause.event.event_time, event.event_time, "the instant is the bar's");
        let Some(Body::Bar(bar)) = &cause.event.body else { panic!("a bar is the cause") };
        assert_eq!(bar.origin(), Origin::Rehearsal, "history never signals");
        assert_eq!(
            event.id,
            contracts::event_id(&cause.event.id, &format!("strategy/{}", signal.strategy), 0)
        );
        let at = contracts::from_timestamp(&event.event_time.unwrap()).unwrap();
        let key = (at, signal.strategy.clone(), signal.legs[0].symbol.clone());
        assert!(previous < key, "in the order of strategy and symbol: {previous:?} {key:?}");
        previous = key;
        match signal.legs[0].intent() {
            Intent::EnterLong => enters += 1,
            _ => exits += 1,
        }
        of_c += i32::from(signal.legs[0].symbol == "C");
    }
    assert!(enters > 5 && exits > 3 && of_c > 0, "{enters} in, {exits} out, {of_c} of C");
    assert_eq!(tape.state(stream::PARKED).await.unwrap().messages, 0);
}

#[tokio::test]
async fn in_shadow_mode_an_exit_follows_every_entry() {
    let tape = undisturbed(ClockMode::Tape).await;
    let mut by_symbol: BTreeMap<String, Vec<Intent>> = BTreeMap::new();
    for recorded in everything(&tape, stream::TRADING).await {
        let Some(Body::Signal(signal)) = recorded.event.body else { continue };
        if signal.strategy == SHADOW {
            by_symbol.entry(signal.legs[0].symbol.clone()).or_default().push(signal.legs[0].intent());
        }
    }
    for (symbol, intents) in &by_symbol {
        let turns = [Intent::EnterLong, Intent::Exit].into_iter().cycle();
        assert!(intents.iter().copied().eq(turns.take(intents.len())), "{symbol}: {intents:?}");
    }
    let exits = by_symbol.values().flatten().filter(|intent| **intent == Intent::Exit).count();
    assert!(exits > 2, "{by_symbol:?}");
}

#[tokio::test]
async fn a_strategy_that_cannot_be_built_is_named_and_delays_nothing() {
    let tape = MemoryLog::new();
    let shutdown = CancellationToken::new();
    let context = context(std::sync::Arc::new(tape.clone()), ClockMode::Tape, shutdown.clone());
    let health = context.health.clone();
    let service = tokio::spawn(strategy::run(context, config(&tape, Staleness::Failing)));
    let mut script = Script::new(tape.clone(), ClockMode::Tape);
    script.control(registered("wrong", "sma_cross", &[("fast", "50"), ("slow", "20")])).await;
    script.control(enabled("wrong")).await;
    script.instant(FIRST_NS, vec![bar("A", FIRST_NS, 100, Origin::Rehearsal)]).await;
    let said = health.all().remove(strategy::SERVICE).unwrap();
    assert_eq!(
        (said.state, said.detail.as_str()),
        (runtime::HealthState::Degraded, "cannot be built: wrong")
    );
    shutdown.cancel();
    service.await.unwrap().unwrap();
}
