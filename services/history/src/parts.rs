//! Columns while they are being filled.

use std::sync::Arc;

use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use domain::series::{BarSeries, Column};

/// The seven columns of a series: start, close time, open, high, low, close, volume.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    pub(crate) columns: [Vec<i64>; 7],
}

impl Parts {
    pub(crate) fn len(&self) -> usize {
        self.columns[1].len()
    }

    pub(crate) fn closes(&self) -> &[i64] {
        &self.columns[1]
    }

    pub(crate) fn reserve(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.reserve(rows));
    }

    #[inline]
    pub(crate) fn push(&mut self, bar: &Bar) {
        let [start, at, open, high, low, close, volume] = &mut self.columns;
        start.push(bar.start_ns);
        at.push(bar.close_ns);
        open.push(bar.open.0);
        high.push(bar.high.0);
        low.push(bar.low.0);
        close.push(bar.close.0);
        volume.push(bar.volume.0);
    }

    /// One row, which must be there.
    pub(crate) fn row(&self, row: usize) -> Bar {
        let [start, at, open, high, low, close, volume] = &self.columns;
        Bar {
            start_ns: start[row],
            close_ns: at[row],
            open: Price(open[row]),
            high: Price(high[row]),
            low: Price(low[row]),
            close: Price(close[row]),
            volume: Volume(volume[row]),
        }
    }

    pub(crate) fn replace(&mut self, row: usize, bar: &Bar) {
        let values =
            [bar.start_ns, bar.close_ns, bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0];
        for (column, value) in self.columns.iter_mut().zip(values) {
            column[row] = value;
        }
    }

    /// Adds rows of columns as they are.
    pub(crate) fn extend(&mut self, columns: [&[i64]; 7]) {
        for (own, more) in self.columns.iter_mut().zip(columns) {
            own.extend_from_slice(more);
        }
    }

    pub(crate) fn slices(&self) -> [&[i64]; 7] {
        std::array::from_fn(|column| self.columns[column].as_slice())
    }

    /// The series that these columns are.
    pub(crate) fn into_series(self, source: &str, symbol: &str, timeframe: Timeframe) -> BarSeries {
        series(source, symbol, timeframe, self.columns.map(Column::from))
    }
}

/// A series of columns in their order.
pub(crate) fn series(source: &str, symbol: &str, timeframe: Timeframe, columns: [Column; 7]) -> BarSeries {
    let [start_ns, close_ns, open, high, low, close, volume] = columns;
    BarSeries {
        source: Arc::from(source),
        symbol: Arc::from(symbol),
        timeframe,
        start_ns,
        close_ns,
        open,
        high,
        low,
        close,
        volume,
    }
}

/// A part of a column that is shared.
pub(crate) struct Slice {
    column: Column,
    range: std::ops::Range<usize>,
}

impl AsRef<[i64]> for Slice {
    fn as_ref(&self) -> &[i64] {
        self.column.values().get(self.range.clone()).unwrap_or_default()
    }
}

/// Rows of a series, without copying them.
pub(crate) fn slice(whole: &BarSeries, range: std::ops::Range<usize>) -> BarSeries {
    if range == (0..whole.len()) {
        return whole.clone();
    }
    let columns = crate::hash::columns(whole)
        .map(|column| Column::new(Slice { column: column.clone(), range: range.clone() }));
    series(&whole.source, &whole.symbol, whole.timeframe, columns)
}
