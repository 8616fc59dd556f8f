//! One run of one seed: the services over the faulty tape, until the market is over and everything has settled.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contracts::stream;
use domain::bar::Timeframe;
use domain::invariant::{Invariant, Violation};
use event_log::{Clock, EventLog as _, MemoryLog, Recorded, Tape};
use ingest::clock::{ClockConfig, Speed};
use ingest::source::SimulatedError;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use runtime::clock::VirtualClock as _;
use runtime::{ClockMode, Context, Health, clock};
use tokio_util::sync::CancellationToken;

use crate::batch::{EVENTS_MIN, ORDERS_MIN};
use crate::check::{Checker, Transition};
use crate::database::Database;
use crate::exchange::Exchange;
use crate::executor::{Executor, Step, Timeline};
use crate::fate::{Fate, Fault, Mask};
use crate::feed;
use crate::market::{Market, Shape};
use crate::setup::{self, ACCOUNTS};
use crate::tape::{Tapes, supervised};
use crate::{operator, outside};

/// Instants after which a market is over, whatever came of it.
const INSTANTS_MAX: usize = 220;
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

    fn clock(self) -> ClockMode {
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
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What does not hold, where anything does not.
    pub violation: Option<Violation>,
    /// Events on MARKET and TRADING.
    pub events: u64,
    /// Orders submitted.
    pub orders: usize,
    /// How often each fault happened.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each status followed another.
    pub transitions: BTreeMap<Transition, u64>,
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

/// Runs a seed.
pub fn run(settings: &Settings) -> Result<Outcome, SimulatedError> {
    let seed = settings.seed;
    let mode = Mode::of(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let fate = Fate::new(seed, settings.calm, settings.mask.clone(), settings.trace);
    let market = market(settings, mode, &mut rng, &fate)?;
    let first_ns = market.instants().first().map_or(0, |instant| instant.ns);
    let mut executor = Executor::new(seed, first_ns - 60_000_000_000);
    let timeline = executor.timeline();
    clock::set_virtual(Some(timeline.clone()));
    let stamp = timeline.clone();
    let log = MemoryLog::with_clock(Clock::new(move || stamp.now_ns()));
    let tapes = Tapes::new(log, fate.clone());
    let database = Database::new(fate.clone());
    let exchange = (mode == Mode::Exchange).then(|| Exchange::new(fate.clone()));
    let broker = if exchange.is_some() { crate::exchange::NAME } else { "simulated" };
    let wild = !settings.mask.quiet;
    let costs = setup::write(&tapes.log, &mut rng, broker, first_ns - 3_600_000_000_000, wild);
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
        world.others(&mut executor, seed, !settings.calm);
    }
    world.time(&mut executor, market, first_ns, &over);
    let mut checker = Checker::new(&tapes, &database, exchange);
    let violation = watch(&mut executor, &mut checker, &fate, mode, &over, &enough);
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
        transitions: checker.transitions,
        happened: fate.happened(),
        trace,
        hash,
        tape,
        polls,
        elapsed,
    })
}

fn market(
    settings: &Settings,
    mode: Mode,
    rng: &mut ChaCha8Rng,
    fate: &Fate,
) -> Result<Market, SimulatedError> {
    let shape = Shape {
        seed: settings.seed,
        skip: if mode == Mode::Tape { 0 } else { rng.random_range(0..60) },
        instants: settings.mask.instants.unwrap_or(INSTANTS_MAX),
        least: rng.random_range(20..30),
        symbols: 5,
        timeframe: if mode == Mode::Tape { Timeframe::H1 } else { Timeframe::M5 },
        actions: mode != Mode::Exchange && !settings.calm,
    };
    Market::generate(&shape, rng, fate)
}

/// Runs until everything has settled or something does not hold.
fn watch(
    executor: &mut Executor,
    checker: &mut Checker,
    fate: &Fate,
    mode: Mode,
    over: &Rc<Cell<bool>>,
    enough: &AtomicBool,
) -> Option<Violation> {
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
            found = checker.quiet().or_else(|| late(checker, &timeline, mode, healed_at));
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

/// What stands around the services of a run.
pub(crate) struct World<'run> {
    pub mode: Mode,
    pub accounts: Vec<String>,
    pub tapes: &'run Tapes,
    pub database: &'run Database,
    pub exchange: Option<Exchange>,
}

