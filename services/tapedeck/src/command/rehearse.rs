//! `tapedeck rehearse`: recorded bars through the whole live pipeline.

use std::collections::BTreeSet;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use analytics::warnings::Warning;
use backtest::checks;
use domain::calendar::Calendar;
use history::{Range, Selection};
use ingest::clock::{FinishReason, Finished, Progress};
use ingest::file::ReadOptions;
use ingest::floor::Comparison;
use ingest::import::ImportReport;
use runtime::command::{STRATEGY_NAME, is_strategy_name, registration};
use serde::Serialize;

use crate::cli::{Global, Rehearse, Service, Speed};
use crate::command::import::{check_readable, check_stated, format_note, print_findings, read_options};
use crate::command::up::{announce, manifest, opening_ns};
use crate::command::{chain_hash, projection};
use crate::config::Config;
use crate::exit::Failure;
use crate::home::{Home, Manifest, TapeKind};
use crate::output::Output;
use crate::seed::seed;
use crate::services::{self, Services};
use crate::session::{Access, Session};
use crate::terms::{Asked, Terms};

const HELP: &str = "tapedeck rehearse --help";
/// Time between two progress lines.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long the read models may take to reach the end of the tape after the last instant.
const CATCH_UP_MAX: Duration = Duration::from_secs(120);
/// How often it is looked for strategies that are waited for, should no word of them pass.
const WAIT_POLL: Duration = Duration::from_secs(1);
const CATCH_UP_POLL: Duration = Duration::from_millis(50);

/// What a rehearsal prints at its end.
#[derive(Debug, Serialize)]
struct Report {
    tape: String,
    /// True when the tape held all of it before.
    complete_before: bool,
    bars: u64,
    instants: u64,
    instants_with_signals: u64,
    instants_with_orders: u64,
    instants_with_fills: u64,
    seconds: f64,
    bars_per_second: f64,
    /// What the messages alone would have allowed; absent when nothing was played.
    floor_bars_per_second: Option<f64>,
    /// `bars_per_second` as a percentage of it.
    percent_of_floor: Option<f64>,
    signals: u64,
    orders: u64,
    fills: u64,
    /// Rows of the files that are no bars.
    rejected: u64,
    /// Findings about the files that are new on the tape.
    findings: u64,
    chain_hash: String,
}

/// Plays the files to their end, prints the report; an interruption is resumed by the same command.
pub async fn run(global: &Global, options: &Rehearse, output: Output) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let config = &global.configuration()?.config;
    let read = read_options(&options.format)?;
    let manifest = plan(options, &read)?;
    let name = match &global.tape {
        Some(name) => name.clone(),
        None => name_of(&manifest, config)?,
    };
    let dir = home.tape(&name)?;
    let asked = Asked {
        tape: &dir.name,
        manifest: &manifest,
        services: services_of(options)?,
        bind: options.bind.as_deref(),
        live: &[],
        telemetry: &options.telemetry,
    };
    let terms = Terms::of(config, &global.servers, asked)?;
    // No tape is made, and none becomes the current one, for files that cannot be played.
    let looked = tokio::task::spawn_blocking({
        let manifest = manifest.clone();
        move || unstated_splits(&manifest, &read)
    });
    for warning in looked.await.map_err(|error| Failure::other(error.to_string()))?? {
        output.note(&warning.text);
    }
    let session = Session::open_tape(global, home, dir, manifest, Access::Sole).await?;
    let outcome = play(&session, options, &terms, output).await;
    session.close().await;
    outcome
}

/// Splits that no file states, of which a backtest of the same files warns. A file that cannot be read to its end, and
/// files without a bar to play, are refused. Blocking.
fn unstated_splits(manifest: &Manifest, read: &ReadOptions) -> Result<Vec<Warning>, Failure> {
    let files: Vec<PathBuf> = manifest.bars.iter().chain(&manifest.actions).cloned().collect();
    let range = Range { from: manifest.from, to: manifest.to };
    let selection = Selection { range, ..Selection::default() };
    check_readable(&files, read, HELP)?;
    let loaded = history::file::load("rehearsal", &files, read, &selection);
    let loaded = loaded.map_err(|error| Failure::usage(error.to_string(), HELP))?;
    if loaded.bars == 0 {
        return Err(no_bars());
    }
    Ok(checks::of_prices(&loaded.data, Calendar::xnys(), None))
}

fn no_bars() -> Failure {
    Failure::not_found("no bar was played: --bars holds none between --from and --to", HELP)
}

fn plan(options: &Rehearse, read: &ReadOptions) -> Result<Manifest, Failure> {
    if let (Some(from), Some(to)) = (options.from, options.to)
        && to < from
    {
        return Err(Failure::usage(format!("--to {to}: expected a date from {from} on"), HELP));
    }
    if let Some(name) = options.wait_for.iter().find(|name| !is_strategy_name(name)) {
        let message = format!("--wait-for {name:?}: expected {STRATEGY_NAME}");
        return Err(Failure::usage(message, HELP));
    }
    let bars = absolute(&options.bars)?;
    check_stated(&bars, read, HELP)?;
    Ok(Manifest {
        speed: match options.speed {
            Speed::Max => None,
            Speed::Times(times) => Some(times),
        },
        bars,
        actions: absolute(&options.actions)?,
        from: options.from,
        to: options.to,
        format: format_note(&options.format),
        ..manifest(TapeKind::Rehearsal, options.seed)
    })
}

