//! Limits by scope and measured sizes in a run: the general loop takes them, the one on numbers leaves them to it.

use contracts::v1::{LimitsSet, TradeLimits};
use domain::book::Scope;
use domain::risk::{Rule, fields};
use engine::{Config, Hash, Outcome, Uncontrolled, run};

use crate::setup::{config, market, strategy};

fn limited(named: &[(&str, &str)], sizing: &str) -> Config {
    let mut config = config(vec![
        strategy("fast", "sma_cross", &[("fast", "3"), ("slow", "7")]),
        strategy("momentum", "momentum", &[("lookback", "5"), ("threshold", "0.01")]),
    ]);
    for strategy in &mut config.strategies {
        strategy.sizing = domain::sizing::parse(sizing).expect("a sizing");
    }
    if !named.is_empty() {
        let mut limits = TradeLimits::default();
        for (name, value) in named {
            fields::state(&mut limits, name, value).expect("a limit");
        }
        let scope = Some(Scope::new("paper", "", "").to_wire());
        config.limit_sets.push(LimitsSet { scope, version: 1, limits: Some(limits), ..LimitsSet::default() });
    }
    config
}

fn outcome(named: &[(&str, &str)], sizing: &str) -> Outcome {
    let (config, data) = (limited(named, sizing), market(4, 1_500, 11));
    let first = run(&config, &data, &mut Hash::default(), &mut Uncontrolled).expect("it runs");
    let again = run(&config, &data, &mut Hash::default(), &mut Uncontrolled).expect("it runs");
    assert_eq!(first, again);
    first
}

fn denied(outcome: &Outcome, rule: Rule) -> u64 {
    outcome.counts.denied.get(&rule).copied().unwrap_or_default()
}

#[test]
fn limits_deny_by_their_rules() {
    let free = outcome(&[], "fraction:0.1");
    for (named, rule) in [
        (("max_order_quantity", "50"), Rule::MaxOrderQuantity),
        (("max_gross_exposure", "15000"), Rule::MaxGrossExposure),
        (("max_orders_per_day", "2"), Rule::OrderRate),
        (("max_correlation", "-0.05"), Rule::Correlation),
        (("max_var", "0.0005"), Rule::MaxVar),
        (("close_buffer", "7300"), Rule::SessionEdge),
        (("breaker_consecutive_losses", "5"), Rule::Breaker),
        (("breaker_drawdown", "0.005"), Rule::Breaker),
    ] {
        let held = outcome(&[named], "fraction:0.1");
        assert!(denied(&held, rule) > 0, "{named:?}: {:?}", held.counts);
        assert_ne!(held.chain_hash, free.chain_hash);
    }
}

#[test]
fn measured_sizes_trade() {
    for sizing in
        ["atr:0.005", "volatility:0.05", "half_kelly:0.1", "fraction:0.1,lot=10", "fraction:0.1,cap=0.05"]
    {
        let outcome = outcome(&[], sizing);
        assert!(outcome.counts.fills > 20, "{sizing}: {:?}", outcome.counts);
    }
}
