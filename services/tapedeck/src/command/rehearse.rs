//! `tapedeck rehearse`: recorded bars through the whole live pipeline.

mod decided;
mod plan;
mod report;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ingest::clock::{FinishReason, Finished, Progress};
use ingest::floor::Comparison;
use ingest::import::ImportReport;
use ingest::source::Loaded;
use runtime::command::{registered, registration};

use crate::cli::{Global, Rehearse, Service};
use crate::command::up::{announce, opening_ns};
use crate::command::{chain_hash, fold};
use crate::exit::Failure;
use crate::home::Home;
use crate::output::Output;
use crate::seed::seed;
use crate::services::{self, Services};
use crate::session::{Access, Session};
use crate::terms::{Asked, Terms};
use decided::Tally;
use report::Report;

const HELP: &str = "tapedeck rehearse --help";
/// Time between two progress lines.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How often it is looked for strategies that are waited for, should no word of them pass.
const WAIT_POLL: Duration = Duration::from_secs(1);

/// Plays the files to their end, prints the report; an interruption is resumed by the same command.
pub async fn run(global: &Global, options: &Rehearse, output: Output) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let config = &global.configuration()?.config;
    let manifest = plan::manifest_of(options)?;
    let name = match &global.tape {
        Some(name) => name.clone(),
        None => plan::name_of(&manifest, config)?,
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
    let files = plan::load(manifest.clone()).await?;
    for warning in &files.splits {
        output.note(&warning.text);
    }
    let session = Session::open_tape(global, home, dir, manifest, Access::Sole).await?;
    let outcome = play(&session, options, &terms, files.loaded, output).await;
    session.close().await;
    outcome
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
    if options.stay && !wanted.contains(&Service::Web) {
        let message = "--stay: expected web among the services of --only: it is the dashboard that stays";
        return Err(Failure::usage(message, HELP));
    }
    Ok(wanted)
}

async fn play(
    session: &Session,
    options: &Rehearse,
    terms: &Terms,
    loaded: Loaded,
    output: Output,
) -> Result<(), Failure> {
    seed(&session.tape, &session.config, opening_ns(&session.manifest)?).await?;
    wait_for(session, &options.wait_for, output).await?;
    let mut services = services::start(session, terms, Some(loaded)).await?;
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
        return Err(plan::no_bars(&[]));
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
        // What is printed can be looked at.
        Box::pin(fold::caught_up(session, output)).await?;
    }
    let mut tally = Tally::of(registered(&session.tape).await?);
    let chain = chain_hash::read(&session.tape, |event| tally.take(event)).await?;
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
        instants_with_decisions: progress.instants_with_decisions,
        instants_with_orders: progress.instants_with_orders,
        instants_with_fills: progress.instants_with_fills,
        seconds,
        bars_per_second,
        floor_bars_per_second: floor.map(|floor| floor.floor_bars_per_second),
        percent_of_floor: floor.map(|floor| floor.percent_of_floor),
        signals: progress.signals,
        decisions: progress.decisions,
        strategies: tally.finish(),
        orders: chain.orders,
        fills: chain.fills,
        rejected: examined.as_ref().map_or(0, ImportReport::rejected_count),
        findings: examined.as_ref().map_or(0, |examined| examined.findings),
        chain_hash: chain.chain_hash,
    };
    report.print(output)?;
    // What was played and measured is told in any case.
    examined.map(drop)
}

/// The run beside the least that its serial messages take on this server.
async fn floor(session: &Session, progress: &Progress, seconds: f64) -> Result<Option<Comparison>, Failure> {
    let instant = progress.bars.checked_div(progress.instants_with_bars).unwrap_or(1).max(1);
    let instant = u32::try_from(instant).unwrap_or(u32::MAX);
    let elapsed = Duration::from_secs_f64(seconds);
    let floor = ingest::floor::measure(&session.connect_options(), instant, elapsed)
        .await
        .map_err(|error| Failure::other(error.to_string()))?;
    Ok(floor.compare(progress, elapsed))
}
