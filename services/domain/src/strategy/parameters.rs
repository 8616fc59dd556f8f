//! Parameters of strategies: text on the tape, typed and checked here.

use contracts::v1::Parameter;

use crate::money::Quantity;

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueSpec {
    /// A whole number, bounds included.
    Integer {
        /// Smallest.
        min: u32,
        /// Largest.
        max: u32,
    },
    /// A decimal number of at most nine places, bounds included.
    Decimal {
        /// Smallest, in 1e-9.
        min_e9: i64,
        /// Largest, in 1e-9.
        max_e9: i64,
    },
}

impl std::fmt::Display for ValueSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer { min, max } => write!(formatter, "a whole number from {min} to {max}"),
            Self::Decimal { min_e9, max_e9 } => {
                write!(formatter, "a decimal number from {} to {}", Quantity(*min_e9), Quantity(*max_e9))
            }
        }
    }
}

/// One parameter of a kind of strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterSpec {
    /// Name.
    pub name: &'static str,
    /// What it does, in words.
    pub description: &'static str,
    /// What it counts or measures.
    pub unit: &'static str,
    /// What it may be.
    pub value: ValueSpec,
    /// Value when it is not stated.
    pub default: &'static str,
}

/// A strategy that cannot be built from its parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// There is no such kind.
    #[error("strategy kind {kind:?}, expected one of {known}")]
    UnknownKind {
        /// Kind asked for.
        kind: String,
        /// Kinds there are.
        known: String,
    },
    /// The kind has no such parameter.
    #[error("parameter {name:?} of {kind}, expected one of {known}")]
    Unknown {
        /// Kind.
        kind: &'static str,
        /// Parameter stated.
        name: String,
        /// Parameters there are.
        known: String,
    },
    /// A parameter is stated twice.
    #[error("parameter {name:?} is stated twice, expected once")]
    Repeated {
        /// Parameter.
        name: String,
    },
    /// A value that is no number or out of range.
    #[error("parameter `{name}` is {value:?}, expected {expected}")]
    Invalid {
        /// Parameter.
        name: &'static str,
        /// Its value as stated.
        value: String,
        /// What is allowed.
        expected: String,
    },
}

impl ParameterSpec {
    fn invalid(&self, value: &str) -> ParameterError {
        let expected = self.value.to_string();
        ParameterError::Invalid { name: self.name, value: value.to_owned(), expected }
    }

    /// The stated value, or the default.
    pub(super) fn stated<'text>(&self, parameters: &'text [Parameter]) -> &'text str
    where
        'static: 'text,
    {
        let stated = parameters.iter().find(|parameter| parameter.name == self.name);
        stated.map_or(self.default, |parameter| parameter.value.as_str())
    }

    pub(super) fn integer(&self, parameters: &[Parameter]) -> Result<u32, ParameterError> {
        let text = self.stated(parameters);
        let ValueSpec::Integer { min, max } = self.value else { return Err(self.invalid(text)) };
        let value = text.parse::<u32>().ok().filter(|value| (min..=max).contains(value));
        value.ok_or_else(|| self.invalid(text))
    }

    pub(super) fn decimal_e9(&self, parameters: &[Parameter]) -> Result<i64, ParameterError> {
        let text = self.stated(parameters);
        let ValueSpec::Decimal { min_e9, max_e9 } = self.value else { return Err(self.invalid(text)) };
        let value = text.parse::<Quantity>().ok().filter(|value| (min_e9..=max_e9).contains(&value.0));
        value.map(|value| value.0).ok_or_else(|| self.invalid(text))
    }

    /// Checks the stated value and returns it as text.
    pub(super) fn checked(&self, parameters: &[Parameter]) -> Result<Parameter, ParameterError> {
        match self.value {
            ValueSpec::Integer { .. } => self.integer(parameters).map(drop)?,
            ValueSpec::Decimal { .. } => self.decimal_e9(parameters).map(drop)?,
        }
        Ok(Parameter { name: self.name.to_owned(), value: self.stated(parameters).to_owned() })
    }
}
