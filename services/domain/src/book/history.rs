//! What symbols did of late, bar by bar: ranges, returns, how much they move together.
//!
//! A symbol's bars are those that price it, of whatever timeframe, one per time of close; splits restate them.
//! Returns are compared only at times that all symbols have in common. Floats: these are statistics.
//!
//! Deliberately absent: what they are for (`crate::risk`, `crate::sizing`), imported history.

use std::collections::{BTreeMap, VecDeque};

use chrono::Days;

use crate::bar::Bar;
use crate::calendar::Calendar;
use crate::corporate_action::SplitRatio;
use crate::money::Price;

/// Most bars kept of a symbol.
pub const HISTORY_MAX: usize = 256;
/// Fewest returns that say anything.
pub const RETURNS_MIN: usize = 30;

/// A bar of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastBar {
    /// Close, UTC nanoseconds.
    pub close_ns: i64,
    /// Highest, lowest and last price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Time up to which splits are in the prices.
    splits_ns: i64,
    /// Start of the bar, where anything was traded in it.
    traded_ns: Option<i64>,
}

/// Bars of late, by symbol.
#[derive(Clone, Debug, Default)]
pub struct History {
    bars: BTreeMap<String, VecDeque<PastBar>>,
}

/// The spread of a symbol's returns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Volatility {
    /// Standard deviation of returns per bar.
    pub per_bar: f64,
    /// The same for a year of 252 sessions, as many bars a session as it has room for.
    pub yearly: f64,
    /// Returns it is measured on.
    pub bars: u32,
}

impl History {
    /// Takes a bar. One older than the newest changes nothing; one of the same close takes its place.
    pub fn observe(&mut self, symbol: &str, bar: &Bar) {
        if bar.close.0 <= 0 {
            return;
        }
        let past = PastBar {
            close_ns: bar.close_ns,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            splits_ns: bar.close_ns,
            traded_ns: (bar.volume.0 > 0).then_some(bar.start_ns),
        };
        let Some(bars) = self.bars.get_mut(symbol) else {
            self.bars.insert(symbol.to_owned(), VecDeque::from([past]));
            return;
        };
        match bars.back_mut() {
            Some(last) if last.close_ns > past.close_ns => return,
            Some(last) if last.close_ns == past.close_ns => *last = past,
            _ => bars.push_back(past),
        }
        if bars.len() > HISTORY_MAX {
            bars.pop_front();
        }
    }

    /// Takes the new values of a bar that is known.
    pub fn revise(&mut self, symbol: &str, bar: &Bar) {
        let bars = self.bars.get_mut(symbol).into_iter().flatten();
        for past in bars.filter(|past| past.close_ns == bar.close_ns && past.splits_ns == bar.close_ns) {
            (past.high, past.low, past.close) = (bar.high, bar.low, bar.close);
        }
    }

    /// Restates bars from before a split. A split seen twice restates once.
    pub fn split(&mut self, symbol: &str, ratio: SplitRatio, effective_ns: i64) {
        for past in self.bars.get_mut(symbol).into_iter().flatten() {
            if past.splits_ns >= effective_ns {
                continue;
            }
            let adjusted = [past.high, past.low, past.close].map(|price| ratio.adjust_price(price));
            if let [Ok(high), Ok(low), Ok(close)] = adjusted {
                (past.high, past.low, past.close) = (high, low, close);
                past.splits_ns = effective_ns;
            }
        }
    }

    /// Whether a bar that begins at `time_ns` or later has trades.
    #[must_use]
    pub fn traded_since(&self, symbol: &str, time_ns: i64) -> bool {
        self.of(symbol).rev().any(|bar| bar.traded_ns.is_some_and(|traded_ns| traded_ns >= time_ns))
    }

    /// The bars known of a symbol, oldest first.
    pub fn of(&self, symbol: &str) -> impl DoubleEndedIterator<Item = &PastBar> + ExactSizeIterator {
        static NONE: VecDeque<PastBar> = VecDeque::new();
        self.bars.get(symbol).unwrap_or(&NONE).iter()
    }

    /// Returns of several symbols at the last times that all of them have, at most `most`, oldest first; one
    /// series per symbol, all of one length.
    #[must_use]
    pub fn returns(&self, symbols: &[&str], most: usize) -> Vec<Vec<f64>> {
        self.returns_through(symbols, most, i64::MAX)
    }

