//! Splits and dividends: exact quantities, adjusted history without later knowledge.

use chrono::{DateTime, NaiveDate};
use contracts::v1;
use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::corporate_action::{CorporateAction, Effect, InvalidAction, SplitQuantity, SplitRatio};
use domain::corporate_action::{Showing, adjust_as_of, dividend_cash, lacks_jump};
use domain::money::{Amount, E9, Price, Quantity, Volume, div_half_even};
use proptest::prelude::*;

use crate::calendar::rows;
use crate::reference;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn ratio(new: i64, old: i64) -> SplitRatio {
    SplitRatio::from_terms(new, old).unwrap()
}

fn split(ex_date: NaiveDate, ratio: SplitRatio) -> CorporateAction {
    CorporateAction { ex_date, effect: Effect::Split(ratio) }
}

proptest! {
    #[test]
    fn nine_decimals_name_the_fraction(new in 1..=10_000_i64, old in 1..=10_000_i64) {
        let expected = ratio(new, old);
        let exact = i128::from(new) * i128::from(E9);
        let rounded = expected.to_e9().unwrap();
        let cut_off = i64::try_from(exact / i128::from(old)).unwrap();
        prop_assert_eq!(SplitRatio::from_e9(rounded), Ok(expected));
        prop_assert_eq!(SplitRatio::from_e9(cut_off), Ok(expected));
    }

    #[test]
    fn any_positive_ratio_keeps_its_value(value_e9 in 1..=i64::MAX) {
        let ratio = SplitRatio::from_e9(value_e9).unwrap();
        let (new, old) = ratio.terms();
        let error = i128::from(new) * i128::from(E9) - i128::from(value_e9) * i128::from(old);
        prop_assert!(error.abs() < i128::from(old), "within a billionth");
    }

    /// Nothing of a whole position is lost: what is held and the fraction make the exact product.
    #[test]
    fn a_whole_position_splits_exactly(shares in -1_000_000..=1_000_000_i64, new in 1..=1_000_i64, old in 1..=1_000_i64) {
        let SplitQuantity { held, fraction } = ratio(new, old).split_quantity(Quantity(shares * E9)).unwrap();
        prop_assert_eq!(held, held.whole());
        prop_assert!(fraction.0.abs() < E9 && fraction.0.signum() * shares.signum() >= 0);
        let rest = i128::from(shares) * i128::from(new) - i128::from(held.0 / E9) * i128::from(old);
        prop_assert_eq!(i128::from(fraction.0), div_half_even(rest * i128::from(E9), i128::from(old)));
        prop_assert!(rest.abs() < i128::from(old) && rest.signum() * i128::from(shares.signum()) >= 0);
    }

    #[test]
    fn a_fractional_position_stays_fractional(held in 1..1_000_000 * E9, new in 1..=100_i64, old in 1..=100_i64) {
        prop_assume!(held % E9 != 0);
        let split = ratio(new, old).split_quantity(Quantity(held)).unwrap();
        let exact = i128::from(held) * i128::from(new) / i128::from(old);
        prop_assert_eq!((i128::from(split.held.0), split.fraction.0), (exact, i64::from(exact == 0)));
    }

    #[test]
    fn a_price_is_divided_by_the_ratio(price in 1..1_000_000 * E9, new in 1..=1_000_i64, old in 1..=1_000_i64) {
        let adjusted = ratio(new, old).adjust_price(Price(price)).unwrap();
        let twice_error = 2 * (i128::from(adjusted.0) * i128::from(new) - i128::from(price) * i128::from(old));
        prop_assert!(twice_error.abs() <= i128::from(new));
    }

    /// One decision after the other, each rescaling what it knows at each split, sees what is computed
    /// from scratch at each decision; and a split in the future, known or not, changes nothing.
    #[test]
    fn rescaling_as_it_happens_equals_adjusting_from_scratch((bars, actions) in history()) {
        let calendar = Calendar::xnys();
        let mut sorted = actions.clone();
        sorted.sort_by_key(|action| (action.ex_date, action.split()));
        let mut upcoming = sorted.iter().peekable();
        let mut window: Vec<Bar> = Vec::new();
        for (index, bar) in bars.iter().enumerate() {
            while let Some(action) = upcoming.next_if(|action| calendar.start_of(action.ex_date) < bar.close_ns) {
                if let Some(ratio) = action.split() {
                    for seen in &mut window {
                        *seen = domain::corporate_action::adjust_bar(seen, ratio)?;
                    }
                }
            }
            window.push(*bar);
            let scratch = adjust_as_of(&bars[..=index], &actions, calendar, bar.close_ns)?;
            prop_assert_eq!(&scratch, &window);
            let known: Vec<_> =
                actions.iter().copied().filter(|action| calendar.start_of(action.ex_date) < bar.close_ns).collect();
            prop_assert_eq!(&adjust_as_of(&bars[..=index], &known, calendar, bar.close_ns)?, &window);
        }
    }
}

