//! Import: history from files onto the tape.
//!
//! Idempotent at any later time, beyond the dedupe window and against an import that runs at the same
//! time: what the tape holds of the series concerned is read first, and each batch expects the last
//! sequence of every subject it touches. On a conflict what came meanwhile is read and decided again.
//!
//! A bar is known by (symbol, timeframe, close), whichever source wrote it: a bar that a rehearsal or a
//! live feed wrote counts as existing. An equal bar is a duplicate; other values are a
//! `market.revision`, written once. A corporate action is known by (symbol, ex-date, kind) and cannot be
//! revised: another value is rejected.
//!
//! A series has one authority ([`crate::authority`]). Bars of others are compared with its own, and what differs is a
//! finding; a bar that lies across one that stands is refused.
//!
//! Adjusted prices never pass for raw ones: a file that hints at them is refused until `--adjusted` says
//! which they are, and with `yes` every series concerned gets the finding `adjusted_prices`.
//!
//! A vendor's history comes the same way ([`Backfill`]), as pages of rows instead of files.
//!
//! What a vendor tells live goes through the same decisions ([`stream`]), remembering no more than the present session.
//!
//! Of files that a rehearsal plays the findings alone are recorded ([`examine()`]).
//!
//! An import that stops on the way, at a damaged file or without the tape, says what it has appended by then ([`Imported`]).
//!
//! Deliberately absent: the binary's exit code. A strict import that found bad rows returns a report with
//! rejected rows and nothing appended; only what comes onto the tape while it appends can still cost it a row.

mod append;
mod backfill;
mod decide;
mod examine;
mod known;
mod patience;
mod report;
mod standing;
pub(crate) mod stream;
mod unapplied;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contracts::v1::Origin;
use domain::bar::Timeframe;
use domain::calendar::{Market, OutOfRange};
use event_log::{AppendError, LogError, Tape};

use crate::event;
use crate::file::{self, Action, FileError, Opened, ReadOptions, Rejected, Series};
use crate::standards::Standards;
use append::Importer;
pub use backfill::{Backfill, Quote};
pub use examine::examine;
use known::Known;
pub use report::ImportReport;

/// Source of imported events; part of the ids of imported bars, so that they do not depend on the file.
pub const SOURCE: &str = "import";

/// Who tells of bars and actions: the source and the origin of their events.
#[derive(Clone, Debug)]
struct Teller {
    source: String,
    origin: Origin,
    /// The timeframe in which it tells; longer bars were made of those, where it is stated.
    told: Option<Timeframe>,
    /// The market of its bars.
    market: Market,
}

/// Rows handed over at a time.
const CHUNK_ROWS: usize = 1_000;
/// How long after an import a bar may close: clocks differ, and the day's bar closes with its session.
const AHEAD_MAX_NS: i64 = 86_400_000_000_000;
/// Chunks read ahead of the tape.
const CHUNKS_AHEAD: usize = 4;

/// The latest close that a bar of a file may have that is read at `now_ns`, UTC nanoseconds.
#[must_use]
pub const fn latest_close_ns(now_ns: i64) -> i64 {
    now_ns.saturating_add(AHEAD_MAX_NS)
}

/// How to import.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// What the files do not say themselves.
    pub read: ReadOptions,
    /// Append nothing when a single row is bad.
    pub strict: bool,
    /// What bars are held against.
    pub standards: Standards,
    /// The time of the import, UTC nanoseconds: a bar that closes more than a day after it is rejected. Without it the
    /// bound of `read` holds, for corporate actions too.
    pub now_ns: Option<i64>,
}

/// Why an import stopped. What was appended before stays; importing again continues.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read at all.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tape refused or could not be reached.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The tape could not be read.
    #[error(transparent)]
    Read(#[from] LogError),
    /// The tape holds bars of the series that lie across those of the vendor.
    #[error(
        "the tape holds a {timeframe} bar of {symbol} that closes at {held}, across the one from {source_name} that \
         closes at {told}: bars of one series start at the same minutes; keep this source on a tape of its own, or state \
         the [[authority]] of such series before their first bar"
    )]
    Across {
        /// Symbol.
        symbol: String,
        /// Timeframe.
        timeframe: Timeframe,
        /// Close of the bar on the tape.
        held: String,
        /// The source that was asked.
        source_name: String,
        /// Close of its bar.
        told: String,
    },
    /// A date that the calendar does not know.
    #[error(transparent)]
    Calendar(#[from] OutOfRange),
    /// The task that reads a file ended early.
    #[error("reading {}: {problem}", path.display())]
    Task {
        /// File.
        path: PathBuf,
        /// What happened.
        problem: String,
    },
}

/// What came of an import.
#[derive(Debug)]
#[must_use = "an import that stopped on the way says so here alone"]
pub struct Imported {
    /// What was done, up to where it stopped: what it counts as appended is on the tape.
    pub report: ImportReport,
    /// Why it stopped on the way, where it did.
    pub outcome: Result<(), ImportError>,
    /// The series of which it has read bars, in their order.
    pub series: BTreeSet<Series>,
}

impl Imported {
    /// The report of an import that came to its end.
    pub fn whole(self) -> Result<ImportReport, ImportError> {
        self.outcome.map(|()| self.report)
    }
}

/// Imports `files` in their order, those of corporate actions first: a jump is no finding where its split comes with it.
///
/// Every file is opened and recognised before the first event is appended, so that a missing option, or one
/// that a file contradicts, is told at once. What else is wrong with a file as a whole is met where it stands:
/// [`file::check_whole`] looks for it before.
pub async fn run(tape: &Tape, options: &ImportOptions, files: &[PathBuf]) -> Imported {
    let mut importer = importer(tape, options);
    let mut series = BTreeSet::new();
    let outcome = attempt(&mut importer, options, files, &mut series).await;
    if outcome.is_err() {
        importer.settle_rest().await;
    }
    series.extend(importer.known.series().cloned());
    Imported { report: importer.report, outcome, series }
}

