//! Times as files write them.

use chrono::{DateTime, Datelike as _, MappedLocalTime, NaiveDate, NaiveDateTime, TimeZone as _};
use chrono_tz::Tz;

use super::table::Cell;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_NS: i64 = 86_400 * SECOND_NS;
const EPOCH_FROM_CE: i32 = 719_163;

/// A row's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// An instant, UTC nanoseconds.
    Instant(i64),
    /// A date without time of day.
    Date(NaiveDate),
}

/// The clock of a zone that shows another time than UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Of a zone that has a name.
    Named(Tz),
    /// So many seconds east of Greenwich, all year round.
    Offset(i64),
}

impl Clock {
    /// The clock of a zone by its name, or by its offset, as in `+01:00`.
    pub(super) fn of(zone: &str) -> Option<Self> {
        match zone.parse() {
            Ok(Tz::UTC) => None,
            Ok(zone) => Some(Self::Named(zone)),
            Err(_) => read_offset(zone.as_bytes()).filter(|seconds| *seconds != 0).map(Self::Offset),
        }
    }

    /// What it shows at an instant, as nanoseconds since 1970 of its own.
    fn shown_ns(self, instant_ns: i64) -> Option<i64> {
        match self {
            Self::Named(zone) => {
                let local = DateTime::from_timestamp_nanos(instant_ns).with_timezone(&zone).naive_local();
                local.and_utc().timestamp_nanos_opt()
            }
            Self::Offset(seconds) => instant_ns.checked_add(seconds * SECOND_NS),
        }
    }
}

/// A time that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// Empty.
    Missing,
    /// The text is no time that is understood.
    Malformed,
    /// A time without zone, and none was stated.
    NoZone,
    /// The clock was put back: this local time happened twice.
    Ambiguous(Tz),
    /// The clock was put forward: this local time did not happen.
    Skipped(Tz),
    /// Outside the years that nanoseconds can hold (1678 to 2262).
    OutOfRange,
}

impl Problem {
    /// The problem in words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Missing => "missing, expected a time".into(),
            Self::Malformed => {
                "not a time; expected RFC 3339, YYYY-MM-DD[ HH:MM[:SS]], YYYYMMDD or seconds, milliseconds, \
                 microseconds or nanoseconds since 1970"
                    .into()
            }
            Self::NoZone => "a time without zone; state it with `--timezone`".into(),
            Self::Ambiguous(zone) => {
                format!("this local time happened twice in {zone} (the clock was put back)")
            }
            Self::Skipped(zone) => {
                format!("this local time did not happen in {zone} (the clock was put forward)")
            }
            Self::OutOfRange => "outside the years 1678 to 2262".into(),
        }
    }
}

/// Reads a cell. `zone` is that of times which carry none.
pub(super) fn read(cell: &Cell<'_>, zone: Option<Tz>) -> Result<When, Problem> {
    match cell {
        Cell::Missing => Err(Problem::Missing),
        Cell::Instant(ns) | Cell::Zoned(ns, _) => Ok(When::Instant(*ns)),
        Cell::Local(ns) => local(DateTime::from_timestamp_nanos(*ns).naive_utc(), zone).map(When::Instant),
        Cell::Date(days) => date_of_days(*days).map(When::Date).ok_or(Problem::OutOfRange),
        Cell::Text(text) => read_text(text, zone),
        Cell::Float(text) => read_number(text).map(When::Instant),
    }
}

/// Reads a time of day on a date, each in its own cell.
pub(super) fn read_pair(date: &Cell<'_>, time: &Cell<'_>, zone: Option<Tz>) -> Result<When, Problem> {
    match (date, time) {
        (Cell::Missing, _) | (_, Cell::Missing) => Err(Problem::Missing),
        (Cell::Text(date), Cell::Text(time)) => {
            let date = read_date(date).ok_or(Problem::Malformed)?;
            read_text(&format!("{date} {}", with_colons(time)), zone)
        }
        _ => Err(Problem::Malformed),
    }
}

/// A date from days since 1970.
pub(super) fn date_of_days(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(EPOCH_FROM_CE)?)
}

fn read_text(text: &str, zone: Option<Tz>) -> Result<When, Problem> {
    if let Some(date) = read_date(text) {
        return Ok(When::Date(date));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'+'))
        && text.bytes().skip(1).all(|byte| byte != b'-')
    {
        return read_number(text).map(When::Instant);
    }
    read_date_time(text, zone).map(When::Instant)
}

/// `YYYY-MM-DD`, `YYYY/MM/DD`, `YYYY.MM.DD` or `YYYYMMDD`.
fn read_date(text: &str) -> Option<NaiveDate> {
    let bytes = text.as_bytes();
    match bytes.len() {
        10 if bytes[4] == bytes[7] && matches!(bytes[4], b'-' | b'/' | b'.') => {
            date(digits(&bytes[..4])?, digits(&bytes[5..7])?, digits(&bytes[8..])?)
        }
        8 if matches!(&bytes[..2], b"19" | b"20") => {
            date(digits(&bytes[..4])?, digits(&bytes[4..6])?, digits(&bytes[6..])?)
        }
        _ => None,
    }
}

/// Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their magnitude: seconds
/// below 1e11 reach the year 5138, and no market data are older than March 1973 (1e11 milliseconds).
fn read_number(text: &str) -> Result<i64, Problem> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let number: i64 = whole.parse().map_err(|_| Problem::Malformed)?;
    let unit_ns = match number.unsigned_abs() {
        0..100_000_000_000 => SECOND_NS,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let part = fraction_ns(fraction.as_bytes(), unit_ns).ok_or(Problem::Malformed)?;
    let part = if whole.starts_with('-') { -part } else { part };
    number.checked_mul(unit_ns).and_then(|ns| ns.checked_add(part)).ok_or(Problem::OutOfRange)
}

