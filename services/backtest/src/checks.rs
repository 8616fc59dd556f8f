//! Checks of a run by variants of itself: what the numbers of one run cannot say.
//!
//! Look-ahead: the data after a cut are taken away, and the trades before it must stay. Delay: strategies see every
//! bar one bar late. Warm-up: a window is entered after the stated warm-up and after all the bars there are. Cliff:
//! the neighbours of the parameters. The checks of one run walk its newest bars, at most [`BARS_MAX`], so that they
//! cost a bounded time beside a long run; a note says so. Before them the prices themselves: a split that nobody
//! stated, and one that is stated and does not show.
//!
//! Deliberately absent: thresholds and words (`analytics::warnings`).

use std::collections::{BTreeMap, BTreeSet};

use analytics::warnings::{
    GridPoint, Warning, delay, look_ahead, parameter_cliff, split_like, split_without_jump, unstated_split,
    warm_up,
};
use chrono::NaiveDate;
use domain::calendar::Calendar;
use domain::corporate_action::{CorporateAction, Showing, lacks_jump};
use domain::money::{E9, Price, Quantity};
use domain::performance::Trade;
use domain::series::{BarSeries, Column, MarketData};
use domain::strategy::{ValueSpec, build, kinds};
use engine::space::{Dimension, Point, configure};
use engine::{Config, Error, Nothing, Outcome, Trial, Uncontrolled};

use crate::market::Loaded;
use crate::measure::{Statistics, statistics};

/// Most bars that the checks of one run walk, warm-up apart.
const BARS_MAX: usize = 100_000;
/// Most neighbours that are run.
const NEIGHBOURS_MAX: usize = 24;
/// Bars for which a wrong price may stand.
const ODD_BARS_MAX: usize = 3;
/// What is held against the neighbours of a single run.
const METRIC: &str = "sharpe";

/// What checks found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked {
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// What a reader has to know of the checks.
    pub notes: Vec<String>,
}

/// The checks of a run whose parameters somebody chose: those of any run, and the cliff.
pub fn of_single(config: &Config, data: &MarketData) -> Result<Checked, Error> {
    let part = Part::of(config, data);
    let mut checked = part.checked()?;
    checked.warnings.extend(of_prices_walked(config, data));
    checked.warnings.extend(part.cliff()?);
    Ok(checked)
}

/// The checks of any run.
pub fn of_run(config: &Config, data: &MarketData) -> Result<Checked, Error> {
    let mut checked = Part::of(config, data).checked()?;
    checked.warnings.extend(of_prices_walked(config, data));
    Ok(checked)
}

/// The same as [`of_prices`] of the bars that a run walks, and those before them that its strategies warm up with.
#[must_use]
pub fn of_prices_walked(config: &Config, data: &MarketData) -> Vec<Warning> {
    let Some(from_ns) = config.from_ns else { return of_prices(data, config.calendar, config.until_ns) };
    let warm_up = warm_up_bars(config);
    let walked = data.series.iter().map(|series| {
        let first = series.close_ns.values().partition_point(|ns| *ns < from_ns);
        rows(series, first.saturating_sub(warm_up), usize::MAX)
    });
    let walked = MarketData { series: walked.collect(), actions: data.actions.clone() };
    of_prices(&walked, config.calendar, config.until_ns)
}

/// What looks like a split between two sessions and is stated by no corporate action, and what is stated and looks like
/// none, one warning of each kind a series. Bars that close at `until_ns` or later do not count.
#[must_use]
pub fn of_prices(data: &MarketData, calendar: &Calendar, until_ns: Option<i64>) -> Vec<Warning> {
    let of_both = data.series.iter().flat_map(|series| {
        let dated = data.actions.iter().filter(|dated| dated.symbol == series.symbol);
        let own: Vec<&CorporateAction> = dated.map(|dated| &dated.action).collect();
        let unstated = of_series(series, own.iter().copied(), calendar, until_ns);
        unstated.into_iter().chain(without_jump(series, own.iter().copied(), calendar, until_ns))
    });
    of_both.collect()
}

