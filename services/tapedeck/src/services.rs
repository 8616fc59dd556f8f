//! Wiring: every service of this process, given what it needs, started, watched, drained.
//!
//! A service that ends with an error is started again with a growing pause; its state is the tape's, so
//! starting again is always right. One that keeps failing is shown as degraded and named.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use contracts::v1::TradingMode;
use event_log::{Introduced, Tape};
use ingest::clock::{ClockConfig, ClockError, ClockHandle, FinishReason, Finished, Speed};
use ingest::file::ReadOptions;
use ingest::import::{ImportReport, latest_close_ns};
use ingest::source::{Loaded, Range, RecordedConfig, SimulatedConfig};
use ingest::{IngestConfig, IngestError, SourceConfig};
use runtime::{Alerts, ClockMode, Context, Health, HealthState, Heartbeats};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::access::ServerAccess;
use crate::cli::Service;
use crate::command::import::{bar_format, read_options};
use crate::dashboard_port;
use crate::exit::Failure;
use crate::home::{Manifest, TapeKind};
use crate::probe::Answers;
use crate::session::{Session, random_hex};
use crate::source::Breakers;
use crate::telemetry;
use crate::terms::{Dashboard, Terms};
use crate::trading::Trading;

/// Pauses between two starts of a failing service.
const RESTART_PAUSE_MIN: Duration = Duration::from_millis(200);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);
/// After this long without failing, a service counts as well again.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// Time between two heartbeats of a service.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// Time that services get to finish what they hold.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Events by which a projection may be behind while the process still counts as ready.
const READY_LAG_EVENTS_MAX: u64 = 1_000;
/// Time without progress after which a page calls its data stale.
const STALE_AFTER: Duration = Duration::from_secs(5);

/// The services of this process.
pub struct Services {
    /// The tape clock, when `ingest` is among them and the tape has one.
    pub clock: Option<ClockHandle>,
    /// The dashboard, when `web` is among them.
    pub dashboard: Option<String>,
    /// Completes when the source has ended.
    pub finished: Option<oneshot::Receiver<Result<Finished, Failure>>>,
    /// Completes after that, when what looks wrong with the source's files is on the tape.
    pub examined: Option<oneshot::Receiver<Result<ImportReport, Failure>>>,
    /// Where metrics are served besides the dashboard.
    pub metrics: Option<SocketAddr>,
    /// Whether orders of any account move money.
    pub with_money: bool,
    introduced: Vec<Introduced>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    /// Puts log lines on the tape until the others have ended.
    logging: Option<(CancellationToken, JoinHandle<()>)>,
}

/// Starts the services of `terms` on the session's tape. `loaded` is what its files hold, where they are loaded already.
pub async fn start(session: &Session, terms: &Terms, loaded: Option<Loaded>) -> Result<Services, Failure> {
    session.jetstream.observe(runtime::telemetry::observer());
    let shutdown = CancellationToken::new();
    let context = Context {
        tape: session.tape.clone(),
        clock: clock_mode(&session.manifest),
        health: Health::watching(Arc::new(Breakers)),
        shutdown: shutdown.clone(),
    };
    let mut services = Services {
        clock: None,
        dashboard: None,
        finished: None,
        examined: None,
        metrics: None,
        with_money: false,
        introduced: Vec::new(),
        shutdown,
        tasks: JoinSet::new(),
        logging: None,
    };
    if let Err(failure) = Box::pin(begin(&mut services, session, &context, terms, loaded)).await {
        // Those that run already end before their servers do.
        services.drain().await;
        return Err(failure);
    }
    Ok(services)
}

