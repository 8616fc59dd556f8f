//! Signals held against later prices, as if nobody had traded them: what a strategy in shadow mode is worth, and the
//! same for two strategies beside each other.
//!
//! A signal's price is the open of the first bar that begins at or after it, which is where a market order would have
//! filled. A forward return is the close of the n-th bar from there over that price, minus one; for a short entry with
//! the other sign. A trip leads from an entry to the strategy's next exit or turn in the same symbol. Prices are
//! compared in the shares of the exit: splits are counted, dividends, commissions and slippage are not.
//!
//! Deliberately absent: sizes. Every signal weighs the same.

use std::collections::BTreeMap;

use contracts::v1::{Intent, SignalLeg};
use serde::Serialize;

use crate::money::Price;

/// Bars after a signal whose forward returns are told.
pub const HORIZONS: [usize; 3] = [1, 5, 20];

/// What a signal wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To be long.
    Long,
    /// To be short.
    Short,
    /// To be flat.
    Flat,
}

impl Wanted {
    /// What a leg wants. What an order by hand sells is taken for an exit.
    #[must_use]
    pub fn of(leg: &SignalLeg) -> Self {
        match leg.intent() {
            Intent::EnterLong | Intent::Buy => Self::Long,
            Intent::EnterShort => Self::Short,
            Intent::Target if leg.weight_e9 > 0 => Self::Long,
            Intent::Target if leg.weight_e9 < 0 => Self::Short,
            Intent::Target | Intent::Exit | Intent::Sell | Intent::Unspecified => Self::Flat,
        }
    }

    fn sign(self) -> f64 {
        match self {
            Self::Long => 1.0,
            Self::Short => -1.0,
            Self::Flat => 0.0,
        }
    }
}

/// A bar after a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Later {
    /// Open, raw.
    pub open: Price,
    /// Close, raw.
    pub close: Price,
    /// Shares of that bar's day per share of the signal's day.
    pub split: f64,
}

/// One leg of a signal with what came after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Symbol.
    pub symbol: String,
    /// What it wants.
    pub wanted: Wanted,
    /// The next bars, at most as many as the last horizon, oldest first.
    pub later: Vec<Later>,
    /// The last bar of the symbol.
    pub last: Option<Later>,
    /// Shares of this signal's day per share of the first day of all.
    pub split: f64,
}

/// Returns over one number of bars.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Horizon {
    /// Bars.
    pub bars: usize,
    /// Entries that are so old.
    pub entries: usize,
    /// Share of them that went the right way; `None` without any.
    pub hit_rate: Option<f64>,
    /// Their mean return in the direction of the entry.
    pub mean_return: Option<f64>,
}

/// What a strategy's signals come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SignalScore {
    /// Legs of signals.
    pub signals: usize,
    /// Those that want a position.
    pub entries: usize,
    /// Those after which no bar has come yet.
    pub waiting: usize,
    /// Trips that have ended.
    pub trips: usize,
    /// Those that gained.
    pub trips_won: usize,
    /// `trips_won` of `trips`; `None` without any.
    pub hit_rate: Option<f64>,
    /// Mean return of a trip.
    pub mean_return: Option<f64>,
    /// Sum of the returns of the trips: each with the same money.
    pub total_return: Option<f64>,
    /// Lowest and highest return of a trip.
    pub worst: Option<f64>,
    /// See `worst`.
    pub best: Option<f64>,
    /// Trips that go on.
    pub open: usize,
    /// Their mean return at the last close.
    pub open_return: Option<f64>,
    /// Forward returns of the entries.
    pub horizons: Vec<Horizon>,
}

/// A trip that goes on.
struct Trip {
    wanted: Wanted,
    price: Price,
    split: f64,
    last: Option<Later>,
}

