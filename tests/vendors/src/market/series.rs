//! Prices that follow from a seed: any minute of any day at once, without the minutes before it.
//!
//! A price is smooth noise over several periods (value noise), so that a trend, a swing and a flutter are there
//! and the close of a minute is the open of the next. Deliberately absent: any claim that real prices move so.

use crate::calendar::{MINUTE, Session};
use crate::id;

use super::bar::{Bar, Quote, Trade};
use super::listing::Listing;

/// Minutes of a full session, by which minutes are numbered.
const DAY: i64 = 390;
/// Period in minutes and the part of the price that it moves.
const OCTAVES: [(i64, f64); 5] =
    [(250 * DAY, 0.25), (20 * DAY, 0.06), (2 * DAY, 0.02), (30, 0.004), (1, 0.0006)];

/// What the prices of one symbol follow from.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    seed: u64,
    price: f64,
    volume: i64,
}

impl Series {
    /// The series of a listing.
    #[must_use]
    pub fn of(listing: &Listing, seed: u64) -> Self {
        let seed = id::mix(seed ^ id::of(&listing.symbol));
        Self { seed, price: listing.price, volume: listing.volume.max(1) }
    }

    fn noise(&self, octave: u64, place: i64) -> f64 {
        id::unit(id::mix(self.seed ^ (octave << 56) ^ place.cast_unsigned())) * 2.0 - 1.0
    }

    /// The price at the start of a minute, in ten-thousandths of a dollar on whole ticks.
    fn price(&self, minute: i64) -> i64 {
        let moved: f64 = (0..)
            .zip(OCTAVES)
            .map(|(octave, (period, part))| {
                let (place, within) = (minute.div_euclid(period), minute.rem_euclid(period));
                let at = within as f64 / period as f64;
                let smooth = at * at * (3.0 - 2.0 * at);
                let (here, next) = (self.noise(octave, place), self.noise(octave, place + 1));
                part * (here + (next - here) * smooth)
            })
            .sum();
        let price = super::bar::ten_thousandths(self.price * (1.0 + moved));
        let tick = Self::tick(price);
        (price / tick).max(1) * tick
    }

    /// A cent, or a hundredth of it below a dollar.
    const fn tick(price: i64) -> i64 {
        if price < 10_000 { 1 } else { 100 }
    }

    fn draw(&self, minute: i64, what: u64) -> u64 {
        id::mix(self.seed ^ id::mix(minute.cast_unsigned().wrapping_mul(31) ^ what))
    }

    fn below(&self, minute: i64, what: u64, limit: i64) -> i64 {
        i64::try_from(self.draw(minute, what) % limit.max(1).cast_unsigned()).unwrap_or_default()
    }

    /// The bar of a session's minute.
    #[must_use]
    pub fn minute(&self, session: &Session, minute: i64) -> Bar {
        let number = session.ordinal * DAY + minute;
        let (open, close) = (self.price(number), self.price(number + 1));
        let tick = Self::tick(open.min(close));
        let reach = |what| self.below(number, what, 6) * tick;
        let (high, low) = (open.max(close) + reach(1), (open.min(close) - reach(2)).max(tick));
        let volume = 1 + self.volume / 2 + self.below(number, 3, self.volume);
        Bar {
            start_ns: session.open_ns + minute * MINUTE,
            open,
            high,
            low,
            close,
            volume,
            trades: 1 + volume / 60,
            vwap: (open + high + low + close) / 4,
        }
    }

    /// Trade `index` of the `count` in a bar's minute; the first is at the open, the last at the close.
    #[must_use]
    pub fn trade(&self, bar: &Bar, index: i64, count: i64, tape: &str) -> Trade {
        let price = match index {
            0 => bar.open,
            last if last == count - 1 => bar.close,
            1 => bar.high,
            2 => bar.low,
            _ => bar.vwap / Self::tick(bar.vwap).max(1) * Self::tick(bar.vwap).max(1),
        };
        Trade {
            id: bar.start_ns / MINUTE % 1_000_000 * 100 + index,
            at_ns: moment(bar.start_ns, index, count, 0),
            price,
            size: (bar.volume / count.max(1)).max(1),
            exchange: "V".into(),
            conditions: vec!["@".into()],
            tape: tape.into(),
        }
    }

    /// Quote `index` of the `count` in a bar's minute.
    #[must_use]
    pub fn quote(&self, bar: &Bar, index: i64, count: i64, tape: &str) -> Quote {
        let middle = bar.open + (bar.close - bar.open) * (index + 1) / (count + 1);
        let tick = Self::tick(middle);
        let bid = (middle / tick * tick - tick).max(tick);
        let number = bar.start_ns / MINUTE;
        let size = |what| 100 * (1 + self.below(number * 97 + index, what, 20));
        Quote {
            at_ns: moment(bar.start_ns, index, count, 1),
            bid,
            bid_size: size(4),
            ask: bid + 2 * tick,
            ask_size: size(5),
            tape: tape.into(),
        }
    }
}

/// When the `index`-th of `count` things of a minute happens; kinds differ by a nanosecond.
#[must_use]
pub const fn moment(start_ns: i64, index: i64, count: i64, kind: i64) -> i64 {
    start_ns + MINUTE / (count + 1) * (index + 1) + kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar;

    #[test]
    fn minutes_follow_from_the_seed_and_join_each_other() {
        let series = Series::of(&Listing::share("AAPL", "Apple", 187.5), 7);
        let session = chrono::NaiveDate::from_ymd_opt(2026, 1, 5).and_then(calendar::session).unwrap();
        for minute in 0..session.minutes() {
            let bar = series.minute(&session, minute);
            assert_eq!(bar, series.minute(&session, minute));
            assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close), "{bar:?}");
            assert!(bar.low > 0 && bar.volume > 0 && bar.open % 100 == 0);
            assert_eq!(bar.close, series.minute(&session, minute + 1).open);
        }
        let other = Series::of(&Listing::share("AAPL", "Apple", 187.5), 8);
        assert_ne!(other.minute(&session, 0), series.minute(&session, 0));
        let bar = series.minute(&session, 3);
        assert_eq!(series.trade(&bar, 0, 5, "C").price, bar.open);
        assert_eq!(series.trade(&bar, 4, 5, "C").price, bar.close);
        let quote = series.quote(&bar, 2, 5, "C");
        assert!(quote.bid < quote.ask && quote.at_ns < bar.start_ns + MINUTE);
    }
}
