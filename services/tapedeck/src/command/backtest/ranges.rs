//! What a search tries, as `--param` states it, and how it chooses among that.

use contracts::v1::{BacktestRange, BacktestRequest};
use domain::strategy::kinds;
use engine::space::values;

use super::HELP;
use super::request::pair;
use crate::cli::{Method, SearchOptions};
use crate::exit::Failure;

/// Runs of a sampler where no number is stated.
const TRIALS: usize = 100;

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

/// How combinations are chosen, and how many; a grid has all of them.
pub fn sampler(search: &SearchOptions) -> Result<(&'static str, usize), Failure> {
    let name = match (search.method, search.trials) {
        (Method::Grid, None) => return Ok(("grid", 0)),
        (Method::Grid, Some(trials)) => {
            let message =
                format!("--trials {trials}: expected --method random or tpe, a grid runs every combination");
            return Err(Failure::usage(message, HELP));
        }
        (Method::Random, _) => "random",
        (Method::Tpe, _) => "tpe",
    };
    Ok((name, search.trials.unwrap_or(TRIALS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_runs_is_a_samplers() {
        let of = |method, trials| {
            let metric = "sharpe".to_owned();
            sampler(&SearchOptions { parameters: Vec::new(), method, trials, metric })
                .map_err(|failure| failure.message)
        };
        assert_eq!(of(Method::Grid, None), Ok(("grid", 0)));
        assert_eq!(of(Method::Random, None), Ok(("random", 100)));
        assert_eq!(of(Method::Tpe, Some(7)), Ok(("tpe", 7)));
        let refused = "--trials 7: expected --method random or tpe, a grid runs every combination";
        assert_eq!(of(Method::Grid, Some(7)), Err(refused.to_owned()));
    }
}
