//! From checked rows to atomic batches, one on its way while the next is built.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use contracts::Subject;
use contracts::v1::Origin;
use domain::bar::Bar;
use event_log::{AppendError, Appended, Expect, Tape};
use tokio::task::JoinHandle;

use super::decide::{self, ITEM_EVENTS_MAX, Item, Prepared, Target};
use super::known::{Known, Subjects};
use super::report::ImportReport;
use super::{ImportError, Teller};
use crate::file::{Action, Chunk, Row};
use crate::quality::{Found, Quality};
use crate::standards::Standards;

/// Events of a batch, as many as the tape takes at once.
const BATCH_EVENTS: usize = 1_000;
/// Attempts at a batch while the tape cannot be reached, and the pause between them.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// A batch on its way: what was decided, and the subjects its events went to.
#[derive(Debug)]
struct Underway {
    prepared: Prepared,
    task: JoinHandle<Result<Vec<Appended>, AppendError>>,
}

/// A batch that is on the tape and not noted yet.
#[derive(Debug, Default)]
struct Stored {
    prepared: Prepared,
    places: Vec<Appended>,
}

impl Stored {
    /// Each event's subject and sequence.
    fn places(&self) -> impl Iterator<Item = (&str, u64)> {
        let subjects = self.prepared.subjects.iter().map(Subject::as_str);
        subjects.zip(self.places.iter().map(|place| place.sequence))
    }
}

/// Brings items onto the tape in their order.
#[derive(Debug)]
pub(super) struct Importer {
    tape: Tape,
    pub(super) known: Known,
    pub(super) report: ImportReport,
    label: Option<String>,
    adjusted: bool,
    teller: Teller,
    standards: Standards,
    quality: Option<Quality>,
    source: u16,
    targets: Vec<Target>,
    queue: VecDeque<Item>,
    underway: Option<Underway>,
    failures: u32,
}

impl Importer {
    pub(super) fn new(tape: Tape, teller: Teller, standards: Standards, mut known: Known) -> Self {
        // A vendor that tells as it happens is compared with its history; only history has holes of its own.
        let calendar = (teller.origin != Origin::Live).then(|| teller.market.calendar());
        let quality = standards.rules.clone().map(|rules| Quality::new(rules, calendar));
        Self {
            tape,
            source: known.source_index(&teller.source),
            teller,
            standards,
            quality,
            known,
            report: ImportReport::default(),
            label: None,
            adjusted: false,
            targets: Vec::new(),
            queue: VecDeque::new(),
            underway: None,
            failures: 0,
        }
    }

