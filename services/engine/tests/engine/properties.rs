//! What must hold of every run, without a reference.

use contracts::ChainHash;
use contracts::v1::{Costs, Side};
use domain::corporate_action::{Effect, SplitRatio};
use domain::matching::{charge, us_sale_fees};
use domain::money::{Amount, E9, Price};
use domain::series::{BarSeries, MarketData};
use engine::{Config, Events, Hash, Nothing, Outcome, Uncontrolled, run};

use crate::setup::{act, config, market, money, strategy};

fn three() -> Config {
    let mut config = config(vec![
        strategy("slow", "sma_cross", &[("fast", "10"), ("slow", "30")]),
        strategy("fast", "sma_cross", &[("fast", "3"), ("slow", "7")]),
        strategy("momentum", "momentum", &[("lookback", "5"), ("threshold", "0.01")]),
    ]);
    config.account.limits.max_exposure_fraction_e9 = 10 * E9;
    config
}

fn eventful() -> MarketData {
    let mut data = market(4, 2_000, 7);
    act(&mut data, 0, 400, Effect::Split(SplitRatio::from_terms(3, 2).expect("a ratio")));
    act(&mut data, 1, 700, Effect::Split(SplitRatio::from_terms(1, 4).expect("a ratio")));
    act(&mut data, 2, 900, Effect::Dividend(Price(E9 / 4)));
    act(&mut data, 0, 1_200, Effect::Dividend(Price(E9 / 10)));
    data
}

fn hashed(config: &Config, data: &MarketData) -> Outcome {
    run(config, data, &mut Hash::default(), &mut Uncontrolled).expect("it runs")
}

#[test]
fn equity_is_what_the_trades_say() {
    let outcome = hashed(&three(), &eventful());
    assert!(outcome.counts.fills > 500, "{:?}", outcome.counts);
    let closed: i128 = outcome.trades.iter().map(|trade| trade.pnl.0).sum();
    let open: i128 = outcome.open.iter().map(|trade| trade.pnl.0).sum();
    let expected = outcome.initial_cash.0 + closed + open + outcome.dividends.0;
    // A fraction that a split leaves to the next bar has rounded cash: a billionth per entry.
    assert!(
        (outcome.final_equity().0 - expected).abs() <= 4,
        "{} {}",
        outcome.final_equity(),
        Amount(expected)
    );
    let last = outcome.equity.last().expect("rows");
    assert!(last.exposure.0 >= 0 && last.equity.0 > 0);
}

#[test]
fn a_run_is_a_function_of_its_inputs_whatever_is_recorded() {
    let (config, data) = (three(), eventful());
    let outcome = hashed(&config, &data);
    assert_eq!(outcome, hashed(&config, &data));
    let silent = run(&config, &data, &mut Nothing, &mut Uncontrolled).expect("it runs");
    assert_eq!(Outcome { chain_hash: None, ..outcome.clone() }, silent);
    let mut chain = ChainHash::default();
    let mut marks = 0;
    let mut recorder = Events::new(|event: &contracts::v1::Event| {
        marks += u64::from(matches!(event.body, Some(contracts::v1::event::Body::AccountMarked(_))));
        chain.add(event);
    });
    let recorded = run(&config, &data, &mut recorder, &mut Uncontrolled).expect("it runs");
    assert_eq!(recorded, outcome);
    assert_eq!(marks, outcome.counts.instants);
    assert_eq!(chain.finish().ok(), outcome.chain_hash);
}

#[test]
fn the_order_of_strategies_changes_nothing() {
    let (config, data) = (three(), eventful());
    let mut turned = config.clone();
    turned.strategies.reverse();
    assert_eq!(hashed(&config, &data), hashed(&turned, &data));
}

/// Of one instant's trades the order is that of the series, which says nothing.
fn in_order(mut outcome: Outcome) -> Outcome {
    outcome.trades.sort_by(|one, two| {
        (one.exit_ns, &one.strategy, &one.symbol).cmp(&(two.exit_ns, &two.strategy, &two.symbol))
    });
    outcome
}

