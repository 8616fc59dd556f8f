//! `tapedeck import`: history from files.

use std::time::Instant;

use ingest::file::ReadOptions;
use ingest::import::{ImportError, ImportOptions, ImportReport};

use crate::cli::{BarFormat, Global, Import};
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
    let session = Session::open_own(global).await?;
    let name = session.dir.name.clone();
    let started = Instant::now();
    let import = ImportOptions { read, strict: options.strict, standards: session.config.standards() };
    let outcome = tokio::select! {
        outcome = ingest::import::run(&session.tape, &import, &options.files) => {
            outcome.map_err(failure)
        }
        () = session.interrupted() => Err(Failure::interrupted()),
    };
    session.close().await;
    let report = outcome?;
    print(&report, output)?;
    let seconds = started.elapsed().as_secs_f64();
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
    Ok(())
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
    if report.findings > 0 {
        output.line(&format!("findings {}: `tapedeck findings` lists them", report.findings));
    }
    for row in report.rejected.iter().take(REJECTED_SHOWN) {
        let file = row.file.as_deref().map_or_else(String::new, |file| format!("{file} "));
        output.note(&format!("{file}line {}: {} = {:?}: {}", row.line, row.field, row.value, row.reason));
    }
    if report.rejected.len() > REJECTED_SHOWN {
        output.note(&format!("… and {} more; --json lists them all", report.rejected.len() - REJECTED_SHOWN));
    }
    Ok(())
}
