//! The command line: names, options and their help. What a command does is in `command`.

mod strategy;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use strategy::{Language, Register, Replace, StrategyCommand};

/// A self-hosted algorithmic trading system for US equities on an event tape.
#[derive(Debug, Parser)]
#[command(name = "tapedeck", version, propagate_version = true, infer_subcommands = false)]
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
    /// Append history from files: CSV, gzip or Parquet bars, and corporate actions
    Import(Import),
    /// Turn an event on stdin into JSON, for `nats sub --translate 'tapedeck decode'`
    Decode,
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
    /// Streams of the tape
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Orders
    #[command(subcommand)]
    Order(OrderCommand),
    /// List positions, now or as of a moment of the past
    Positions(Positions),
    /// Show accounts, now or as of a moment of the past
    Account(AccountOptions),
    /// Users of the dashboard
    #[command(subcommand)]
    User(UserCommand),
    /// API tokens for programs
    #[command(subcommand)]
    Token(TokenCommand),
    /// Messages that could not be handled
    #[command(subcommand)]
    Parked(ParkedCommand),
    /// Stop new exposure, on one account or on all
    Halt(Halt),
    /// End a halt
    Resume(Halt),
    /// Print the hash of all signals, decisions, orders and fills of the tape
    ChainHash,
}

/// Options of `up`.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// Address of the dashboard [default: 127.0.0.1 and a free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub bind: Option<String>,
    /// Market seconds per second of the demo, or `max`
    #[arg(long, value_name = "N|max")]
    pub speed: Option<Speed>,
    /// Seed of the demo's market
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where telemetry goes.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
}

/// Options of `rehearse`.
#[derive(Clone, Debug, Args)]
pub struct Rehearse {
    /// Files of bars
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    pub bars: Vec<PathBuf>,
    /// Files of corporate actions
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub actions: Vec<PathBuf>,
    /// First session, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub from: Option<chrono::NaiveDate>,
    /// Last session, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    pub to: Option<chrono::NaiveDate>,
    /// Market seconds per second, or `max`
    #[arg(long, default_value = "max", value_name = "N|max")]
    pub speed: Speed,
    /// Seed of everything random in the simulated broker
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Run only these services here; the others run elsewhere
    #[arg(long, num_args = 1.., value_name = "SERVICE")]
    pub only: Vec<Service>,
    /// Begin when this external strategy is registered and enabled; may be given several times
    #[arg(long, value_name = "STRATEGY")]
    pub wait_for: Vec<String>,
    /// Serve the dashboard meanwhile at this address
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub bind: Option<String>,
    /// Keep serving the dashboard after the end of the data, until Ctrl-C
    #[arg(long)]
    pub stay: bool,
    /// How the file's bars are to be read where it does not say itself
    #[command(flatten)]
    pub format: BarFormat,
    /// Where telemetry goes.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
}

/// How a file's bars are to be read where it does not say itself.
#[derive(Clone, Debug, Default, Args)]
pub struct BarFormat {
    /// Symbol, when the file has no symbol column
    #[arg(long, value_name = "SYMBOL")]
    pub symbol: Option<String>,
    /// Timeframe, when the file has no timeframe column: 1m, 5m, 15m, 30m, 1h, 1d
    #[arg(long, value_name = "TIMEFRAME")]
    pub timeframe: Option<String>,
    /// Time zone of times without an offset, for example America/New_York
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Whether prices are adjusted: `none` (raw) or `yes`
    #[arg(long, value_name = "none|yes")]
    pub adjusted: Option<String>,
}

/// Market seconds per second, or as fast as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// So many market seconds per second.
    Times(u32),
    /// As fast as possible.
    Max,
}

impl std::str::FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse::<u32>() {
            Ok(times) if times > 0 => Ok(Self::Times(times)),
            _ => Err("expected a whole number of at least 1, or max".to_owned()),
        }
    }
}

/// A service, as a target of `run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Service {
    /// Sources and the tape clock.
    Ingest,
    /// Built-in strategies.
    Strategy,
    /// Risk decisions.
    Risk,
    /// Orders, broker and account marks.
    Execution,
    /// Read models.
    Projector,
    /// Dashboard and API.
    Web,
}

impl Service {
    /// Every service: what `all` means.
    pub const ALL: [Self; 6] =
        [Self::Ingest, Self::Strategy, Self::Risk, Self::Execution, Self::Projector, Self::Web];

