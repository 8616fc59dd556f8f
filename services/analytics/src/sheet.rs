//! The tear sheet as data: what is stored, sent and shown.
//!
//! Money is decimal text, ratios and returns are fractions (0.1 is ten per cent), dates are those of sessions.
//! What is undefined is null. Columns of one table have one length.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::monte_carlo::MonteCarlo;
use crate::warnings::Warning;

/// Layout of the data; a change that a reader could stumble over counts up.
pub const SCHEMA: u32 = 1;

/// What a run comes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TearSheet {
    /// See [`SCHEMA`].
    pub schema: u32,
    /// What ran.
    pub run: RunFacts,
    /// When it began and ended, and with how much.
    pub span: Span,
    /// Every metric of the registry by name, see [`crate::metrics::METRICS`].
    pub statistics: BTreeMap<String, Option<f64>>,
    /// The session closes.
    pub daily: Daily,
    /// The deepest drawdowns.
    pub drawdowns: Vec<DrawdownRow>,
    /// Returns by year and month.
    pub years: Vec<YearRow>,
    /// How the daily returns are spread; null without returns.
    pub histogram: Option<Histogram>,
    /// Sharpe ratio and volatility over a moving window; null when there are too few days.
    pub rolling: Option<Rolling>,
    /// The newest closed trades, newest last, at most [`crate::build::TRADES_MAX`].
    pub trades: Vec<TradeRow>,
    /// How many closed trades there are in all.
    pub trades_total: usize,
    /// What trading cost.
    pub costs: Costs,
    /// How often things happened.
    pub counts: Counts,
    /// What it is compared with.
    pub benchmark: Option<BenchmarkFacts>,
    /// Other orders of the same trades.
    pub monte_carlo: Option<MonteCarlo>,
    /// What to be careful about.
    pub warnings: Vec<Warning>,
    /// Why there are no trades; empty when there are some.
    pub no_trades: Vec<String>,
}

/// What ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunFacts {
    /// Heading, for example `sma_cross on SPY`.
    pub title: String,
    /// `backtest`, `rehearsal`, `paper` or `live`.
    pub kind: String,
    /// Id of the run, when it has one.
    pub run_id: Option<String>,
    /// Account, when it is not the run's own.
    pub account: Option<String>,
    /// The strategies and their parameters.
    pub strategies: Vec<StrategyFacts>,
    /// Symbols.
    pub symbols: Vec<String>,
    /// Timeframe of the bars.
    pub timeframe: String,
    /// Calendar that says when a day ends.
    pub calendar: String,
    /// Everything else that was set, in the order in which it is shown: costs, sizing, limits, seed.
    pub settings: Vec<Setting>,
    /// Hash of the market data.
    pub data_hash: Option<String>,
    /// Hash of signals, decisions, orders and fills.
    pub result_hash: Option<String>,
    /// Version of the program.
    pub code_version: String,
    /// What a reader has to know, for example that nothing was recorded on the tape.
    pub notes: Vec<String>,
}

/// A strategy that ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StrategyFacts {
    /// Its id.
    pub id: String,
    /// What it is an instance of.
    pub kind: String,
    /// Parameters by name.
    pub parameters: BTreeMap<String, String>,
}

/// One thing that was set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// When a run began and ended, and with how much.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// First instant, RFC 3339 in UTC; null without equity rows.
    pub from: Option<String>,
    /// Last instant.
    pub to: Option<String>,
    /// Equity at the first instant.
    pub starting_equity: Option<String>,
    /// Equity at the last.
    pub final_equity: Option<String>,
    /// Highest equity of any instant.
    pub peak_equity: Option<String>,
    /// Equity rows.
    pub instants: usize,
}

/// Session closes, as columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Daily {
    /// Date of the first instant: where the starting equity stands.
    pub start_date: Option<NaiveDate>,
    /// Dates of the sessions that ended.
    pub dates: Vec<NaiveDate>,
    /// Equity at their closes.
    pub equity: Vec<String>,
    /// Return since the close before, or since the start; null when that was nothing.
    pub returns: Vec<Option<f64>>,
    /// Distance from the running maximum: zero or negative.
    pub drawdown: Vec<Option<f64>>,
    /// Exposure over equity; null when equity is not positive.
    pub exposure: Vec<Option<f64>>,
    /// What the starting equity had come to in the benchmark; null on days it has no close for.
    pub benchmark: Vec<Option<f64>>,
    /// Times of the closes, RFC 3339 in UTC. These and what follows are not in reports of older versions.
    #[serde(default)]
    pub times: Vec<String>,
    /// Cash at the closes.
    #[serde(default)]
    pub cash: Vec<String>,
    /// Value of all positions at the closes, long and short ones added up.
    #[serde(default)]
    pub exposure_value: Vec<String>,
}

