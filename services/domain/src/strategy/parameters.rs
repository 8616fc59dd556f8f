//! Parameters of strategies: text on the tape, typed and checked here.
//!
//! What every form, list and message says of a parameter comes from its [`ValueSpec`], so that a new kind of
//! value appears everywhere at once. A parameter whose default is empty must be stated.

use contracts::v1::Parameter;

use crate::money::{E9, Quantity};

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
    /// `true` or `false`.
    Boolean,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// A symbol, as the tape writes it.
    Symbol,
    /// Symbols with their shares of equity, such as `AAPL=0.6,IBM=0.4`; each from 0 to 1, together at most 1.
    Weights,
}

/// Most bytes of a symbol.
const SYMBOL_BYTES_MAX: usize = 32;
/// Most symbols of a list of weights.
const WEIGHTS_MAX: usize = 100;

impl ValueSpec {
    /// A word for its type, for programs: `integer`, `decimal`, `boolean`, `choice`, `symbol` or `weights`.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Integer { .. } => "integer",
            Self::Decimal { .. } => "decimal",
            Self::Boolean => "boolean",
            Self::Choice(_) => "choice",
            Self::Symbol => "symbol",
            Self::Weights => "weights",
        }
    }

    /// The only values that it may have, when they can be listed.
    #[must_use]
    pub const fn choices(&self) -> &'static [&'static str] {
        match self {
            Self::Boolean => &["false", "true"],
            Self::Choice(words) => words,
            Self::Integer { .. } | Self::Decimal { .. } | Self::Symbol | Self::Weights => &[],
        }
    }

    /// Whether `text` is such a value.
    pub(crate) fn allows(&self, text: &str) -> bool {
        match self {
            Self::Integer { min, max } => {
                text.parse::<u32>().is_ok_and(|value| (min..=max).contains(&&value))
            }
            Self::Decimal { min_e9, max_e9 } => {
                text.parse::<Quantity>().is_ok_and(|value| (min_e9..=max_e9).contains(&&value.0))
            }
            Self::Boolean | Self::Choice(_) => self.choices().contains(&text),
            Self::Symbol => is_symbol(text),
            Self::Weights => weights(text).is_some(),
        }
    }
}

fn is_symbol(text: &str) -> bool {
    let visible = |c: char| c.is_ascii_graphic() && !c.is_ascii_lowercase() && c != ',' && c != '=';
    (1..=SYMBOL_BYTES_MAX).contains(&text.len()) && text.chars().all(visible)
}

/// Reads `AAPL=0.6,IBM=0.4` as shares in 1e-9, in the order stated; each symbol once.
fn weights(text: &str) -> Option<Vec<(String, i64)>> {
    let pair = |part: &str| {
        let (symbol, share) = part.trim().split_once('=')?;
        let share = share.trim().parse::<Quantity>().ok().filter(|share| (0..=E9).contains(&share.0))?;
        is_symbol(symbol.trim()).then(|| (symbol.trim().to_owned(), share.0))
    };
    let pairs: Vec<_> = text.split(',').map(pair).collect::<Option<_>>()?;
    let repeated = |index: usize| pairs[..index].iter().any(|(symbol, _)| *symbol == pairs[index].0);
    let total: i128 = pairs.iter().map(|(_, share)| i128::from(*share)).sum();
    let fits = pairs.len() <= WEIGHTS_MAX && total <= i128::from(E9) && !(1..pairs.len()).any(repeated);
    fits.then_some(pairs)
}

impl std::fmt::Display for ValueSpec {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integer { min, max } => write!(formatter, "a whole number from {min} to {max}"),
            Self::Decimal { min_e9, max_e9 } => {
                write!(formatter, "a decimal number from {} to {}", Quantity(*min_e9), Quantity(*max_e9))
            }
            Self::Boolean => formatter.write_str("true or false"),
            Self::Choice(words) => write!(formatter, "one of {}", words.join(", ")),
            Self::Symbol => {
                write!(formatter, "a symbol of 1 to {SYMBOL_BYTES_MAX} capitals, digits and signs")
            }
            Self::Weights => write!(
                formatter,
                "1 to {WEIGHTS_MAX} symbols with shares of equity from 0 to 1 and at most 1 together, such as \
                 AAPL=0.6,IBM=0.4"
            ),
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
    /// Value when it is not stated; empty when it must be.
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

    /// The stated text, checked.
    fn text<'text>(&self, parameters: &'text [Parameter]) -> Result<&'text str, ParameterError>
    where
        'static: 'text,
    {
        let text = self.stated(parameters);
        if self.value.allows(text) { Ok(text) } else { Err(self.invalid(text)) }
    }

    /// The text read by `read`; an error when the specification is of another type.
    fn read<Value>(
        &self,
        parameters: &[Parameter],
        read: impl Fn(&str) -> Option<Value>,
    ) -> Result<Value, ParameterError> {
        let text = self.text(parameters)?;
        read(text).ok_or_else(|| self.invalid(text))
    }

    pub(super) fn integer(&self, parameters: &[Parameter]) -> Result<u32, ParameterError> {
        self.read(parameters, |text| text.parse().ok())
    }

    /// A whole number as a length.
    pub(super) fn length(&self, parameters: &[Parameter]) -> Result<usize, ParameterError> {
        self.integer(parameters).map(|bars| bars as usize)
    }

    pub(super) fn decimal_e9(&self, parameters: &[Parameter]) -> Result<i64, ParameterError> {
        self.read(parameters, |text| text.parse::<Quantity>().ok()).map(|value| value.0)
    }

    /// A decimal number as a float, for statistics.
    pub(super) fn float(&self, parameters: &[Parameter]) -> Result<f64, ParameterError> {
        self.read(parameters, |text| text.parse::<Quantity>().ok()).map(Quantity::to_f64)
    }

    pub(super) fn boolean(&self, parameters: &[Parameter]) -> Result<bool, ParameterError> {
        self.read(parameters, |text| text.parse().ok())
    }

    /// A word or a symbol.
    pub(super) fn word(&self, parameters: &[Parameter]) -> Result<String, ParameterError> {
        self.text(parameters).map(str::to_owned)
    }

    /// Symbols with their shares of equity in 1e-9.
    pub(super) fn weights(&self, parameters: &[Parameter]) -> Result<Vec<(String, i64)>, ParameterError> {
        self.read(parameters, weights)
    }

    /// The symbols that its value names; of a value that it does not allow, an error.
    pub fn symbols(&self, parameters: &[Parameter]) -> Result<Vec<String>, ParameterError> {
        match self.value {
            ValueSpec::Symbol => Ok(vec![self.word(parameters)?]),
            ValueSpec::Weights => {
                Ok(self.weights(parameters)?.into_iter().map(|(symbol, _)| symbol).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Refuses the stated value for a reason that no range can say.
    pub(super) fn refused(&self, parameters: &[Parameter], expected: impl Into<String>) -> ParameterError {
        let value = self.stated(parameters).to_owned();
        ParameterError::Invalid { name: self.name, value, expected: expected.into() }
    }

    /// Checks the stated value and returns it as text.
    pub(super) fn checked(&self, parameters: &[Parameter]) -> Result<Parameter, ParameterError> {
        let value = self.text(parameters)?.to_owned();
        Ok(Parameter { name: self.name.to_owned(), value })
    }
}
