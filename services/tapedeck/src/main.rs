//! The program: command line, configuration files, wiring. No business logic lives here.
//!
//! One binary holds every service; `tapedeck run risk execution` starts just those.

mod access;
mod addresses;
mod checker;
mod cli;
mod command;
mod config;
mod configuration;
mod dashboard_port;
mod exit;
mod held;
mod home;
mod interrupt;
mod output;
mod probe;
mod projector;
mod refused;
mod render;
mod seed;
mod servers;
mod services;
mod session;
mod source;
mod telemetry;
mod terms;
mod trading;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use crate::cli::{Cli, Command, Global, ServerUrls};
use crate::exit::Failure;
use crate::output::Output;
use crate::session::Session;

/// The code that this program is made of, as its runs state it: version and commit (`build.rs`).
pub const CODE_VERSION: &str = env!("TAPEDECK_CODE_VERSION");

/// Events come and go by the million and are freed by other threads than made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::refused(&error),
    };
    let cli = Cli { global: Global { servers: named(cli.global.servers), ..cli.global }, ..cli };
    // Whoever speaks TLS uses this one; the first choice stands.
    let _chosen_before = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let json = cli.global.json;
    let outcome =
        runtime(&cli).map_err(Failure::from).and_then(|runtime| runtime.block_on(Box::pin(dispatch(cli))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// The same without what is named by nothing: a variable that is set to nothing names no server.
fn named(servers: ServerUrls) -> ServerUrls {
    let named = |url: Option<String>| url.filter(|url| !url.trim().is_empty());
    ServerUrls { nats_url: named(servers.nats_url), database_url: named(servers.database_url), ..servers }
}

/// What runs the services takes half of the cores: nats-server and PostgreSQL need the rest, and a message
/// that is handed from thread to thread waits for a core each time. On two cores one thread is a fifth faster
/// than two.
fn runtime(cli: &Cli) -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let serves = matches!(cli.command, Command::Up(_) | Command::Rehearse(_) | Command::Run(_));
    let usual = if serves { (cores / 2).max(1) } else { cores };
    let threads = cli.global.threads.map_or(usual, |threads| usize::from(threads.get()));
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let telemetry = telemetry::start(&cli.global, &cli.command)?;
    let outcome = Box::pin(perform(cli)).await;
    telemetry.end().await;
    outcome
}

async fn perform(mut cli: Cli) -> Result<(), Failure> {
    let global = &cli.global;
    let output = Output::new(global);
    command::symbols::expand(global, &mut cli.command)?;
    match cli.command {
        Command::Decode { subject } => command::decode::run(subject.as_deref(), output),
        Command::Config(options) => command::config::run(global, &options, output)
            .map_err(|failure| failure.hinting("tapedeck config check", "docs/configuration.md")),
        Command::Tape(options) => command::tape::run(global, &options, output),
        Command::Universe(cli::UniverseCommand::List) => command::universe::list(global, output),
        Command::Limits(cli::LimitsCommand::Names) => command::limits::names(output),
        Command::Doctor => command::doctor::run(global, output).await,
        Command::Strategy(cli::StrategyCommand::Kinds) => command::strategy::kinds(output),
        Command::Strategy(cli::StrategyCommand::New { name, lang, dir }) => {
            command::skeleton::write(&name, lang, dir.as_deref(), output)
        }
        Command::Pairs(options) if !options.bars.is_empty() => {
            command::pairs::of_files(global, &options, output)
        }
        Command::Up(options) => command::up::run(global, &options, output).await,
        Command::Rehearse(options) => command::rehearse::run(global, &options, output).await,
        Command::Run(options) => command::run::run(global, &options, output).await,
        Command::Backtest(options) if options.recorded.is_none() => {
            Box::pin(command::backtest::run(global, &options, output)).await
        }
        Command::Sweep(options) => Box::pin(command::backtest::search::sweep(global, &options, output)).await,
        Command::WalkForward(options) => {
            Box::pin(command::backtest::search::walk_forward(global, &options, output)).await
        }
        Command::Backfill(options) => command::backfill::run(global, &options, output).await,
        Command::Reference(cli::ReferenceCommand::Fetch(options)) => {
            command::reference::fetch(global, &options, output).await
        }
        Command::News(cli::NewsCommand::Fetch(options)) => {
            command::news::fetch(global, &options, output).await
        }
        Command::Import(options) => command::import::run(global, &options, output).await,
        Command::Indicator(options) if options.list || !options.bars.is_empty() => {
            command::indicator::offline(global, &options, output).await
        }
        Command::History(command) if !matches!(command, cli::HistoryCommand::Sync) => {
            command::history::offline(global, command, output)
        }
        Command::Resample(options) => command::history::resample(&options, output),
        other => {
            let started = Instant::now();
            if matches!(other, Command::Kill(_) | Command::Halt(_) | Command::Resume(_)) {
                command::control::check_tape(global).await?;
            }
            if let Command::Indicator(options) = &other {
                command::indicator::check(options)?;
            }
            let session = Session::open(global).await?;
            let outcome = Box::pin(on_tape(&session, other, output)).await;
            session.close().await;
            if outcome.is_ok() && !output.json {
                output.progress(&format!("{:.2} s", started.elapsed().as_secs_f64()));
            }
            outcome
        }
    }
}

/// Commands that look at a tape or speak to it, and end.
async fn on_tape(session: &Session, command: Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Tail(options) => command::tail::run(session, &options, output).await,
        Command::Status(options) => command::status::run(session, &options, output).await,
        Command::Strategy(options) => command::strategy::run(session, &options, output).await,
        Command::Projection(options) => command::projection::run(session, &options, output).await,
        Command::Stream(options) => command::stream::run(session, &options, output).await,
        Command::Order(options) => command::order::run(session, &options, output).await,
        Command::Ingest(options) => command::ingest::run(session, &options, output).await,
        Command::Universe(cli::UniverseCommand::Check(options)) => {
            command::universe::check(session, &options, output).await
        }
        Command::Quotes(options) => command::quotes::run(session, &options, output).await,
        Command::Reference(cli::ReferenceCommand::Show(options)) => {
            command::reference::show(session, &options, output).await
        }
        Command::News(cli::NewsCommand::List(options)) => {
            command::news::list(session, &options, output).await
        }
        Command::Bars(options) => command::market::bars(session, &options, output).await,
        Command::Pairs(options) => command::pairs::of_tape(session, &options, output).await,
        Command::Indicator(options) => command::indicator::on_tape(session, &options, output).await,
        Command::Actions(options) => command::market::actions(session, &options, output).await,
        Command::Findings(options) => command::market::findings(session, &options, output).await,
        Command::Positions(options) => command::holdings::positions(session, &options, output).await,
        Command::At(options) => command::at::run(session, &options, output).await,
        Command::Parity(options) => command::parity::run(session, &options, output).await,
        Command::Fork(options) => command::fork::run(session, &options, output).await,
        Command::Replay(options) => Box::pin(command::replay::run(session, &options, output)).await,
        Command::Account(options) => command::holdings::accounts(session, &options, output).await,
        Command::Report(options) => command::report::run(session, &options, output).await,
        Command::User(command) => command::user::run(session, &command, output).await,
        Command::Token(command) => command::token::run(session, &command, output).await,
        Command::Backtest(options) => match &options.recorded {
            Some(wanted) => command::recorded::run(session, wanted, output).await,
            None => Err(Failure::other("a run of its own opens its tape itself")),
        },
        Command::Parked(options) => command::parked::run(session, &options, output).await,
        Command::Limits(options) => command::limits::run(session, &options, output).await,
        Command::Breaker(options) => command::breaker::run(session, &options, output).await,
        Command::Risk(options) => command::breaker::risk(session, &options, output).await,
        Command::Kill(options) => command::control::kill(session, &options, output).await,
        Command::Live(options) => command::live::run(session, &options, output).await,
        Command::Halt(options) => command::control::halt(session, &options, output).await,
        Command::Resume(options) => command::control::resume(session, &options, output).await,
        Command::Logs(options) => command::logs::run(session, &options, output).await,
        Command::History(_) => command::history::sync(session, output).await,
        Command::Check => command::check::run(session, output).await,
        Command::ChainHash => command::chain_hash::run(session, output).await,
        _ => Err(Failure::other("this command opens no tape")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_set_to_nothing_names_no_server() {
        let some = |text: &str| Some(text.to_owned());
        let urls = |nats_url, database_url| {
            let named = named(ServerUrls { nats_url, database_url, tools: None });
            (named.nats_url, named.database_url)
        };
        assert_eq!(urls(some(""), some(" ")), (None, None));
        assert_eq!(urls(some(""), some("postgres://host/deck")), (None, some("postgres://host/deck")));
    }
}
