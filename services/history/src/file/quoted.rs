//! Rows that come from elsewhere than a file, checked as a file's rows are.

use std::borrow::Cow;

use domain::bar::{Bar, Timeframe};
use domain::calendar::Market;
use domain::money::{Price, Volume};

use super::bars::in_order;
use super::check::{self, Fault, Numbers, Placer};
use super::table::Cell;
use super::time::When;
use super::{Rejected, Row};

/// Checks the bars of one series, in the order of time.
#[derive(Clone, Copy, Debug)]
pub struct RowCheck {
    timeframe: Timeframe,
    placer: Placer,
    last: Option<Bar>,
}

impl RowCheck {
    /// A check of a series of bars of `timeframe`.
    #[must_use]
    pub fn new(timeframe: Timeframe, market: Market) -> Self {
        Self { timeframe, placer: Placer::new(market), last: None }
    }

    /// The row of a bar that starts at `start_ns`, with open, high, low and close; `None` when it says the same as
    /// the bar before. `line` is its number, `series` the index that the row is to bear.
    pub fn row(
        &mut self,
        line: u64,
        series: usize,
        start_ns: i64,
        prices: [Price; 4],
        volume: Volume,
    ) -> Result<Option<Row>, Rejected> {
        let reject = |fault: Fault| fault.rejected(line);
        let at = || chrono::DateTime::from_timestamp_nanos(start_ns).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let late = |misplaced| reject(Fault::of_time(at(), misplaced));
        let [open, high, low, close] = prices.map(|price| Cell::Text(Cow::Owned(price.to_string())));
        let volume = Cell::Text(Cow::Owned(volume.to_string()));
        let interval = self.placer.place(When::Instant(start_ns), self.timeframe).map_err(late)?;
        let bar = check::bar(&Numbers { open, high, low, close, volume }, interval).map_err(reject)?;
        if let Some(last) = &self.last
            && !in_order(last, &bar, self.timeframe).map_err(late)?
        {
            return Ok(None);
        }
        self.last = Some(bar);
        Ok(Some(Row { line, series, bar, after_early_close: interval.after_early_close }))
    }

    /// When a bar that starts at `start_ns` closes; `None` where there is none.
    pub fn close_ns(&mut self, start_ns: i64) -> Option<i64> {
        self.placer.place(When::Instant(start_ns), self.timeframe).ok().map(|interval| interval.close_ns)
    }
}
