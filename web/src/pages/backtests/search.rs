//! What the launcher's form says of a search: ranges of parameters, how they are tried, the windows.

use domain::research::ranges::values;

use crate::api::backtests::ask::{Folds, Range, Search, Strategy};
use crate::error::PageError;

/// How a search is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sought {
    sampler: String,
    runs: u32,
    metric: Option<String>,
    folds: Option<(u32, u32, bool)>,
}

impl Sought {
    /// Reads the fields of a search; `None` for a single run.
    pub(super) fn of(kind: &str, take: &mut impl FnMut(&str) -> String) -> Result<Option<Self>, PageError> {
        let number = |name: &'static str, take: &mut dyn FnMut(&str) -> String| {
            let text = take(name);
            text.parse::<u32>().map_err(|_| PageError::field(name, &text, "a whole number of 1 or more"))
        };
        let fields = ["sampler", "runs", "metric", "in_sample", "out_of_sample", "anchored"];
        if kind == "single" {
            // A browser sends what stands in a form's fields whether they count or not.
            fields.iter().for_each(|name| drop(take(name)));
            return Ok(None);
        }
        let sampler =
            Some(take("sampler")).filter(|text| !text.is_empty()).unwrap_or_else(|| "grid".to_owned());
        // A grid tries every combination.
        let runs = if sampler == "grid" {
            drop(take("runs"));
            0
        } else {
            number("runs", take)?
        };
        let metric = Some(take("metric")).filter(|text| !text.is_empty());
        let folds = if kind == "walk_forward" {
            Some((number("in_sample", take)?, number("out_of_sample", take)?, take("anchored") == "on"))
        } else {
            None
        };
        Ok(Some(Self { sampler, runs, metric, folds }))
    }

    /// Parameters with one value stay with their strategies, those with several are tried.
    pub(super) fn with(self, strategies: &mut [Strategy]) -> Result<(Search, Option<Folds>), PageError> {
        let mut ranges = Vec::new();
        for strategy in strategies {
            for (parameter, text) in std::mem::take(&mut strategy.parameters) {
                let read = values(&text).map_err(|error| {
                    PageError::field("ranges", &format!("{parameter}={text}"), error.expected)
                })?;
                match <[String; 1]>::try_from(read) {
                    Ok([only]) => drop(strategy.parameters.insert(parameter, only)),
                    Err(values) => {
                        ranges.push(Range { strategy: strategy.name.clone(), parameter, values });
                    }
                }
            }
        }
        if ranges.is_empty() {
            let expected = "at least one parameter with several values, such as 5..50:5 or 10|20|30";
            return Err(PageError::field("ranges", "", expected));
        }
        let search = Search { sampler: self.sampler, runs: self.runs, metric: self.metric, ranges };
        let folds = self.folds.map(|(in_sample, out_of_sample, anchored)| Folds {
            anchored,
            in_sample,
            out_of_sample,
        });
        Ok((search, folds))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(kind: &str, fields: &[(&str, &str)]) -> Result<Option<Sought>, PageError> {
        let mut fields: BTreeMap<&str, &str> = fields.iter().copied().collect();
        Sought::of(kind, &mut |name| fields.remove(name).unwrap_or_default().to_owned())
    }

    #[test]
    fn one_value_is_set_and_several_are_tried() {
        let sought = read("sweep", &[("sampler", "grid"), ("runs", "100")]).unwrap().unwrap();
        let stated = [("fast", "5..15:5"), ("slow", "30"), ("average", "simple|exponential")];
        let parameters = stated.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
        let first = Strategy { name: "first".to_owned(), parameters, ..Strategy::default() };
        let parameters = BTreeMap::from([("fast".to_owned(), "2|3".to_owned())]);
        let second = Strategy { name: "second".to_owned(), parameters, ..Strategy::default() };
        let mut strategies = [first, second];
        let (search, folds) = sought.with(&mut strategies).unwrap();
        assert_eq!(strategies[0].parameters, BTreeMap::from([("slow".to_owned(), "30".to_owned())]));
        let tried: Vec<_> = search
            .ranges
            .iter()
            .map(|range| format!("{}.{} {}", range.strategy, range.parameter, range.values.join(",")))
            .collect();
        assert_eq!(tried, ["first.average simple,exponential", "first.fast 5,10,15", "second.fast 2,3"]);
        assert_eq!((search.runs, folds.is_some()), (0, false), "a grid tries all");
    }

    #[test]
    fn what_a_search_lacks_is_named() {
        assert_eq!(read("single", &[("runs", "x")]).unwrap(), None);
        let error = read("sweep", &[("sampler", "random"), ("runs", "")]).unwrap_err().to_string();
        assert_eq!(error, "runs = \"\": expected a whole number of 1 or more");
        let error = read("walk_forward", &[("in_sample", "a")]).unwrap_err().to_string();
        assert!(error.starts_with("in_sample"), "{error}");
        let sought = read("sweep", &[]).unwrap().unwrap();
        let parameters = BTreeMap::from([("fast".to_owned(), "5".to_owned())]);
        let error =
            sought.with(&mut [Strategy { parameters, ..Strategy::default() }]).unwrap_err().to_string();
        assert!(error.contains("several values"), "{error}");
    }
}
