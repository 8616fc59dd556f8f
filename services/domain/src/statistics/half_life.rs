//! How fast a spread comes back to its mean.

use super::{LeastSquares, differences};

/// Longest difference of the Hurst exponent, in observations; the shortest is 2.
const LONGEST: usize = 20;

/// Observations after which half of a deviation is expected to be gone: −ln 2 / ln(1 + b), where b is the
/// coefficient of the level in a regression of the change on the level before it and a constant. `None` when
/// the series does not come back (b ≥ 0), overshoots its mean at once (b ≤ −1) or is too short.
#[must_use]
pub fn half_life(series: &[f64]) -> Option<f64> {
    let changes = differences(series);
    let level = series.get(..changes.len())?.to_vec();
    let fit = LeastSquares::of(vec![vec![1.0; level.len()], level], changes).ok()?;
    let pull = *fit.coefficients(2).get(1)?;
    (pull < 0.0 && pull > -1.0).then(|| -std::f64::consts::LN_2 / pull.ln_1p())
}

/// The Hurst exponent: slope of the logarithm of the standard deviation of differences over 2 to 20 observations
/// against the logarithm of their length. Below ½ the series comes back, at ½ it wanders, above it trends.
/// `None` for fewer than 40 observations or differences that do not vary.
#[must_use]
pub fn hurst_exponent(series: &[f64]) -> Option<f64> {
    if series.len() < 2 * LONGEST {
        return None;
    }
    let deviation = |lag: usize| {
        let differences: Vec<f64> = series.iter().zip(&series[lag..]).map(|(then, now)| now - then).collect();
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let squares = differences.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
        (squares / differences.len() as f64).sqrt().ln()
    };
    let lengths: Vec<f64> = (2..=LONGEST).map(|lag| (lag as f64).ln()).collect();
    let deviations: Vec<f64> = (2..=LONGEST).map(deviation).collect();
    let fit = LeastSquares::of(vec![vec![1.0; lengths.len()], lengths], deviations).ok()?;
    fit.coefficients(2).get(1).copied()
}
