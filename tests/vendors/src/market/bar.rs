//! Bars, trades and quotes as the market knows them, before a vendor gives them its own shape.
//!
//! Prices are ten-thousandths of a dollar, times UTC nanoseconds, volumes shares.

use chrono::{Datelike, NaiveDate, Timelike};
use serde::{Deserialize, Serialize};

use crate::calendar::{self, MINUTE};

/// Ten-thousandths of a dollar as dollars.
#[must_use]
pub fn dollars(price: i64) -> f64 {
    price as f64 / 10_000.0
}

/// Dollars as the nearest ten-thousandths.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "prices are far below the limits of i64")]
pub fn ten_thousandths(dollars: f64) -> i64 {
    (dollars * 10_000.0).round() as i64
}

/// Open, high, low, close and volume from a moment on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// When it begins.
    pub start_ns: i64,
    /// First price.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
    /// Shares.
    pub volume: i64,
    /// Number of trades.
    pub trades: i64,
    /// Average price, weighted by volume.
    pub vwap: i64,
}

impl Bar {
    /// This bar and the next one as one.
    #[must_use]
    pub fn and(self, next: Self) -> Self {
        let volume = self.volume + next.volume;
        let turnover =
            i128::from(self.vwap) * i128::from(self.volume) + i128::from(next.vwap) * i128::from(next.volume);
        let vwap = if volume == 0 { next.close } else { as_i64(turnover / i128::from(volume)) };
        Self {
            start_ns: self.start_ns,
            open: self.open,
            high: self.high.max(next.high),
            low: self.low.min(next.low),
            close: next.close,
            volume,
            trades: self.trades + next.trades,
            vwap,
        }
    }

    /// With every price by the ratio `times` to `over`, and the volume the other way round.
    #[must_use]
    pub fn scaled(self, times: i64, over: i64) -> Self {
        let price = |price: i64| scale(price, times, over);
        Self {
            open: price(self.open),
            high: price(self.high),
            low: price(self.low),
            close: price(self.close),
            vwap: price(self.vwap),
            volume: scale(self.volume, over, times),
            ..self
        }
    }

    /// With every price multiplied; the volume stays.
    #[must_use]
    pub fn discounted(self, factor: f64) -> Self {
        let price = |price: i64| ten_thousandths(dollars(price) * factor);
        Self {
            open: price(self.open),
            high: price(self.high),
            low: price(self.low),
            close: price(self.close),
            vwap: price(self.vwap),
            ..self
        }
    }
}

/// `value · times / over`, rounded half away from nought.
#[must_use]
pub fn scale(value: i64, times: i64, over: i64) -> i64 {
    let (product, over) = (i128::from(value) * i128::from(times), i128::from(over));
    as_i64((product * 2 + over * product.signum()) / (over * 2))
}

fn as_i64(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    /// Unique for a symbol and day.
    pub id: i64,
    /// When.
    pub at_ns: i64,
    /// At what price.
    pub price: i64,
    /// How many shares.
    pub size: i64,
    /// The exchange's letter.
    pub exchange: String,
    /// Sale conditions.
    pub conditions: Vec<String>,
    /// A, B or C.
    pub tape: String,
}

/// The best bid and offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Since when.
    pub at_ns: i64,
    /// Highest bid.
    pub bid: i64,
    /// Its shares.
    pub bid_size: i64,
    /// Lowest offer.
    pub ask: i64,
    /// Its shares.
    pub ask_size: i64,
    /// A, B or C.
    pub tape: String,
}

/// How long a bar lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeframe {
    /// So many minutes, up to an hour.
    Minutes(i64),
    /// So many hours.
    Hours(i64),
    /// A session.
    Day,
    /// From Monday on.
    Week,
    /// So many months, from January on.
    Months(u32),
}

/// Where hours begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// On the full hour of New York's clocks.
    Clock,
    /// At the session's open, as Yahoo counts.
    Open,
}

impl Timeframe {
    /// Where the bar begins that holds the minute which begins at `start_ns`.
    #[must_use]
    pub fn start_of(self, start_ns: i64, anchor: Anchor) -> i64 {
        let local = calendar::new_york(start_ns);
        let date = local.date_naive();
        match self {
            Self::Minutes(_) | Self::Hours(_) => {
                let length = match self {
                    Self::Hours(hours) => hours * 60,
                    Self::Minutes(minutes) => minutes,
                    Self::Day | Self::Week | Self::Months(_) => 1,
                };
                let minute = i64::from(local.hour() * 60 + local.minute());
                let from = match anchor {
                    Anchor::Clock => 0,
                    Anchor::Open => 9 * 60 + 30,
                };
                start_ns - (minute - from).rem_euclid(length.max(1)) * MINUTE
            }
            Self::Day | Self::Week | Self::Months(_) => self.stamp(date, anchor),
        }
    }

    /// How the bar of a date is stamped: New York's midnight, or its session's open.
    fn stamp(self, date: NaiveDate, anchor: Anchor) -> i64 {
        let first = match self {
            Self::Week => date.week(chrono::Weekday::Mon).first_day(),
            Self::Months(months) => {
                let month0 = date.month0() / months.max(1) * months.max(1);
                NaiveDate::from_ymd_opt(date.year(), month0 + 1, 1).unwrap_or(date)
            }
            Self::Minutes(_) | Self::Hours(_) | Self::Day => date,
        };
        match anchor {
            Anchor::Clock => calendar::at(first, 0, 0),
            Anchor::Open if self == Self::Day => calendar::at(first, 9, 30),
            Anchor::Open => calendar::at(first, 0, 0),
        }
    }

    /// Whether bars of this length are made of whole sessions.
    #[must_use]
    pub const fn is_of_days(self) -> bool {
        matches!(self, Self::Day | Self::Week | Self::Months(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_round_half_away_from_nought() {
        assert_eq!(scale(10, 1, 4), 3);
        assert_eq!(scale(-10, 1, 4), -3);
        assert_eq!(scale(9, 1, 4), 2);
        assert_eq!(scale(7, 3, 1), 21);
    }

    #[test]
    fn bars_begin_where_their_vendor_says() {
        // 2026-01-05 10:47 in New York.
        let minute = 1_767_628_020 * 1_000_000_000;
        let clock = |frame: Timeframe| calendar::new_york(frame.start_of(minute, Anchor::Clock)).to_rfc3339();
        assert_eq!(clock(Timeframe::Minutes(15)), "2026-01-05T10:45:00-05:00");
        assert_eq!(clock(Timeframe::Hours(1)), "2026-01-05T10:00:00-05:00");
        assert_eq!(clock(Timeframe::Day), "2026-01-05T00:00:00-05:00");
        assert_eq!(clock(Timeframe::Months(1)), "2026-01-01T00:00:00-05:00");
        let open = |frame: Timeframe| calendar::new_york(frame.start_of(minute, Anchor::Open)).to_rfc3339();
        assert_eq!(open(Timeframe::Hours(1)), "2026-01-05T10:30:00-05:00");
        assert_eq!(open(Timeframe::Day), "2026-01-05T09:30:00-05:00");
    }
}
