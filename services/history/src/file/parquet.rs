//! Parquet files, one slice of a row group at a time.
//!
//! Column types read: text, also as categories, integers, floats, dates, timestamps with or without zone. A
//! floating-point number stands for the shortest decimal that names it. A file whose column of prices or times has
//! another type (a decimal, for example) is refused with the column's name; other such columns are ignored.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use polars::prelude::{
    AnyValue, ArrowDataType, Column, DataFrame, ParallelStrategy, ParquetReader, PolarsError, SerReader as _,
    TimeUnit, TimeZone,
};

use polars_utils::mmap::MMapSemaphore;

use super::error::FileError;
use super::table::{Cell, Table};
use super::time::Clock;
use super::{columns, pages};

/// Rows of a row group, at most. Writers make groups of about a million rows.
const ROWS_MAX: usize = 1 << 28;
/// Rows of the first slice.
const FIRST_ROWS: usize = 16_384;
/// Rows held at a time.
const SLICE_ROWS: usize = 262_144;

/// A Parquet file as a table.
pub(super) struct ParquetTable {
    path: PathBuf,
    header: Vec<String>,
    /// Rows of each row group.
    groups: Vec<usize>,
    slices: std::vec::IntoIter<(usize, usize)>,
    frame: Vec<Column>,
    height: usize,
    at: usize,
    line: u64,
}

impl ParquetTable {
    /// Reads the file's footer.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let mut reader = ParquetReader::new(file(path)?);
        let schema = guarded(path, || reader.schema())?;
        let mut header = Vec::new();
        for (name, field) in schema.iter() {
            if is_read(&field.dtype) {
                header.push(name.to_string());
            } else if columns::is_known(name) {
                let (column, kind) = (name.to_string(), format!("{:?}", field.dtype));
                return Err(FileError::ColumnType { path: path.to_owned(), column, kind });
            }
        }
        let metadata = guarded(path, || reader.get_metadata().cloned())?;
        let damaged = |problem| FileError::Damaged { path: path.to_owned(), problem };
        let map = MMapSemaphore::new_from_file(&file(path)?)
            .map_err(|source| FileError::Parquet { path: path.to_owned(), source: Box::new(source) })?;
        let problem = guarded(path, || {
            Ok(metadata.row_groups.iter().find_map(|group| {
                // Lists and structs, which have several values in a row, are not read.
                let flat =
                    group.parquet_columns().iter().filter(|c| c.descriptor().path_in_schema.len() == 1);
                implausible(group.num_rows(), flat.map(|c| (c.num_values(), c.byte_range())), map.as_ref())
            }))
        })?;
        problem.map_or(Ok(()), |problem| Err(damaged(problem)))?;
        let groups: Vec<usize> = metadata.row_groups.iter().map(|group| group.num_rows()).collect();
        // The timeframe is told from the first rows, which should not cost a whole slice.
        let mut slices = slices(&groups, SLICE_ROWS);
        if let Some((0, rows)) = slices.first().copied()
            && rows > FIRST_ROWS
        {
            slices.splice(..1, [(0, FIRST_ROWS), (FIRST_ROWS, rows - FIRST_ROWS)]);
        }
        let slices = slices.into_iter();
        Ok(Self {
            path: path.to_owned(),
            header,
            groups,
            slices,
            frame: Vec::new(),
            height: 0,
            at: 0,
            line: 0,
        })
    }

    /// The file in slices of at most `max` rows, none across two row groups: first row and number of rows.
    pub(super) fn slices(&self, max: usize) -> Vec<(usize, usize)> {
        slices(&self.groups, max)
    }

    fn next_slice(&mut self) -> Result<bool, FileError> {
        let Some(slice) = self.slices.next() else { return Ok(false) };
        let frame = read_slice(&self.path, slice, &self.header, ParallelStrategy::None)?;
        self.height = frame.height();
        self.frame = frame.into_columns();
        self.at = 0;
        Ok(self.height > 0)
    }
}