impl World<'_> {
    fn context(&self, whom: &str) -> Context {
        Context {
            tape: self.tapes.of(whom),
            clock: self.mode.clock(),
            health: Health::default(),
            shutdown: CancellationToken::new(),
        }
    }

    /// The services and the projectors.
    pub fn services(&self, executor: &mut Executor) {
        let accounts = self.accounts.clone();
        let read_model = Arc::new(self.database.clone());
        let config = strategy::Config { accounts: accounts.clone(), read_model: read_model.clone() };
        self.service(executor, "strategy", move |context| strategy::run(context, config.clone()));
        let config =
            risk::Config { fallback_account: self.accounts[0].clone(), read_model: read_model.clone() };
        self.service(executor, "risk", move |context| risk::run(context, config.clone()));
        let brokers: Arc<dyn broker::Brokers> = match &self.exchange {
            Some(exchange) => Arc::new(exchange.clone()),
            None => Arc::new(broker::Simulated),
        };
        let config = execution::Config { accounts, read_model, brokers };
        self.service(executor, "execution", move |context| execution::run(context, config.clone()));
        let database = self.database.clone();
        self.service(executor, "projector", move |context| {
            let database = database.clone();
            async move { database.project_trading(context.tape).await }
        });
        let database = self.database.clone();
        self.service(executor, "bars", move |context| {
            let database = database.clone();
            async move { database.project_market(context.tape).await }
        });
    }

    /// The wild strategy and the operator.
    fn others(&self, executor: &mut Executor, seed: u64, operator: bool) {
        self.service(executor, "wild", move |context| outside::run(context.tape, seed, context.shutdown));
        if operator {
            let tape: Tape = self.tapes.of("operator");
            let database = self.database.clone();
            executor.spawn(operator::run(tape, database, seed, CancellationToken::new()));
        }
    }

    /// Whatever moves time.
    pub fn time(&self, executor: &mut Executor, market: Market, first_ns: i64, over: &Rc<Cell<bool>>) {
        let accounts = self.accounts.clone();
        let (over, fate) = (Rc::clone(over), self.tapes.fate.clone());
        if self.mode == Mode::Tape {
            let (tape, last_ns) =
                (self.tapes.of("ingest"), market.instants().last().map_or(0, |last| last.ns));
            let config = ClockConfig { accounts, consumers: vec!["strategy".into()] };
            let make = make(self.context("ingest"), move |context| {
                let (mut market, config) = (market.clone(), config.clone());
                async move {
                    let (_handle, control) = ingest::clock::control(Speed::Max);
                    ingest::clock::run(&context, &mut market, &config, control).await
                }
            });
            executor.spawn(async move {
                let make = make;
                supervised("ingest", fate, CancellationToken::new(), || {
                    let running = make();
                    async { running.await.map(drop) }
                })
                .await;
                over.set(true);
                // Signals that came when the last instant was over wait for the next one, which is this.
                loop {
                    let last = tape.last_sequence(stream::TRADING, "signal.>").await.unwrap_or_default();
                    let hint = format!("{{\"instant_ns\":{last_ns},\"signal_sequence\":{last}}}");
                    let _lost = tape.hint("clock.decide", hint.into_bytes()).await;
                    clock::sleep(Duration::from_secs(5)).await;
                }
            });
            return;
        }
        let (tape, exchange, timeline) = (self.tapes.of("feed"), self.exchange.clone(), executor.timeline());
        let (start, calendar) = (timeline.now(), executor.timeline());
        executor.spawn(async move {
            feed::run(tape, market, exchange, &calendar, start, first_ns - 60_000_000_000).await;
            over.set(true);
        });
        let timeline = executor.timeline();
        executor.spawn(async move {
            while !fate.is_healed() {
                clock::sleep(Duration::from_secs(30)).await;
                if fate.strikes(Fault::ClockStep, "wall") {
                    let by = i64::try_from(fate.below(1_200_000)).unwrap_or_default() - 600_000;
                    timeline.step_wall(by * 1_000_000);
                }
            }
        });
    }

    /// A service, killed and started again as fate says, and sometimes a second instance of it.
    fn service<Running, Error>(
        &self,
        executor: &mut Executor,
        name: &'static str,
        run: impl Fn(Context) -> Running + Clone + 'static,
    ) where
        Running: Future<Output = Result<(), Error>> + 'static,
        Error: std::fmt::Display + 'static,
    {
        let fate = self.tapes.fate.clone();
        if fate.strikes(Fault::Twins, name) {
            let (twin, delay) = (make(self.context(name), run.clone()), fate.while_ms(60_000));
            let life = fate.while_ms(30_000);
            executor.spawn(async move {
                clock::sleep(delay).await;
                let _ended = clock::timeout(life, twin()).await;
            });
        }
        let make = make(self.context(name), run);
        executor.spawn(supervised(name, fate, CancellationToken::new(), make));
    }
}

/// Makes a service of a context of its own each time.
fn make<Running>(context: Context, run: impl Fn(Context) -> Running) -> impl Fn() -> Running {
    move || run(Context { health: Health::default(), shutdown: CancellationToken::new(), ..context.clone() })
}
