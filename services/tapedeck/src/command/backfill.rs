//! `tapedeck backfill`: history from a vendor.

mod days;

use std::time::{Duration, Instant};

use chrono::NaiveDate;
use domain::bar::Timeframe;
use domain::calendar::{Calendar, Market};
use event_log::Tape;
use history::file::{Action, Series};
use ingest::import::{Backfill as Filling, ImportReport, Quote};
use ingest::standards::Standards;
use serde::Serialize;
use vendors::{Ask, Cursor, HistoricalBars, Offer, Quoted, Refusal, Skipped, VendorError};

use crate::cli::{Backfill, Global};
use crate::command::symbols::listed;
use crate::command::{fold, import};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::source;
use days::Days;

/// How far behind the place to go on splits and dividends are asked for: they may be published late.
const ACTIONS_BEHIND_NS: i64 = 30 * DAY_NS;
const DAY_NS: i64 = 86_400_000_000_000;
/// Two years.
const DEFAULT_DAYS: u64 = 730;

/// What was done: the report of an import, and what the vendor sent besides.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(flatten)]
    import: ImportReport,
    skipped: Skipped,
    /// Symbols of which the vendor has nothing.
    unknown: Vec<String>,
}

/// What is asked for.
struct Wanted {
    symbols: Vec<String>,
    timeframe: Timeframe,
    from_ns: i64,
    to_ns: i64,
    now_ns: i64,
    standards: Standards,
}

impl Wanted {
    /// From when on splits and dividends are asked for, of who goes on from `from_ns`.
    fn actions_from(&self, from_ns: i64) -> i64 {
        self.from_ns.max(from_ns - ACTIONS_BEHIND_NS)
    }

    /// A question about a symbol.
    fn ask(&self, symbol: &str, from_ns: i64, to_ns: i64, bars: bool) -> Ask {
        Ask {
            symbol: symbol.to_owned(),
            timeframe: self.timeframe,
            from_ns,
            to_ns,
            actions_from_ns: self.actions_from(from_ns),
            bars,
        }
    }
}

/// Asks for one symbol after the other, or for days of all, and appends what the tape lacks.
pub async fn run(global: &Global, options: &Backfill, output: Output) -> Result<(), Failure> {
    let configuration = global.configuration()?;
    let vendor = source::history(options.source, &configuration.config.source)?;
    let wanted = wanted(options, &*vendor, configuration.config.standards(), runtime::now_ns())?;
    let session = Session::open_own(global).await?;
    let started = Instant::now();
    let mut report = Report::default();
    let outcome = tokio::select! {
        outcome = fill(&session.tape, &*vendor, &wanted, &mut report, output) => outcome,
        () = session.interrupted() => Err(Failure::interrupted()),
    };
    let outcome = match outcome {
        Ok(()) => conclude(&session, &report, started.elapsed(), output).await,
        Err(failure) => Err(failure),
    };
    session.close().await;
    outcome?;
    if report.unknown.is_empty() {
        return Ok(());
    }
    Err(Failure::not_found(
        format!(
            "{} has no {} bars of {} in that span: no such symbol, or not traded then",
            vendor.name(),
            wanted.timeframe,
            report.unknown.join(", ")
        ),
        "",
    ))
}

/// Says what was done, and lets the read models follow.
async fn conclude(session: &Session, report: &Report, took: Duration, output: Output) -> Result<(), Failure> {
    print(report, output)?;
    output.progress(&format!("tape {}: {:.2} s", session.dir.name, took.as_secs_f64()));
    fold::appended(session, report.import.events(), output).await
}

fn wanted(
    options: &Backfill,
    vendor: &dyn HistoricalBars,
    standards: Standards,
    now_ns: i64,
) -> Result<Wanted, Failure> {
    let usage = |message: String| Failure::usage(message, "tapedeck backfill --help");
    let timeframe = options.timeframe;
    let calendar = Calendar::xnys();
    let today = calendar.date_of(now_ns);
    let to = options.to.unwrap_or(today).min(today);
    let from =
        options.from.unwrap_or_else(|| today - chrono::Days::new(default_days(vendor.offer(timeframe))));
    if from > to {
        return Err(usage(format!("--from {from} is after {to}, which is the last date")));
    }
    calendar.sessions(from, to).map_err(|error| usage(error.to_string()))?;
    let after = to.succ_opt().ok_or_else(|| usage(format!("--to {to} is out of range")))?;
    offered(vendor, timeframe, from, calendar.date_of(now_ns))?;
    let symbols = listed(&options.symbols, "tapedeck backfill --help")?;
    let (from_ns, to_ns) = (calendar.start_of(from), calendar.start_of(after));
    Ok(Wanted { symbols, timeframe, from_ns, to_ns, now_ns, standards })
}

