//! What corporate actions leave in the trades.

use domain::bar::Bar;
use domain::calendar::Calendar;
use domain::corporate_action::{Effect, SplitRatio};
use domain::money::{E9, Quantity};
use domain::series::BarSeries;
use engine::{Nothing, Uncontrolled, run};

use crate::setup::{act, config, market, strategy};

/// Hourly bars on the clock, as of files: the first of a session begins half an hour before it.
fn on_the_clock() -> domain::series::MarketData {
    let mut data = market(1, 60, 3);
    let half_ns = 1_800_000_000_000;
    let series = &data.series[0];
    let bars: Vec<Bar> = (0..series.len())
        .filter_map(|row| {
            let bar = series.bar(row)?;
            Some(Bar { start_ns: bar.start_ns - half_ns, close_ns: bar.close_ns - half_ns, ..bar })
        })
        .collect();
    data.series = vec![BarSeries::of("generated", "S00", series.timeframe, &bars)];
    data
}

#[test]
fn cash_in_lieu_is_paid_at_the_opening_whose_price_it_bears() {
    let mut data = on_the_clock();
    act(&mut data, 0, 30, Effect::Split(SplitRatio::from_terms(3, 2).expect("a ratio")));
    let split_ns = data.actions[0].event_ns;
    let mut config = config(vec![strategy("one", "buy_and_hold", &[])]);
    config.strategies[0].sizing = domain::sizing::parse("fixed:11").expect("a sizing");
    let outcome = run(&config, &data, &mut Nothing, &mut Uncontrolled).expect("it runs");
    let [paid] = outcome.trades.as_slice() else { panic!("one trade: {:?}", outcome.trades) };
    assert_eq!(paid.quantity, Quantity(E9 / 2));
    let first = data.series[0].close_ns.values().iter().position(|close| *close > split_ns).expect("a bar");
    let bar = data.series[0].bar(first).expect("a bar");
    assert_eq!(paid.exit_price, bar.open);
    assert!(bar.start_ns < split_ns, "the bar begins before its session");
    let session = Calendar::xnys().current_or_next(bar.close_ns).expect("a known date");
    assert_eq!((paid.exit_ns, session.open_ns), (split_ns, split_ns));
}
