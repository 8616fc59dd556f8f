//! The built-in kinds of strategies, their parameters, and how one is built.

use contracts::v1::Parameter;

use super::momentum::MAX_POSITION;
use super::{
    ParameterError, ParameterSpec, Strategy, ValueSpec, bollinger_reversion, buy_and_hold, donchian_breakout,
    mean_reversion, momentum, pairs, rebalance, regime_switch, sma_cross,
};
use crate::indicator::InvalidLength;

/// A kind of strategy that can be built.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Name, as registrations and configuration files write it; `docs/strategies/<name>.md` describes it.
    pub name: &'static str,
    /// What it does, in words.
    pub description: &'static str,
    /// Its parameters.
    pub parameters: &'static [ParameterSpec],
    /// Builds one from parameters that are each within their range.
    pub(super) build: Build,
}

/// Builds a strategy; an error names a parameter that contradicts another.
pub(super) type Build = fn(&[Parameter]) -> Result<Box<dyn Strategy>, ParameterError>;

/// What the strategies that cross a line have in common.
pub(super) const ALLOW_SHORT: ParameterSpec = ParameterSpec {
    name: "allow_short",
    description: "go short where it would otherwise only get out; the account's limits must allow it too",
    unit: "",
    value: ValueSpec::Boolean,
    default: "false",
};

/// By name.
const KINDS: [Kind; 9] = [
    bollinger_reversion::KIND,
    buy_and_hold::KIND,
    donchian_breakout::KIND,
    mean_reversion::KIND,
    momentum::KIND,
    pairs::KIND,
    rebalance::KIND,
    regime_switch::KIND,
    sma_cross::KIND,
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
    // What no single parameter can say is known by building.
    (kind.build)(&resolved)?;
    Ok(resolved)
}

/// Builds a strategy of `kind`.
pub fn build(kind: &str, parameters: &[Parameter]) -> Result<Box<dyn Strategy>, ParameterError> {
    let known = find(kind)?;
    check_names(known, parameters)?;
    let resolved: Result<Vec<_>, _> = known.parameters.iter().map(|spec| spec.checked(parameters)).collect();
    (known.build)(&resolved?)
}

/// The symbols that the parameters of a strategy name, which it must therefore be given; none when it takes
/// whatever it is given.
pub fn named_symbols(kind: &str, parameters: &[Parameter]) -> Result<Vec<String>, ParameterError> {
    let symbols: Result<Vec<_>, _> =
        find(kind)?.parameters.iter().map(|spec| spec.symbols(parameters)).collect();
    Ok(symbols?.concat())
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

/// A length that its range allows and its indicator does not; the ranges lie within what indicators allow, so
/// this names the value should that change.
pub(super) fn refused<'spec>(
    spec: &'spec ParameterSpec,
    parameters: &'spec [Parameter],
) -> impl Fn(InvalidLength) -> ParameterError + 'spec {
    |error| spec.refused(parameters, error.to_string())
}

/// Checks that the whole number `less` is below `more`.
pub(super) fn check_less(
    less: &ParameterSpec,
    more: &ParameterSpec,
    parameters: &[Parameter],
) -> Result<(), ParameterError> {
    let bound = more.decimal_e9(parameters)?;
    if less.decimal_e9(parameters)? < bound {
        return Ok(());
    }
    Err(less.refused(parameters, format!("less than `{}`, which is {}", more.name, more.stated(parameters))))
}

fn find(kind: &str) -> Result<&'static Kind, ParameterError> {
    KINDS
        .iter()
        .find(|known| known.name == kind)
        .ok_or_else(|| ParameterError::UnknownKind { kind: kind.to_owned(), known: known_kinds(kind) })
}

/// The kinds that there are, for who `asked` for one that there is not; of a name under which others have what is a
/// parameter here, which.
#[must_use]
pub fn known_kinds(asked: &str) -> String {
    let known = KINDS.map(|known| known.name).join(", ");
    match asked {
        "ema_cross" => format!("{known}; ema_cross is sma_cross with average=exponential"),
        _ => known,
    }
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
