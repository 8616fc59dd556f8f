//! Bars that a vendor tells live, through the decider that files go through: a bar is stored once, other values are a
//! revision, each batch expects its subjects' last sequence. What stands on the tape before a floor is not read.

use std::collections::{HashMap, HashSet};

use contracts::v1::Origin;
use domain::bar::{Bar, Timeframe};
use domain::calendar::Market;
use event_log::Tape;

use super::append::Importer;
use super::known::Known;
use super::{ImportError, Teller};
use crate::file::{Action, Chunk, Row, Series};
use crate::quality::Unapplied;
use crate::standards::Standards;

/// A bar on its way to the tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Telling {
    /// Symbol.
    pub(crate) symbol: String,
    /// Timeframe.
    pub(crate) timeframe: Timeframe,
    /// The bar.
    pub(crate) bar: Bar,
    /// Whether it may cause trades.
    pub(crate) origin: Origin,
    /// Whether it starts after an early close.
    pub(crate) after_early_close: bool,
}

/// What became of bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Bars stored.
    pub(crate) bars: u64,
    /// Revisions stored.
    pub(crate) revisions: u64,
    /// Bars that said nothing new.
    pub(crate) duplicates: u64,
    /// Bars of series with another authority, or across those that stand.
    pub(crate) withheld: u64,
}

/// Brings bars of some series onto the tape.
#[derive(Debug)]
pub(crate) struct Stream {
    importer: Importer,
    /// Place of each series among those of the importer.
    places: HashMap<Series, usize>,
}

impl Stream {
    /// Reads what the tape holds of `series` after the sequence `floor`. `source` tells bars of the timeframe `told`;
    /// longer ones are made of them.
    pub(crate) async fn open(
        tape: &Tape,
        source: &str,
        told: Timeframe,
        standards: &Standards,
        series: Vec<Series>,
        floor: u64,
    ) -> Result<Self, ImportError> {
        let (origin, market) = (Origin::Live, Market::Xnys);
        let teller = Teller { source: source.to_owned(), origin, told: Some(told), market };
        let mut importer = Importer::new(tape.clone(), teller, standards.clone(), Known::after(floor));
        importer.begin(None, false);
        let places = series.iter().cloned().zip(0..).collect();
        importer.chunk(Chunk { series, ..Chunk::default() }).await?;
        Ok(Self { importer, places })
    }

    /// Looks at a bar that is on the tape, so that the next one is held against it.
    pub(crate) fn prime(&mut self, symbol: &str, timeframe: Timeframe, bar: Bar) {
        let series = Series { symbol: symbol.to_owned(), timeframe };
        if let Some(place) = self.places.get(&series) {
            self.importer.prime(*place, bar);
        }
    }

    /// Stores bars in their order; those of unknown series are left out.
    pub(crate) async fn put(&mut self, tellings: &[Telling]) -> Result<Outcome, ImportError> {
        let before = (self.importer.report.appended, self.importer.report.revisions);
        let duplicates = self.importer.report.duplicates;
        let withheld = self.withheld();
        let mut rows: Vec<Row> = Vec::with_capacity(tellings.len());
        let mut origin = Origin::Live;
        let mut closes = HashSet::new();
        for telling in tellings {
            let series = Series { symbol: telling.symbol.clone(), timeframe: telling.timeframe };
            let Some(series) = self.places.get(&series).copied() else { continue };
            // What is decided on together has one origin, and each bar once.
            if origin != telling.origin || !closes.insert((series, telling.bar.close_ns)) {
                self.store(std::mem::take(&mut rows), origin).await?;
                closes.clear();
                closes.insert((series, telling.bar.close_ns));
            }
            origin = telling.origin;
            let (bar, after_early_close) = (telling.bar, telling.after_early_close);
            rows.push(Row { line: 0, series, bar, after_early_close });
        }
        self.store(rows, origin).await?;
        let report = &self.importer.report;
        Ok(Outcome {
            bars: report.appended - before.0,
            revisions: report.revisions - before.1,
            duplicates: report.duplicates - duplicates,
            withheld: self.withheld() - withheld,
        })
    }

    fn withheld(&self) -> u64 {
        self.importer.report.withheld + self.importer.report.compared
    }

    /// Stores splits and dividends that take effect now; one that the tape holds, of whatever origin, stays as it is.
    /// Answers how many were stored.
    pub(crate) async fn actions(&mut self, actions: Vec<Action>) -> Result<u64, ImportError> {
        let before = self.importer.report.appended;
        self.importer.set_origin(Origin::Live);
        self.importer.actions(actions).await?;
        Ok(self.importer.report.appended - before)
    }

    /// Stores the findings of actions that change nothing here.
    pub(crate) async fn unapplied(&mut self, told: Vec<Unapplied>) -> Result<(), ImportError> {
        self.importer.unapplied(told).await
    }

    async fn store(&mut self, rows: Vec<Row>, origin: Origin) -> Result<(), ImportError> {
        if rows.is_empty() {
            return Ok(());
        }
        self.importer.set_origin(origin);
        self.importer.chunk(Chunk { rows, ..Chunk::default() }).await?;
        self.importer.finish().await
    }

    /// Forgets the bars that closed before `close_ns`.
    pub(crate) fn forget_before(&mut self, close_ns: i64) {
        self.importer.known.forget_before(close_ns);
    }
}