    /// Says of which origin what follows is; everything before must be finished.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.teller.origin = origin;
    }

    /// Begins a file; the one before must be finished.
    pub(super) fn begin(&mut self, label: Option<String>, adjusted: bool) {
        self.label = label;
        self.adjusted = adjusted;
        self.targets.clear();
    }

    /// Takes in a chunk of a file of bars.
    pub(super) async fn chunk(&mut self, chunk: Chunk) -> Result<(), ImportError> {
        if !chunk.series.is_empty() {
            if self.quality.is_some() {
                // A jump is a finding unless the tape has a split for it.
                let symbols: BTreeSet<&str> =
                    chunk.series.iter().map(|series| series.symbol.as_str()).collect();
                let symbols: Vec<String> = symbols.into_iter().map(ToOwned::to_owned).collect();
                self.known.follow_actions(&self.tape, &symbols).await?;
            }
            let indexes = self.known.follow(&self.tape, &chunk.series).await?;
            self.targets.extend(chunk.series.into_iter().zip(indexes).map(|(series, known)| Target {
                subjects: Subjects::of(&series),
                series,
                known,
            }));
        }
        self.report.count(self.label.as_deref(), chunk.read, chunk.duplicates, chunk.rejected);
        for row in chunk.rows {
            let found = self.look(&row);
            self.queue.push_back(Item::Row(row, found));
        }
        self.pump(false).await
    }

    /// Takes in what is wrong with something that is no bar, or with a series as of `time_ns`.
    pub(super) fn find(&mut self, row: Row, found: Found, time_ns: i64) {
        if self.quality.is_some() {
            self.queue.push_back(Item::Finding(row, found, time_ns));
        }
    }

    /// Looks at a bar that is on the tape, so that the next one is held against it.
    pub(super) fn prime(&mut self, series: usize, bar: Bar) {
        self.look(&Row { line: 0, series, bar, after_early_close: false });
    }

    /// What looks wrong with a bar, if it comes to stand on the tape.
    fn look(&mut self, row: &Row) -> Vec<Found> {
        let (Some(quality), Some(target)) = (&mut self.quality, self.targets.get(row.series)) else {
            return Vec::new();
        };
        let (series, known) = (&target.series, &self.known);
        // What was made of shorter bars was looked at with them.
        if self.teller.told.is_some_and(|told| told < series.timeframe) {
            return Vec::new();
        }
        let calendar = self.teller.market.calendar();
        let date = |ns| calendar.date_of(ns);
        quality.take(target.known, series.timeframe, &row.bar, |from_ns, to_ns| {
            known.split(&series.symbol, date(from_ns), date(to_ns))
        })
    }

    /// Takes in corporate actions.
    pub(super) async fn actions(&mut self, actions: Vec<Action>) -> Result<(), ImportError> {
        let symbols: BTreeSet<String> = actions.iter().map(|action| action.symbol.clone()).collect();
        self.known.follow_actions(&self.tape, &symbols.into_iter().collect::<Vec<_>>()).await?;
        self.queue.extend(actions.into_iter().map(Item::Action));
        // A jump that follows is none where the split for it is on the tape.
        self.pump(true).await
    }

    /// Appends what is left and waits until all of it is stored.
    pub(super) async fn finish(&mut self) -> Result<(), ImportError> {
        self.pump(true).await
    }

    async fn pump(&mut self, everything: bool) -> Result<(), ImportError> {
        loop {
            let least = if everything { 1 } else { BATCH_EVENTS };
            if self.queue.len() < least {
                if everything {
                    let Some((_, stored)) = self.settle(Prepared::default()).await? else { continue };
                    self.note(stored);
                }
                return Ok(());
            }
            let prepared = self.prepare();
            if prepared.appends.is_empty() {
                self.count(&prepared);
            } else if let Some((prepared, stored)) = self.settle(prepared).await? {
                // The server works on the next batch while the one before is noted.
                self.launch(prepared, &stored);
                self.note(stored);
            }
        }
    }

    /// Decides on items until a batch is full or the queue is empty.
    fn prepare(&mut self) -> Prepared {
        let mut prepared = Prepared::default();
        while prepared.appends.len() + ITEM_EVENTS_MAX <= BATCH_EVENTS {
            let Some(item) = self.queue.pop_front() else { break };
            let underway = self.underway.as_ref().map(|underway| &underway.prepared);
            let view = decide::View {
                known: &self.known,
                targets: &self.targets,
                underway,
                adjusted: self.adjusted,
                teller: &self.teller,
                source: self.source,
                standards: &self.standards,
            };
            view.decide(&item, &mut prepared);
            prepared.items.push(item);
        }
        prepared
    }

    /// Sends a batch whose first event of each subject expects the subject's last sequence, which `stored`
    /// tells where it is not noted yet.
    fn launch(&mut self, mut prepared: Prepared, stored: &Stored) {
        let behind: HashMap<&str, u64> = stored.places().collect();
        let mut entries = std::mem::take(&mut prepared.appends);
        let mut touched: HashSet<&str> = HashSet::new();
        let first: Vec<bool> =
            prepared.subjects.iter().map(|subject| touched.insert(subject.as_str())).collect();
        for (entry, first) in entries.iter_mut().zip(first) {
            if first {
                let filter = entry.subject.as_str().to_owned();
                let noted = self.known.last(&filter);
                let sequence = behind.get(filter.as_str()).map_or(noted, |stored| noted.max(*stored));
                entry.expect = Expect::Last { sequence, filter };
            }
        }
        let tape = self.tape.clone();
        let task = tokio::spawn(async move { tape.append_batch(entries).await });
        self.underway = Some(Underway { prepared, task });
    }

    /// Waits for the batch underway and answers `next` and what was stored.
    ///
    /// On a conflict, or when it is not known whether the batch was stored, its items and those of `next`
    /// go back to the queue in their order, what came meanwhile is read, and there is nothing to send.
    async fn settle(&mut self, next: Prepared) -> Result<Option<(Prepared, Stored)>, ImportError> {
        let Some(Underway { prepared, task }) = self.underway.take() else {
            return Ok(Some((next, Stored::default())));
        };
        let outcome = task.await.map_err(|error| ImportError::Task {
            path: self.label.clone().unwrap_or_default().into(),
            problem: error.to_string(),
        })?;
        match outcome {
            // Another import of the same bars was first. An id says nothing about values, so what it wrote
            // is read and compared.
            Ok(places) if places.iter().any(|place| place.duplicate) => self.again(prepared, next).await?,
            Ok(places) => {
                self.failures = 0;
                return Ok(Some((next, Stored { prepared, places })));
            }
            Err(AppendError::Conflict { filter, .. }) => {
                tracing::debug!(filter, "another writer was first under {filter}; deciding again");
                self.again(prepared, next).await?;
            }
            Err(AppendError::Unavailable(error)) if self.failures < ATTEMPTS => {
                self.failures += 1;
                tracing::warn!(failures = self.failures, "batch not answered, looking again: {error}");
                tokio::time::sleep(PAUSE).await;
                self.again(prepared, next).await?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Takes in what was stored.
    fn note(&mut self, stored: Stored) {
        let Stored { prepared, places } = stored;
        self.count(&prepared);
        for ((subject, effect), place) in prepared.subjects.iter().zip(prepared.effects).zip(places) {
            self.report.stored(&effect);
            self.known.note(subject.as_str(), place.sequence, effect);
        }
    }

    async fn again(&mut self, failed: Prepared, next: Prepared) -> Result<(), ImportError> {
        for item in next.items.into_iter().rev() {
            self.queue.push_front(item);
        }
        for item in failed.items.into_iter().rev() {
            self.queue.push_front(item);
        }
        let subjects: BTreeSet<String> =
            failed.subjects.iter().map(|subject| subject.as_str().to_owned()).collect();
        self.known.catch_up(&self.tape, &subjects.into_iter().collect::<Vec<_>>()).await?;
        Ok(())
    }

    fn count(&mut self, prepared: &Prepared) {
        self.report.duplicates += prepared.duplicates;
        self.report.compared += prepared.compared;
        self.report.differing += prepared.differing;
        self.report.withheld += prepared.withheld;
        for row in &prepared.rejected {
            self.report.reject(self.label.as_deref(), row.clone());
        }
    }
}
