//! A vendor's history of one series, page by page, through the same checks and decisions as files.

use contracts::v1::Origin;
use domain::bar::Timeframe;
use domain::calendar::Market;
use domain::money::{Price, Volume};
use event_log::Tape;

use super::append::Importer;
use super::known::Known;
use super::report::ImportReport;
use super::{ImportError, Teller};
use crate::file::{Action, Chunk, RowCheck, Series};

/// Prices and volume of one interval, raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Start of the interval, UTC nanoseconds; of a day any time of its date in exchange time.
    pub start_ns: i64,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Shares traded.
    pub volume: Volume,
}

/// Brings one series of a vendor onto the tape. Nothing is kept beside the tape: what is there says where to go on.
#[derive(Debug)]
pub struct Backfill {
    importer: Importer,
    series: Series,
    source: String,
    market: Market,
    check: RowCheck,
    /// Index of the series in what is known.
    known: usize,
    /// Rows so far.
    line: u64,
}

impl Backfill {
    /// Reads what the tape holds of the series; `source` is the vendor's name.
    pub async fn open(
        tape: &Tape,
        source: &str,
        series: Series,
        market: Market,
    ) -> Result<Self, ImportError> {
        let teller = Teller { source: source.to_owned(), origin: Origin::Backfill, told: None };
        let mut importer = Importer::new(tape.clone(), teller, Known::default());
        importer.begin(Some(series.symbol.clone()), false);
        importer.chunk(Chunk { series: vec![series.clone()], ..Chunk::default() }).await?;
        let known = importer.known.follow(tape, std::slice::from_ref(&series)).await?;
        let check = RowCheck::new(series.timeframe, market);
        let known = known.first().copied().unwrap_or_default();
        Ok(Self { importer, source: source.to_owned(), market, check, known, series, line: 0 })
    }

    /// Where the vendor has to be asked from, for a span from `from_ns` up to `to_ns`: the start of the last day of
    /// the unbroken row of sessions of which the tape has a bar. That day is asked for again, for its bars may not
    /// all be there.
    pub fn resume(&self, from_ns: i64, to_ns: i64) -> Result<i64, ImportError> {
        let calendar = self.market.calendar();
        let mut resume_ns = from_ns;
        let (first, last) = (calendar.date_of(from_ns), calendar.date_of(to_ns.saturating_sub(1)));
        for session in calendar.sessions(first, last)? {
            if !self.has_bar(session.open_ns, session.close_ns) {
                break;
            }
            resume_ns = resume_ns.max(calendar.start_of(session.date));
        }
        Ok(resume_ns)
    }

    fn has_bar(&self, open_ns: i64, close_ns: i64) -> bool {
        // The last bar of a session may end after it.
        let within_ns = match self.series.timeframe {
            Timeframe::D1 => close_ns,
            timeframe => close_ns.saturating_add(timeframe.nanos() - 1),
        };
        self.importer.known.closes(self.known, open_ns + 1, within_ns).next().is_some()
    }

    /// Takes in splits and dividends; their lines do not count.
    pub async fn actions(&mut self, actions: Vec<Action>) -> Result<(), ImportError> {
        let read = actions.len() as u64;
        self.importer.report.count(None, read, 0, Vec::new());
        self.importer.actions(actions).await
    }

    /// Takes in bars, which follow those of the pages before.
    pub async fn bars(&mut self, quotes: &[Quote]) -> Result<(), ImportError> {
        let mut chunk = Chunk { read: quotes.len() as u64, ..Chunk::default() };
        for quote in quotes {
            self.line += 1;
            let prices = [quote.open, quote.high, quote.low, quote.close];
            match self.check.row(self.line, 0, quote.start_ns, prices, quote.volume) {
                Ok(Some(row)) => {
                    self.aligned(row.bar.start_ns, row.bar.close_ns)?;
                    chunk.rows.push(row);
                }
                Ok(None) => chunk.duplicates += 1,
                Err(rejected) => chunk.rejected.push(rejected),
            }
        }
        self.importer.chunk(chunk).await
    }

    /// Bars of one series do not overlap: hours from the open and hours on the clock make no series.
    fn aligned(&self, start_ns: i64, close_ns: i64) -> Result<(), ImportError> {
        let timeframe = self.series.timeframe;
        if timeframe == Timeframe::D1 {
            return Ok(());
        }
        let around = self.importer.known.closes(
            self.known,
            start_ns.saturating_add(1),
            close_ns.saturating_add(timeframe.nanos() - 1),
        );
        let at = |ns: i64| chrono::DateTime::from_timestamp_nanos(ns).format("%Y-%m-%dT%H:%MZ").to_string();
        match around.into_iter().find(|held| *held != close_ns) {
            None => Ok(()),
            Some(held) => Err(ImportError::Across {
                symbol: self.series.symbol.clone(),
                timeframe,
                held: at(held),
                source_name: self.source.clone(),
                told: at(close_ns),
            }),
        }
    }

    /// Appends what is left and waits until all of it is stored.
    pub async fn finish(&mut self) -> Result<(), ImportError> {
        self.importer.finish().await
    }

    /// What was done so far.
    #[must_use]
    pub fn report(&self) -> &ImportReport {
        &self.importer.report
    }

    /// What was done.
    #[must_use]
    pub fn into_report(self) -> ImportReport {
        self.importer.report
    }
}
