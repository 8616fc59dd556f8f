//! `tapedeck reference`: what a vendor states about companies and listings, and what the tape holds of it.

mod printed;

use std::time::Instant;

use event_log::Tape;
use ingest::reference::{self, KeepError, Kept, Stated};
use serde::Serialize;
use serde_json::Value;
use vendors::{ReferenceData, Refusal, VendorError};

use crate::cli::{Global, ReferenceFetch, ReferenceShow};
use crate::command::market::bound;
use crate::command::symbols::listed;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::source;

const HELP: &str = "tapedeck reference fetch --help";

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Facts that are on the tape now.
    appended: u64,
    /// Facts that were there already.
    unchanged: u64,
    /// The same by symbol.
    symbols: Vec<OfSymbol>,
    /// Symbols that the vendor does not know.
    unknown: Vec<String>,
}

#[derive(Debug, Serialize)]
struct OfSymbol {
    symbol: String,
    #[serde(flatten)]
    kept: Kept,
}

/// An error of the tape as the command's.
pub fn failure(error: KeepError) -> Failure {
    match error {
        KeepError::Append(error) => error.into(),
        KeepError::Tape(error) => error.into(),
        KeepError::Foreign => Failure::other(error.to_string()),
    }
}

/// Asks for one symbol after the other and appends what has changed.
pub async fn fetch(global: &Global, options: &ReferenceFetch, output: Output) -> Result<(), Failure> {
    let configuration = global.configuration()?;
    let symbols = listed(&options.symbols, HELP)?;
    let vendor = source::reference(options.source, &configuration.config.source)?;
    let session = Session::open_own(global).await?;
    let started = Instant::now();
    let mut report = Report::default();
    let outcome = tokio::select! {
        outcome = take(&session.tape, &*vendor, &symbols, &mut report, output) => outcome,
        () = session.interrupted() => Err(Failure::interrupted()),
    };
    let name = session.dir.name.clone();
    session.close().await;
    outcome?;
    print(&report, output)?;
    output.progress(&format!("tape {name}: {:.2} s", started.elapsed().as_secs_f64()));
    if report.unknown.is_empty() {
        return Ok(());
    }
    let unknown = report.unknown.join(", ");
    Err(Failure::not_found(format!("{} does not know {unknown}", vendor.name()), ""))
}

async fn take(
    tape: &Tape,
    vendor: &dyn ReferenceData,
    symbols: &[String],
    report: &mut Report,
    output: Output,
) -> Result<(), Failure> {
    for (index, symbol) in symbols.iter().enumerate() {
        let place = format!("{symbol} ({} of {})", index + 1, symbols.len());
        let facts = match vendor.facts(symbol).await {
            Ok(facts) => facts,
            Err(VendorError::Refused { kind: Refusal::Unknown, .. }) => {
                report.unknown.push(symbol.clone());
                continue;
            }
            Err(error) => return Err(source::failure(error)),
        };
        // What was stated was stated by now.
        let kept = reference::keep(tape, vendor.name(), runtime::now_ns(), facts).await.map_err(failure)?;
        output.progress(&format!("{place}: {} facts changed, {} as before", kept.total(), kept.unchanged));
        report.appended += kept.total();
        report.unchanged += kept.unchanged;
        report.symbols.push(OfSymbol { symbol: symbol.clone(), kept });
    }
    Ok(())
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    let rows = report.symbols.iter().map(|row| {
        let kinds: Vec<String> =
            row.kept.appended.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        vec![row.symbol.clone(), kinds, row.kept.unchanged.to_string()]
    });
    output.table(&["SYMBOL", "APPENDED", "AS BEFORE"], &rows.collect::<Vec<_>>());
    Ok(())
}

/// A row of `show --json`: the fact as its event states it, and where it stands.
#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    source: &'a str,
    sequence: u64,
    event_time_ns: i64,
    /// How often the source has stated something of this, up to then.
    times: u32,
    fact: Value,
}

/// Shows what is known about a symbol.
pub async fn show(session: &Session, options: &ReferenceShow, output: Output) -> Result<(), Failure> {
    let symbol = &options.symbol;
    let as_of_ns = bound("--as-of", options.as_of.as_deref(), web::to_time)
        .map_err(|failure| failure.hinting("tapedeck bars --help", "tapedeck reference show --help"))?;
    // The bound is the instant behind the last one that counts.
    let as_of_ns = as_of_ns.map_or(i64::MAX, |ns| ns - 1);
    let found = reference::state(&session.tape, symbol, as_of_ns).await?;
    if found.is_empty() {
        let when = options.as_of.as_ref().map(|text| format!(" as of {text}")).unwrap_or_default();
        let hint = format!("tapedeck reference fetch --source yahoo --symbols {symbol}");
        return Err(Failure::not_found(format!("nothing is known about {symbol}{when}"), hint));
    }
    if output.json {
        let rows: Result<Vec<Row<'_>>, Failure> = found.iter().map(row).collect();
        return output.document(&rows?);
    }
    printed::facts(&found, output);
    Ok(())
}

fn row(stated: &Stated) -> Result<Row<'_>, Failure> {
    let fact = printed::json(&stated.body).map_err(|error| Failure::other(error.to_string()))?;
    let Stated { kind, source, sequence, event_time_ns, times, .. } = stated;
    Ok(Row { kind, source, sequence: *sequence, event_time_ns: *event_time_ns, times: *times, fact })
}
