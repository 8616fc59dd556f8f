//! `tapedeck import`: history from files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::calendar::Market;
use ingest::file::{FileError, Opened, ReadOptions, Rejected, Series};
use ingest::import::{ImportError, ImportOptions, ImportReport, Imported};
use runtime::command::filled::{Action, Filled};
use serde::Serialize;

use crate::cli::{BarFormat, Global, Import};
use crate::command::{fold, ingest as ingested, market, rejected};
use crate::exit::Failure;
use crate::held;
use crate::home::{FormatNote, Home};
use crate::output::Output;
use crate::session::{OWN_TAPE, Session};

const HELP: &str = "tapedeck import --help";

/// Appends the files to the named tape, else to `main`.
pub async fn run(global: &Global, options: &Import, output: Output) -> Result<(), Failure> {
    let market = market_of(global, options).await?;
    let read = ReadOptions { market, ..read_options(&options.format)? };
    for file in &options.files {
        if !file.exists() {
            return Err(Failure::not_found(format!("{}: no such file", file.display()), ""));
        }
    }
    check_readable(&options.files, &read, HELP)?;
    check_whole(&options.files).await?;
    let session = Session::open_own_of(global, market).await?;
    let started = Instant::now();
    let standards = session.config.standards();
    let latest_ns = match market::market_ns(&session).await {
        Ok(latest_ns) => latest_ns,
        Err(failure) => {
            session.close().await;
            return Err(failure);
        }
    };
    let now_ns = latest_ns.is_none().then(runtime::now_ns);
    let read = ReadOptions { latest_ns, ..read };
    let import = ImportOptions { read, strict: options.strict, standards, now_ns };
    let imported = tokio::select! {
        imported = ingest::import::run(&session.tape, &import, &options.files) => Some(imported),
        () = session.interrupted() => None,
    };
    let outcome = match imported {
        Some(imported) => conclude(&session, options, imported, started.elapsed(), output).await,
        None => Err(Failure::interrupted()),
    };
    session.close().await;
    outcome
}

/// The market in whose hours the bars lie: that of the tape, of one that is made that of `--calendar`.
async fn market_of(global: &Global, options: &Import) -> Result<Market, Failure> {
    let stated = options.calendar.as_deref().map(|name| hours(Some(name), HELP)).transpose()?;
    let dir = Home::locate(global.home.as_deref())?.tape(global.tape.as_deref().unwrap_or(OWN_TAPE))?;
    let known = held::manifest_of(global, &dir).await?.map(|manifest| manifest.market()).transpose()?;
    match (stated, known) {
        (Some(stated), Some(known)) if stated != known => Err(Failure::usage(
            format!("--calendar {stated}: expected {known}, the calendar of tape {}", dir.name),
            "another tape with --tape: it is made with the calendar that is stated",
        )),
        (stated, known) => Ok(known.or(stated).unwrap_or_default()),
    }
}

/// Refuses files that cannot be read to their end, as one that was cut off on its way here cannot. What would be appended of
/// them until then is no import that anybody has asked for.
async fn check_whole(files: &[PathBuf]) -> Result<(), Failure> {
    let files = files.to_vec();
    let checking = tokio::task::spawn_blocking(move || {
        files.iter().try_for_each(|file| ingest::file::check_whole(file))
    });
    let checked = checking.await.map_err(|error| Failure::other(error.to_string()))?;
    checked.map_err(|error| Failure::usage(format!("{error}; nothing was appended"), HELP))
}

/// Says what was done, and lets the read models follow, also where the import has stopped on the way.
async fn conclude(
    session: &Session,
    options: &Import,
    imported: Imported,
    took: Duration,
    output: Output,
) -> Result<(), Failure> {
    let Imported { report, outcome, series } = imported;
    let report = &report;
    let is_refused = options.strict && !report.rejected.is_empty();
    let outcome = outcome.map_err(failure);
    // A tape that has not answered is not waited for once more.
    let is_gone = outcome.as_ref().is_err_and(|failure| failure.name == "unreachable");
    let came = match &outcome {
        Err(failure) => Err(failure.message.clone()),
        Ok(()) if is_refused => Err(refused(report)),
        Ok(()) => Ok(format!("{} events appended", report.events())),
    };
    let filled: Vec<Filled> = series.into_iter().map(|series| filled(series, &came)).collect();
    if !is_gone {
        ingested::note(&session.tape, Action::Import, &filled).await;
    }
    if let Err(failure) = outcome {
        let stopped = stopped(failure, report);
        if report.read > 0 {
            print_with(report, Some(&stopped.message), output)?;
        }
        if !is_gone {
            fold::appended(session, report.events(), output).await?;
        }
        return Err(stopped);
    }
    print(report, output)?;
    let (name, seconds) = (&session.dir.name, took.as_secs_f64());
    output.progress(&format!(
        "tape {name}: {:.2} s, {:.0} rows/s",
        seconds,
        report.read as f64 / seconds.max(f64::MIN_POSITIVE)
    ));
    fold::appended(session, report.events(), output).await?;
    if is_refused {
        return Err(Failure::other(refused(report)));
    }
    Ok(())
}

