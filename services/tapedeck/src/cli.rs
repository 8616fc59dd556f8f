//! The command line: names, options and their help. What a command does is in `command`.

mod access;
mod history;
mod indicator;
mod ingest;
mod live;
mod looking;
mod market;
mod news;
mod pairs;
mod recorded;
mod reference;
mod research;
mod replay;
mod risk;
mod running;
mod strategy;
mod tape;
mod trading;
mod universe;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use access::{TokenCommand, UserCommand};
pub use history::{HistoryCommand, Resample};
pub use indicator::Indicator;
pub use ingest::{Backfill, IngestCommand, Vendor};
pub use live::LiveCommand;
pub use looking::{ConfigCommand, Logs, ParkedCommand, ProjectionCommand, Status, StreamCommand, Tail};
pub use market::{Actions, Bars, Findings};
pub use news::{NewsCommand, NewsFetch, NewsList, NewsVendor};
pub use pairs::Pairs;
pub use recorded::RecordedCommand;
pub use reference::{ReferenceCommand, ReferenceFetch, ReferenceShow};
pub use replay::{At, AtCommand, Fork, Parity, Replay};
pub use research::{Backtest, Method, RunOptions, SearchOptions, Sweep, WalkForward};
pub use risk::{BreakerCommand, Kill, LimitsCommand, RiskOptions, ScopeOptions};
pub use running::{BarFormat, Import, Market, Rehearse, Run, Service, Speed, TelemetryOptions, Up};
pub use strategy::{Language, Register, Replace, StrategyCommand};
pub use tape::TapeCommand;
pub use trading::{AccountOptions, Halt, OrderCommand, Place, Positions, ReportOptions, StopState, Stopped};
pub use universe::{Quotes, UniverseCheck, UniverseCommand};

