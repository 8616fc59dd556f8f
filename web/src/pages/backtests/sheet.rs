//! The tear sheet on the page: what the report holds, as text and figures.

use analytics::metrics::{Group, METRICS};
use analytics::report::{Report, TrialRow, WindowRow};
use analytics::sheet::{TearSheet, TradeRow, YearRow};
use chrono::DateTime;
use projections::queries::BacktestRow;

use super::compare::shown;
use super::figures;
use super::heat::{self, HeatMap};
use crate::error::PageError;
use crate::pages::Params;
use crate::url::{Url, escape};
use crate::view::{Instant, Signed, percent, ratio, signed_money, signed_percent, signed_percent_to};

/// Trades and runs of a sweep on one part of the page.
const ROWS: usize = 50;
/// Newest days in the table below the chart.
const DAYS: usize = 60;
/// Twelve months rounded to so many decimals of a per cent still compound to the year within 0.01 %.
const MONTH_DECIMALS: usize = 3;
/// Metrics of the banner.
const BANNER: [&str; 8] =
    ["total_return", "cagr", "sharpe", "sortino", "max_drawdown", "volatility", "win_rate", "profit_factor"];

/// A metric with its value.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub name: &'static str,
    pub label: &'static str,
    pub description: &'static str,
    pub value: String,
}

/// Metrics of one kind.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub label: &'static str,
    pub figures: Vec<Figure>,
}

/// A cell of the table of months.
#[derive(Clone, Debug)]
pub(super) struct Heat {
    pub text: String,
    /// Class of its colour: the sign and one of three strengths.
    pub class: &'static str,
    /// The fraction in full, for whoever counts with it.
    pub value: String,
}

/// A year of the table of months.
#[derive(Clone, Debug)]
pub(super) struct Year {
    pub year: i32,
    pub months: Vec<Heat>,
    pub total: Heat,
    pub benchmark: String,
}

/// A trade; its links lead to the chart at its fills.
#[derive(Clone, Debug)]
pub(super) struct Trade {
    pub id: String,
    pub symbol: String,
    pub strategy: String,
    pub side: String,
    pub quantity: String,
    pub entry: Option<Instant>,
    pub entry_url: String,
    pub entry_price: String,
    pub exit: Option<Instant>,
    pub exit_url: String,
    pub exit_price: String,
    pub commission: String,
    pub pnl: Signed,
    pub change: Signed,
}

/// A session in the table below the chart.
#[derive(Clone, Debug)]
pub(super) struct Day {
    pub date: String,
    pub equity: String,
    pub change: Signed,
    pub drawdown: String,
    pub benchmark: String,
}

/// A drawdown.
#[derive(Clone, Debug)]
pub(super) struct Drawdown {
    pub depth: String,
    pub start: String,
    pub trough: String,
    pub recovery: String,
    pub sessions: usize,
}