/// Daily bars of a few weeks and some actions among them, in any order.
pub fn history() -> impl Strategy<Value = (Vec<Bar>, Vec<CorporateAction>)> {
    let bars = prop::collection::vec((1..=1_000_000_i64, 0..1_000_000_i64), 1..40).prop_map(|prices| {
        let sessions = Calendar::xnys().sessions(date("2020-06-01"), date("2020-08-31")).unwrap();
        prices
            .iter()
            .zip(sessions)
            .map(|((price, volume), session)| {
                bar(session.open_ns, session.close_ns, *price * 1_234_567, *volume)
            })
            .collect()
    });
    let action = (0..60_u64, 1..=9_i64, 1..=9_i64, any::<bool>()).prop_map(|(day, new, old, is_split)| {
        let ex_date = date("2020-06-02") + chrono::Days::new(day);
        let effect =
            if is_split { Effect::Split(ratio(new, old)) } else { Effect::Dividend(Price(new * E9)) };
        CorporateAction { ex_date, effect }
    });
    (bars, prop::collection::vec(action, 0..6))
}

fn bar(start_ns: i64, close_ns: i64, price: i64, volume: i64) -> Bar {
    Bar {
        start_ns,
        close_ns,
        open: Price(price),
        high: Price(price + price / 50),
        low: Price(price - price / 50),
        close: Price(price + price / 100),
        volume: Volume(volume),
    }
}

#[test]
fn a_reverse_split_pays_the_rest_in_cash() {
    let third = SplitRatio::from_e9(333_333_333).unwrap();
    assert_eq!(third.terms(), (1, 3));
    assert!(third.is_reverse() && !ratio(3, 2).is_reverse());
    let check = |ratio: SplitRatio, quantity: &str, held: &str, fraction: &str| {
        let split = ratio.split_quantity(quantity.parse().unwrap()).unwrap();
        assert_eq!((split.held.to_string().as_str(), split.fraction.to_string().as_str()), (held, fraction));
    };
    check(third, "300", "100", "0");
    check(third, "301", "100", "0.333333333");
    check(third, "-301", "-100", "-0.333333333");
    check(third, "2", "0", "0.666666667");
    check(third, "1.5", "0.5", "0");
    check(third, "0.000000002", "0", "0.000000001");
    check(third, "-0.000000002", "0", "-0.000000001");
    check(ratio(3, 2), "101", "151", "0.5");
    check(SplitRatio::from_e9(1_281_530_000).unwrap(), "100", "128", "0.153");
}

#[test]
fn what_leaves_the_range_is_an_error() {
    let error = ratio(2, 1).split_quantity(Quantity(i64::MAX / E9 * E9)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "quantity 9223372036000000000 (in its smallest unit) times 2 for 1 is out of range"
    );
    assert!(ratio(1, 1_000).adjust_price(Price(i64::MAX / 2)).is_err());
    assert!(ratio(7, 1).adjust_volume(Volume(i64::MAX / 2)).is_err());
    for invalid in [0, -1, i64::MIN] {
        assert!(SplitRatio::from_e9(invalid).is_err());
    }
    assert!(SplitRatio::from_terms(1, 0).is_err() && SplitRatio::from_terms(-1, 2).is_err());
    assert_eq!(ratio(1, i64::MAX).to_e9(), None, "nothing is left of it in nine decimals");
}

#[test]
fn a_dividend_pays_what_is_held() {
    let per_share: Price = "0.205".parse().unwrap();
    let cash = |held: &str| dividend_cash(per_share, held.parse().unwrap());
    assert_eq!(cash("300"), "61.5".parse().unwrap());
    assert_eq!(cash("-300"), "-61.5".parse().unwrap());
    assert_eq!(cash("0"), Amount::ZERO);
}