/// What looks like a split of one series, whose corporate actions are `actions`, and is stated by none of them.
#[must_use]
pub fn of_series<'a>(
    series: &BarSeries,
    actions: impl Iterator<Item = &'a CorporateAction>,
    calendar: &Calendar,
    until_ns: Option<i64>,
) -> Option<Warning> {
    let splits: Vec<NaiveDate> =
        actions.filter(|action| action.split().is_some()).map(|action| action.ex_date).collect();
    let (closes, opens) = (series.close.values(), series.open.values());
    let date = |row: usize| calendar.date_of(series.close_ns.values()[row].saturating_sub(1));
    let end = series.close_ns.values().partition_point(|ns| *ns < until_ns.unwrap_or(i64::MAX));
    let is_stated = |before: NaiveDate, date: NaiveDate| {
        splits.iter().any(|ex_date| before < *ex_date && *ex_date <= date)
    };
    let mut jumps = (1..end).filter_map(|row| {
        // Most bars open near the close before them.
        let (close, open) = (closes[row - 1], opens[row]);
        if close.saturating_sub(open).saturating_abs() < open.min(close) / 4 {
            return None;
        }
        let ratio = split_like(Price(close).to_f64(), Price(open).to_f64())?;
        let (before, date) = (date(row - 1), date(row));
        let is_found = before < date && !is_stated(before, date) && !is_odd(opens, &closes[..end], row);
        is_found.then_some((date, ratio))
    });
    let (date, ratio) = jumps.next()?;
    Some(unstated_split(&series.symbol, date, ratio, jumps.count()))
}

/// Whether the jump into a row is one into a wrong price or back from it: what was before the jump is back soon after it,
/// or was there shortly before.
fn is_odd(opens: &[i64], closes: &[i64], row: usize) -> bool {
    let is_near = |one: i64, other: i64| one.saturating_sub(other).saturating_abs() < one.min(other) / 10;
    let (before, at) = (closes[row - 1], opens[row]);
    let mut after = closes[row..].iter().take(ODD_BARS_MAX);
    let mut earlier = closes[..row - 1].iter().rev().take(ODD_BARS_MAX);
    after.any(|close| is_near(*close, before)) || earlier.any(|close| is_near(*close, at))
}

/// What is stated as a split of one series and does not show in its prices.
fn without_jump<'a>(
    series: &BarSeries,
    actions: impl Iterator<Item = &'a CorporateAction>,
    calendar: &Calendar,
    until_ns: Option<i64>,
) -> Option<Warning> {
    let (closes, opens, close_ns) = (series.close.values(), series.open.values(), series.close_ns.values());
    let end = close_ns.partition_point(|ns| *ns < until_ns.unwrap_or(i64::MAX));
    let splits = actions.filter_map(|action| Some((action.ex_date, action.split()?.terms())));
    // What stands in two files is one.
    let splits: BTreeSet<(NaiveDate, (i64, i64))> = splits.collect();
    let mut unseen = splits.into_iter().filter(|(ex_date, (new, old))| {
        let start_ns = calendar.start_of(*ex_date);
        let row = close_ns.partition_point(|ns| *ns <= start_ns);
        let price = |e9: i64| Price(e9).to_f64();
        let ratio = *new as f64 / *old as f64;
        let showing = Showing::default();
        (1..end).contains(&row) && lacks_jump(price(closes[row - 1]), price(opens[row]), ratio, showing)
    });
    let (date, terms) = unseen.next()?;
    Some(split_without_jump(&series.symbol, date, terms, unseen.count()))
}

/// The part of a run that is checked, with data of its own.
struct Part {
    config: Config,
    data: MarketData,
    /// Bars, warm-up apart.
    bars: usize,
    /// Bars of the whole run.
    all: usize,
}

