//! What stands beside a run: a scratch server for external strategies, or a new tape that the run is written to, and
//! the programs of the strategies.
//!
//! A program gets what it gets when it trades: a user of its own with the rights of its registration, its two
//! consumers, and the file of credentials that `strategy register --credentials` writes. Its output goes to a log
//! file, whose end is shown when it fails.

mod process;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use backtest::beside::{Desk, Refusals, copy_articles};
use contracts::stream::MARKET;
use contracts::v1::{BacktestFinished, BacktestRequest};
use domain::calendar::Market;
use engine::{Config, Outcome};
use event_log::{Auth, ConnectOptions, JetStreamLog, Tape};
use local_servers::{InstanceLock, NatsOptions, NatsServer, NatsUser, NatsUsers};
use runtime::{Credentials, ExternalStrategy};

use super::named::{Named, Program};
use super::progress::Interrupt;
use super::{HELP, VERSION};
use crate::addresses::{random_hex, split_url, write_private};
use crate::cli::{Backtest, Global};
use crate::command::control::caller;
use crate::command::import::format_note;
use crate::command::{chain_hash, fold, up};
use crate::exit::Failure;
use crate::home::{Home, Manifest, TapeKind, calendar_note};
use crate::output::Output;
use crate::session::{Access, Session};
use process::{Patience, Process, Processes};

/// Directory below the home where scratch servers keep what they have, for as long as a run takes.
const SCRATCH: &str = "scratch";

/// See the module.
pub struct Beside {
    place: Place,
    tape: Tape,
    jetstream: JetStreamLog,
    users: NatsUsers,
    url: String,
    directory: PathBuf,
    programs: Vec<Program>,
    /// The tape whose bars the run walks.
    source: Option<Tape>,
    processes: Processes,
    /// Whether the tape holds all of the run.
    is_whole: AtomicBool,
}

enum Place {
    Scratch(Box<(NatsServer, InstanceLock)>),
    Recorded(Box<Session>),
}

