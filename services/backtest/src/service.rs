//! The service `backtest`: does the runs that are asked for on the tape (`control.backtest.>`).
//!
//! A request without an end is work to do: a process that is killed in the middle leaves it there, and the next
//! one does it again, which gives the same result. An end is appended only where there is none, so that a run
//! ends once whatever runs at the same time. Two services on one tape would do the same work twice.
//!
//! On the wall clock it also asks for the parity of each session that ends (`sessions`), and does that like any other run.
//!
//! Runs that another program does itself are its own; one whose program is gone is ended here when its cancelling
//! is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use contracts::stream::TRADING;
use contracts::v1::event::Body;
use contracts::v1::{BacktestFinished, BacktestKind, BacktestOutcome, BacktestRequest};
use domain::calendar::Market;
use domain::money::Amount;
use event_log::{AppendError, Delivery, LogError, Tape};
use runtime::command::{Caller, audit};
use runtime::{ClockMode, Context, HealthState};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::again::{again, find};
use crate::market;
use crate::recording::{finish, has_ended, start, tell};
use crate::replay::Options;
use crate::sessions;
use crate::work::{Job, Progress, WorkError, perform};

/// Name of the service.
pub const SERVICE: &str = "backtest";
const FILTERS: [&str; 3] =
    ["control.backtest.*.requested", "control.backtest.*.started", "control.backtest.*.cancel_requested"];
const BATCH_MAX: usize = 256;
/// Time between two hints of one run.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Time that another program has to end its own run after it was asked to.
const GRACE: Duration = Duration::from_secs(10);
/// Longest text of a failure.
const DETAIL_CHARS_MAX: usize = 500;

/// How the service works.
#[derive(Clone, Debug)]
pub struct Config {
    /// Runs at once; at least one.
    pub at_once: usize,
    /// Threads of one search; at least one.
    pub threads: usize,
    /// Version of the program.
    pub code_version: String,
    /// Account on which the signal of an unknown strategy is denied, as risk does it.
    pub fallback_account: String,
    /// The tape's calendar where MARKET holds no sessions, as its manifest has it.
    pub calendar: Market,
    /// Directory of the tape's history segments.
    pub segments: std::path::PathBuf,
    /// Directory in which books of the tape's past are kept; without one they are folded for each run.
    pub books: Option<std::path::PathBuf>,
}

/// Why the service cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The tape could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The tape did not take an event.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A run's task ended badly.
    #[error("a run's task: {0}")]
    Task(#[from] JoinError),
}

/// A run to do.
#[derive(Clone, Debug)]
struct Waiting {
    run_id: String,
    /// Who asked for it.
    actor: String,
    request: BacktestRequest,
    /// Attempts so far.
    attempts: u32,
}

/// What ends a run early.
#[derive(Clone, Debug, Default)]
struct Stop {
    cancelled: Arc<AtomicBool>,
    /// The process ends: the run stays open, for whoever runs next.
    interrupted: Arc<AtomicBool>,
}

impl Stop {
    fn is_set(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.interrupted.load(Ordering::Relaxed)
    }
}

#[derive(Default)]
struct State {
    /// By sequence of the request.
    waiting: BTreeMap<u64, Waiting>,
    running: BTreeMap<String, Stop>,
    /// Runs of other programs.
    foreign: BTreeSet<String>,
}

impl Drop for State {
    /// A run's thread outlives its task: it is told to end, whatever ended the service.
    fn drop(&mut self) {
        for stop in self.running.values() {
            stop.interrupted.store(true, Ordering::Relaxed);
        }
    }
}

