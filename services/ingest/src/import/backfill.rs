//! A vendor's history of one series, page by page, through the same checks and decisions as files.

use contracts::v1::Origin;
use domain::bar::{Bar, Timeframe};
use domain::calendar::{Market, Session};
use domain::money::{Price, Volume};
use event_log::Tape;

use super::append::Importer;
use super::known::Known;
use super::report::ImportReport;
use super::standing::{across, minute};
use super::{ImportError, Teller};
use crate::authority::Authorities;
use crate::file::{Action, Chunk, Rejected, Row, RowCheck, Series};
use crate::quality::{Found, Unapplied};
use crate::standards::Standards;

/// Spans that a vendor is asked for at most: a symbol that seldom trades lacks the end of most sessions, and each
/// span costs requests.
const SPANS_MAX: usize = 12;

/// What the tape has of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holding {
    Nothing,
    /// Bars, but none that reaches the close.
    Part,
    Whole,
}

/// Prices and volume of one interval, raw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl Quote {
    /// The interval as a bar that ends at `close_ns`, whether it could be one or not.
    pub(crate) fn bar(&self, close_ns: i64) -> Bar {
        let Self { start_ns, open, high, low, close, volume } = *self;
        Bar { start_ns, close_ns, open, high, low, close, volume }
    }
}

/// Brings one series of a vendor onto the tape. Nothing is kept beside the tape: what is there says where to go on.
#[derive(Debug)]
pub struct Backfill {
    importer: Importer,
    series: Series,
    source: String,
    authorities: Authorities,
    stale_sessions: u32,
    market: Market,
    check: RowCheck,
    /// Index of the series in what is known.
    known: usize,
    /// Rows so far.
    line: u64,
    /// Close of the newest bar.
    newest_ns: Option<i64>,
}

impl Backfill {
    /// Reads what the tape holds of the series; `source` is the vendor's name.
    pub async fn open(
        tape: &Tape,
        source: &str,
        series: Series,
        market: Market,
        standards: &Standards,
    ) -> Result<Self, ImportError> {
        let teller = Teller { source: source.to_owned(), origin: Origin::Backfill, told: None, market };
        let mut importer = Importer::new(tape.clone(), teller, standards.clone(), Known::default());
        importer.begin(Some(series.symbol.clone()), false);
        importer.chunk(Chunk { series: vec![series.clone()], ..Chunk::default() }).await?;
        let known = importer.known.follow(tape, std::slice::from_ref(&series)).await?;
        let check = RowCheck::new(series.timeframe, market);
        let known = known.first().copied().unwrap_or_default();
        let newest_ns = importer.known.closes(known, i64::MIN, i64::MAX).next_back();
        Ok(Self {
            newest_ns,
            stale_sessions: standards.rules.as_ref().map_or(0, |rules| rules.stale_sessions),
            authorities: standards.authorities.clone(),
            source: source.to_owned(),
            importer,
            market,
            check,
            known,
            series,
            line: 0,
        })
    }

    /// What the vendor has to be asked for between `from_ns` and `to_ns`, in order, each from a time up to another:
    /// the sessions of which the tape has no bar, with the day before them, whose bars may not all be there; those of
    /// which it has bars, but none that reaches the close; and the last one. A session whose bars are another source's
    /// is asked for where the authority says so: either that source's bars are to be compared, or this one's are to
    /// take their place. There is one span at least, which is the last and ends with `to_ns`, and a dozen at most:
    /// where there were more, the first reaches over the oldest.
    pub fn spans(&self, from_ns: i64, to_ns: i64) -> Result<Vec<(i64, i64)>, ImportError> {
        let calendar = self.market.calendar();
        let (first, last) = (calendar.date_of(from_ns), calendar.date_of(to_ns.saturating_sub(1)));
        // Where each session's day begins, and whether it is asked for.
        let mut days: Vec<(i64, bool)> = Vec::new();
        for session in calendar.sessions(first, last)? {
            let holding = self.holding(session);
            let mut start_ns = calendar.start_of(session.date).max(from_ns);
            if holding == Holding::Nothing {
                match days.last_mut() {
                    Some(before) => before.1 = true,
                    None => start_ns = from_ns,
                }
            }
            days.push((start_ns, holding != Holding::Whole));
        }
        match days.last_mut() {
            Some(last) => last.1 = true,
            None => return Ok(vec![(from_ns, to_ns)]),
        }
        let mut spans = Vec::new();
        let mut begun_ns = None;
        for (start_ns, asked) in days {
            match begun_ns {
                None if asked => begun_ns = Some(start_ns),
                Some(from_ns) if !asked => {
                    spans.push((from_ns, start_ns));
                    begun_ns = None;
                }
                _ => {}
            }
        }
        spans.extend(begun_ns.map(|from_ns| (from_ns, to_ns)));
        let oldest_ns = spans.first().map_or(from_ns, |span| span.0);
        spans.drain(..spans.len().saturating_sub(SPANS_MAX));
        if let Some(first) = spans.first_mut() {
            first.0 = oldest_ns;
        }
        Ok(spans)
    }

