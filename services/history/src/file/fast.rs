//! Parquet files of plain columns, a row group at a time and column by column.
//!
//! It either reads the whole file or says that it is none for it: a single row that would be rejected, repeated or
//! read in an unusual way, and the file goes to the reader of rows, which tells what is wrong and where. So the
//! outcome is always that of the reader of rows, and both are compared in the tests.
//!
//! Deliberately absent: error messages about rows.

use std::path::Path;

use chrono_tz::Tz;
use domain::bar::{Bar, Timeframe};
use domain::money::{Price, Volume};
use polars::prelude::{Column, DataFrame, DataType, ParallelStrategy, TimeUnit};

use super::check::{self, Placer};
use super::columns::{Columns, TimeColumns};
use super::table::{self, Table as _};
use super::time::{Clock, When};
use super::{Adjusted, FileError, ReadOptions, Series, infer, parquet};
use crate::parts::Parts;

/// Rows held at a time, at most.
const SLICE_ROWS: usize = 1 << 20;
const DAY_NS: i64 = 86_400_000_000_000;

/// Whether there is nothing unusual about a row; `None` hands the file to the reader of rows.
type Plain<T> = Option<T>;

/// The series of a file and the number of its rows.
type Whole = (Vec<(Series, Parts)>, u64);

/// The series of a plain Parquet file and the number of rows; `None` when the file must be read row by row.
pub(super) fn read(path: &Path, options: &ReadOptions) -> Result<Plain<Whole>, FileError> {
    if !table::is_parquet(path)? {
        return Ok(None);
    }
    let table = parquet::ParquetTable::open(path)?;
    let Ok(columns) = Columns::recognise(path, table.header()) else { return Ok(None) };
    let stated = columns.symbol.is_some() || options.symbol.is_some();
    if !stated || (columns.adjusted.is_some() && options.adjusted == Adjusted::Unstated) {
        return Ok(None);
    }
    let timeframe = infer::timeframe(path, &columns, options)?;
    let mut reader = Reader {
        placer: Placer::new(options.market),
        zone: infer::zone(&columns, options),
        symbol: options.symbol.clone().filter(|_| columns.symbol.is_none()),
        timeframe: timeframe.filter(|_| columns.timeframe.is_none()),
        columns,
        header: table.header().to_vec(),
        latest_ns: options.latest_ns.unwrap_or(i64::MAX),
        series: Vec::new(),
        guess: 0,
    };
    let mut read = 0;
    for slice in table.slices(SLICE_ROWS) {
        let frame = parquet::read_slice(path, slice, &reader.wanted(), ParallelStrategy::Auto)?;
        read += frame.height() as u64;
        if reader.frame(&frame).is_none() {
            return Ok(None);
        }
    }
    let series = reader.series.into_iter().map(|known| (known.series, known.parts)).collect();
    Ok(Some((series, read)))
}

struct Known {
    series: Series,
    parts: Parts,
    /// The series that came after this one's row the last time.
    next: usize,
}

struct Reader {
    placer: Placer,
    zone: Option<Tz>,
    symbol: Option<String>,
    timeframe: Option<Timeframe>,
    columns: Columns,
    header: Vec<String>,
    latest_ns: i64,
    series: Vec<Known>,
    guess: usize,
}

impl Reader {
    fn wanted(&self) -> Vec<String> {
        let Columns { symbol, timeframe, time, open, high, low, close, volume, .. } = &self.columns;
        let (time, second) = match time {
            TimeColumns::One(column) => (*column, None),
            TimeColumns::DateAndTime(date, time) => (*date, Some(*time)),
        };
        let all = [Some(time), second, *symbol, *timeframe];
        let all = all.into_iter().flatten().chain([*open, *high, *low, *close, *volume]);
        all.map(|column| self.header[column].clone()).collect()
    }

