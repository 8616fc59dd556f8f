//! One run of one seed: the services over the faulty tape, until the market is over and everything has settled.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::stream;
use domain::bar::Timeframe;
use domain::invariant::{Invariant, Violation};
use event_log::{Clock, MemoryLog, Recorded};
use ingest::source::SimulatedError;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use runtime::clock::VirtualClock as _;
use runtime::{ClockMode, clock};

use crate::batch::{EVENTS_MIN, ORDERS_MIN};
use crate::check::Checker;
use crate::database::Database;
use crate::exchange::{Abilities, Exchange};
use crate::executor::{Executor, Step, Timeline};
use crate::fate::{Extra, Fate, Fault, Mask};
use crate::market::{Market, Shape};
use crate::seen::Seen;
use crate::setup::{self, ACCOUNTS};
use crate::stages::Transition;
use crate::tape::Tapes;
use crate::world::{Others, World};

/// Instants after which a market is over, whatever came of it.
const INSTANTS_MAX: usize = 300;
/// Instants that a market has beside the others where limits are measured: returns enough to measure anything.
const INSTANTS_MEASURED: usize = 30;
/// Polls after which a run is given up.
const POLLS_MAX: u64 = 3_000_000;
/// Virtual time after which the market should be over, by the market's own.
const MARKET_MAX: Duration = Duration::from_secs(4 * 3_600);
/// Virtual time after the faults in which everything has to settle, and the least that it is given: a broker
/// outside is asked once a minute.
const SETTLE_MAX: Duration = Duration::from_secs(1_200);
const SETTLE_MIN: Duration = Duration::from_secs(70);

/// What moves time, and whose market it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The tape clock and the simulated broker, as in a rehearsal.
    Tape,
    /// The wall clock and the simulated broker, as on paper.
    Paper,
    /// The wall clock and a broker outside.
    Exchange,
}

impl Mode {
    /// That of a seed.
    pub fn of(seed: u64) -> Self {
        [Self::Tape, Self::Exchange, Self::Paper][usize::try_from(seed % 3).unwrap_or_default()]
    }

    pub(crate) fn clock(self) -> ClockMode {
        if self == Self::Tape { ClockMode::Tape } else { ClockMode::Wall }
    }
}

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seed of everything.
    pub seed: u64,
    /// Nothing goes wrong, and nobody interferes.
    pub calm: bool,
    /// What is left out.
    pub mask: Mask,
    /// Keep the trace.
    pub trace: bool,
}

impl Settings {
    /// A whole run of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, calm: false, mask: Mask::default(), trace: false }
    }

    /// What goes wrong in it.
    pub fn fate(&self) -> Fate {
        Fate::new(self.seed, self.calm, self.mask.clone(), self.trace)
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What does not hold, where anything does not.
    pub violation: Option<Violation>,
    /// Events on MARKET and TRADING.
    pub events: u64,
    /// Orders submitted.
    pub orders: usize,
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each stage of an order followed another.
    pub transitions: BTreeMap<Transition, u64>,
    /// How often everything else happened that is counted.
    pub seen: BTreeMap<Seen, u64>,
    /// Faults that would have happened, masked ones included.
    pub happened: u64,
    /// The trace, where it was asked for, and its hash.
    pub trace: Vec<String>,
    /// Hash of the trace.
    pub hash: String,
    /// TRADING, where the trace was asked for; what is no event is left out.
    pub tape: Vec<Recorded>,
    /// Polls of services.
    pub polls: u64,
    /// Virtual time.
    pub elapsed: Duration,
}

impl Outcome {
    /// What is known of a run that broke off.
    pub fn broken_off(fate: &Fate) -> Self {
        let (trace, hash) = fate.trace();
        Self { faults: fate.counts(), happened: fate.happened(), trace, hash, ..Self::default() }
    }
}

/// Runs a seed.
pub fn run(settings: &Settings) -> Result<Outcome, SimulatedError> {
    run_with(settings, &settings.fate())
}