impl Beside {
    /// Opens what `options` and `named` want; `None` when a run needs nothing beside it. `source` is the tape whose bars
    /// the run walks, where they are those of a tape.
    pub async fn open(
        global: &Global,
        options: &Backtest,
        named: &Named,
        market: Market,
        source: Option<&Tape>,
        output: Output,
    ) -> Result<Option<Self>, Failure> {
        if let Some(name) = &options.record {
            let session = fresh_tape(global, options, name, &named.programs, market).await?;
            output.progress(&format!("recording on tape {}", session.dir.name));
            return Ok(Some(Self { source: source.cloned(), ..Self::recorded(session, named) }));
        }
        if named.programs.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { source: source.cloned(), ..Self::scratch(global, named).await? }))
    }

    fn recorded(session: Session, named: &Named) -> Self {
        Self {
            tape: session.tape.clone(),
            jetstream: session.jetstream.clone(),
            users: NatsUsers::of(session.dir.path.join("nats")),
            url: split_url(session.addresses.nats_url.expose()).0,
            directory: session.dir.path.join("strategies"),
            programs: named.programs.clone(),
            source: None,
            processes: Processes::default(),
            is_whole: AtomicBool::new(false),
            place: Place::Recorded(Box::new(session)),
        }
    }

    async fn scratch(global: &Global, named: &Named) -> Result<Self, Failure> {
        let root = Home::locate(global.home.as_deref())?.root().join(SCRATCH);
        sweep_out(&root);
        let directory = root.join(random_hex()?);
        std::fs::create_dir_all(&directory)?;
        let failed = |error: local_servers::ServerError| Failure::config(error.to_string());
        let lock = InstanceLock::acquire(&directory, "backtest").map_err(failed)?;
        let search = crate::servers::search(&global.servers);
        let nats = directory.join("nats");
        let options = NatsOptions { sync_always: false, ..NatsOptions::new(&nats, search) };
        let server = NatsServer::start(options).await.map_err(failed)?;
        let (user, password) = server.credentials();
        let auth = Auth::Password { user: user.to_owned(), password: password.clone() };
        let options = ConnectOptions {
            url: server.address().into(),
            auth,
            name: "tapedeck backtest".to_owned(),
            clock: event_log::Clock::default(),
        };
        let connected = event_log::connect(options).await;
        let jetstream = connected.map_err(|error| Failure::unreachable(format!("NATS: {error}")))?;
        event_log::definitions::apply(&jetstream).await?;
        Ok(Self {
            tape: Arc::new(jetstream.clone()),
            jetstream,
            users: NatsUsers::of(&nats),
            url: server.address(),
            directory,
            programs: named.programs.clone(),
            source: None,
            processes: Processes::default(),
            is_whole: AtomicBool::new(false),
            place: Place::Scratch(Box::new((server, lock))),
        })
    }

    /// States on the tape what the run begins with, and starts the programs. Answers also what is to be said of the
    /// articles that they read.
    pub async fn begin(
        &self,
        config: &Config,
        data: &domain::series::MarketData,
        interrupt: Interrupt,
        output: Output,
    ) -> Result<(Desk, Option<String>), Failure> {
        let external = |program: &Program| ExternalStrategy {
            name: program.name.clone(),
            account: config.account.name.clone(),
            subjects: program.subjects.clone(),
        };
        let externals: Vec<ExternalStrategy> = self.programs.iter().map(external).collect();
        let patience = Patience { processes: Arc::clone(&self.processes), interrupt, output };
        let desk = Desk::open(&self.tape, config, data, externals.clone(), Box::new(patience)).await;
        let desk = desk.map_err(|error| Failure::usage(error.to_string(), HELP))?;
        let articles = self.articles(&externals, data).await?;
        std::fs::create_dir_all(&self.directory)?;
        for (program, external) in self.programs.iter().zip(&externals) {
            let file = self.admit(external).await?;
            let process = Process::start(program, &file, &self.directory, output)?;
            self.processes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(process);
        }
        Ok((desk, articles))
    }

    /// Gives the programs the articles that they read; says how many, where they read any.
    async fn articles(
        &self,
        externals: &[ExternalStrategy],
        data: &domain::series::MarketData,
    ) -> Result<Option<String>, Failure> {
        let readers = externals.iter().filter(|external| external.reads_articles());
        let readers: Vec<&str> = readers.map(|external| external.name.as_str()).collect();
        if readers.is_empty() {
            return Ok(None);
        }
        let last = data.series.iter().filter_map(|series| series.close_ns.values().last().copied()).max();
        let copied = match &self.source {
            Some(source) => copy_articles(source, &self.tape, externals, last.unwrap_or(i64::MIN)).await,
            None => Ok(0),
        };
        let count = copied.map_err(|error| Failure::other(error.to_string()))?;
        let readers = readers.join(", ");
        Ok(Some(match (count, &self.source) {
            (0, None) => format!("{readers}: reads articles and had none, because the run reads no tape"),
            (0, Some(_)) => {
                format!("{readers}: reads articles and had none, because the tape holds none of them")
            }
            (count, _) => format!("{readers}: articles of the tape that were there: {count}"),
        }))
    }

    /// Makes consumers and user of a strategy; gives the file of its credentials.
    async fn admit(&self, external: &ExternalStrategy) -> Result<PathBuf, Failure> {
        for spec in external.consumers() {
            self.jetstream.ensure_durable(&spec).await?;
        }
        let rights = external.rights();
        let user =
            NatsUser { name: external.consumer(), publish: rights.publish, subscribe: rights.subscribe };
        let granted = self.users.grant(&user).await;
        let password = granted.map_err(|error| Failure::other(error.to_string()))?;
        let credentials = Credentials { url: self.url.clone(), user: user.name, password, to_add: None };
        let text = serde_json::to_string_pretty(&credentials.file(external));
        let text = text.map_err(|error| Failure::other(error.to_string()))?;
        let path = self.directory.join(format!("{}.json", external.name));
        write_private(&path, &(text + "\n"))?;
        Ok(path)
    }

    /// Name of the tape that the run is written to.
    pub fn tape_name(&self) -> Option<&str> {
        match &self.place {
            Place::Scratch(_) => None,
            Place::Recorded(session) => Some(&session.dir.name),
        }
    }

    /// Holds the tape's chain hash against the run's, which becomes the tape's.
    pub async fn prove(&self, outcome: &mut Outcome, refusals: &Refusals) -> Result<(), Failure> {
        let on_tape = chain_hash::of(&self.tape).await?.chain_hash;
        if let Some(own) = &outcome.chain_hash
            && *own != on_tape
            && refusals.strays == 0
        {
            let message = format!("the run's chain hash is {own}, that of its tape {on_tape}");
            return Err(Failure::mismatch(message, ""));
        }
        outcome.chain_hash = Some(on_tape);
        Ok(())
    }

    /// Makes the new tape one that every page and command works on: its read models caught up, its services past
    /// all of it, the run itself on record. Gives the id of the run.
    pub async fn settle(
        &self,
        request: &BacktestRequest,
        end: &BacktestFinished,
        output: Output,
    ) -> Result<Option<String>, Failure> {
        let Place::Recorded(session) = &self.place else { return Ok(None) };
        let recording = backtest::record(&session.tape, &caller(), request.clone(), "cli", VERSION).await?;
        let run_id = recording.run_id().to_owned();
        recording.finish(end.clone()).await?;
        let end = session.tape.state(MARKET).await?.last_sequence;
        for consumer in event_log::definitions::CONSUMERS {
            session.jetstream.set_durable(consumer.stream, consumer.name, end + 1).await?;
        }
        fold::fold(session, &projections::Name::ALL, output).await?;
        self.is_whole.store(true, Ordering::Relaxed);
        Home::locate(session.global.home.as_deref())?.remember(&session.dir)?;
        Ok(Some(run_id))
    }

    /// Ends the programs, then the servers. A tape that holds half a run goes with them, so that its name is free again; on
    /// servers of the user's own it stays.
    pub async fn close(self) {
        let Self { place, tape, jetstream, directory, processes, is_whole, .. } = self;
        let ended = tokio::task::spawn_blocking(move || process::end(&processes)).await;
        if let Err(error) = ended {
            tracing::warn!(%error, "programs were not ended: {error}");
        }
        drop((tape, jetstream));
        match place {
            Place::Recorded(session) => {
                let is_half = !is_whole.into_inner() && !session.external_servers;
                let path = session.dir.path.clone();
                session.close().await;
                if is_half {
                    discard(&path);
                }
            }
            Place::Scratch(place) => {
                let (server, lock) = *place;
                server.stop().await;
                drop(lock);
                remove(&directory);
            }
        }
    }
}

