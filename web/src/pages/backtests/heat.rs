//! The scores of a sweep as a map: one parameter across, one down; of further ones the best counts.

use std::collections::BTreeMap;

use analytics::report::TrialRow;

use crate::view::ratio;

/// Most values of a parameter; a map of more says nothing.
const VALUES_MAX: usize = 40;

/// A cell: the best score of its combination.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Cell {
    pub text: String,
    /// Class of its colour: the sign and one of three strengths.
    pub class: &'static str,
    /// Whether it is the best of all.
    pub best: bool,
}

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeatMap {
    pub across: String,
    /// Empty where one parameter varies.
    pub down: String,
    pub columns: Vec<String>,
    pub rows: Vec<(String, Vec<Cell>)>,
    /// Parameters of which the best value counts.
    pub others: String,
}

/// The map of a sweep; `None` where nothing varies or where there are too many values.
pub(super) fn map(trials: &[TrialRow]) -> Option<HeatMap> {
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, value) in trials.iter().flat_map(|trial| &trial.parameters) {
        let known = values.entry(name).or_default();
        if !known.contains(&value.as_str()) {
            known.push(value);
        }
    }
    let mut varied: Vec<(&str, Vec<&str>)> = values.into_iter().filter(|(_, all)| all.len() > 1).collect();
    // Those with the most values make the axes; the longer one goes down the page.
    varied.sort_by_key(|(name, all)| (std::cmp::Reverse(all.len()), *name));
    let others: Vec<&str> = varied.iter().skip(2).map(|(name, _)| *name).collect();
    let mut axes = varied.into_iter().take(2).map(|(name, all)| (name, ordered(all)));
    let first = axes.next()?;
    let (down, across) = match axes.next() {
        Some(second) => (Some(first), second),
        None => (None, first),
    };
    if across.1.len() > VALUES_MAX || down.as_ref().is_some_and(|(_, all)| all.len() > VALUES_MAX) {
        return None;
    }
    let best = scores(trials, down.as_ref().map(|(name, _)| *name), across.0);
    let top = best.values().copied().reduce(f64::max);
    let low = best.values().copied().reduce(f64::min);
    let cell = |down: &str, across: &str| {
        let score = best.get(&(down, across)).copied();
        Cell {
            text: score.map_or_else(String::new, |score| ratio(Some(score))),
            class: score.map_or("", |score| class(score, low.unwrap_or_default(), top.unwrap_or_default())),
            best: score.is_some() && score == top,
        }
    };
    let lines = down.as_ref().map_or_else(|| vec![""], |(_, all)| all.clone());
    let rows = lines
        .into_iter()
        .map(|line| (line.to_owned(), across.1.iter().map(|column| cell(line, column)).collect::<Vec<_>>()));
    Some(HeatMap {
        rows: rows.collect(),
        columns: across.1.iter().map(|value| (*value).to_owned()).collect(),
        across: across.0.to_owned(),
        down: down.map_or_else(String::new, |(name, _)| name.to_owned()),
        others: others.join(", "),
    })
}

/// The best score of each pair of values.
fn scores<'trial>(
    trials: &'trial [TrialRow],
    down: Option<&str>,
    across: &str,
) -> BTreeMap<(&'trial str, &'trial str), f64> {
    let mut best: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for trial in trials {
        let value = |name: &str| {
            let found = trial.parameters.iter().find(|(known, _)| known == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let Some(score) = trial.score.filter(|score| score.is_finite()) else { continue };
        let place = best.entry((down.map_or("", value), value(across))).or_insert(score);
        *place = place.max(score);
    }
    best
}

/// Numbers ascend; words stay in the order in which they came.
fn ordered(mut values: Vec<&str>) -> Vec<&str> {
    let number = |text: &&str| text.parse::<f64>().ok();
    if values.iter().all(|value| number(value).is_some()) {
        values.sort_by(|left, right| {
            number(left).unwrap_or_default().total_cmp(&number(right).unwrap_or_default())
        });
    }
    values
}

fn class(score: f64, low: f64, top: f64) -> &'static str {
    let share = if score >= 0.0 { score / top } else { score / low };
    match (score > 0.0, score < 0.0, share) {
        (true, _, share) if share > 2.0 / 3.0 => "heat-gain-3",
        (true, _, share) if share > 1.0 / 3.0 => "heat-gain-2",
        (true, _, _) => "heat-gain-1",
        (_, true, share) if share > 2.0 / 3.0 => "heat-loss-3",
        (_, true, share) if share > 1.0 / 3.0 => "heat-loss-2",
        (_, true, _) => "heat-loss-1",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(parameters: &[(&str, &str)], score: Option<f64>) -> TrialRow {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        TrialRow { parameters: parameters.collect(), score, ..TrialRow::default() }
    }

    #[test]
    fn two_parameters_make_a_map_and_a_third_gives_its_best() {
        let mut trials = Vec::new();
        for (slow, base) in [("20", 0.3), ("30", -0.9), ("100", 0.9)] {
            for (fast, more) in [("10", 0.0), ("5", 0.1)] {
                for (average, best) in [("simple", 0.0), ("exponential", 0.05)] {
                    let parameters = [("slow", slow), ("fast", fast), ("average", average), ("short", "no")];
                    trials.push(trial(&parameters, Some(base + more + best)));
                }
            }
        }
        trials.push(trial(&[("slow", "20"), ("fast", "20")], None));
        let map = map(&trials).unwrap();
        assert_eq!(
            (map.down.as_str(), map.across.as_str(), map.others.as_str()),
            ("fast", "slow", "average")
        );
        assert_eq!(map.columns, ["20", "30", "100"], "numbers, not words");
        let row =
            |index: usize| -> Vec<&str> { map.rows[index].1.iter().map(|cell| cell.text.as_str()).collect() };
        assert_eq!((map.rows[0].0.as_str(), row(0)), ("5", vec!["0.45", "−0.75", "1.05"]));
        assert_eq!(row(2), ["", "", ""], "what could not be run has no score");
        assert_eq!((map.rows[0].1[2].best, map.rows[0].1[2].class), (true, "heat-gain-3"));
        assert_eq!(map.rows[1].1[1].class, "heat-loss-3");
    }

    #[test]
    fn one_parameter_is_a_line_and_none_is_nothing() {
        let line = map(&[trial(&[("fast", "1")], Some(1.0)), trial(&[("fast", "2")], Some(0.0))]).unwrap();
        assert_eq!((line.down.as_str(), line.rows.len(), line.columns.len()), ("", 1, 2));
        assert_eq!(line.rows[0].1[1].class, "");
        assert_eq!(map(&[trial(&[("fast", "1")], Some(1.0))]), None);
    }
}
