//! Everything that is said of a pair, in one report.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Deterministic, EngleGranger, Undefined, engle_granger, half_life, hurst_exponent, johansen};
use crate::money::Price;

/// Lagged changes of the Johansen test.
const JOHANSEN_LAGS: usize = 1;

/// What two series have to do with each other; the series are logarithms of prices where money is meant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairStatistics {
    /// Rows at which both have a value.
    pub observations: usize,
    /// Units of the second that one unit of the first is hedged with.
    pub hedge_ratio: f64,
    /// Constant of the regression.
    pub intercept: f64,
    /// Engle–Granger test of no cointegration.
    pub engle_granger: UnitRoot,
    /// Observations until half of a deviation is gone; absent when the spread does not come back.
    pub half_life: Option<f64>,
    /// Hurst exponent of the spread; below ½ it comes back.
    pub hurst: Option<f64>,
    /// Standard deviation of the spread.
    pub spread_deviation: Option<f64>,
    /// Standard deviations that the spread is away from its mean at the last row.
    pub z_score: Option<f64>,
    /// Johansen test with a constant and one lagged change; absent when the two series are one, or without any error.
    pub johansen: Option<JohansenReport>,
}

/// A unit-root statistic of the spread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitRoot {
    /// Augmented Dickey–Fuller statistic; absent when the two series are one, which leaves no spread.
    pub statistic: Option<f64>,
    /// MacKinnon's approximate p-value.
    pub p_value: f64,
    /// Lagged changes, by Akaike's criterion.
    pub lags: usize,
    /// Critical values at 1, 5 and 10 %.
    pub critical_values: [f64; 3],
}

/// A Johansen test: element 0 asks for no cointegrating combination, element 1 for at most one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JohansenReport {
    /// Lagged changes.
    pub lags: usize,
    /// Eigenvalues.
    pub eigenvalues: [f64; 2],
    /// Trace statistics.
    pub trace: [f64; 2],
    /// Critical values of the trace statistics at 90, 95 and 99 %.
    pub trace_critical_values: [[f64; 3]; 2],
    /// Maximum-eigenvalue statistics.
    pub maximum: [f64; 2],
    /// Critical values of the maximum-eigenvalue statistics at 90, 95 and 99 %.
    pub maximum_critical_values: [[f64; 3]; 2],
}

/// The statistics of two symbols over a range of time.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredPair {
    /// Close of the first bar that both have, UTC nanoseconds.
    pub from_ns: i64,
    /// Close of the last bar that both have, UTC nanoseconds.
    pub to_ns: i64,
    /// Of the logarithms of the closes.
    pub statistics: PairStatistics,
}

impl MeasuredPair {
    /// Measures two symbols' closes by instant, where both have a positive one.
    pub fn of(first: &BTreeMap<i64, Price>, second: &BTreeMap<i64, Price>) -> Result<Self, Undefined> {
        let common = first.iter().filter_map(|(at, first)| Some((*at, [*first, *second.get(at)?])));
        let positive = common.filter(|(_, closes)| closes.iter().all(|close| *close > Price::ZERO));
        let rows: Vec<(i64, [f64; 2])> =
            positive.map(|(at, closes)| (at, closes.map(|close| close.to_f64().ln()))).collect();
        let column = |leg: usize| rows.iter().map(|(_, logs)| logs[leg]).collect::<Vec<_>>();
        let statistics = PairStatistics::of(&column(0), &column(1))?;
        let at = |row: Option<&(i64, [f64; 2])>| row.map_or(0, |(at, _)| *at);
        Ok(Self { from_ns: at(rows.first()), to_ns: at(rows.last()), statistics })
    }
}

impl PairStatistics {
    /// Measures two series, oldest first.
    pub fn of(first: &[f64], second: &[f64]) -> Result<Self, Undefined> {
        let test = engle_granger(first, second)?;
        let johansen = match johansen(first, second, Deterministic::Constant, JOHANSEN_LAGS) {
            Ok(test) => Some(JohansenReport {
                lags: JOHANSEN_LAGS,
                eigenvalues: test.eigenvalues,
                trace: test.trace,
                trace_critical_values: test.trace_critical,
                maximum: test.maximum,
                maximum_critical_values: test.maximum_critical,
            }),
            Err(Undefined::Singular) => None,
            Err(error) => return Err(error),
        };
        let deviation = test.deviation();
        let last = test.residuals.last().copied();
        let EngleGranger { intercept, hedge_ratio, statistic, p_value, lags, critical, residuals } = test;
        Ok(Self {
            observations: residuals.len(),
            hedge_ratio,
            intercept,
            engle_granger: UnitRoot {
                statistic: Some(statistic).filter(|statistic| statistic.is_finite()),
                p_value,
                lags,
                critical_values: critical,
            },
            half_life: half_life(&residuals),
            hurst: hurst_exponent(&residuals).filter(|hurst| hurst.is_finite()),
            spread_deviation: deviation,
            z_score: last.zip(deviation).map(|(last, deviation)| last / deviation),
            johansen,
        })
    }
}