impl Part {
    fn of(config: &Config, data: &MarketData) -> Self {
        let (from, until) = (config.from_ns.unwrap_or(i64::MIN), config.until_ns.unwrap_or(i64::MAX));
        let all = between(data, from, until);
        let begin = if all > BARS_MAX { newest(data, (from, until), BARS_MAX) } else { from };
        let warm_up = warm_up_bars(config);
        let series = data.series.iter().map(|series| {
            let closes = series.close_ns.values();
            let first = closes.partition_point(|ns| *ns < begin).saturating_sub(warm_up.saturating_mul(2));
            rows(series, first, closes.partition_point(|ns| *ns < until))
        });
        let config = Config {
            from_ns: config.from_ns.or_else(|| (all > BARS_MAX).then_some(begin)).map(|own| own.max(begin)),
            // What is closed because the data end says nothing of the rules.
            finalize: false,
            ..config.clone()
        };
        let data = MarketData { series: series.collect(), actions: data.actions.clone() };
        Self { config, data, bars: all.min(BARS_MAX), all }
    }

    fn checked(&self) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        if self.bars == 0 {
            return Ok(checked);
        }
        if self.bars < self.all {
            checked.notes.push(format!(
                "Look-ahead, delay, warm-up and neighbouring parameters were checked on the newest {} of {} bars.",
                self.bars, self.all
            ));
        }
        let cut_ns = self.after(2, 3);
        checked.warnings.extend(look_ahead(begins(&self.data, cut_ns), |cut| match cut {
            None => run(&self.config, &self.data),
            Some(_) => run(&self.config, &before(&self.data, cut_ns)),
        })?);
        let late = Config { late: true, ..self.config.clone() };
        checked.warnings.extend(delay(&run(&self.config, &self.data)?, &run(&late, &self.data)?));
        let stated = Config { from_ns: Some(self.after(1, 3)), ..self.config.clone() };
        let longer = Config { warm_up_more: usize::MAX, ..stated.clone() };
        checked.warnings.extend(warm_up(&run(&stated, &self.data)?, &run(&longer, &self.data)?));
        Ok(checked)
    }

    /// The close before which `part` of `of` parts of the bars lie.
    fn after(&self, part: usize, of: usize) -> i64 {
        let span = (self.config.from_ns.unwrap_or(i64::MIN), i64::MAX);
        let all = between(&self.data, span.0, span.1);
        newest(&self.data, span, all - all / of * part)
    }

    /// The neighbours of the parameters, one step each way along each that is a number.
    fn cliff(&self) -> Result<Option<Warning>, Error> {
        let mut points = vec![self.point(&self.config)?];
        let mut left = NEIGHBOURS_MAX;
        for (index, strategy) in self.config.strategies.iter().enumerate() {
            for (place, parameter) in strategy.parameters.iter().enumerate() {
                for value in neighbours(&strategy.kind, &parameter.name, &parameter.value) {
                    let mut config = self.config.clone();
                    config.strategies[index].parameters[place].value = value;
                    left = left.saturating_sub(1);
                    // What a strategy refuses is no neighbour.
                    if left > 0 && build(&strategy.kind, &config.strategies[index].parameters).is_ok() {
                        points.push(self.point(&config)?);
                    }
                }
            }
        }
        Ok(parameter_cliff(&points, 0, METRIC))
    }

    fn point(&self, config: &Config) -> Result<GridPoint, Error> {
        let outcome = engine::run(config, &self.data, &mut Nothing, &mut Uncontrolled)?;
        let parameters = config.strategies.iter().flat_map(|strategy| {
            let several = config.strategies.len() > 1;
            strategy.parameters.iter().filter_map(move |parameter| {
                let number = parameter.value.parse::<f64>().ok()?;
                Some((named(several, &strategy.name, &parameter.name), number))
            })
        });
        Ok(GridPoint { parameters: parameters.collect(), value: score(config, &outcome, METRIC) })
    }
}

/// What a search tried, and which it chose.
pub(crate) struct Tried<'search> {
    pub space: &'search [Dimension],
    pub trials: &'search [Trial<Statistics>],
    pub best: &'search Point,
}

