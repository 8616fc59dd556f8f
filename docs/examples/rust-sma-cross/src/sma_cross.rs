//! sma_cross: long while the fast simple moving average of closes is above the slow one.
//!
//! The twin of the built-in strategy of that name. Enters long, when flat, on the bar at which fast > slow after
//! fast < slow on the bar before; exits, when it holds, on the bar at which fast < slow after fast > slow. After a
//! bar at which both are equal nothing crosses. The averages are compared as exact whole sums, so equal is equal.
//!
//! Replace `SmaCross` with your own idea: `on_bar` gets every bar, oldest first, and answers with wishes.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet, VecDeque};

use crate::tape::Wish;
use crate::tape::v1::{Bar, CorporateAction, Intent};

/// A strategy as the deck runs it.
pub trait Strategy {
    /// Takes a closed bar; `held` is what this strategy holds of the symbol, in 1e-9 share.
    fn on_bar(&mut self, bar: &Bar, close_ns: i64, held: i64) -> Vec<Wish>;

    /// Restates what is remembered in the shares that exist after a split.
    fn on_split(&mut self, action: &CorporateAction);
}

/// The last closes of one symbol and timeframe, in 1e-9 of the currency.
#[derive(Default)]
struct Series {
    closes: VecDeque<i64>,
    relation: Option<Ordering>,
    newest_ns: i64,
}

/// The strategy.
pub struct SmaCross {
    fast: usize,
    slow: usize,
    series: HashMap<(String, String), Series>,
    splits: HashSet<(String, String)>,
}

impl SmaCross {
    /// With windows of `fast` < `slow` bars; it knows nothing yet.
    pub fn new(fast: usize, slow: usize) -> Self {
        Self { fast, slow, series: HashMap::new(), splits: HashSet::new() }
    }
}

/// The sum of the last `count` closes; `None` until there are so many.
fn sum(closes: &VecDeque<i64>, count: usize) -> Option<i128> {
    let first = closes.len().checked_sub(count)?;
    Some(closes.iter().skip(first).map(|close| i128::from(*close)).sum())
}

/// How fast compares to slow.
fn compare(closes: &VecDeque<i64>, fast: usize, slow: usize) -> Option<Ordering> {
    let (fast_sum, slow_sum) = (sum(closes, fast)?, sum(closes, slow)?);
    Some((fast_sum * slow as i128).cmp(&(slow_sum * fast as i128)))
}

impl Strategy for SmaCross {
    fn on_bar(&mut self, bar: &Bar, close_ns: i64, held: i64) -> Vec<Wish> {
        let (fast, slow) = (self.fast, self.slow);
        let series = self.series.entry((bar.symbol.clone(), bar.timeframe.clone())).or_default();
        if close_ns <= series.newest_ns {
            return Vec::new();
        }
        series.newest_ns = close_ns;
        series.closes.push_back(bar.close_e9);
        if series.closes.len() > slow {
            series.closes.pop_front();
        }
        let before = std::mem::replace(&mut series.relation, compare(&series.closes, fast, slow));
        let (Some(before), Some(now)) = (before, series.relation) else { return Vec::new() };
        let (intent, word) = if before.is_lt() && now.is_gt() && held == 0 {
            (Intent::EnterLong, "above")
        } else if before.is_gt() && now.is_lt() && held > 0 {
            (Intent::Exit, "below")
        } else {
            return Vec::new();
        };
        let mean = |count: usize| sum(&series.closes, count).unwrap_or_default() as f64 / count as f64 / 1e9;
        let close = bar.close_e9 as f64 / 1e9;
        vec![Wish {
            symbol: bar.symbol.clone(),
            intent,
            indicators: vec![("sma_fast", mean(fast)), ("sma_slow", mean(slow)), ("close", close)],
            reason: format!("the average of {fast} closes crossed {word} the average of {slow}"),
        }]
    }

    fn on_split(&mut self, action: &CorporateAction) {
        if !self.splits.insert((action.symbol.clone(), action.ex_date.clone())) {
            return;
        }
        let Some((new, old)) = ratio(action.value_e9) else { return };
        for ((_, _), series) in self.series.iter_mut().filter(|((symbol, _), _)| *symbol == action.symbol) {
            for close in &mut series.closes {
                *close = divide(i128::from(*close) * old, new);
            }
            series.relation = compare(&series.closes, self.fast, self.slow);
        }
    }
}

/// New and old shares of a ratio. Nine decimals are the written form of a fraction with small terms: 0.333333333
/// is one for three. Such a fraction is a convergent of the number (Legendre).
fn ratio(value_e9: i64) -> Option<(i128, i128)> {
    const SCALE: i128 = 1_000_000_000;
    let value = i128::from(value_e9);
    if value <= 0 {
        return None;
    }
    let (mut numerator, mut denominator) = (value, SCALE);
    let (mut new, mut previous_new, mut old, mut previous_old) = (1, 0, 0, 1);
    while denominator != 0 {
        let term = numerator / denominator;
        (new, previous_new) = (term * new + previous_new, new);
        (old, previous_old) = (term * old + previous_old, old);
        if new > 10_000 || old > 10_000 {
            break;
        }
        if (new * SCALE - value * old).abs() < old {
            return Some((new, old));
        }
        (numerator, denominator) = (denominator, numerator % denominator);
    }
    Some((value, SCALE))
}

/// Divides and rounds half to even; both are positive.
fn divide(numerator: i128, denominator: i128) -> i64 {
    let (whole, rest) = (numerator / denominator, numerator % denominator);
    let up = match (rest * 2).cmp(&denominator) {
        Ordering::Less => false,
        Ordering::Equal => whole % 2 != 0,
        Ordering::Greater => true,
    };
    i64::try_from(whole + i128::from(up)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_is_read_as_the_fraction_it_stands_for() {
        assert_eq!(ratio(333_333_333), Some((1, 3)));
        assert_eq!(ratio(2_000_000_000), Some((2, 1)));
        assert_eq!((divide(100, 8), divide(300, 8), divide(301, 8)), (12, 38, 38));
    }
}
