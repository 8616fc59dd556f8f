//! Every indicator by name: its parameters, its figures, and how one is built from text.
//!
//! The command line, the API and the chart read indicators here, so that all know the same ones with the same
//! names, ranges and defaults.

mod parameter;
mod study;
mod table;
mod walk;

pub use parameter::{Parameter, Range};
pub use study::Study;
pub use walk::{Recorded, walk};

use parameter::Arguments;
use study::Built;

use super::InvalidLength;

/// An indicator that can be built.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name, as commands and addresses write it; TA-Lib's in lower case where it has the indicator.
    pub name: &'static str,
    /// Its usual name.
    pub title: &'static str,
    /// What it measures, in words.
    pub description: &'static str,
    /// Unit of its figures.
    pub unit: &'static str,
    /// Names of its figures.
    pub outputs: &'static [&'static str],
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Whether it relates the series to a second one.
    pub against: bool,
    /// Whether its figures are prices and belong on a price chart.
    pub on_price: bool,
    /// Whether `fast` must be less than `slow`.
    ordered: bool,
    make: fn(&Arguments) -> Built,
}

/// An indicator that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is no such indicator.
    #[error("indicator {name:?}, expected {expected}")]
    Unknown {
        /// Name asked for.
        name: String,
        /// The nearest names, or all.
        expected: String,
    },
    /// It has no such parameter.
    #[error("parameter {name:?} of {indicator}, expected one of {known}")]
    UnknownParameter {
        /// Indicator.
        indicator: &'static str,
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
    /// A value that is no number, no such word, or out of range.
    #[error("parameter `{name}` is {value:?}, expected {expected}")]
    Invalid {
        /// Parameter.
        name: &'static str,
        /// Its value as stated.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// Text that is not a name with parameters.
    #[error("indicator {0:?}, expected NAME or NAME:key=value,… such as macd:fast=12,slow=26")]
    Form(String),
    /// Lengths that fit their ranges and not each other.
    #[error(transparent)]
    Length(#[from] InvalidLength),
}

/// Every indicator, in the order of the documentation.
#[must_use]
pub fn entries() -> &'static [Entry] {
    table::ENTRIES
}

/// The indicator called `name`, in any case; an unknown one is an error with the nearest names.
pub fn find(name: &str) -> Result<&'static Entry, BuildError> {
    let wanted = name.trim().to_lowercase();
    entries().iter().find(|entry| entry.name == wanted).ok_or_else(|| {
        let nearest = nearest(&wanted);
        let expected = if nearest.is_empty() {
            let all: Vec<_> = entries().iter().map(|entry| entry.name).collect();
            format!("one of {}", all.join(", "))
        } else {
            format!("one of the catalogue; did you mean {}?", nearest.join(" or "))
        };
        BuildError::Unknown { name: name.to_owned(), expected }
    })
}

/// Builds the indicator `name` with the stated parameters, defaults for the others.
pub fn build(
    name: &str,
    parameters: &[(impl AsRef<str>, impl AsRef<str>)],
) -> Result<Box<dyn Study>, BuildError> {
    find(name)?.build(parameters)
}

impl Entry {
    /// Builds it with the stated parameters, defaults for the others.
    pub fn build(
        &'static self,
        parameters: &[(impl AsRef<str>, impl AsRef<str>)],
    ) -> Result<Box<dyn Study>, BuildError> {
        let arguments = Arguments::of(self.name, self.parameters, parameters)?;
        let (fast, slow) = (arguments.length("fast"), arguments.length("slow"));
        if self.ordered
            && fast >= slow
            && let Some(parameter) = self.parameters.iter().find(|parameter| parameter.name == "fast")
        {
            let expected = format!("less than `slow`, which is {slow}");
            return Err(parameter.invalid(&fast.to_string(), expected));
        }
        Ok((self.make)(&arguments)?)
    }

    /// Bars before the first value with every parameter at its default.
    #[must_use]
    pub fn warm_up(&'static self) -> Option<usize> {
        self.build(NONE).ok().map(|study| study.warm_up())
    }
}

/// No parameters stated.
const NONE: &[(&str, &str)] = &[];

/// A name with parameters as text: `sma:length=20`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Name.
    pub name: String,
    /// Parameters as stated.
    pub parameters: Vec<(String, String)>,
}

impl Request {
    /// Builds what it asks for.
    pub fn build(&self) -> Result<Box<dyn Study>, BuildError> {
        build(&self.name, &self.parameters)
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)?;
        for (index, (name, value)) in self.parameters.iter().enumerate() {
            write!(formatter, "{}{name}={value}", if index == 0 { ':' } else { ',' })?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Request {
    type Err = BuildError;

    fn from_str(text: &str) -> Result<Self, BuildError> {
        let form = || BuildError::Form(text.to_owned());
        let (name, rest) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        if name.trim().is_empty() {
            return Err(form());
        }
        let pair = |part: &str| -> Result<(String, String), BuildError> {
            let (key, value) = part.split_once('=').ok_or_else(form)?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        };
        let parameters = rest.map_or(Ok(Vec::new()), |rest| rest.split(',').map(pair).collect());
        Ok(Self { name: name.trim().to_lowercase(), parameters: parameters? })
    }
}

/// Most names that an error suggests.
const SUGGESTIONS_MAX: usize = 3;

/// Names that resemble `wanted`: in few letters, or as a word of their title.
fn nearest(wanted: &str) -> Vec<&'static str> {
    let word = |title: &str| wanted.len() >= 3 && title.to_lowercase().contains(wanted);
    let mut found: Vec<(usize, &str)> = entries()
        .iter()
        .filter_map(|entry| {
            let letters = distance(wanted, entry.name);
            let near = letters <= (entry.name.len() / 3).max(1);
            (near || word(entry.title)).then_some((if near { letters } else { wanted.len() }, entry.name))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().take(SUGGESTIONS_MAX).map(|(_, name)| name).collect()
}

/// Letters to insert, remove or change between two words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (column, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}
