//! The program: command line, configuration files, wiring. No business logic lives here.
//!
//! One binary holds every service; `tapedeck run risk execution` starts just those.

#![expect(clippy::print_stderr, reason = "a command line speaks to its user")]

mod addresses;
mod cli;
mod command;
mod config;
mod exit;
mod home;
mod output;
mod projector;
mod render;
mod seed;
mod servers;
mod services;
mod session;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use crate::cli::{Cli, Command, Global};
use crate::exit::Failure;
use crate::home::Home;
use crate::output::Output;
use crate::session::Session;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(Box::pin(dispatch(cli))));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let global = &cli.global;
    let output = Output::new(global);
    log_to_stderr(global)?;
    match cli.command {
        Command::Decode => command::decode::run(output),
        Command::Config(options) => command::config::run(global, &options, output),
        Command::Doctor => command::doctor::run(global, output).await,
        Command::Strategy(cli::StrategyCommand::Kinds) => command::strategy::kinds(output),
        Command::Up(options) => command::up::run(global, &options, output).await,
        Command::Rehearse(options) => command::rehearse::run(global, &options, output).await,
        Command::Run(options) => command::run::run(global, &options, output).await,
        Command::Import(options) => command::import::run(global, &options, output).await,
        other => {
            let started = Instant::now();
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
        Command::User(command) => command::user::run(session, &command, output).await,
        Command::Token(command) => command::token::run(session, &command, output).await,
        Command::Parked(options) => command::parked::run(session, &options, output).await,
        Command::Halt(options) => command::control::halt(session, &options, output).await,
        Command::Resume(options) => command::control::resume(session, &options, output).await,
        Command::ChainHash => command::chain_hash::run(session, output).await,
        _ => Err(Failure::other("this command opens no tape")),
    }
}

fn log_to_stderr(global: &Global) -> Result<(), Failure> {
    let home = Home::locate(global.home.as_deref())?;
    // A configuration that cannot be read is the command's to report; logging then takes its defaults.
    let log = config::Config::load(home.config_file(global.config.as_deref()).as_deref())
        .map(|config| config.log)
        .unwrap_or_default();
    let filter = global.log.as_deref().unwrap_or(&log.filter);
    let format = match log.format.as_str() {
        "json" => runtime::telemetry::LogFormat::Json,
        _ => runtime::telemetry::LogFormat::Text,
    };
    runtime::telemetry::init(filter, format).map_err(|error| Failure::config(error.to_string()))
}