/// That a strict import has rejected rows. Some are on the tape only where what came there meanwhile has cost it others.
fn refused(report: &ImportReport) -> String {
    let rejected = report.rejected_count();
    match report.appended + report.revisions {
        0 => format!("{rejected} rows rejected, nothing appended (--strict)"),
        rows => format!(
            "{rejected} rows rejected by what came onto the tape meanwhile, and {rows} rows appended (--strict)"
        ),
    }
}

/// What came of a series of the files.
fn filled(series: Series, came: &Result<String, String>) -> Filled {
    let Series { symbol, timeframe } = series;
    let (source, timeframe) = (ingest::import::SOURCE.to_owned(), timeframe.name().to_owned());
    Filled { source, symbol, timeframe, outcome: came.clone() }
}

/// Why an import has stopped, with how much of it is on the tape.
fn stopped(failure: Failure, report: &ImportReport) -> Failure {
    let rows = report.appended + report.revisions;
    if rows == 0 {
        return failure;
    }
    let message = format!(
        "{}; {rows} rows are on the tape, and the command can be repeated when that is mended: nothing goes in twice",
        failure.message
    );
    // Nothing is wrong with how the command was used: the files could be read when it began.
    let failure = if failure.name == "usage" { Failure::other("") } else { failure };
    Failure { message, ..failure }
}

