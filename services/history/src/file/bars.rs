//! A file of bars, chunk by chunk.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use chrono_tz::Tz;
use contracts::EXPECTED_SYMBOL;
use domain::bar::{Bar, Timeframe};

use super::check::{self, Fault, Misplaced, Numbers, Placer};
use super::columns::Columns;
use super::error::FileError;
use super::infer;
use super::table::{Cell, Table};
use super::{Adjusted, ReadOptions, Rejected, RejectedKind, Row, Series};

/// Rows of a file, checked.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    /// Bars, per series in the order of time.
    pub rows: Vec<Row>,
    /// Series that occur for the first time, in the order of their index.
    pub series: Vec<Series>,
    /// Rows that are no bars.
    pub rejected: Vec<Rejected>,
    /// Rows read.
    pub read: u64,
    /// Rows that say again what the row before said.
    pub duplicates: u64,
}

/// An opened file of bars.
pub struct BarFile {
    path: PathBuf,
    table: Box<dyn Table>,
    columns: Columns,
    symbol: Option<String>,
    timeframe: Option<Timeframe>,
    zone: Option<Tz>,
    placer: Placer,
    latest_ns: Option<i64>,
    adjusted: bool,
    series: Vec<(Series, Option<Bar>)>,
    index: HashMap<Series, usize>,
    /// Series of the row before.
    present: usize,
    told: usize,
}

impl fmt::Debug for BarFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BarFile").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What became of one row.
enum Outcome {
    Bar(Row),
    Duplicate,
}

impl BarFile {
    pub(super) fn new(
        path: PathBuf,
        table: Box<dyn Table>,
        columns: Columns,
        options: &ReadOptions,
        timeframe: Option<Timeframe>,
    ) -> Result<Self, FileError> {
        let unstated =
            |problem: String, option| Err(FileError::Unstated { path: path.clone(), problem, option });
        if columns.symbol.is_none() && options.symbol.is_none() {
            return unstated("there is no symbol column".into(), "--symbol SYMBOL");
        }
        if let (Some(column), Adjusted::Unstated) = (&columns.adjusted, options.adjusted) {
            let problem = format!(
                "column {column:?} hints at adjusted prices, the tape holds raw ones, and it is not said which \
                 the prices are"
            );
            return unstated(problem, "--adjusted none|yes");
        }
        let zone = infer::zone(&columns, options);
        Ok(Self {
            // A column speaks for each row; an option only where there is no column.
            symbol: options.symbol.clone().filter(|_| columns.symbol.is_none()),
            timeframe: timeframe.filter(|_| columns.timeframe.is_none()),
            adjusted: options.adjusted == Adjusted::Yes,
            path,
            table,
            columns,
            zone,
            placer: Placer::new(options.market),
            latest_ns: options.latest_ns,
            series: Vec::new(),
            index: HashMap::new(),
            present: 0,
            told: 0,
        })
    }

    /// Whether the prices were stated to be adjusted.
    #[must_use]
    pub fn adjusted(&self) -> bool {
        self.adjusted
    }

    /// Reads at most `max` rows; `None` at the end of the file.
    pub fn chunk(&mut self, max: usize) -> Result<Option<Chunk>, FileError> {
        let mut chunk = Chunk { rows: Vec::with_capacity(max), ..Chunk::default() };
        for _ in 0..max {
            if !self.table.advance()? {
                break;
            }
            chunk.read += 1;
            match self.row() {
                Ok(Outcome::Bar(row)) => chunk.rows.push(row),
                Ok(Outcome::Duplicate) => chunk.duplicates += 1,
                Err(fault) => {
                    // A time without zone concerns every row: refuse the file rather than each of them.
                    if fault.reason.contains("`--timezone`") {
                        return Err(FileError::Unstated {
                            path: self.path.clone(),
                            problem: format!(
                                "line {}: {} {:?} has no time zone",
                                self.table.line(),
                                fault.field,
                                fault.value
                            ),
                            option: "--timezone ZONE (for example America/New_York or UTC)",
                        });
                    }
                    chunk.rejected.push(fault.rejected(self.table.line()));
                }
            }
        }
        chunk.series.extend(self.series[self.told..].iter().map(|(series, _)| series.clone()));
        self.told = self.series.len();
        Ok((chunk.read > 0).then_some(chunk))
    }

