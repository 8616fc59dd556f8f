//! Distribution of unit-root and cointegration statistics, as response surfaces.
//!
//! P-values: J. G. MacKinnon, "Approximate Asymptotic Distribution Functions for Unit-Root and Cointegration
//! Tests", Journal of Business & Economic Statistics 12.2 (1994). Critical values: the same, "Critical Values
//! for Cointegration Tests", Queen's University Working Paper 1227 (2010). The coefficients are the published
//! ones, for one and for two series.

use super::dickey_fuller::Trend;
use super::normal_cdf;

/// One row of the tables.
struct Surface {
    /// Beyond `highest` the p-value is 1, below `lowest` it is 0; `middle` parts the two polynomials.
    lowest: f64,
    middle: f64,
    highest: f64,
    /// Polynomial below the middle, constant first.
    small: [f64; 3],
    /// Polynomial above it, constant first.
    large: [f64; 4],
    /// Polynomials in one over the observations, constant first, of the 1, 5 and 10 % critical values.
    critical: [[f64; 4]; 3],
}

const NONE: Surface = Surface {
    lowest: -19.04,
    middle: -1.04,
    highest: f64::INFINITY,
    small: [0.6344, 1.2378, 3.2496e-2],
    large: [0.4797, 9.3557e-1, -0.6999e-1, 3.3066e-2],
    critical: [
        [-2.56574, -2.2358, -3.627, 0.0],
        [-1.94100, -0.2686, -3.365, 31.223],
        [-1.61682, 0.2656, -2.714, 25.364],
    ],
};
const CONSTANT: Surface = Surface {
    lowest: -18.83,
    middle: -1.61,
    highest: 2.74,
    small: [2.1659, 1.4412, 3.8269e-2],
    large: [1.7339, 9.3202e-1, -1.2745e-1, -1.0368e-2],
    critical: [
        [-3.43035, -6.5393, -16.786, -79.433],
        [-2.86154, -2.8903, -4.234, -40.040],
        [-2.56677, -1.5384, -2.809, 0.0],
    ],
};
const LINEAR: Surface = Surface {
    lowest: -16.18,
    middle: -2.89,
    highest: 0.7,
    small: [3.2512, 1.6047, 4.9588e-2],
    large: [2.5261, 6.1654e-1, -3.7956e-1, -6.0285e-2],
    critical: [
        [-3.95877, -9.0531, -28.428, -134.155],
        [-3.41049, -4.3904, -9.036, -45.374],
        [-3.12705, -2.5856, -3.925, -22.380],
    ],
};
const COINTEGRATION: Surface = Surface {
    lowest: -18.86,
    middle: -2.62,
    highest: 0.92,
    small: [2.92, 1.5012, 3.9796e-2],
    large: [2.1945, 6.4695e-1, -2.9198e-1, -4.2377e-2],
    critical: [
        [-3.89644, -10.9519, -33.527, 0.0],
        [-3.33613, -6.1101, -6.823, 0.0],
        [-3.04445, -4.2412, -2.720, 0.0],
    ],
};

impl Surface {
    fn p_value(&self, statistic: f64) -> f64 {
        if statistic > self.highest {
            1.0
        } else if statistic < self.lowest {
            0.0
        } else if statistic <= self.middle {
            normal_cdf(polynomial(&self.small, statistic))
        } else {
            normal_cdf(polynomial(&self.large, statistic))
        }
    }

    fn critical(&self, observations: usize) -> [f64; 3] {
        self.critical.map(|row| polynomial(&row, 1.0 / observations as f64))
    }
}

fn polynomial(coefficients: &[f64], at: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * at + coefficient)
}

fn surface(trend: Trend) -> &'static Surface {
    match trend {
        Trend::None => &NONE,
        Trend::Constant => &CONSTANT,
        Trend::Linear => &LINEAR,
    }
}

/// P-value and critical values (1, 5 and 10 %) of a Dickey–Fuller statistic.
pub(super) fn unit_root(statistic: f64, trend: Trend, observations: usize) -> (f64, [f64; 3]) {
    let surface = surface(trend);
    (surface.p_value(statistic), surface.critical(observations))
}

/// P-value and critical values (1, 5 and 10 %) of an Engle–Granger statistic of two series with a constant.
pub(super) fn cointegration(statistic: f64, observations: usize) -> (f64, [f64; 3]) {
    (COINTEGRATION.p_value(statistic), COINTEGRATION.critical(observations))
}
