//! The registry of metrics: one list that JSON, page, gate and documentation read.
//!
//! `docs/metrics.md` describes each; a test holds the two together.

use std::collections::BTreeMap;

use domain::performance::{EquityStatistics, Relative, TradeStatistics};
use serde::Serialize;

use crate::warnings::SharpeEvidence;

mod table;

pub use table::METRICS;

/// How a number is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A plain number.
    Ratio,
    /// A fraction that is shown in per cent.
    Percent,
    /// Money of the account.
    Money,
    /// A whole number.
    Count,
    /// Seconds.
    Seconds,
    /// Trading days.
    Days,
}

/// Where a metric is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Return.
    Return,
    /// Risk.
    Risk,
    /// Return for risk.
    RiskAdjusted,
    /// Against a benchmark.
    Benchmark,
    /// Closed trades.
    Trades,
}

impl Group {
    /// In the order of the page.
    pub const ALL: [Self; 5] = [Self::Return, Self::Risk, Self::RiskAdjusted, Self::Benchmark, Self::Trades];

    /// Heading.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Return => "Return",
            Self::Risk => "Risk",
            Self::RiskAdjusted => "Return for risk",
            Self::Benchmark => "Against the benchmark",
            Self::Trades => "Closed trades",
        }
    }
}

/// What the metrics are read from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    /// Daily equity.
    pub equity: EquityStatistics,
    /// Closed trades.
    pub trades: TradeStatistics,
    /// Against a benchmark; undefined throughout without one.
    pub relative: Relative,
    /// How much the Sharpe ratio proves.
    pub evidence: SharpeEvidence,
    /// Share of the equity rows with exposure.
    pub time_in_market: Option<f64>,
}

/// One metric.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Metric {
    /// Name in JSON and in gates.
    pub name: &'static str,
    /// Name on a page.
    pub label: &'static str,
    /// Unit.
    pub unit: Unit,
    /// Place on a page.
    pub group: Group,
    /// What it says and when it is undefined.
    pub description: &'static str,
    /// Where the formula is from.
    pub source: &'static str,
    /// How it is read.
    #[serde(skip)]
    pub value: fn(&Measured) -> Option<f64>,
}

/// The metric of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// Metrics of which less is better: a search looks for the most and would call the worst run the best one.
const LESS_IS_BETTER: [&str; 5] =
    ["volatility", "downside_risk", "max_drawdown_days", "tracking_error", "down_capture"];

/// The metrics that a search can go by.
pub fn searched() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| !LESS_IS_BETTER.contains(&metric.name))
}

/// What a search could go by instead of `name`; nothing where it can go by that.
#[must_use]
pub fn expected_of_search(name: &str) -> Option<String> {
    if searched().any(|metric| metric.name == name) {
        return None;
    }
    let known = searched().map(|metric| metric.name).collect::<Vec<_>>().join(", ");
    Some(match find(name) {
        Some(_) => format!("one of which more is better: {known}"),
        None => format!("one of {known}"),
    })
}

/// Every metric by name.
#[must_use]
pub fn values(measured: &Measured) -> BTreeMap<String, Option<f64>> {
    let defined = |metric: &Metric| (metric.value)(measured).filter(|value| value.is_finite());
    METRICS.iter().map(|metric| (metric.name.to_owned(), defined(metric))).collect()
}