fn absolute(files: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    files
        .iter()
        .map(|file| {
            std::fs::canonicalize(file)
                .map_err(|error| Failure::not_found(format!("{}: {error}", file.display()), ""))
        })
        .collect()
}

/// A name made of everything that decides the outcome, so that equal inputs resume and others do not mix.
fn name_of(manifest: &Manifest, config: &Config) -> Result<String, Failure> {
    let mut hasher = Fnv::default();
    let text =
        |value: &dyn Fn() -> serde_json::Result<String>| value().map_err(|e| Failure::other(e.to_string()));
    let mut plan = manifest.clone();
    plan.speed = None;
    hasher.write(text(&|| serde_json::to_string(&plan))?.as_bytes());
    hasher.write(text(&|| serde_json::to_string(&(&config.account, &config.strategy)))?.as_bytes());
    for file in manifest.bars.iter().chain(&manifest.actions) {
        hasher.write(stamp(file)?.as_bytes());
    }
    Ok(format!("rehearsal-{:016x}", hasher.finish()))
}

/// Size and time of change: a file that was replaced is another input.
fn stamp(file: &Path) -> Result<String, Failure> {
    let data = std::fs::metadata(file)?;
    let changed = data.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{}/{}", data.len(), changed.as_nanos()))
}

/// FNV-1a: stable between builds, which the standard hasher does not promise.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// The services of this process.
fn services_of(options: &Rehearse) -> Result<BTreeSet<Service>, Failure> {
    let wanted: BTreeSet<Service> = if options.only.is_empty() {
        let mut all = BTreeSet::from(Service::ALL);
        // A rehearsal runs as fast as it can; `tapedeck check` looks at it afterwards.
        all.remove(&Service::Checker);
        if options.bind.is_none() && !options.stay {
            all.remove(&Service::Web);
        }
        all
    } else {
        options.only.iter().copied().collect()
    };
    if !wanted.contains(&Service::Ingest) {
        return Err(Failure::usage("--only: expected ingest among the services", "tapedeck run SERVICE"));
    }
    Ok(wanted)
}

