//! Session closes as columns, and what they come to by month and year.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use domain::calendar::{Calendar, OutOfRange};
use domain::money::Amount;
use domain::performance::{
    DailyEquity, EquityPoint, EquityRow, ascending, daily_equity, drawdowns, percentile,
};

use crate::sheet::{Daily, Histogram, YearRow};

const BINS_MIN: usize = 5;
const BINS_MAX: usize = 60;

/// The session closes of `rows`; an empty series when there are no rows.
pub(crate) fn closes(rows: &[EquityRow], calendar: &Calendar) -> Result<DailyEquity, OutOfRange> {
    let points: Vec<EquityPoint> =
        rows.iter().map(|row| EquityPoint { time_ns: row.time_ns, equity: row.equity }).collect();
    let nothing = || DailyEquity { start: Amount::ZERO, closes: Vec::new() };
    Ok(daily_equity(&points, calendar)?.unwrap_or_else(nothing))
}

/// After over before, minus one; `None` when there was nothing before.
pub(crate) fn growth(before: Amount, after: Amount) -> Option<f64> {
    (before > Amount::ZERO).then(|| after.to_f64() / before.to_f64() - 1.0)
}

/// The closes as columns, without a benchmark.
pub(crate) fn daily(
    series: &DailyEquity,
    rows: &[EquityRow],
    calendar: &Calendar,
) -> Result<Daily, OutOfRange> {
    let values = series.values();
    let below = drawdowns(&values);
    let mut exposure = Vec::with_capacity(series.closes.len());
    let (mut times, mut cash, mut exposure_value) = (Vec::new(), Vec::new(), Vec::new());
    let mut row = 0;
    for close in &series.closes {
        let end_ns = calendar.session(close.date)?.map_or(i64::MIN, |session| session.close_ns);
        while rows.get(row + 1).is_some_and(|next| next.time_ns <= end_ns) {
            row += 1;
        }
        let share = |row: &EquityRow| row.exposure.to_f64() / row.equity.to_f64();
        exposure.push(rows.get(row).filter(|row| row.equity > Amount::ZERO).map(share));
        let end = chrono::DateTime::from_timestamp_nanos(end_ns);
        times.push(end.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
        cash.push(rows.get(row).map_or(Amount::ZERO, |row| row.cash).to_string());
        exposure_value.push(rows.get(row).map_or(Amount::ZERO, |row| row.exposure).to_string());
    }
    Ok(Daily {
        start_date: rows.first().map(|row| calendar.date_of(row.time_ns)),
        dates: series.closes.iter().map(|close| close.date).collect(),
        equity: series.closes.iter().map(|close| close.equity.to_string()).collect(),
        returns: values.windows(2).map(|pair| growth(pair[0], pair[1])).collect(),
        drawdown: (1..values.len()).map(|day| below.as_ref()?.get(day).copied()).collect(),
        exposure,
        benchmark: vec![None; series.closes.len()],
        times,
        cash,
        exposure_value,
    })
}

/// Return from the period before to the end of each period that `key` tells apart.
fn returns_by<K: Ord>(series: &DailyEquity, key: impl Fn(NaiveDate) -> K) -> BTreeMap<K, Option<f64>> {
    let mut ends: BTreeMap<K, (Amount, Amount)> = BTreeMap::new();
    let mut before = series.start;
    for close in &series.closes {
        ends.entry(key(close.date)).or_insert((before, close.equity)).1 = close.equity;
        before = close.equity;
    }
    ends.into_iter().map(|(key, (first, last))| (key, growth(first, last))).collect()
}

/// The table of months; `benchmark` is what `base` had come to in it, per close.
pub(crate) fn years(series: &DailyEquity, base: Option<f64>, benchmark: &[Option<f64>]) -> Vec<YearRow> {
    let months = returns_by(series, |date| (date.year(), date.month0()));
    returns_by(series, |date| date.year())
        .into_iter()
        .map(|(year, total)| YearRow {
            year,
            months: std::array::from_fn(|month| {
                let month = u32::try_from(month).unwrap_or_default();
                months.get(&(year, month)).copied().flatten()
            }),
            total,
            benchmark: benchmark_year(series, base, benchmark, year),
        })
        .collect()
}

fn benchmark_year(
    series: &DailyEquity,
    base: Option<f64>,
    benchmark: &[Option<f64>],
    year: i32,
) -> Option<f64> {
    let mut before = base;
    let mut last = None;
    for (close, value) in series.closes.iter().zip(benchmark) {
        if close.date.year() == year {
            last = value.or(last);
        } else if close.date.year() < year {
            before = value.or(before);
        }
    }
    Some(last? / before.filter(|value| *value > 0.0)? - 1.0)
}

/// Bins of daily returns, as wide as Freedman and Diaconis advise, within bounds.
pub(crate) fn histogram(returns: &[f64]) -> Option<Histogram> {
    let sorted = ascending(returns);
    let (lowest, highest) = (*sorted.first()?, *sorted.last()?);
    let spread = highest - lowest;
    if spread <= 0.0 {
        return Some(Histogram { lowest, width: 0.0, counts: vec![sorted.len()] });
    }
    let quartiles = percentile(&sorted, 0.75)? - percentile(&sorted, 0.25)?;
    let advised = 2.0 * quartiles / (sorted.len() as f64).cbrt();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates")]
    let bins = ((spread / advised).ceil() as usize).clamp(BINS_MIN, BINS_MAX);
    let width = spread / bins as f64;
    let mut counts = vec![0; bins];
    for value in sorted {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below the lowest")]
        let bin = (((value - lowest) / width) as usize).min(bins - 1);
        counts[bin] += 1;
    }
    Some(Histogram { lowest, width, counts })
}