    /// Its name in health, heartbeats and the NATS services API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Strategy => "strategy",
            Self::Risk => "risk",
            Self::Execution => "execution",
            Self::Projector => "projector",
            Self::Web => "web",
        }
    }

    /// What it does, in one sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::Ingest => "Takes the market from its source and moves the tape clock.",
            Self::Strategy => "Runs the built-in strategies.",
            Self::Risk => "Decides on every signal.",
            Self::Execution => "Submits orders, records what the broker answers, marks the accounts.",
            Self::Projector => "Folds the tape into the read models.",
            Self::Web => "Serves the dashboard and the API.",
        }
    }
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// Services to run [default: all]
    #[arg(value_name = "SERVICE")]
    pub services: Vec<Service>,
    /// Address of the dashboard, when it is among them
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub bind: Option<String>,
    /// Where telemetry goes.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
}

/// Where the telemetry of a running process goes; what is not given is the configuration's.
#[derive(Clone, Debug, Default, Args)]
pub struct TelemetryOptions {
    /// Serve /metrics, /healthz and /readyz at this address too
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub metrics: Option<String>,
    /// OTLP collector for traces, metrics and logs, for example http://127.0.0.1:4318
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Name of this process in what it exports
    #[arg(long, env = "OTEL_SERVICE_NAME", value_name = "NAME")]
    pub service_name: Option<String>,
    /// Share of decision chains that is traced, 0 to 1
    #[arg(long, value_name = "SHARE")]
    pub trace_ratio: Option<f64>,
}

/// Options of `import`.
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// Files to append
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the file's bars are to be read
    #[command(flatten)]
    pub format: BarFormat,
    /// Append nothing when any row is rejected
    #[arg(long)]
    pub strict: bool,
}

/// Options of `tail`.
#[derive(Clone, Debug, Args)]
pub struct Tail {
    /// Subject or filter, for example 'order.>' [default: all of TRADING]
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Vec<String>,
    /// Begin at this sequence of the stream
    #[arg(long, value_name = "N", conflicts_with = "since")]
    pub from_seq: Option<u64>,
    /// Begin at this time (RFC 3339) or so long ago (30s, 5m, 2h, 1d), by recorded time
    #[arg(long, value_name = "TIME|AGO")]
    pub since: Option<String>,
    /// Print the whole chain that an event id belongs to, and end
    #[arg(long, value_name = "ID", conflicts_with_all = ["from_seq", "since", "subject"])]
    pub chain: Option<String>,
    /// End at the head of the stream instead of following it
    #[arg(long)]
    pub no_follow: bool,
    /// End after so many events
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Options of `logs`.
#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// Only of this service
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// At least this severe: error, warn, info, debug, trace
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Only of modules whose name begins so
    #[arg(long, value_name = "MODULE")]
    pub target: Option<String>,
    /// Only of this run of a process, as a line's `run` names it
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Only of this chain of events
    #[arg(long, value_name = "ID")]
    pub correlation: Option<String>,
    /// Only lines that contain this, whatever the case
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// Begin at this time (RFC 3339) or so long ago (30s, 5m, 2h, 1d) [default: the last lines]
    #[arg(long, value_name = "TIME|AGO")]
    pub since: Option<String>,
    /// At most so many lines to begin with
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub limit: u32,
    /// Go on with lines as they come, until Ctrl-C
    #[arg(long, short = 'f')]
    pub follow: bool,
}

/// Options of `status`.
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Show again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// Configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and print what takes effect
    Check,
}

/// Read models.
#[derive(Debug, Subcommand)]
pub enum ProjectionCommand {
    /// List projections with position, head and lag
    List,
    /// Build a projection anew beside the live one and swap it in
    Rebuild {
        /// Projection's name
        name: String,
    },
    /// Prove that a read model equals the fold of its stream; exit 7 with the first difference if not
    Verify {
        /// Projection's name [default: all]
        name: Option<String>,
    },
}

/// Streams of the tape.
#[derive(Debug, Subcommand)]
pub enum StreamCommand {
    /// List streams with their counts
    List,
    /// Make the streams and consumers that are missing
    Apply,
    /// Show where the server differs from the definitions; exit 1 if it does
    Diff,
}

