//! The executor: one thread, virtual time, and every choice from the seed.
//!
//! Whoever is ready is polled in a random order; when nobody is, time jumps to the next thing that somebody
//! waits for. Nothing here is the machine's: two runs of a seed are the same to the last poll.
//!
//! Deliberately absent: tokio's runtime (only its channels are used), threads.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use runtime::clock::VirtualClock;
use tokio::time::Instant;

/// Virtual time and who waits for it.
pub struct Timeline {
    base: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: Duration,
    /// The wall clock at the beginning, and by how much it has been stepped since.
    wall_ns: i64,
    ready: BTreeSet<usize>,
    timers: BTreeMap<(Duration, u64), Waker>,
    timers_made: u64,
}

impl Timeline {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Duration {
        self.lock().now
    }

    /// Sets the wall clock by this much.
    pub fn step_wall(&self, by_ns: i64) {
        self.lock().wall_ns += by_ns;
    }
}

impl VirtualClock for Timeline {
    fn now(&self) -> Instant {
        self.base + self.elapsed()
    }

    fn now_ns(&self) -> i64 {
        let state = self.lock();
        state.wall_ns + i64::try_from(state.now.as_nanos()).unwrap_or(i64::MAX)
    }

    fn wake_at(&self, deadline: Instant, waker: &Waker) {
        let at = deadline.saturating_duration_since(self.base);
        let mut state = self.lock();
        // Whoever waits asks at each poll.
        let last = state.timers.range((at, 0)..=(at, u64::MAX)).next_back();
        if last.is_some_and(|(_, known)| known.will_wake(waker)) {
            return;
        }
        state.timers_made += 1;
        let key = (at, state.timers_made);
        state.timers.insert(key, waker.clone());
    }
}

struct TaskWaker {
    task: usize,
    timeline: Arc<Timeline>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.timeline.lock().ready.insert(self.task);
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Runs tasks to the end of a run.
pub struct Executor {
    timeline: Arc<Timeline>,
    rng: ChaCha8Rng,
    tasks: Vec<(Option<Task>, Waker)>,
    polls: u64,
}

/// What happened since the observer was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This task was polled.
    Polled(usize),
    /// Nobody can go on without time passing.
    Quiet,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The observer said so.
    Stopped,
    /// Nobody waits for anything any more.
    Idle,
    /// Polls were used up.
    Exhausted,
}

impl Executor {
    /// An executor whose wall clock stands at `wall_ns`.
    pub fn new(seed: u64, wall_ns: i64) -> Self {
        let state = Mutex::new(State { wall_ns, ..State::default() });
        let timeline = Arc::new(Timeline { base: Instant::from_std(std::time::Instant::now()), state });
        Self { timeline, rng: ChaCha8Rng::seed_from_u64(seed), tasks: Vec::new(), polls: 0 }
    }

    /// The virtual clock.
    pub fn timeline(&self) -> Arc<Timeline> {
        Arc::clone(&self.timeline)
    }

    /// Number of polls so far.
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// Adds a task.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'static) -> usize {
        let id = self.tasks.len();
        let waker = Waker::from(Arc::new(TaskWaker { task: id, timeline: self.timeline() }));
        self.tasks.push((Some(Box::pin(task)), waker));
        self.timeline.lock().ready.insert(id);
        id
    }

    /// Runs until `observe` stops it, at most `polls_max` polls.
    pub fn run(&mut self, polls_max: u64, mut observe: impl FnMut(Step) -> ControlFlow<()>) -> Ended {
        loop {
            while let Some(task) = self.next_ready() {
                if self.polls >= polls_max {
                    return Ended::Exhausted;
                }
                self.poll(task);
                if observe(Step::Polled(task)).is_break() {
                    return Ended::Stopped;
                }
            }
            if observe(Step::Quiet).is_break() {
                return Ended::Stopped;
            }
            if !self.advance() {
                return Ended::Idle;
            }
        }
    }

    fn next_ready(&mut self) -> Option<usize> {
        let mut state = self.timeline.lock();
        let task = match state.ready.len() {
            0 => return None,
            1 => state.ready.first().copied()?,
            count => *state.ready.iter().nth(self.rng.random_range(0..count))?,
        };
        state.ready.remove(&task);
        Some(task)
    }

    fn poll(&mut self, task: usize) {
        self.polls += 1;
        let (future, waker) = &mut self.tasks[task];
        let Some(running) = future else { return };
        if let Poll::Ready(()) = running.as_mut().poll(&mut Context::from_waker(waker)) {
            *future = None;
        }
    }

    /// Lets time pass until somebody is ready; false when nobody ever will be.
    fn advance(&mut self) -> bool {
        loop {
            let mut state = self.timeline.lock();
            if !state.ready.is_empty() {
                return true;
            }
            let Some(((at, _), waker)) = state.timers.pop_first() else { return false };
            state.now = state.now.max(at);
            let mut wakers = vec![waker];
            while let Some(entry) = state.timers.first_entry().filter(|entry| entry.key().0 <= at) {
                wakers.push(entry.remove());
            }
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

/// Lets everybody else go first, once.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What a future answers that never has to wait.
pub fn at_once<Output>(future: impl Future<Output = Output>) -> Option<Output> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
