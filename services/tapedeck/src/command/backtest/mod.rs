//! `tapedeck backtest`: strategies over history, in this process.

mod beside;
mod data;
mod files;
mod limits;
mod named;
pub mod outputs;
mod printed;
mod progress;
mod ranges;
mod request;
pub mod search;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use analytics::TearSheet;
use analytics::gate::Gate;
use backtest::checks::{self, Checked};
use backtest::{Done, Job, Loaded, Recording, tables};
use contracts::v1::{BacktestFinished, BacktestOutcome, BacktestRequest};
use domain::money::Amount;
use engine::{Config, Hash, Nothing, Outcome};
use event_log::Tape;

use crate::cli::{Backtest, Global};
use crate::command::control::caller;
use crate::command::fold;
use crate::exit::Failure;
use crate::interrupt::Signals;
use crate::output::Output;
use crate::session::Session;
use backtest::beside::{Desk, Refusals};
use beside::Beside;
use named::Named;
use printed::{print, print_monte_carlo, print_revisions, print_statistics, print_warnings, reported, shown};
use progress::Bar;
use request::request;

/// Version of the program, as runs state it.
const VERSION: &str = crate::CODE_VERSION;
/// Time between two hints of a recorded run.
const TELL_EVERY: Duration = Duration::from_millis(200);
const HELP: &str = "tapedeck backtest --help";
/// What is said of a run that is on no tape.
const UNRECORDED: &str = "nothing was recorded on the tape";

/// Runs a backtest, prints what it came to and writes what is wanted. A run over the bars of a tape is recorded there.
/// Files alone need no server; such a run is recorded on the tape that is named, and on the one in use while it runs.
pub async fn run(global: &Global, options: &Backtest, output: Output) -> Result<(), Failure> {
    let gate = gate(&options.fail_if)?;
    let files = [("--trades", &options.trades), ("--equity", &options.equity), ("--report", &options.report)];
    let files = files.map(|(option, file)| (option, file.as_deref()));
    outputs::apart(files, outputs::read(&options.run), HELP)?;
    outputs::check(files, HELP)?;
    data::check_of_files(&options.run)?;
    if !options.run.bars.is_empty() {
        return Box::pin(over_files(global, options, &gate, output)).await;
    }
    if options.run.offline {
        return Box::pin(offline(global, options, &gate, output)).await;
    }
    let session = Session::open(global).await?;
    let outcome = Box::pin(on_tape(global, &session, options, &gate, output)).await;
    session.close().await;
    outcome
}

/// Refuses options that name no run, before anything else is done for it.
pub async fn check(global: &Global, options: &Backtest) -> Result<(), Failure> {
    let named = named(global, options, None).await?;
    request(global, &options.run, &options.parameters, &named, "1d").map(drop)
}

/// What the options name.
async fn named(global: &Global, options: &Backtest, session: Option<&Session>) -> Result<Named, Failure> {
    let run = &options.run;
    Named::find(global, &run.strategies, &options.external, run.account.as_deref(), session).await
}

/// The request that the options make of bars of `timeframe`.
fn asked(
    global: &Global,
    options: &Backtest,
    named: &Named,
    timeframe: &str,
) -> Result<BacktestRequest, Failure> {
    let request = request(global, &options.run, &options.parameters, named, timeframe)?;
    Ok(BacktestRequest { finalize: options.finalize, ..request })
}

/// What is to be said of a run without limits of its account, and of one that has limits of the tape.
fn said_of_limits(request: &BacktestRequest) -> Vec<String> {
    let checked = match (&request.limits, request.limit_sets.len(), request.limit_sets_of_tape) {
        (Some(_), ..) => None,
        (None, 0, _) => Some("buying power is"),
        (None, _, 0) => Some("buying power and the limits of --limit are"),
        (None, ..) => Some("buying power and the limits by scope are"),
    };
    let checked = checked.map(|what| format!("no limits file: {what} all that is checked"));
    let of_tape = domain::research::tape_limits_named(request);
    let of_tape = of_tape.map(|named| format!("limits of the tape: {named}"));
    checked.into_iter().chain(of_tape).collect()
}

