//! A part of the tape again, for `tapedeck parity` and `tapedeck fork`: done here and put on record, so that it shows
//! on the page too. A tape that takes no event is only read, and the command says so.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use analytics::Comparison;
use backtest::Recording;
use backtest::replay::{ReplayError, Stretch, StretchError};
use contracts::v1::{BacktestFinished, BacktestOutcome, BacktestRequest};
use domain::money::Amount;

use crate::command::control::caller;
use crate::command::fold;
use crate::command::replay::options_of;
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// Version of the program, as runs state it.
const VERSION: &str = crate::CODE_VERSION;
/// Time between two words of progress.
const TELL_EVERY: Duration = Duration::from_millis(200);
/// Time between two lines of progress.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Does what is asked and records it; answers the comparison and the run's id, if it is on the tape.
pub async fn run(
    session: &Session,
    request: BacktestRequest,
    output: Output,
) -> Result<(Comparison, Option<String>), Failure> {
    let request = domain::research::complete(request)
        .map_err(|error| usage(option(error.field), &error.value, &error.expected))?;
    // What this tape does not hold is refused before a run is opened for it.
    let found = tokio::select! {
        found = backtest::find(Arc::clone(&session.tape), Some(session.dir.books()), request.clone()) => found.map_err(failure)?,
        () = session.interrupted() => return Err(Failure::interrupted()),
    };
    let recording = match backtest::record(&session.tape, &caller(), request, "cli", VERSION).await {
        Ok(recording) => Some(recording),
        Err(error) => {
            output.note(&format!("nothing is recorded, because the tape takes no event: {error}"));
            None
        }
    };
    let began = Instant::now();
    let outcome = watched(session, found, recording.as_ref(), output, began).await;
    let run_id = recording.as_ref().map(|recording| recording.run_id().to_owned());
    let end = match &outcome {
        Ok((_, end)) => end.clone(),
        Err(failure) => {
            let ended =
                if failure.code == 130 { BacktestOutcome::Cancelled } else { BacktestOutcome::Failed };
            BacktestFinished { outcome: ended.into(), detail: failure.message.clone(), ..Default::default() }
        }
    };
    if let Some(recording) = recording {
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let end = BacktestFinished { duration_ms, code_version: VERSION.to_owned(), ..end };
        recording.finish(end).await?;
    }
    let folded = if run_id.is_some() { fold::recorded(session, output).await } else { Ok(()) };
    let (comparison, _) = outcome?;
    folded.map(|()| (comparison, run_id))
}

/// Runs it while telling how far it is, until it ends or the user or the tape ends it.
async fn watched(
    session: &Session,
    stretch: Stretch,
    recording: Option<&Recording>,
    output: Output,
    began: Instant,
) -> Result<(Comparison, BacktestFinished), Failure> {
    let (done, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let watch = {
        let (done, stop) = (Arc::clone(&done), Arc::clone(&stop));
        move |share: f64| {
            done.fetch_max(share.to_bits(), Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    };
    let cancelled = recording.map(Recording::cancelled);
    let options = options_of(session)?;
    let mut work = Box::pin(backtest::again(Arc::clone(&session.tape), options, stretch, watch));
    let mut ticks = tokio::time::interval(TELL_EVERY);
    let mut next_line = LINE_EVERY;
    loop {
        tokio::select! {
            outcome = &mut work => return outcome.map_err(failure),
            () = session.interrupted(), if !stop.load(Ordering::Relaxed) => stop.store(true, Ordering::Relaxed),
            _ = ticks.tick() => {
                if cancelled.as_ref().is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
                    stop.store(true, Ordering::Relaxed);
                }
                let share = f64::from_bits(done.load(Ordering::Relaxed));
                if began.elapsed() >= next_line {
                    next_line += LINE_EVERY;
                    output.progress(&format!("{:.0} %", share * 100.0));
                }
                if let Some(recording) = recording {
                    let progress = backtest::Progress { done: share, bars: 0, total: 0, pnl: Amount::ZERO };
                    recording.tell(&progress, began.elapsed().as_secs_f64()).await;
                }
            }
        }
    }
}

fn usage(option: &str, value: &str, expected: &str) -> Failure {
    Failure::usage(
        format!("{option} {value:?}: expected {expected}"),
        "tapedeck parity --help, or tapedeck fork --help",
    )
}

/// The option behind a field of the request.
fn option(field: &str) -> &str {
    match field {
        "session" => "--session",
        "at" => "--at",
        "to" => "--to",
        "parameters" => "--param",
        "limits" => "--limit",
        other => other,
    }
}

fn failure(error: StretchError) -> Failure {
    match error {
        StretchError::Asked { field, value, expected } => usage(option(field), &value, &expected),
        StretchError::Missing(_) => Failure::not_found(error.to_string(), "tapedeck tail --no-follow"),
        StretchError::Change(error) => Failure::usage(error.to_string(), "tapedeck fork --help"),
        StretchError::Replay(ReplayError::Cancelled) => Failure::interrupted(),
        StretchError::Replay(ReplayError::Tape(error)) => Failure::unreachable(error.to_string()),
        StretchError::Replay(error) => Failure::other(error.to_string()),
    }
}
