//! Which column means what.

use std::path::Path;

use super::error::FileError;

const SYMBOL: &[&str] = &["symbol", "ticker", "sym", "instrument"];
const TIMEFRAME: &[&str] = &["timeframe", "interval", "tf", "resolution"];
const TIME: &[&str] = &[
    "startutc",
    "start",
    "starttime",
    "timestamp",
    "timestamputc",
    "datetime",
    "datetimeutc",
    "timeutc",
    "ts",
    "opentime",
    "bartime",
    "barstart",
    "windowstart",
    "unixtime",
    "unix",
    "epoch",
    "begin",
    "t",
];
const DAY: &[&str] = &["date", "tradingdate", "day"];
const TIME_OF_DAY: &[&str] = &["time", "timeofday"];
/// Names of a first column that is an index: of times, when no other column holds them.
const INDEX: &[&str] = &["", "index", "unnamed0", "indexlevel0"];
/// What pandas calls such an index in Parquet, wherever it stands.
const PARQUET_INDEX: &str = "indexlevel0";
const OPEN: &[&str] = &["open", "o", "first", "openprice"];
const HIGH: &[&str] = &["high", "h", "max", "highprice"];
const LOW: &[&str] = &["low", "l", "min", "lowprice"];
const CLOSE: &[&str] = &["close", "c", "last", "closeprice"];
const VOLUME: &[&str] = &["volume", "v", "vol"];
const ADJUSTED: &[&str] = &["adjclose", "adjustedclose", "closeadj", "adjopen", "adjfactor"];

/// Where the time of a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeColumns {
    /// In one column.
    One(usize),
    /// Date and time of day apart.
    DateAndTime(usize, usize),
}

/// Positions of the columns of a file of bars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) symbol: Option<usize>,
    pub(super) timeframe: Option<usize>,
    pub(super) time: TimeColumns,
    /// True when the header says that times are UTC, as in `start_utc`.
    pub(super) utc: bool,
    pub(super) open: usize,
    pub(super) high: usize,
    pub(super) low: usize,
    pub(super) close: usize,
    pub(super) volume: usize,
    /// Name of a column that holds adjusted prices.
    pub(super) adjusted: Option<String>,
    /// Number of columns in the header.
    pub(super) width: usize,
}

impl Columns {
    /// Recognises a header, whatever its case and punctuation. Other columns are ignored.
    pub(super) fn recognise(path: &Path, header: &[String]) -> Result<Self, FileError> {
        let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let find = |column, known: &[&str]| find(path, header, &names, column, known);
        let need = |column, known: &'static [&'static str], expected| {
            find(column, known)?.ok_or_else(|| FileError::MissingColumn {
                path: path.to_owned(),
                column,
                header: header.join(","),
                expected,
            })
        };
        let time = match (find("time", TIME)?, find("date", DAY)?, find("time of day", TIME_OF_DAY)?) {
            (Some(time), _, _) | (None, Some(time), None) | (None, None, Some(time)) => {
                TimeColumns::One(time)
            }
            (None, Some(date), Some(time)) => TimeColumns::DateAndTime(date, time),
            (None, None, None) => match unnamed_index(&names) {
                Some(column) => TimeColumns::One(column),
                None => {
                    return Err(FileError::MissingColumn {
                        path: path.to_owned(),
                        column: "time",
                        header: header.join(","),
                        expected: "start_utc, start, timestamp, time, datetime, date, ts, t",
                    });
                }
            },
        };
        let utc = match time {
            TimeColumns::One(column) => names[column].ends_with("utc"),
            TimeColumns::DateAndTime(date, time) => {
                names[date].ends_with("utc") || names[time].ends_with("utc")
            }
        };
        Ok(Self {
            symbol: find("symbol", SYMBOL)?,
            timeframe: find("timeframe", TIMEFRAME)?,
            time,
            utc,
            open: need("open", OPEN, "open, o")?,
            high: need("high", HIGH, "high, h")?,
            low: need("low", LOW, "low, l")?,
            close: need("close", CLOSE, "close, c")?,
            volume: need("volume", VOLUME, "volume, vol, v")?,
            adjusted: names
                .iter()
                .position(|name| ADJUSTED.contains(&name.as_str()))
                .map(|column| header[column].clone()),
            width: header.len(),
        })
    }
}

/// The index of times that pandas leaves without a name: the first column of CSV, the last of Parquet.
fn unnamed_index(names: &[String]) -> Option<usize> {
    match names.first() {
        Some(first) if INDEX.contains(&first.as_str()) => Some(0),
        _ => names.iter().position(|name| name == PARQUET_INDEX),
    }
}

/// Whether a column of this name means something in a file of bars or of actions.
pub(super) fn is_known(name: &str) -> bool {
    let name = plain(name);
    [SYMBOL, TIMEFRAME, TIME, DAY, TIME_OF_DAY, OPEN, HIGH, LOW, CLOSE, VOLUME, &["exdate", "kind", "value"]]
        .iter()
        .any(|names| names.contains(&name.as_str()))
}

/// Lower case, letters and digits only: `Start_UTC`, `start utc` and `<START.UTC>` are one name.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

fn find(
    path: &Path,
    header: &[String],
    names: &[String],
    column: &'static str,
    known: &[&str],
) -> Result<Option<usize>, FileError> {
    let mut found = names.iter().enumerate().filter(|(_, name)| known.contains(&name.as_str()));
    let first = found.next().map(|(index, _)| index);
    if let (Some(first), Some((second, _))) = (first, found.next()) {
        return Err(FileError::AmbiguousColumn {
            path: path.to_owned(),
            column,
            first: header[first].clone(),
            second: header[second].clone(),
        });
    }
    Ok(first)
}
