//! From trades and equity rows to the tear sheet.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, SecondsFormat};
use domain::calendar::{Calendar, OutOfRange};
use domain::money::Amount;
use domain::performance::{
    DailyEquity, EquityRow, EquityStatistics, Relative, Trade, TradeStatistics, daily_rate, deepest_drawdowns,
};

use crate::metrics::{Measured, values};
use crate::monte_carlo::{self, simulate};
use crate::sheet::{
    BenchmarkFacts, Costs, Counts, Daily, DrawdownRow, RunFacts, SCHEMA, Span, TearSheet, TradeRow,
};
use crate::warnings::{SharpeEvidence, Trials, Warning, of_run};
use crate::{no_trades, periods, rolling};

/// Trades kept in the sheet; the whole list is the run's own.
pub const TRADES_MAX: usize = 1_000;
/// Drawdowns listed.
const DRAWDOWNS_MAX: usize = 10;
const NANOS_PER_DAY: f64 = 86_400e9;

/// Daily closes to compare with.
#[derive(Clone, Copy, Debug)]
pub struct Benchmark<'a> {
    /// Its name, for example `SPY, bought and held`.
    pub name: &'a str,
    /// Its close per session, adjusted for splits and dividends if they should count; ascending by date.
    pub closes: &'a [(NaiveDate, f64)],
}

/// What a tear sheet is made from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// What ran.
    pub facts: RunFacts,
    /// Closed trades, in the order of their exits.
    pub trades: &'a [Trade],
    /// The account per instant, ascending by time.
    pub equity: &'a [EquityRow],
    /// When a day ends.
    pub calendar: &'a Calendar,
    /// What to compare with.
    pub benchmark: Option<Benchmark<'a>>,
    /// Rate per year: 0.03 is three per cent.
    pub risk_free_annual: f64,
    /// How often things happened.
    pub counts: Counts,
    /// Commissions and fees paid, open trades included; without it those of the closed trades.
    pub commission: Option<Amount>,
    /// Slippage paid, where it is known.
    pub slippage: Option<Amount>,
    /// How many parameter sets were tried.
    pub trials: Trials,
    /// Monte Carlo, when it is wanted.
    pub monte_carlo: Option<monte_carlo::Settings>,
    /// What checks of the run found: cliffs, look-ahead, warm-up.
    pub warnings: Vec<Warning>,
}

impl<'a> Input<'a> {
    /// An input with nothing but trades and equity; the rest is set by field.
    #[must_use]
    pub fn new(trades: &'a [Trade], equity: &'a [EquityRow], calendar: &'a Calendar) -> Self {
        Self {
            facts: RunFacts::default(),
            trades,
            equity,
            calendar,
            benchmark: None,
            risk_free_annual: 0.0,
            counts: Counts::default(),
            commission: None,
            slippage: None,
            trials: Trials::default(),
            monte_carlo: None,
            warnings: Vec::new(),
        }
    }
}

impl TearSheet {
    /// Measures a run. An error when the calendar does not know the run's dates.
    pub fn of(input: Input<'_>) -> Result<Self, OutOfRange> {
        let rows = input.equity;
        let series = periods::closes(rows, input.calendar)?;
        let values_daily = series.values();
        let mut daily = periods::daily(&series, rows, input.calendar)?;
        let compared = input.benchmark.map(|benchmark| compare(&series, &daily, &benchmark));
        if let Some(compared) = &compared {
            daily.benchmark.clone_from(&compared.values);
        }
        // A loss of everything leaves returns that are no numbers; what needs all of them is undefined then.
        let returns: Vec<f64> = daily.returns.iter().copied().collect::<Option<Vec<_>>>().unwrap_or_default();
        let risk_free_daily = daily_rate(input.risk_free_annual);
        let measured = Measured {
            equity: EquityStatistics::of(&values_daily, calendar_days(rows), input.risk_free_annual),
            trades: TradeStatistics::of(input.trades, rows),
            relative: compared.as_ref().map_or_else(Relative::default, |compared| {
                Relative::of(&compared.own, &compared.other, input.risk_free_annual)
            }),
            evidence: risk_free_daily.map_or_else(SharpeEvidence::default, |risk_free| {
                SharpeEvidence::of(&returns, risk_free, input.trials)
            }),
            time_in_market: time_in_market(rows),
        };
        let days = daily.returns.len();
        let mut warnings = of_run(input.trades.len(), days, input.counts.ambiguous_bars, &measured.evidence);
        warnings.extend(input.warnings);
        let starting = rows.first().map(|row| row.equity);
        Ok(Self {
            schema: SCHEMA,
            run: input.facts,
            span: span(rows),
            statistics: values(&measured),
            drawdowns: drawdown_rows(&values_daily, &daily),
            years: periods::years(
                &series,
                compared.as_ref().and_then(|compared| compared.base),
                &daily.benchmark,
            ),
            histogram: periods::histogram(&returns),
            rolling: rolling::rolling(&daily.dates, &returns, input.risk_free_annual),
            trades: trade_rows(input.trades),
            trades_total: input.trades.len(),
            costs: costs(input.commission.unwrap_or(measured.trades.commission), input.slippage, starting),
            no_trades: no_trades::reasons(input.trades.len(), &input.counts),
            counts: input.counts,
            benchmark: input.benchmark.zip(compared.as_ref()).map(|(benchmark, compared)| BenchmarkFacts {
                name: benchmark.name.to_owned(),
                days: compared.own.len(),
            }),
            monte_carlo: input
                .monte_carlo
                .zip(starting)
                .and_then(|(settings, starting)| simulate(input.trades, starting, settings)),
            warnings,
            daily,
        })
    }
}