async fn begin(
    services: &mut Services,
    session: &Session,
    context: &Context,
    terms: &Terms,
    loaded: Option<Loaded>,
) -> Result<(), Failure> {
    let wanted = &terms.services;
    let trades = wanted.contains(&Service::Execution);
    let trading = if trades { Trading::of(session, terms).await? } else { Trading::nowhere() };
    services.with_money = trading.is_live();
    services.watched(session, context, terms).await?;
    let accounts: Vec<String> = session.config.account.keys().cloned().collect();
    let calendar = session.manifest.market()?.calendar();
    if wanted.contains(&Service::Projector) {
        let context = own(session, context, Service::Projector).await?;
        services.projector(session, &context).await?;
    }
    if wanted.contains(&Service::Execution) {
        let config = execution::Config {
            accounts: accounts.clone(),
            read_model: Arc::new(execution::PostgresReadModel::new(session.separate_reader().await?)),
            brokers: Arc::new(trading.clone()),
            calendar,
        };
        let context = own(session, context, Service::Execution).await?;
        services.keep(&context, "execution", move |context| execution::run(context, config.clone()));
    }
    if wanted.contains(&Service::Strategy) {
        let config = strategy::Config {
            accounts: accounts.clone(),
            read_model: Arc::new(strategy::PostgresReadModel::new(session.separate_reader().await?)),
            calendar,
        };
        let context = own(session, context, Service::Strategy).await?;
        services.keep(&context, "strategy", move |context| strategy::run(context, config.clone()));
    }
    if wanted.contains(&Service::Risk) {
        let config = risk::Config {
            fallback_account: accounts.first().cloned().unwrap_or_default(),
            read_model: Arc::new(risk::PostgresReadModel::new(session.separate_reader().await?)),
            calendar,
        };
        let read_model = Arc::clone(&config.read_model);
        let context = own(session, context, Service::Risk).await?;
        services.keep(&context, "risk", move |context| risk::run(context, config.clone()));
        services.keep(&context, risk::monitor::SERVICE, move |context| {
            risk::monitor::run(context, Arc::clone(&read_model), calendar)
        });
    }
    if wanted.contains(&Service::Backtest) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Live services come first: half of the cores at most, and a single run takes one.
        let threads = (cores / 2).max(1);
        let config = backtest::Config {
            at_once: threads,
            threads,
            code_version: crate::CODE_VERSION.to_owned(),
            fallback_account: accounts.first().cloned().unwrap_or_default(),
            calendar: calendar.market(),
            segments: crate::command::history::dir_of(&session.dir.path),
            books: Some(session.dir.books()),
        };
        let context = own(session, context, Service::Backtest).await?;
        services.keep(&context, backtest::SERVICE, move |context| backtest::run(context, config.clone()));
    }
    if wanted.contains(&Service::Checker) {
        let pool = session.separate_reader().await?;
        let context = own(session, context, Service::Checker).await?;
        let (config, manifest) = (session.config.clone(), session.manifest.clone());
        services.keep(&context, crate::checker::SERVICE, move |context| {
            let clients = crate::trading::clients(&config, &manifest);
            crate::checker::run(context, pool.clone(), calendar, clients)
        });
    }
    if let Some(dashboard) = &terms.dashboard {
        let context = own(session, context, Service::Web).await?;
        services.web(session, &context, terms, dashboard).await?;
    }
    let instance: String = random_hex()?.chars().take(16).collect();
    if wanted.contains(&Service::Ingest) {
        let context = own(session, context, Service::Ingest).await?;
        services.tasks.spawn(runtime::command::parked::serve(context.clone()));
        // A tape that a backtest was written to has nothing left to play.
        let plays = session.manifest.kind == TapeKind::Demo || !session.manifest.bars.is_empty();
        if context.clock == ClockMode::Tape && plays {
            services.ingest(session, &context, accounts, loaded)?;
        }
        services.follow_vendors(session, &context, terms, &instance);
    }
    let (log, tape) = (&session.jetstream, &session.dir.name);
    services.introduced =
        telemetry::introduce(log, wanted.iter().copied(), tape, &instance, &context.health).await;
    services.logging = keep_log(&session.tape, &instance);
    if wanted.contains(&Service::Checker) {
        let context = own(session, context, Service::Checker).await?;
        services.tasks.spawn(crate::refused::run(context, instance.clone()));
    }
    let (alerts, tape) = (Alerts::new(instance.clone()), session.tape.clone());
    services.tasks.spawn(alerts.of_breakers(tape, context.health.clone(), context.shutdown.clone()));
    let beats = Heartbeats { instance, version: env!("CARGO_PKG_VERSION").to_owned(), every: HEARTBEAT };
    let tape = session.tape.clone();
    services.tasks.spawn(beats.run(tape, context.health.clone(), context.shutdown.clone()));
    Ok(())
}

/// The surroundings of one service: it speaks to the tape as a user of its own, who may do what is its own.
async fn own(session: &Session, context: &Context, service: Service) -> Result<Context, Failure> {
    let log = session.log_of(service.name()).await?;
    log.observe(runtime::telemetry::observer());
    // What the services of one process follow is delivered to it once.
    log.share(session.jetstream.shared());
    Ok(Context { tape: Arc::new(log), ..context.clone() })
}

/// Puts this process's log lines on the tape, where that is wanted.
fn keep_log(tape: &Tape, instance: &str) -> Option<(CancellationToken, JoinHandle<()>)> {
    let publisher = runtime::telemetry::take_publisher()?;
    let (tape, run, stop) = (Arc::clone(tape), instance.to_owned(), CancellationToken::new());
    let until = stop.clone();
    Some((stop, tokio::spawn(async move { publisher.run(&tape, &run, &until).await })))
}