/// How many days are asked for where nobody says from when.
fn default_days(offer: Offer) -> u64 {
    match offer {
        Offer::Days(days) => DEFAULT_DAYS.min(u64::from(days)),
        Offer::Everything | Offer::Nothing => DEFAULT_DAYS,
    }
}

/// Whether the vendor gives what is asked for; an error says what it gives.
fn offered(
    vendor: &dyn HistoricalBars,
    timeframe: Timeframe,
    from: NaiveDate,
    today: NaiveDate,
) -> Result<(), Failure> {
    let name = vendor.name();
    let hint = "tapedeck backfill --help";
    match vendor.offer(timeframe) {
        Offer::Everything => Ok(()),
        Offer::Nothing => {
            let given: Vec<&str> = Timeframe::ALL
                .into_iter()
                .filter(|timeframe| vendor.offer(*timeframe) != Offer::Nothing)
                .map(Timeframe::name)
                .collect();
            let message = format!("--timeframe {timeframe}: {name} gives {}", given.join(", "));
            Err(Failure::usage(message, hint))
        }
        Offer::Days(days) => {
            let first = today - chrono::Days::new(u64::from(days));
            if from >= first {
                return Ok(());
            }
            let message = format!(
                "--from {from}: {name} gives {timeframe} bars of the last {days} days, which is from {first}"
            );
            Err(Failure::usage(message, hint))
        }
    }
}

async fn fill(
    tape: &Tape,
    vendor: &dyn HistoricalBars,
    wanted: &Wanted,
    report: &mut Report,
    output: Output,
) -> Result<(), Failure> {
    let count = wanted.symbols.len();
    let days = Days::gather(tape, vendor, wanted, output).await?;
    report.skipped.add(days.as_ref().map(|days| days.skipped).unwrap_or_default());
    for (index, symbol) in wanted.symbols.iter().enumerate() {
        let mut filling = open(tape, vendor, wanted, symbol).await?;
        let place = format!("{symbol} ({} of {count})", index + 1);
        let first_ns = filling.resume(wanted.from_ns, wanted.to_ns).map_err(import::failure)?;
        let by_date = days.as_ref().and_then(|days| days.of(symbol, first_ns));
        let mut from_ns = first_ns;
        let mut not_there = false;
        if by_date.is_none() {
            let mut spans = filling.spans(wanted.from_ns, wanted.to_ns).map_err(import::failure)?;
            from_ns = spans.pop().map_or(first_ns, |span| span.0);
            for (from_ns, to_ns) in spans {
                let ask = wanted.ask(symbol, from_ns, to_ns, true);
                not_there |=
                    earlier(&mut filling, vendor, &ask, wanted.now_ns, &place, output, report).await?;
                // Bars on both sides of what is not asked for are no neighbours: each span is checked for itself.
                filling = open(tape, vendor, wanted, symbol).await?;
            }
        }
        if from_ns > wanted.from_ns {
            let date = Calendar::xnys().date_of(from_ns);
            output.progress(&format!("{place}: on the tape up to {date}, going on from there"));
        }
        if let Some(authority) = filling.other_authority(from_ns) {
            let (name, timeframe) = (vendor.name(), wanted.timeframe);
            output.progress(&format!(
                "{place}: bars of {timeframe} are {authority}'s by the configuration; those of {name} are compared"
            ));
        }
        let ask = wanted.ask(symbol, from_ns, wanted.to_ns, by_date.is_none());
        let mut outcome =
            match days.as_ref().and_then(|days| days.actions_of(symbol, first_ns, ask.actions_from_ns)) {
                Some(told) => actions(&mut filling, symbol, told).await,
                None => pages(&mut filling, vendor, &ask, wanted.now_ns, &place, output, report).await,
            };
        if outcome.is_ok()
            && let Some(found) = by_date
        {
            outcome = bars(&mut filling, &found, &place, output).await;
        }
        if outcome.is_ok() {
            filling.told_up_to(wanted.to_ns, wanted.now_ns).map_err(import::failure)?;
        }
        // What came before an error stays, and is counted.
        let finished = filling.finish().await.map_err(import::failure);
        let told = filling.into_report();
        let nothing = told.read == 0 && from_ns == wanted.from_ns && has_ended_session(wanted);
        report.import.add(told);
        let unknown = match outcome {
            Err(Stopped::Unknown) => true,
            Err(Stopped::Failed(failure)) => return Err(failure),
            Ok(()) => nothing,
        };
        finished?;
        if unknown || not_there {
            report.unknown.push(symbol.clone());
        }
    }
    Ok(())
}

