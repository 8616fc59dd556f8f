//! What makes a row a bar.

use std::str::FromStr;

use domain::bar::{Bar, Timeframe};
use domain::calendar::{Calendar, Market, Session};
use domain::money::{MalformedNumber, Price, Volume, div_half_even};

use super::table::Cell;
use super::time::When;
use super::{Rejected, RejectedKind};

/// Hours between the early close at 13:00 and the ordinary one at 16:00.
const AFTER_EARLY_CLOSE_NS: i64 = 3 * 3_600_000_000_000;
const DAY_NS: i64 = 86_400_000_000_000;
/// Decimal places that are kept of a volume.
const VOLUME_PLACES: usize = 3;

/// A field at fault and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) value: String,
    pub(super) reason: String,
    pub(super) kind: RejectedKind,
}

impl Fault {
    pub(super) fn new(field: &'static str, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field, value: value.into(), reason: reason.into(), kind: RejectedKind::Other }
    }

    /// The time `value`, which gives no bar.
    pub(super) fn of_time(value: String, Misplaced { reason, kind }: Misplaced) -> Self {
        Self { field: "time", value, reason, kind }
    }

    /// The row at `line` as rejected.
    pub(super) fn rejected(self, line: u64) -> Rejected {
        let Self { field, value, reason, kind } = self;
        Rejected { file: None, line, field, value, reason, kind }
    }
}

/// Why a time gives no bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    pub(super) reason: String,
    pub(super) kind: RejectedKind,
}

impl From<String> for Misplaced {
    fn from(reason: String) -> Self {
        Self { reason, kind: RejectedKind::Other }
    }
}

/// The numbers of a row, as its cells hold them.
pub(super) struct Numbers<'a> {
    pub(super) open: Cell<'a>,
    pub(super) high: Cell<'a>,
    pub(super) low: Cell<'a>,
    pub(super) close: Cell<'a>,
    pub(super) volume: Cell<'a>,
}

/// Interval of a bar within the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) start_ns: i64,
    pub(super) close_ns: i64,
    pub(super) after_early_close: bool,
}

/// Reads and checks prices and volume, and joins them with the interval.
pub(super) fn bar(numbers: &Numbers<'_>, interval: Interval) -> Result<Bar, Fault> {
    let open = price("open", &numbers.open)?;
    let high = price("high", &numbers.high)?;
    let low = price("low", &numbers.low)?;
    let close = price("close", &numbers.close)?;
    let volume = Volume(number("volume", &numbers.volume, VOLUME_PLACES)?);
    if volume < Volume::ZERO {
        return Err(Fault::new("volume", numbers.volume.shown(), "negative, expected 0 or more"));
    }
    if high < low {
        let reason = format!("below the low of {low}, expected at least it");
        return Err(Fault::new("high", numbers.high.shown(), reason));
    }
    for (field, price, cell) in [("open", open, &numbers.open), ("close", close, &numbers.close)] {
        if price < low || price > high {
            let reason = format!("outside of low {low} to high {high}");
            return Err(Fault::new(field, cell.shown(), reason));
        }
    }
    Ok(Bar { start_ns: interval.start_ns, close_ns: interval.close_ns, open, high, low, close, volume })
}

/// Places bars in the calendar. It remembers the session of the bar before, to which most belong.
///
/// An intraday bar starts where the file says and closes one timeframe later. It belongs to the market
/// when its interval overlaps a session, or when it lies between an early close and the ordinary one. A
/// daily bar spans the session of its date; an instant of exactly midnight UTC means the UTC date, any other
/// the exchange's date; whoever reads text takes midnight by the clock of the text for its date.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placer {
    calendar: &'static Calendar,
    last: Option<Session>,
}

impl Placer {
    pub(super) fn new(market: Market) -> Self {
        Self { calendar: market.calendar(), last: None }
    }

    /// The interval of a bar, or why it has none.
    pub(super) fn place(&mut self, when: When, timeframe: Timeframe) -> Result<Interval, Misplaced> {
        match (when, timeframe) {
            (When::Date(date), Timeframe::D1) => self.daily(date),
            (When::Instant(start_ns), Timeframe::D1) => self.daily(if start_ns.rem_euclid(DAY_NS) == 0 {
                chrono::DateTime::from_timestamp_nanos(start_ns).date_naive()
            } else {
                self.calendar.date_of(start_ns)
            }),
            (When::Date(_), _) => {
                Err(format!("a date without time of day, expected the start of a {timeframe} bar").into())
            }
            (When::Instant(start_ns), _) => {
                let close_ns = start_ns.checked_add(timeframe.nanos());
                let close_ns = close_ns.ok_or_else(|| "outside the years 1678 to 2262".to_owned())?;
                if self.last.is_some_and(|session| session.contains(start_ns)) {
                    return Ok(Interval { start_ns, close_ns, after_early_close: false });
                }
                let overlapping = self.calendar.overlapping(start_ns, close_ns);
                self.last = overlapping.map_err(|error| error.to_string())?;
                match self.last {
                    Some(_) => Ok(Interval { start_ns, close_ns, after_early_close: false }),
                    None => outside(start_ns, close_ns, self.calendar),
                }
            }
        }
    }

