//! Checks of a run by variants of itself, over the real engine: what is not robust is found, what is stays unnamed.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use analytics::warnings::Kind;
use backtest::checks::{self, Checked, of_run, of_single};
use contracts::v1::{BacktestKind, BacktestRequest, BacktestStrategy, Money, Parameter};
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::{CorporateAction, Effect, SplitRatio};
use domain::money::{Price, Volume};
use domain::series::{BarSeries, DatedAction, MarketData};
use engine::Config;

const DAY_NS: i64 = 86_400_000_000_000;
/// 2024-01-08 14:30 UTC, a Monday at the opening in winter.
const OPEN_NS: i64 = 1_704_724_200_000_000_000;
const E9: i64 = 1_000_000_000;

/// Bars of whole sessions, `a_day` of them on each weekday, whose closes are `prices`; each opens where the one before
/// closed.
fn data(a_day: i64, prices: impl Iterator<Item = i64>) -> MarketData {
    let length_ns = 390 / a_day * 60 * 1_000_000_000;
    let mut last = 100 * E9;
    let bars: Vec<Bar> = (0..)
        .zip(prices)
        .map(|(step, price)| {
            let (day, place) = (step / a_day, step % a_day);
            let start_ns = OPEN_NS + day / 5 * 7 * DAY_NS + day % 5 * DAY_NS + place * length_ns;
            let open = std::mem::replace(&mut last, price * E9);
            Bar {
                start_ns,
                close_ns: start_ns + length_ns,
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
    kinds_of(&checked.warnings)
}

/// A price that goes through `pattern` again and again.
fn again(pattern: &'static [i64], count: usize) -> impl Iterator<Item = i64> {
    pattern.iter().copied().cycle().take(count)
}

/// Slowly up and slowly down.
fn trend(step: i64) -> i64 {
    100 + (step % 200).min(200 - step % 200)
}

#[test]
fn an_edge_of_one_bar_is_found_to_depend_on_being_on_time() {
    let zigzag = data(6, again(&[100, 103, 106, 109, 106, 103], 600));
    let found = of_run(&config("sma_cross", &[("fast", "1"), ("slow", "2")]), &zigzag).unwrap();
    assert_eq!(kinds(&found), [Kind::DelaySensitive], "{found:?}");
    // A slow trend does not care about one bar.
    let slow = data(6, (0..600).map(trend));
    let found = of_run(&config("sma_cross", &[("fast", "5"), ("slow", "20")]), &slow).unwrap();
    assert_eq!(kinds(&found), [], "{found:?}");
}

#[test]
fn a_trade_at_the_open_of_the_first_bar_that_is_cut_off_saw_nothing_of_the_future() {
    // Wherever the cut falls among the exits.
    for count in 600..620 {
        let zigzag = data(6, again(&[100, 103, 106, 109, 106, 103], count));
        let found = of_run(&config("sma_cross", &[("fast", "1"), ("slow", "2")]), &zigzag).unwrap();
        assert!(!kinds(&found).contains(&Kind::LookAhead), "{count}: {found:?}");
    }
}

#[test]
fn the_neighbours_of_one_run_are_tried() {
    // One bar more of memory buys at the top.
    let sharp = data(6, again(&[100, 104, 108, 112, 106], 600));
    let found = of_single(&config("sma_cross", &[("fast", "1"), ("slow", "3")]), &sharp).unwrap();
    assert!(kinds(&found).contains(&Kind::ParameterCliff), "{found:?}");
    let slow = data(6, (0..600).map(trend));
    let found = of_single(&config("sma_cross", &[("fast", "5"), ("slow", "20")]), &slow).unwrap();
    assert_eq!(kinds(&found), [], "{found:?}");
}

#[test]
fn a_long_run_is_checked_on_its_newest_bars_and_says_so() {
    let long = data(390, (0..101_000).map(trend));
    let found = of_run(&config("sma_cross", &[("fast", "5"), ("slow", "20")]), &long).unwrap();
    assert!(found.notes[0].contains("100000 of 101000 bars"), "{found:?}");
    let nothing = of_run(&config("sma_cross", &[]), &MarketData::default()).unwrap();
    assert_eq!(nothing, Checked::default());
}

#[test]
fn a_split_that_nobody_states_is_named() {
    let config = config("sma_cross", &[("fast", "5"), ("slow", "20")]);
    // 700 for a week, then 100: only the first day of the second week opens elsewhere than the one before closed.
    let mut raw = data(6, (0..60).map(|step| if step < 30 { 700 } else { 100 }));
    let mut opens = raw.series[0].open.values().to_vec();
    (opens[0], opens[30]) = (700 * E9, 101 * E9);
    raw.series[0].open = opens.into();
    let found = checks::of_prices(&raw, config.calendar, config.until_ns);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].text.starts_with("AAA looks split 7:1 on 2024-01-15 and no split is stated"),
        "{found:?}"
    );
    assert!(of_run(&config, &raw).unwrap().warnings.contains(&found[0]));
    let action = |date: &str| DatedAction {
        symbol: "AAA".into(),
        event_ns: OPEN_NS + 7 * DAY_NS,
        event_id: "split".into(),
        action: CorporateAction {
            ex_date: date.parse().unwrap(),
            effect: Effect::Split(SplitRatio::from_e9(7 * E9).unwrap()),
        },
    };
    // The weekend before is the same; a day later is another split, of which the prices show nothing.
    for (date, warnings) in [("2024-01-15", 0), ("2024-01-13", 0), ("2024-01-16", 2)] {
        raw.actions = vec![action(date)];
        assert_eq!(checks::of_prices(&raw, config.calendar, None).len(), warnings, "{date}");
    }
    // What comes after the end of a run is no matter of its own, nor is what was before its warm-up.
    assert_eq!(checks::of_prices(&raw, config.calendar, Some(OPEN_NS + 7 * DAY_NS)), []);
    let closes = raw.series[0].close_ns.values().to_vec();
    let from = |row: usize| Config { from_ns: Some(closes[row]), ..config.clone() };
    assert_eq!(checks::of_prices_walked(&from(40), &raw).len(), 2, "the strategy warms up with it");
    assert_eq!(checks::of_prices_walked(&from(58), &raw), []);
}

#[test]
fn a_wrong_price_is_no_split_and_a_split_without_a_jump_is_named() {
    let calendar = Calendar::xnys();
    let split = |new: i64| DatedAction {
        symbol: "AAA".into(),
        event_ns: OPEN_NS + 7 * DAY_NS,
        event_id: "split".into(),
        action: CorporateAction {
            ex_date: "2024-01-15".parse().unwrap(),
            effect: Effect::Split(SplitRatio::from_e9(new * E9).unwrap()),
        },
    };
    let found = |data: &MarketData| kinds_of(&checks::of_prices(data, calendar, None));
    // The first bar of a session at half the price, or the last one: the rest is where it was.
    for odd in [30, 29] {
        let mut wrong = data(6, (0..60).map(|step| if step == odd { 50 } else { 100 }));
        let mut opens = wrong.series[0].open.values().to_vec();
        opens[30] = if odd == 30 { 50 * E9 } else { 100 * E9 };
        wrong.series[0].open = opens.into();
        assert_eq!(found(&wrong), [], "{odd}");
    }
    // Nothing moves: the split is believed, and said.
    let mut flat = data(6, (0..60).map(|_| 100));
    flat.actions = vec![split(2), split(2)];
    assert_eq!(found(&flat), [Kind::SplitWithoutJump]);
    let said = &checks::of_prices(&flat, calendar, None)[0].text;
    assert!(
        said.starts_with("AAA: a split 2:1 is stated for 2024-01-15 and its prices do not jump"),
        "{said}"
    );
    // What moves by as much and stays there may be a split or a crash: the words name both.
    let mut fallen = data(6, (0..60).map(|step| if step < 30 { 100 } else { 50 }));
    let mut opens = fallen.series[0].open.values().to_vec();
    opens[30] = 50 * E9;
    fallen.series[0].open = opens.into();
    assert_eq!(found(&fallen), [Kind::UnstatedSplit]);
    let said = &checks::of_prices(&fallen, calendar, None)[0].text;
    assert!(said.ends_with("or the price itself moved that far or is wrong."), "{said}");
    fallen.actions = vec![split(2)];
    assert_eq!(found(&fallen), []);
}

fn kinds_of(warnings: &[analytics::warnings::Warning]) -> Vec<Kind> {
    warnings.iter().map(|warning| warning.kind).collect()
}