/// The date of a time that is midnight by the clock by which it is written.
pub(super) fn midnight(cell: &Cell<'_>) -> Option<NaiveDate> {
    let local_ns = match cell {
        Cell::Local(ns) => *ns,
        Cell::Zoned(ns, clock) => clock.shown_ns(*ns)?,
        Cell::Text(text) => read_written(text).ok()?.0,
        _ => return None,
    };
    (local_ns.rem_euclid(DAY_NS) == 0).then(|| DateTime::from_timestamp_nanos(local_ns).date_naive())
}

/// The same of a date and a time of day, each in its own cell.
pub(super) fn midnight_pair(date: &Cell<'_>, time: &Cell<'_>) -> Option<NaiveDate> {
    let (Cell::Text(date), Cell::Text(time)) = (date, time) else { return None };
    midnight(&Cell::Text(format!("{} {}", read_date(date)?, with_colons(time)).into()))
}

/// A time of day that is written as `HHMM` or `HHMMSS` with its colons; any other as it is.
fn with_colons(time: &str) -> String {
    let is_digits = time.bytes().all(|byte| byte.is_ascii_digit());
    match time.len() {
        4 if is_digits => format!("{}:{}", &time[..2], &time[2..]),
        6 if is_digits => format!("{}:{}:{}", &time[..2], &time[2..4], &time[4..]),
        _ => time.to_owned(),
    }
}

/// `YYYY-MM-DD` and a time of day, with or without zone.
fn read_date_time(text: &str, zone: Option<Tz>) -> Result<i64, Problem> {
    let (local_ns, suffix) = read_written(text)?;
    match suffix {
        "" => local(DateTime::from_timestamp_nanos(local_ns).naive_utc(), zone),
        "Z" | "z" | "UTC" => Ok(local_ns),
        offset => {
            let offset_ns = read_offset(offset.as_bytes()).ok_or(Problem::Malformed)? * SECOND_NS;
            local_ns.checked_sub(offset_ns).ok_or(Problem::OutOfRange)
        }
    }
}

/// A date and a time of day as nanoseconds since 1970 of their own clock, and what is said of its zone.
fn read_written(text: &str) -> Result<(i64, &str), Problem> {
    let malformed = || Problem::Malformed;
    let day = read_date(text.get(..10).ok_or_else(malformed)?).ok_or_else(malformed)?;
    let rest = text.get(11..).ok_or_else(malformed)?;
    if !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
        return Err(Problem::Malformed);
    }
    let clock_end = rest
        .bytes()
        .position(|byte| !(byte.is_ascii_digit() || byte == b':' || byte == b'.'))
        .unwrap_or(rest.len());
    let (clock, suffix) = rest.split_at(clock_end);
    let of_day = read_clock(clock.as_bytes()).ok_or_else(malformed)?;
    let day_s = i64::from(day.num_days_from_ce() - EPOCH_FROM_CE) * 86_400;
    let local_ns =
        day_s.checked_mul(SECOND_NS).and_then(|ns| ns.checked_add(of_day)).ok_or(Problem::OutOfRange)?;
    Ok((local_ns, suffix.trim()))
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.fraction`, as nanoseconds of the day.
fn read_clock(bytes: &[u8]) -> Option<i64> {
    let (clock, fraction) = match bytes.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&bytes[..dot], &bytes[dot + 1..]),
        None => (bytes, &[][..]),
    };
    let (hour, minute, second) = match clock.len() {
        5 if clock[2] == b':' => (digits(&clock[..2])?, digits(&clock[3..])?, 0),
        8 if clock[2] == b':' && clock[5] == b':' => {
            (digits(&clock[..2])?, digits(&clock[3..5])?, digits(&clock[6..])?)
        }
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((hour * 3600 + minute * 60 + second) * SECOND_NS + fraction_ns(fraction, SECOND_NS)?)
}

/// `+HH:MM`, `-HHMM` or `+HH`, as seconds east of Greenwich.
fn read_offset(bytes: &[u8]) -> Option<i64> {
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match bytes.len() {
        3 => (digits(&bytes[1..])?, 0),
        5 => (digits(&bytes[1..3])?, digits(&bytes[3..])?),
        6 if bytes[3] == b':' => (digits(&bytes[1..3])?, digits(&bytes[4..])?),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn local(time: NaiveDateTime, zone: Option<Tz>) -> Result<i64, Problem> {
    let zone = zone.ok_or(Problem::NoZone)?;
    match zone.from_local_datetime(&time) {
        MappedLocalTime::Single(time) => time.timestamp_nanos_opt().ok_or(Problem::OutOfRange),
        MappedLocalTime::Ambiguous(..) => Err(Problem::Ambiguous(zone)),
        MappedLocalTime::None => Err(Problem::Skipped(zone)),
    }
}

/// `0.<fraction>` of `unit_ns`; digits beyond a nanosecond must be 0.
fn fraction_ns(fraction: &[u8], unit_ns: i64) -> Option<i64> {
    let mut scale = unit_ns;
    let mut sum = 0;
    for byte in fraction {
        if !byte.is_ascii_digit() {
            return None;
        }
        let digit = i64::from(byte - b'0');
        if digit != 0 && scale < 10 {
            return None;
        }
        scale /= 10;
        sum += digit * scale;
    }
    Some(sum)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes
        .iter()
        .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
}

fn date(year: i64, month: i64, day: i64) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?)
}