/// A run over files.
async fn over_files(global: &Global, options: &Backtest, gate: &Gate, output: Output) -> Result<(), Failure> {
    let named = named(global, options, None).await?;
    let asked = |timeframe: &str| asked(global, options, &named, timeframe);
    // What is wrong with the options is said before anything is read.
    asked(options.run.format.timeframe.as_deref().unwrap_or("1d"))?;
    let from = data::load(&options.run).await?;
    let request = asked(from.timeframe.name())?;
    data::check_named(&request, &from.market)?;
    let (market, mut warnings) = (from.market, from.warnings);
    // A run that becomes a tape is on record there.
    let record =
        if options.record.is_some() { files::Record::default() } else { files::Record::of(global).await? };
    warnings.extend(record.lost);
    let Some(session) = record.session else {
        if options.record.is_none() {
            warnings.push(UNRECORDED.to_owned());
        }
        let signals = Signals::new()?;
        let (recording, dashboard, source) = (None, None, None);
        let plan = Plan { request, market, warnings, recording, dashboard, source, signals };
        return Box::pin(perform(global, options, plan, &named, gate, output)).await;
    };
    let outcome = async {
        let request = files::stated(request, &market);
        let recording = backtest::record(&session.tape, &caller(), request.clone(), "cli", VERSION).await?;
        let (dashboard, signals) = (session.addresses.dashboard.clone(), Signals::new()?);
        let (recording, source) = (Some(recording), None);
        let plan = Plan { request, market, warnings, recording, dashboard, source, signals };
        let outcome = Box::pin(perform(global, options, plan, &named, gate, output)).await;
        let folded = fold::recorded(&session, output).await;
        outcome.and(folded)
    };
    let outcome = Box::pin(outcome).await;
    session.close().await;
    outcome
}

/// A run over what the segments of a tape hold.
async fn offline(global: &Global, options: &Backtest, gate: &Gate, output: Output) -> Result<(), Failure> {
    let named = named(global, options, None).await?;
    let timeframe = match options.run.format.timeframe.clone().or_else(|| named.timeframe()) {
        Some(timeframe) => timeframe,
        None => data::only_kept_timeframe(global, &options.run.symbols)?.name().to_owned(),
    };
    let request = asked(global, options, &named, &timeframe)?;
    let mut market = data::kept(global, &options.run, &request).await?;
    let request = files::stated(request, &market);
    let mut warnings = std::mem::take(&mut market.notes);
    if options.record.is_none() {
        warnings.push(UNRECORDED.to_owned());
    }
    let signals = Signals::new()?;
    let (recording, dashboard, source) = (None, None, None);
    let plan = Plan { request, market, warnings, recording, dashboard, source, signals };
    Box::pin(perform(global, options, plan, &named, gate, output)).await
}

async fn on_tape(
    global: &Global,
    session: &Session,
    options: &Backtest,
    gate: &Gate,
    output: Output,
) -> Result<(), Failure> {
    let named = named(global, options, Some(session)).await?;
    let asked = |timeframe: &str| asked(global, options, &named, timeframe);
    let request = match options.run.format.timeframe.clone().or_else(|| named.timeframe()) {
        Some(timeframe) => asked(&timeframe)?,
        None => {
            // What is wrong with the other options is said before this one is missed.
            asked("1d")?;
            asked(data::only_timeframe(session, &options.run.symbols).await?.name())?
        }
    };
    let request = data::with_calendar(session, request).await?;
    let mut market = data::of_tape(session, &options.run, &request).await?;
    let recording = backtest::record(&session.tape, &caller(), request.clone(), "cli", VERSION).await?;
    let warnings = std::mem::take(&mut market.notes);
    let (dashboard, signals) = (session.addresses.dashboard.clone(), Signals::new()?);
    let (recording, source) = (Some(recording), Some(session.tape.clone()));
    let plan = Plan { request, market, warnings, recording, dashboard, source, signals };
    let outcome = Box::pin(perform(global, options, plan, &named, gate, output)).await;
    let folded = fold::recorded(session, output).await;
    outcome.and(folded)
}

/// A run that is about to be done.
struct Plan {
    request: BacktestRequest,
    market: Loaded,
    warnings: Vec<String>,
    recording: Option<Recording>,
    /// Where the dashboard of the tape listens, if it does.
    dashboard: Option<String>,
    /// The tape whose bars are walked.
    source: Option<Tape>,
    /// Listened to before anything stands beside the run, so that what does is always cleared away.
    signals: Signals,
}

async fn perform(
    global: &Global,
    options: &Backtest,
    plan: Plan,
    named: &Named,
    gate: &Gate,
    output: Output,
) -> Result<(), Failure> {
    let market = plan.market.calendar.market();
    let source = plan.source.as_ref();
    let beside = Box::pin(Beside::open(global, options, named, market, source, output)).await?;
    let outcome = Box::pin(perform_beside(options, plan, named, beside.as_ref(), gate, output)).await;
    if let Some(beside) = beside {
        Box::pin(beside.close()).await;
    }
    outcome
}