    fn holding(&self, session: &Session) -> Holding {
        let timeframe = self.series.timeframe;
        // The last bar of a session may end after it.
        let within_ns = match timeframe {
            Timeframe::D1 => session.close_ns,
            timeframe => session.close_ns.saturating_add(timeframe.nanos() - 1),
        };
        let own = self.authorities.of(&self.series.symbol, timeframe, session.date).is_some();
        let known = &self.importer.known;
        let is_own = |close_ns: i64| {
            known.bar(self.known, close_ns).is_some_and(|held| known.told(held) == self.source)
        };
        let mut closes = known.closes(self.known, session.open_ns + 1, within_ns);
        match closes.rfind(|close_ns| !own || is_own(*close_ns)) {
            None => Holding::Nothing,
            Some(close_ns) if timeframe == Timeframe::D1 || close_ns >= session.close_ns => Holding::Whole,
            Some(_) => Holding::Part,
        }
    }

    /// Who else is the authority of the series on a date of New York, where that is stated.
    #[must_use]
    pub fn other_authority(&self, ns: i64) -> Option<&str> {
        let date = self.market.calendar().date_of(ns);
        let stated = self.authorities.of(&self.series.symbol, self.series.timeframe, date);
        stated.filter(|stated| *stated != self.source)
    }

    /// How many bars of the series the tape holds, each of which is kept in memory.
    #[must_use]
    pub fn held(&self) -> usize {
        self.importer.known.count(self.known)
    }

    /// Says that the vendor was asked for a whole span, and is not asked for what lies between it and the next one: bars
    /// on both sides of that are no neighbours.
    pub async fn skip(&mut self) -> Result<(), ImportError> {
        self.importer.finish().await?;
        self.importer.skip(0);
        Ok(())
    }

    /// Takes in splits and dividends; their lines do not count.
    pub async fn actions(&mut self, actions: Vec<Action>) -> Result<(), ImportError> {
        let read = actions.len() as u64;
        self.importer.report.count(None, read, 0, Vec::new());
        self.importer.actions(actions).await
    }

    /// Takes in actions that change nothing here: each is a finding, made once.
    pub async fn unapplied(&mut self, told: Vec<Unapplied>) -> Result<(), ImportError> {
        self.importer.unapplied(told).await
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
                    self.newest_ns = self.newest_ns.max(Some(row.bar.close_ns));
                    chunk.rows.push(row);
                }
                Ok(None) => chunk.duplicates += 1,
                Err(rejected) => {
                    // A time at which there is no bar is not the market's mistake.
                    if rejected.field != "time" {
                        self.inconsistent(quote, &rejected);
                    }
                    chunk.rejected.push(rejected);
                }
            }
        }
        self.importer.chunk(chunk).await
    }

    fn inconsistent(&mut self, quote: &Quote, rejected: &Rejected) {
        let detail = format!("{} {:?}: {}", rejected.field, rejected.value, rejected.reason);
        // A day is known at its session's close, not a day after it began.
        let close_ns = self.check.close_ns(quote.start_ns);
        let close_ns =
            close_ns.unwrap_or_else(|| quote.start_ns.saturating_add(self.series.timeframe.nanos()));
        let row = Row { line: self.line, series: 0, bar: quote.bar(close_ns), after_early_close: false };
        let found = Found { found: rejected.value.clone(), ..Found::new("inconsistent_bar", detail) };
        self.importer.find(row, found, close_ns);
    }

    /// Says that the vendor has told everything up to `to_ns`: a series that ends long before is stale. `now_ns` is the
    /// present.
    pub fn told_up_to(&mut self, to_ns: i64, now_ns: i64) -> Result<(), ImportError> {
        let Some(newest_ns) = self.newest_ns else { return Ok(()) };
        let calendar = self.market.calendar();
        let end_ns = to_ns.min(now_ns);
        if self.stale_sessions == 0 || newest_ns >= end_ns {
            return Ok(());
        }
        let sessions = calendar.sessions(calendar.date_of(newest_ns), calendar.date_of(end_ns))?;
        let since =
            sessions.iter().filter(|session| session.open_ns >= newest_ns && session.close_ns <= end_ns);
        let (count, last) = since.fold((0_u32, None), |(count, _), session| (count + 1, Some(session)));
        let Some(last) = last.filter(|_| count >= self.stale_sessions) else { return Ok(()) };
        let date = calendar.date_of(newest_ns - 1);
        let start_ns = match self.series.timeframe {
            Timeframe::D1 => calendar.session(date)?.map_or(newest_ns, |session| session.open_ns),
            timeframe => newest_ns.saturating_sub(timeframe.nanos()),
        };
        let detail = format!("no bar in {count} sessions after {date}, up to {}", last.date);
        let found = Found {
            found: count.to_string(),
            expected: self.stale_sessions.to_string(),
            ..Found::new("stale_symbol", detail)
        };
        let bar = Quote { start_ns, ..Quote::default() }.bar(newest_ns);
        let row = Row { line: self.line, series: 0, bar, after_early_close: false };
        self.importer.find(row, found, last.close_ns);
        Ok(())
    }

    /// Bars of one series do not overlap: hours from the open and hours on the clock make no series.
    fn aligned(&self, start_ns: i64, close_ns: i64) -> Result<(), ImportError> {
        let timeframe = self.series.timeframe;
        if timeframe == Timeframe::D1 {
            return Ok(());
        }
        let (after_ns, before_ns) = across(timeframe, start_ns, close_ns);
        let around = self.importer.known.closes(self.known, after_ns, before_ns);
        match around.into_iter().find(|held| *held != close_ns) {
            None => Ok(()),
            Some(held) => Err(ImportError::Across {
                symbol: self.series.symbol.clone(),
                timeframe,
                held: minute(held),
                source_name: self.source.clone(),
                told: minute(close_ns),
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
