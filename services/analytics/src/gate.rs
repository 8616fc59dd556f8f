//! Gates: `sharpe<1, max_drawdown<-20%` says when a run counts as failed.
//!
//! A metric that is undefined fails its gate: what cannot be shown is not passed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::metrics::{METRICS, find};

/// How a metric is compared with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Below.
    Less,
    /// At or below.
    AtMost,
    /// Above.
    More,
    /// At or above.
    AtLeast,
}

/// Longer signs first, so that `<=` is not taken for `<`.
const SIGNS: [(&str, Comparison); 4] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

/// One condition under which a run fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    /// Name of the metric.
    pub metric: &'static str,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub bound: f64,
}

/// Conditions, any of which fails a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate(pub Vec<Condition>);

/// Text that is no gate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GateError {
    /// No sign in it.
    #[error("{text:?} is no condition; expected METRIC<NUMBER with <, <=, > or >=, for example 'sharpe<1'")]
    NoSign {
        /// The condition.
        text: String,
    },
    /// No such metric.
    #[error("unknown metric {name:?} in {text:?}{}; known: {known}", suggestion(.name))]
    UnknownMetric {
        /// The condition.
        text: String,
        /// The name in it.
        name: String,
        /// Every name there is.
        known: String,
    },
    /// No number after the sign.
    #[error("{bound:?} in {text:?} is no number; expected one like 1, -0.2 or -20%")]
    NoNumber {
        /// The condition.
        text: String,
        /// What stands there.
        bound: String,
    },
    /// A drawdown is negative.
    #[error(
        "{condition} never holds, because a drawdown is below zero or zero; write {}<-{}",
        .condition.metric,
        .condition.bound
    )]
    NeverHolds {
        /// The condition.
        condition: Condition,
    },
}

/// A condition that a run did not pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The condition.
    pub condition: Condition,
    /// The metric; `None` where it is undefined.
    pub value: Option<f64>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.condition.metric;
        match self.value {
            Some(value) => write!(formatter, "{} holds: {name} is {value}", self.condition),
            None => write!(formatter, "{} cannot be ruled out: {name} is undefined", self.condition),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = SIGNS.iter().find(|(_, comparison)| *comparison == self.comparison);
        write!(formatter, "{}{}{}", self.metric, sign.map_or("", |(sign, _)| sign), self.bound)
    }
}

impl FromStr for Condition {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let text = text.trim();
        let split = SIGNS.iter().find_map(|(sign, comparison)| {
            let (name, bound) = text.split_once(sign)?;
            Some((name.trim(), *comparison, bound.trim()))
        });
        let Some((name, comparison, bound)) = split else {
            return Err(GateError::NoSign { text: text.to_owned() });
        };
        let metric = find(name).ok_or_else(|| GateError::UnknownMetric {
            text: text.to_owned(),
            name: name.to_owned(),
            known: METRICS.iter().map(|metric| metric.name).collect::<Vec<_>>().join(", "),
        })?;
        let (digits, scale) =
            bound.strip_suffix('%').map_or((bound, 1.0), |digits| (digits.trim_end(), 100.0));
        let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
        let bound = number
            .map(|number| number / scale)
            .ok_or_else(|| GateError::NoNumber { text: text.to_owned(), bound: bound.to_owned() })?;
        let condition = Self { metric: metric.name, comparison, bound };
        if condition.never_holds() { Err(GateError::NeverHolds { condition }) } else { Ok(condition) }
    }
}

impl FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Gate {
    /// The conditions that `statistics` (of a tear sheet) do not pass.
    #[must_use]
    pub fn check(&self, statistics: &BTreeMap<String, Option<f64>>) -> Vec<Failure> {
        let value = |condition: &Condition| statistics.get(condition.metric).copied().flatten();
        let failed = |condition: &&Condition| value(condition).is_none_or(|value| condition.holds(value));
        let failure = |condition: &Condition| Failure { condition: *condition, value: value(condition) };
        self.0.iter().filter(failed).map(failure).collect()
    }
}

impl Condition {
    /// Whether it is one of those who take a drawdown for positive: their runs would pass whatever they lose.
    fn never_holds(&self) -> bool {
        let above = matches!(self.comparison, Comparison::More | Comparison::AtLeast);
        self.metric == "max_drawdown" && above && self.bound > 0.0
    }

    fn holds(&self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::More => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
        }
    }
}

/// The nearest metric's name as a question, unless none is near.
fn suggestion(name: &str) -> String {
    let near = METRICS
        .iter()
        .map(|metric| (distance(name, metric.name), metric.name))
        .min()
        .filter(|(distance, known)| *distance <= known.len().max(3) / 3);
    near.map_or_else(String::new, |(_, known)| format!("; did you mean {known}?"))
}

/// Edits from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (place, letter) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], place + 1);
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}
