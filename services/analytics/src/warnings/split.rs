//! Prices that jump as they do in a split, and splits without a jump of prices.

use chrono::NaiveDate;

use super::{Kind, Warning};

/// New shares for old ones, as splits usually are; the reverse of each is looked for too.
const RATIOS: [(u32, u32); 8] = [(2, 1), (3, 1), (3, 2), (4, 1), (5, 1), (7, 1), (10, 1), (20, 1)];
/// How far a jump may be from a ratio.
const TOLERANCE: f64 = 0.05;

/// The split that a move from `close` to the next session's `open` looks like, new shares for old ones.
#[must_use]
pub fn split_like(close: f64, open: f64) -> Option<(u32, u32)> {
    let ratio = close / open;
    let both = RATIOS.into_iter().flat_map(|(new, old)| [(new, old), (old, new)]);
    let distance = |(new, old): (u32, u32)| (ratio * f64::from(old) / f64::from(new) - 1.0).abs();
    let nearest = both.min_by(|left, right| distance(*left).total_cmp(&distance(*right)))?;
    (distance(nearest) <= TOLERANCE).then_some(nearest)
}

/// The warning that `symbol` jumps on `date` as in a split of `new` shares for `old` ones, and on `more` other dates.
#[must_use]
pub fn unstated_split(symbol: &str, date: NaiveDate, (new, old): (u32, u32), more: usize) -> Warning {
    let others = match more {
        0 => String::new(),
        1 => " (and on 1 other date)".to_owned(),
        more => format!(" (and on {more} other dates)"),
    };
    let text = format!(
        "{symbol} looks split {new}:{old} on {date}{others} and no split is stated then: either the corporate actions \
         lack one, which a file of them states, or the price itself moved that far or is wrong."
    );
    Warning::new(Kind::UnstatedSplit, text)
}

/// The warning that a split of `symbol` of `new` shares for `old` ones on `date`, and on `more` other dates, is stated,
/// and that prices show none.
#[must_use]
pub fn split_without_jump(symbol: &str, date: NaiveDate, (new, old): (i64, i64), more: usize) -> Warning {
    let others = match more {
        0 => String::new(),
        1 => " (and 1 other)".to_owned(),
        more => format!(" (and {more} others)"),
    };
    let text = format!(
        "{symbol}: a split {new}:{old} is stated for {date}{others} and its prices do not jump then: they are adjusted \
         for it already, or the action, its ratio or its date is wrong. What is held is split all the same."
    );
    Warning::new(Kind::SplitWithoutJump, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_dates_are_counted() {
        let told = |more| unstated_split("SPY", NaiveDate::default(), (2, 1), more).text;
        assert!(told(1).contains("(and on 1 other date)"), "{}", told(1));
        assert!(told(2).contains("(and on 2 other dates)"), "{}", told(2));
        assert!(!told(0).contains("other"), "{}", told(0));
    }

    #[test]
    fn a_split_without_a_jump_is_named_with_its_ratio_and_day() {
        let told = split_without_jump("AAPL", NaiveDate::default(), (7, 1), 1).text;
        assert!(told.starts_with("AAPL: a split 7:1 is stated for 1970-01-01 (and 1 other) and "), "{told}");
    }

    #[test]
    fn only_what_is_near_a_usual_ratio_looks_like_a_split() {
        assert_eq!(split_like(645.57, 92.70), Some((7, 1)));
        assert_eq!(split_like(150.0, 101.0), Some((3, 2)));
        assert_eq!(split_like(4.5, 45.1), Some((1, 10)));
        for (close, open) in [(100.0, 100.0), (100.0, 80.0), (100.0, 120.0), (100.0, 40.0), (100.0, 0.0)] {
            assert_eq!(split_like(close, open), None, "{close} to {open}");
        }
    }
}