async fn perform_beside(
    options: &Backtest,
    plan: Plan,
    named: &Named,
    beside: Option<&Beside>,
    gate: &Gate,
    output: Output,
) -> Result<(), Failure> {
    let Plan { request, market, mut warnings, recording, dashboard, mut signals, .. } = plan;
    let config = backtest::configured(&request, &market);
    warnings.extend(said_of_limits(&request));
    warnings.extend(named.notes(&request));
    let mut run_id = recording.as_ref().map_or(String::new(), |recording| recording.run_id().to_owned());
    let native_hash;
    let done = walk(config, market, !options.no_hash, recording.as_ref(), beside, &mut signals, output).await;
    let Walked { config, market, outcome, checked, took } = match done {
        Ok((done, with)) => {
            warnings.extend(with.articles);
            warnings.extend(refused(&with.refusals));
            native_hash = with.native_hash;
            done
        }
        Err(failure) => {
            if let Some(recording) = recording {
                let ended =
                    if failure.code == 130 { BacktestOutcome::Cancelled } else { BacktestOutcome::Failed };
                let detail = failure.message.clone();
                recording
                    .finish(BacktestFinished { outcome: ended.into(), detail, ..Default::default() })
                    .await?;
            }
            return Err(failure);
        }
    };
    let job = Job { run_id: &run_id, request: &request, code_version: VERSION, threads: 1 };
    let kept = recording.is_some() || beside.is_some() || options.report.is_some();
    let concluded = backtest::conclude(job, &market, outcome, checked, took, kept);
    let Done { outcome, report, end } = concluded.map_err(|error| Failure::other(error.to_string()))?;
    let sheet = report.sheet;
    if let Some(beside) = beside
        && let Some(id) = beside.settle(&request, &end, output).await?
    {
        run_id = id;
    }
    if let Some(recording) = recording {
        run_id = recording.run_id().to_owned();
        recording.finish(end).await?;
    }
    warnings.extend(sheet.warnings.iter().map(|warning| warning.text.clone()));
    let mut report = reported(&request, &config, &outcome, &sheet, &market, &run_id, took, warnings);
    report.native_hash = native_hash;
    let page = |dashboard: String| format!("{}/backtests/{run_id}", dashboard.trim_end_matches('/'));
    report.url = dashboard.map(page);
    report.tape = beside.and_then(Beside::tape_name).map(str::to_owned);
    // What the run came to is said whatever becomes of its files.
    let printed = print(&report, &outcome, output);
    write(options, &outcome, &sheet)?;
    printed?;
    let failed: Vec<_> = gate.check(&sheet.statistics).iter().map(ToString::to_string).collect();
    if failed.is_empty() { Ok(()) } else { Err(Failure::condition(failed.join("; "))) }
}

/// What a finished walk leaves.
struct Walked {
    config: Config,
    market: Loaded,
    outcome: Outcome,
    checked: Checked,
    took: Duration,
}

/// What is to be said of messages of external strategies that were no good.
fn refused(refusals: &Refusals) -> Vec<String> {
    let mut said = Vec::new();
    for (strategy, count) in &refusals.invalid {
        said.push(format!("{count} signals of {strategy} were denied as invalid"));
    }
    if refusals.parked > 0 {
        said.push(format!("{} messages were no signals and were parked", refusals.parked));
    }
    said
}

/// Runs the engine on a thread of its own, with whatever stands beside it.
async fn walk(
    config: Config,
    market: Loaded,
    hash: bool,
    recording: Option<&Recording>,
    beside: Option<&Beside>,
    signals: &mut Signals,
    output: Output,
) -> Result<(Walked, With), Failure> {
    let bar = Bar::new(output, config.account.cash);
    let Some(beside) = beside else {
        let desk = None;
        return follow(Work { config, market, hash, bar, desk }, recording, signals).await;
    };
    let (desk, articles) = beside.begin(&config, &market.data, bar.interrupt(), output).await?;
    let work = Work { config, market, hash: true, bar, desk: Some(desk) };
    let (mut walked, with) = follow(work, recording, signals).await?;
    beside.prove(&mut walked.outcome, &with.refusals).await?;
    Ok((walked, With { articles, ..with }))
}

/// What a run with external strategies leaves besides its outcome.
#[derive(Default)]
struct With {
    refusals: Refusals,
    /// What is to be said of the articles that they read.
    articles: Option<String>,
    native_hash: Option<String>,
}

/// What the engine's thread takes.
struct Work {
    config: Config,
    market: Loaded,
    hash: bool,
    bar: Bar,
    desk: Option<Desk>,
}

