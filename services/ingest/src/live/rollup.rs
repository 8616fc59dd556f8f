//! Longer bars from live minutes: the same bars as `history` makes of the same minutes, whatever their order.
//!
//! A longer bar is known when its last minute has come, when a later minute of its symbol has, or when its end is past
//! for a while: of a symbol that is thinly traded the last minute may never come. A minute that comes or changes after
//! that makes the bar anew, which is then a revision. What is kept are the minutes of the present session, so that
//! after a restart in the middle of an hour the tape's minutes give the whole hour.
//!
//! Pure. Deliberately absent: what of it is on the tape already (`import::stream`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::bar::{Bar, Timeframe};
use domain::calendar::Calendar;
use domain::money::Volume;
use history::resample::Places;

/// A longer bar of a symbol.
pub(super) type Long = (String, Timeframe, Bar);

/// The minutes of a session, and which longer bars are still to come.
#[derive(Debug)]
pub(super) struct Rollup {
    timeframes: Vec<Timeframe>,
    minutes: HashMap<String, BTreeMap<i64, Bar>>,
    /// Longer bars that have not been told, by close: symbol, timeframe and start.
    due: BTreeMap<i64, BTreeSet<(String, Timeframe, i64)>>,
}

impl Rollup {
    /// Makes bars of `timeframes`, each longer than a minute.
    pub(super) fn new(mut timeframes: Vec<Timeframe>) -> Self {
        timeframes.sort_unstable();
        Self { timeframes, minutes: HashMap::new(), due: BTreeMap::new() }
    }

    /// Takes a minute, and answers the longer bars that are known with it, shortest first.
    pub(super) fn take(&mut self, symbol: &str, minute: Bar) -> Vec<Long> {
        let minutes = self.minutes.entry(symbol.to_owned()).or_default();
        minutes.insert(minute.start_ns, minute);
        let newest_ns = minutes.last_key_value().map_or(minute.close_ns, |(_, newest)| newest.close_ns);
        let mut known = Vec::new();
        // Those that end no later than this minute begins have had their last one.
        if newest_ns == minute.close_ns {
            known.extend(self.overtaken(symbol, minute.start_ns));
        }
        for timeframe in self.timeframes.clone() {
            let Some((start_ns, close_ns)) = place(timeframe, &minute, symbol) else { continue };
            if newest_ns >= close_ns {
                self.settle(close_ns, symbol, timeframe, start_ns);
                known.extend(self.make(symbol, timeframe, start_ns, close_ns));
            } else {
                self.due.entry(close_ns).or_default().insert((symbol.to_owned(), timeframe, start_ns));
            }
        }
        known
    }

    /// A minute as it was told last.
    pub(super) fn minute(&self, symbol: &str, start_ns: i64) -> Option<&Bar> {
        self.minutes.get(symbol)?.get(&start_ns)
    }

    /// The longer bar of a place as its minutes make it now.
    pub(super) fn made(
        &self,
        symbol: &str,
        timeframe: Timeframe,
        start_ns: i64,
        close_ns: i64,
    ) -> Option<Bar> {
        self.make(symbol, timeframe, start_ns, close_ns).map(|(_, _, bar)| bar)
    }

    /// The longer bars that end at `through_ns` or before and have not been told.
    pub(super) fn due(&mut self, through_ns: i64) -> Vec<Long> {
        let later = self.due.split_off(&through_ns.saturating_add(1));
        let due = std::mem::replace(&mut self.due, later);
        let mut known = Vec::new();
        for (close_ns, places) in due {
            for (symbol, timeframe, start_ns) in places {
                known.extend(self.make(&symbol, timeframe, start_ns, close_ns));
            }
        }
        known
    }

    /// Forgets the minutes that closed before `close_ns`.
    pub(super) fn forget_before(&mut self, close_ns: i64) {
        for minutes in self.minutes.values_mut() {
            minutes.retain(|_, minute| minute.close_ns >= close_ns);
        }
        self.minutes.retain(|_, minutes| !minutes.is_empty());
    }

    fn overtaken(&mut self, symbol: &str, start_ns: i64) -> Vec<Long> {
        let mut found = Vec::new();
        for (close_ns, places) in self.due.range_mut(..=start_ns) {
            places.retain(|(of, timeframe, start)| {
                let is_it = of == symbol;
                if is_it {
                    found.push((*timeframe, *start, *close_ns));
                }
                !is_it
            });
        }
        self.due.retain(|_, places| !places.is_empty());
        let made = found
            .into_iter()
            .filter_map(|(timeframe, start_ns, close_ns)| self.make(symbol, timeframe, start_ns, close_ns));
        made.collect()
    }

    fn settle(&mut self, close_ns: i64, symbol: &str, timeframe: Timeframe, start_ns: i64) {
        if let Some(places) = self.due.get_mut(&close_ns) {
            places.remove(&(symbol.to_owned(), timeframe, start_ns));
            if places.is_empty() {
                self.due.remove(&close_ns);
            }
        }
    }

    fn make(&self, symbol: &str, timeframe: Timeframe, start_ns: i64, close_ns: i64) -> Option<Long> {
        let minutes = self.minutes.get(symbol)?.range(start_ns..close_ns).map(|(_, minute)| minute);
        let mut long: Option<Bar> = None;
        for minute in minutes {
            long = Some(match long {
                None => Bar { start_ns, close_ns, ..*minute },
                Some(long) => Bar {
                    high: long.high.max(minute.high),
                    low: long.low.min(minute.low),
                    close: minute.close,
                    volume: Volume(long.volume.0.checked_add(minute.volume.0).or_else(|| {
                        tracing::error!(symbol, "{symbol}: volume of the {timeframe} bar is out of range");
                        None
                    })?),
                    ..long
                },
            });
        }
        long.map(|bar| (symbol.to_owned(), timeframe, bar))
    }
}

