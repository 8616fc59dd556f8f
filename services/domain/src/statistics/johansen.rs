//! Johansen's test: how many combinations of two series come back?
//!
//! Changes and levels are freed of the deterministic part and of lagged changes; the eigenvalues are the squared
//! canonical correlations of what is left. They are found from orthonormal bases of both, which keeps the
//! digits that an inverse of near-singular moments would lose. Critical values: J. G. MacKinnon, A. A. Haug and
//! L. Michelis, "Numerical distribution functions of likelihood ratio tests for cointegration" (1996).

use super::{LeastSquares, Undefined, differences, enough, even, finite};

/// What is taken out of the levels before the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deterministic {
    /// Nothing.
    None,
    /// A constant.
    Constant,
    /// A constant and a linear trend.
    Linear,
}

/// A Johansen test of two series. Element 0 asks whether there is no cointegrating combination, element 1
/// whether there is at most one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Johansen {
    /// Eigenvalues, the larger first.
    pub eigenvalues: [f64; 2],
    /// Trace statistics.
    pub trace: [f64; 2],
    /// Maximum-eigenvalue statistics.
    pub maximum: [f64; 2],
    /// Critical values of the trace statistics at 90, 95 and 99 %.
    pub trace_critical: [[f64; 3]; 2],
    /// Critical values of the maximum-eigenvalue statistics at 90, 95 and 99 %.
    pub maximum_critical: [[f64; 3]; 2],
}

/// Critical values for two series, then for one: trace, then maximum eigenvalue.
type Critical = [[[f64; 3]; 2]; 2];

const CRITICAL_NONE: Critical = [
    [[10.4741, 12.3212, 16.3640], [2.9762, 4.1296, 6.9406]],
    [[9.4748, 11.2246, 15.0923], [2.9762, 4.1296, 6.9406]],
];
const CRITICAL_CONSTANT: Critical = [
    [[13.4294, 15.4943, 19.9349], [2.7055, 3.8415, 6.6349]],
    [[12.2971, 14.2639, 18.5200], [2.7055, 3.8415, 6.6349]],
];
const CRITICAL_LINEAR: Critical = [
    [[16.1619, 18.3985, 23.1485], [2.7055, 3.8415, 6.6349]],
    [[15.0006, 17.1481, 21.7465], [2.7055, 3.8415, 6.6349]],
];

/// Tests `first` and `second` with `lags` lagged changes.
pub fn johansen(
    first: &[f64],
    second: &[f64],
    deterministic: Deterministic,
    lags: usize,
) -> Result<Johansen, Undefined> {
    even(first, second)?;
    finite(first)?;
    finite(second)?;
    // Two lagged columns per lag, two series and a constant, and a row of error.
    enough(first.len(), 3 * lags + 6)?;
    let levels = [first, second].map(|series| detrended(series, deterministic));
    let [first, second] = levels;
    let levels = [first?, second?];
    let demean = deterministic != Deterministic::None;
    let changes = [differences(&levels[0]), differences(&levels[1])];
    let rows = changes[0].len() - lags;
    let mut lagged = Vec::with_capacity(2 * lags);
    for lag in 1..=lags {
        lagged.extend(changes.iter().map(|change| centred(&change[lags - lag..lags - lag + rows], demean)));
    }
    let [one, other] = &changes;
    let changes = [centred(&one[lags..], demean), centred(&other[lags..], demean)];
    let [one, other] = &levels;
    let levels = [centred(&one[1..=rows], demean), centred(&other[1..=rows], demean)];
    let changes = orthonormal(freed(changes, &lagged)?)?;
    let levels = orthonormal(freed(levels, &lagged)?)?;
    let correlation = |change: usize, level: usize| dot(&changes[change], &levels[level]);
    let eigenvalues =
        squared_singular([[correlation(0, 0), correlation(0, 1)], [correlation(1, 0), correlation(1, 1)]]);
    // Changes that follow from levels without any error have no likelihood: the statistic would be infinite.
    if 1.0 - eigenvalues[0] <= f64::EPSILON * rows as f64 {
        return Err(Undefined::Singular);
    }
    let maximum = eigenvalues.map(|value| -(rows as f64) * (-value).ln_1p());
    let [trace_critical, maximum_critical] = match deterministic {
        Deterministic::None => CRITICAL_NONE,
        Deterministic::Constant => CRITICAL_CONSTANT,
        Deterministic::Linear => CRITICAL_LINEAR,
    };
    let trace = [maximum[0] + maximum[1], maximum[1]];
    Ok(Johansen { eigenvalues, trace, maximum, trace_critical, maximum_critical })
}

