//! The world of a run: the services, who else takes part, and what moves time.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use contracts::{from_timestamp, stream};
use domain::calendar::Calendar;
use event_log::EventLog as _;
use ingest::clock::{ClockConfig, Speed};
use runtime::clock::VirtualClock as _;
use runtime::{Context, Health, clock};
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::exchange::Exchange;
use crate::executor::Executor;
use crate::fate::{Extra, Fault, Mask};
use crate::market::Market;
use crate::operator::Desk;
use crate::process::supervised;
use crate::run::Mode;
use crate::setup::has_shade;
use crate::tape::Tapes;
use crate::{feed, operator, outside};

/// Who takes part beside the services, and what they do.
#[derive(Clone, Copy, Debug)]
pub struct Others<'run> {
    pub seed: u64,
    /// Somebody gives commands.
    pub operator: bool,
    /// What is left out.
    pub mask: &'run Mask,
}

/// What stands around the services of a run.
pub struct World<'run> {
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
        let calendar = Calendar::xnys();
        let config =
            strategy::Config { accounts: accounts.clone(), read_model: read_model.clone(), calendar };
        self.service(executor, "strategy", move |context| strategy::run(context, config.clone()));
        let fallback_account = self.accounts[0].clone();
        let config = risk::Config { fallback_account, read_model: read_model.clone(), calendar };
        self.service(executor, "risk", move |context| risk::run(context, config.clone()));
        let brokers: Arc<dyn broker::Brokers> = match &self.exchange {
            Some(exchange) => Arc::new(exchange.clone()),
            None => Arc::new(broker::Simulated),
        };
        let config = execution::Config { accounts, read_model, brokers, calendar };
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
    pub fn others(&self, executor: &mut Executor, others: Others<'_>) {
        let Others { seed, operator, mask } = others;
        let groups = mask.holds(Extra::Groups);
        self.service(executor, "wild", move |context| {
            outside::run(context.tape, seed, groups, context.shutdown)
        });
        if operator {
            self.operators(executor, seed, mask);
        }
    }

    /// Everything that the operator does: each extra by itself, as if somebody else did it.
    fn operators(&self, executor: &mut Executor, seed: u64, mask: &Mask) {
        let desk = Desk {
            tape: self.tapes.of("operator"),
            database: self.database.clone(),
            clock: self.mode.clock(),
            seed,
            shutdown: CancellationToken::new(),
        };
        executor.spawn(operator::run(desk.clone(), mask.holds(Extra::Fates)));
        if mask.holds(Extra::Terms) {
            executor.spawn(operator::ask_for_terms(desk.clone()));
        }
        if mask.holds(Extra::Limits) {
            executor.spawn(operator::change_limits(desk.clone()));
        }
        if has_shade(seed, mask) {
            executor.spawn(operator::switch_modes(desk.clone()));
        }
        if mask.holds(Extra::ByHand) {
            executor.spawn(operator::place_orders(desk.clone()));
        }
        if mask.holds(Extra::Scopes) {
            executor.spawn(operator::stop_scopes(desk.clone()));
        }
        if mask.holds(Extra::Parts) {
            executor.spawn(operator::trade_parts(desk));
        }
    }

    /// Whatever moves time.
    pub fn time(&self, executor: &mut Executor, market: Market, first_ns: i64, over: &Rc<Cell<bool>>) {
        let accounts = self.accounts.clone();
        let (over, fate) = (Rc::clone(over), self.tapes.fate.clone());
        if self.mode == Mode::Tape {
            let tape = self.tapes.of("ingest");
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
                    let newest = tape.last(stream::MARKET, "market.>").await.ok().flatten();
                    let market = newest.as_ref().map_or(0, |newest| newest.sequence);
                    let time = newest.and_then(|newest| from_timestamp(newest.event.event_time.as_ref()?));
                    let hint = format!(
                        "{{\"instant_ns\":{},\"trading_sequence\":{last},\"market_sequence\":{market}}}",
                        time.unwrap_or_default()
                    );
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
                    // Somebody notices and sets it right.
                    clock::sleep(fate.while_ms(600_000)).await;
                    timeline.step_wall(-by * 1_000_000);
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
