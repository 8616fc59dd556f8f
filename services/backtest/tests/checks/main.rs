//! Checks of a run by variants of itself, over the real engine: what is not robust is found, what is stays unnamed.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use analytics::warnings::Kind;
use backtest::checks::{Checked, of_run, of_single};
use contracts::v1::{BacktestKind, BacktestRequest, BacktestStrategy, Money, Parameter};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::money::{Price, Volume};
use domain::series::{BarSeries, MarketData};
use engine::Config;

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: i64 = 24 * HOUR_NS;
/// 2024-01-08 15:00 UTC, a Monday half an hour after the opening.
const START_NS: i64 = 1_704_726_000_000_000_000;
const E9: i64 = 1_000_000_000;

/// Hourly bars, five a weekday, whose closes are `prices`; each opens where the one before closed.
fn data(prices: impl Iterator<Item = i64>) -> MarketData {
    let mut last = 100 * E9;
    let bars: Vec<Bar> = (0..)
        .zip(prices)
        .map(|(step, price)| {
            let (day, hour) = (step / 5, step % 5);
            let close_ns = START_NS + day / 5 * 7 * DAY_NS + day % 5 * DAY_NS + hour * HOUR_NS;
            let open = std::mem::replace(&mut last, price * E9);
            Bar {
                start_ns: close_ns - HOUR_NS,
                close_ns,
                open: Price(open),
                high: Price(open.max(price * E9)),
                low: Price(open.min(price * E9)),
                close: Price(price * E9),
                volume: Volume(1_000_000_000),
            }
        })
        .collect();
    MarketData { series: vec![BarSeries::of("test", "AAA", Timeframe::H1, &bars)], actions: Vec::new() }
}

fn config(kind: &str, parameters: &[(&str, &str)]) -> Config {
    let parameter = |(name, value): &(&str, &str)| Parameter { name: (*name).into(), value: (*value).into() };
    let request = BacktestRequest {
        kind: BacktestKind::Single.into(),
        strategies: vec![BacktestStrategy {
            kind: kind.into(),
            parameters: parameters.iter().map(parameter).collect(),
            sizing: domain::sizing::parse("fixed:10"),
            ..BacktestStrategy::default()
        }],
        timeframe: "1h".into(),
        cash: Some(Money { units: 100_000, nanos: 0 }),
        ..BacktestRequest::default()
    };
    backtest::plan::configure(&domain::research::complete(request).unwrap(), Calendar::xnys())
}

fn kinds(checked: &Checked) -> Vec<Kind> {
    checked.warnings.iter().map(|warning| warning.kind).collect()
}

/// Three bars up, three bars down, again and again.
fn zigzag(step: i64) -> i64 {
    [100, 103, 106, 109, 106, 103][usize::try_from(step % 6).unwrap()]
}

#[test]
fn an_edge_of_one_bar_is_found_to_depend_on_being_on_time() {
    let data = data((0..600).map(zigzag));
    let found = of_run(&config("sma_cross", &[("fast", "1"), ("slow", "2")]), &data).unwrap();
    assert_eq!(kinds(&found), [Kind::DelaySensitive], "{found:?}");
    // A slow trend does not care about one bar.
    let data = self::data((0..600).map(|step| 100 + (step % 200).min(200 - step % 200)));
    let found = of_run(&config("sma_cross", &[("fast", "5"), ("slow", "20")]), &data).unwrap();
    assert_eq!(kinds(&found), [], "{found:?}");
}

#[test]
fn the_neighbours_of_one_run_are_tried() {
    let data = data((0..600).map(zigzag));
    let found = of_single(&config("sma_cross", &[("fast", "1"), ("slow", "2")]), &data).unwrap();
    assert!(kinds(&found).contains(&Kind::ParameterCliff), "{found:?}");
    let text = &found.warnings.iter().find(|one| one.kind == Kind::ParameterCliff).unwrap().text;
    assert!(text.contains("slow=2") && text.contains("slow=3"), "{text}");
}

#[test]
fn a_long_run_is_checked_on_its_newest_bars_and_says_so() {
    let long = data((0..101_000).map(|step| 100 + (step % 200).min(200 - step % 200)));
    let found = of_run(&config("sma_cross", &[("fast", "5"), ("slow", "20")]), &long).unwrap();
    assert!(found.notes[0].contains("100000 of 101000 bars"), "{found:?}");
    let nothing = of_run(&config("sma_cross", &[]), &MarketData::default()).unwrap();
    assert_eq!(nothing, Checked::default());
}
