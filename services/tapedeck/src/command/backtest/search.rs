//! `tapedeck sweep` and `tapedeck walk-forward`: many runs over one copy of the data, done here as the service
//! `backtest` would do them. Over the bars of a tape they are put on record there, and over files as a backtest is.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Instant;

use analytics::Report;
use analytics::metrics::expected_of_search;
use analytics::report::{TrialRow, WindowRow};
use backtest::{Done, Job, Loaded, Recording, WorkError, tables};
use contracts::v1::{
    BacktestFinished, BacktestFolds, BacktestKind, BacktestOutcome, BacktestRequest, BacktestSearch,
};
use domain::bar::Timeframe;
use serde_json::{Value, json};

use super::named::Named;
use super::printed::{assumptions, held, held_line};
use super::progress::{Bar, Interrupt};
use super::ranges::{ranges, sampler};
use super::request::request;
use super::{
    HELP, TELL_EVERY, UNRECORDED, VERSION, data, files, outputs, print_monte_carlo, print_revisions,
    print_statistics, print_warnings, said_of_limits, shown,
};
use crate::cli::{Global, RunOptions, SearchOptions, Sweep, WalkForward};
use crate::command::control::caller;
use crate::command::fold;
use crate::exit::Failure;
use crate::interrupt::Signals;
use crate::output::Output;
use crate::session::Session;

const SWEEP_HELP: &str = "tapedeck sweep --help";
const WALK_FORWARD_HELP: &str = "tapedeck walk-forward --help";

/// A search that was done.
struct Found {
    request: BacktestRequest,
    market: Loaded,
    done: Done,
    run_id: Option<String>,
    threads: usize,
    seconds: f64,
    /// What the user should know of how it came about.
    warnings: Vec<String>,
}

/// Runs a sweep and prints its trials, the best first.
pub async fn sweep(global: &Global, options: &Sweep, output: Output) -> Result<(), Failure> {
    if options.top == 0 {
        return Err(Failure::usage("--top 0: expected at least one row", SWEEP_HELP));
    }
    let found = Box::pin(search(global, &options.run, &options.search, None, output)).await;
    let found = found.map_err(|failure| failure.hinting(HELP, SWEEP_HELP))?;
    let Found { done, threads, seconds, .. } = &found;
    let Report { trials, sheet, .. } = &done.report;
    let refused = trials.iter().filter(|trial| !trial.refused.is_empty()).count();
    let metric = found.metric();
    if output.json {
        let rows: Vec<_> = trials.iter().map(|trial| found.trial(trial)).collect();
        let best = json!({
            "parameters": trials.first().map(|trial| found.named(&trial.parameters)), "denied": found.denied(),
            "statistics": sheet.statistics, "monte_carlo": sheet.monte_carlo,
            "result_hash": done.end.result_hash,
        });
        let (strategies, parameters) = held(&found.request, &found.market);
        return output.document(&json!({
            "strategies": strategies, "parameters": parameters,
            "metric": metric, "runs": trials.len(), "refused": refused, "seconds": seconds,
            "threads": threads, "data_hash": found.market.hash, "revisions": found.revisions(),
            "seed": options.run.seed,
            "code_version": VERSION, "best": best, "warning_block": sheet.warnings, "notes": sheet.run.notes,
            "recorded": found.run_id.is_some(), "run_id": found.run_id, "warnings": found.warnings,
            "trials": rows,
        }));
    }
    found.say_terms(output);
    let names: Vec<String> =
        trials.first().map(|trial| found.named(&trial.parameters).into_keys().collect()).unwrap_or_default();
    let shown_names = ["net_profit", "trades", "max_drawdown", "win_rate"];
    let others: Vec<&str> = shown_names.into_iter().filter(|name| *name != metric).collect();
    let mut header: Vec<&str> = names.iter().map(String::as_str).collect();
    header.push(metric);
    header.extend(&others);
    header.push("denied");
    let good = trials.iter().filter(|trial| trial.refused.is_empty()).take(options.top);
    let rows: Vec<Vec<String>> = good
        .map(|trial| {
            let values = found.named(&trial.parameters);
            let mut cells: Vec<String> =
                names.iter().map(|name| values.get(name).cloned().unwrap_or_default()).collect();
            cells.push(score(trial.score));
            let statistic = |name: &&str| trial.statistics.get(*name).copied().flatten();
            cells.extend(others.iter().map(|name| score(statistic(name))));
            cells.push(trial.denied.to_string());
            cells
        })
        .collect();
    output.table(&header, &rows);
    output.line(&format!(
        "{} runs in {seconds:.2} s on {threads} threads, {refused} combinations cannot be run",
        trials.len()
    ));
    output.line("the best run:");
    let denied: Vec<String> =
        found.denied().into_iter().map(|(rule, count)| format!("{rule} {count}")).collect();
    if !denied.is_empty() {
        output.line(&format!("signals denied: {}", denied.join(", ")));
    }
    print_statistics(&sheet.statistics, output);
    print_monte_carlo(sheet.monte_carlo.as_ref(), output);
    print_warnings(&sheet.warnings, output);
    found.say_where(output);
    Ok(())
}