    fn frame(&mut self, frame: &DataFrame) -> Plain<()> {
        let column = |index: usize| frame.column(&self.header[index]).ok();
        let TimeColumns::One(time) = self.columns.time else { return None };
        let physical = column(time)?.to_physical_repr();
        let times = Times::new(column(time)?, &physical, self.zone)?;
        let [open, high, low, close] =
            [self.columns.open, self.columns.high, self.columns.low, self.columns.close]
                .map(|index| column(index).and_then(|column| numbers(column, 1_000_000_000)));
        let (open, high, low, close) = (open?, high?, low?, close?);
        let volume = numbers(column(self.columns.volume)?, 1_000)?;
        let text = |index: Option<usize>| match index {
            None => Some(None),
            Some(index) => {
                let text = column(index)?.str().ok()?;
                (text.null_count() == 0).then(|| text.downcast_iter().next()).map(Some)
            }
        };
        let (symbols, timeframes) =
            (text(self.columns.symbol)?.flatten(), text(self.columns.timeframe)?.flatten());
        if frame.height() == 0 {
            return Some(());
        }
        let missing = |index: Option<usize>, is_some: bool| index.is_some() && !is_some;
        if missing(self.columns.symbol, symbols.is_some())
            || missing(self.columns.timeframe, timeframes.is_some())
        {
            return None;
        }
        for row in 0..frame.height() {
            let symbol = symbols.map(|texts| texts.value(row));
            let timeframe = timeframes.map(|texts| texts.value(row));
            let index = self.find(symbol, timeframe, frame.height())?;
            let known = &mut self.series[index];
            let interval =
                self.placer.place(times.at(row, known.series.timeframe)?, known.series.timeframe).ok()?;
            let bar = Bar {
                start_ns: interval.start_ns,
                close_ns: interval.close_ns,
                open: Price(*open.get(row)?),
                high: Price(*high.get(row)?),
                low: Price(*low.get(row)?),
                close: Price(*close.get(row)?),
                volume: Volume(*volume.get(row)?),
            };
            let in_range = |price: Price| bar.low <= price && price <= bar.high;
            let numbers_fit = bar.low.0 > 0 && in_range(bar.open) && in_range(bar.close) && bar.volume.0 >= 0;
            let after_last = known.parts.closes().last().is_none_or(|last| {
                let earliest =
                    if known.series.timeframe == Timeframe::D1 { bar.close_ns - 1 } else { bar.start_ns };
                *last <= earliest
            });
            if !(numbers_fit && after_last) || bar.close_ns > self.latest_ns {
                return None;
            }
            known.parts.push(&bar);
        }
        Some(())
    }

    /// The series of a row. Files are sorted by series or by time, so that the next row's is that of this one or
    /// the one that followed it before.
    fn find(&mut self, symbol: Option<&str>, timeframe: Option<&str>, rows: usize) -> Plain<usize> {
        let is = |known: &Known| {
            symbol.is_none_or(|symbol| known.series.symbol.eq_ignore_ascii_case(symbol))
                && timeframe.is_none_or(|timeframe| known.series.timeframe.name() == timeframe)
        };
        let last = self.guess;
        if let Some(known) = self.series.get(last) {
            for index in [known.next, last] {
                if self.series.get(index).is_some_and(is) {
                    self.guess = index;
                    return Some(index);
                }
            }
        }
        let index = match self.series.iter().position(is) {
            Some(index) => index,
            None => {
                let symbol = symbol.or(self.symbol.as_deref())?;
                let timeframe = match timeframe {
                    Some(text) => text.parse().ok()?,
                    None => self.timeframe?,
                };
                let symbol = contracts::read_symbol(symbol).ok()?;
                let mut parts = Parts::default();
                if self.series.is_empty() && self.columns.symbol.is_none() {
                    parts.reserve(rows);
                }
                let series = Series { symbol, timeframe };
                self.series.push(Known { series, parts, next: self.series.len() });
                self.series.len() - 1
            }
        };
        if let Some(known) = self.series.get_mut(last) {
            known.next = index;
        }
        self.guess = index;
        Some(index)
    }
}