/// Removes a tape that nobody has open.
fn discard(path: &Path) {
    match InstanceLock::acquire(path, "backtest") {
        Ok(lock) => {
            // Without a manifest it is no tape any more, even if what follows is cut off.
            if let Err(error) = std::fs::remove_file(path.join("tape.json")) {
                tracing::warn!(%error, "{} stays a tape: {error}", path.display());
            }
            remove(path);
            drop(lock);
        }
        Err(error) => tracing::warn!(%error, "{} stays, with half a run: {error}", path.display()),
    }
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        tracing::warn!(%error, "{} stays: {error}", directory.display());
    }
}

/// Removes what runs that were killed left behind.
fn sweep_out(root: &Path) {
    let Ok(entries) = std::fs::read_dir(root) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if let Ok(lock) = InstanceLock::acquire(&path, "backtest") {
            remove(&path);
            drop(lock);
        }
    }
}

/// Makes the tape that a run is written to. It has no bars of its own to play: what happened on it is all there is.
async fn fresh_tape(
    global: &Global,
    options: &Backtest,
    name: &str,
    programs: &[Program],
    market: Market,
) -> Result<Session, Failure> {
    let home = Home::locate(global.home.as_deref())?;
    let now = chrono::DateTime::from_timestamp_nanos(runtime::now_ns());
    let made = || now.format("backtest-%Y%m%d-%H%M%S").to_string();
    let name = if name.is_empty() { made() } else { name.to_owned() };
    let dir = home.tape(&name)?;
    if dir.manifest()?.is_some() {
        return Err(Failure::usage(
            format!("--record {name}: there is a tape of this name, expected a new one"),
            format!("another name, or `tapedeck tape remove {name}` where it holds what was cut off"),
        ));
    }
    if crate::servers::uses_external(&global.servers) && !programs.is_empty() {
        return Err(Failure::usage(
            "--record: external strategies need users on the server, expected the tape's own servers",
            "unset NATS_URL and DATABASE_URL",
        ));
    }
    let manifest = Manifest {
        from: options.run.from,
        to: options.run.to,
        format: format_note(&options.run.format),
        calendar: calendar_note(market),
        ..up::manifest(TapeKind::Backtest, options.run.seed)
    };
    // Until the run is whole it is no tape to speak of.
    Session::opened(global, home, dir, manifest, Access::Sole).await
}