fn calendar_days(rows: &[EquityRow]) -> f64 {
    let passed =
        rows.first().zip(rows.last()).map(|(first, last)| last.time_ns.saturating_sub(first.time_ns));
    passed.map_or(0.0, |passed| passed as f64 / NANOS_PER_DAY)
}

fn time_in_market(rows: &[EquityRow]) -> Option<f64> {
    let held = rows.iter().filter(|row| row.exposure > Amount::ZERO).count();
    (!rows.is_empty()).then(|| held as f64 / rows.len() as f64)
}

/// RFC 3339 in UTC, with as many decimals as the instant has.
pub(crate) fn instant(time_ns: i64) -> String {
    DateTime::from_timestamp_nanos(time_ns).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn span(rows: &[EquityRow]) -> Span {
    Span {
        from: rows.first().map(|row| instant(row.time_ns)),
        to: rows.last().map(|row| instant(row.time_ns)),
        starting_equity: rows.first().map(|row| row.equity.to_string()),
        final_equity: rows.last().map(|row| row.equity.to_string()),
        peak_equity: rows.iter().map(|row| row.equity).max().map(|peak| peak.to_string()),
        instants: rows.len(),
    }
}

fn costs(commission: Amount, slippage: Option<Amount>, starting: Option<Amount>) -> Costs {
    let share = |start: Amount| commission.to_f64() / start.to_f64();
    Costs {
        commission: commission.to_string(),
        slippage: slippage.map(|slippage| slippage.to_string()),
        commission_share: starting.filter(|start| *start > Amount::ZERO).map(share),
    }
}

fn trade_rows(trades: &[Trade]) -> Vec<TradeRow> {
    let newest = trades.get(trades.len().saturating_sub(TRADES_MAX)..).unwrap_or_default();
    newest
        .iter()
        .map(|trade| TradeRow {
            strategy: trade.strategy.to_string(),
            symbol: trade.symbol.to_string(),
            side: trade.side.name().to_owned(),
            quantity: trade.quantity.to_string(),
            entry_time: instant(trade.entry_ns),
            entry_price: trade.entry_price.to_string(),
            exit_time: instant(trade.exit_ns),
            exit_price: trade.exit_price.to_string(),
            commission: trade.commission.to_string(),
            pnl: trade.pnl.to_string(),
            return_pct: trade.return_pct(),
        })
        .collect()
}

fn drawdown_rows(values: &[Amount], daily: &Daily) -> Vec<DrawdownRow> {
    // Place 0 is the start of the run, place n the n-th close.
    let date = |place: usize| match place.checked_sub(1) {
        None => daily.start_date,
        Some(close) => daily.dates.get(close).copied(),
    };
    let row = |found: domain::performance::Drawdown| {
        let (start, end) = (date(found.start)?, date(found.end)?);
        Some(DrawdownRow {
            depth: found.depth,
            start,
            trough: date(found.trough)?,
            recovery: found.recovery.and_then(date),
            sessions: found.length(),
            days: (end - start).num_days(),
        })
    };
    deepest_drawdowns(values, DRAWDOWNS_MAX).into_iter().filter_map(row).collect()
}

/// A benchmark on the days of a run.
struct Compared {
    /// The run's returns between days that both have.
    own: Vec<f64>,
    /// The benchmark's returns between them.
    other: Vec<f64>,
    /// Equity where the comparison begins.
    base: Option<f64>,
    /// What that had come to in the benchmark, per close of the run.
    values: Vec<Option<f64>>,
}

/// Both series on the dates that both have, so that every pair of returns spans the same days. The start is
/// paired with the benchmark's last close before the first session, if it has one.
fn compare(series: &DailyEquity, daily: &Daily, benchmark: &Benchmark<'_>) -> Compared {
    let closes: BTreeMap<NaiveDate, f64> =
        benchmark.closes.iter().copied().filter(|(_, close)| close.is_finite() && *close > 0.0).collect();
    let first = daily.dates.first().copied();
    let before = first.and_then(|first| closes.range(..first).next_back()).map(|(_, close)| *close);
    let mut pair = before.map(|close| (series.start, close));
    let mut base = pair;
    let (mut own, mut other, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for close in &series.closes {
        let Some(price) = closes.get(&close.date).copied() else {
            values.push(None);
            continue;
        };
        let (equity, start) = *base.get_or_insert((close.equity, price));
        values.push(Some(equity.to_f64() * price / start));
        if let Some((equity_before, price_before)) = pair
            && let Some(grown) = periods::growth(equity_before, close.equity)
        {
            own.push(grown);
            other.push(price / price_before - 1.0);
        }
        pair = Some((close.equity, price));
    }
    Compared { own, other, values, base: base.map(|(equity, _)| equity.to_f64()) }
}
