//! Key statistics that follow from a symbol's own bars: range of 52 weeks, average volume, change on the
//! day.
//!
//! Deliberately absent: whatever a vendor knows and the tape does not (market value, ratios, estimates).

use chrono::NaiveDate;

use crate::bar::Bar;
use crate::calendar::Calendar;
use crate::indicator::Change;
use crate::money::{Price, Volume, div_half_even};

/// Days of the range, today's included: 52 weeks.
const RANGE_DAYS: i64 = 364;
/// Sessions that the average volume is taken over.
pub const VOLUME_SESSIONS: usize = 20;

/// See the module. Prices and volumes are in the shares of the last day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyStatistics {
    /// Last close.
    pub last: Price,
    /// From the close of the day before to the last one; `None` on the first day.
    pub change: Option<Change>,
    /// Highest price of the 52 weeks up to the last day, with its date in exchange time.
    pub high: (Price, NaiveDate),
    /// Lowest price of the 52 weeks up to the last day, with its date in exchange time.
    pub low: (Price, NaiveDate),
    /// Days with bars in these 52 weeks.
    pub days: usize,
    /// Mean volume of the last sessions that are over; `None` before the first.
    pub average_volume: Option<Volume>,
    /// Sessions that the mean is taken over, at most [`VOLUME_SESSIONS`].
    pub volume_sessions: usize,
}

impl KeyStatistics {
    /// Of one bar per day, oldest first, restated in the shares of the last day; `None` without any. A day
    /// counts as over when its session has closed by the close of its last bar.
    #[must_use]
    pub fn of(days: &[Bar], calendar: &Calendar) -> Option<Self> {
        let last = days.last()?;
        // A bar may close at midnight: it belongs to the day that ends then.
        let date = |bar: &Bar| calendar.date_of(bar.close_ns.saturating_sub(1));
        let until = date(last);
        let within = |bar: &&Bar| (until - date(bar)).num_days() < RANGE_DAYS;
        let range: Vec<&Bar> = days.iter().filter(within).collect();
        let high = range.iter().max_by_key(|bar| (bar.high, bar.close_ns))?;
        let low = range.iter().min_by_key(|bar| (bar.low, std::cmp::Reverse(bar.close_ns)))?;
        let over = |bar: &&Bar| match calendar.session(date(bar)) {
            Ok(Some(session)) => bar.close_ns >= session.close_ns,
            Ok(None) | Err(_) => bar.close_ns < last.close_ns,
        };
        let volumes: Vec<i128> = days
            .iter()
            .rev()
            .filter(over)
            .take(VOLUME_SESSIONS)
            .map(|bar| i128::from(bar.volume.0))
            .collect();
        let mean = i128::try_from(volumes.len()).ok().filter(|count| *count > 0);
        let mean = mean.map(|count| div_half_even(volumes.iter().sum(), count));
        let before = days.len().checked_sub(2).and_then(|index| days.get(index));
        Some(Self {
            last: last.close,
            change: before.and_then(|before| Change::between(before.close, last.close)),
            high: (high.high, date(high)),
            low: (low.low, date(low)),
            days: range.len(),
            average_volume: mean.and_then(|mean| i64::try_from(mean).ok()).map(Volume),
            volume_sessions: volumes.len(),
        })
    }
}
