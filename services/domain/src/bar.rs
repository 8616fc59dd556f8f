//! Bars and timeframes.

use std::fmt;
use std::str::FromStr;

use contracts::v1;

use crate::money::{Price, Volume};

/// Length of a bar's interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timeframe {
    /// One minute.
    M1,
    /// Five minutes.
    M5,
    /// Fifteen minutes.
    M15,
    /// Thirty minutes.
    M30,
    /// One hour.
    H1,
    /// One session; its close is the session's close.
    D1,
}

impl Timeframe {
    /// Every timeframe, shortest first.
    pub const ALL: [Self; 6] = [Self::M1, Self::M5, Self::M15, Self::M30, Self::H1, Self::D1];

    /// The name used in subjects and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::M1 => "1m",
            Self::M5 => "5m",
            Self::M15 => "15m",
            Self::M30 => "30m",
            Self::H1 => "1h",
            Self::D1 => "1d",
        }
    }

    /// Length in nanoseconds; a day counts 24 hours here, its bar ends with the session.
    #[must_use]
    pub fn nanos(self) -> i64 {
        const MINUTE: i64 = 60_000_000_000;
        match self {
            Self::M1 => MINUTE,
            Self::M5 => 5 * MINUTE,
            Self::M15 => 15 * MINUTE,
            Self::M30 => 30 * MINUTE,
            Self::H1 => 60 * MINUTE,
            Self::D1 => 24 * 60 * MINUTE,
        }
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What a timeframe must be, in words.
pub const EXPECTED: &str = "one of 1m, 5m, 15m, 30m, 1h, 1d";

/// A timeframe that is none of the known ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("timeframe {0:?}, expected {expected}", expected = EXPECTED)]
pub struct UnknownTimeframe(pub String);

impl FromStr for Timeframe {
    type Err = UnknownTimeframe;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|timeframe| timeframe.name() == text)
            .ok_or_else(|| UnknownTimeframe(text.to_owned()))
    }
}

/// The numbers of one closed bar. Symbol and timeframe stand beside it, so that it stays `Copy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Start of the interval, UTC nanoseconds.
    pub start_ns: i64,
    /// Close: the instant at which the bar is known, UTC nanoseconds.
    pub close_ns: i64,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Shares traded.
    pub volume: Volume,
}

impl Bar {
    /// Reads a bar event's body; `close_ns` is the event time. `None` when the start is missing.
    #[must_use]
    pub fn from_wire(bar: &v1::Bar, close_ns: i64) -> Option<Self> {
        Some(Self {
            start_ns: contracts::from_timestamp(bar.start.as_ref()?)?,
            close_ns,
            open: Price(bar.open_e9),
            high: Price(bar.high_e9),
            low: Price(bar.low_e9),
            close: Price(bar.close_e9),
            volume: Volume(bar.volume_e3),
        })
    }

    /// The wire body of this bar.
    #[must_use]
    pub fn to_wire(&self, symbol: &str, timeframe: Timeframe, origin: v1::Origin) -> v1::Bar {
        v1::Bar {
            symbol: symbol.to_owned(),
            timeframe: timeframe.name().to_owned(),
            start: Some(contracts::to_timestamp(self.start_ns)),
            open_e9: self.open.0,
            high_e9: self.high.0,
            low_e9: self.low.0,
            close_e9: self.close.0,
            volume_e3: self.volume.0,
            origin: origin.into(),
            vwap_e9: None,
            trade_count: None,
            made_of: String::new(),
        }
    }
}