/// The cliff of a search: what was not tried of the neighbours of the best is run here, over the whole data.
pub(crate) fn cliff_of_search(
    config: &Config,
    market: &Loaded,
    tried: &Tried<'_>,
    metric: &str,
) -> Result<Option<Warning>, Error> {
    let several = config.strategies.len() > 1;
    // Words have no neighbours: among those only the chosen one counts.
    let numbers: Vec<bool> = tried
        .space
        .iter()
        .map(|dimension| dimension.values.iter().all(|value| value.parse::<f64>().is_ok()))
        .collect();
    let parameters = |point: &Point| -> Option<BTreeMap<String, f64>> {
        let mut found = BTreeMap::new();
        for (index, dimension) in tried.space.iter().enumerate() {
            let value = dimension.values.get(point[index])?;
            if numbers[index] {
                found.insert(named(several, &dimension.strategy, &dimension.parameter), value.parse().ok()?);
            } else if point[index] != tried.best[index] {
                return None;
            }
        }
        Some(found)
    };
    let mut points: Vec<GridPoint> = Vec::new();
    let Some(chosen) = parameters(tried.best) else { return Ok(None) };
    let best = tried.trials.iter().find(|trial| trial.point == *tried.best);
    points.push(GridPoint { parameters: chosen, value: best.and_then(|trial| trial.score) });
    let mut left = NEIGHBOURS_MAX;
    for point in beside(tried.space, tried.best, &numbers) {
        let known = tried.trials.iter().find(|trial| trial.point == point);
        let value = match known {
            // What cannot be run is no neighbour.
            Some(trial) if trial.measured.is_err() => continue,
            Some(trial) => trial.score,
            None if left == 0 => continue,
            None => {
                left -= 1;
                let own = configure(config, tried.space, &point);
                match engine::run(&own, &market.data, &mut Nothing, &mut Uncontrolled) {
                    Ok(outcome) => score(&own, &outcome, metric),
                    Err(Error::Config(_)) => continue,
                    Err(error) => return Err(error),
                }
            }
        };
        points.extend(parameters(&point).map(|parameters| GridPoint { parameters, value }));
    }
    Ok(parameter_cliff(&points, 0, metric))
}

/// The points one step along one dimension of numbers away.
fn beside(space: &[Dimension], best: &Point, numbers: &[bool]) -> Vec<Point> {
    let mut points = Vec::new();
    for (index, dimension) in space.iter().enumerate().filter(|(index, _)| numbers[*index]) {
        let places = [best[index].checked_sub(1), Some(best[index] + 1)];
        for place in places.into_iter().flatten().filter(|place| *place < dimension.values.len()) {
            let mut point = best.clone();
            point[index] = place;
            points.push(point);
        }
    }
    points
}

fn named(several: bool, strategy: &str, parameter: &str) -> String {
    if several { format!("{strategy}.{parameter}") } else { parameter.to_owned() }
}

fn score(config: &Config, outcome: &Outcome, metric: &str) -> Option<f64> {
    let measured = statistics(outcome, config.calendar).unwrap_or_default();
    measured.get(metric).copied().flatten()
}

/// One step down and one up: a tenth of the value, of a whole number at least one, within the bounds.
fn neighbours(kind: &str, name: &str, value: &str) -> Vec<String> {
    let kind = kinds().iter().find(|known| known.name == kind);
    let spec = kind.and_then(|kind| kind.parameters.iter().find(|spec| spec.name == name));
    match spec.map(|spec| spec.value) {
        Some(ValueSpec::Integer { min, max }) => {
            let Ok(value) = value.parse::<u32>() else { return Vec::new() };
            let step = (value / 10).max(1);
            let both = [value.checked_sub(step), value.checked_add(step)];
            both.into_iter()
                .flatten()
                .filter(|value| (min..=max).contains(value))
                .map(|v| v.to_string())
                .collect()
        }
        Some(ValueSpec::Decimal { min_e9, max_e9 }) => {
            let Ok(Quantity(value)) = value.parse::<Quantity>() else { return Vec::new() };
            let step = if value == 0 { E9 / 10 } else { (value / 10).abs() };
            let both = [value.checked_sub(step), value.checked_add(step)];
            let inside = both.into_iter().flatten().filter(|value| (min_e9..=max_e9).contains(value));
            inside.map(|value| Quantity(value).to_string()).collect()
        }
        _ => Vec::new(),
    }
}