/// Scores signals, in the order in which they were given.
#[must_use]
pub fn score(signals: &[Scored]) -> SignalScore {
    let mut open: BTreeMap<&str, Trip> = BTreeMap::new();
    let (mut trips, mut forward) = (Vec::new(), vec![Vec::new(); HORIZONS.len()]);
    let mut score = SignalScore { signals: signals.len(), ..SignalScore::default() };
    for signal in signals {
        let (sign, enters) = (signal.wanted.sign(), signal.wanted != Wanted::Flat);
        score.entries += usize::from(enters);
        let Some(first) = signal.later.first() else {
            score.waiting += 1;
            continue;
        };
        if enters {
            for (returns, bars) in forward.iter_mut().zip(HORIZONS) {
                let later = signal.later.get(bars - 1);
                returns.extend(
                    later.map(|later| sign * change(first.open, later.close, later.split / first.split)),
                );
            }
        }
        // The same side again adds nothing to a trip that goes on.
        if open.get(signal.symbol.as_str()).is_some_and(|trip| enters && trip.wanted == signal.wanted) {
            continue;
        }
        let split = signal.split * first.split;
        if let Some(trip) = open.remove(signal.symbol.as_str()) {
            trips.push(trip.wanted.sign() * change(trip.price, first.open, split / trip.split));
        }
        if enters {
            let wanted = signal.wanted;
            open.insert(&signal.symbol, Trip { wanted, price: first.open, split, last: at_last(signal) });
        }
    }
    let still: Vec<f64> = open
        .values()
        .filter_map(|trip| {
            let last = trip.last?;
            Some(trip.wanted.sign() * change(trip.price, last.close, last.split / trip.split))
        })
        .collect();
    score.trips = trips.len();
    score.trips_won = trips.iter().filter(|change| **change > 0.0).count();
    score.hit_rate = share(score.trips_won, score.trips);
    score.mean_return = mean(&trips);
    score.total_return = (!trips.is_empty()).then(|| trips.iter().sum());
    score.worst = trips.iter().copied().reduce(f64::min);
    score.best = trips.iter().copied().reduce(f64::max);
    score.open = open.len();
    score.open_return = mean(&still);
    score.horizons = HORIZONS
        .into_iter()
        .zip(&forward)
        .map(|(bars, returns)| Horizon {
            bars,
            entries: returns.len(),
            hit_rate: share(returns.iter().filter(|change| **change > 0.0).count(), returns.len()),
            mean_return: mean(returns),
        })
        .collect();
    score
}

/// The last bar, in shares of the first day of all.
fn at_last(signal: &Scored) -> Option<Later> {
    signal.last.map(|last| Later { split: signal.split * last.split, ..last })
}

fn change(from: Price, to: Price, split: f64) -> f64 {
    to.to_f64() * split / from.to_f64() - 1.0
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::E9;

    fn later(open: i64, close: i64) -> Later {
        Later { open: Price(open * E9), close: Price(close * E9), split: 1.0 }
    }

    fn signal(wanted: Wanted, later_bars: &[Later], last: Later) -> Scored {
        let (symbol, later) = ("SPY".to_owned(), later_bars.to_vec());
        Scored { symbol, wanted, later, last: Some(last), split: 1.0 }
    }

    #[test]
    fn a_trip_leads_from_the_open_after_its_entry_to_the_open_after_its_exit() {
        let last = later(130, 132);
        let found = score(&[
            signal(Wanted::Long, &[later(100, 101), later(101, 110)], last),
            signal(Wanted::Long, &[later(104, 103)], last),
            signal(Wanted::Flat, &[later(110, 111)], last),
            signal(Wanted::Short, &[later(120, 126)], last),
        ]);
        assert_eq!((found.signals, found.entries, found.waiting), (4, 3, 0));
        assert_eq!((found.trips, found.trips_won, found.open), (1, 1, 1));
        assert!((found.mean_return.unwrap_or_default() - 0.10).abs() < 1e-12, "{found:?}");
        // Short at 120, 132 now.
        assert!((found.open_return.unwrap_or_default() + 0.10).abs() < 1e-12, "{found:?}");
        let first = &found.horizons[0];
        assert_eq!((first.bars, first.entries), (1, 3));
        assert_eq!(first.hit_rate, Some(1.0 / 3.0));
        assert_eq!(found.horizons[1].entries, 0);
    }

    #[test]
    fn a_split_between_entry_and_exit_is_no_loss() {
        let last = later(60, 60);
        let mut exit = signal(Wanted::Flat, &[later(55, 55)], last);
        exit.split = 2.0;
        let mut entry = signal(Wanted::Long, &[later(100, 100)], last);
        entry.last = Some(Later { split: 2.0, ..last });
        let found = score(&[entry.clone(), exit]);
        assert!((found.mean_return.unwrap_or_default() - 0.10).abs() < 1e-12, "{found:?}");
        let open = score(&[entry]);
        assert!((open.open_return.unwrap_or_default() - 0.20).abs() < 1e-12, "{open:?}");
    }

    #[test]
    fn a_target_is_the_side_of_its_weight() {
        let leg = |intent: Intent, weight_e9| SignalLeg {
            intent: intent.into(),
            weight_e9,
            ..SignalLeg::default()
        };
        let found = [-1, 0, 1].map(|weight_e9| Wanted::of(&leg(Intent::Target, weight_e9)));
        assert_eq!(found, [Wanted::Short, Wanted::Flat, Wanted::Long]);
        let found =
            [Intent::EnterLong, Intent::EnterShort, Intent::Exit].map(|intent| Wanted::of(&leg(intent, 1)));
        assert_eq!(found, [Wanted::Long, Wanted::Short, Wanted::Flat]);
    }

    #[test]
    fn what_no_bar_followed_waits() {
        let mut newest = signal(Wanted::Long, &[], later(1, 1));
        newest.last = None;
        let found = score(&[newest]);
        assert_eq!((found.waiting, found.trips, found.hit_rate), (1, 0, None));
    }
}