impl Services {
    /// Asks every service to finish what it holds, and waits for them.
    pub async fn drain(mut self) {
        for service in std::mem::take(&mut self.introduced) {
            service.leave().await;
        }
        self.shutdown.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, all).await.is_err() {
            tracing::warn!("some services did not finish within {DRAIN_MAX:?}; their state is on the tape");
        }
        if let Some((stop, logging)) = self.logging.take() {
            stop.cancel();
            // It ends by itself within bounded time.
            drop(logging.await);
        }
    }

    /// Serves the metrics where an address is given for them, and keeps the gauges up to date.
    async fn watched(&mut self, session: &Session, context: &Context, terms: &Terms) -> Result<(), Failure> {
        let (health, shutdown) = (context.health.clone(), context.shutdown.clone());
        if let Some(bind) = terms.metrics {
            let failed = |error: web::WebError| Failure::config(error.to_string());
            let server = web::Operations::bind(bind).await.map_err(failed)?;
            self.metrics = Some(server.address());
            self.tasks.spawn(server.serve(health.clone(), shutdown.clone()));
        }
        // Whoever folds or shows the read models also tells how far they are behind.
        let reads = [Service::Projector, Service::Web].iter().any(|service| terms.services.contains(service));
        let pool = if reads { Some(session.separate_reader().await?) } else { None };
        let gauges = telemetry::Gauges { tape: session.tape.clone(), pool, health };
        self.tasks.spawn(gauges.run(shutdown));
        Ok(())
    }

    /// Runs a service and starts it again when it fails.
    fn keep<F, E>(
        &mut self,
        context: &Context,
        name: &'static str,
        run: impl Fn(Context) -> F + Send + 'static,
    ) where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: std::fmt::Display + Send + 'static,
    {
        let context = context.clone();
        self.tasks.spawn(async move {
            let mut pause = RESTART_PAUSE_MIN;
            loop {
                let started = tokio::time::Instant::now();
                // A task of its own, so that a panic is a failure of this service alone.
                let outcome = tokio::spawn(run(context.clone())).await;
                let problem = match outcome {
                    _ if context.shutdown.is_cancelled() => return,
                    Ok(Ok(())) => "ended by itself".to_owned(),
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => format!("panicked: {error}"),
                };
                tracing::error!(service = name, "{name} failed, starting it again: {problem}");
                context.health.set(name, HealthState::Degraded, format!("restarting: {problem}"));
                if started.elapsed() > WELL_AFTER {
                    pause = RESTART_PAUSE_MIN;
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = context.shutdown.cancelled() => return,
                }
                pause = (pause * 2).min(RESTART_PAUSE_MAX);
            }
        });
    }

    /// Runs what vendors tell by themselves: minutes and news, where they are followed.
    fn follow_vendors(&mut self, session: &Session, context: &Context, terms: &Terms, instance: &str) {
        if let Some(markets) = terms.minutes.clone() {
            let config = session.config.live.service(session.config.standards(), instance.to_owned());
            self.keep(context, Service::Ingest.name(), move |context| {
                ingest::live::run(context, config.clone(), Arc::clone(&markets) as _)
            });
        }
        if let Some(agency) = terms.news.clone() {
            let config = session.config.news.service();
            self.keep(context, ingest::news::SERVICE, move |context| {
                ingest::news::run(context, config.clone(), Arc::clone(&agency) as _)
            });
        }
    }

    async fn projector(&mut self, session: &Session, context: &Context) -> Result<(), Failure> {
        let pool = session.projector().await?;
        self.keep(context, "projector", move |context| crate::projector::run(context, pool.clone()));
        Ok(())
    }

    async fn web(
        &mut self,
        session: &Session,
        context: &Context,
        terms: &Terms,
        dashboard: &Dashboard,
    ) -> Result<(), Failure> {
        let (asked, options) = (terms.bind.as_deref(), &terms.telemetry);
        let groups = session.config.universe.groups().map_err(|error| Failure::config(error.to_string()))?;
        let groups = groups.into_iter().map(|(name, symbols)| (name.to_owned(), symbols));
        let config = web::WebConfig {
            bind: dashboard.address,
            public_hosts: session.config.web.public_hosts.clone(),
            access: Arc::clone(&session.access),
            tls: dashboard.tls.clone(),
            pool: session.separate_reader().await?,
            tape: session.dir.name.clone(),
            books: Some(session.dir.books()),
            mode: match session.manifest.kind {
                TapeKind::Main if self.with_money || is_traded_live(session).await? => web::Mode::Live,
                TapeKind::Main => web::Mode::Paper,
                TapeKind::Demo => web::Mode::Demo,
                TapeKind::Rehearsal => web::Mode::Rehearsal,
                TapeKind::Backtest => web::Mode::Backtest,
            },
            speed: match (clock_mode(&session.manifest), session.manifest.speed) {
                (ClockMode::Wall, _) => web::Speed::Wall,
                (ClockMode::Tape, Some(times)) => web::Speed::Times(f64::from(times)),
                (ClockMode::Tape, None) => web::Speed::Max,
            },
            calendar: session.manifest.market()?.calendar(),
            universe: Arc::new(groups.collect()),
            stale_sessions: session.config.quality.stale_sessions,
            secret: session.web_secret()?,
            ready_lag_events_max: READY_LAG_EVENTS_MAX,
            stale_after: STALE_AFTER,
            services: Service::logged(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            strategies: Arc::new(ServerAccess::of(session)),
            probe: Answers::new(session, session.separate_reader().await?, asked, options)?,
        };
        let failed = |error: web::WebError| Failure::config(error.to_string());
        let server = dashboard_port::bind_again(&session.dir, context, &config).await.map_err(failed)?;
        // A restarted server takes the port that was told to people.
        let config = web::WebConfig { bind: server.address(), ..config };
        self.dashboard = Some(server.url());
        let first = std::sync::Mutex::new(Some(server));
        self.keep(context, "web", move |context| {
            let first = first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let config = config.clone();
            async move {
                match first {
                    Some(server) => server.serve().await,
                    None => web::run(context, config).await,
                }
            }
        });
        Ok(())
    }

    fn ingest(
        &mut self,
        session: &Session,
        context: &Context,
        accounts: Vec<String>,
        loaded: Option<Loaded>,
    ) -> Result<(), Failure> {
        let (handle, control) = ingest::clock::control(speed(&session.manifest));
        let (source, standards) = (source(&session.manifest)?, session.config.standards());
        let config = IngestConfig {
            source: source.clone(),
            loaded,
            clock: ClockConfig { accounts, consumers: vec!["strategy".to_owned()] },
            control,
        };
        let (finished, receiver) = oneshot::channel();
        let (examined, findings) = oneshot::channel();
        let context = context.clone();
        // Not kept alive: the command that started the source says how it ended.
        self.tasks.spawn(async move {
            let outcome = ingest::run(context.clone(), config).await.map_err(|error| match error {
                IngestError::Clock(ClockError::Read(error)) => Failure::from(error),
                other => Failure::other(other.to_string()),
            });
            if let Err(failure) = &outcome {
                context.health.set("ingest", HealthState::Degraded, failure.message.clone());
            }
            let ended = outcome.as_ref().is_ok_and(|end| end.reason == FinishReason::SourceEnd);
            // Nobody waits for it when the process is ending.
            let _ = finished.send(outcome);
            if !ended {
                return;
            }
            let found = tokio::select! {
                found = ingest::examine(&context.tape, source, standards) => found,
                // The next one that plays the source finds them.
                () = context.shutdown.cancelled() => return,
            };
            let found = found.map_err(crate::command::import::failure);
            if let Err(failure) = &found {
                tracing::warn!("findings about the files are not on the tape: {}", failure.message);
            }
            let _ = examined.send(found);
        });
        self.clock = Some(handle);
        self.finished = Some(receiver);
        self.examined = Some(findings);
        Ok(())
    }
}

