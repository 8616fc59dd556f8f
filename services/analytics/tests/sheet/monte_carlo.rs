//! Monte Carlo is repeatable and bounded by what the trades can come to.

use analytics::monte_carlo::{Settings, simulate};
use domain::money::Amount;

use crate::run::run;

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let trades = run(1, "2018-01-02", "2021-12-31").trades;
    let start = Amount(100_000_000_000_000);
    let first = simulate(&trades, start, Settings { runs: 400, seed: 7 }).unwrap();
    assert_eq!(simulate(&trades, start, Settings { runs: 400, seed: 7 }), Some(first.clone()));
    assert_ne!(simulate(&trades, start, Settings { runs: 400, seed: 8 }), Some(first.clone()));
    assert_eq!((first.runs, first.trades), (400, trades.len()));
    let finals = &first.bootstrap_final_equity;
    assert!(finals.p5 < finals.p50 && finals.p50 < finals.p95);
    let total: f64 = trades.iter().map(|trade| trade.pnl.to_f64()).sum();
    // The median of sums drawn with replacement lies near the sum itself.
    assert!((finals.p50 - (100_000.0 + total)).abs() < (finals.p95 - finals.p5) / 2.0);
    assert!(first.shuffled_max_drawdown.p5 <= first.shuffled_max_drawdown.p95);
    assert!((0.0..=1.0).contains(&first.loss_probability));
}

#[test]
fn trades_that_only_lose_always_lose() {
    let mut trades = run(1, "2018-01-02", "2018-12-31").trades;
    trades.iter_mut().for_each(|trade| trade.pnl = Amount(-1_000_000_000));
    let count = trades.len() as f64;
    let found = simulate(&trades, Amount(1_000_000_000_000), Settings::default()).unwrap();
    assert!((found.loss_probability - 1.0).abs() < 1e-12);
    for depth in [found.shuffled_max_drawdown.p5, found.bootstrap_max_drawdown.p95, found.actual_max_drawdown]
    {
        assert!((depth + count / 1_000.0).abs() < 1e-12);
    }
    assert_eq!(simulate(&trades[..1], Amount(1), Settings::default()), None);
    assert_eq!(simulate(&trades, Amount::ZERO, Settings::default()), None);
    assert_eq!(simulate(&trades, Amount(1), Settings { runs: 0, seed: 1 }), None);
}

#[test]
fn ties_are_no_losses_whatever_the_unit() {
    // Tenths are no floats, whole units are: the same draws have to end below the start in both.
    let made = run(1, "2018-01-02", "2018-12-31").trades;
    let found = |unit: i128| {
        let mut trades = made.clone();
        let steps = [1, -1, 2, -2, 3, -3].into_iter().cycle();
        trades.iter_mut().zip(steps).for_each(|(trade, step)| trade.pnl = Amount(step * unit));
        simulate(&trades, Amount(1_000 * unit), Settings { runs: 4_000, seed: 1 }).unwrap()
    };
    let (tenths, whole) = (found(100_000_000), found(1_000_000_000));
    assert!(whole.loss_probability > 0.25 && whole.loss_probability < 0.55, "{whole:?}");
    assert_eq!(tenths.loss_probability.to_bits(), whole.loss_probability.to_bits());
    // Losses alone come to one depth in any order.
    let mut losing = made;
    losing.iter_mut().zip(1..).for_each(|(trade, step)| trade.pnl = Amount(-step * 100_000_000));
    let found = simulate(&losing, Amount(100_000_000_000), Settings::default()).unwrap();
    assert!(found.deeper_than_actual <= 0.0, "{found:?}");
    assert_eq!(found.shuffled_max_drawdown.p5.to_bits(), found.shuffled_max_drawdown.p95.to_bits());
}