/// Orders.
#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// List orders, newest first
    List {
        /// Only open ones
        #[arg(long)]
        open: bool,
        /// Only of this strategy
        #[arg(long, value_name = "NAME")]
        strategy: Option<String>,
        /// Only of this symbol
        #[arg(long, value_name = "SYMBOL")]
        symbol: Option<String>,
        /// Only of this account
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Only with this status, for example `filled`
        #[arg(long, value_name = "STATUS")]
        status: Option<String>,
        /// Only `buy` or `sell`
        #[arg(long, value_name = "buy|sell")]
        side: Option<String>,
        /// At most so many, up to 200
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        /// Only older than this cursor, printed by the page before
        #[arg(long, value_name = "CURSOR")]
        before: Option<projections::queries::Cursor>,
    },
    /// Show one order with its history and fills
    Show {
        /// Order's id
        id: String,
    },
    /// Ask for an order to be cancelled
    Cancel {
        /// Order's id
        id: String,
        /// Reason, for the audit
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
    },
}

/// Options of `positions`.
#[derive(Clone, Debug, Args)]
pub struct Positions {
    /// Only of this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Also positions that are flat and have a result
    #[arg(long)]
    pub flat: bool,
    /// State after an event of TRADING (seq:N) or at an instant of market time (RFC 3339) [default: now]
    #[arg(long, value_name = "seq:N|TIME")]
    pub as_of: Option<String>,
}

/// Options of `account`.
#[derive(Clone, Debug, Args)]
pub struct AccountOptions {
    /// Account [default: all]
    #[arg(value_name = "NAME")]
    pub account: Option<String>,
    /// State after an event of TRADING (seq:N) or at an instant of market time (RFC 3339) [default: now]
    #[arg(long, value_name = "seq:N|TIME")]
    pub as_of: Option<String>,
}

/// Messages that could not be handled.
#[derive(Debug, Subcommand)]
pub enum ParkedCommand {
    /// List parked messages, newest first
    List {
        /// Also those replayed or dismissed
        #[arg(long)]
        all: bool,
        /// At most so many, up to 200
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
        /// Only older than this cursor, printed by the page before
        #[arg(long, value_name = "CURSOR")]
        before: Option<u64>,
    },
    /// Show one with its payload
    Show {
        /// Parked event's id
        id: String,
    },
    /// Handle it again after a fix: publish its event again at the end of its stream
    Replay {
        /// Parked event's id
        id: String,
    },
    /// Close it without handling it
    Dismiss {
        /// Parked event's id
        id: String,
        /// Why, for the record
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

/// Users of the dashboard.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List users
    List,
    /// Add a user; prints a password once unless one is read
    Add {
        /// User's name
        name: String,
        /// What the user may do
        #[arg(long, default_value = "viewer", value_name = "viewer|operator|admin")]
        role: web::access::Role,
        /// Read the password from the first line of stdin instead of making one
        #[arg(long)]
        stdin: bool,
    },
    /// Remove a user, whose sessions end
    Remove {
        /// User's name
        name: String,
    },
    /// Set a password, printed once unless one is read; the user's sessions end
    SetPassword {
        /// User's name
        name: String,
        /// Read the password from the first line of stdin instead of making one
        #[arg(long)]
        stdin: bool,
    },
    /// Set what a user may do; the user's sessions end
    SetRole {
        /// User's name
        name: String,
        /// viewer, operator or admin
        role: web::access::Role,
    },
    /// Let a user no longer sign in; the user's sessions end
    Disable {
        /// User's name
        name: String,
    },
    /// Let a disabled user sign in again
    Enable {
        /// User's name
        name: String,
    },
    /// Print a link to the running dashboard that signs in once, within 10 minutes
    Link {
        /// User's name [default: the first admin]
        name: Option<String>,
    },
}

/// API tokens for programs.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// List tokens
    List,
    /// Make a token and print it once
    Create {
        /// Token's name
        name: String,
        /// What the program may do
        #[arg(long, default_value = "viewer", value_name = "viewer|operator|admin")]
        role: web::access::Role,
        /// Days until it expires, 1 to 3660
        #[arg(long, default_value_t = 90, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
        days: u32,
    },
    /// Revoke a token
    Revoke {
        /// Token's name
        name: String,
    },
}

/// Options of `halt` and `resume`.
#[derive(Clone, Debug, Args)]
pub struct Halt {
    /// Account [default: all]
    #[arg(long, default_value = "", value_name = "NAME", hide_default_value = true)]
    pub account: String,
    /// Reason, for the audit
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub reason: String,
}