/// Runs until shutdown.
pub async fn run(context: Context, config: Config) -> Result<(), ServiceError> {
    context.health.set(SERVICE, HealthState::Starting, "reading requests");
    let tape = &context.tape;
    let mut head = 0;
    for filter in FILTERS {
        head = head.max(tape.last_sequence(TRADING, filter).await?);
    }
    let mut reader = tape.read(TRADING, &FILTERS.map(str::to_owned), 0).await?;
    let mut state = State::default();
    let mut ends: JoinSet<Result<(), ServiceError>> = JoinSet::new();
    let mut tasks: JoinSet<(String, Option<BacktestFinished>)> = JoinSet::new();
    if context.clock == ClockMode::Wall {
        ends.spawn(sessions::watch(Arc::clone(tape), sessions::SETTLED_AFTER));
    }
    let mut read_to = 0;
    loop {
        if read_to >= head {
            begin(&context, &config, &mut state, &mut tasks).await?;
            context.health.set(SERVICE, HealthState::Ready, busy(&state));
        }
        tokio::select! {
            batch = reader.batch(BATCH_MAX) => {
                for delivery in batch? {
                    read_to = delivery.sequence();
                    fold(tape, &mut state, &mut ends, delivery);
                }
            }
            Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                let (run_id, end) = done?;
                state.running.remove(&run_id);
                if let Some(end) = end {
                    ends.spawn(ended(Arc::clone(tape), end));
                }
            }
            Some(done) = ends.join_next(), if !ends.is_empty() => done??,
            () = context.shutdown.cancelled() => break,
        }
    }
    for stop in state.running.values() {
        stop.interrupted.store(true, Ordering::Relaxed);
    }
    while let Some(done) = tasks.join_next().await {
        drop(done?);
    }
    context.health.set(SERVICE, HealthState::Stopping, "");
    Ok(())
}

fn busy(state: &State) -> String {
    match (state.running.len(), state.waiting.len()) {
        (0, 0) => String::new(),
        (running, waiting) => format!("{running} running, {waiting} waiting"),
    }
}

/// Takes what an event says. What cannot be read is the read model's to park.
fn fold(tape: &Tape, state: &mut State, ends: &mut JoinSet<Result<(), ServiceError>>, delivery: Delivery) {
    let Delivery::Event(recorded) = delivery else { return };
    match recorded.event.body {
        Some(Body::BacktestRequested(asked)) if asked.runner.is_empty() => {
            let known = state.running.contains_key(&asked.run_id)
                || state.waiting.values().any(|waiting| waiting.run_id == asked.run_id);
            if let (Some(request), false) = (asked.request, known) {
                let (run_id, actor) = (asked.run_id, asked.actor);
                let waiting = Waiting { run_id, actor, request, attempts: 0 };
                state.waiting.insert(recorded.sequence, waiting);
            }
        }
        Some(Body::BacktestRequested(asked)) => {
            state.foreign.insert(asked.run_id);
        }
        Some(Body::BacktestStarted(started)) => {
            let waiting = state.waiting.values_mut().find(|waiting| waiting.run_id == started.run_id);
            if let Some(waiting) = waiting {
                waiting.attempts = waiting.attempts.max(started.attempt);
            }
        }
        Some(Body::BacktestCancelRequested(asked)) => {
            let place = state.waiting.iter().find(|(_, waiting)| waiting.run_id == asked.run_id);
            let place = place.map(|(place, _)| *place);
            let reason = if asked.reason.is_empty() {
                format!("cancelled by {}", asked.actor)
            } else {
                format!("cancelled by {}: {}", asked.actor, asked.reason)
            };
            if let Some(stop) = state.running.get(&asked.run_id) {
                stop.cancelled.store(true, Ordering::Relaxed);
            } else if place.and_then(|place| state.waiting.remove(&place)).is_some() {
                ends.spawn(ended(Arc::clone(tape), cancelled(&asked.run_id, reason)));
            } else if state.foreign.contains(&asked.run_id) {
                ends.spawn(abandoned(Arc::clone(tape), cancelled(&asked.run_id, reason)));
            }
        }
        _ => {}
    }
}

fn cancelled(run_id: &str, detail: String) -> BacktestFinished {
    BacktestFinished {
        run_id: run_id.to_owned(),
        outcome: BacktestOutcome::Cancelled.into(),
        detail: detail.chars().take(DETAIL_CHARS_MAX).collect(),
        ..BacktestFinished::default()
    }
}

