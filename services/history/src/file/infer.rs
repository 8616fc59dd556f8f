//! The timeframe of a file that does not state one, from the spacing of its first rows.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use chrono_tz::Tz;
use domain::bar::Timeframe;

use super::ReadOptions;
use super::columns::{Columns, TimeColumns};
use super::error::FileError;
use super::table::{self, Table};
use super::time::{self, When};

/// Rows looked at.
const SAMPLE_ROWS: usize = 10_000;
/// Gaps of the smallest size that must be there.
const LEAST_GAPS: usize = 3;
const HOUR_NS: i64 = 3_600_000_000_000;

/// The timeframe that holds for the whole file: the option's, else the one that the spacing shows
/// beyond doubt. `None` when a column states it row by row.
///
/// Beyond doubt means: the smallest gap within a symbol is a known timeframe, and at least half of all
/// gaps are of that size (a day may be 23 or 25 hours long).
pub(super) fn timeframe(
    path: &Path,
    columns: &Columns,
    options: &ReadOptions,
) -> Result<Option<Timeframe>, FileError> {
    if columns.timeframe.is_some() || options.timeframe.is_some() {
        return Ok(options.timeframe);
    }
    let mut table = table::open(path)?;
    let zone = zone(columns, options);
    let gaps = gaps(table.as_mut(), columns, zone)?;
    let all: usize = gaps.values().sum();
    let told = gaps.first_key_value().and_then(|(gap, count)| {
        let timeframe = Timeframe::ALL.into_iter().find(|timeframe| timeframe.nanos() == *gap)?;
        (*count >= LEAST_GAPS && *count * 2 >= all).then_some(timeframe)
    });
    match told {
        Some(timeframe) => Ok(Some(timeframe)),
        None => Err(FileError::Unstated {
            path: path.to_owned(),
            problem: match all {
                0 => "the timeframe is not stated, and no two rows of a symbol tell it by their spacing"
                    .to_owned(),
                _ => format!(
                    "the timeframe is not stated and the spacing of the first {} rows does not tell it",
                    all + 1
                ),
            },
            option: "--timeframe 1m|5m|15m|30m|1h|1d",
        }),
    }
}

/// The zone of times that carry none.
pub(super) fn zone(columns: &Columns, options: &ReadOptions) -> Option<Tz> {
    if columns.utc { Some(Tz::UTC) } else { options.timezone }
}

/// Number of gaps by size, in the order of size.
fn gaps(
    table: &mut dyn Table,
    columns: &Columns,
    zone: Option<Tz>,
) -> Result<BTreeMap<i64, usize>, FileError> {
    let mut last: HashMap<String, i64> = HashMap::new();
    let mut gaps = BTreeMap::new();
    for _ in 0..SAMPLE_ROWS {
        if !table.advance()? {
            break;
        }
        let symbol = columns.symbol.map_or_else(String::new, |column| table.cell(column).shown());
        // A zone that is missing makes no difference to gaps.
        let zone = zone.or(Some(Tz::UTC));
        let Ok(when) = read_time(table, columns, zone) else { continue };
        let now = match when {
            When::Instant(ns) => Some(ns),
            When::Date(date) => {
                date.and_hms_opt(0, 0, 0).and_then(|start| start.and_utc().timestamp_nanos_opt())
            }
        };
        let Some(now) = now else { continue };
        if let Some(before) = last.insert(symbol, now) {
            let gap = now.saturating_sub(before);
            let day = Timeframe::D1.nanos();
            let gap = if (gap - day).abs() == HOUR_NS { day } else { gap };
            if gap > 0 {
                *gaps.entry(gap).or_insert(0) += 1;
            }
        }
    }
    Ok(gaps)
}

/// The time of the present row.
pub(super) fn read_time(
    table: &dyn Table,
    columns: &Columns,
    zone: Option<Tz>,
) -> Result<When, time::Problem> {
    match columns.time {
        TimeColumns::One(column) => time::read(&table.cell(column), zone),
        TimeColumns::DateAndTime(date, of_day) => {
            time::read_pair(&table.cell(date), &table.cell(of_day), zone)
        }
    }
}

/// The time of the present row as a report shows it.
pub(super) fn shown_time(table: &dyn Table, columns: &Columns) -> String {
    match columns.time {
        TimeColumns::One(column) => table.cell(column).shown(),
        TimeColumns::DateAndTime(date, of_day) => {
            format!("{} {}", table.cell(date).shown(), table.cell(of_day).shown())
        }
    }
}

/// The time of the present row as that of a bar of `timeframe`.
///
/// A daily bar's midnight where it was written, with the offset of its zone or without, as pandas writes an index of
/// dates, is that date: in New York it may still be the day before.
pub(super) fn read_start(
    table: &dyn Table,
    columns: &Columns,
    zone: Option<Tz>,
    timeframe: Timeframe,
) -> Result<When, time::Problem> {
    let read = read_time(table, columns, zone);
    if timeframe != Timeframe::D1 || !is_time_of_day(&read) {
        return read;
    }
    let midnight = match columns.time {
        TimeColumns::One(column) => time::midnight(&table.cell(column)),
        TimeColumns::DateAndTime(date, of_day) => time::midnight_pair(&table.cell(date), &table.cell(of_day)),
    };
    midnight.map(When::Date).map_or(read, Ok)
}

/// Whether a time of day was read, even where its zone leaves open which instant it is.
fn is_time_of_day(read: &Result<When, time::Problem>) -> bool {
    use super::time::Problem::{Ambiguous, NoZone, Skipped};
    matches!(read, Ok(When::Instant(_)) | Err(NoZone | Ambiguous(_) | Skipped(_)))
}