#[test]
fn the_order_of_symbols_changes_nothing() {
    let mut config = three();
    // Where symbols compete for what the account may hold, who comes first would show.
    config.account.limits.max_exposure_fraction_e9 = E9 / 2;
    let mut acted = eventful();
    act(&mut acted, 3, 900, Effect::Dividend(Price(E9 / 5)));
    // Without actions the dense loop walks what is hashed, and the general one what every event is wanted of.
    for data in [market(4, 2_000, 7), acted] {
        let general = |data: &MarketData| {
            run(&config, data, &mut Events::new(|_| {}), &mut Uncontrolled).expect("it runs")
        };
        let expected = in_order(hashed(&config, &data));
        assert!(expected.counts.fills > 200 && expected.counts.denied_total() > 50, "{:?}", expected.counts);
        for turn in 1..4 {
            let mut turned = data.clone();
            turned.series.rotate_left(turn);
            turned.series.swap(0, 2);
            // Those of one instant alone may change places: time itself has an order.
            turned.actions.reverse();
            turned.actions.sort_by_key(|action| action.event_ns);
            assert_eq!(in_order(hashed(&config, &turned)), expected, "turn {turn}");
            assert_eq!(in_order(general(&turned)), expected, "turn {turn}, event by event");
        }
    }
}

#[test]
fn twice_the_money_at_twice_the_prices_makes_twice_the_profit() {
    let mut config = three();
    config.account.costs.commission_per_share_e9 = 0;
    config.account.costs.commission_minimum = None;
    config.account.costs.commission_rate_e9 = E9 / 1_000;
    let data = market(3, 1_500, 3);
    let once = hashed(&config, &data);
    let twice = |series: &BarSeries| {
        let bars: Vec<_> = (0..series.len())
            .filter_map(|row| series.bar(row))
            .map(|mut bar| {
                for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
                    price.0 *= 2;
                }
                bar
            })
            .collect();
        BarSeries::of(&series.source, &series.symbol, series.timeframe, &bars)
    };
    let data = MarketData { series: data.series.iter().map(twice).collect(), actions: Vec::new() };
    config.account.cash = money(200_000);
    config.account.limits.max_order_value = money(200_000).to_wire();
    let doubled = hashed(&config, &data);
    assert_eq!(once.trades.len(), doubled.trades.len());
    for (one, two) in once.trades.iter().zip(&doubled.trades) {
        assert_eq!(one.quantity, two.quantity);
        // Slippage and commission are rounded at a billionth, on shares by the hundred.
        assert!((two.pnl.0 - 2 * one.pnl.0).abs() < 10_000, "{one:?} {two:?}");
    }
}

#[test]
fn more_warm_up_than_stated_changes_nothing() {
    let data = market(2, 1_500, 11);
    let mut config = three();
    config.from_ns = Some(data.series[0].close_ns.values()[600]);
    let cut = |from: usize| {
        let part = |series: &BarSeries| {
            let bars: Vec<_> = (from..series.len()).filter_map(|row| series.bar(row)).collect();
            BarSeries::of(&series.source, &series.symbol, series.timeframe, &bars)
        };
        MarketData { series: data.series.iter().map(part).collect(), actions: Vec::new() }
    };
    let whole = hashed(&config, &data);
    assert!(whole.counts.fills > 100, "{:?}", whole.counts);
    assert!(whole.counts.bars < 2 * 950, "only the bars that the strategies want come before");
    assert_eq!(whole, hashed(&config, &cut(500)));
}

#[test]
fn what_is_open_at_the_end_can_be_closed_there() {
    let mut config = three();
    let data = market(3, 1_003, 5);
    let open = hashed(&config, &data);
    config.finalize = true;
    let closed = hashed(&config, &data);
    assert!(!open.open.is_empty());
    assert!(closed.open.is_empty());
    assert_eq!(closed.trades.len(), open.trades.len() + open.open.len());
    let sum: i128 = closed.trades.iter().map(|trade| trade.pnl.0).sum();
    assert_eq!(closed.final_equity().0, closed.initial_cash.0 + sum);
}

#[test]
fn closing_at_the_end_costs_what_an_order_costs() {
    let mut config = config(vec![strategy("one", "buy_and_hold", &[])]);
    config.finalize = true;
    config.account.costs = Costs { commission_per_order: money(2).to_wire(), ..us_sale_fees() };
    let data = market(1, 60, 3);
    let closed = hashed(&config, &data);
    let [trade] = closed.trades.as_slice() else { panic!("one trade: {:?}", closed.trades) };
    let paid = |side, price| charge(&config.account.costs, side, price, trade.quantity, true);
    let (bought, sold) = (paid(Side::Buy, trade.entry_price), paid(Side::Sell, trade.exit_price));
    assert!(sold > bought, "a sale has fees");
    assert_eq!(Some(trade.commission), bought.zip(sold).and_then(|(bought, sold)| bought.checked_add(sold)));
    assert_eq!(closed.fees, trade.commission);
    assert_eq!(closed.final_equity().0, closed.initial_cash.0 + trade.pnl.0);
    // So it is where every event is wanted.
    let general = run(&config, &data, &mut Events::new(|_| {}), &mut Uncontrolled).expect("it runs");
    assert_eq!(general.trades, closed.trades);
}