/// Tells how far the work is, and ends it when the user or the tape says so.
async fn follow(
    task: Work,
    recording: Option<&Recording>,
    signals: &mut Signals,
) -> Result<(Walked, With), Failure> {
    let (interrupt, at) = (task.bar.interrupt(), task.bar.at());
    let cancelled = recording.map(Recording::cancelled);
    let cash = task.config.account.cash;
    let began = Instant::now();
    let mut work = tokio::task::spawn_blocking(move || work(task));
    let mut ticks = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(|error| Failure::other(error.to_string()))?,
            () = signals.recv() => interrupt.set(),
            _ = ticks.tick() => {
                if cancelled.as_ref().is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
                    interrupt.set();
                }
                let known = at.lock().ok().and_then(|at| *at);
                if let (Some(recording), Some(at)) = (recording, known) {
                    let (bars, total) = (at.bars, at.total);
                    let done = bars as f64 / total.max(1) as f64;
                    let pnl = Amount(at.equity.0 - cash.0);
                    recording.tell(&backtest::Progress { done, bars, total, pnl }, began.elapsed().as_secs_f64()).await;
                }
            }
        }
    }
}

fn write(options: &Backtest, outcome: &Outcome, sheet: &TearSheet) -> Result<(), Failure> {
    if let Some(path) = &options.trades {
        outputs::written("--trades", path, tables::write_trades(path, &outcome.trades))?;
    }
    if let Some(path) = &options.equity {
        outputs::written("--equity", path, tables::write_equity(path, &outcome.equity))?;
    }
    if let Some(path) = &options.report {
        outputs::written("--report", path, outputs::write_sheet(path, sheet))?;
    }
    Ok(())
}

/// The conditions under which the run fails; an unknown metric is found before anything is run.
fn gate(texts: &[String]) -> Result<Gate, Failure> {
    let read = texts.iter().map(|text| text.parse::<Gate>().map(|gate| gate.0));
    let conditions = read.collect::<Result<Vec<_>, _>>();
    let conditions = conditions.map_err(|error| Failure::usage(format!("--fail-if: {error}"), HELP))?;
    Ok(Gate(conditions.into_iter().flatten().collect()))
}

/// Runs the engine, and beside it on another thread the checks, which are short. What stands outside is run once:
/// nobody checks it by variants of itself.
fn work(task: Work) -> Result<(Walked, With), Failure> {
    let Work { config, market, hash, mut bar, mut desk } = task;
    let began = Instant::now();
    let mut look = |progress: &engine::Progress| bar.show(progress);
    let alone = desk.is_none();
    let (outcome, took, checked) = std::thread::scope(|scope| {
        let checks = scope.spawn(|| match alone {
            true => checks::of_single(&config, &market.data),
            false => {
                let warnings = checks::of_prices_walked(&config, &market.data);
                Ok(Checked { warnings, ..Checked::default() })
            }
        });
        let outcome = if let Some(desk) = &mut desk {
            engine::run_beside(&config, &market.data, &mut Hash::default(), desk, &mut look)
        } else if hash {
            engine::run(&config, &market.data, &mut Hash::default(), &mut look)
        } else {
            engine::run(&config, &market.data, &mut Nothing, &mut look)
        };
        let took = began.elapsed();
        (outcome, took, checks.join())
    });
    bar.end();
    let outcome = outcome.map_err(failure)?;
    let checked = checked.map_err(|_| Failure::other("the checks of the run ended badly"))?;
    let checked = checked.map_err(failure)?;
    let mut with = With::default();
    if let Some(mut desk) = desk {
        with.refusals = desk.refusals().clone();
        let mut script = desk.take_script();
        if !script.is_empty() {
            let again = engine::run_beside(
                &config,
                &market.data,
                &mut Hash::default(),
                &mut script,
                &mut engine::Uncontrolled,
            );
            with.native_hash = again.map_err(failure)?.chain_hash;
        }
    }
    Ok((Walked { config, market, outcome, checked, took }, with))
}

/// An engine's error as the command's.
pub fn failure(error: engine::Error) -> Failure {
    match error {
        engine::Error::Cancelled => Failure::interrupted(),
        engine::Error::Config(error) => Failure::usage(error.to_string(), HELP),
        other => Failure::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command, RunOptions};

    /// The options of a run, as a command line with these has them.
    pub fn options(more: &[&str]) -> RunOptions {
        let line = [&["tapedeck", "sweep", "--param", "fast=5"][..], more].concat();
        let Command::Sweep(options) = Cli::try_parse_from(&line).unwrap().command else {
            panic!("{line:?} is another command")
        };
        options.run
    }
}