/// A self-hosted algorithmic trading system for US equities on an event tape.
#[derive(Debug, Parser)]
#[command(name = "tapedeck", version = crate::CODE_VERSION, propagate_version = true, infer_subcommands = false)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Directory that holds the tapes [default: the user's data directory]
    #[arg(long, env = "TAPEDECK_HOME", global = true, value_name = "DIR")]
    pub home: Option<PathBuf>,
    /// Configuration file [default: tapedeck.toml in the home directory, if there is one]
    #[arg(long, env = "TAPEDECK_CONFIG", global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Tape to work on [default: the one used last]
    #[arg(long, env = "TAPEDECK_TAPE", global = true, value_name = "NAME")]
    pub tape: Option<String>,
    /// One JSON document on stdout (one object per line for streams), errors as JSON on stderr
    #[arg(long, global = true)]
    pub json: bool,
    /// When to colour the output
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// No progress lines on stderr
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Answer yes to every question
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Log filter, for example `info` or `risk=debug,info`
    #[arg(long, env = "TAPEDECK_LOG", global = true, value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of log lines on stderr [default: the configuration's]
    #[arg(long, env = "TAPEDECK_LOG_FORMAT", global = true, value_enum, value_name = "FORM")]
    pub log_format: Option<LogForm>,
    /// Threads of this process [default: half of the cores for services, all of them for other commands]
    #[arg(long, env = "TAPEDECK_THREADS", global = true, value_name = "N")]
    pub threads: Option<std::num::NonZeroU16>,
    /// Servers to use instead of the tape's own
    #[command(flatten)]
    pub servers: ServerUrls,
    /// The configuration, once it is read.
    #[arg(skip)]
    pub once: crate::configuration::Once,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl LogForm {
    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// Servers to use instead of the tape's own.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct ServerUrls {
    /// NATS server to use, for example nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", global = true, value_name = "URL", hide_env_values = true)]
    pub nats_url: Option<String>,
    /// PostgreSQL database to use, for example postgres://user:password@host/tapedeck
    #[arg(long, env = "DATABASE_URL", global = true, value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Where set-up keeps nats-server [default: the user's cache directory]
    #[arg(long, env = "TAPEDECK_TOOLS", global = true, value_name = "DIR")]
    pub tools: Option<PathBuf>,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything: servers, services and dashboard; runs until Ctrl-C
    Up(Up),
    /// Run recorded bars through the whole live pipeline, on a tape clock
    Rehearse(Rehearse),
    /// Run some services of a tape, or all
    Run(Run),
    /// Run strategies over history in this process, or look at the runs on record
    Backtest(Box<Backtest>),
    /// Run a backtest for many combinations of parameters
    Sweep(Box<Sweep>),
    /// Choose parameters on one window and try them on the next, again and again
    WalkForward(Box<WalkForward>),
    /// Append history from files: CSV, gzip or Parquet bars, and corporate actions
    Import(Import),
    /// Append history from a vendor: bars, splits and dividends; what the tape has is not asked for again
    Backfill(Backfill),
    /// Facts about companies and listings: fetch them from a vendor, show them as of a moment
    #[command(subcommand)]
    Reference(ReferenceCommand),
    /// News with their sentiment: fetch them from a vendor, list them
    #[command(subcommand)]
    News(NewsCommand),
    /// What came onto the tape, by source
    #[command(subcommand)]
    Ingest(IngestCommand),
    /// Groups of symbols: list them, check that their symbols are listed and told of
    #[command(subcommand)]
    Universe(UniverseCommand),
    /// Print the last best bid and offer and the last trade of symbols
    Quotes(Quotes),
    /// History segments: the tape's bars as columns, which backtests read
    #[command(subcommand)]
    History(HistoryCommand),
    /// Make longer bars of files of bars, on the sessions of a calendar
    Resample(Resample),
    /// Turn an event on stdin into JSON, for `nats sub --translate 'tapedeck decode'`
    Decode {
        /// Subject it stands under: what is no event there is refused with the reason
        #[arg(long, value_name = "SUBJECT")]
        subject: Option<String>,
    },
    /// Print events as they pass
    Tail(Tail),
    /// Print log lines of the services
    Logs(Logs),
    /// Show how the system is, on one screen; exit 1 when degraded
    Status(Status),
    /// Check tools, servers, ports, disk, clock, data and configuration
    Doctor,
    /// Configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Strategies
    #[command(subcommand)]
    Strategy(StrategyCommand),
    /// Read models
    #[command(subcommand)]
    Projection(ProjectionCommand),
    /// Tapes: list, choose, remove
    #[command(subcommand)]
    Tape(TapeCommand),
    /// Streams of the tape
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Orders
    #[command(subcommand)]
    Order(OrderCommand),
    /// List bars of a symbol, restated and with averages as wanted; without a symbol, the symbols
    Bars(Bars),
    /// Measure whether two symbols move together: hedge ratio, cointegration, half-life, z-score
    Pairs(Pairs),
    /// Compute an indicator over files or the tape's bars; list all indicators
    Indicator(Indicator),
    /// List splits and dividends
    Actions(Actions),
    /// List findings about the data
    Findings(Findings),
    /// List positions, now or as of a moment of the past
    Positions(Positions),
    /// Refold the tape and prove that every decision follows from its recorded inputs; exit 7 if not
    Replay(Replay),
    /// Run a session again from its open and compare every signal, order and fill; exit 7 if one differs
    Parity(Parity),
    /// Run a stretch of the tape again with other parameters or limits, beside what was recorded
    Fork(Fork),
    /// Show positions, orders, accounts or strategies as of a moment of the past
    At(At),
    /// Show accounts, now or as of a moment of the past
    Account(AccountOptions),
    /// Measure what an account did: the tear sheet of its marks and fills
    Report(ReportOptions),
    /// Users of the dashboard
    #[command(subcommand)]
    User(UserCommand),
    /// API tokens for programs
    #[command(subcommand)]
    Token(TokenCommand),
    /// Messages that could not be handled
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Limits by account, strategy and symbol
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Circuit breakers
    #[command(subcommand)]
    Breaker(BreakerCommand),
    /// Show what the monitor measured of accounts, strategies and sectors: exposure, concentration, value at risk, drawdown, correlation, alerts
    Risk(RiskOptions),
    /// Kill switch: cancel every open order of a strategy, an account or everything, and open nothing
    Kill(Kill),
    /// Trading with money: confirm, take back, show
    #[command(subcommand)]
    Live(LiveCommand),
    /// Stop new exposure, of one account, one strategy or all
    Halt(Halt),
    /// End a halt
    Resume(Stopped),
    /// Check what must always hold over the whole tape: orders, fills, money, limits, halts, read model; exit 7 if not
    Check,
    /// Print the hash of all signals, decisions, orders and fills of the tape
    ChainHash,
}

