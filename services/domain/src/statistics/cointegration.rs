//! The Engle–Granger test: is there a combination of two series that comes back?
//!
//! `first` is regressed on `second` and a constant; the residuals are tested for a unit root without constant,
//! lags by Akaike's criterion, against the distribution for two series.

use super::{Criterion, LeastSquares, Trend, Undefined, dickey_fuller, even, mackinnon, varied};

/// Share of variance that is left unexplained below which two series are one, and the test says nothing.
const COLLINEAR: f64 = 100.0 * 1.490_116_119_384_765_6e-8;

/// An Engle–Granger test.
#[derive(Clone, Debug, PartialEq)]
pub struct EngleGranger {
    /// Constant of the regression.
    pub intercept: f64,
    /// Units of `second` that one unit of `first` is hedged with.
    pub hedge_ratio: f64,
    /// The Dickey–Fuller statistic of the residuals; minus infinity when the two series are one.
    pub statistic: f64,
    /// MacKinnon's approximate p-value of no cointegration.
    pub p_value: f64,
    /// Lagged changes used.
    pub lags: usize,
    /// Critical values at 1, 5 and 10 %.
    pub critical: [f64; 3],
    /// `first − hedge_ratio · second − intercept`, per observation; zero throughout when nothing but rounding is left.
    pub residuals: Vec<f64>,
}

impl EngleGranger {
    /// Standard deviation of the residuals (one degree of freedom less), the unit of a z-score; `None` when they
    /// do not vary.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let rest = self.residuals.len().checked_sub(1).filter(|rest| *rest > 0)?;
        let squares = self.residuals.iter().map(|value| value * value).sum::<f64>();
        Some((squares / rest as f64).sqrt()).filter(|deviation| *deviation > 0.0)
    }
}

/// What is left of `first` after `second` at a hedge ratio and a constant.
#[must_use]
pub fn spread_of(first: f64, second: f64, hedge_ratio: f64, intercept: f64) -> f64 {
    first - hedge_ratio * second - intercept
}

/// Tests whether `first` and `second` are cointegrated.
pub fn engle_granger(first: &[f64], second: &[f64]) -> Result<EngleGranger, Undefined> {
    even(first, second)?;
    let columns = vec![second.to_vec(), vec![1.0; second.len()]];
    let fit = LeastSquares::of(columns, first.to_vec())?;
    varied(first)?;
    let [hedge_ratio, intercept] = fit.coefficients(2)[..] else { return Err(Undefined::Singular) };
    let residual = |(first, second): (&f64, &f64)| spread_of(*first, *second, hedge_ratio, intercept);
    let mut residuals: Vec<f64> = first.iter().zip(second).map(residual).collect();
    // What is left of a series that is the other one is rounding: there is no spread that could come back.
    let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let rounding = f64::EPSILON * first.len() as f64;
    if squares(&residuals) <= rounding * rounding * squares(first) {
        residuals.fill(0.0);
    }
    let mean = first.iter().sum::<f64>() / first.len() as f64;
    let total = first.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    let (statistic, lags) = if fit.squared_error(2) > COLLINEAR * total {
        let test = dickey_fuller(&residuals, Trend::None, Criterion::Aic)?;
        (test.statistic, test.lags)
    } else {
        (f64::NEG_INFINITY, 0)
    };
    let (p_value, critical) = mackinnon::cointegration(statistic, first.len() - 1);
    Ok(EngleGranger { intercept, hedge_ratio, statistic, p_value, lags, critical, residuals })
}