    /// [`History::returns`] as they were known at `through_ns`: of bars that had closed by then.
    #[must_use]
    pub fn returns_through(&self, symbols: &[&str], most: usize, through_ns: i64) -> Vec<Vec<f64>> {
        let mut closes: Vec<Vec<f64>> = vec![Vec::new(); symbols.len()];
        let known: Option<Vec<&VecDeque<PastBar>>> =
            symbols.iter().map(|name| self.bars.get(*name)).collect();
        let Some(known) = known.filter(|known| !known.is_empty()) else { return closes };
        // From the newest bar backwards, each symbol by itself: times ascend within a symbol.
        let closed = |bars: &&VecDeque<PastBar>| bars.partition_point(|bar| bar.close_ns <= through_ns);
        let mut left: Vec<usize> = known.iter().map(closed).collect();
        while closes[0].len() <= most && left.iter().all(|left| *left > 0) {
            let newest = known.iter().zip(&left).map(|(bars, left)| bars[left - 1].close_ns);
            // Nothing later than the earliest of them can be common.
            let time_ns = newest.min().unwrap_or(i64::MIN);
            let mut common = true;
            for (bars, left) in known.iter().zip(&mut left) {
                while *left > 0 && bars[*left - 1].close_ns > time_ns {
                    *left -= 1;
                }
                common &= *left > 0 && bars[*left - 1].close_ns == time_ns;
            }
            if common {
                for ((bars, left), closes) in known.iter().zip(&mut left).zip(&mut closes) {
                    *left -= 1;
                    closes.push(bars[*left].close.to_f64());
                }
            }
        }
        // Newest first: each with the close of the one before it.
        let series = |closes: Vec<f64>| closes.windows(2).rev().map(|pair| pair[0] / pair[1] - 1.0).collect();
        closes.into_iter().map(series).collect()
    }

    /// Mean of the true ranges of the last `bars` bars; `None` when there are too few.
    #[must_use]
    pub fn average_true_range(&self, symbol: &str, bars: usize) -> Option<Price> {
        let known: Vec<&PastBar> = self.of(symbol).rev().take(bars.checked_add(1)?).collect();
        if bars == 0 || known.len() <= bars {
            return None;
        }
        // Newest first: each with the close of the one before it.
        let ranges = known.windows(2).map(|pair| {
            let (bar, before) = (pair[0], i128::from(pair[1].close.0));
            i128::from(bar.high.0).max(before) - i128::from(bar.low.0).min(before)
        });
        let mean = ranges.sum::<i128>() / i128::try_from(bars).ok()?;
        i64::try_from(mean).ok().map(Price).filter(|range| range.0 > 0)
    }

    /// The spread of the last `bars` returns; `None` with fewer than [`RETURNS_MIN`] or without any movement.
    #[must_use]
    pub fn volatility(&self, symbol: &str, bars: usize, calendar: &Calendar) -> Option<Volatility> {
        let returns = self.returns(&[symbol], bars).pop()?;
        if returns.len() < RETURNS_MIN {
            return None;
        }
        let per_bar = deviation(&returns)?;
        let closes: Vec<i64> =
            self.of(symbol).rev().take(returns.len() + 1).map(|past| past.close_ns).collect();
        let yearly = per_bar * (252.0 * bars_a_session(&closes, calendar)?).sqrt();
        let bars = u32::try_from(returns.len()).unwrap_or(u32::MAX);
        (per_bar > 0.0 && yearly.is_finite()).then_some(Volatility { per_bar, yearly, bars })
    }
}

