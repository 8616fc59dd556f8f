//! Delimited text: comma, semicolon, tab or bar, told from the header.
//!
//! A row is a line, also where a quote is not closed: that row is told, and those behind it are read. Cells in quotes
//! are as in RFC 4180, but for line breaks in them.

use std::borrow::Cow;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use super::check::Fault;
use super::error::FileError;
use super::table::{Cell, Table};

const BUFFER_BYTES: usize = 256 * 1024;
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A text file as a table.
pub(super) struct TextTable<R: Read + Send> {
    path: PathBuf,
    source: BufReader<R>,
    delimiter: u8,
    header: Vec<String>,
    /// The line read last, without its end.
    text: Vec<u8>,
    line: u64,
    /// It ended with a carriage return, of which a line feed behind it is part.
    returned: bool,
    record: ByteRecord,
    /// The present row as it stands, when a quote in it is not closed.
    unclosed: Option<String>,
    /// A cell while its quotes are taken off.
    cell: Vec<u8>,
}

impl<R: Read + Send> TextTable<R> {
    /// Reads the header.
    pub(super) fn open(path: &Path, source: R) -> Result<Self, FileError> {
        let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
        let start = source.fill_buf().map_err(|source| FileError::Io { path: path.to_owned(), source })?;
        let delimiter = delimiter(start);
        let mut table = Self {
            path: path.to_owned(),
            source,
            delimiter,
            header: Vec::new(),
            text: Vec::new(),
            line: 0,
            returned: false,
            record: ByteRecord::new(),
            unclosed: None,
            cell: Vec::new(),
        };
        let mut found = table.read_line()?;
        if table.text.starts_with(BYTE_ORDER_MARK) {
            table.text.drain(..BYTE_ORDER_MARK.len());
        }
        while found && table.text.is_empty() {
            found = table.read_line()?;
        }
        table.split();
        let names = table.record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned());
        // One that cannot be split is told as it stands.
        table.header = names.chain(table.unclosed.clone()).collect();
        Ok(table)
    }

    /// Reads the next line of the file, which a line feed, a carriage return or both of them end; false at its end.
    fn read_line(&mut self) -> Result<bool, FileError> {
        self.text.clear();
        loop {
            let buffer = self.source.fill_buf();
            let buffer = buffer.map_err(|source| FileError::Io { path: self.path.clone(), source })?;
            let Some(first) = buffer.first() else {
                self.line += u64::from(!self.text.is_empty());
                return Ok(!self.text.is_empty());
            };
            let skipped = usize::from(std::mem::take(&mut self.returned) && *first == b'\n');
            let rest = buffer.get(skipped..).unwrap_or_default();
            let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            self.text.extend_from_slice(rest.get(..end.unwrap_or(rest.len())).unwrap_or_default());
            self.returned = end.is_some_and(|end| rest.get(end) == Some(&b'\r'));
            let taken = skipped + end.map_or(rest.len(), |end| end + 1);
            self.source.consume(taken);
            if end.is_some() {
                self.line += 1;
                return Ok(true);
            }
        }
    }

    /// Splits the line into cells.
    fn split(&mut self) {
        self.record.clear();
        self.unclosed = None;
        let row = self.text.as_slice();
        if row.is_empty() {
            return;
        }
        if !row.contains(&b'"') {
            row.split(|byte| *byte == self.delimiter).for_each(|cell| self.record.push_field(cell));
        } else if !split_quoted(row, self.delimiter, &mut self.cell, &mut self.record) {
            self.unclosed = Some(Cell::Text(String::from_utf8_lossy(row)).shown());
        }
    }
}

impl<R: Read + Send> Table for TextTable<R> {
    fn header(&self) -> &[String] {
        &self.header
    }

    fn advance(&mut self) -> Result<bool, FileError> {
        loop {
            if !self.read_line()? {
                self.record.clear();
                self.unclosed = None;
                return Ok(false);
            }
            if !self.text.is_empty() {
                self.split();
                return Ok(true);
            }
        }
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

    fn unsplit(&self) -> Option<Fault> {
        self.unclosed.as_ref().map(|text| Fault::new("row", text.as_str(), "a quote that is not closed"))
    }
}

/// Splits a row that has quotes in it. False when one that opens a cell is not closed; its cells are not told then.
///
/// A quote within a cell that does not start with one is a character like any other.
fn split_quoted(row: &[u8], delimiter: u8, cell: &mut Vec<u8>, record: &mut ByteRecord) -> bool {
    let mut bytes = row.iter().copied().peekable();
    loop {
        cell.clear();
        if bytes.next_if_eq(&b'"').is_some() {
            loop {
                match bytes.next() {
                    None => {
                        record.clear();
                        return false;
                    }
                    // Two of them stand for one.
                    Some(b'"') if bytes.next_if_eq(&b'"').is_none() => break,
                    Some(byte) => cell.push(byte),
                }
            }
        }
        while let Some(byte) = bytes.next_if(|byte| *byte != delimiter) {
            cell.push(byte);
        }
        record.push_field(cell);
        if bytes.next().is_none() {
            return true;
        }
    }
}

/// The delimiter that occurs most often in the first line; a comma when none does.
fn delimiter(start: &[u8]) -> u8 {
    let line = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| count(*delimiter)).unwrap_or(b',')
}
