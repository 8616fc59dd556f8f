//! Delimited text: comma, semicolon, tab or bar, told from the header.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::error::FileError;
use super::table::{Cell, Table};

const BUFFER_BYTES: usize = 256 * 1024;
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// A text file as a table.
pub(super) struct TextTable<R: Read + Send> {
    path: PathBuf,
    reader: csv::Reader<BufReader<R>>,
    header: Vec<String>,
    record: ByteRecord,
    line: u64,
}

impl<R: Read + Send> TextTable<R> {
    /// Reads the header.
    pub(super) fn open(path: &Path, source: R) -> Result<Self, FileError> {
        let mut buffered = BufReader::with_capacity(BUFFER_BYTES, source);
        let start = buffered.fill_buf().map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        let delimiter = delimiter(start);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .has_headers(false)
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(buffered);
        let mut record = ByteRecord::new();
        reader
            .read_byte_record(&mut record)
            .map_err(|source| FileError::Text { path: path.to_owned(), source })?;
        let header = record
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim_start_matches(BYTE_ORDER_MARK).trim().to_owned())
            .collect();
        Ok(Self { path: path.to_owned(), reader, header, record, line: 1 })
    }
}

impl<R: Read + Send> Table for TextTable<R> {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn advance(&mut self) -> Result<bool, FileError> {
        let more = self
            .reader
            .read_byte_record(&mut self.record)
            .map_err(|source| FileError::Text { path: self.path.clone(), source })?;
        self.line = self.record.position().map_or(self.line, csv::Position::line);
        Ok(more)
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn width(&self) -> usize {
        self.record.len()
    }

    fn cell(&self, column: usize) -> Cell<'_> {
        let bytes = self.record.get(column).unwrap_or_default().trim_ascii();
        if bytes.is_empty() {
            return Cell::Missing;
        }
        Cell::Text(match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            // Replacement characters make the value fail its check, and the report shows where.
            Err(_) => String::from_utf8_lossy(bytes),
        })
    }
}

/// The delimiter that occurs most often in the first line; a comma when none does.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}
