//! The normal distribution: Φ and its inverse, and moments of a sample.

use std::f64::consts::PI;

/// Probability that a standard normal variable is at most `x`, to about 1e-15.
#[must_use]
pub fn cumulative(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let tail = tail(x.abs());
    if x > 0.0 { 1.0 - tail } else { tail }
}

fn density(x: f64) -> f64 {
    (-x * x / 2.0).exp() / (2.0 * PI).sqrt()
}

/// Probability above `x`, which is not negative.
fn tail(x: f64) -> f64 {
    if x < 3.0 {
        // Marsaglia (2004), "Evaluating the Normal Distribution": a series that converges fast near zero.
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > sum * 1e-17 {
            odd += 2.0;
            term *= x * x / odd;
            sum += term;
        }
        return 0.5 - sum * density(x);
    }
    // The continued fraction of Mills' ratio converges fast away from zero.
    let fraction = (1..=120).rev().fold(x, |below, step| x + f64::from(step) / below);
    density(x) / fraction
}

/// The value that a standard normal variable stays at or below with probability `p`; infinite at 0 and 1.
///
/// A rational start by Odeh and Evans (1974), then Newton's steps on Φ.
#[must_use]
pub fn quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    let small = p.min(1.0 - p);
    let y = (-2.0 * small.ln()).sqrt();
    let above = (((-4.535_242_1e-5 * y - 0.020_423_121) * y - 0.342_242_09) * y - 1.0) * y - 0.322_232_43;
    let below =
        (((0.003_856_070_1 * y + 0.103_537_75) * y + 0.531_103_46) * y + 0.588_581_57) * y + 0.099_348_463;
    let start = y + above / below;
    let x = (0..3).fold(start, |x, _| {
        let density = density(x);
        if density > 0.0 { x + (tail(x.max(0.0)) - small) / density } else { x }
    });
    if p < 0.5 { -x } else { x }
}

/// Skew and kurtosis (3 for a normal variable) by the moments of the sample; `None` when nothing varies.
#[must_use]
pub fn skew_and_kurtosis(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let moment = |power| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / count;
    let variance = moment(2);
    (variance.sqrt() > 1e-14).then(|| (moment(3) / variance.powf(1.5), moment(4) / variance.powi(2)))
}
