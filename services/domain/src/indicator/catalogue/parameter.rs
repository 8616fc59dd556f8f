//! Parameters of indicators: text from a command line or an address, typed and checked here.

use std::fmt;

use super::BuildError;

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// A whole number, bounds included.
    Integer {
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
    },
    /// A decimal number, bounds included.
    Decimal {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// One of some words.
    Choice(&'static [&'static str]),
}

impl fmt::Display for Range {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { min, max } => write!(formatter, "a whole number from {min} to {max}"),
            Self::Decimal { min, max } => write!(formatter, "a decimal number from {min} to {max}"),
            Self::Choice(words) => write!(formatter, "one of {}", words.join(", ")),
        }
    }
}

/// One parameter of an indicator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameter {
    /// Name.
    pub name: &'static str,
    /// What it does, in words.
    pub description: &'static str,
    /// What it counts or measures; empty for a word.
    pub unit: &'static str,
    /// What it may be.
    pub range: Range,
    /// Its value when it is not stated.
    pub default: &'static str,
}

/// A checked value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Integer(u32),
    Decimal(f64),
    Choice(&'static str),
}

impl Parameter {
    fn read(&self, text: &str) -> Option<Value> {
        match self.range {
            Range::Integer { min, max } => {
                text.parse().ok().filter(|value| (min..=max).contains(value)).map(Value::Integer)
            }
            Range::Decimal { min, max } => {
                text.parse().ok().filter(|value| (min..=max).contains(value)).map(Value::Decimal)
            }
            Range::Choice(words) => words.iter().find(|word| **word == text).map(|word| Value::Choice(word)),
        }
    }

    pub(super) fn invalid(&self, text: &str, expected: String) -> BuildError {
        BuildError::Invalid { name: self.name, value: text.to_owned(), expected }
    }
}

/// The checked parameters of one indicator, defaults filled in.
#[derive(Debug)]
pub(super) struct Arguments {
    values: Vec<(&'static str, Value)>,
}

impl Arguments {
    /// Checks `stated` against the parameters of `indicator`.
    pub(super) fn of(
        indicator: &'static str,
        parameters: &'static [Parameter],
        stated: &[(impl AsRef<str>, impl AsRef<str>)],
    ) -> Result<Self, BuildError> {
        for (index, (name, _)) in stated.iter().enumerate() {
            let name = name.as_ref();
            if !parameters.iter().any(|parameter| parameter.name == name) {
                let known: Vec<_> = parameters.iter().map(|parameter| parameter.name).collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(BuildError::UnknownParameter { indicator, name: name.to_owned(), known });
            }
            if stated[..index].iter().any(|(earlier, _)| earlier.as_ref() == name) {
                return Err(BuildError::Repeated { name: name.to_owned() });
            }
        }
        let read = |parameter: &Parameter| -> Result<(&'static str, Value), BuildError> {
            let given = stated.iter().find(|(name, _)| name.as_ref() == parameter.name);
            let text = given.map_or(parameter.default, |(_, value)| value.as_ref().trim());
            let value = parameter.read(text);
            let value = value.ok_or_else(|| parameter.invalid(text, parameter.range.to_string()))?;
            Ok((parameter.name, value))
        };
        Ok(Self { values: parameters.iter().map(read).collect::<Result<_, _>>()? })
    }

    fn value(&self, wanted: &str) -> Option<Value> {
        self.values.iter().find_map(|(name, value)| (*name == wanted).then_some(*value))
    }

    /// A whole number; a name that the table does not list is 0, which no length can be.
    pub(super) fn length(&self, name: &str) -> usize {
        match self.value(name) {
            Some(Value::Integer(value)) => value as usize,
            _ => 0,
        }
    }

    /// A decimal number.
    pub(super) fn number(&self, name: &str) -> f64 {
        match self.value(name) {
            Some(Value::Decimal(value)) => value,
            Some(Value::Integer(value)) => f64::from(value),
            _ => f64::NAN,
        }
    }

    /// Whether a choice is `word`.
    pub(super) fn is(&self, name: &str, word: &str) -> bool {
        self.value(name).is_some_and(|value| matches!(value, Value::Choice(chosen) if chosen == word))
    }
}