fn importer(tape: &Tape, options: &ImportOptions) -> Importer {
    let market = options.read.market;
    let teller = Teller { source: SOURCE.to_owned(), origin: Origin::Import, told: None, market };
    Importer::new(tape.clone(), teller, options.standards.clone(), Known::default())
}

async fn attempt(
    importer: &mut Importer,
    options: &ImportOptions,
    files: &[PathBuf],
    series: &mut BTreeSet<Series>,
) -> Result<(), ImportError> {
    let files = &actions_first(files, options).await?;
    for path in files {
        let (file, stated) = (path.clone(), options.read.clone());
        blocking(path, move || file::check_stated(&file, &stated)).await??;
    }
    if options.strict {
        let checked = Box::pin(check(&importer.tape, options, files, series)).await?;
        if !checked.rejected.is_empty() {
            importer.report = checked;
            return Ok(());
        }
    }
    take_in(importer, options, files).await
}

/// Opens and recognises every file; those of corporate actions come first.
async fn actions_first(files: &[PathBuf], options: &ImportOptions) -> Result<Vec<PathBuf>, ImportError> {
    let (mut ordered, mut bars) = (Vec::new(), Vec::new());
    for path in files {
        match open(path, options).await? {
            Opened::Actions(_) => ordered.push(path.clone()),
            Opened::Bars(_) => bars.push(path.clone()),
        }
    }
    ordered.append(&mut bars);
    Ok(ordered)
}

/// Takes in one file after the other.
async fn take_in(
    importer: &mut Importer,
    options: &ImportOptions,
    files: &[PathBuf],
) -> Result<(), ImportError> {
    for path in files {
        let label = label(path, files);
        match open(path, options).await? {
            Opened::Actions(actions) => {
                let read = blocking(path, move || actions.read()).await??;
                importer.report.count(label.as_deref(), read.read, read.duplicates, read.rejected);
                let (ahead, actions) = split_off_ahead(read.actions, options);
                importer.report.count(label.as_deref(), 0, 0, ahead);
                importer.begin(label, false);
                importer.actions(actions).await?;
            }
            Opened::Bars(bars) => {
                importer.begin(label, bars.adjusted());
                import_bars(importer, path, *bars).await?;
            }
        }
        importer.finish().await?;
    }
    Ok(())
}

/// Parts from actions those that take effect behind the bound of `read`: what is announced is known today, but on a tape that
/// plays a market of the past it is that market which tells of them in its time.
fn split_off_ahead(actions: Vec<Action>, options: &ImportOptions) -> (Vec<Rejected>, Vec<Action>) {
    let Some(latest_ns) = options.read.latest_ns.filter(|_| options.now_ns.is_none()) else {
        return (Vec::new(), actions);
    };
    let calendar = options.read.market.calendar();
    let (ahead, actions): (Vec<_>, Vec<_>) = actions
        .into_iter()
        .partition(|action| event::action_time(calendar, action.ex_date).is_ok_and(|ns| ns > latest_ns));
    let rejected = |action: Action| {
        let reason = "takes effect in the future".to_owned();
        Rejected::new(action.line, "ex_date", action.ex_date.to_string(), reason)
    };
    (ahead.into_iter().map(rejected).collect(), actions)
}

/// Reads ahead on a thread of its own while batches are on their way.
async fn import_bars(
    importer: &mut Importer,
    path: &Path,
    mut bars: file::BarFile,
) -> Result<(), ImportError> {
    let (sender, mut chunks) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
    let reader = tokio::task::spawn_blocking(move || -> Result<(), FileError> {
        while let Some(chunk) = bars.chunk(CHUNK_ROWS)? {
            if sender.blocking_send(chunk).is_err() {
                break;
            }
        }
        Ok(())
    });
    while let Some(chunk) = chunks.recv().await {
        importer.chunk(chunk).await?;
    }
    let outcome = reader.await.map_err(|error| task(path, &error))?;
    // What was read before the file broke off goes in before the error is told.
    importer.finish().await?;
    Ok(outcome?)
}

/// Decides on everything and appends nothing: what the tape holds can refuse a row, too. What it has read bars of is added
/// to `series`.
async fn check(
    tape: &Tape,
    options: &ImportOptions,
    files: &[PathBuf],
    series: &mut BTreeSet<Series>,
) -> Result<ImportReport, ImportError> {
    let mut importer = importer(tape, options);
    importer.only_try();
    let outcome = take_in(&mut importer, options, files).await;
    series.extend(importer.known.series().cloned());
    outcome?;
    Ok(importer.report)
}

async fn open(path: &Path, options: &ImportOptions) -> Result<Opened, ImportError> {
    let latest_ns = options.now_ns.map(latest_close_ns).or(options.read.latest_ns);
    let (owned, options) = (path.to_owned(), ReadOptions { latest_ns, ..options.read.clone() });
    Ok(blocking(path, move || file::open(&owned, &options)).await??)
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ImportError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| task(path, &error))
}

fn task(path: &Path, error: &tokio::task::JoinError) -> ImportError {
    ImportError::Task { path: path.to_owned(), problem: error.to_string() }
}

/// The file's name in the report, when several are imported together.
fn label(path: &Path, files: &[PathBuf]) -> Option<String> {
    (files.len() > 1).then(|| path.display().to_string())
}
