//! A table of cells, whatever the file's format.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::check::Fault;
use super::error::FileError;
use super::time::Clock;
use super::{parquet, text};

/// One cell of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    /// Empty, or not there.
    Missing,
    /// Text, trimmed.
    Text(Cow<'a, str>),
    /// A floating-point number: the shortest decimal text that names it.
    Float(String),
    /// An instant, UTC nanoseconds.
    Instant(i64),
    /// The same, as the clock of a zone shows it.
    Zoned(i64, Clock),
    /// A date and time without zone, as nanoseconds since 1970 of its own clock.
    Local(i64),
    /// A date, as days since 1970.
    Date(i32),
}

impl Cell<'_> {
    /// The cell as a report shows it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Text(text) => text.chars().take(80).collect(),
            Self::Float(text) => text.clone(),
            Self::Instant(ns) | Self::Zoned(ns, _) => {
                chrono::DateTime::from_timestamp_nanos(*ns).to_rfc3339()
            }
            Self::Local(ns) => chrono::DateTime::from_timestamp_nanos(*ns).naive_utc().to_string(),
            Self::Date(days) => super::time::date_of_days(*days).map_or_else(String::new, |d| d.to_string()),
        }
    }
}

/// Rows of cells, read forward once.
pub(super) trait Table: Send {
    /// Names of the columns as they stand.
    fn header(&self) -> &[String];
    /// Moves to the next row; false at the end.
    fn advance(&mut self) -> Result<bool, FileError>;
    /// Line of the present row.
    fn line(&self) -> u64;
    /// Number of cells of the present row.
    fn width(&self) -> usize;
    /// A cell of the present row.
    fn cell(&self, column: usize) -> Cell<'_>;
    /// Why the present row, which then has no cells, could not be split into them.
    fn unsplit(&self) -> Option<Fault> {
        None
    }
}

const PARQUET: &[u8] = b"PAR1";
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The marks with which UTF-16 begins, in either order of bytes.
const UTF_16: [[u8; 2]; 2] = [[0xff, 0xfe], [0xfe, 0xff]];

/// The first bytes of a file.
fn magic(path: &Path) -> Result<Vec<u8>, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    let kind = std::fs::metadata(path).map_err(io)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let problem = "a pipe or a device, expected a file: it is read more than once";
        return Err(FileError::Unfit { path: path.to_owned(), problem });
    }
    let mut magic = Vec::with_capacity(4);
    File::open(path).map_err(io)?.take(4).read_to_end(&mut magic).map_err(io)?;
    Ok(magic)
}

/// Whether a file is one of Parquet.
pub(super) fn is_parquet(path: &Path) -> Result<bool, FileError> {
    Ok(magic(path)? == PARQUET)
}

/// Whether what a file holds is packed, so that damage to it is met only where it is unpacked.
pub(super) fn is_packed(path: &Path) -> Result<bool, FileError> {
    let magic = magic(path)?;
    Ok(magic == PARQUET || magic.starts_with(&GZIP))
}

/// Opens a file by what its first bytes say: `PAR1` is Parquet, 1f 8b is gzip, anything else is text.
pub(super) fn open(path: &Path) -> Result<Box<dyn Table>, FileError> {
    let magic = magic(path)?;
    let unfit = |problem| Err(FileError::Unfit { path: path.to_owned(), problem });
    if magic.is_empty() {
        return unfit("empty, expected a header and rows");
    }
    if UTF_16.iter().any(|mark| magic.starts_with(mark)) {
        return unfit("text in UTF-16, expected UTF-8");
    }
    if magic == PARQUET {
        return Ok(Box::new(parquet::ParquetTable::open(path)?));
    }
    let file = File::open(path).map_err(|source| FileError::Io { path: path.to_owned(), source })?;
    if magic.starts_with(&GZIP) {
        // Several gzip members may follow each other, as `cat` leaves them.
        return Ok(Box::new(text::TextTable::open(path, flate2::read::MultiGzDecoder::new(file))?));
    }
    Ok(Box::new(text::TextTable::open(path, file)?))
}