/// Runs a walk-forward test and prints its windows.
pub async fn walk_forward(global: &Global, options: &WalkForward, output: Output) -> Result<(), Failure> {
    let sessions = |option: &str, count: usize| {
        let read = u32::try_from(count).ok().filter(|count| *count > 0);
        read.ok_or_else(|| {
            let message = format!("{option} {count}: expected 1 to {} sessions", u32::MAX);
            Failure::usage(message, WALK_FORWARD_HELP)
        })
    };
    let folds = BacktestFolds {
        anchored: options.anchored,
        in_sample_sessions: sessions("--in-sample", options.in_sample)?,
        out_of_sample_sessions: sessions("--out-of-sample", options.out_of_sample)?,
    };
    let files = [("--trades", options.trades.as_deref()), ("--equity", options.equity.as_deref())];
    outputs::apart(files, outputs::read(&options.run), WALK_FORWARD_HELP)?;
    outputs::check(files, WALK_FORWARD_HELP)?;
    let found = Box::pin(search(global, &options.run, &options.search, Some(folds), output)).await;
    let found = found.map_err(|failure| failure.hinting(HELP, WALK_FORWARD_HELP))?;
    // What the windows came to is said whatever becomes of the files.
    let printed = print_walked(options, &found, output);
    let outcome = &found.done.outcome;
    if let Some(path) = &options.trades {
        outputs::written("--trades", path, tables::write_trades(path, &outcome.trades))?;
    }
    if let Some(path) = &options.equity {
        outputs::written("--equity", path, tables::write_equity(path, &outcome.equity))?;
    }
    printed
}

fn print_walked(options: &WalkForward, found: &Found, output: Output) -> Result<(), Failure> {
    let Done { report, end, .. } = &found.done;
    let sheet = &report.sheet;
    if output.json {
        let folds: Vec<_> = report.windows.iter().map(|window| found.window(window)).collect();
        let (strategies, parameters) = held(&found.request, &found.market);
        return output.document(&json!({
            "strategies": strategies, "parameters": parameters,
            "metric": found.metric(), "anchored": options.anchored,
            "runs": end.counts.as_ref().map(|counts| counts.runs), "folds": folds,
            "out_of_sample": sheet.statistics, "monte_carlo": sheet.monte_carlo,
            "data_hash": found.market.hash, "revisions": found.revisions(),
            "seed": options.run.seed,
            "code_version": VERSION, "result_hash": end.result_hash, "warning_block": sheet.warnings,
            "notes": sheet.run.notes, "recorded": found.run_id.is_some(), "run_id": found.run_id,
            "warnings": found.warnings,
        }));
    }
    found.say_terms(output);
    let rows: Vec<Vec<String>> = report
        .windows
        .iter()
        .map(|window| {
            let pairs: Vec<_> = found
                .named(&window.parameters)
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            vec![
                format!("{} – {}", window.in_sample.0, window.in_sample.1),
                format!("{} – {}", window.out_of_sample.0, window.out_of_sample.1),
                if pairs.is_empty() { "–".to_owned() } else { pairs.join(" ") },
                score(window.in_sample_score),
                score(window.out_of_sample_score),
                window.trades.to_string(),
            ]
        })
        .collect();
    output.table(&["in sample", "out of sample", "chosen", "in", "out", "trades"], &rows);
    output.line("out of sample, joined:");
    print_statistics(&sheet.statistics, output);
    print_monte_carlo(sheet.monte_carlo.as_ref(), output);
    print_warnings(&sheet.warnings, output);
    found.say_where(output);
    Ok(())
}

