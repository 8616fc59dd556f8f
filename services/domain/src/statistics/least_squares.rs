//! Ordinary least squares by Householder reflections, which lose no digits to squared columns.
//!
//! One factorisation answers for every model that uses the first columns only: that is how lags are chosen.

use super::{Undefined, enough, finite};

/// A factorised regression of a target on columns.
#[derive(Clone, Debug)]
pub struct LeastSquares {
    /// Upper triangle, by column: `triangle[j][i]` for `i <= j`.
    triangle: Vec<Vec<f64>>,
    /// The target, rotated: its first rows are explained by the columns, the rest is error.
    rotated: Vec<f64>,
}

impl LeastSquares {
    /// Regresses `target` on `columns` of the same length; there must be more rows than columns.
    pub fn of(mut columns: Vec<Vec<f64>>, mut target: Vec<f64>) -> Result<Self, Undefined> {
        enough(target.len(), columns.len() + 1)?;
        finite(&target)?;
        for column in &columns {
            super::even(&target, column)?;
            finite(column)?;
        }
        for pivot in 0..columns.len() {
            let (done, rest) = columns.split_at_mut(pivot + 1);
            let reflector = &mut done[pivot];
            let before = norm(reflector);
            let length = norm(&reflector[pivot..]);
            // What is left of a column that the earlier ones explain is rounding.
            if length <= before * f64::EPSILON * target.len() as f64 {
                return Err(Undefined::Singular);
            }
            let diagonal = if reflector[pivot] > 0.0 { -length } else { length };
            reflector[pivot] -= diagonal;
            let axis = reflector[pivot..].to_vec();
            let half = axis.iter().map(|value| value * value).sum::<f64>() / 2.0;
            for column in rest.iter_mut() {
                reflect(&mut column[pivot..], &axis, half);
            }
            reflect(&mut target[pivot..], &axis, half);
            reflector[pivot] = diagonal;
            reflector.truncate(pivot + 1);
        }
        Ok(Self { triangle: columns, rotated: target })
    }

    /// Number of observations.
    #[must_use]
    pub fn observations(&self) -> usize {
        self.rotated.len()
    }

    /// Sum of squared errors of the model of the first `columns` columns.
    #[must_use]
    pub fn squared_error(&self, columns: usize) -> f64 {
        self.rotated.iter().skip(columns).map(|value| value * value).sum()
    }

    /// Coefficients of the model of the first `columns` columns.
    #[must_use]
    pub fn coefficients(&self, columns: usize) -> Vec<f64> {
        let columns = columns.min(self.triangle.len());
        let mut solved = self.rotated[..columns].to_vec();
        for row in (0..columns).rev() {
            for later in row + 1..columns {
                solved[row] -= self.triangle[later][row] * solved[later];
            }
            solved[row] /= self.triangle[row][row];
        }
        solved
    }

    /// The t statistic of column `column` in the model of the first `columns` columns; `None` when the model has
    /// no such column or no error.
    #[must_use]
    pub fn t_statistic(&self, column: usize, columns: usize) -> Option<f64> {
        let coefficient = *self.coefficients(columns).get(column)?;
        let freedom = self.observations().checked_sub(columns).filter(|rest| *rest > 0)?;
        let variance = self.squared_error(columns) / freedom as f64;
        // The diagonal of the inverse of R'R is the squared length of R'⁻¹ times a unit vector.
        let mut unit = vec![0.0; columns];
        unit[column] = 1.0;
        for row in 0..columns {
            for earlier in 0..row {
                unit[row] -= self.triangle[row][earlier] * unit[earlier];
            }
            unit[row] /= self.triangle[row][row];
        }
        let spread = unit.iter().map(|value| value * value).sum::<f64>();
        let t = coefficient / (variance * spread).sqrt();
        t.is_finite().then_some(t)
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Reflects `values` at the plane across `axis`, whose squared length is twice `half`.
fn reflect(values: &mut [f64], axis: &[f64], half: f64) {
    let along = values.iter().zip(axis).map(|(value, axis)| value * axis).sum::<f64>() / half;
    for (value, axis) in values.iter_mut().zip(axis) {
        *value -= along * axis;
    }
}
