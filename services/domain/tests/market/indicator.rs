//! Indicators against their definition, across splits, and with any warm-up.

use std::cmp::Ordering;

use domain::bar::Bar;
use domain::calendar::Calendar;
use domain::corporate_action::{CorporateAction, SplitRatio, adjust_as_of};
use domain::indicator::{Change, Indicator, InvalidLength, MAX_LENGTH, RateOfChange, SimpleMovingAverage};
use domain::money::{E9, Price, div_half_even};
use proptest::prelude::*;

use crate::corporate_action::history;

fn average(length: usize) -> SimpleMovingAverage {
    SimpleMovingAverage::new(length).unwrap()
}

/// The indicator after all of `prices`.
fn after<I: Indicator>(mut indicator: I, prices: &[i64]) -> I {
    for price in prices {
        indicator.update(&closing(*price));
    }
    indicator
}

fn closing(price: i64) -> Bar {
    let price = Price(price);
    Bar {
        start_ns: 0,
        close_ns: 0,
        open: price,
        high: price,
        low: price,
        close: price,
        volume: Default::default(),
    }
}

proptest! {
    #[test]
    fn an_average_is_the_mean_of_the_last_prices(prices in prop::collection::vec(1..i64::MAX, 0..60), length in 1..20_usize) {
        let value = after(average(length), &prices).value();
        let expected = prices.len().checked_sub(length).map(|start| {
            let sum: i128 = prices[start..].iter().map(|price| i128::from(*price)).sum();
            i64::try_from(div_half_even(sum, i128::try_from(length).unwrap())).unwrap()
        });
        prop_assert_eq!(value.map(|mean| mean.to_price().0), expected);
    }

    /// Averages of different lengths compare like the fractions they are.
    #[test]
    fn averages_compare_exactly(prices in prop::collection::vec(1..i64::MAX, 30), fast in 1..15_usize, slow in 15..30_usize) {
        let mean = |length: usize| after(average(length), &prices).value().unwrap();
        let sum = |length: usize| prices[30 - length..].iter().map(|price| i128::from(*price)).sum::<i128>();
        let expected = (sum(fast) * i128::try_from(slow).unwrap()).cmp(&(sum(slow) * i128::try_from(fast).unwrap()));
        prop_assert_eq!(mean(fast).cmp(&mean(slow)), expected);
        prop_assert_eq!(mean(slow).cmp(&mean(fast)), expected.reverse());
    }

    #[test]
    fn equal_prices_make_equal_averages(price in 1..i64::MAX, fast in 1..50_usize, slow in 50..200_usize) {
        let prices = vec![price; 200];
        let (fast, slow) = (after(average(fast), &prices).value(), after(average(slow), &prices).value());
        prop_assert_eq!(fast, slow);
        prop_assert_eq!(fast.unwrap().to_price(), Price(price));
    }

    #[test]
    fn a_longer_warm_up_changes_nothing(prices in prop::collection::vec(1..i64::MAX, 40..80), length in 1..39_usize) {
        let (average, change) = (average(length), RateOfChange::new(length).unwrap());
        let last = |count: usize| &prices[prices.len() - count..];
        prop_assert_eq!(after(average.clone(), last(average.warm_up())), after(average.clone(), &prices));
        prop_assert_eq!(after(change.clone(), last(change.warm_up())), after(change.clone(), &prices));
        prop_assert_eq!(after(average.clone(), last(average.warm_up() - 1)).value(), None);
        prop_assert_eq!(after(change.clone(), last(change.warm_up() - 1)).value(), None);
    }

    #[test]
    fn a_change_is_over_the_lookback(prices in prop::collection::vec(1..i64::MAX, 1..60), lookback in 1..20_usize) {
        let value = after(RateOfChange::new(lookback).unwrap(), &prices).value();
        let last = prices.len() - 1;
        let expected = last.checked_sub(lookback).and_then(|then| Change::between(Price(prices[then]), Price(prices[last])));
        prop_assert_eq!(value, expected);
    }

    #[test]
    fn a_threshold_met_exactly_is_a_tie(then in 1..1_000_000_i64, threshold_e9 in -E9 + 1..E9) {
        let (then, now) = (then * E9, then * (E9 + threshold_e9));
        let change = Change::between(Price(then), Price(now)).unwrap();
        prop_assert_eq!(change.cmp_e9(threshold_e9), Ordering::Equal);
        prop_assert_eq!(change.cmp_e9(threshold_e9 - 1), Ordering::Greater);
        prop_assert_eq!(change.cmp_e9(threshold_e9 + 1), Ordering::Less);
        let nearest = Change::between(Price(then), Price(now - 1)).unwrap();
        prop_assert_eq!(nearest.cmp_e9(threshold_e9), Ordering::Less);
    }

    /// An indicator that lived through the splits equals one that is warmed up on adjusted history.
    #[test]
    fn a_split_on_the_way_equals_adjusted_history((bars, actions) in history(), length in 1..20_usize) {
        let (mut average, mut change) = (average(length), RateOfChange::new(length).unwrap());
        live_through(&mut average, &bars, &actions);
        live_through(&mut change, &bars, &actions);
        let as_of = bars.last().unwrap().close_ns;
        let adjusted: Vec<i64> = adjust_as_of(&bars, &actions, Calendar::xnys(), as_of)?.iter().map(|bar| bar.close.0).collect();
        prop_assert_eq!(average, after(SimpleMovingAverage::new(length).unwrap(), &adjusted));
        prop_assert_eq!(change, after(RateOfChange::new(length).unwrap(), &adjusted));
    }
}

fn live_through(indicator: &mut impl Indicator, bars: &[Bar], actions: &[CorporateAction]) {
    let calendar = Calendar::xnys();
    let mut sorted = actions.to_vec();
    sorted.sort_by_key(|action| (action.ex_date, action.split()));
    let mut upcoming = sorted.iter().peekable();
    for bar in bars {
        while let Some(action) = upcoming.next_if(|action| calendar.start_of(action.ex_date) < bar.close_ns) {
            action.split().into_iter().for_each(|ratio| indicator.rescale(ratio).unwrap());
        }
        indicator.update(bar);
    }
}

#[test]
fn a_rescaling_that_fails_changes_nothing() {
    let before = after(average(3), &[1, i64::MAX / 2, 2]);
    let mut indicator = before.clone();
    assert!(indicator.rescale(SplitRatio::from_terms(1, 10).unwrap()).is_err());
    assert_eq!(indicator, before);
}

#[test]
fn a_change_from_nothing_is_undefined() {
    assert_eq!(after(RateOfChange::new(1).unwrap(), &[0, E9]).value(), None);
    assert_eq!(Change::between(Price(-1), Price(1)), None);
    let change = Change::between(Price(100 * E9), Price(102 * E9)).unwrap();
    assert!((change.to_f64() - 0.02).abs() < 1e-12);
    assert!((after(average(2), &[E9, 2 * E9]).value().unwrap().to_f64() - 1.5).abs() < 1e-12);
}

#[test]
fn lengths_are_bounded() {
    for invalid in [0, MAX_LENGTH + 1] {
        assert_eq!(SimpleMovingAverage::new(invalid).err(), Some(InvalidLength(invalid)));
        assert_eq!(RateOfChange::new(invalid).err(), Some(InvalidLength(invalid)));
    }
    assert_eq!((average(MAX_LENGTH).warm_up(), RateOfChange::new(20).unwrap().warm_up()), (MAX_LENGTH, 21));
}
