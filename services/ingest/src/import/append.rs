//! From checked rows to atomic batches, up to two on their way while the next is built.
//!
//! A batch is sent while the one before it is being stored. It expects the sequences that the events of that one will have
//! if nobody else writes to the stream meanwhile; where somebody did, it is refused, and decided and sent again.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use contracts::Subject;
use contracts::v1::Origin;
use domain::bar::Bar;
use event_log::{AppendError, Appended, Expect, LogError, Tape};
use tokio::task::JoinHandle;

use super::decide::{self, ITEM_EVENTS_MAX, Item, Prepared, Target};
use super::known::{Known, Subjects};
use super::patience::{Patience, SILENCE_MAX};
use super::report::ImportReport;
use super::{ImportError, Teller};
use crate::file::{Action, Chunk, Row};
use crate::quality::{Found, Quality};
use crate::source::Range;
use crate::standards::Standards;

/// Events of a batch, as many as the tape takes at once.
const BATCH_EVENTS: usize = 1_000;
/// Batches on their way at a time.
const UNDERWAY_MAX: usize = 2;
/// Batches that wait for each other's answers after somebody else wrote in between.
const CAREFUL: u32 = 16;
/// Rounds in a row in which batches are sent again because the tape cannot be reached, and the pause before each.
const AGAIN_MAX: u32 = 5;
const PAUSE: Duration = Duration::from_millis(500);
/// Batches refused in a row, none stored in between, after which nothing is expected of deciding again: whoever else writes
/// would have to be first each time, or what stands in the way is none of what is read.
const IN_VAIN_MAX: u32 = 1_000;

/// A batch on its way: what was decided, and what the tape will answer.
#[derive(Debug)]
struct Underway {
    prepared: Prepared,
    task: JoinHandle<Result<Vec<Appended>, AppendError>>,
}

/// What became of a batch.
#[derive(Debug)]
enum Answer {
    Stored(Stored),
    /// Somebody else was first: it is to be decided again.
    Again(Prepared),
    /// Nobody knows whether it was stored.
    Lost(Prepared, LogError),
}

/// A batch that is on the tape and not noted yet.
#[derive(Debug, Default)]
struct Stored {
    prepared: Prepared,
    places: Vec<Appended>,
}

impl Stored {
    /// Each event's subject and sequence.
    fn places(&self) -> impl Iterator<Item = (&Subject, u64)> {
        self.prepared.subjects.iter().zip(self.places.iter().map(|place| place.sequence))
    }
}