/// One drawdown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrawdownRow {
    /// Lowest value over the maximum, minus one.
    pub depth: f64,
    /// Date of the maximum.
    pub start: NaiveDate,
    /// Date of the lowest value.
    pub trough: NaiveDate,
    /// Date of the first value back at the maximum; null while it lasts.
    pub recovery: Option<NaiveDate>,
    /// Trading days from the start to the recovery, or to the end.
    pub sessions: usize,
    /// Calendar days likewise.
    pub days: i64,
}

/// The returns of one year.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct YearRow {
    /// The year.
    pub year: i32,
    /// Returns of its months, January first; null where there is none.
    pub months: [Option<f64>; 12],
    /// Return of the year; the months compound to it.
    pub total: Option<f64>,
    /// Return of the benchmark in the same days.
    pub benchmark: Option<f64>,
}

/// How daily returns are spread over bins of equal width.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Lower edge of the first bin.
    pub lowest: f64,
    /// Width of a bin.
    pub width: f64,
    /// Days per bin; the upper edge of the last one belongs to it.
    pub counts: Vec<usize>,
}

/// Metrics of a moving window, as columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rolling {
    /// Days in the window.
    pub window: usize,
    /// Last date of each window.
    pub dates: Vec<NaiveDate>,
    /// Sharpe ratio of the window.
    pub sharpe: Vec<Option<f64>>,
    /// Annual volatility of the window.
    pub volatility: Vec<Option<f64>>,
}

/// A closed trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TradeRow {
    /// Strategy.
    pub strategy: String,
    /// Symbol.
    pub symbol: String,
    /// `long` or `short`.
    pub side: String,
    /// Shares.
    pub quantity: String,
    /// When it was entered, RFC 3339 in UTC.
    pub entry_time: String,
    /// Price of the entry.
    pub entry_price: String,
    /// When it was left.
    pub exit_time: String,
    /// Price of the exit.
    pub exit_price: String,
    /// Commissions and fees of both sides.
    pub commission: String,
    /// Net profit.
    pub pnl: String,
    /// Net profit over what the entry cost.
    pub return_pct: Option<f64>,
}

impl TradeRow {
    /// Columns of a file of trades, here and wherever else trades are written.
    pub const COLUMNS: [&'static str; 10] = [
        "symbol",
        "side",
        "quantity",
        "entry_time",
        "entry_price",
        "exit_time",
        "exit_price",
        "commission",
        "pnl",
        "strategy",
    ];

    /// Its cells under [`TradeRow::COLUMNS`].
    #[must_use]
    pub fn cells(self) -> [String; 10] {
        [
            self.symbol,
            self.side,
            self.quantity,
            self.entry_time,
            self.entry_price,
            self.exit_time,
            self.exit_price,
            self.commission,
            self.pnl,
            self.strategy,
        ]
    }
}

impl Daily {
    /// Columns of a file of equity, here and wherever else equity is written.
    pub const COLUMNS: [&'static str; 4] = ["time", "equity", "cash", "exposure"];

    /// Its rows under [`Daily::COLUMNS`]. A report of an older version has dates in place of times, and no more than
    /// equity beside them.
    #[must_use]
    pub fn cells(&self) -> Vec<[String; 4]> {
        let rows = self.dates.iter().zip(&self.equity).enumerate();
        rows.map(|(row, (date, equity))| {
            let cell = |column: &[String]| column.get(row).cloned();
            [
                cell(&self.times).unwrap_or_else(|| date.to_string()),
                equity.clone(),
                cell(&self.cash).unwrap_or_default(),
                cell(&self.exposure_value).unwrap_or_default(),
            ]
        })
        .collect()
    }
}

/// What trading cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// Commissions and fees.
    pub commission: String,
    /// Slippage against the price without it; null where it is not known.
    pub slippage: Option<String>,
    /// Commissions and fees over the starting equity.
    pub commission_share: Option<f64>,
}

/// How often things happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Bars walked.
    pub bars: u64,
    /// Bars that the calendar expects and the data lack; null when nobody counted.
    pub missing_bars: Option<u64>,
    /// Signals.
    pub signals: u64,
    /// Signals that were approved.
    pub approved: u64,
    /// Signals that were denied, by rule.
    pub denied: BTreeMap<String, u64>,
    /// Orders.
    pub orders: u64,
    /// Orders the broker refused.
    pub rejected: u64,
    /// Orders that expired.
    pub expired: u64,
    /// Fills.
    pub fills: u64,
    /// Bars that could have hit both a stop and a target; the worse was taken.
    pub ambiguous_bars: u64,
    /// Trades still open at the end.
    pub open_trades: u64,
}

/// What a run is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkFacts {
    /// Its name, for example `SPY, bought and held`.
    pub name: String,
    /// Days that both have.
    pub days: usize,
}

impl TearSheet {
    /// One metric by name; `None` where it is undefined or unknown.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.statistics.get(name).copied().flatten()
    }

    /// The sheet as one JSON document.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// The sheet as one page that needs nothing else: no script, no network.
    pub fn to_html(&self) -> Result<String, askama::Error> {
        crate::html::page(self)
    }
}
