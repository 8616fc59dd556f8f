//! `tapedeck backfill`: history from a vendor, and a backtest over it where that is wanted.

mod ask;
mod days;
mod fill;
mod plan;

use std::time::{Duration, Instant};

use chrono::NaiveDate;
use clap::Parser as _;
use domain::bar::Timeframe;
use domain::calendar::Calendar;
use ingest::import::ImportReport;
use ingest::standards::Standards;
use runtime::command::filled::{Action, Filled};
use serde::Serialize;
use vendors::{Adjustment, Ask, HistoricalBars, Offer, Skipped};

use crate::cli::{Backfill, Backtest, Cli, Command, Global};
use crate::command::symbols::listed;
use crate::command::{backtest, fold, import, ingest as ingested, market};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;
use crate::source;
use fill::Run;

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
    /// Symbols of which nobody has recorded yet what came.
    #[serde(skip)]
    underway: Vec<String>,
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

    /// Leaves out what has not ended at `market_ns`, where the market of `tape` stands.
    fn end_by(&mut self, market_ns: i64, tape: &str) -> Result<(), Failure> {
        let calendar = Calendar::xnys();
        // One that begins with a date has nothing of it yet.
        let stands = calendar.date_of(market_ns.saturating_sub(1));
        self.now_ns = self.now_ns.min(market_ns);
        if let Some(after) = stands.succ_opt() {
            self.to_ns = self.to_ns.min(calendar.start_of(after));
        }
        if self.from_ns < self.to_ns {
            return Ok(());
        }
        let from = calendar.date_of(self.from_ns);
        let message =
            format!("--from {from}: expected a date up to {stands}, where the market of tape {tape} stands");
        Err(Failure::usage(message, "tapedeck backfill --help"))
    }

    /// What came of a symbol; an error is in words.
    fn filled(&self, source: &str, symbol: &str, outcome: Result<String, String>) -> Filled {
        let (source, symbol) = (source.to_owned(), symbol.to_owned());
        Filled { source, symbol, timeframe: self.timeframe.name().to_owned(), outcome }
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
            adjustment: Adjustment::Raw,
        }
    }
}

/// Asks for one symbol after the other, for several at once, or for days of all, and appends what the tape lacks. What
/// came of each is recorded. A backtest follows where all of it came.
pub async fn run(global: &Global, options: &Backfill, output: Output) -> Result<(), Failure> {
    let configuration = global.configuration()?;
    let vendor = source::history(options.source, &configuration.config.source)?;
    let mut wanted = wanted(options, &*vendor, configuration.config.standards(), runtime::now_ns())?;
    let test = options.backtest.as_deref().map(|strategy| test(strategy, &wanted, output)).transpose()?;
    if let Some(test) = &test {
        Box::pin(backtest::check(global, test)).await?;
    }
    let session = Session::open_own(global).await?;
    if let Err(failure) = fit(&session, vendor.name(), &mut wanted).await {
        session.close().await;
        return Err(failure);
    }
    let started = Instant::now();
    let mut report = Report::default();
    let filling = async {
        let mut run =
            Run { tape: &session.tape, vendor: &*vendor, wanted: &wanted, report: &mut report, output };
        Box::pin(run.fill()).await
    };
    let outcome = tokio::select! {
        outcome = filling => outcome,
        () = session.interrupted() => Err(Failure::interrupted()),
    };
    let outcome = match outcome {
        Ok(()) => conclude(&session, &report, started.elapsed(), output).await,
        Err(failure) => {
            // Those that nobody concluded, because the user went away or the tape did.
            let unfinished: Vec<Filled> = std::mem::take(&mut report.underway)
                .iter()
                .map(|symbol| wanted.filled(vendor.name(), symbol, Err(failure.message.clone())))
                .collect();
            ingested::note(&session.tape, Action::Backfill, &unfinished).await;
            Err(failure)
        }
    };
    session.close().await;
    outcome?;
    if report.unknown.is_empty() {
        return match test {
            Some(test) => Box::pin(backtest::run(global, &test, output)).await,
            None => Ok(()),
        };
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

/// Refuses the vendor's bars for a tape of another calendar, and wants none of the future of a market that a tape plays.
async fn fit(session: &Session, vendor: &str, wanted: &mut Wanted) -> Result<(), Failure> {
    let tape = &session.dir.name;
    session.manifest.check_exchange(tape, &format!("bars of {vendor}"))?;
    match market::market_ns(session).await? {
        Some(market_ns) => wanted.end_by(market_ns, tape),
        None => Ok(()),
    }
}

/// The backtest of `strategy` over what was wanted.
fn test(strategy: &str, wanted: &Wanted, output: Output) -> Result<Box<Backtest>, Failure> {
    let usage = |message: String| Failure::usage(message, "tapedeck backfill --help");
    if output.json {
        let message = format!("--backtest {strategy}: expected no --json, which prints one document");
        return Err(usage(message));
    }
    let (timeframe, symbols) = (wanted.timeframe.name(), wanted.symbols.join(","));
    let words = ["tapedeck", "backtest", &format!("--strategy={strategy}"), "--timeframe", timeframe];
    match Cli::try_parse_from(words.into_iter().chain(["--symbols", &symbols])).map(|cli| cli.command) {
        Ok(Command::Backtest(options)) => Ok(options),
        Ok(_) => Err(usage(format!("--backtest {strategy}: expected a strategy"))),
        Err(error) => Err(usage(error.to_string())),
    }
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
        return Err(usage(match options.from {
            Some(_) => format!("--from {from} is after {to}, which is the last date"),
            None => format!("--to {to} is before {from}, the first date without --from"),
        }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_market_that_a_tape_plays_nothing_of_its_future_is_wanted() {
        let calendar = Calendar::xnys();
        let start = |date: &str| calendar.start_of(date.parse().unwrap());
        let wanted = |from: &str| Wanted {
            symbols: vec!["SPY".to_owned()],
            timeframe: Timeframe::H1,
            from_ns: start(from),
            to_ns: start("2024-03-09"),
            now_ns: start("2024-03-08") + DAY_NS / 2,
            standards: Standards::default(),
        };
        let noon_ns = start("2024-01-05") + DAY_NS / 2;
        let mut played = wanted("2024-01-02");
        played.end_by(noon_ns, "history").unwrap();
        assert_eq!((played.now_ns, played.to_ns), (noon_ns, start("2024-01-06")));
        let refused = wanted("2024-01-06").end_by(noon_ns, "history").unwrap_err();
        assert_eq!(refused.code, 2);
        assert!(refused.message.ends_with("up to 2024-01-05, where the market of tape history stands"));
        // One that plays at a time after now bounds nothing.
        let mut ahead = wanted("2024-01-02");
        ahead.end_by(start("2025-01-02"), "history").unwrap();
        let asked = wanted("2024-01-02");
        assert_eq!((ahead.now_ns, ahead.to_ns), (asked.now_ns, asked.to_ns));
    }
}
