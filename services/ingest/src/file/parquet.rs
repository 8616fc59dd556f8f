//! Parquet files, one slice of a row group at a time.
//!
//! Column types read: text, integers, floats, dates, timestamps with or without zone. A floating-point
//! number stands for the shortest decimal that names it. A file whose column of prices or times has
//! another type (a decimal, for example) is refused with the column's name; other such columns are ignored.

use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

use polars::prelude::{
    AnyValue, ArrowDataType, Column, DataFrame, ParallelStrategy, ParquetReader, PolarsError, SerReader as _,
    TimeUnit,
};

use super::columns;
use super::error::FileError;
use super::table::{Cell, Table};

/// Rows held at a time.
const SLICE_ROWS: usize = 262_144;

/// A Parquet file as a table.
pub(super) struct ParquetTable {
    path: PathBuf,
    header: Vec<String>,
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
        let schema = reader.schema().map_err(|source| parquet(path, source))?;
        let mut header = Vec::new();
        for (name, field) in schema.iter() {
            if is_read(&field.dtype) {
                header.push(name.to_string());
            } else if columns::is_known(name) {
                let (column, kind) = (name.to_string(), format!("{:?}", field.dtype));
                return Err(FileError::ColumnType { path: path.to_owned(), column, kind });
            }
        }
        let metadata = reader.get_metadata().map_err(|source| parquet(path, source))?;
        let mut slices = Vec::new();
        let mut start = 0;
        for group in &metadata.row_groups {
            let end = start + group.num_rows();
            while start < end {
                let length = (end - start).min(SLICE_ROWS);
                slices.push((start, length));
                start += length;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            header,
            slices: slices.into_iter(),
            frame: Vec::new(),
            height: 0,
            at: 0,
            line: 0,
        })
    }

    fn next_slice(&mut self) -> Result<bool, FileError> {
        let Some(slice) = self.slices.next() else { return Ok(false) };
        let mut frame: DataFrame = ParquetReader::new(file(&self.path)?)
            .read_parallel(ParallelStrategy::None)
            .with_slice(Some(slice))
            .with_columns(Some(self.header.clone()))
            .finish()
            .map_err(|source| parquet(&self.path, source))?;
        // One contiguous chunk per column makes the look-up of a cell cheap.
        frame.rechunk_mut();
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
            AnyValue::Datetime(time, unit, zone) => date_time(time, unit, zone.is_some()),
            AnyValue::DatetimeOwned(time, unit, zone) => date_time(time, unit, zone.is_some()),
            other => Cell::Text(Cow::Owned(other.to_string())),
        }
    }
}

/// Whether cells of a type can be read.
fn is_read(kind: &ArrowDataType) -> bool {
    use ArrowDataType as T;
    matches!(
        kind,
        T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Float32 | T::Float64 | T::Date32 | T::Timestamp(..)
    ) || matches!(
        kind,
        T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::UInt8 | T::UInt16 | T::UInt32 | T::UInt64
    )
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
fn date_time(time: i64, unit: TimeUnit, zoned: bool) -> Cell<'static> {
    let unit_ns = match unit {
        TimeUnit::Nanoseconds => 1,
        TimeUnit::Microseconds => 1_000,
        TimeUnit::Milliseconds => 1_000_000,
    };
    match time.checked_mul(unit_ns) {
        Some(ns) if zoned => Cell::Instant(ns),
        Some(ns) => Cell::Local(ns),
        None => Cell::Text(Cow::Owned(time.to_string())),
    }
}

fn file(path: &Path) -> Result<File, FileError> {
    File::open(path).map_err(|source| FileError::Io { path: path.to_owned(), source })
}

fn parquet(path: &Path, source: PolarsError) -> FileError {
    FileError::Parquet { path: path.to_owned(), source: Box::new(source) }
}
