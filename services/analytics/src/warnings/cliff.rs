//! Parameter cliff: whether the neighbours of the chosen parameters hold up.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, Warning};

/// Share of the chosen metric that a neighbour has to keep.
const KEPT_MIN: f64 = 0.5;

/// One point of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct GridPoint {
    /// Parameters by name.
    pub parameters: BTreeMap<String, f64>,
    /// The metric there; `None` where it is undefined.
    pub value: Option<f64>,
}

/// Warns when a neighbour of `points[chosen]` (one step of the grid along one parameter) keeps less than half of
/// the metric, which is better when higher. `None` without neighbours, and for a metric that is not positive.
#[must_use]
pub fn parameter_cliff(points: &[GridPoint], chosen: usize, metric: &str) -> Option<Warning> {
    let best = points.get(chosen)?;
    let top = best.value.filter(|value| *value > 0.0)?;
    let steps = grid(points);
    let neighbours = points.iter().filter_map(|point| Some((moved(best, point, &steps)?, point)));
    let kept = |point: &GridPoint| point.value.unwrap_or(f64::NEG_INFINITY) / top;
    let (name, worst) = neighbours.min_by(|left, right| kept(left.1).total_cmp(&kept(right.1)))?;
    if kept(worst) >= KEPT_MIN {
        return None;
    }
    let number = |value: Option<f64>| value.map_or("undefined".to_owned(), |value| format!("{value:.3}"));
    let at = |point: &GridPoint| point.parameters.get(&name).copied().unwrap_or(f64::NAN);
    Some(Warning::new(
        Kind::ParameterCliff,
        format!(
            "{metric} falls from {} at {name}={} to {} at its neighbour {name}={}; less than {:.0} % is left.",
            number(best.value),
            at(best),
            number(worst.value),
            at(worst),
            KEPT_MIN * 100.0
        ),
    ))
}

/// The values of each parameter, ascending, as bits of floats: equal values are the same grid line.
fn grid(points: &[GridPoint]) -> BTreeMap<&str, Vec<f64>> {
    let mut lines: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (name, value) in points.iter().flat_map(|point| &point.parameters) {
        lines.entry(name).or_default().insert(value.to_bits());
    }
    let ascending = |bits: BTreeSet<u64>| {
        let mut values: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    lines.into_iter().map(|(name, bits)| (name, ascending(bits))).collect()
}

/// The one parameter by one step of which `other` differs from `best`.
fn moved(best: &GridPoint, other: &GridPoint, steps: &BTreeMap<&str, Vec<f64>>) -> Option<String> {
    let place = |point: &GridPoint, name: &str| {
        let value = point.parameters.get(name)?;
        steps.get(name)?.iter().position(|line| line.total_cmp(value).is_eq())
    };
    let mut changed = None;
    for name in steps.keys() {
        match place(best, name)?.abs_diff(place(other, name)?) {
            0 => {}
            1 if changed.is_none() => changed = Some((*name).to_owned()),
            _ => return None,
        }
    }
    changed
}