/// Asks for a span before the last one, and appends what the tape lacks of it. Whether the vendor said in the midst
/// of it that it does not know the symbol: at its beginning that may be said of a time before the listing.
async fn earlier(
    filling: &mut Filling,
    vendor: &dyn HistoricalBars,
    ask: &Ask,
    now_ns: i64,
    place: &str,
    output: Output,
    report: &mut Report,
) -> Result<bool, Failure> {
    let (from, to) = (Calendar::xnys().date_of(ask.from_ns), Calendar::xnys().date_of(ask.to_ns - 1));
    output.progress(&format!("{place}: not all on the tape from {from} to {to}, asking for it"));
    let outcome = pages(filling, vendor, ask, now_ns, place, output, report).await;
    // What came before an error stays, and is counted.
    let finished = filling.finish().await.map_err(import::failure);
    let told = filling.report().clone();
    let began = told.read > 0;
    report.import.add(told);
    let unknown = match outcome {
        Err(Stopped::Unknown) => began,
        Err(Stopped::Failed(failure)) => return Err(failure),
        Ok(()) => false,
    };
    finished.map(|()| unknown)
}

/// A symbol's series of the tape.
async fn open(
    tape: &Tape,
    vendor: &dyn HistoricalBars,
    wanted: &Wanted,
    symbol: &str,
) -> Result<Filling, Failure> {
    let series = Series { symbol: symbol.to_owned(), timeframe: wanted.timeframe };
    let filling = Filling::open(tape, vendor.name(), series, Market::Xnys, &wanted.standards).await;
    filling.map_err(import::failure)
}

/// Whether there could be a bar at all.
fn has_ended_session(wanted: &Wanted) -> bool {
    let calendar = Calendar::xnys();
    let (first, last) = (calendar.date_of(wanted.from_ns), calendar.date_of(wanted.to_ns - 1));
    calendar
        .sessions(first, last)
        .is_ok_and(|sessions| sessions.iter().any(|session| session.close_ns <= wanted.now_ns))
}

enum Stopped {
    /// The vendor does not know the symbol.
    Unknown,
    Failed(Failure),
}

async fn pages(
    filling: &mut Filling,
    vendor: &dyn HistoricalBars,
    ask: &Ask,
    now_ns: i64,
    place: &str,
    output: Output,
    report: &mut Report,
) -> Result<(), Stopped> {
    let mut cursor = Some(Cursor::default());
    while let Some(at) = cursor {
        let page = vendor.page(ask, at, now_ns).await.map_err(|error| match error {
            VendorError::Refused { kind: Refusal::Unknown, .. } => Stopped::Unknown,
            other => Stopped::Failed(source::failure(other)),
        })?;
        report.skipped.add(page.skipped);
        actions(filling, &ask.symbol, page.actions).await?;
        bars(filling, &page.bars, place, output).await?;
        cursor = page.next;
    }
    Ok(())
}

/// Takes in splits and dividends of a symbol.
async fn actions(filling: &mut Filling, symbol: &str, told: Vec<vendors::Action>) -> Result<(), Stopped> {
    if told.is_empty() {
        return Ok(());
    }
    let told = told.into_iter().map(|action| Action {
        symbol: symbol.to_owned(),
        ex_date: action.ex_date,
        kind: action.kind,
        value_e9: action.value_e9,
        line: 0,
    });
    filling.actions(told.collect()).await.map_err(|error| Stopped::Failed(import::failure(error)))
}

/// Takes in bars, in the order of time.
async fn bars(filling: &mut Filling, found: &[Quoted], place: &str, output: Output) -> Result<(), Stopped> {
    let quotes: Vec<Quote> = found.iter().copied().map(source::quote).collect();
    filling.bars(&quotes).await.map_err(|error| Stopped::Failed(import::failure(error)))?;
    if let Some(last) = quotes.last() {
        let date = Calendar::xnys().date_of(last.start_ns);
        let read = filling.report().read;
        output.progress(&format!("{place}: {read} rows, up to {date}"));
    }
    Ok(())
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    import::print(&report.import, output)?;
    let Skipped { empty, unfinished, outside_session } = report.skipped;
    if empty + unfinished + outside_session > 0 {
        output.note(&format!(
            "left out: {empty} rows without a price, {unfinished} bars that had not ended, {outside_session} \
             outside of the session"
        ));
    }
    Ok(())
}
