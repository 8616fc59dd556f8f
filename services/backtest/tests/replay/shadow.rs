//! In shadow mode a strategy goes by its own signals; a replay and a rerun tell it the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use backtest::replay::replay;
use contracts::stream;
use contracts::v1::event::Body;
use contracts::v1::{Intent, StrategyEnabled, StrategyMode};
use event_log::{MemoryLog, Tape};

use crate::by_hand::options;
use crate::rehearsal::{everything, rehearse_between, rehearse_with};
use crate::rerunning::{again, differing};
use crate::statements::state;

const INSTANTS: usize = 120;

fn enabled(mode: StrategyMode, actor: &str) -> Body {
    let (strategy, mode) = ("cross".into(), mode.into());
    Body::StrategyEnabled(StrategyEnabled { strategy, mode, actor: actor.into() })
}

fn to_shadow(tape: &Tape) {
    state(tape, enabled(StrategyMode::Shadow, "ann"));
}

fn to_paper(tape: &Tape) {
    state(tape, enabled(StrategyMode::Paper, "ann"));
}

fn once_more(tape: &Tape) {
    state(tape, enabled(StrategyMode::Shadow, "bob"));
}

/// A replay and a rerun find what is recorded.
async fn agree(log: &MemoryLog) {
    let tape: Tape = Arc::new(log.clone());
    let report = Box::pin(replay(&tape, options(), |_, _| {})).await.unwrap();
    assert!(report.divergence.is_none(), "{:#?}", report.divergence);
    let rows = Box::pin(again(log, &[], &[])).await;
    assert!(differing(&rows).is_empty(), "{:#?}", differing(&rows));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_strategy_signals_in_shadow_mode_follows_from_what_it_signalled() {
    // All services end half-way and start again.
    let log = rehearse_with(INSTANTS, 2, vec![enabled(StrategyMode::Shadow, "ann")]).await;
    let mut by_symbol: BTreeMap<String, Vec<Intent>> = BTreeMap::new();
    for recorded in everything(&log, stream::TRADING).await {
        match recorded.event.body {
            Some(Body::Signal(signal)) if signal.strategy == "cross" => {
                by_symbol.entry(signal.legs[0].symbol.clone()).or_default().push(signal.legs[0].intent());
            }
            Some(Body::Fill(fill)) => assert_ne!(fill.strategy, "cross", "nothing is ordered"),
            _ => {}
        }
    }
    for (symbol, intents) in &by_symbol {
        let turns = [Intent::EnterLong, Intent::Exit].into_iter().cycle();
        assert!(intents.iter().copied().eq(turns.take(intents.len())), "{symbol}: {intents:?}");
    }
    assert!(by_symbol.values().any(|intents| intents.len() > 3), "{by_symbol:?}");
    agree(&log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_comes_to_shadow_mode_and_leaves_it() {
    let between =
        vec![(30, to_shadow as fn(&Tape)), (60, once_more as fn(&Tape)), (90, to_paper as fn(&Tape))];
    agree(&rehearse_between(INSTANTS, between).await).await;
}