fn run(config: &Config, data: &MarketData) -> Result<Vec<Trade>, Error> {
    engine::run(config, data, &mut Nothing, &mut Uncontrolled).map(|outcome| outcome.trades)
}

/// Bars that the strategies want before they decide.
fn warm_up_bars(config: &Config) -> usize {
    let built = config.strategies.iter().filter_map(|one| build(&one.kind, &one.parameters).ok());
    built.map(|strategy| strategy.warm_up_bars()).max().unwrap_or_default()
}

/// Bars that close from the first time on and before the second.
fn between(data: &MarketData, from: i64, until: i64) -> usize {
    let closes = data.series.iter().map(|series| series.close_ns.values());
    closes
        .map(|closes| {
            let before = |ns: i64| closes.partition_point(|close| *close < ns);
            before(until).saturating_sub(before(from))
        })
        .sum()
}

/// The first close from which on at most `count` bars lie within the span.
fn newest(data: &MarketData, (from, until): (i64, i64), count: usize) -> i64 {
    let closes = || data.series.iter().map(|series| series.close_ns.values());
    let first = closes().filter_map(|closes| closes.first().copied()).min().unwrap_or_default().max(from);
    let last = closes().filter_map(|closes| closes.last().copied()).max().unwrap_or_default().min(until);
    let (mut low, mut high) = (first, last.saturating_add(1));
    while low < high {
        let middle = low + (high - low) / 2;
        if between(data, middle, until) <= count { high = middle } else { low = middle + 1 }
    }
    low
}

/// When the first of the bars begins that close at `cut_ns` or later: an order may trade at its open already.
fn begins(data: &MarketData, cut_ns: i64) -> i64 {
    let starts = data.series.iter().filter_map(|series| {
        let first = series.close_ns.values().partition_point(|ns| *ns < cut_ns);
        series.start_ns.values().get(first).copied()
    });
    starts.min().unwrap_or(cut_ns).min(cut_ns)
}

/// The data without what is known only from `cut_ns` on.
fn before(data: &MarketData, cut_ns: i64) -> MarketData {
    let series = data.series.iter().map(|series| {
        let end = series.close_ns.values().partition_point(|ns| *ns < cut_ns);
        rows(series, 0, end)
    });
    let actions = data.actions.iter().filter(|action| action.event_ns < cut_ns);
    MarketData { series: series.collect(), actions: actions.cloned().collect() }
}

fn rows(series: &BarSeries, first: usize, end: usize) -> BarSeries {
    let cut = |column: &Column| {
        let values = column.values();
        let end = end.min(values.len());
        Column::from(values.get(first.min(end)..end).unwrap_or_default().to_vec())
    };
    BarSeries {
        source: series.source.clone(),
        symbol: series.symbol.clone(),
        timeframe: series.timeframe,
        start_ns: cut(&series.start_ns),
        close_ns: cut(&series.close_ns),
        open: cut(&series.open),
        high: cut(&series.high),
        low: cut(&series.low),
        close: cut(&series.close),
        volume: cut(&series.volume),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_is_a_tenth_away_and_within_the_bounds() {
        assert_eq!(neighbours("sma_cross", "fast", "20"), ["18", "22"]);
        assert_eq!(neighbours("sma_cross", "fast", "1"), ["2"], "none is below one");
        assert_eq!(neighbours("sma_cross", "average", "simple"), Vec::<String>::new());
        assert_eq!(neighbours("sma_cross", "none", "1"), Vec::<String>::new());
    }

    #[test]
    fn what_lies_beside_a_point_differs_in_one_number() {
        let dimension = |values: &[&str]| Dimension {
            strategy: "s".into(),
            parameter: "p".into(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let space = [dimension(&["1", "2", "3"]), dimension(&["a", "b"])];
        assert_eq!(beside(&space, &vec![0, 1], &[true, false]), [vec![1, 1]]);
        assert_eq!(beside(&space, &vec![1, 0], &[true, false]), [vec![0, 0], vec![2, 0]]);
    }
}