fn detrended(series: &[f64], deterministic: Deterministic) -> Result<Vec<f64>, Undefined> {
    let length = series.len();
    let columns = match deterministic {
        Deterministic::None => return Ok(series.to_vec()),
        Deterministic::Constant => vec![vec![1.0; length]],
        Deterministic::Linear => {
            let middle = (length - 1) as f64 / 2.0;
            vec![vec![1.0; length], (0..length).map(|row| (row as f64 - middle) / middle).collect()]
        }
    };
    residuals(&columns, series.to_vec())
}

fn centred(series: &[f64], demean: bool) -> Vec<f64> {
    let mean = if demean { series.iter().sum::<f64>() / series.len() as f64 } else { 0.0 };
    series.iter().map(|value| value - mean).collect()
}

fn freed(series: [Vec<f64>; 2], of: &[Vec<f64>]) -> Result<[Vec<f64>; 2], Undefined> {
    let [first, second] = series;
    Ok([residuals(of, first)?, residuals(of, second)?])
}

fn residuals(columns: &[Vec<f64>], target: Vec<f64>) -> Result<Vec<f64>, Undefined> {
    if columns.is_empty() {
        return Ok(target);
    }
    let coefficients = LeastSquares::of(columns.to_vec(), target.clone())?.coefficients(columns.len());
    let mut rest = target;
    for (column, coefficient) in columns.iter().zip(coefficients) {
        for (rest, value) in rest.iter_mut().zip(column) {
            *rest -= coefficient * value;
        }
    }
    Ok(rest)
}

/// An orthonormal basis of the plane of two columns (Gram–Schmidt, the second twice, which is enough).
fn orthonormal(columns: [Vec<f64>; 2]) -> Result<[Vec<f64>; 2], Undefined> {
    let [mut first, mut second] = columns;
    let before = dot(&second, &second).sqrt();
    scale(&mut first)?;
    for _ in 0..2 {
        let along = dot(&first, &second);
        for (value, axis) in second.iter_mut().zip(&first) {
            *value -= along * axis;
        }
    }
    if dot(&second, &second).sqrt() <= before * f64::EPSILON * second.len() as f64 {
        return Err(Undefined::Singular);
    }
    scale(&mut second)?;
    Ok([first, second])
}

fn scale(column: &mut [f64]) -> Result<(), Undefined> {
    let length = dot(column, column).sqrt();
    if length <= 0.0 {
        return Err(Undefined::Singular);
    }
    column.iter_mut().for_each(|value| *value /= length);
    Ok(())
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// The squared singular values of a matrix of two rows, the larger first. The smaller is the squared determinant
/// over the larger, so that it keeps its digits.
fn squared_singular(matrix: [[f64; 2]; 2]) -> [f64; 2] {
    let [[a, b], [c, d]] = matrix;
    let sum = a * a + b * b + c * c + d * d;
    let determinant = a * d - b * c;
    let apart = ((a - d).hypot(b + c)) * ((a + d).hypot(b - c));
    let larger = f64::midpoint(sum, apart);
    let smaller = if larger > 0.0 { determinant * determinant / larger } else { 0.0 };
    [larger, smaller]
}
