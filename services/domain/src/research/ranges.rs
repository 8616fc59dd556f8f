//! What a search tries for one parameter, as people write it.

use contracts::v1::{BacktestRequest, BacktestStrategy};

use crate::money::Quantity;

/// A range of values that cannot be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("range {text:?}: expected {expected}")]
pub struct MalformedRange {
    /// As it was written.
    pub text: String,
    /// What was expected.
    pub expected: &'static str,
}

/// Most values of one parameter.
pub const VALUES_MAX: usize = 1_000;

/// Reads `from..to`, `from..to:step` or `a|b|c` as values; numbers are exact decimals, the end is included.
pub fn values(text: &str) -> Result<Vec<String>, MalformedRange> {
    let malformed = |expected| MalformedRange { text: text.to_owned(), expected };
    let Some((from, rest)) = text.split_once("..") else {
        let values: Vec<_> = text.split('|').map(str::to_owned).collect();
        let whole = values.iter().all(|value| !value.is_empty());
        return if whole { Ok(values) } else { Err(malformed("FROM..TO[:STEP] or values as a|b|c")) };
    };
    let (to, step) = rest.split_once(':').unwrap_or((rest, "1"));
    let number = |text: &str| text.parse::<Quantity>().map(|number| i128::from(number.0));
    let (Ok(from), Ok(to), Ok(step)) = (number(from), number(to), number(step)) else {
        return Err(malformed("FROM..TO[:STEP] with decimal numbers"));
    };
    if step <= 0 || to < from {
        return Err(malformed("FROM at most TO and a STEP above 0"));
    }
    if (to - from) / step >= VALUES_MAX as i128 {
        return Err(malformed("at most 1,000 values"));
    }
    let steps = (0..).map(|index: i128| from + index * step).take_while(|value| *value <= to);
    Ok(steps.filter_map(|value| i64::try_from(value).ok()).map(|value| Quantity(value).to_string()).collect())
}

/// Values as people write them: what [`values`] reads as the same ones.
#[must_use]
pub fn text(values: &[String]) -> String {
    steps(values).unwrap_or_else(|| values.join("|"))
}

/// Three numbers or more that rise by one step.
fn steps(values: &[String]) -> Option<String> {
    let [first, _, .., last] = values else { return None };
    let number = |value: &String| value.parse::<Quantity>().ok().map(|number| number.0);
    let numbers: Vec<i64> = values.iter().map(number).collect::<Option<_>>()?;
    let mut rises = numbers.iter().zip(numbers.iter().skip(1)).map(|(low, high)| high.checked_sub(*low));
    let step = rises.next().flatten().filter(|step| *step > 0)?;
    if !rises.all(|rise| rise == Some(step)) {
        return None;
    }
    let step = Quantity(step).to_string();
    Some(if step == "1" { format!("{first}..{last}") } else { format!("{first}..{last}:{step}") })
}

/// The parameters of a strategy of `request` by name: of one that is searched what is tried, not the value that stands in
/// for it.
#[must_use]
pub fn parameters(request: &BacktestRequest, strategy: &BacktestStrategy) -> Vec<(String, String)> {
    let ranges = || request.search.iter().flat_map(|search| &search.ranges);
    let shown = strategy.parameters.iter().map(|one| {
        let tried = ranges().find(|tried| tried.strategy == strategy.name && tried.parameter == one.name);
        (one.name.clone(), tried.map_or_else(|| one.value.clone(), |tried| text(&tried.values)))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_they_are_read() {
        for range in ["5..30", "5..20:5", "0.1..0.3:0.1", "simple|exponential", "5|10", "3|1|2", "1|2|4"] {
            assert_eq!(text(&values(range).unwrap()), range);
        }
    }

    #[test]
    fn ranges_and_lists_are_read_exactly_and_nonsense_is_named() {
        assert_eq!(values("5..20:5").unwrap(), ["5", "10", "15", "20"]);
        assert_eq!(values("0.1..0.3:0.1").unwrap(), ["0.1", "0.2", "0.3"]);
        assert_eq!(values("simple|exponential").unwrap(), ["simple", "exponential"]);
        assert_eq!(values("7").unwrap(), ["7"]);
        for wrong in ["5..1", "1..9:0", "a..b", "1|", "", "0..10000000"] {
            assert!(values(wrong).is_err(), "{wrong}");
        }
        // As far as numbers go.
        assert!(values("-9000000000..9000000000").is_err());
        assert_eq!(values("9223372036.8..9223372036.85:0.1").unwrap(), ["9223372036.8"]);
    }
}