/// Brings items onto the tape in their order.
#[derive(Debug)]
pub(super) struct Importer {
    pub(super) tape: Tape,
    pub(super) known: Known,
    pub(super) report: ImportReport,
    label: Option<String>,
    adjusted: bool,
    teller: Teller,
    standards: Standards,
    quality: Option<Quality>,
    /// Where the findings alone are wanted: the dates that are looked at.
    examined: Option<Range>,
    /// Whether what would be appended is only taken for stored.
    is_trial: bool,
    source: u16,
    targets: Vec<Target>,
    pub(super) queue: VecDeque<Item>,
    /// The oldest first.
    underway: VecDeque<Underway>,
    /// Sequence of the last event that is known to be stored; 0 where none is.
    head: u64,
    /// Batches still to be sent one by one.
    careful: u32,
    /// Rounds in a row in which the tape could not be reached.
    failures: u32,
    /// Batches in a row that were refused.
    in_vain: u32,
    patience: Patience,
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
            examined: None,
            is_trial: false,
            known,
            report: ImportReport::default(),
            label: None,
            adjusted: false,
            targets: Vec::new(),
            queue: VecDeque::new(),
            underway: VecDeque::new(),
            head: 0,
            careful: 0,
            failures: 0,
            in_vain: 0,
            patience: Patience::new(SILENCE_MAX),
        }
    }

    /// Says of which origin what follows is; everything before must be finished.
    pub(super) fn set_origin(&mut self, origin: Origin) {
        self.teller.origin = origin;
    }

    /// From now on bars within `range` make findings, and nothing else is appended.
    pub(super) fn examine(&mut self, range: Range) {
        self.examined = Some(range);
    }

    /// From now on nothing is appended: what would be is taken for stored, so that what comes behind it is decided as it
    /// would be then.
    pub(super) fn only_try(&mut self) {
        self.is_trial = true;
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
            let indexes = match self.examined {
                None => self.known.follow(&self.tape, &chunk.series).await?,
                Some(_) => self.known.follow_findings(&self.tape, &chunk.series).await?,
            };
            self.targets.extend(chunk.series.into_iter().zip(indexes).map(|(series, known)| Target {
                subjects: Subjects::of(&series),
                series,
                known,
            }));
        }
        self.report.count(self.label.as_deref(), chunk.read, chunk.duplicates, chunk.rejected);
        let calendar = self.teller.market.calendar();
        for row in chunk.rows {
            match self.examined {
                None => {
                    let found = self.look(&row);
                    self.queue.push_back(Item::Row(row, found));
                }
                Some(range) if range.holds_close(calendar, row.bar.close_ns) => {
                    let found = self.look(&row);
                    self.queue.push_back(Item::Played(row, found));
                }
                Some(_) => {}
            }
        }
        self.pump(false).await
    }

    /// Takes in what is wrong with something that is no bar, or with a series as of `time_ns`.
    pub(super) fn find(&mut self, row: Row, found: Found, time_ns: i64) {
        if self.quality.is_some() {
            self.queue.push_back(Item::Finding(row, found, time_ns));
        }
    }

    /// Says that what lies behind the newest bar of a series of the present file was not asked for.
    pub(super) fn skip(&mut self, series: usize) {
        if let (Some(quality), Some(target)) = (&mut self.quality, self.targets.get(series)) {
            quality.skip(target.known);
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
            known.split(&series.symbol, || (date(from_ns), date(to_ns)))
        })
    }

    /// Takes in corporate actions.
    pub(super) async fn actions(&mut self, actions: Vec<Action>) -> Result<(), ImportError> {
        let symbols: BTreeSet<String> = actions.iter().map(|action| action.symbol.clone()).collect();
        self.known.follow_actions(&self.tape, &symbols.into_iter().collect::<Vec<_>>()).await?;
        if self.examined.is_none() {
            self.queue.extend(actions.into_iter().map(Item::Action));
        }
        // A jump that follows is none where the split for it is on the tape.
        self.pump(true).await
    }

    /// Appends what is left and waits until all of it is stored.
    pub(super) async fn finish(&mut self) -> Result<(), ImportError> {
        self.pump(true).await
    }

    /// After a failure: waits for what is on its way, and counts what of it is stored.
    pub(super) async fn settle_rest(&mut self) {
        while let Some(Underway { prepared, task }) = self.underway.pop_front() {
            if let Ok(Ok(Ok(places))) = self.patience.hear(task).await
                && !places.iter().any(|place| place.duplicate)
            {
                self.note(Stored { prepared, places });
            }
        }
    }

    async fn pump(&mut self, everything: bool) -> Result<(), ImportError> {
        loop {
            let least = if everything { 1 } else { BATCH_EVENTS };
            if self.queue.len() < least {
                if !everything || self.underway.is_empty() {
                    return Ok(());
                }
                if let Some((_, stored)) = self.settle(Prepared::default()).await? {
                    self.note(stored);
                }
                continue;
            }
            let prepared = self.prepare();
            if self.is_trial {
                self.pretend(prepared);
                continue;
            }
            if prepared.appends.is_empty() {
                self.count(&prepared);
                continue;
            }
            // Where the events of a batch will stand is known from those before it, unless that was long ago.
            if self.underway.is_empty() {
                self.head = 0;
            }
            let most = if self.head > 0 && self.careful == 0 { UNDERWAY_MAX } else { 1 };
            if self.underway.len() < most {
                self.launch(prepared, &Stored::default());
            } else if let Some((prepared, stored)) = self.settle(prepared).await? {
                // The server works on the next batch while the one before is noted.
                self.launch(prepared, &stored);
                self.note(stored);
            }
            // What was launched asks for its turn before the next batch can.
            tokio::task::yield_now().await;
        }
    }

    /// Decides on items until a batch is full or the queue is empty.
    fn prepare(&mut self) -> Prepared {
        let mut prepared = Prepared::default();
        let underway: Vec<&Prepared> = self.underway.iter().map(|underway| &underway.prepared).collect();
        while prepared.appends.len() + ITEM_EVENTS_MAX <= BATCH_EVENTS {
            let Some(item) = self.queue.pop_front() else { break };
            let view = decide::View {
                known: &self.known,
                targets: &self.targets,
                underway: &underway,
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
    /// tells where it is not noted yet, and what is underway where it is not stored yet.
    fn launch(&mut self, mut prepared: Prepared, stored: &Stored) {
        let coming = self.underway.iter().flat_map(|underway| &underway.prepared.subjects);
        let behind = last_of_each(stored.places().chain(coming.zip(self.head.saturating_add(1)..)));
        let mut entries = std::mem::take(&mut prepared.appends);
        let mut touched: HashSet<&str> = HashSet::new();
        let mut before = None;
        for (entry, subject) in entries.iter_mut().zip(&prepared.subjects) {
            // Most events follow one of their own subject.
            if before.replace(subject) != Some(subject) && touched.insert(subject.as_str()) {
                let filter = subject.as_str();
                let noted = self.known.last(filter);
                let sequence = behind.get(filter).map_or(noted, |coming| noted.max(*coming));
                entry.expect = Expect::Last { sequence, filter: filter.to_owned() };
            }
        }
        let tape = self.tape.clone();
        let task = tokio::spawn(async move { tape.append_batch(entries).await });
        self.underway.push_back(Underway { prepared, task });
    }

    /// Waits for the oldest batch underway and answers `next` and what was stored.
    ///
    /// On a conflict, or when it is not known whether the batch was stored, its items and those behind it, `next` last,
    /// go back to the queue in their order, what came meanwhile is read, and there is nothing to send.
    async fn settle(&mut self, next: Prepared) -> Result<Option<(Prepared, Stored)>, ImportError> {
        let Some(underway) = self.underway.pop_front() else {
            return Ok(Some((next, Stored::default())));
        };
        let mut lost = None;
        let failed = match self.answered(underway).await? {
            Answer::Stored(stored) => {
                (self.failures, self.in_vain) = (0, 0);
                self.careful = self.careful.saturating_sub(1);
                return Ok(Some((next, stored)));
            }
            Answer::Again(failed) => {
                self.count_in_vain()?;
                failed
            }
            Answer::Lost(failed, error) => {
                lost = Some(error);
                failed
            }
        };
        // What was sent behind it expected what it would have written. It is stored nevertheless where it shares no
        // subject with it, and where somebody else's events stand in its place.
        let (mut again, mut behind) = (vec![failed], Vec::new());
        while let Some(underway) = self.underway.pop_front() {
            match self.answered(underway).await? {
                Answer::Stored(stored) => behind.push(stored),
                Answer::Again(failed) => again.push(failed),
                Answer::Lost(failed, error) => {
                    lost = Some(error);
                    again.push(failed);
                }
            }
        }
        if let Some(error) = lost {
            self.outlast(error).await?;
        }
        self.careful = CAREFUL;
        // Read before what is behind is noted: what came between stands in front of it.
        self.again(again, next, &behind).await?;
        behind.into_iter().for_each(|stored| self.note(stored));
        Ok(None)
    }

    /// Counts a batch that is to be decided again; too many in a row are an error, so that nobody decides for ever.
    fn count_in_vain(&mut self) -> Result<(), ImportError> {
        self.in_vain += 1;
        if self.in_vain <= IN_VAIN_MAX {
            return Ok(());
        }
        let words =
            format!("refused {IN_VAIN_MAX} times in a row, and nothing is read that stands in its place");
        Err(AppendError::Unavailable(LogError::new("append a batch", words)).into())
    }

    /// Waits before what was not answered is sent again. An outage counts once in a round, however many batches it met.
    async fn outlast(&mut self, error: LogError) -> Result<(), ImportError> {
        if self.failures == AGAIN_MAX {
            return Err(AppendError::Unavailable(error).into());
        }
        self.failures += 1;
        tracing::warn!(failures = self.failures, "batch not answered, looking again: {error}");
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    async fn answered(&mut self, underway: Underway) -> Result<Answer, ImportError> {
        let Underway { prepared, task } = underway;
        let heard = self.patience.hear(task).await.map_err(AppendError::Unavailable)?;
        let outcome = heard.map_err(|error| ImportError::Task {
            path: self.label.clone().unwrap_or_default().into(),
            problem: error.to_string(),
        })?;
        if !matches!(outcome, Err(AppendError::Unavailable(_))) {
            self.patience.heard();
        }
        match outcome {
            // Another import of the same bars was first. An id says nothing about values, so what it wrote
            // is read and compared.
            Ok(places) if places.iter().any(|place| place.duplicate) => Ok(Answer::Again(prepared)),
            Ok(places) => {
                self.head = places.last().map_or(self.head, |place| place.sequence);
                Ok(Answer::Stored(Stored { prepared, places }))
            }
            Err(AppendError::Conflict { filter, .. }) => {
                tracing::debug!(filter, "another writer was first under {filter}; deciding again");
                Ok(Answer::Again(prepared))
            }
            Err(AppendError::Unavailable(error)) => Ok(Answer::Lost(prepared, error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what would be appended for stored.
    fn pretend(&mut self, prepared: Prepared) {
        self.count(&prepared);
        for (subject, effect) in prepared.subjects.iter().zip(prepared.effects) {
            let next = self.known.last(subject.as_str()).saturating_add(1);
            self.known.note(subject.as_str(), next, effect);
        }
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

    /// Puts items back, and reads what stands under the subjects of their events and of those that are `behind` them.
    async fn again(
        &mut self,
        failed: Vec<Prepared>,
        next: Prepared,
        behind: &[Stored],
    ) -> Result<(), ImportError> {
        let prepared = failed.iter().chain(behind.iter().map(|stored| &stored.prepared));
        let subjects = prepared.flat_map(|prepared| &prepared.subjects);
        let subjects: BTreeSet<String> = subjects.map(|subject| subject.as_str().to_owned()).collect();
        for prepared in failed.into_iter().chain([next]).rev() {
            for item in prepared.items.into_iter().rev() {
                self.queue.push_front(item);
            }
        }
        self.known.catch_up(&self.tape, &subjects.into_iter().collect::<Vec<_>>()).await?;
        self.patience.heard();
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

/// The last sequence of each subject; most events follow one of their own.
fn last_of_each<'a>(places: impl Iterator<Item = (&'a Subject, u64)>) -> HashMap<&'a str, u64> {
    let mut places = places.peekable();
    let mut last = HashMap::new();
    while let Some((subject, sequence)) = places.next() {
        if places.peek().is_none_or(|(next, _)| *next != subject) {
            last.insert(subject.as_str(), sequence);
        }
    }
    last
}

#[cfg(test)]
mod tests;
