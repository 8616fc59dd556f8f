//! The augmented Dickey–Fuller test of a unit root.
//!
//! Regresses the change on the level before it, the trend and as many lagged changes as the criterion chooses.
//! The most lags considered are ⌈12 (n / 100)^¼⌉ (Schwert 1989), bounded so that enough rows remain; the
//! criterion compares models over one set of rows, and the chosen one is fitted again over all rows it has.

use std::f64::consts::PI;

use super::{LeastSquares, Undefined, differences, enough, finite, mackinnon, varied};

/// What the series may have beside its unit root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// Nothing (`n`).
    None,
    /// A constant (`c`).
    Constant,
    /// A constant and a linear trend (`ct`).
    Linear,
}

/// What chooses the number of lags; the smallest value wins, of equal ones the fewest lags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// Akaike's.
    Aic,
    /// Schwarz's.
    Bic,
}

/// An augmented Dickey–Fuller test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DickeyFuller {
    /// The t statistic of the level; the lower, the less a unit root.
    pub statistic: f64,
    /// MacKinnon's approximate p-value of a unit root.
    pub p_value: f64,
    /// Lagged changes used.
    pub lags: usize,
    /// Rows of the regression.
    pub observations: usize,
    /// Critical values at 1, 5 and 10 %.
    pub critical: [f64; 3],
}

impl Trend {
    fn terms(self) -> usize {
        match self {
            Self::None => 0,
            Self::Constant => 1,
            Self::Linear => 2,
        }
    }
}

/// Tests `series` for a unit root.
pub fn dickey_fuller(series: &[f64], trend: Trend, criterion: Criterion) -> Result<DickeyFuller, Undefined> {
    finite(series)?;
    let terms = trend.terms();
    enough(series.len(), 2 * (terms + 2))?;
    varied(series)?;
    let lags = chosen_lags(series, trend, criterion)?;
    let fit = regression(series, trend, lags)?;
    let statistic = fit.t_statistic(terms, terms + 1 + lags).ok_or(Undefined::Singular)?;
    let observations = fit.observations();
    let (p_value, critical) = mackinnon::unit_root(statistic, trend, observations);
    Ok(DickeyFuller { statistic, p_value, lags, observations, critical })
}

fn chosen_lags(series: &[f64], trend: Trend, criterion: Criterion) -> Result<usize, Undefined> {
    let terms = trend.terms();
    let most = most_lags(series.len(), terms);
    // One factorisation of all lags holds every model with fewer.
    let fit = regression(series, trend, most)?;
    let rows = fit.observations() as f64;
    let information = |lags: usize| {
        let columns = terms + 1 + lags;
        let log_likelihood = -rows / 2.0 * (fit.squared_error(columns).ln() + 1.0 + (2.0 * PI / rows).ln());
        let price = match criterion {
            Criterion::Aic => 2.0,
            Criterion::Bic => rows.ln(),
        };
        price * columns as f64 - 2.0 * log_likelihood
    };
    let least = (0..=most).min_by(|one, other| information(*one).total_cmp(&information(*other)));
    Ok(least.unwrap_or(0))
}

/// The most lags considered for `length` observations.
fn most_lags(length: usize, terms: usize) -> usize {
    let schwert = (12.0 * (length as f64 / 100.0).powf(0.25)).ceil();
    let bound = (length / 2).saturating_sub(terms + 1);
    (0..bound).find(|lags| *lags as f64 >= schwert).unwrap_or(bound)
}

/// The regression with `lags` lagged changes. Columns: trend, level, changes from the newest to the oldest.
fn regression(series: &[f64], trend: Trend, lags: usize) -> Result<LeastSquares, Undefined> {
    let changes = differences(series);
    let rows = changes.len() - lags;
    let mut columns = Vec::with_capacity(trend.terms() + 1 + lags);
    if trend != Trend::None {
        columns.push(vec![1.0; rows]);
    }
    if trend == Trend::Linear {
        columns.push((1..=rows).map(|row| row as f64).collect());
    }
    columns.push(series[lags..lags + rows].to_vec());
    columns.extend((1..=lags).map(|lag| changes[lags - lag..lags - lag + rows].to_vec()));
    LeastSquares::of(columns, changes[lags..].to_vec())
}