/// Reads a symbol, in capitals as the tape writes it.
fn symbol(text: &str) -> Result<String, String> {
    contracts::read_symbol(text).map_err(|_| format!("expected {}", contracts::EXPECTED_SYMBOL))
}

/// Reads a name that may be left out and then means all there are: a shell's variable that is not set must not.
fn name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("expected a name; all are meant without the option".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Longest reason, as of the API.
const REASON_CHARS_MAX: usize = 200;

/// Reads a reason, which stands on the tape.
fn reason(text: &str) -> Result<String, String> {
    if text.chars().count() > REASON_CHARS_MAX || text.contains(char::is_control) {
        return Err(format!(
            "expected at most {REASON_CHARS_MAX} characters, none of them a control character"
        ));
    }
    Ok(text.to_owned())
}

/// Reads a date.
fn date(text: &str) -> Result<chrono::NaiveDate, String> {
    text.parse().map_err(|_| "expected a date, YYYY-MM-DD".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::Cli;

    /// Each command that does something, by its words, with the options of its own.
    fn commands(command: &Command, before: &str, found: &mut Vec<(String, Vec<String>)>) {
        for inner in command.get_subcommands() {
            let name = format!("{before}{}", inner.get_name());
            commands(inner, &format!("{name} "), found);
            if !inner.is_subcommand_required_set() {
                let options = inner.get_arguments().filter_map(clap::Arg::get_long);
                found.push((name, options.map(str::to_owned).collect()));
            }
        }
    }

    /// Whether a row of the page is that of a command.
    fn is_of(row: &str, name: &str) -> bool {
        let rest = row.strip_prefix("| `").and_then(|row| row.strip_prefix(name));
        rest.is_some_and(|rest| rest.starts_with("` ") || rest.starts_with(' '))
    }

    /// The options that a row names, in its last cell.
    fn named(row: &str) -> Vec<String> {
        let cell = row.rsplit('|').nth(1).unwrap_or_default();
        cell.split('`').filter_map(|word| word.strip_prefix("--")).map(str::to_owned).collect()
    }

    #[test]
    fn the_list_of_commands_has_every_command_and_option_and_no_other() {
        let page = include_str!("../../../docs/commands.md");
        let page = page.split_once("\n## Running\n").unwrap().1;
        let mut found = Vec::new();
        commands(&Cli::command(), "", &mut found);
        assert!(found.len() > 80, "{found:?}");
        let mut wrong = Vec::new();
        for (name, options) in &found {
            let row = page.lines().find(|row| is_of(row, name)).unwrap_or_default();
            if row.is_empty() {
                wrong.push(name.clone());
            }
            let named = named(row);
            let lacking = options.iter().filter(|option| !named.contains(option));
            wrong.extend(lacking.map(|option| format!("{name} --{option}")));
            let unknown = named.iter().filter(|option| !options.contains(option));
            wrong.extend(unknown.map(|option| format!("{name} has no --{option}")));
        }
        let rows = page.lines().filter(|row| row.starts_with("| `"));
        let gone = rows.filter(|row| !found.iter().any(|(name, _)| is_of(row, name)));
        wrong.extend(gone.map(str::to_owned));
        assert_eq!(wrong, [] as [&str; 0]);
    }
}
