//! A run that a program does itself, on record: what was asked, that it began, how far it is, what it came to.
//!
//! Its cancelling is asked for on the tape as for any other run; whoever does the run looks at
//! [`Recording::is_cancelled`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use contracts::v1::event::Body;
use contracts::v1::{BacktestFinished, BacktestOutcome, BacktestRequest, BacktestStarted, Event};
use contracts::{Subject, event_id, stream, to_timestamp};
use event_log::{Append, AppendError, Delivery, Expect, LogError, Tape};
use runtime::command::{Caller, request_backtest};
use serde::Serialize;

use crate::work::Progress;

/// A program does its own run once.
const ATTEMPT: u32 = 1;

/// Subject of the hints that say how far a run is.
#[must_use]
pub fn progress_subject(run_id: &str) -> String {
    format!("backtest.{}.progress", contracts::escape(run_id))
}

/// How far a run is, as hints carry it.
#[derive(Debug, Serialize)]
struct Hint {
    attempt: u32,
    percent: f64,
    bars: u64,
    total: u64,
    bars_per_s: f64,
    pnl: String,
    remaining_s: Option<f64>,
}

/// Tells everybody who listens how far an attempt of a run is, `seconds` after it began. A hint that is lost costs
/// nothing.
pub(crate) async fn tell(tape: &Tape, run_id: &str, attempt: u32, progress: &Progress, seconds: f64) {
    let speed = if seconds > 0.0 { progress.bars as f64 / seconds } else { 0.0 };
    let rest = progress.total.saturating_sub(progress.bars) as f64;
    let hint = Hint {
        attempt,
        percent: progress.done.clamp(0.0, 1.0) * 100.0,
        bars: progress.bars,
        total: progress.total,
        bars_per_s: speed,
        pnl: progress.pnl.to_string(),
        remaining_s: (speed > 0.0).then_some(rest / speed),
    };
    let Ok(payload) = serde_json::to_vec(&hint) else { return };
    if let Err(error) = tape.hint(&progress_subject(run_id), payload).await {
        tracing::debug!(%error, "progress of {run_id} not told: {error}");
    }
}

/// An event of a run. Its id follows from the run, what it says and which one it is.
pub(crate) fn event(run_id: &str, source: &str, name: &str, number: u32, body: Body) -> Event {
    Event {
        id: event_id(run_id, name, number),
        event_time: Some(to_timestamp(runtime::now_ns())),
        source: source.to_owned(),
        correlation_id: run_id.to_owned(),
        body: Some(body),
        ..Event::default()
    }
}

/// Says that an attempt began.
pub(crate) async fn start(
    tape: &Tape,
    source: &str,
    run_id: &str,
    attempt: u32,
    code_version: &str,
) -> Result<(), AppendError> {
    let body = Body::BacktestStarted(BacktestStarted {
        run_id: run_id.to_owned(),
        attempt,
        code_version: code_version.to_owned(),
    });
    let event = event(run_id, source, "backtest_started", attempt, body);
    let subject = Subject::backtest(run_id, "started");
    tape.append(Append { subject, event, expect: Expect::Nothing }).await.map(drop)
}

/// Says what a run came to, unless that was said before: the first end counts. Answers whether this is it.
pub(crate) async fn finish(tape: &Tape, source: &str, end: BacktestFinished) -> Result<bool, AppendError> {
    let run_id = end.run_id.clone();
    let said = say_end(tape, source, end).await;
    // A result that the tape does not take, as one that is too large, leaves a run that has ended all the same.
    if let Err(AppendError::Refused(why)) = &said {
        let detail = format!("what it came to cannot be stored: {why}");
        let outcome = BacktestOutcome::Failed.into();
        let failed = BacktestFinished { run_id, outcome, detail, ..BacktestFinished::default() };
        say_end(tape, source, failed).await?;
    }
    said
}

async fn say_end(tape: &Tape, source: &str, end: BacktestFinished) -> Result<bool, AppendError> {
    let subject = Subject::backtest(&end.run_id, "finished");
    let filter = subject.as_str().to_owned();
    let event = event(&end.run_id.clone(), source, "backtest_finished", 0, Body::BacktestFinished(end));
    let expect = Expect::Last { filter, sequence: 0 };
    match tape.append(Append { subject, event, expect }).await {
        Ok(_) => Ok(true),
        Err(AppendError::Conflict { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a run has ended.
pub(crate) async fn has_ended(tape: &Tape, run_id: &str) -> Result<bool, LogError> {
    let subject = Subject::backtest(run_id, "finished");
    Ok(tape.last_sequence(stream::TRADING, subject.as_str()).await? > 0)
}

/// See the module.
#[derive(Debug)]
pub struct Recording {
    tape: Tape,
    run_id: String,
    runner: String,
    cancelled: Arc<AtomicBool>,
    watching: tokio::task::JoinHandle<()>,
}

/// Puts a run of `runner` (for example `cli`) on record. `request` is complete (`domain::research::complete`).
pub async fn record(
    tape: &Tape,
    caller: &Caller,
    request: BacktestRequest,
    runner: &str,
    code_version: &str,
) -> Result<Recording, AppendError> {
    let run_id = request_backtest(tape, caller, request, runner).await?;
    start(tape, runner, &run_id, ATTEMPT, code_version).await?;
    let cancelled = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(watch(Arc::clone(tape), run_id.clone(), Arc::clone(&cancelled)));
    Ok(Recording { tape: Arc::clone(tape), run_id, runner: runner.to_owned(), cancelled, watching })
}

async fn watch(tape: Tape, run_id: String, cancelled: Arc<AtomicBool>) {
    let filter = Subject::backtest(&run_id, "cancel_requested").as_str().to_owned();
    let seen = async {
        let mut reader = tape.read(stream::TRADING, &[filter], 0).await?;
        // What is no event asks for nothing.
        while !matches!(reader.batch(1).await?[..], [Delivery::Event(_)]) {}
        Ok::<_, LogError>(())
    };
    match seen.await {
        Ok(()) => cancelled.store(true, Ordering::Relaxed),
        Err(error) => tracing::debug!(%error, "cancelling of {run_id} would not be heard: {error}"),
    }
}

impl Recording {
    /// Id of the run.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Set when somebody asked for its end.
    #[must_use]
    pub fn cancelled(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.cancelled)
    }

    /// Tells how far it is, `seconds` after it began.
    pub async fn tell(&self, progress: &Progress, seconds: f64) {
        tell(&self.tape, &self.run_id, ATTEMPT, progress, seconds).await;
    }

    /// Says what it came to. Answers whether that counts: somebody may have ended it before.
    pub async fn finish(self, end: BacktestFinished) -> Result<bool, AppendError> {
        let end = BacktestFinished { run_id: self.run_id.clone(), ..end };
        finish(&self.tape, &self.runner, end).await
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.watching.abort();
    }
}