fn score(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), shown)
}

impl Found {
    fn metric(&self) -> &str {
        self.request.search.as_ref().map_or("sharpe", |search| search.metric.as_str())
    }

    /// Signals that risk denied, by rule; of a sweep those of its best run.
    fn denied(&self) -> BTreeMap<String, u64> {
        let counts = self.done.end.counts.iter().flat_map(|counts| &counts.denied);
        counts.map(|denied| (denied.rule.clone(), denied.count)).collect()
    }

    /// What was seen of revised bars; none of files.
    fn revisions(&self) -> Option<&'static str> {
        domain::research::revisions_name(self.request.revisions())
    }

    /// Values by name; the strategy's name stands before them where there are several.
    fn named(&self, parameters: &[(String, String)]) -> BTreeMap<String, String> {
        let several = self.request.strategies.len() > 1;
        let bare = |name: &str| match name.split_once('.') {
            Some((_, bare)) if !several => bare.to_owned(),
            _ => name.to_owned(),
        };
        parameters.iter().map(|(name, value)| (bare(name), value.clone())).collect()
    }

    fn trial(&self, trial: &TrialRow) -> Value {
        let parameters = self.named(&trial.parameters);
        if trial.refused.is_empty() {
            json!({
                "parameters": parameters, "score": trial.score, "statistics": trial.statistics,
                "denied": trial.denied,
            })
        } else {
            json!({"parameters": parameters, "score": null, "error": trial.refused})
        }
    }

    fn window(&self, window: &WindowRow) -> Value {
        let chosen = (!window.parameters.is_empty()).then(|| self.named(&window.parameters));
        json!({
            "in_sample": {"from": window.in_sample.0, "to": window.in_sample.1},
            "out_of_sample": {"from": window.out_of_sample.0, "to": window.out_of_sample.1},
            "parameters": chosen, "in_sample_score": window.in_sample_score,
            "out_of_sample_score": window.out_of_sample_score, "trades": window.trades,
            "refused": window.refused,
        })
    }

    /// What every run went by.
    fn say_terms(&self, output: Output) {
        let (strategies, parameters) = held(&self.request, &self.market);
        output.line(&assumptions(&strategies, &parameters));
        if let Some(line) = held_line(&strategies) {
            output.line(&line);
        }
        print_revisions(self.revisions(), output);
    }

    fn say_where(&self, output: Output) {
        match &self.run_id {
            Some(run_id) => output.line(&format!("run {run_id}")),
            None => output.note(UNRECORDED),
        }
    }
}

