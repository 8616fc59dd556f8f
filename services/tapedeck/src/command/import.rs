//! `tapedeck import`: history from files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ingest::file::{FileError, Opened, ReadOptions, Rejected};
use ingest::import::{ImportError, ImportOptions, ImportReport};

use crate::cli::{BarFormat, Global, Import};
use crate::command::fold;
use crate::exit::Failure;
use crate::home::FormatNote;
use crate::output::Output;
use crate::session::Session;

/// Rejected rows shown to a person; `--json` has them all.
const REJECTED_SHOWN: usize = 20;

/// Appends the files to the named tape, else to `main`.
pub async fn run(global: &Global, options: &Import, output: Output) -> Result<(), Failure> {
    let read = read_options(&options.format)?;
    for file in &options.files {
        if !file.exists() {
            return Err(Failure::not_found(format!("{}: no such file", file.display()), ""));
        }
    }
    check_readable(&options.files, &read, "tapedeck import --help")?;
    let session = Session::open_own(global).await?;
    let started = Instant::now();
    let (standards, now_ns) = (session.config.standards(), Some(runtime::now_ns()));
    let import = ImportOptions { read, strict: options.strict, standards, now_ns };
    let outcome = tokio::select! {
        outcome = ingest::import::run(&session.tape, &import, &options.files) => {
            outcome.map_err(failure)
        }
        () = session.interrupted() => Err(Failure::interrupted()),
    };
    let outcome = match outcome {
        Ok(report) => conclude(&session, options, &report, started.elapsed(), output).await,
        Err(failure) => Err(failure),
    };
    session.close().await;
    outcome
}

/// Says what was done, and lets the read models follow.
async fn conclude(
    session: &Session,
    options: &Import,
    report: &ImportReport,
    took: Duration,
    output: Output,
) -> Result<(), Failure> {
    print(report, output)?;
    let (name, seconds) = (&session.dir.name, took.as_secs_f64());
    output.progress(&format!(
        "tape {name}: {:.2} s, {:.0} rows/s",
        seconds,
        report.read as f64 / seconds.max(f64::MIN_POSITIVE)
    ));
    if options.strict && !report.rejected.is_empty() {
        return Err(Failure::other(format!(
            "{} rows rejected, nothing appended (--strict)",
            report.rejected.len()
        )));
    }
    fold::appended(session, report.events(), output).await
}

/// The options as the reader takes them; an error names option and value.
pub fn read_options(format: &BarFormat) -> Result<ReadOptions, Failure> {
    let usage = |option: &str, error: &dyn std::fmt::Display| {
        Failure::usage(format!("--{option}: {error}"), "tapedeck import --help")
    };
    Ok(ReadOptions {
        symbol: format.symbol.clone(),
        timeframe: format
            .timeframe
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| usage("timeframe", &error))?,
        timezone: format
            .timezone
            .as_deref()
            .map(|zone| {
                zone.parse().map_err(|_| {
                    usage("timezone", &format!("{zone:?}, expected a name such as America/New_York"))
                })
            })
            .transpose()?,
        adjusted: format
            .adjusted
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|error| usage("adjusted", &error))?
            .unwrap_or_default(),
        ..ReadOptions::default()
    })
}

/// Refuses options that one of the files contradicts.
pub fn check_stated(files: &[PathBuf], stated: &ReadOptions, help: &str) -> Result<(), Failure> {
    let checked = files.iter().try_for_each(|file| ingest::file::check_stated(file, stated));
    checked.map_err(|error| Failure::usage(error.to_string(), help))
}

/// Refuses files that cannot be read at all, each as far as its first row, so that no tape is made for them.
pub fn check_readable<'files>(
    files: impl IntoIterator<Item = &'files PathBuf>,
    read: &ReadOptions,
    help: &str,
) -> Result<(), Failure> {
    let check = |file: &PathBuf| match ingest::file::open(file, read)? {
        Opened::Bars(mut bars) => bars.chunk(1).map(|_| ()),
        Opened::Actions(_) => Ok(()),
    };
    let checked: Result<(), FileError> = files.into_iter().try_for_each(check);
    checked.map_err(|error| Failure::usage(error.to_string(), help))
}

/// Rows that are left out, with the name of their file.
pub fn of_file(file: &Path, rejected: Vec<Rejected>) -> impl Iterator<Item = Rejected> {
    let name = file.display().to_string();
    rejected.into_iter().map(move |row| Rejected { file: Some(name.clone()), ..row })
}

/// That rows of files are left out, in words.
pub fn left_out(rejected: &[Rejected]) -> Option<String> {
    let first = rejected.first()?;
    let file = first.file.as_deref().map_or_else(String::new, |file| format!(" of {file}"));
    let Rejected { line, field, value, reason, .. } = first;
    Some(format!(
        "{} rows left out, the first in line {line}{file}: {field} {value:?}: {reason}",
        rejected.len()
    ))
}

/// The same options as a manifest keeps them.
pub fn format_note(format: &BarFormat) -> FormatNote {
    FormatNote {
        symbol: format.symbol.clone(),
        timeframe: format.timeframe.clone(),
        timezone: format.timezone.clone(),
        adjusted: format.adjusted.clone(),
    }
}

/// And back.
pub fn bar_format(note: &FormatNote) -> BarFormat {
    BarFormat {
        symbol: note.symbol.clone(),
        timeframe: note.timeframe.clone(),
        timezone: note.timezone.clone(),
        adjusted: note.adjusted.clone(),
    }
}

pub fn failure(error: ImportError) -> Failure {
    match error {
        ImportError::Append(error) => error.into(),
        ImportError::Read(error) => error.into(),
        ImportError::File(error) => Failure::usage(error.to_string(), "tapedeck import --help"),
        other => Failure::other(other.to_string()),
    }
}

/// Says how many findings are new on the tape.
pub fn print_findings(findings: u64, output: Output) {
    if findings > 0 {
        output.line(&format!("findings {findings}: `tapedeck findings` lists them"));
    }
}

pub fn print(report: &ImportReport, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    output.line(&format!(
        "read {}, appended {}, duplicates {}, revisions {}, rejected {}",
        report.read,
        report.appended,
        report.duplicates,
        report.revisions,
        report.rejected.len()
    ));
    if report.compared + report.withheld > 0 {
        output.line(&format!(
            "compared with the authority's {}, differing {}, left out with nothing to compare {}",
            report.compared, report.differing, report.withheld
        ));
    }
    print_findings(report.findings, output);
    for row in report.rejected.iter().take(REJECTED_SHOWN) {
        let file = row.file.as_deref().map_or_else(String::new, |file| format!("{file} "));
        output.note(&format!("{file}line {}: {} = {:?}: {}", row.line, row.field, row.value, row.reason));
    }
    if report.rejected.len() > REJECTED_SHOWN {
        output.note(&format!("… and {} more; --json lists them all", report.rejected.len() - REJECTED_SHOWN));
    }
    Ok(())
}
