//! Commands that run strategies over history: their options.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{BarFormat, RecordedCommand};

/// What a run is of: the same for a backtest, a sweep and a walk-forward test.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Strategy: one that is registered on the tape, one of the configuration, or a built-in kind, the first that has the
    /// name; may be given several times
    #[arg(long = "strategy", value_name = "NAME[:K=V,…]")]
    pub strategies: Vec<String>,
    /// Symbols to trade [default: all that the bars have]
    #[arg(long, value_delimiter = ',', value_name = "A,B")]
    pub symbols: Vec<String>,
    /// Files of bars [default: the bars of the tape]
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub bars: Vec<PathBuf>,
    /// The bars that the tape's history segments hold, without its servers: nothing is read from the tape, nothing
    /// recorded on it
    #[arg(long, conflicts_with = "bars")]
    pub offline: bool,
    /// Files of corporate actions of the bars of --bars; a tape has its own
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub actions: Vec<PathBuf>,
    /// First session, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub from: Option<chrono::NaiveDate>,
    /// Last session, YYYY-MM-DD
    #[arg(long, value_name = "DATE", value_parser = super::date)]
    pub to: Option<chrono::NaiveDate>,
    /// Cash at the start [default: that of the table of --limits, else 100000]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cash: Option<String>,
    /// Commission as a share of the traded value, per fill, for example 0.002 [default: that of the table of --limits,
    /// then that of the account that a strategy is registered on, else 0; so for the other costs]
    #[arg(long, value_name = "RATE", allow_hyphen_values = true)]
    pub commission_rate: Option<String>,
    /// Commission per share
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub commission_per_share: Option<String>,
    /// Least commission per fill
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub commission_minimum: Option<String>,
    /// Commission of an order, paid with its first fill
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub commission_per_order: Option<String>,
    /// Fees on sales: us for those of the SEC and FINRA, or none
    #[arg(long, value_name = "us|none")]
    pub regulatory_fees: Option<String>,
    /// Slippage of market orders, in basis points
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub slippage_bps: Option<String>,
    /// Slippage per share
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub slippage_per_share: Option<String>,
    /// Slippage per share of a bar's volume that a fill takes, as a share of the price
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub slippage_volume: Option<String>,
    /// Most of a bar's volume that fills, as a share; 0: volume does not matter
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    pub max_volume_share: Option<String>,
    /// Limit beside those of --limits, for example max_leverage=1.2, strategy:sma_cross.max_open_orders=3 or
    /// symbol:SPY.max_position_quantity=100 (see `tapedeck limits names`); may be given several times
    #[arg(long = "limit", value_name = "[SCOPE.]NAME=VALUE")]
    pub scoped_limits: Vec<String>,
    /// Size of an entry: fixed:SHARES, fraction:SHARE_OF_EQUITY, notional:MONEY, equal_weight[:SHARE], atr:SHARE,
    /// volatility:SHARE, half_kelly[:MOST] or risk_parity:SHARE, with options such as ,cap=0.2,lot=100
    /// [default: that of the strategy, else fraction:0.1]
    #[arg(long, value_name = "SIZING")]
    pub sizing: Option<String>,
    /// What becomes of the orders of a signal when one of them fails: none, complete, unwind or alert [default: that of
    /// the strategy, else none]
    #[arg(long, value_name = "POLICY")]
    pub group_policy: Option<String>,
    /// Account of the tape whose limits, costs and kind hold where neither options nor the table of --limits say [default:
    /// the one that the registered strategies trade on, if they trade on one]
    #[arg(long, value_name = "NAME", value_parser = super::name)]
    pub account: Option<String>,
    /// What the account may do with borrowed money and shares: none, cash or margin [default: that of the table of
    /// --limits, then that of the account that a strategy is registered on or trades on by the configuration, else none]
    #[arg(long, value_name = "KIND")]
    pub account_kind: Option<String>,
    /// Positions below zero are allowed, and strategies that can go short do
    #[arg(long)]
    pub allow_short: bool,
    /// When the market is open: XNYS, 24x5 or 24x7 [default: that of the tape; of files XNYS]
    #[arg(long, value_name = "CALENDAR")]
    pub calendar: Option<String>,
    /// Which version of a bar counts that the tape states more than once: latest, each bar in its newest version from the
    /// start, or as-known, what was known at the time; files state each bar once [default: latest]
    #[arg(long, value_name = "latest|as-known")]
    pub revisions: Option<String>,
    /// Limits, costs and cash, as an [account.NAME] table of a configuration file; none: nothing but buying power is
    /// checked [default: those of the account that a strategy is registered on, with the limits by scope of its tape, else
    /// buying power alone]
    #[arg(long, value_name = "FILE|none")]
    pub limits: Option<PathBuf>,
    /// Symbol to compare with, bought and held; it needs bars, but need not be traded
    #[arg(long, value_name = "SYMBOL", value_parser = super::symbol)]
    pub benchmark: Option<String>,
    /// Seed of whatever is drawn at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How the files' bars are to be read where they do not say themselves
    #[command(flatten)]
    pub format: BarFormat,
}