/// The options as the reader takes them; an error names option and value.
pub fn read_options(format: &BarFormat) -> Result<ReadOptions, Failure> {
    let usage =
        |option: &str, error: &dyn std::fmt::Display| Failure::usage(format!("--{option}: {error}"), HELP);
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

/// The market that `--calendar` names, in whose hours the bars of files lie.
pub fn hours(calendar: Option<&str>, help: &str) -> Result<Market, Failure> {
    let Some(name) = calendar else { return Ok(Market::default()) };
    name.parse::<Market>().map_err(|error| Failure::usage(format!("--calendar: {error}"), help))
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

/// Refuses a file of the other kind than its option takes: of bars, or of corporate actions.
pub fn check_kinds(
    bars: &[PathBuf],
    actions: &[PathBuf],
    read: &ReadOptions,
    help: &str,
) -> Result<(), Failure> {
    let unreadable = |error: FileError| Failure::usage(error.to_string(), help);
    for file in bars {
        if let Opened::Actions(_) = ingest::file::open(file, read).map_err(unreadable)? {
            return Err(not_bars(file, help));
        }
    }
    for file in actions {
        if let Opened::Bars(_) = ingest::file::open(file, read).map_err(unreadable)? {
            return Err(not_actions(file, help));
        }
    }
    Ok(())
}

/// That what `--bars` names are corporate actions.
pub fn not_bars(file: &Path, help: &str) -> Failure {
    let message = format!("--bars {}: a file of corporate actions, expected bars", file.display());
    Failure::usage(message, help)
}

/// That what `--actions` names are bars.
pub fn not_actions(file: &Path, help: &str) -> Failure {
    let message = format!("--actions {}: a file of bars, expected corporate actions", file.display());
    Failure::usage(message, help)
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
    let outside = rejected.iter().filter(|row| row.is_outside_hours()).count();
    let hours = match outside {
        0 => String::new(),
        _ => format!("; {outside} outside the market's hours, which --calendar XNYS|24x5|24x7 states"),
    };
    let rows = if rejected.len() == 1 { "row" } else { "rows" };
    let count = rejected.len();
    Some(format!(
        "{count} {rows} left out, the first in line {line}{file}: {field} {value:?}: {reason}{hours}"
    ))
}

/// Refuses files of whose `read` rows most are older than the row before them: the newest first, they leave nothing to
/// run over but their first row.
pub fn check_order(rejected: &[Rejected], read: u64, help: &str) -> Result<(), Failure> {
    let mut backwards = rejected.iter().filter(|row| row.is_out_of_order());
    let Some(first) = backwards.next() else { return Ok(()) };
    let count = 1 + backwards.count() as u64;
    if count.saturating_mul(2) <= read {
        return Ok(());
    }
    let file = first.file.as_deref().map_or_else(String::new, |file| format!("{file}: "));
    let (line, value) = (first.line, &first.value);
    Err(Failure::usage(
        format!(
            "{file}{count} of {read} rows are older than the row before them, the first in line {line}: time \
             {value:?}, expected the oldest first"
        ),
        help,
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
        ImportError::File(error) => Failure::usage(error.to_string(), HELP),
        other => Failure::other(other.to_string()),
    }
}

/// Says how many findings are new on the tape.
pub fn print_findings(findings: u64, output: Output) {
    if findings > 0 {
        output.line(&format!("findings {findings}: `tapedeck findings` lists them"));
    }
}

/// The report as a document, with why the import has stopped where it did.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    report: &'a ImportReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

pub fn print(report: &ImportReport, output: Output) -> Result<(), Failure> {
    print_with(report, None, output)
}

fn print_with(report: &ImportReport, error: Option<&str>, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(&Document { report, error });
    }
    output.line(&counted(report));
    if report.compared + report.withheld > 0 {
        output.line(&format!(
            "compared with the authority's {}, differing {}, left out with nothing to compare {}",
            report.compared, report.differing, report.withheld
        ));
    }
    print_findings(report.findings, output);
    let listed = match report.rejected_unlisted {
        0 => "--json lists them all".to_owned(),
        _ => format!("--json lists the first {}", report.rejected.len()),
    };
    rejected::print(&report.rejected, &listed, output);
    Ok(())
}

/// What became of the rows, on one line.
fn counted(report: &ImportReport) -> String {
    let ImportReport { read, appended, duplicates, revisions, .. } = report;
    let rejected = report.rejected_count();
    format!(
        "read {read}, appended {appended}, duplicates {duplicates}, revisions {revisions}, rejected {rejected}"
    )
}

#[cfg(test)]
mod tests {
    use ingest::file::RejectedKind;

    use super::*;

    #[test]
    fn what_is_left_out_is_told_with_what_may_mend_it() {
        let row = |line, reason: &str, kind| Rejected {
            file: Some("x.csv".to_owned()),
            kind,
            ..Rejected::new(line, "time", "t".to_owned(), reason.to_owned())
        };
        let older = |line| row(line, "not in order, the bar before starts at u", RejectedKind::OutOfOrder);
        let outside = |line| row(line, "XNYS has no session on 2020-01-04", RejectedKind::OutsideHours);
        let one = [older(2)];
        let told = left_out(&one).unwrap_or_default();
        assert!(told.starts_with("1 row left out, the first in line 2 of x.csv: time"), "{told}");
        assert!(!told.contains("--calendar"), "{told}");
        let rows = [outside(2), outside(3)];
        let told = left_out(&rows).unwrap_or_default();
        let hint = "; 2 outside the market's hours, which --calendar XNYS|24x5|24x7 states";
        assert!(told.ends_with(hint), "{told}");

        assert!(check_order(&one, 2, HELP).is_ok() && check_order(&rows, 2, HELP).is_ok());
        let newest_first: Vec<_> = (3..6).map(older).collect();
        let refused = check_order(&newest_first, 4, HELP).unwrap_err();
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (
                2,
                "x.csv: 3 of 4 rows are older than the row before them, the first in line 3: time \"t\", expected \
                 the oldest first"
            )
        );
    }

    #[test]
    fn a_strict_import_never_says_that_nothing_is_on_the_tape_where_something_is() {
        let row = Rejected::new(2, "time", "t".to_owned(), "lies across".to_owned());
        let report = ImportReport { read: 3, rejected: vec![row], ..ImportReport::default() };
        assert_eq!(refused(&report), "1 rows rejected, nothing appended (--strict)");
        let report = ImportReport { appended: 2, ..report };
        assert!(refused(&report).ends_with(", and 2 rows appended (--strict)"), "{}", refused(&report));
    }

    #[test]
    fn rows_that_are_not_listed_are_counted() {
        let row = Rejected::new(2, "time", "t".to_owned(), "lies across".to_owned());
        let report = ImportReport {
            read: 12,
            appended: 1,
            rejected: vec![row],
            rejected_unlisted: 10,
            ..ImportReport::default()
        };
        assert_eq!(counted(&report), "read 12, appended 1, duplicates 0, revisions 0, rejected 11");
    }

    #[test]
    fn an_import_that_stops_on_the_way_says_what_is_on_the_tape() {
        let broken = || Failure::usage("x.csv: incomplete", HELP);
        let none = stopped(broken(), &ImportReport { read: 5, duplicates: 5, ..ImportReport::default() });
        assert_eq!((none.code, none.message.as_str()), (2, "x.csv: incomplete"));
        let report = ImportReport { read: 9, appended: 5, revisions: 2, ..ImportReport::default() };
        let some = stopped(broken(), &report);
        assert_eq!(some.code, 1);
        assert!(some.message.starts_with("x.csv: incomplete; 7 rows are on the tape, and "), "{some:?}");
        assert_eq!(stopped(Failure::unreachable("gone"), &report).code, 5);
        let told = serde_json::to_value(Document { report: &report, error: Some("x") }).unwrap();
        assert_eq!((told["appended"].as_u64(), told["error"].as_str()), (Some(5), Some("x")));
        let ended = serde_json::to_string(&Document { report: &report, error: None }).unwrap();
        assert_eq!(ended, serde_json::to_string(&report).unwrap());
    }
}
