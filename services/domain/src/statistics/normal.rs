//! The normal distribution.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Where the series ends and the continued fraction begins to be quick.
const SPLIT: f64 = 2.0;
/// More terms than either needs for all digits.
const TERMS: u32 = 400;

/// Probability that a standard normal variable is at most `value`, to about 1e-14 of itself.
#[must_use]
pub fn normal_cdf(value: f64) -> f64 {
    let scaled = value * FRAC_1_SQRT_2;
    if scaled < -SPLIT {
        error_complement(-scaled) / 2.0
    } else if scaled > SPLIT {
        1.0 - error_complement(scaled) / 2.0
    } else {
        0.5 + error_function(scaled) / 2.0
    }
}

/// The error function by its series with terms of one sign (Abramowitz and Stegun 7.1.6).
fn error_function(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for index in 1..TERMS {
        term *= 2.0 * x * x / f64::from(2 * index + 1);
        sum += term;
        if term.abs() <= sum.abs() * f64::EPSILON / 4.0 {
            break;
        }
    }
    2.0 / PI.sqrt() * (-x * x).exp() * sum
}

/// One less the error function of `x` > 0 by its continued fraction (Abramowitz and Stegun 7.1.14), from the
/// far end so that it converges downwards.
fn error_complement(x: f64) -> f64 {
    let fraction = (1..TERMS).rev().fold(x, |below, index| x + f64::from(index) / 2.0 / below);
    (-x * x).exp() / PI.sqrt() / fraction
}