    fn daily(&self, date: chrono::NaiveDate) -> Result<Interval, Misplaced> {
        let session = session_on(date, self.calendar)?;
        Ok(Interval { start_ns: session.open_ns, close_ns: session.close_ns, after_early_close: false })
    }
}

fn outside(start_ns: i64, close_ns: i64, calendar: &Calendar) -> Result<Interval, Misplaced> {
    let session = session_on(calendar.date_of(start_ns), calendar)?;
    let after = start_ns - session.close_ns;
    if session.early_close && (0..AFTER_EARLY_CLOSE_NS).contains(&after) {
        return Ok(Interval { start_ns, close_ns, after_early_close: true });
    }
    let reason = format!(
        "outside the session of {}, expected to overlap {} to {}",
        session.date,
        utc(session.open_ns),
        utc(session.close_ns)
    );
    Err(Misplaced { reason, kind: RejectedKind::OutsideHours })
}

fn session_on(date: chrono::NaiveDate, calendar: &Calendar) -> Result<Session, Misplaced> {
    calendar.session(date).map_err(|error| error.to_string())?.ok_or_else(|| Misplaced {
        reason: format!("{} has no session on {date}", calendar.exchange()),
        kind: RejectedKind::OutsideHours,
    })
}

fn utc(ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(ns).format("%Y-%m-%dT%H:%MZ").to_string()
}

fn price(field: &'static str, cell: &Cell<'_>) -> Result<Price, Fault> {
    let value = number(field, cell, 9)?;
    if value <= 0 {
        let problem = if value < 0 { "negative" } else { "zero" };
        return Err(Fault::new(field, cell.shown(), format!("{problem}, expected more than 0")));
    }
    Ok(Price(value))
}

/// Reads a number of 9 (price) or 3 (volume) decimal places: text exactly but for the finer part of a volume, a
/// floating-point number as the shortest decimal that names it, rounded half to even where that has more places.
pub(super) fn number(field: &'static str, cell: &Cell<'_>, places: usize) -> Result<i64, Fault> {
    let read = match cell {
        Cell::Missing => return Err(Fault::new(field, "", "missing, expected a number")),
        Cell::Text(text) => decimal(text, places).or_else(|reason| match without_exponent(text) {
            Some(plain) => decimal(&plain, places),
            None => Err(reason),
        }),
        Cell::Float(text) => rounded(text, places),
        Cell::Instant(_) | Cell::Zoned(..) | Cell::Local(_) | Cell::Date(_) => {
            Err("a time, expected a number".to_owned())
        }
    };
    read.map_err(|reason| Fault::new(field, cell.shown(), reason))
}

fn decimal(text: &str, places: usize) -> Result<i64, String> {
    if places == VOLUME_PLACES && is_finer(text) {
        return rounded(text, places);
    }
    exact(text, places).map_err(|error| error.problem.to_owned())
}

/// The plain decimal of a number with an exponent, as pandas and R write small and large ones: `8.51e-06`.
fn without_exponent(text: &str) -> Option<String> {
    /// No price or volume has more places on either side of its point.
    const PLACES_MAX: u32 = 40;

    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let exponent: i32 = exponent.parse().ok()?;
    let shift = usize::try_from(exponent.unsigned_abs()).ok()?;
    let (sign, unsigned) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || exponent.unsigned_abs() > PLACES_MAX {
        return None;
    }
    let zeros = "0".repeat(shift);
    let (digits, point) = if exponent < 0 {
        (format!("{zeros}{whole}{fraction}"), whole.len())
    } else {
        (format!("{whole}{fraction}{zeros}"), whole.len() + shift)
    };
    let (whole, fraction) = digits.split_at(point);
    Some(format!("{sign}{whole}.{}", fraction.trim_end_matches('0')))
}

/// Whether text is a decimal beyond the thousandth that is kept of a volume, as markets state it that trade in
/// fractions. One below nought stays what it is: an error.
fn is_finer(text: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.').is_some_and(|(whole, fraction)| {
        fraction.len() > VOLUME_PLACES && is_digits(whole) && is_digits(fraction)
    })
}

fn exact(text: &str, places: usize) -> Result<i64, MalformedNumber> {
    match places {
        9 => Price::from_str(text).map(|price| price.0),
        _ => Volume::from_str(text).map(|volume| volume.0),
    }
}

pub(super) fn rounded(text: &str, places: usize) -> Result<i64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction}");
    let unscaled: i128 = digits.parse().map_err(|_| "not a decimal number or out of range")?;
    let scaled = match fraction.len().checked_sub(places) {
        Some(excess) => {
            let divisor = 10i128.checked_pow(u32::try_from(excess).map_err(|_| "out of range")?);
            // A divisor beyond 128 bits leaves nothing of the value.
            divisor.map_or(0, |divisor| div_half_even(unscaled, divisor))
        }
        None => {
            let missing = u32::try_from(places - fraction.len()).map_err(|_| "out of range")?;
            unscaled.checked_mul(10i128.pow(missing)).ok_or("out of range")?
        }
    };
    i64::try_from(scaled).map_err(|_| "out of range".to_owned())
}