/// A run of a sweep or a window of a walk-forward test.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub number: usize,
    pub parameters: String,
    pub score: String,
    pub other: String,
    pub trades: String,
    pub said: String,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    pub banner: Vec<Figure>,
    pub blocks: Vec<Block>,
    pub years: Vec<Year>,
    pub histogram: Option<String>,
    pub bins: Vec<(String, usize)>,
    pub rolling: Option<String>,
    pub rolling_window: usize,
    pub rolling_rows: Vec<(String, String)>,
    pub drawdowns: Vec<Drawdown>,
    pub days: Vec<Day>,
    pub trades: Vec<Trade>,
    pub trades_total: usize,
    pub trades_kept: usize,
    pub newer: Option<String>,
    pub older: Option<String>,
    /// What each is about, and the sentence.
    pub warnings: Vec<(&'static str, String)>,
    pub no_trades: Vec<String>,
    pub notes: Vec<String>,
    pub data_hash: String,
    pub result_hash: String,
    /// Version and commit of the program.
    pub code_version: String,
    pub monte_carlo: Vec<(&'static str, String)>,
    pub heat: Option<HeatMap>,
    pub trials: Vec<Tried>,
    pub windows: Vec<Tried>,
}

impl Sheet {
    /// The report as the page places it; `params` says which trades.
    pub(super) fn of(report: Report, params: &Params, row: &BacktestRow) -> Result<Self, PageError> {
        let Report { sheet, trials, windows, left_out } = report;
        let part = params.number("part", 1, 1_000_000)? as usize;
        let kept = sheet.trades.len();
        let trades = sheet.trades.iter().enumerate().rev().skip((part - 1) * ROWS).take(ROWS);
        let to = |part: usize| {
            let here = params.without(&["id", "part"]);
            here.with("part", &part.to_string()).link(&Url::Backtest(&row.run_id).to_string())
        };
        let mut notes = sheet.run.notes.clone();
        notes.extend(left_out.into_iter().map(|what| format!("Not kept on the tape: {what}.")));
        Ok(Self {
            banner: BANNER.iter().filter_map(|name| figure(&sheet, name)).collect(),
            blocks: blocks(&sheet),
            years: sheet.years.iter().map(Year::of).collect(),
            histogram: sheet.histogram.as_ref().map(figures::histogram),
            bins: bins(&sheet),
            rolling: sheet.rolling.as_ref().and_then(figures::rolling),
            rolling_window: sheet.rolling.as_ref().map_or(0, |rolling| rolling.window),
            rolling_rows: rolling_rows(&sheet),
            drawdowns: sheet.drawdowns.iter().map(Drawdown::of).collect(),
            days: days(&sheet),
            trades: trades.map(|(index, trade)| Trade::of(index, trade, &row.timeframe)).collect(),
            trades_total: sheet.trades_total,
            trades_kept: kept,
            newer: (part > 1).then(|| to(part - 1)),
            older: (part * ROWS < kept).then(|| to(part + 1)),
            warnings: sheet.warnings.iter().map(|one| (one.kind.label(), one.text.clone())).collect(),
            no_trades: sheet.no_trades.clone(),
            notes,
            data_hash: row.data_hash.clone().unwrap_or_default(),
            result_hash: row.result_hash.clone().unwrap_or_default(),
            code_version: row.code_version.clone().unwrap_or_default(),
            monte_carlo: monte_carlo(&sheet),
            heat: heat::map(&trials),
            trials: trials
                .iter()
                .take(ROWS)
                .enumerate()
                .map(|(index, trial)| Tried::trial(index, trial))
                .collect(),
            windows: windows.iter().enumerate().map(|(index, window)| Tried::window(index, window)).collect(),
        })
    }
}

fn figure(sheet: &TearSheet, name: &str) -> Option<Figure> {
    let metric = METRICS.iter().find(|metric| metric.name == name)?;
    Some(Figure {
        name: metric.name,
        label: metric.label,
        description: metric.description,
        value: shown(metric.unit, sheet.metric(name)),
    })
}

fn blocks(sheet: &TearSheet) -> Vec<Block> {
    let compared = sheet.benchmark.is_some();
    let groups = Group::ALL.into_iter().filter(|group| compared || *group != Group::Benchmark);
    groups
        .map(|group| Block {
            label: group.label(),
            figures: METRICS
                .iter()
                .filter(|metric| metric.group == group)
                .filter_map(|metric| figure(sheet, metric.name))
                .collect(),
        })
        .collect()
}

/// A return in the table of months.
fn month(value: f64) -> String {
    signed_percent_to(Some(value), MONTH_DECIMALS).text
}

impl Heat {
    fn of(value: Option<f64>) -> Self {
        let Some(value) = value else {
            return Self { text: String::new(), class: "", value: String::new() };
        };
        let class = match (value > 0.0, value.abs()) {
            (_, size) if size < 0.000_005 => "",
            (true, size) if size < 0.01 => "heat-gain-1",
            (true, size) if size < 0.04 => "heat-gain-2",
            (true, _) => "heat-gain-3",
            (false, size) if size < 0.01 => "heat-loss-1",
            (false, size) if size < 0.04 => "heat-loss-2",
            (false, _) => "heat-loss-3",
        };
        Self { text: month(value), class, value: value.to_string() }
    }
}

impl Year {
    fn of(row: &YearRow) -> Self {
        Self {
            year: row.year,
            months: row.months.iter().map(|value| Heat::of(*value)).collect(),
            total: Heat::of(row.total),
            benchmark: row.benchmark.map_or_else(String::new, month),
        }
    }
}

impl Trade {
    fn of(index: usize, row: &TradeRow, timeframe: &str) -> Self {
        let instant = |text: &str| {
            DateTime::parse_from_rfc3339(text).ok().and_then(|time| time.timestamp_nanos_opt()).map(Instant)
        };
        let (entry, exit) = (instant(&row.entry_time), instant(&row.exit_time));
        // The chart scrolls to the moment behind the hash.
        let at = |time: Option<Instant>| {
            let chart = Url::Symbol(&row.symbol);
            let seconds = time.map_or(0, |time| time.0.div_euclid(1_000_000_000));
            format!("{chart}?timeframe={}&adjustment=raw#t={seconds}", escape(timeframe))
        };
        Self {
            id: format!("trade-{index}"),
            symbol: row.symbol.clone(),
            strategy: row.strategy.clone(),
            side: row.side.clone(),
            quantity: row.quantity.clone(),
            entry_url: at(entry),
            entry,
            entry_price: row.entry_price.clone(),
            exit_url: at(exit),
            exit,
            exit_price: row.exit_price.clone(),
            commission: row.commission.clone(),
            pnl: signed_money(row.pnl.parse().unwrap_or_default()),
            change: signed_percent(row.return_pct),
        }
    }
}

impl Drawdown {
    fn of(row: &analytics::sheet::DrawdownRow) -> Self {
        Self {
            depth: percent(Some(row.depth)),
            start: row.start.to_string(),
            trough: row.trough.to_string(),
            recovery: row.recovery.map_or_else(|| "not yet".to_owned(), |date| date.to_string()),
            sessions: row.sessions,
        }
    }
}

fn days(sheet: &TearSheet) -> Vec<Day> {
    let daily = &sheet.daily;
    let at = |column: &[Option<f64>], index: usize| column.get(index).copied().flatten();
    let rows = daily.dates.iter().zip(&daily.equity).enumerate().rev().take(DAYS);
    rows.map(|(index, (date, equity))| Day {
        date: date.to_string(),
        equity: equity.clone(),
        change: signed_percent(at(&daily.returns, index)),
        drawdown: percent(at(&daily.drawdown, index)),
        benchmark: at(&daily.benchmark, index).map_or_else(|| "–".to_owned(), |value| format!("{value:.2}")),
    })
    .collect()
}

fn bins(sheet: &TearSheet) -> Vec<(String, usize)> {
    let Some(histogram) = &sheet.histogram else { return Vec::new() };
    let rows = histogram.counts.iter().enumerate().map(|(index, days)| {
        let (from, to) = figures::edges(histogram, index);
        (format!("{:.2} % to {:.2} %", from * 100.0, to * 100.0), *days)
    });
    rows.collect()
}

fn rolling_rows(sheet: &TearSheet) -> Vec<(String, String)> {
    let Some(rolling) = &sheet.rolling else { return Vec::new() };
    let rows = rolling.dates.iter().zip(&rolling.sharpe).rev().take(DAYS);
    rows.map(|(date, value)| (date.to_string(), ratio(*value))).collect()
}

fn monte_carlo(sheet: &TearSheet) -> Vec<(&'static str, String)> {
    let Some(found) = &sheet.monte_carlo else { return Vec::new() };
    vec![
        ("Runs", found.runs.to_string()),
        ("Drawdown of the trades as they came", percent(Some(found.actual_max_drawdown))),
        ("Orders of the same trades with a deeper one", percent(Some(found.deeper_than_actual))),
        ("Draws of as many trades that lose", percent(Some(found.loss_probability))),
    ]
}

fn words(parameters: &[(String, String)]) -> String {
    parameters.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join(", ")
}

impl Tried {
    fn trial(index: usize, row: &TrialRow) -> Self {
        let statistic = |name: &str| row.statistics.get(name).copied().flatten();
        Self {
            number: index + 1,
            parameters: words(&row.parameters),
            score: ratio(row.score),
            other: percent(statistic("total_return")),
            trades: statistic("trades").map_or_else(|| "–".to_owned(), |trades| format!("{trades:.0}")),
            said: match row.denied {
                0 => row.refused.clone(),
                1 => "1 signal denied".to_owned(),
                denied => format!("{denied} signals denied"),
            },
        }
    }

    fn window(index: usize, row: &WindowRow) -> Self {
        Self {
            number: index + 1,
            parameters: words(&row.parameters),
            score: ratio(row.in_sample_score),
            other: ratio(row.out_of_sample_score),
            trades: row.trades.to_string(),
            said: format!(
                "{} to {}, then {} to {}",
                row.in_sample.0, row.in_sample.1, row.out_of_sample.0, row.out_of_sample.1
            ),
        }
    }
}