async fn play(session: &Session, options: &Rehearse, terms: &Terms, output: Output) -> Result<(), Failure> {
    seed(&session.tape, &session.config, opening_ns(&session.manifest)).await?;
    wait_for(session, &options.wait_for, output).await?;
    let mut services = services::start(session, terms).await?;
    announce(session, &services, output)?;
    let started = Instant::now();
    let outcome = watch(session, &mut services, started, output).await;
    let finished = match outcome {
        Ok(finished) if finished.reason == FinishReason::SourceEnd => finished,
        other => {
            services.drain().await;
            return Err(other.map_or_else(|failure| failure, |_| Failure::interrupted()));
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    if finished.progress.bars == 0 && !finished.was_complete() {
        services.drain().await;
        return Err(no_bars());
    }
    let outcome = conclude(session, &mut services, &terms.services, finished, seconds, output).await;
    if outcome.is_ok() && options.stay {
        output.progress("the data have ended; Ctrl-C stops the dashboard");
        session.interrupted().await;
    }
    services.drain().await;
    outcome
}

/// Waits until external strategies are registered and enabled, so that they see every instant.
async fn wait_for(session: &Session, strategies: &[String], output: Output) -> Result<(), Failure> {
    let mut controls = session.tape.hints("control.strategy.>").await?;
    for name in strategies {
        let mut told = false;
        while registration(&session.tape, name).await?.is_none_or(|known| known.enabled.is_none()) {
            if !std::mem::replace(&mut told, true) {
                let tape = &session.dir.name;
                output.note(&format!(
                    "waiting for: tapedeck --tape {tape} strategy register {name}, then strategy enable {name}"
                ));
            }
            tokio::select! {
                // One that was missed is made up for by looking again.
                _ = controls.next() => {}
                () = tokio::time::sleep(WAIT_POLL) => {}
                () = session.interrupted() => return Err(Failure::interrupted()),
            }
        }
    }
    Ok(())
}

/// Waits for the end of the source, telling how far it is.
async fn watch(
    session: &Session,
    services: &mut Services,
    started: Instant,
    output: Output,
) -> Result<Finished, Failure> {
    let Some(finished) = services.finished.take() else {
        return Err(Failure::other("the tape clock was not started"));
    };
    tokio::pin!(finished);
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    ticks.tick().await;
    loop {
        tokio::select! {
            outcome = &mut finished => {
                return match outcome {
                    Ok(outcome) => outcome,
                    Err(_) => Err(Failure::other("the tape clock ended without saying why")),
                };
            }
            () = session.interrupted() => return Err(Failure::interrupted()),
            _ = ticks.tick() => {
                let Some(clock) = &services.clock else { continue };
                let progress = clock.progress().borrow().clone();
                let at = progress.instant_ns.map_or_else(String::new, crate::render::time);
                let rate = progress.bars as f64 / started.elapsed().as_secs_f64();
                output.progress(&format!(
                    "{at}  {} bars  {rate:.0} bars/s  {} orders  {} fills",
                    progress.bars, progress.orders, progress.fills
                ));
            }
        }
    }
}

/// What looks wrong with the files, once that is on the tape.
async fn examined(session: &Session, services: &mut Services) -> Result<ImportReport, Failure> {
    let Some(examined) = services.examined.take() else { return Ok(ImportReport::default()) };
    tokio::select! {
        outcome = examined => {
            outcome.unwrap_or_else(|_| Err(Failure::other("the files were not looked at to their end")))
        }
        () = session.interrupted() => Err(Failure::interrupted()),
    }
}

async fn conclude(
    session: &Session,
    services: &mut Services,
    wanted: &BTreeSet<Service>,
    finished: Finished,
    seconds: f64,
    output: Output,
) -> Result<(), Failure> {
    let complete_before = finished.was_complete();
    let progress = finished.progress;
    let bars = if complete_before { 0 } else { progress.bars };
    let bars_per_second = bars as f64 / seconds.max(f64::MIN_POSITIVE);
    let examined = examined(session, services).await;
    if wanted.contains(&Service::Projector) {
        caught_up(session).await?;
    }
    let chain = chain_hash::of(&session.tape).await?;
    // Measured when everything is still, as it is meant: the messages alone. A rehearsal that has ended
    // well does not fail because the yardstick did.
    let measured = if complete_before { Ok(None) } else { floor(session, &progress, seconds).await };
    let floor = measured.unwrap_or_else(|failure| {
        output.note(&format!("the floor could not be measured: {}", failure.message));
        None
    });
    let report = Report {
        tape: session.dir.name.clone(),
        complete_before,
        bars,
        instants: if complete_before { 0 } else { progress.instants },
        instants_with_signals: progress.instants_with_signals,
        instants_with_orders: progress.instants_with_orders,
        instants_with_fills: progress.instants_with_fills,
        seconds,
        bars_per_second,
        floor_bars_per_second: floor.map(|floor| floor.floor_bars_per_second),
        percent_of_floor: floor.map(|floor| floor.percent_of_floor),
        signals: progress.signals,
        orders: chain.orders,
        fills: chain.fills,
        rejected: examined.as_ref().map_or(0, ImportReport::rejected_count),
        findings: examined.as_ref().map_or(0, |examined| examined.findings),
        chain_hash: chain.chain_hash,
    };
    print(&report, output)?;
    // What was played and measured is told in any case.
    examined.map(drop)
}

/// The run beside the least that its serial messages take on this server.
async fn floor(session: &Session, progress: &Progress, seconds: f64) -> Result<Option<Comparison>, Failure> {
    let instant = progress.bars.checked_div(progress.instants_with_bars).unwrap_or(1).max(1);
    let instant = u32::try_from(instant).unwrap_or(u32::MAX);
    let floor = ingest::floor::measure(&session.connect_options(), instant)
        .await
        .map_err(|error| Failure::other(error.to_string()))?;
    Ok(floor.compare(progress, Duration::from_secs_f64(seconds)))
}

/// Waits until every read model has folded the whole tape, so that what is printed can be looked at.
async fn caught_up(session: &Session) -> Result<(), Failure> {
    let deadline = Instant::now() + CATCH_UP_MAX;
    loop {
        let behind: Vec<String> = projection::positions(session)
            .await?
            .into_iter()
            .filter(|position| position.lag > 0 && position.name != "services")
            .map(|position| format!("{} by {}", position.name, position.lag))
            .collect();
        if behind.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Failure::other(format!("read models are behind: {}", behind.join(", "))));
        }
        tokio::time::sleep(CATCH_UP_POLL).await;
    }
}

fn print(report: &Report, output: Output) -> Result<(), Failure> {
    if output.json {
        return output.document(report);
    }
    if report.complete_before {
        output.line(&format!("tape {} is complete: nothing left to play", report.tape));
    } else {
        output.line(&format!(
            "{} bars in {} instants in {:.1} s: {:.0} bars/s",
            report.bars, report.instants, report.seconds, report.bars_per_second
        ));
        if let (Some(floor), Some(percent)) = (report.floor_bars_per_second, report.percent_of_floor) {
            output
                .line(&format!("floor {floor:.0} bars/s (its messages alone); this is {percent:.0} % of it"));
        }
        output.line(&format!(
            "instants with signals {}, with orders {}, with fills {}",
            report.instants_with_signals, report.instants_with_orders, report.instants_with_fills
        ));
    }
    output.line(&format!("{} orders, {} fills on the tape", report.orders, report.fills));
    if report.rejected > 0 {
        output.line(&format!("{} rows of the files are no bars and were left out", report.rejected));
    }
    print_findings(report.findings, output);
    output.line(&format!("chain hash {}", report.chain_hash));
    Ok(())
}
