//! The formulas. Each names when it is undefined.

use super::ratios::daily_rate;
use crate::money::Amount;

/// Trading days in a year, by convention.
pub const PERIODS_PER_YEAR: f64 = 252.0;

/// Deviations below this are the rounding of a float near one, not movement: a series that grows by the
/// same rate every day has no Sharpe ratio.
pub(super) const NO_DEVIATION: f64 = 1e-14;

/// Simple returns from each day to the next. `None` when there are fewer than two values, or when one
/// that has to be divided by is not positive.
#[must_use]
pub fn returns(equity: &[Amount]) -> Option<Vec<f64>> {
    if equity.len() < 2 {
        return None;
    }
    equity
        .windows(2)
        .map(|pair| match pair {
            [before, after] if *before > Amount::ZERO => Some(after.to_f64() / before.to_f64() - 1.0),
            _ => None,
        })
        .collect()
}

/// Last over first value, minus one. `None` when there are fewer than two values or the first is not
/// positive.
#[must_use]
pub fn total_return(equity: &[Amount]) -> Option<f64> {
    match equity {
        [first, .., last] if *first > Amount::ZERO => Some(last.to_f64() / first.to_f64() - 1.0),
        _ => None,
    }
}

/// Per value, its distance from the running maximum: value / maximum − 1, zero or negative. `None` when
/// the series is empty or starts without positive equity.
#[must_use]
pub fn drawdowns(equity: &[Amount]) -> Option<Vec<f64>> {
    let mut maximum = equity.first().copied().filter(|first| *first > Amount::ZERO)?;
    let below_maximum = |value: &Amount| {
        maximum = maximum.max(*value);
        // An exact zero at the maximum, whatever the floats do.
        if *value == maximum { 0.0 } else { value.to_f64() / maximum.to_f64() - 1.0 }
    };
    Some(equity.iter().map(below_maximum).collect())
}

/// The lowest of [`drawdowns`], the starting equity included; zero when equity never fell. `None` when
/// there are fewer than two values or the first is not positive.
#[must_use]
pub fn max_drawdown(equity: &[Amount]) -> Option<f64> {
    if equity.len() < 2 {
        return None;
    }
    drawdowns(equity)?.into_iter().reduce(f64::min)
}

/// Sample deviation of daily returns, times √252. `None` for fewer than two returns.
#[must_use]
pub fn annual_volatility(returns: &[f64]) -> Option<f64> {
    Some(mean_and_deviation(returns)?.1 * PERIODS_PER_YEAR.sqrt())
}

/// Mean of the daily returns in excess of the risk-free rate, over their sample deviation, times √252.
/// `None` for fewer than two returns, for returns that do not vary, and for a rate of −100 % or less.
#[must_use]
pub fn sharpe(returns: &[f64], risk_free_annual: f64) -> Option<f64> {
    let risk_free = daily_rate(risk_free_annual)?;
    let (mean, deviation) = mean_and_deviation(returns)?;
    let ratio = (mean - risk_free) / deviation * PERIODS_PER_YEAR.sqrt();
    (deviation > NO_DEVIATION && ratio.is_finite()).then_some(ratio)
}

/// Mean and sample deviation (ddof 1) of at least two finite values.
pub(super) fn mean_and_deviation(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let deviation = (squares / (count - 1.0)).sqrt();
    (mean.is_finite() && deviation.is_finite()).then_some((mean, deviation))
}