/// Does a search; with `folds` a walk-forward test.
async fn search(
    global: &Global,
    run: &RunOptions,
    search: &SearchOptions,
    folds: Option<BacktestFolds>,
    output: Output,
) -> Result<Found, Failure> {
    if let Some(expected) = expected_of_search(&search.metric) {
        let message = format!("--metric {:?}: expected {expected}", search.metric);
        return Err(Failure::usage(message, HELP));
    }
    data::check_of_files(run)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = global.threads.map_or(cores, |threads| usize::from(threads.get()));
    if !run.bars.is_empty() {
        let from = data::load(run).await?;
        let named = inside(global, run, None).await?;
        let request = asked(global, run, search, folds, &named, from.timeframe)?;
        data::check_named(&request, &from.market)?;
        let mut warnings = from.warnings;
        warnings.extend(notes(&named, &request));
        let record = files::Record::of(global).await?;
        warnings.extend(record.lost);
        warnings.iter().for_each(|warning| output.note(warning));
        let found = match record.session {
            None => perform(request, from.market, None, threads, output).await?,
            Some(session) => {
                let request = files::stated(request, &from.market);
                let found = Box::pin(recorded(&session, request, from.market, threads, output)).await;
                session.close().await;
                found?
            }
        };
        return Ok(Found { warnings, ..found });
    }
    let timeframe = run.format.timeframe.as_deref().map(str::parse::<Timeframe>).transpose();
    let timeframe = timeframe.map_err(|error| Failure::usage(format!("--timeframe: {error}"), HELP))?;
    if run.offline {
        let named = inside(global, run, None).await?;
        let timeframe = match timeframe.or_else(|| named.timeframe()?.parse().ok()) {
            Some(timeframe) => timeframe,
            None => data::only_kept_timeframe(global, &run.symbols)?,
        };
        let request = asked(global, run, search, folds, &named, timeframe)?;
        let market = data::kept(global, run, &request).await?;
        let warnings = notes(&named, &request);
        warnings.iter().for_each(|warning| output.note(warning));
        let found = perform(request, market, None, threads, output).await?;
        return Ok(Found { warnings, ..found });
    }
    let session = Session::open(global).await?;
    let found = async {
        let named = inside(global, run, Some(&session)).await?;
        let of = |timeframe| asked(global, run, search, folds, &named, timeframe);
        let request = match timeframe.or_else(|| named.timeframe()?.parse().ok()) {
            Some(timeframe) => of(timeframe)?,
            None => {
                of(Timeframe::D1)?;
                of(data::only_timeframe(&session, &run.symbols).await?)?
            }
        };
        let warnings = notes(&named, &request);
        warnings.iter().for_each(|warning| output.note(warning));
        let found = on_tape(&session, run, request, threads, output).await?;
        Ok::<_, Failure>(Found { warnings, ..found })
    };
    let found = found.await;
    session.close().await;
    found
}

/// What the user should know of the terms of a search.
fn notes(named: &Named, request: &BacktestRequest) -> Vec<String> {
    said_of_limits(request).into_iter().chain(named.notes(request)).collect()
}

/// The strategies of a search, which runs them many times in this process.
async fn inside(global: &Global, run: &RunOptions, session: Option<&Session>) -> Result<Named, Failure> {
    let named = Named::find(global, &run.strategies, &[], run.account.as_deref(), session).await?;
    match named.programs.first() {
        None => Ok(named),
        Some(program) => Err(Failure::usage(
            format!(
                "--strategy {}: an external strategy, expected built-in ones: a search runs them in this process",
                program.name
            ),
            "tapedeck backtest --external COMMAND",
        )),
    }
}

async fn on_tape(
    session: &Session,
    run: &RunOptions,
    request: BacktestRequest,
    threads: usize,
    output: Output,
) -> Result<Found, Failure> {
    let request = data::with_calendar(session, request).await?;
    let market = data::of_tape(session, run, &request).await?;
    Box::pin(recorded(session, request, market, threads, output)).await
}

/// A search that is put on record.
async fn recorded(
    session: &Session,
    request: BacktestRequest,
    market: Loaded,
    threads: usize,
    output: Output,
) -> Result<Found, Failure> {
    let recording = backtest::record(&session.tape, &caller(), request.clone(), "cli", VERSION).await?;
    let found = perform(request, market, Some(recording), threads, output).await;
    let folded = fold::recorded(session, output).await;
    let found = found?;
    folded.map(|()| found)
}

