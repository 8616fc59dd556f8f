//! Market data as columns: what a backtest walks.
//!
//! A column is shared and read-only, so that it may be a mapped file as well as memory of its own, and so that
//! many runs can walk one copy. Prices are in 1e-9, volumes in 1e-3, times in UTC nanoseconds.
//!
//! Deliberately absent: where columns come from (the `history` crate), how they are walked (the `engine` crate).

use std::fmt;
use std::sync::Arc;

use crate::bar::{Bar, Timeframe};
use crate::corporate_action::CorporateAction;
use crate::money::{Price, Volume};

/// A shared, read-only column.
#[derive(Clone)]
pub struct Column(Arc<dyn AsRef<[i64]> + Send + Sync>);

impl Column {
    /// A column over anything that holds values.
    pub fn new(values: impl AsRef<[i64]> + Send + Sync + 'static) -> Self {
        Self(Arc::new(values))
    }

    /// Its values.
    #[must_use]
    pub fn values(&self) -> &[i64] {
        (*self.0).as_ref()
    }
}

impl From<Vec<i64>> for Column {
    fn from(values: Vec<i64>) -> Self {
        Self::new(values)
    }
}

impl fmt::Debug for Column {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Column({} values)", self.values().len())
    }
}

/// The bars of one symbol and timeframe, ascending by close, one per close.
#[derive(Clone, Debug)]
pub struct BarSeries {
    /// Source that the bars' ids are made with, see `contracts::bar_id`.
    pub source: Arc<str>,
    /// Symbol.
    pub symbol: Arc<str>,
    /// Timeframe.
    pub timeframe: Timeframe,
    /// Starts of the intervals.
    pub start_ns: Column,
    /// Closes of the intervals.
    pub close_ns: Column,
    /// First prices.
    pub open: Column,
    /// Highest prices.
    pub high: Column,
    /// Lowest prices.
    pub low: Column,
    /// Last prices.
    pub close: Column,
    /// Volumes.
    pub volume: Column,
}

impl BarSeries {
    /// A series of the given bars.
    #[must_use]
    pub fn of(source: &str, symbol: &str, timeframe: Timeframe, bars: &[Bar]) -> Self {
        let column = |of: fn(&Bar) -> i64| Column::from(bars.iter().map(of).collect::<Vec<_>>());
        Self {
            source: source.into(),
            symbol: symbol.into(),
            timeframe,
            start_ns: column(|bar| bar.start_ns),
            close_ns: column(|bar| bar.close_ns),
            open: column(|bar| bar.open.0),
            high: column(|bar| bar.high.0),
            low: column(|bar| bar.low.0),
            close: column(|bar| bar.close.0),
            volume: column(|bar| bar.volume.0),
        }
    }

    /// Number of bars.
    #[must_use]
    pub fn len(&self) -> usize {
        self.close_ns.values().len()
    }

    /// Whether it has no bars.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One bar.
    #[must_use]
    pub fn bar(&self, row: usize) -> Option<Bar> {
        let at = |column: &Column| column.values().get(row).copied();
        Some(Bar {
            start_ns: at(&self.start_ns)?,
            close_ns: at(&self.close_ns)?,
            open: Price(at(&self.open)?),
            high: Price(at(&self.high)?),
            low: Price(at(&self.low)?),
            close: Price(at(&self.close)?),
            volume: Volume(at(&self.volume)?),
        })
    }
}

/// A corporate action and what its event is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct DatedAction {
    /// Symbol.
    pub symbol: Arc<str>,
    /// Event time: before the first bar of the ex-date.
    pub event_ns: i64,
    /// Id of its event.
    pub event_id: String,
    /// The action.
    pub action: CorporateAction,
}

/// Everything that a run reads of the market.
#[derive(Clone, Debug, Default)]
pub struct MarketData {
    /// Series, by symbol, then timeframe.
    pub series: Vec<BarSeries>,
    /// Corporate actions, by event time, then symbol.
    pub actions: Vec<DatedAction>,
}