impl Table for ParquetTable {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn advance(&mut self) -> Result<bool, FileError> {
        // The first row of a slice is at 0, where `next_slice` leaves it.
        self.at += 1;
        if self.at >= self.height && !self.next_slice()? {
            return Ok(false);
        }
        self.line += 1;
        Ok(true)
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn width(&self) -> usize {
        self.header.len()
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        let Some(Ok(value)) = self.frame.get(column).map(|column| column.get(self.at)) else {
            return Cell::Missing;
        };
        match value {
            AnyValue::Null => Cell::Missing,
            AnyValue::String(text) => text_cell(Cow::Borrowed(text)),
            AnyValue::StringOwned(text) => text_cell(Cow::Owned(text.to_string())),
            AnyValue::Float64(number) => Cell::Float(number.to_string()),
            AnyValue::Float32(number) => Cell::Float(number.to_string()),
            AnyValue::Date(days) => Cell::Date(days),
            AnyValue::Datetime(time, unit, zone) => date_time(time, unit, zone),
            AnyValue::DatetimeOwned(time, unit, zone) => date_time(time, unit, zone.as_deref()),
            other => Cell::Text(Cow::Owned(other.to_string())),
        }
    }
}

fn slices(groups: &[usize], max: usize) -> Vec<(usize, usize)> {
    let mut slices = Vec::new();
    let mut start = 0;
    for rows in groups {
        let end = start + rows;
        while start < end {
            let length = (end - start).min(max);
            slices.push((start, length));
            start += length;
        }
    }
    slices
}

/// Whether cells of a type can be read.
fn is_read(kind: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    is_text(kind)
        || is_categories(kind)
        || matches!(kind, T::Float32 | T::Float64 | T::Date32 | T::Timestamp(..))
        || matches!(
            kind,
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64
        )
}

fn is_text(kind: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    matches!(kind, T::Utf8 | T::LargeUtf8 | T::Utf8View)
}

/// Whether a type is text of which each value is written once, as pandas writes its categories. In Parquet it is text like
/// any other: only what its writer noted of its own types in the footer says so.
fn is_categories(kind: &ArrowDataType) -> bool {
    matches!(kind, ArrowDataType::Dictionary(_, text, _) if is_text(text))
}

fn text_cell(text: Cow<'_, str>) -> Cell<'_> {
    if text.trim().is_empty() {
        return Cell::Missing;
    }
    if text.trim().len() == text.len() {
        Cell::Text(text)
    } else {
        Cell::Text(Cow::Owned(text.trim().to_owned()))
    }
}

/// A timestamp with a zone is stored as UTC, whatever the zone's name; one without is a local time.
fn date_time(time: i64, unit: TimeUnit, zone: Option<&TimeZone>) -> Cell<'static> {
    let unit_ns = match unit {
        TimeUnit::Nanoseconds => 1,
        TimeUnit::Microseconds => 1_000,
        TimeUnit::Milliseconds => 1_000_000,
    };
    match (time.checked_mul(unit_ns), zone) {
        (Some(ns), Some(zone)) => {
            Clock::of(zone.as_str()).map_or(Cell::Instant(ns), |clock| Cell::Zoned(ns, clock))
        }
        (Some(ns), None) => Cell::Local(ns),
        (None, _) => Cell::Text(Cow::Owned(time.to_string())),
    }
}

fn file(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(|source| FileError::Io { path: path.to_owned(), source })
}

/// What cannot be said of a row group: the decoder would believe it and ask for memory accordingly.
///
/// `chunks` are number of values and place of each flat column.
fn implausible(
    rows: usize,
    chunks: impl Iterator<Item = (i64, std::ops::Range<u64>)>,
    file: &[u8],
) -> Option<String> {
    if rows > ROWS_MAX {
        return Some(format!("a row group of {rows} rows, expected at most {ROWS_MAX}"));
    }
    for (values, range) in chunks {
        if usize::try_from(values) != Ok(rows) {
            return Some(format!("a column of {values} values in a row group of {rows} rows"));
        }
        let problem = pages::implausible(file, range, values);
        if problem.is_some() {
            return problem;
        }
    }
    None
}

/// Some rows of some columns, each in one contiguous chunk, which makes the look-up of a cell cheap.
pub(super) fn read_slice(
    path: &Path,
    slice: (usize, usize),
    columns: &[String],
    parallel: ParallelStrategy,
) -> Result<DataFrame, FileError> {
    let mut reader = ParquetReader::new(file(path)?);
    let schema = guarded(path, || reader.schema())?;
    let categories: Vec<&str> = schema
        .iter()
        .filter_map(|(name, field)| is_categories(&field.dtype).then_some(name.as_str()))
        .collect();
    let (texts, plain): (Vec<String>, Vec<String>) =
        columns.iter().cloned().partition(|name| categories.contains(&name.as_str()));
    let mut read =
        if plain.is_empty() { Vec::new() } else { read_columns(path, reader, slice, plain, parallel)? };
    if !texts.is_empty() {
        let reader = without_notes(path)?;
        read.extend(read_columns(path, reader, slice, texts, parallel)?);
        read.sort_by_key(|column| columns.iter().position(|name| name == column.name().as_str()));
    }
    // The decoder does not compare what it found in each column.
    match read.iter().find(|column| column.len() != slice.1) {
        None => guarded(path, || DataFrame::new(slice.1, read)),
        Some(column) => {
            let problem = format!("column {:?} has {} of {} rows", column.name(), column.len(), slice.1);
            Err(FileError::Damaged { path: path.to_owned(), problem })
        }
    }
}

fn read_columns(
    path: &Path,
    reader: ParquetReader<File>,
    slice: (usize, usize),
    columns: Vec<String>,
    parallel: ParallelStrategy,
) -> Result<Vec<Column>, FileError> {
    guarded(path, || {
        let reader = reader.read_parallel(parallel).with_slice(Some(slice)).with_columns(Some(columns));
        let mut frame = reader.finish()?;
        frame.rechunk_mut();
        Ok(frame.into_columns())
    })
}

/// A reader to which what the file's writer noted of its own types says nothing: text is text.
fn without_notes(path: &Path) -> Result<ParquetReader<File>, FileError> {
    let mut reader = ParquetReader::new(file(path)?);
    let noted = guarded(path, || reader.get_metadata().cloned())?;
    let mut metadata = Arc::unwrap_or_clone(noted);
    metadata.key_value_metadata = None;
    reader.set_metadata(Arc::new(metadata));
    Ok(reader)
}

/// Runs the decoder, which panics on some damaged files: that is an error of the file.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, PolarsError>) -> Result<T, FileError> {
    // What the decoder had in hand is dropped with the panic.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)) {
        Ok(outcome) => {
            outcome.map_err(|source| FileError::Parquet { path: path.to_owned(), source: Box::new(source) })
        }
        Err(panic) => {
            let words = panic.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no Parquet");
            Err(FileError::Damaged { path: path.to_owned(), problem: words.to_owned() })
        }
    }
}