/// The request of a search, complete.
fn asked(
    global: &Global,
    run: &RunOptions,
    search: &SearchOptions,
    folds: Option<BacktestFolds>,
    named: &Named,
    timeframe: Timeframe,
) -> Result<BacktestRequest, Failure> {
    let plain = request(global, run, &[], named, timeframe.name())?;
    let (sampler, most) = sampler(search)?;
    let ranges = ranges(&plain, &search.parameters)?;
    let search = BacktestSearch {
        sampler: sampler.to_owned(),
        runs: u32::try_from(most).unwrap_or(u32::MAX),
        ranges,
        metric: search.metric.clone(),
    };
    let kind = if folds.is_some() { BacktestKind::WalkForward } else { BacktestKind::Sweep };
    let request = BacktestRequest { kind: kind.into(), search: Some(search), folds, ..plain };
    domain::research::complete(request).map_err(|error| Failure::usage(error.to_string(), HELP))
}

/// Does the search, and says on the tape what it came to where it is on record.
async fn perform(
    request: BacktestRequest,
    market: Loaded,
    recording: Option<Recording>,
    threads: usize,
    output: Output,
) -> Result<Found, Failure> {
    let began = Instant::now();
    let run_id = recording.as_ref().map(|recording| recording.run_id().to_owned());
    let done = watched(request, market, recording.as_ref(), threads, output).await;
    if let Some(recording) = recording {
        let end = match &done {
            Ok((_, _, done)) => done.end.clone(),
            Err(failure) => {
                let ended =
                    if failure.code == 130 { BacktestOutcome::Cancelled } else { BacktestOutcome::Failed };
                let detail = failure.message.clone();
                BacktestFinished { outcome: ended.into(), detail, ..BacktestFinished::default() }
            }
        };
        recording.finish(end).await?;
    }
    let (request, market, done) = done?;
    let (seconds, warnings) = (began.elapsed().as_secs_f64(), Vec::new());
    Ok(Found { request, market, done, run_id, threads, seconds, warnings })
}

/// Runs the search on threads of its own, tells how far it is, and ends it when the user or the tape says so.
async fn watched(
    request: BacktestRequest,
    market: Loaded,
    recording: Option<&Recording>,
    threads: usize,
    output: Output,
) -> Result<(BacktestRequest, Loaded, Done), Failure> {
    let bar = Bar::new(output, domain::money::Amount::from_wire(request.cash.as_ref()));
    let (interrupt, told) = (bar.interrupt(), bar.told());
    let cancelled = recording.map(Recording::cancelled);
    let run_id = recording.map_or_else(String::new, |recording| recording.run_id().to_owned());
    let began = Instant::now();
    let mut signals = Signals::new()?;
    let mut work = tokio::task::spawn_blocking(move || work(request, market, &run_id, threads, bar));
    let mut ticks = tokio::time::interval(TELL_EVERY);
    loop {
        tokio::select! {
            done = &mut work => return done.map_err(|error| Failure::other(error.to_string()))?,
            () = signals.recv() => interrupt.set(),
            _ = ticks.tick() => {
                if cancelled.as_ref().is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
                    interrupt.set();
                }
                let known = told.lock().ok().and_then(|told| *told);
                if let (Some(recording), Some(progress)) = (recording, known) {
                    recording.tell(&progress, began.elapsed().as_secs_f64()).await;
                }
            }
        }
    }
}

fn work(
    request: BacktestRequest,
    market: Loaded,
    run_id: &str,
    threads: usize,
    bar: Bar,
) -> Result<(BacktestRequest, Loaded, Done), Failure> {
    let interrupt: Interrupt = bar.interrupt();
    let bar = Mutex::new(bar);
    let watch = |progress: backtest::Progress| match bar.lock() {
        Ok(mut bar) => bar.search(&progress),
        Err(_) => interrupt.asked(),
    };
    let job = Job { run_id, request: &request, code_version: VERSION, threads };
    let done = backtest::perform(job, &market, &watch);
    bar.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).end();
    match done {
        Ok(done) => Ok((request, market, done)),
        Err(WorkError::Cancelled) => Err(Failure::interrupted()),
        Err(WorkError::Failed(why)) => Err(Failure::usage(why, HELP)),
    }
}
