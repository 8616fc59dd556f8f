//! The built-in kinds of strategies, their parameters, and how one is built.

use contracts::v1::Parameter;

use super::{Momentum, ParameterError, ParameterSpec, SmaCross, Strategy, ValueSpec};
use crate::indicator::InvalidLength;
use crate::money::E9;

/// A kind of strategy that can be built.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Name, as registrations and configuration files write it.
    pub name: &'static str,
    /// What it does, in words.
    pub description: &'static str,
    /// Its parameters.
    pub parameters: &'static [ParameterSpec],
}

const FAST: ParameterSpec = ParameterSpec {
    name: "fast",
    description: "bars of the fast average",
    unit: "bars",
    value: ValueSpec::Integer { min: 1, max: 9_999 },
    default: "20",
};
const SLOW: ParameterSpec = ParameterSpec {
    name: "slow",
    description: "bars of the slow average, more than fast",
    unit: "bars",
    value: ValueSpec::Integer { min: 2, max: 10_000 },
    default: "50",
};
const LOOKBACK: ParameterSpec = ParameterSpec {
    name: "lookback",
    description: "bars over which the change is measured",
    unit: "bars",
    value: ValueSpec::Integer { min: 1, max: 10_000 },
    default: "20",
};
const THRESHOLD: ParameterSpec = ParameterSpec {
    name: "threshold",
    description: "change that counts as strong; 0.02 is 2 %",
    unit: "share of the price",
    value: ValueSpec::Decimal { min_e9: 0, max_e9: 10 * E9 },
    default: "0.02",
};
const MAX_POSITION: ParameterSpec = ParameterSpec {
    name: "max_position",
    description: "largest position per symbol as a share of equity, whatever the sizing says",
    unit: "share of equity",
    value: ValueSpec::Decimal { min_e9: 1, max_e9: E9 },
    default: "0.1",
};

const KINDS: [Kind; 2] = [
    Kind {
        name: "momentum",
        description: "long when the change over `lookback` bars rises above `threshold`, out when it falls \
                      below -`threshold`",
        parameters: &[LOOKBACK, THRESHOLD, MAX_POSITION],
    },
    Kind {
        name: "sma_cross",
        description: "long when the `fast` average of closes crosses above the `slow` one, out when it \
                      crosses below",
        parameters: &[FAST, SLOW],
    },
];

/// Every kind, by name.
#[must_use]
pub fn kinds() -> &'static [Kind] {
    &KINDS
}

/// All parameters of `kind` with their stated or default values, in the order of the catalogue, checked.
pub fn resolve(kind: &str, parameters: &[Parameter]) -> Result<Vec<Parameter>, ParameterError> {
    let kind = find(kind)?;
    check_names(kind, parameters)?;
    let resolved: Result<Vec<_>, _> = kind.parameters.iter().map(|spec| spec.checked(parameters)).collect();
    let resolved = resolved?;
    if kind.name == "sma_cross" {
        check_windows(&resolved)?;
    }
    Ok(resolved)
}

/// Builds a strategy of `kind`.
pub fn build(kind: &str, parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    let parameters = resolve(kind, parameters)?;
    let length = |spec: &ParameterSpec| spec.integer(&parameters).map(|bars| bars as usize);
    // The ranges above lie within what an indicator allows; should that change, this names the value.
    let refused = |spec: &ParameterSpec, error: InvalidLength| ParameterError::Invalid {
        name: spec.name,
        value: spec.stated(&parameters).to_owned(),
        expected: error.to_string(),
    };
    if kind == "momentum" {
        let threshold_e9 = THRESHOLD.decimal_e9(&parameters)?;
        let built = Momentum::new(length(&LOOKBACK)?, threshold_e9);
        return Ok(Box::new(built.map_err(|error| refused(&LOOKBACK, error))?));
    }
    let built = SmaCross::new(length(&FAST)?, length(&SLOW)?);
    Ok(Box::new(built.map_err(|error| refused(&SLOW, error))?))
}

/// The largest position per symbol that the parameters of a strategy allow, as a share of equity in 1e-9;
/// `None` when its kind has no such parameter. Risk sizes no entry beyond it.
///
/// An external strategy (empty kind) may state `max_position` too.
pub fn position_cap_e9(kind: &str, parameters: &[Parameter]) -> Result<Option<i64>, ParameterError> {
    let stated = parameters.iter().any(|parameter| parameter.name == MAX_POSITION.name);
    let applies = if kind.is_empty() { stated } else { find(kind)?.parameters.contains(&MAX_POSITION) };
    applies.then(|| MAX_POSITION.decimal_e9(parameters)).transpose()
}

/// Checks what no single parameter can say: that fast is less than slow.
fn check_windows(parameters: &[Parameter]) -> Result<(), ParameterError> {
    let (fast, slow) = (FAST.integer(parameters)?, SLOW.integer(parameters)?);
    if fast < slow {
        return Ok(());
    }
    let expected = format!("less than `slow`, which is {slow}");
    Err(ParameterError::Invalid { name: FAST.name, value: fast.to_string(), expected })
}

fn find(kind: &str) -> Result<&'static Kind, ParameterError> {
    KINDS.iter().find(|known| known.name == kind).ok_or_else(|| ParameterError::UnknownKind {
        kind: kind.to_owned(),
        known: KINDS.map(|known| known.name).join(", "),
    })
}

fn check_names(kind: &'static Kind, parameters: &[Parameter]) -> Result<(), ParameterError> {
    for (index, parameter) in parameters.iter().enumerate() {
        let name = parameter.name.clone();
        if !kind.parameters.iter().any(|spec| spec.name == name) {
            let known: Vec<_> = kind.parameters.iter().map(|spec| spec.name).collect();
            return Err(ParameterError::Unknown { kind: kind.name, name, known: known.join(", ") });
        }
        if parameters[..index].iter().any(|earlier| earlier.name == name) {
            return Err(ParameterError::Repeated { name });
        }
    }
    Ok(())
}