/// Begins as many runs as there is room for, the oldest first.
async fn begin(
    context: &Context,
    config: &Config,
    state: &mut State,
    tasks: &mut JoinSet<(String, Option<BacktestFinished>)>,
) -> Result<(), ServiceError> {
    while state.running.len() < config.at_once.max(1) {
        let Some((_, waiting)) = state.waiting.pop_first() else { break };
        if has_ended(&context.tape, &waiting.run_id).await? {
            continue;
        }
        let attempt = waiting.attempts.saturating_add(1);
        start(&context.tape, SERVICE, &waiting.run_id, attempt, &config.code_version).await?;
        tracing::info!(
            correlation_id = waiting.run_id,
            "backtest {} begins, attempt {attempt}",
            waiting.run_id
        );
        let stop = Stop::default();
        state.running.insert(waiting.run_id.clone(), stop.clone());
        let place = Place { tape: Arc::clone(&context.tape), clock: context.clock, config: config.clone() };
        tasks.spawn(one(place, Waiting { attempts: attempt, ..waiting }, stop));
    }
    Ok(())
}

/// Where runs are done.
struct Place {
    tape: Tape,
    clock: ClockMode,
    config: Config,
}

/// Does one run; no end when it was interrupted.
async fn one(place: Place, waiting: Waiting, stop: Stop) -> (String, Option<BacktestFinished>) {
    let run_id = waiting.run_id.clone();
    let began = Instant::now();
    let outcome = attempt(&place, waiting, &stop, began).await;
    let Place { config, .. } = place;
    if stop.interrupted.load(Ordering::Relaxed) && !stop.cancelled.load(Ordering::Relaxed) {
        return (run_id, None);
    }
    let end = match outcome {
        Ok(end) => end,
        Err(WorkError::Cancelled) => cancelled(&run_id, "cancelled while it ran".to_owned()),
        Err(WorkError::Failed(why)) => BacktestFinished {
            run_id: run_id.clone(),
            outcome: BacktestOutcome::Failed.into(),
            detail: why.chars().take(DETAIL_CHARS_MAX).collect(),
            ..BacktestFinished::default()
        },
    };
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let end = BacktestFinished { code_version: config.code_version, duration_ms, ..end };
    (run_id, Some(end))
}

async fn attempt(
    place: &Place,
    waiting: Waiting,
    stop: &Stop,
    began: Instant,
) -> Result<BacktestFinished, WorkError> {
    let failed = |error: String| WorkError::Failed(error);
    let Waiting { run_id, actor, request, attempts } = waiting;
    // Whoever wrote the request, it is checked here once more: the tape takes events from any program.
    let request = domain::research::complete(request).map_err(|error| failed(error.to_string()))?;
    let (sender, receiver) = watch::channel(None);
    let telling = tokio::spawn(hints(Arc::clone(&place.tape), run_id.clone(), attempts, receiver, began));
    let end = if matches!(request.kind(), BacktestKind::Parity | BacktestKind::Fork) {
        stretch(place, (run_id, actor), request, stop, sender).await
    } else {
        history(place, run_id, request, stop, sender).await
    };
    // The sender is gone, so that the last hint is told and no more comes.
    if let Err(error) = telling.await {
        tracing::debug!(%error, "hints of a run ended badly: {error}");
    }
    end
}