/// Runs a seed with its `fate`, which still has the trace when the run breaks off.
pub fn run_with(settings: &Settings, fate: &Fate) -> Result<Outcome, SimulatedError> {
    let (seed, mask) = (settings.seed, &settings.mask);
    let mode = Mode::of(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let market = market(settings, mode, &mut rng, fate)?;
    let first_ns = market.instants().first().map_or(0, |instant| instant.ns);
    let mut executor = Executor::new(seed, first_ns - 60_000_000_000);
    let timeline = executor.timeline();
    clock::set_virtual(Some(timeline.clone()));
    let stamp = timeline.clone();
    let log = MemoryLog::with_clock(Clock::new(move || stamp.now_ns()));
    let tapes = Tapes::new(log, fate.clone());
    let database = Database::new(fate.clone());
    let exchange = (mode == Mode::Exchange).then(|| Exchange::new(fate.clone(), Abilities::of(seed, mask)));
    let broker = if exchange.is_some() { crate::exchange::NAME } else { "simulated" };
    let wild = !mask.quiet;
    // On the wall clock the simulated broker may give a bar's volume twice to who is killed (docs/orders.md).
    let shares = mode != Mode::Paper;
    let plan = setup::Plan { at_ns: first_ns - 3_600_000_000_000, seed, broker, wild, shares, mask };
    let costs = setup::write(&tapes.log, &mut rng, &plan);
    if let Some(exchange) = &exchange {
        for (account, costs) in costs.unwrap_or_default() {
            exchange.set_costs(&account, costs);
        }
    }
    let world = World {
        mode,
        accounts: ACCOUNTS.map(str::to_owned).to_vec(),
        tapes: &tapes,
        database: &database,
        exchange: exchange.clone(),
    };
    let (over, enough) = (Rc::new(Cell::new(false)), market.enough());
    world.services(&mut executor);
    if wild {
        world.others(&mut executor, Others { seed, operator: !settings.calm, mask });
    }
    world.time(&mut executor, market, first_ns, &over);
    let mut checker = Checker::new(&tapes, &database, exchange);
    let ends = Ends { over: &over, enough: &enough, midway: midway(seed, mask) };
    let violation = watch(&mut executor, &mut checker, fate, mode, ends);
    let (polls, elapsed) = (executor.polls(), timeline.elapsed());
    drop(executor);
    clock::set_virtual(None);
    fate.note(|| format!("end {polls} {elapsed:?} {violation:?}"));
    let (trace, hash) = fate.trace();
    let tape = if settings.trace { checker.recorded() } else { Vec::new() };
    Ok(Outcome {
        violation,
        events: checker.head(stream::MARKET) + checker.head(stream::TRADING),
        orders: checker.orders(),
        faults: fate.counts(),
        transitions: checker.counter.transitions,
        seen: checker.counter.seen,
        happened: fate.happened(),
        trace,
        hash,
        tape,
        polls,
        elapsed,
    })
}

/// The number of events at which a seed is replayed in the middle; none in most of them.
fn midway(seed: u64, mask: &Mask) -> Option<u64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x1d_0a11);
    let is_one = rng.random_range(0..8) == 0;
    let at = rng.random_range(EVENTS_MIN / 5..EVENTS_MIN);
    (is_one && mask.holds(Extra::Midway)).then_some(at)
}

fn market(
    settings: &Settings,
    mode: Mode,
    rng: &mut ChaCha8Rng,
    fate: &Fate,
) -> Result<Market, SimulatedError> {
    let more = if setup::is_measured(settings.seed, &settings.mask) { INSTANTS_MEASURED } else { 0 };
    let shape = Shape {
        seed: settings.seed,
        skip: if mode == Mode::Tape { 0 } else { rng.random_range(0..60) },
        instants: settings.mask.instants.unwrap_or(INSTANTS_MAX),
        least: rng.random_range(20..30) + more,
        symbols: 5,
        timeframe: if mode == Mode::Tape { Timeframe::H1 } else { Timeframe::M5 },
        actions: mode != Mode::Exchange && !settings.calm,
        splits: mode != Mode::Exchange,
    };
    Market::generate(&shape, rng, fate)
}

/// What a run comes to, and when it is looked at as a whole.
struct Ends<'run> {
    /// The market is over.
    over: &'run Cell<bool>,
    /// There are events and orders enough.
    enough: &'run AtomicBool,
    /// The number of events at which it is replayed.
    midway: Option<u64>,
}

/// Runs until everything has settled or something does not hold.
fn watch(
    executor: &mut Executor,
    checker: &mut Checker,
    fate: &Fate,
    mode: Mode,
    ends: Ends<'_>,
) -> Option<Violation> {
    let Ends { over, enough, mut midway } = ends;
    let timeline = executor.timeline();
    let mut healed_at = None;
    let mut found = None;
    let ended = executor.run(POLLS_MAX, |step| {
        found = checker.step();
        if !enough.load(Ordering::Relaxed) && checker.orders() >= ORDERS_MIN && checker.events() >= EVENTS_MIN
        {
            enough.store(true, Ordering::Relaxed);
        }
        if found.is_none() && step == Step::Quiet {
            found = checker.quiet(timeline.elapsed()).or_else(|| late(checker, &timeline, mode, healed_at));
            if found.is_none() && midway.take_if(|at| checker.events() >= *at).is_some() {
                found = checker.midway(mode.clock());
            }
            if found.is_none() && over.get() && healed_at.is_none() {
                fate.heal();
                healed_at = Some(timeline.elapsed());
            }
            let since = healed_at.map(|at: Duration| timeline.elapsed().saturating_sub(at));
            if found.is_none()
                && since.is_some_and(|since| since >= SETTLE_MIN)
                && checker.unsettled().is_none()
            {
                found = checker.settled(mode.clock());
                return ControlFlow::Break(());
            }
        }
        if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if found.is_some() || ended == crate::executor::Ended::Stopped {
        return found;
    }
    let Some(why) = checker.unsettled() else { return checker.settled(mode.clock()) };
    Some(Violation::new(Invariant::OrdersEnd, checker.book().sequence(), format!("{ended:?}: {why}")))
}

/// What takes too long.
fn late(
    checker: &Checker,
    timeline: &Timeline,
    mode: Mode,
    healed_at: Option<Duration>,
) -> Option<Violation> {
    let now = timeline.elapsed();
    let detail = match healed_at {
        Some(at) if now.saturating_sub(at) > SETTLE_MAX => {
            format!("nothing goes wrong any more, and still: {}", checker.unsettled()?)
        }
        None if mode == Mode::Tape && now > MARKET_MAX => "the tape clock does not get on".to_owned(),
        _ => return None,
    };
    Some(Violation::new(Invariant::OrdersEnd, checker.book().sequence(), detail))
}
