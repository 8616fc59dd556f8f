//! Statistics of two series: do they move together, and how fast does their spread come back?
//!
//! Least squares, the augmented Dickey–Fuller test, the Engle–Granger and Johansen tests of cointegration, the
//! half-life of a spread and its Hurst exponent. All in 64-bit floats on slices of observations, oldest first;
//! what has no answer is an error ([`Undefined`]) or `None`, never zero or infinite. Tests and their tables are
//! those of the Python package `statsmodels`, with which they are compared.
//!
//! Deliberately absent: more than two series, streaming. The tests take numbers as they are; only [`MeasuredPair`]
//! takes prices, and their logarithms.

mod cointegration;
mod dickey_fuller;
mod half_life;
mod johansen;
mod least_squares;
mod mackinnon;
mod normal;
mod pair;

pub use cointegration::{EngleGranger, engle_granger, spread_of};
pub use dickey_fuller::{Criterion, DickeyFuller, Trend, dickey_fuller};
pub use half_life::{half_life, hurst_exponent};
pub use johansen::{Deterministic, Johansen, johansen};
pub use least_squares::LeastSquares;
pub use normal::normal_cdf;
pub use pair::{JohansenReport, MeasuredPair, PairStatistics, UnitRoot};

/// A statistic that these observations do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// There are too few of them.
    #[error("{found} observations, expected at least {needed}")]
    TooFew {
        /// Observations there are.
        found: usize,
        /// Observations needed.
        needed: usize,
    },
    /// Two series that are compared row by row have different lengths.
    #[error("{first} observations beside {second}, expected as many")]
    Uneven {
        /// Of the first series.
        first: usize,
        /// Of the second series.
        second: usize,
    },
    /// A regression whose columns say the same, such as that of a constant series.
    #[error("the series is constant or its columns depend on each other, expected values that vary")]
    Singular,
    /// A value is infinite or not a number.
    #[error("a value that is not finite, expected finite numbers")]
    NotFinite,
}

/// Refuses what is no number.
fn finite(series: &[f64]) -> Result<(), Undefined> {
    if series.iter().all(|value| value.is_finite()) { Ok(()) } else { Err(Undefined::NotFinite) }
}

/// Refuses a series that never changes.
fn varied(series: &[f64]) -> Result<(), Undefined> {
    let changes = series.windows(2).any(|pair| pair[0].total_cmp(&pair[1]).is_ne());
    if changes { Ok(()) } else { Err(Undefined::Singular) }
}

/// Refuses fewer than `needed` observations.
fn enough(found: usize, needed: usize) -> Result<(), Undefined> {
    if found < needed { Err(Undefined::TooFew { found, needed }) } else { Ok(()) }
}

/// Refuses two series of different length.
fn even(first: &[f64], second: &[f64]) -> Result<(), Undefined> {
    let (first, second) = (first.len(), second.len());
    if first == second { Ok(()) } else { Err(Undefined::Uneven { first, second }) }
}

/// The differences of neighbours.
fn differences(series: &[f64]) -> Vec<f64> {
    series.windows(2).map(|pair| pair[1] - pair[0]).collect()
}
