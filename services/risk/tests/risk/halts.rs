//! What a vendor says of a symbol's trading: a halt denies what opens, also to a service that was started since.

use contracts::v1::{Severity, StrategyMode};
use domain::book::{HALT, RESUMPTION};
use risk::Pricing;
use runtime::ClockMode;

use crate::events::{self, E9, T0, limits};
use crate::world::{World, verdicts};

const SECOND: i64 = E9;

fn row(name: &str, verdict: &'static str, rule: &str) -> (String, &'static str, String) {
    (name.to_owned(), verdict, rule.to_owned())
}

#[tokio::test]
async fn a_halt_denies_entries_in_its_symbol_and_a_resumption_lets_them_pass_across_restarts() {
    let world = World::new(ClockMode::Tape, limits(1_000_000, E9)).await;
    world.put(events::registered("gamma")).await;
    world.put(events::enabled("gamma", StrategyMode::Paper)).await;
    world.instant(T0, &["QQQ", "SPY"]).await;
    world.put(events::finding("SPY", HALT, Severity::Info, T0 - SECOND)).await;
    world.buy("alpha", "QQQ").await;
    world.buy("alpha", "SPY").await;
    world.decide(2).await;
    // Another service, which was not there when it was told.
    world.buy("beta", "SPY").await;
    world.decide(3).await;
    world.put(events::finding("SPY", RESUMPTION, Severity::Info, T0)).await;
    world.buy("gamma", "SPY").await;
    let decisions = world.decide(4).await;
    assert_eq!(
        verdicts(&decisions),
        [
            row("alpha QQQ", "approved", ""),
            row("alpha SPY", "denied", "symbol_halted"),
            row("beta SPY", "denied", "symbol_halted"),
            row("gamma SPY", "approved", ""),
        ]
    );
    let halt = decisions[2].inputs[0].symbol_halt.as_ref().unwrap();
    assert_eq!((halt.rule.as_str(), halt.age_ms), (HALT, 1_000));
    assert!(decisions[0].inputs[0].symbol_halt.is_none() && decisions[3].inputs[0].symbol_halt.is_none());
    // Whoever replays the tape reads the same.
    let mut pricing = Pricing::default();
    let mut halted = Vec::new();
    for sequence in 1..=world.market().await {
        let recorded = world.market_event(sequence).await;
        pricing.take(&recorded);
        halted.push(pricing.prices().halt("SPY").is_some());
    }
    assert_eq!(halted, [false, false, true, false]);
}
