//! What a search tries, as `--param` states it.

use contracts::v1::{BacktestRange, BacktestRequest};
use domain::strategy::kinds;
use engine::space::values;

use super::HELP;
use super::request::pair;
use crate::exit::Failure;

/// What is tried, from `K=RANGE` texts.
pub fn ranges(request: &BacktestRequest, texts: &[String]) -> Result<Vec<BacktestRange>, Failure> {
    let mut ranges: Vec<BacktestRange> = Vec::new();
    for text in texts {
        let parameter = pair("--param", text)?;
        let values =
            values(&parameter.value).map_err(|error| Failure::usage(format!("--param {error}"), HELP))?;
        let (only, name) = match parameter.name.split_once('.') {
            Some((strategy, name)) => (Some(strategy), name),
            None => (None, parameter.name.as_str()),
        };
        let has = |kind: &str| {
            let kind = kinds().iter().find(|known| known.name == kind);
            kind.is_some_and(|kind| kind.parameters.iter().any(|spec| spec.name == name))
        };
        let of: Vec<_> = request
            .strategies
            .iter()
            .filter(|strategy| only.is_none_or(|only| only == strategy.name) && has(&strategy.kind))
            .collect();
        let [strategy] = of.as_slice() else {
            let message =
                format!("--param {}: {} strategies have it, expected one", parameter.name, of.len());
            return Err(Failure::usage(message, HELP));
        };
        let range = BacktestRange { strategy: strategy.name.clone(), parameter: name.to_owned(), values };
        let known = |known: &BacktestRange| {
            (&known.strategy, &known.parameter) == (&range.strategy, &range.parameter)
        };
        if ranges.iter().any(known) {
            return Err(Failure::usage(format!("--param {}: stated twice", parameter.name), HELP));
        }
        ranges.push(range);
    }
    Ok(ranges)
}
