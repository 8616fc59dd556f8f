//! What a search tries: values of parameters, and samplers that say which combination comes next.
//!
//! A sampler is a function of its seed and of the scores so far, taken in rounds of fixed size, so that a
//! search gives the same trials on any number of cores.

use crate::config::Config;

/// The values that a search tries for one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dimension {
    /// Name of the strategy.
    pub strategy: String,
    /// Parameter.
    pub parameter: String,
    /// Values in their order; neighbours are taken to be alike.
    pub values: Vec<String>,
}

/// How combinations are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampler {
    /// Every combination, the last dimension fastest.
    Grid,
    /// So many different combinations at random.
    Random {
        /// Number of trials.
        trials: usize,
    },
    /// So many combinations, chosen where the good ones so far are denser than the others (tree-structured
    /// Parzen estimator), after a start at random.
    Tpe {
        /// Number of trials.
        trials: usize,
    },
}

pub use domain::research::ranges::{MalformedRange, VALUES_MAX, values};

/// A combination: the place of each dimension's value.
pub type Point = Vec<usize>;

/// Number of combinations.
#[must_use]
pub fn combinations(space: &[Dimension]) -> usize {
    space.iter().fold(1, |product: usize, dimension| product.saturating_mul(dimension.values.len()))
}

/// The combination with the number `index`.
#[must_use]
pub fn point(space: &[Dimension], index: usize) -> Point {
    let mut rest = index;
    let mut point: Point = space
        .iter()
        .rev()
        .map(|dimension| {
            let place = rest % dimension.values.len();
            rest /= dimension.values.len();
            place
        })
        .collect();
    point.reverse();
    point
}

/// The configuration with a combination's values.
#[must_use]
pub fn configure(config: &Config, space: &[Dimension], point: &Point) -> Config {
    let mut config = config.clone();
    for (dimension, place) in space.iter().zip(point) {
        let Some(strategy) = config.strategies.iter_mut().find(|one| one.name == dimension.strategy) else {
            continue;
        };
        let value = dimension.values[*place].clone();
        match strategy.parameters.iter_mut().find(|one| one.name == dimension.parameter) {
            Some(stated) => stated.value = value,
            None => {
                let name = dimension.parameter.clone();
                strategy.parameters.push(contracts::v1::Parameter { name, value });
            }
        }
    }
    config
}

/// A small generator of numbers that look random (SplitMix64); the same on every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number in `0..below`.
    pub fn below(&mut self, below: usize) -> usize {
        let product = u128::from(self.next()) * below as u128;
        usize::try_from(product >> 64).unwrap_or_default()
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// One trial of so many counts as good.
const GOOD: usize = 4;
/// Candidates of which the estimator takes the best.
const CANDIDATES: usize = 24;

/// The estimator's next combination, given the scores so far (none where one is not defined).
pub(crate) fn estimate(space: &[Dimension], scored: &[(Point, Option<f64>)], dice: &mut Dice) -> Point {
    let mut ranked: Vec<_> = scored.iter().collect();
    let value = |score: &Option<f64>| score.unwrap_or(f64::NEG_INFINITY);
    ranked.sort_by(|left, right| value(&right.1).total_cmp(&value(&left.1)));
    let good = ranked.len().div_ceil(GOOD).max(1);
    let (good, rest) = ranked.split_at(good.min(ranked.len()));
    let places = |of: &[&(Point, Option<f64>)], dimension: usize| -> Vec<usize> {
        of.iter().filter_map(|(point, _)| point.get(dimension).copied()).collect()
    };
    space
        .iter()
        .enumerate()
        .map(|(index, dimension)| {
            let count = dimension.values.len();
            let (liked, others) =
                (density(&places(good, index), count), density(&places(rest, index), count));
            let mut best = (f64::NEG_INFINITY, 0);
            for _ in 0..CANDIDATES {
                let place = draw(&liked, dice);
                let gain = liked[place] / others[place];
                if gain > best.0 {
                    best = (gain, place);
                }
            }
            best.1
        })
        .collect()
}

/// A density over `count` places: a bell around each of `places`, and a little everywhere.
fn density(places: &[usize], count: usize) -> Vec<f64> {
    let width = (count as f64 / 6.0).max(0.5);
    let mut density: Vec<f64> = (0..count)
        .map(|at| {
            let bells = places.iter().map(|place| {
                let distance = (at as f64 - *place as f64) / width;
                (-0.5 * distance * distance).exp()
            });
            bells.sum::<f64>() + 1.0 / count as f64
        })
        .collect();
    let total: f64 = density.iter().sum();
    density.iter_mut().for_each(|value| *value /= total);
    density
}

fn draw(density: &[f64], dice: &mut Dice) -> usize {
    let mut left = dice.unit();
    for (place, share) in density.iter().enumerate() {
        left -= share;
        if left <= 0.0 {
            return place;
        }
    }
    density.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let check = |text: &str, expected: &str| {
            assert_eq!(
                values(text).map(|values| values.join(" ")).unwrap_or_else(|e| e.to_string()),
                expected
            );
        };
        check("5..20:5", "5 10 15 20");
        check("1..3", "1 2 3");
        check("0.5..1:0.25", "0.5 0.75 1");
        check("a|b", "a b");
        check("7", "7");
        check("5..1", "range \"5..1\": expected FROM at most TO and a STEP above 0");
        check("1..x", "range \"1..x\": expected FROM..TO[:STEP] with decimal numbers");
        check("", "range \"\": expected FROM..TO[:STEP] or values as a|b|c");
    }

    #[test]
    fn the_estimator_goes_where_it_is_good() {
        let space = [Dimension {
            strategy: String::new(),
            parameter: String::new(),
            values: (0..100).map(|value| value.to_string()).collect(),
        }];
        let scored: Vec<_> =
            (0..40).map(|index| (vec![index * 5 / 2], Some(-((index as f64) * 2.5 - 70.0).abs()))).collect();
        let mut dice = Dice::new(1);
        let near = (0..50).filter(|_| {
            let point = estimate(&space, &scored, &mut dice);
            (50..90).contains(&point[0])
        });
        assert!(near.count() > 40);
    }
}