/// A column of times.
enum Times<'a> {
    /// Nanoseconds per unit, whether the zone is known, whether its clock is another than UTC's, and the values.
    Instants {
        unit_ns: i64,
        zoned: bool,
        elsewhere: bool,
        values: &'a [i64],
    },
    Dates(&'a [i32]),
}

impl<'a> Times<'a> {
    /// `physical` is the column as integers.
    fn new(column: &Column, physical: &'a Column, zone: Option<Tz>) -> Plain<Self> {
        match column.dtype() {
            DataType::Datetime(unit, written) => {
                let unit_ns = match unit {
                    TimeUnit::Nanoseconds => 1,
                    TimeUnit::Microseconds => 1_000,
                    TimeUnit::Milliseconds => 1_000_000,
                };
                // Local times of other zones than UTC are looked up one by one.
                let zoned = written.is_some() || zone == Some(Tz::UTC);
                if zone.is_some() && !zoned {
                    return None;
                }
                let elsewhere = written.as_ref().is_some_and(|zone| Clock::of(zone.as_str()).is_some());
                Some(Self::Instants {
                    unit_ns,
                    zoned,
                    elsewhere,
                    values: physical.i64().ok()?.cont_slice().ok()?,
                })
            }
            DataType::Date => Some(Self::Dates(physical.i32().ok()?.cont_slice().ok()?)),
            _ => None,
        }
    }

    #[inline]
    fn at(&self, row: usize, timeframe: Timeframe) -> Plain<When> {
        match self {
            Self::Instants { unit_ns, zoned, elsewhere, values } => {
                let ns = values.get(row)?.checked_mul(*unit_ns)?;
                if *zoned {
                    // The date of a day's bar is told by that clock, as in the reader of rows.
                    let is_plain = !*elsewhere || timeframe != Timeframe::D1;
                    return is_plain.then_some(When::Instant(ns));
                }
                // A date's midnight without zone, as in the reader of rows; any other local time needs a zone.
                let is_date = timeframe == Timeframe::D1 && ns.rem_euclid(DAY_NS) == 0;
                is_date.then(|| When::Date(chrono::DateTime::from_timestamp_nanos(ns).date_naive()))
            }
            Self::Dates(days) => super::time::date_of_days(*days.get(row)?).map(When::Date),
        }
    }
}

/// A column of prices or volumes in units of `1 / scale`; `None` when there is a value of an unusual kind.
fn numbers(column: &Column, scale: i64) -> Plain<Vec<i64>> {
    if column.null_count() > 0 {
        return None;
    }
    match column.dtype() {
        DataType::Float64 => {
            let values = column.f64().ok()?.cont_slice().ok()?;
            values.iter().map(|value| scaled(*value, scale)).collect()
        }
        DataType::Int64 | DataType::Int32 | DataType::UInt32 | DataType::Int16 | DataType::UInt16 => {
            let whole = column.cast(&DataType::Int64).ok()?;
            let values = whole.i64().ok()?.cont_slice().ok()?;
            values.iter().map(|value| value.checked_mul(scale)).collect()
        }
        _ => None,
    }
}

/// The decimal of at most nine (three) places that a floating-point number names, in units of `1 / scale`.
///
/// The division of two exact numbers is rounded once, so that a quotient equal to the number proves that the
/// decimal is read as this very number; and below the bound numbers lie closer together than such decimals, so
/// that it is the only one, and therefore the shortest. Everything else is read from the text of the number.
#[expect(clippy::float_cmp, reason = "equality is what proves the decimal")]
#[expect(clippy::cast_possible_truncation, reason = "the bound keeps the value far below 64 bits")]
pub(super) fn scaled(number: f64, scale: i64) -> Plain<i64> {
    let factor = scale as f64;
    let bound = 4.0e15 / factor;
    let rounded = (number * factor).round();
    if number.abs() < bound && rounded / factor == number {
        return Some(rounded as i64);
    }
    let places = if scale == 1_000 { 3 } else { 9 };
    check::rounded(&number.to_string(), places).ok()
}