/// Start and close of the longer bar that a minute belongs to; none for a day of which it is not.
fn place(timeframe: Timeframe, minute: &Bar, symbol: &str) -> Option<(i64, i64)> {
    Places::new(timeframe, Calendar::xnys()).place(minute, symbol).ok().flatten()
}

#[cfg(test)]
mod tests {
    use domain::money::Price;
    use history::resample;
    use proptest::prelude::*;

    use super::*;

    const MINUTE_NS: i64 = 60_000_000_000;
    /// Friday, 2026-11-27, 09:30 in New York: the session ends at 13:00.
    const OPEN_NS: i64 = 1_795_789_800_000_000_000;
    const MINUTES: i64 = 210;
    const LONGER: [Timeframe; 4] = [Timeframe::M5, Timeframe::M15, Timeframe::H1, Timeframe::D1];

    fn minute(at: i64, price: i64, volume: i64) -> Bar {
        let start_ns = OPEN_NS + at * MINUTE_NS;
        let price = |by: i64| Price((price + by) * 10_000_000);
        Bar {
            start_ns,
            close_ns: start_ns + MINUTE_NS,
            open: price(0),
            high: price(7),
            low: price(-7),
            close: price(volume % 7),
            volume: Volume(volume * 1_000),
        }
    }

    /// What stands on the tape in the end: of each close the last values told.
    fn told(minutes: &[Bar], at_the_end: bool) -> BTreeMap<(Timeframe, i64), Bar> {
        let mut rollup = Rollup::new(LONGER.to_vec());
        let mut told = BTreeMap::new();
        let mut known = Vec::new();
        for minute in minutes {
            known.extend(rollup.take("SPY", *minute));
        }
        if at_the_end {
            known.extend(rollup.due(i64::MAX - 1));
        }
        for (_, timeframe, bar) in known {
            told.insert((timeframe, bar.close_ns), bar);
        }
        told
    }

    /// The same of `history`, which has all minutes in their order.
    fn resampled(minutes: &BTreeMap<i64, Bar>) -> BTreeMap<(Timeframe, i64), Bar> {
        let bars: Vec<Bar> = minutes.values().copied().collect();
        let series = domain::series::BarSeries::of("live", "SPY", Timeframe::M1, &bars);
        let mut all = BTreeMap::new();
        for timeframe in LONGER {
            let long = resample(&series, timeframe, Calendar::xnys()).unwrap();
            let bars = (0..long.len()).filter_map(|row| long.bar(row));
            all.extend(bars.map(|bar| ((timeframe, bar.close_ns), bar)));
        }
        all
    }

    proptest! {
        /// Minutes that are late, left out, told twice or corrected come to the bars of history in the end.
        #[test]
        fn whatever_the_order_the_bars_are_those_of_history(
            told_minutes in prop::collection::vec((0..MINUTES, 9_000_i64..9_100, 1_i64..500), 1..120),
        ) {
            let minutes: Vec<Bar> =
                told_minutes.iter().map(|(at, price, volume)| minute(*at, *price, *volume)).collect();
            let last: BTreeMap<i64, Bar> = minutes.iter().map(|minute| (minute.start_ns, *minute)).collect();
            prop_assert_eq!(told(&minutes, true), resampled(&last));
        }
    }

    #[test]
    fn a_bar_is_known_with_its_last_minute_or_with_a_later_one() {
        let mut rollup = Rollup::new(vec![Timeframe::M5]);
        let mut take = |at| {
            let known = rollup.take("SPY", minute(at, 9_000, 1));
            known.iter().map(|(_, _, bar)| (bar.start_ns - OPEN_NS) / MINUTE_NS).collect::<Vec<_>>()
        };
        assert_eq!(take(0), Vec::<i64>::new());
        assert_eq!(take(4), [0], "its last minute");
        assert_eq!(take(2), [0], "a late one makes it anew");
        assert_eq!(take(7), Vec::<i64>::new());
        assert_eq!(take(11), [5], "its last minute never came, and a later one did");
        assert_eq!(rollup.due(OPEN_NS + 14 * MINUTE_NS), []);
        let due = rollup.due(OPEN_NS + 15 * MINUTE_NS);
        assert_eq!(due.len(), 1, "its end is past");
        assert_eq!(rollup.due(i64::MAX - 1), []);
    }

    #[test]
    fn the_first_hour_is_on_the_clock_and_the_day_is_the_session() {
        let minutes: Vec<Bar> = (0..MINUTES).map(|at| minute(at, 9_000 + at, 1)).collect();
        let told = told(&minutes, false);
        let hours: Vec<i64> = told
            .iter()
            .filter(|((timeframe, _), _)| *timeframe == Timeframe::H1)
            .map(|(_, bar)| (bar.start_ns - OPEN_NS) / MINUTE_NS)
            .collect();
        assert_eq!(hours, [-30, 30, 90, 150]);
        let day = told[&(Timeframe::D1, OPEN_NS + MINUTES * MINUTE_NS)];
        assert_eq!((day.start_ns, day.volume.0), (OPEN_NS, MINUTES * 1_000));
    }
}