/// Passes on how far a run is, never backwards, and says whether it is to end.
fn watched(
    sender: watch::Sender<Option<Progress>>,
    stop: Stop,
) -> impl Fn(Progress) -> ControlFlow<()> + Send + Sync + 'static {
    move |progress: Progress| {
        sender.send_if_modified(|last: &mut Option<Progress>| {
            let forward = last.is_none_or(|last| last.done < progress.done);
            if forward {
                *last = Some(progress);
            }
            forward
        });
        if stop.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A run over history.
async fn history(
    place: &Place,
    run_id: String,
    request: BacktestRequest,
    stop: &Stop,
    sender: watch::Sender<Option<Progress>>,
) -> Result<BacktestFinished, WorkError> {
    let failed = |error: String| WorkError::Failed(error);
    let request = market::with_calendar(&place.tape, place.config.calendar, request).await;
    let request = request.map_err(|error| failed(error.to_string()))?;
    let market = tokio::select! {
        market = market::load(&place.tape, &place.config.segments, &request) => market.map_err(|error| failed(error.to_string()))?,
        () = stopped(stop) => return Err(WorkError::Cancelled),
    };
    let watch = watched(sender, stop.clone());
    let (threads, version) = (place.config.threads, place.config.code_version.clone());
    let work = tokio::task::spawn_blocking(move || {
        let job = Job { run_id: &run_id, request: &request, code_version: &version, threads };
        let end = perform(job, &market, &watch)?.end;
        let bars = end.counts.as_ref().map_or(0, |counts| counts.bars);
        // It has ended: whoever cancels now is too late.
        let _ = watch(Progress { done: 1.0, bars, total: bars, pnl: profit(&end) });
        Ok(end)
    });
    work.await.map_err(|error| failed(format!("the run's task ended badly: {error}")))?
}

/// A part of this tape again. The verdict on a session stands in the audit of who asked, as that of the command does.
async fn stretch(
    place: &Place,
    (run_id, actor): (String, String),
    request: BacktestRequest,
    stop: &Stop,
    sender: watch::Sender<Option<Progress>>,
) -> Result<BacktestFinished, WorkError> {
    let options = Options {
        clock: place.clock,
        calendar: place.config.calendar,
        fallback_account: place.config.fallback_account.clone(),
        from: 1,
        to: None,
        read_model: None,
    };
    let watch = watched(sender, stop.clone());
    let told = move |done: f64| watch(Progress { done, bars: 0, total: 0, pnl: Amount::ZERO });
    let found = find(Arc::clone(&place.tape), place.config.books.clone(), request).await?;
    let (comparison, end) = again(Arc::clone(&place.tape), options, found, told).await?;
    if let Some(session) = &comparison.session {
        let said = comparison.said();
        if comparison.differing > 0 {
            tracing::warn!(correlation_id = run_id, "parity of session {session}: {said}");
        }
        // The same attempt again makes the same event.
        let caller = Caller { actor, key: run_id.clone() };
        if let Err(error) = audit(&place.tape, &caller, "parity", session, &said).await {
            tracing::warn!(correlation_id = run_id, %error, "the parity of {session} is not in the audit: {error}");
        }
    }
    Ok(BacktestFinished { run_id, ..end })
}

/// What the statistics say was earned.
fn profit(end: &BacktestFinished) -> Amount {
    let statistics: serde_json::Value = serde_json::from_str(&end.statistics).unwrap_or_default();
    let profit = statistics.get("net_profit").and_then(serde_json::Value::as_f64).unwrap_or_default();
    format!("{profit:.2}").parse().unwrap_or_default()
}

/// Completes when a run is to end early.
async fn stopped(stop: &Stop) {
    while !stop.is_set() {
        tokio::time::sleep(TELL_EVERY).await;
    }
}

/// Tells how far an attempt is until nothing more comes: that it begins, before its market is read, and all that
/// follows.
async fn hints(
    tape: Tape,
    run_id: String,
    attempt: u32,
    mut progress: watch::Receiver<Option<Progress>>,
    began: Instant,
) {
    let begins = Progress { done: 0.0, bars: 0, total: 0, pnl: Amount::ZERO };
    tell(&tape, &run_id, attempt, &begins, 0.0).await;
    let mut told: Option<Progress> = None;
    loop {
        let more = progress.changed().await.is_ok();
        let now = *progress.borrow_and_update();
        if now != told
            && let Some(now) = now
        {
            tell(&tape, &run_id, attempt, &now, began.elapsed().as_secs_f64()).await;
        }
        told = now;
        if !more {
            return;
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
}

/// Appends an end where there is none.
async fn ended(tape: Tape, end: BacktestFinished) -> Result<(), ServiceError> {
    let (run_id, outcome) = (end.run_id.clone(), end.outcome());
    if finish(&tape, SERVICE, end).await? {
        let word = outcome.as_str_name().trim_start_matches("BACKTEST_OUTCOME_").to_lowercase();
        tracing::info!(correlation_id = run_id, "backtest {run_id} {word}");
    }
    Ok(())
}

/// Ends a run whose own program does not.
async fn abandoned(tape: Tape, end: BacktestFinished) -> Result<(), ServiceError> {
    tokio::time::sleep(GRACE).await;
    if has_ended(&tape, &end.run_id).await? {
        return Ok(());
    }
    let detail = format!("{}; its program did not answer", end.detail);
    ended(tape, BacktestFinished { detail, ..end }).await
}