/// How many bars a session has room for, from their closes, newest first: its length over the least time between two of
/// them. What a window holds of its first and last session says nothing of a whole one. `None` where the calendar knows no
/// session of that time.
fn bars_a_session(closes: &[i64], calendar: &Calendar) -> Option<f64> {
    let between = closes.windows(2).map(|pair| pair[0].saturating_sub(pair[1])).min()?.max(1);
    let date = |close_ns: &i64| calendar.date_of(close_ns.saturating_sub(1));
    // Those of a week before count too, so that a short session by itself is not taken for a usual one.
    let from = date(closes.last()?).checked_sub_days(Days::new(7))?.max(calendar.first_date());
    let sessions = calendar.sessions(from, date(closes.first()?)).ok()?;
    let longest = sessions.iter().map(|session| session.close_ns.saturating_sub(session.open_ns)).max()?;
    // An hour of 09:30 to 16:00 is seven bars, the first of which is half of one.
    let bars = longest.saturating_add(between / 2) / between;
    Some(f64::from(u32::try_from(bars).ok()?.max(1)))
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard deviation with one degree of freedom less; `None` with fewer than two values.
#[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
fn deviation(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let centre = mean(values);
    let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

/// A series less its mean, to be correlated with others of its length.
#[derive(Clone, Debug, PartialEq)]
pub struct Centred {
    values: Vec<f64>,
    /// Sum of their squares.
    spread: f64,
}

impl Centred {
    /// That of `series`.
    #[must_use]
    pub fn of(series: &[f64]) -> Self {
        let centre = mean(series);
        let values: Vec<f64> = series.iter().map(|value| value - centre).collect();
        let spread = values.iter().map(|value| value.powi(2)).sum();
        Self { values, spread }
    }

    /// Correlation with another one; `None` when they are not of one length or one of them does not move.
    #[must_use]
    pub fn correlation(&self, other: &Self) -> Option<f64> {
        if self.values.len() != other.values.len() || self.values.len() < 2 {
            return None;
        }
        let together: f64 = self.values.iter().zip(&other.values).map(|(x, y)| x * y).sum();
        let product = (self.spread * other.spread).sqrt();
        (product > 0.0).then(|| (together / product).clamp(-1.0, 1.0))
    }
}

/// Correlation of two series of one length; `None` when one of them does not move.
#[must_use]
pub fn correlation(first: &[f64], second: &[f64]) -> Option<f64> {
    Centred::of(first).correlation(&Centred::of(second))
}

/// The value below which a share of the values lies, between the two nearest in proportion; `None` without any.
#[must_use]
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred values")]
    let at = share.clamp(0.0, 1.0) * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last")]
    let below = at.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * at.fract())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::money::Volume;

    fn bar(close_ns: i64) -> Bar {
        let close = Price((100 + (close_ns * 7_919) % 50) * 1_000_000_000);
        let (open, high, low) = (close, close, close);
        Bar { start_ns: close_ns - 1, close_ns, open, high, low, close, volume: Volume::default() }
    }

    /// Whatever part of its sessions a window covers, a year has as many bars as sessions of them have room for.
    #[test]
    fn a_year_of_returns_is_counted_in_whole_sessions() {
        const MINUTE: i64 = 60_000_000_000;
        let calendar = Calendar::xnys();
        // The Friday after Thanksgiving has a short one.
        let sessions =
            calendar.sessions("2023-10-02".parse().unwrap(), "2024-01-31".parse().unwrap()).unwrap();
        let closes = |minutes: i64| {
            let of = move |session: &crate::calendar::Session| {
                let (close, step) = (session.close_ns, minutes * MINUTE);
                let all = (0..).map(move |index| close - index * step);
                let mut closes: Vec<i64> = all.take_while(|ns| *ns > session.open_ns).collect();
                closes.reverse();
                closes
            };
            sessions.iter().flat_map(of).collect::<Vec<i64>>()
        };
        for (minutes, a_session) in [(1, 390.0), (5, 78.0), (15, 26.0), (60, 7.0), (1_440, 1.0)] {
            let mut history = History::default();
            for (index, close_ns) in (0_i64..).zip(closes(minutes)) {
                history.observe("A", &Bar { start_ns: close_ns - MINUTE, close_ns, ..bar(index) });
                for bars in [30, 60].into_iter().filter(|bars| index % 3 == 0 && index >= *bars) {
                    let found = history.volatility("A", usize::try_from(bars).unwrap(), calendar).unwrap();
                    let yearly = found.per_bar * (252.0_f64 * a_session).sqrt();
                    assert!((found.yearly / yearly - 1.0).abs() < 1e-12, "{minutes} {found:?}");
                }
            }
        }
        let mut unknown = History::default();
        (0..60).for_each(|index| unknown.observe("A", &bar(index * 60 * MINUTE)));
        assert_eq!(unknown.volatility("A", 30, calendar), None, "1970 is in no calendar");
    }

    proptest! {
        /// As the definition says it, with sets.
        #[test]
        fn returns_are_of_the_last_times_that_all_have(
            times in prop::collection::vec(prop::collection::btree_set(0_i64..80, 0..60), 0..4),
            most in 0_usize..70,
            through in 0_i64..80,
        ) {
            let names = ["A", "B", "C", "D"];
            let mut history = History::default();
            for (name, times) in names.iter().zip(&times) {
                times.iter().for_each(|time| history.observe(name, &bar(*time)));
            }
            let mut common = times.iter().skip(1).fold(times.first().cloned().unwrap_or_default(), |all, own| {
                all.intersection(own).copied().collect::<BTreeSet<i64>>()
            });
            while common.len() > most + 1 {
                common.pop_first();
            }
            let closes: Vec<f64> = common.iter().map(|time| bar(*time).close.to_f64()).collect();
            let expected: Vec<f64> = closes.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
            let returns = history.returns(&names[..times.len()], most);
            prop_assert_eq!(returns, vec![expected; times.len()]);
            // What closed later is as if it had never been told.
            let mut before = History::default();
            for (name, times) in names.iter().zip(&times) {
                times.range(..=through).for_each(|time| before.observe(name, &bar(*time)));
            }
            let names = &names[..times.len()];
            prop_assert_eq!(history.returns_through(names, most, through), before.returns(names, most));
        }
    }
}
