//! Ratios and tails of daily returns, as `empyrical-reloaded` defines them.
//!
//! Every function takes simple daily returns; a required or risk-free rate is per year and is brought down to a
//! day geometrically ([`daily_rate`]). `None` is what that package calls `nan`, and also what it calls infinite.

use super::statistics::{NO_DEVIATION, PERIODS_PER_YEAR};

/// The daily rate that compounds to `annual` in a year of 252 days; `None` at −100 % or less.
#[must_use]
pub fn daily_rate(annual: f64) -> Option<f64> {
    (annual > -1.0 && annual.is_finite()).then(|| (1.0 + annual).powf(1.0 / PERIODS_PER_YEAR) - 1.0)
}

/// Only a number that is one.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// A quotient, unless there is nothing to divide by.
pub(super) fn quotient(numerator: f64, denominator: f64) -> Option<f64> {
    (denominator.abs() > 0.0).then(|| numerator / denominator).and_then(finite)
}

/// The mean; `None` of nothing.
pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64).and_then(finite)
}

/// Growth of one unit over all `returns`.
fn growth(returns: &[f64]) -> f64 {
    returns.iter().fold(1.0, |value, step| value * (1.0 + step))
}

/// Compound annual growth rate by trading days: growth^(252 / n) − 1. `None` without returns, or when more than
/// everything was lost.
#[must_use]
pub fn cagr(returns: &[f64]) -> Option<f64> {
    if returns.is_empty() {
        return None;
    }
    finite(growth(returns).powf(PERIODS_PER_YEAR / returns.len() as f64) - 1.0)
}

/// Compound annual growth rate by calendar days: growth^(365.25 / days) − 1, as `backtesting` calls its CAGR.
/// `None` when no time passed.
#[must_use]
pub fn cagr_calendar(growth: f64, days: f64) -> Option<f64> {
    if days <= 0.0 {
        return None;
    }
    finite(growth.powf(365.25 / days) - 1.0)
}

/// Deviation of the returns below the required one, over all n days, times √252.
#[must_use]
pub fn downside_risk(returns: &[f64], required_annual: f64) -> Option<f64> {
    let required = daily_rate(required_annual)?;
    let squares: Vec<f64> = returns.iter().map(|value| (value - required).min(0.0).powi(2)).collect();
    finite(mean(&squares)?.sqrt() * PERIODS_PER_YEAR.sqrt())
}

/// Mean return above the required one × 252, over [`downside_risk`]. `None` for fewer than two returns, and
/// when no day fell short.
#[must_use]
pub fn sortino(returns: &[f64], required_annual: f64) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    let required = daily_rate(required_annual)?;
    let excess: Vec<f64> = returns.iter().map(|value| value - required).collect();
    quotient(mean(&excess)? * PERIODS_PER_YEAR, downside_risk(returns, required_annual)?)
}

/// [`cagr`] over the depth of the deepest drawdown. `None` when equity never fell.
#[must_use]
pub fn calmar(returns: &[f64], max_drawdown: f64) -> Option<f64> {
    if max_drawdown < 0.0 { quotient(cagr(returns)?, max_drawdown.abs()) } else { None }
}

/// What the days above the required return gained over what the days below it lost. `None` for fewer than two
/// returns, and when nothing was lost.
#[must_use]
pub fn omega(returns: &[f64], required_annual: f64) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    let required = daily_rate(required_annual)?;
    let excess = || returns.iter().map(|value| value - required);
    let gained: f64 = excess().filter(|value| *value > 0.0).sum();
    let lost: f64 = -excess().filter(|value| *value < 0.0).sum::<f64>();
    quotient(gained, lost)
}

/// Percentile of ascending values, interpolated linearly, as numpy does by default.
#[must_use]
pub fn percentile(ascending: &[f64], share: f64) -> Option<f64> {
    let last = ascending.len().checked_sub(1)?;
    let position = share.clamp(0.0, 1.0) * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the slice")]
    let below = position.floor() as usize;
    let (low, high) = (*ascending.get(below)?, *ascending.get((below + 1).min(last))?);
    finite(low + (high - low) * (position - below as f64))
}

/// The values in ascending order.
#[must_use]
pub fn ascending(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// |95th percentile| over |5th percentile| of the returns.
#[must_use]
pub fn tail_ratio(returns: &[f64]) -> Option<f64> {
    let sorted = ascending(returns);
    quotient(percentile(&sorted, 0.95)?.abs(), percentile(&sorted, 0.05)?.abs())
}

/// Historical value at risk: the `share` percentile of the returns, negative for a loss.
#[must_use]
pub fn value_at_risk(returns: &[f64], share: f64) -> Option<f64> {
    percentile(&ascending(returns), share)
}

/// Historical conditional value at risk: the mean of the lowest ⌊(n − 1) · share⌋ + 1 returns.
#[must_use]
pub fn conditional_value_at_risk(returns: &[f64], share: f64) -> Option<f64> {
    let last = returns.len().checked_sub(1)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the length")]
    let index = (last as f64 * share.clamp(0.0, 1.0)) as usize;
    mean(ascending(returns).get(..=index)?)
}

/// r² of the cumulated log returns against time. `None` for fewer than two returns, for a total loss, and for a
/// curve that is flat throughout.
#[must_use]
pub fn stability(returns: &[f64]) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    let mut sum = 0.0;
    let curve: Vec<f64> = returns
        .iter()
        .map(|value| {
            sum += value.ln_1p();
            sum
        })
        .collect();
    let days: Vec<f64> = (0..curve.len()).map(|day| day as f64).collect();
    correlation(&days, &curve).map(|r| r * r)
}

/// Correlation of two series of one length; `None` when one of them does not move.
#[must_use]
pub fn correlation(left: &[f64], right: &[f64]) -> Option<f64> {
    if left.len() != right.len() || left.len() < 2 {
        return None;
    }
    let (mean_left, mean_right) = (mean(left)?, mean(right)?);
    let (mut both, mut squares_left, mut squares_right) = (0.0, 0.0, 0.0);
    for (x, y) in left.iter().zip(right) {
        let (x, y) = (x - mean_left, y - mean_right);
        both += x * y;
        squares_left += x * x;
        squares_right += y * y;
    }
    let moves = |squares: f64| (squares / left.len() as f64).sqrt() > NO_DEVIATION;
    if !moves(squares_left) || !moves(squares_right) {
        return None;
    }
    quotient(both, squares_left.sqrt() * squares_right.sqrt()).map(|r| r.clamp(-1.0, 1.0))
}
