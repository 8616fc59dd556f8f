//! The statistics of a run: what is searched for and tested against.
//!
//! Deliberately absent: formulas (`domain::performance`), names and gates (`analytics`).

use std::collections::BTreeMap;

use analytics::metrics::{Measured, values};
use domain::calendar::{Calendar, OutOfRange};
use domain::money::Amount;
use domain::performance::{EquityPoint, EquityStatistics, TradeStatistics, daily_equity};
use engine::Outcome;

const NANOS_PER_DAY: f64 = 86_400e9;

/// Statistics by name; one that is undefined is `None`.
pub type Statistics = BTreeMap<String, Option<f64>>;

/// What a tear sheet would say, without making one: for the many runs of a search.
pub fn statistics(outcome: &Outcome, calendar: &Calendar) -> Result<Statistics, OutOfRange> {
    let rows = &outcome.equity;
    let points: Vec<_> =
        rows.iter().map(|row| EquityPoint { time_ns: row.time_ns, equity: row.equity }).collect();
    let daily = daily_equity(&points, calendar)?.map(|daily| daily.values()).unwrap_or_default();
    let passed = rows.first().zip(rows.last()).map(|(first, last)| last.time_ns - first.time_ns);
    let held = rows.iter().filter(|row| row.exposure > Amount::ZERO).count();
    Ok(values(&Measured {
        equity: EquityStatistics::of(&daily, passed.unwrap_or_default() as f64 / NANOS_PER_DAY, 0.0),
        trades: TradeStatistics::of(&outcome.trades, rows),
        time_in_market: (!rows.is_empty()).then(|| held as f64 / rows.len() as f64),
        ..Measured::default()
    }))
}
