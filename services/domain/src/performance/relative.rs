//! A series of daily returns against a benchmark's returns of the same days, as `empyrical-reloaded` does it.

use super::ratios::{cagr, correlation, daily_rate, finite, mean, quotient};
use super::statistics::{NO_DEVIATION, PERIODS_PER_YEAR, mean_and_deviation};

/// Variances below this are no movement: the bound of `empyrical-reloaded`.
const NO_VARIANCE: f64 = 1e-30;

/// A strategy against its benchmark. Each number is `None` where it is undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Relative {
    /// Excess return per year that beta does not explain, compounded.
    pub alpha: Option<f64>,
    /// Covariance with the benchmark over its variance.
    pub beta: Option<f64>,
    /// Correlation of the daily returns.
    pub correlation: Option<f64>,
    /// Sample deviation of the active returns, times √252.
    pub tracking_error: Option<f64>,
    /// Mean active return over its sample deviation, per day: `excess_sharpe`.
    pub information_ratio: Option<f64>,
    /// The same, times √252.
    pub information_ratio_annual: Option<f64>,
    /// CAGR on the days the benchmark rose, over the benchmark's on them.
    pub up_capture: Option<f64>,
    /// CAGR on the days the benchmark fell, over the benchmark's on them.
    pub down_capture: Option<f64>,
    /// Up capture over down capture.
    pub capture_ratio: Option<f64>,
    /// CAGR of the benchmark itself.
    pub benchmark_cagr: Option<f64>,
    /// Total return of the benchmark itself.
    pub benchmark_return: Option<f64>,
}

impl Relative {
    /// Compares `returns` with `benchmark`, day by day; both have one length, else nothing is defined.
    #[must_use]
    pub fn of(returns: &[f64], benchmark: &[f64], risk_free_annual: f64) -> Self {
        if returns.len() != benchmark.len() || returns.is_empty() {
            return Self::default();
        }
        let active: Vec<f64> = returns.iter().zip(benchmark).map(|(own, other)| own - other).collect();
        let moved = mean_and_deviation(&active);
        let information = moved
            .filter(|(_, deviation)| *deviation > NO_DEVIATION)
            .and_then(|(mean, deviation)| quotient(mean, deviation));
        let up_capture = capture(returns, benchmark, |other| other > 0.0);
        let down_capture = capture(returns, benchmark, |other| other < 0.0);
        Self {
            alpha: alpha(returns, benchmark, risk_free_annual),
            beta: beta(returns, benchmark),
            correlation: correlation(returns, benchmark),
            tracking_error: moved.map(|(_, deviation)| deviation * PERIODS_PER_YEAR.sqrt()),
            information_ratio: information,
            information_ratio_annual: information.map(|ratio| ratio * PERIODS_PER_YEAR.sqrt()),
            up_capture,
            down_capture,
            capture_ratio: up_capture.zip(down_capture).and_then(|(up, down)| quotient(up, down)),
            benchmark_cagr: cagr(benchmark),
            benchmark_return: finite(benchmark.iter().fold(1.0, |value, step| value * (1.0 + step)) - 1.0),
        }
    }
}

/// Covariance of `returns` with `benchmark` over the benchmark's variance. A constant rate taken from both
/// changes neither, so there is no risk-free rate here. `None` for fewer than two days, and for a benchmark
/// that does not move.
#[must_use]
pub fn beta(returns: &[f64], benchmark: &[f64]) -> Option<f64> {
    if returns.len() != benchmark.len() || returns.len() < 2 {
        return None;
    }
    let middle = mean(benchmark)?;
    let products: Vec<f64> =
        returns.iter().zip(benchmark).map(|(own, other)| (other - middle) * own).collect();
    let squares: Vec<f64> = benchmark.iter().map(|other| (other - middle).powi(2)).collect();
    let variance = mean(&squares).filter(|variance| *variance >= NO_VARIANCE)?;
    quotient(mean(&products)?, variance)
}

/// (1 + mean of what beta does not explain)^252 − 1.
#[must_use]
pub fn alpha(returns: &[f64], benchmark: &[f64], risk_free_annual: f64) -> Option<f64> {
    let risk_free = daily_rate(risk_free_annual)?;
    let beta = beta(returns, benchmark)?;
    let rest: Vec<f64> = returns
        .iter()
        .zip(benchmark)
        .map(|(own, other)| (own - risk_free) - beta * (other - risk_free))
        .collect();
    finite((1.0 + mean(&rest)?).powf(PERIODS_PER_YEAR) - 1.0)
}

/// CAGR over the benchmark's CAGR on the days that `wanted` picks by the benchmark's return.
fn capture(returns: &[f64], benchmark: &[f64], wanted: fn(f64) -> bool) -> Option<f64> {
    let days = || returns.iter().zip(benchmark).filter(|(_, other)| wanted(**other));
    let own: Vec<f64> = days().map(|(own, _)| *own).collect();
    let other: Vec<f64> = days().map(|(_, other)| *other).collect();
    quotient(cagr(&own)?, cagr(&other)?)
}