#[test]
fn the_wire_form_is_checked() {
    let wire = |ex_date: &str, kind: i32, value_e9: i64| {
        let ex_date = ex_date.to_owned();
        let action = v1::CorporateAction { symbol: "AAPL".into(), ex_date, kind, value_e9, origin: 0 };
        CorporateAction::from_wire(&action)
    };
    let (splits, dividends) = (v1::ActionKind::Split.into(), v1::ActionKind::Dividend.into());
    assert_eq!(wire("2014-06-09", splits, 7 * E9), Ok(split(date("2014-06-09"), ratio(7, 1))));
    let dividend =
        CorporateAction { ex_date: date("2020-11-06"), effect: Effect::Dividend(Price(205_000_000)) };
    assert_eq!(wire("2020-11-06", dividends, 205_000_000), Ok(dividend));
    assert_eq!(dividend.split(), None);
    assert_eq!(wire("soon", splits, E9), Err(InvalidAction::ExDate("soon".into())));
    assert_eq!(wire("2020-11-06", dividends, 0), Err(InvalidAction::Dividend(Price::ZERO)));
    assert!(matches!(wire("2020-11-06", splits, 0), Err(InvalidAction::Ratio(_))));
    assert_eq!(wire("2020-11-06", 9, 1), Err(InvalidAction::Kind(9)));
}

#[test]
fn an_action_on_a_closed_day_waits_for_the_next_session() {
    let calendar = Calendar::xnys();
    let effective =
        |ex_date: &str| split(date(ex_date), ratio(2, 1)).effective_session(calendar).map(|day| day.date);
    assert_eq!(effective("2014-06-09"), Ok(date("2014-06-09")));
    assert_eq!(effective("2014-06-07"), Ok(date("2014-06-09")));
    assert!(effective("2040-01-02").is_err());
}

/// Apple's recorded splits: the raw closes jump at each ex-date, the adjusted ones do not.
#[test]
fn recorded_splits_are_smoothed_away() {
    let calendar = Calendar::xnys();
    let file = std::fs::read_to_string(reference::data("corporate-actions.csv")).unwrap();
    let actions: Vec<_> = file
        .lines()
        .filter(|row| row.starts_with("AAPL,") && row.contains(",split,"))
        .map(|row| {
            let fields: Vec<&str> = row.split(',').collect();
            let value: Price = fields[3].parse().unwrap();
            split(date(fields[1]), SplitRatio::from_e9(value.0).unwrap())
        })
        .collect();
    assert_eq!(actions.len(), 4);
    let bars: Vec<Bar> = rows("bars-1h-AAPL.csv.gz")
        .iter()
        .map(|row| {
            let fields: Vec<&str> = row.split(',').collect();
            let start_ns = DateTime::parse_from_rfc3339(fields[2]).unwrap().timestamp_nanos_opt().unwrap();
            let price = |index: usize| fields[index].parse().unwrap();
            Bar {
                start_ns,
                close_ns: start_ns + Timeframe::H1.nanos(),
                open: price(3),
                high: price(4),
                low: price(5),
                close: price(6),
                volume: fields[7].parse().unwrap(),
            }
        })
        .collect();
    let adjusted = adjust_as_of(&bars, &actions, calendar, i64::MAX).unwrap();
    for action in &actions {
        let first = bars.partition_point(|bar| bar.close_ns <= calendar.start_of(action.ex_date));
        let overnight = |bars: &[Bar]| bars[first].open.to_f64() / bars[first - 1].close.to_f64();
        assert!(overnight(&bars) < 0.6, "raw prices fall on {}", action.ex_date);
        assert!((0.9..1.1).contains(&overnight(&adjusted)), "adjusted prices do not on {}", action.ex_date);
    }
    let before = |bar: &&Bar| bar.close_ns <= calendar.start_of(date("2000-06-21"));
    let (raw, restated) = (bars.iter().rfind(before).unwrap(), adjusted.iter().rfind(before).unwrap());
    let ratio = ratio(2 * 2 * 7 * 4, 1);
    let distance = (restated.close.0 - ratio.adjust_price(raw.close).unwrap().0).abs();
    assert!(distance <= 4, "rounded four times instead of once");
    assert_eq!(restated.volume.0, raw.volume.0 * 112);
}

#[test]
fn a_split_lacks_its_jump_where_prices_move_less_than_half_of_it() {
    for (close, open, new, lacks) in [
        (645.57, 92.70, 7.0, false),
        (645.57, 640.0, 7.0, true),
        (10.0, 99.0, 0.1, false),
        (10.0, 9.9, 0.1, true),
        // The other way round is no split either.
        (100.0, 200.0, 2.0, true),
        (100.0, 100.0, 1.05, false),
    ] {
        let found = lacks_jump(close, open, new, Showing::default());
        assert_eq!(found, lacks, "{close} to {open}, {new} for 1");
    }
    let strict = Showing { least: 0.04, moved: 0.9 };
    assert!(lacks_jump(100.0, 100.0, 1.05, strict) && lacks_jump(100.0, 30.0, 4.0, strict));
    assert!(!lacks_jump(100.0, 30.0, 4.0, Showing::default()));
}