/// Whether the tape says that an account is traded with money; perhaps by another process.
async fn is_traded_live(session: &Session) -> Result<bool, Failure> {
    for account in session.config.account.keys() {
        let attached = runtime::command::attachment(&session.tape, account).await?;
        if attached.is_some_and(|attached| attached.mode() == TradingMode::Live) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn clock_mode(manifest: &Manifest) -> ClockMode {
    match manifest.kind {
        TapeKind::Main => ClockMode::Wall,
        TapeKind::Demo | TapeKind::Rehearsal | TapeKind::Backtest => ClockMode::Tape,
    }
}

fn speed(manifest: &Manifest) -> Speed {
    manifest.speed.and_then(std::num::NonZero::new).map_or(Speed::Max, Speed::Times)
}

/// Where the market of a tape-clock tape comes from.
fn source(manifest: &Manifest) -> Result<SourceConfig, Failure> {
    Ok(match manifest.kind {
        TapeKind::Demo => SourceConfig::Simulated(SimulatedConfig {
            seed: manifest.seed,
            symbols: manifest.symbols,
            from: manifest.from.unwrap_or(SimulatedConfig::default().from),
            ..SimulatedConfig::default()
        }),
        TapeKind::Rehearsal | TapeKind::Backtest | TapeKind::Main => {
            SourceConfig::Recorded(recorded(manifest)?)
        }
    })
}

/// Which files are played on a tape, and what of them.
pub fn recorded(manifest: &Manifest) -> Result<RecordedConfig, Failure> {
    Ok(RecordedConfig {
        name: "rehearsal".to_owned(),
        files: manifest.bars.iter().chain(&manifest.actions).cloned().collect(),
        read: ReadOptions {
            market: manifest.market()?,
            latest_ns: Some(latest_close_ns(runtime::now_ns())),
            ..read_options(&bar_format(&manifest.format))?
        },
        range: Range { from: manifest.from, to: manifest.to },
    })
}