    fn row(&mut self) -> Result<Outcome, Fault> {
        let table = self.table.as_ref();
        if table.width() != self.columns.width {
            let counted =
                || format!("{} fields, expected {} as in the header", table.width(), self.columns.width);
            return Err(table.unsplit().unwrap_or_else(|| Fault::new("row", "", counted())));
        }
        let series = self.find_series()?;
        let table = self.table.as_ref();
        let (known, last) = &self.series[series];
        let timeframe = known.timeframe;
        let when = infer::read_start(table, &self.columns, self.zone, timeframe)
            .map_err(|problem| Fault::new("time", self.shown_time(), problem.reason()))?;
        let interval = self.placer.place(when, timeframe);
        // A bad number is reported before a bad time: the number is wrong whatever the calendar says.
        let numbers = Numbers {
            open: table.cell(self.columns.open),
            high: table.cell(self.columns.high),
            low: table.cell(self.columns.low),
            close: table.cell(self.columns.close),
            volume: table.cell(self.columns.volume),
        };
        let nowhere = check::Interval { start_ns: 0, close_ns: 0, after_early_close: false };
        let bar = check::bar(&numbers, interval.as_ref().map_or(nowhere, |interval| *interval))?;
        let interval = interval.map_err(|misplaced| Fault::of_time(self.shown_time(), misplaced))?;
        // Before the order: what is not taken does not move it on.
        if self.latest_ns.is_some_and(|latest_ns| bar.close_ns > latest_ns) {
            let reason = format!("closes in the future, at {}", utc(bar.close_ns));
            return Err(Fault::new("time", self.shown_time(), reason));
        }
        if let Some(last) = last {
            match in_order(last, &bar, timeframe) {
                Ok(true) => {}
                Ok(false) => return Ok(Outcome::Duplicate),
                Err(misplaced) => return Err(Fault::of_time(self.shown_time(), misplaced)),
            }
        }
        let line = table.line();
        self.series[series].1 = Some(bar);
        Ok(Outcome::Bar(Row { line, series, bar, after_early_close: interval.after_early_close }))
    }

    /// Whether the present row belongs to the series of the row before, as most do.
    fn is_same_series(&self) -> bool {
        let Some((series, _)) = self.series.get(self.present) else { return false };
        self.says(self.columns.symbol, |cell| cell.eq_ignore_ascii_case(&series.symbol))
            && self.says(self.columns.timeframe, |cell| cell == series.timeframe.name())
    }

    /// Whether `is` holds of a cell of the present row that is text; true where there is no such column.
    fn says(&self, column: Option<usize>, is: impl FnOnce(&str) -> bool) -> bool {
        match column.map(|column| self.table.cell(column)) {
            None => true,
            Some(Cell::Text(cell)) => is(&cell),
            Some(_) => false,
        }
    }

    fn find_series(&mut self) -> Result<usize, Fault> {
        if !self.is_same_series() {
            self.present = self.look_up_series()?;
        }
        Ok(self.present)
    }

    fn look_up_series(&mut self) -> Result<usize, Fault> {
        let table = self.table.as_ref();
        let symbol = match (&self.symbol, self.columns.symbol) {
            (Some(symbol), _) => read_symbol(symbol)?,
            (None, Some(column)) => match table.cell(column) {
                Cell::Missing => return Err(Fault::new("symbol", "", "missing, expected a symbol")),
                cell => read_symbol(&cell.shown())?,
            },
            (None, None) => String::new(),
        };
        let timeframe = match (self.timeframe, self.columns.timeframe) {
            (Some(timeframe), _) => timeframe,
            (None, Some(column)) => {
                let shown = table.cell(column).shown();
                shown
                    .parse::<Timeframe>()
                    .map_err(|error| Fault::new("timeframe", shown, error.to_string()))?
            }
            (None, None) => return Err(Fault::new("timeframe", "", "missing, expected a timeframe")),
        };
        let series = Series { symbol, timeframe };
        if let Some(index) = self.index.get(&series) {
            return Ok(*index);
        }
        self.index.insert(series.clone(), self.series.len());
        self.series.push((series, None));
        Ok(self.series.len() - 1)
    }

    fn shown_time(&self) -> String {
        infer::shown_time(self.table.as_ref(), &self.columns)
    }
}

/// A symbol in the form of the tape.
pub(super) fn read_symbol(text: &str) -> Result<String, Fault> {
    contracts::read_symbol(text)
        .map_err(|malformed| Fault::new("symbol", malformed.text, format!("expected {EXPECTED_SYMBOL}")))
}

fn utc(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Whether `bar` follows `last`; false when it says the same again.
pub(super) fn in_order(last: &Bar, bar: &Bar, timeframe: Timeframe) -> Result<bool, Misplaced> {
    if bar.close_ns == last.close_ns {
        if bar == last {
            return Ok(false);
        }
        return Err("repeats the time of the bar before with other values".to_owned().into());
    }
    if bar.close_ns < last.close_ns {
        let reason = format!("not in order, the bar before starts at {}", utc(last.start_ns));
        return Err(Misplaced { reason, kind: RejectedKind::OutOfOrder });
    }
    if timeframe != Timeframe::D1 && bar.start_ns < last.close_ns {
        let closes = utc(last.close_ns);
        return Err(format!("overlaps the {timeframe} bar before, which closes at {closes}").into());
    }
    Ok(true)
}