/// What `--limits` is given in the place of a file.
const NO_LIMITS: &str = "none";

impl RunOptions {
    /// The file of limits.
    pub fn limits_file(&self) -> Option<&Path> {
        self.limits.as_deref().filter(|_| !self.has_no_limits())
    }

    /// Whether nothing but buying power is to be checked, whatever a tape states.
    pub fn has_no_limits(&self) -> bool {
        self.limits.as_deref() == Some(Path::new(NO_LIMITS))
    }
}

/// Options of `backtest`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Backtest {
    /// What is done with recorded backtests.
    #[command(subcommand)]
    pub recorded: Option<RecordedCommand>,
    /// What is run.
    #[command(flatten)]
    pub run: RunOptions,
    /// Parameter of every strategy that has it; may be given several times
    #[arg(long = "param", value_name = "K=V")]
    pub parameters: Vec<String>,
    /// Program of an external strategy, run in lock-step: NAME=COMMAND, or COMMAND for the one strategy without a
    /// program. It gets the path of its credentials as its last argument, or in the place of {}
    #[arg(long = "external", value_name = "[NAME=]COMMAND")]
    pub external: Vec<String>,
    /// Write every event to a new tape, for all pages and commands [default name: made of the time]
    #[arg(long, value_name = "TAPE", num_args = 0..=1, default_missing_value = "")]
    pub record: Option<String>,
    /// Close what is open at the end at the last close, as trades
    #[arg(long)]
    pub finalize: bool,
    /// Only the numbers: form and hash no events
    #[arg(long, conflicts_with_all = ["record", "external"])]
    pub no_hash: bool,
    /// Write the closed trades, as CSV or, to a file named *.parquet, as Parquet
    #[arg(long, value_name = "FILE")]
    pub trades: Option<PathBuf>,
    /// Write the equity, one row per instant, as CSV or Parquet
    #[arg(long, value_name = "FILE")]
    pub equity: Option<PathBuf>,
    /// Write the tear sheet: a page that opens offline or, to a file named *.json, the data
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Exit 6 when this holds, for example 'sharpe<1'; may be given several times
    #[arg(long = "fail-if", value_name = "METRIC<VALUE")]
    pub fail_if: Vec<String>,
}

/// How combinations of parameters are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    /// Every combination.
    Grid,
    /// Some at random.
    Random,
    /// Where the good ones so far are (tree-structured Parzen estimator).
    Tpe,
}

/// What a search tries, and how.
#[derive(Clone, Debug, Args)]
pub struct SearchOptions {
    /// Values to try: K=FROM..TO[:STEP], K=A|B|C or one value; STRATEGY.K names one of several strategies
    #[arg(long = "param", required = true, value_name = "K=RANGE")]
    pub parameters: Vec<String>,
    /// How combinations are chosen
    #[arg(long, value_enum, default_value_t = Method::Grid)]
    pub method: Method,
    /// Number of runs, for random and tpe [default: 100]
    #[arg(long, value_name = "N")]
    pub trials: Option<usize>,
    /// What is to be highest
    #[arg(long, value_name = "METRIC", default_value = "sharpe")]
    pub metric: String,
}

/// Options of `sweep`.
#[derive(Clone, Debug, Args)]
pub struct Sweep {
    /// What is run.
    #[command(flatten)]
    pub run: RunOptions,
    /// What is tried.
    #[command(flatten)]
    pub search: SearchOptions,
    /// Rows to print, the best first; all of them in JSON
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
}

/// Options of `walk-forward`.
#[derive(Clone, Debug, Args)]
pub struct WalkForward {
    /// What is run.
    #[command(flatten)]
    pub run: RunOptions,
    /// What is tried.
    #[command(flatten)]
    pub search: SearchOptions,
    /// Sessions of an in-sample window; of the first one when anchored
    #[arg(long, value_name = "SESSIONS", default_value_t = 252)]
    pub in_sample: usize,
    /// Sessions of an out-of-sample window
    #[arg(long, value_name = "SESSIONS", default_value_t = 63)]
    pub out_of_sample: usize,
    /// Every in-sample window begins at the start of the range
    #[arg(long)]
    pub anchored: bool,
    /// Write the joined out-of-sample trades, as CSV or Parquet
    #[arg(long, value_name = "FILE")]
    pub trades: Option<PathBuf>,
    /// Write the joined out-of-sample equity, as CSV or Parquet
    #[arg(long, value_name = "FILE")]
    pub equity: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use clap::error::ErrorKind;

    use crate::cli::Cli;

    #[test]
    fn a_run_without_events_is_no_tape() {
        let read = |more: &[&str]| {
            let line = [&["tapedeck", "backtest", "--strategy", "sma_cross", "--no-hash"][..], more].concat();
            Cli::try_parse_from(line).map(drop).map_err(|error| error.kind())
        };
        assert_eq!(read(&[]), Ok(()));
        assert_eq!(read(&["--record", "run"]), Err(ErrorKind::ArgumentConflict));
        assert_eq!(read(&["--external", "python3 s.py"]), Err(ErrorKind::ArgumentConflict));
    }
}
