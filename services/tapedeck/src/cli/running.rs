//! Commands that run something or bring data in: their options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Options of `up`.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// Address of the dashboard [default: 127.0.0.1 and a free port]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub bind: Option<String>,
    /// Market of a new tape: `real`, of today by the wall clock, or `demo`, simulated [default: real for `main`, else demo]
    #[arg(long, value_name = "MARKET")]
    pub market: Option<Market>,
    /// Market seconds per second of the demo, or `max`
    #[arg(long, value_name = "N|max")]
    pub speed: Option<Speed>,
    /// Seed of the demo's market
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Trade this account with money, as `mode = "live"` and a confirmation on the tape say too; may be given several times
    #[arg(long, value_name = "ACCOUNT")]
    pub live: Vec<String>,
    /// Where telemetry goes.
    #[command(flatten)]
    pub telemetry: TelemetryOptions,
}

/// The market of a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Market {
    /// Of today, by the wall clock: what is imported, streamed and traded at a broker.
    Real,
    /// Simulated, by the tape's clock.
    Demo,
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
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub from: Option<chrono::NaiveDate>,
    /// Last session, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub to: Option<chrono::NaiveDate>,
    /// When the market is open: XNYS, 24x5 or 24x7 [default: XNYS]
    #[arg(long, value_name = "CALENDAR")]
    pub calendar: Option<String>,
    /// Market seconds per second, or `max`
    #[arg(long, default_value = "max", value_name = "N|max")]
    pub speed: Speed,
    /// Number of the rehearsal: the same data under another number is another tape. Nothing is drawn at random
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
    #[arg(long, value_name = "SYMBOL", value_parser = super::symbol)]
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

impl BarFormat {
    /// The first that is stated of what says how files are to be read, and nothing of the bars of a tape.
    pub fn of_files(&self) -> Option<(&'static str, &str)> {
        let stated = [("--timezone", self.timezone.as_deref()), ("--adjusted", self.adjusted.as_deref())];
        stated.into_iter().find_map(|(option, value)| Some((option, value?)))
    }
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

/// What log lines of no service are under: those of the program around them.
const PROGRAM: &str = "tapedeck";

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
    /// Backtests that are asked for on the tape.
    Backtest,
    /// Read models.
    Projector,
    /// What must always hold, checked as the tape goes on.
    Checker,
    /// Dashboard and API.
    Web,
}

impl Service {
    /// Every service: what `all` means.
    pub const ALL: [Self; 8] = [
        Self::Ingest,
        Self::Strategy,
        Self::Risk,
        Self::Execution,
        Self::Backtest,
        Self::Projector,
        Self::Checker,
        Self::Web,
    ];

    /// Its name in health, heartbeats and the NATS services API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Strategy => "strategy",
            Self::Risk => "risk",
            Self::Execution => "execution",
            Self::Backtest => backtest::SERVICE,
            Self::Projector => "projector",
            Self::Checker => crate::checker::SERVICE,
            Self::Web => "web",
        }
    }

    /// What this program's log lines are under: the services, and `tapedeck` for what belongs to none.
    pub fn logged() -> Vec<&'static str> {
        Self::ALL.into_iter().map(Self::name).chain([PROGRAM]).collect()
    }

    /// What it does, in one sentence.
    pub fn description(self) -> &'static str {
        match self {
            Self::Ingest => "Takes the market from its source and moves the tape clock.",
            Self::Strategy => "Runs the built-in strategies.",
            Self::Risk => "Decides on every signal.",
            Self::Execution => "Submits orders, records what the broker answers, marks the accounts.",
            Self::Backtest => "Runs the backtests that are asked for.",
            Self::Projector => "Folds the tape into the read models.",
            Self::Checker => "Holds what must always hold against tape, read model and brokers.",
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
    /// Trade this account with money, as `mode = "live"` and a confirmation on the tape say too; may be given several times
    #[arg(long, value_name = "ACCOUNT")]
    pub live: Vec<String>,
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
    /// When the market of the bars is open: XNYS, 24x5 or 24x7; a tape that is made keeps it [default: that of the tape; of
    /// a new one XNYS]
    #[arg(long, value_name = "CALENDAR")]
    pub calendar: Option<String>,
    /// Append nothing when any row is rejected
    #[arg(long)]
    pub strict: bool,
}
