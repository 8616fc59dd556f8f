//! The charts of a tear sheet, each with its numbers as a table.

use chrono::{Datelike, NaiveDate};

use crate::format;
use crate::sheet::TearSheet;
use crate::svg::{self, BarChart, Line, LineChart};
use crate::view::date;

/// A chart and its numbers.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Id of the chart's element.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// What can be seen in it, in words.
    pub summary: String,
    /// The drawing.
    pub svg: String,
    /// Names of the lines in the order of their classes; empty for one line.
    pub legend: Vec<String>,
    /// Headings of the table.
    pub head: Vec<String>,
    /// Rows of the table: one per month, or one per bin.
    pub rows: Vec<Vec<String>>,
}

/// A line of a chart over time with its name.
type Named<'a> = (&'a str, Vec<Option<f64>>);

/// What the charts over time have in common.
struct OverTime<'a> {
    id: &'static str,
    title: String,
    summary: String,
    dates: &'a [NaiveDate],
    lines: Vec<Named<'a>>,
    filled: bool,
    axis: fn(f64) -> String,
}

pub(super) fn all(sheet: &TearSheet) -> Vec<Figure> {
    if sheet.daily.dates.is_empty() {
        return Vec::new();
    }
    let mut found = vec![equity(sheet), drawdown(sheet)];
    found.extend(histogram(sheet));
    found.extend(rolling(sheet).into_iter().flatten());
    found.push(exposure(sheet));
    found
}

fn whole_percent(value: f64) -> String {
    let text = format!("{:.2}", value * 100.0);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    let text = if text == "-0" { "0" } else { text };
    format!("{} %", text.replace('-', "−"))
}

fn compact_money(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        large if large >= 1e9 => (value / 1e9, "B"),
        large if large >= 1e6 => (value / 1e6, "M"),
        large if large >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{scaled:.3}");
    format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.').replace('-', "−"))
}

fn plain_ratio(value: f64) -> String {
    format::number(value, 1)
}

fn over_time(chart: OverTime<'_>) -> Figure {
    let OverTime { id, title, summary, dates, lines, filled, axis } = chart;
    let label = |place: usize| date(dates.get(place).copied());
    let last = dates.len().saturating_sub(1);
    let head = std::iter::once("Month's last session").chain(lines.iter().map(|(name, _)| *name));
    // Of a long series the last session of each month.
    let ends: Vec<usize> = (0..dates.len())
        .filter(|place| {
            let month = |place: usize| dates.get(place).map(|date| (date.year(), date.month()));
            month(*place) != month(place + 1)
        })
        .collect();
    let text = |line: &[Option<f64>], place: usize| {
        line.get(place)
            .copied()
            .flatten()
            .map_or_else(|| format::UNDEFINED.to_owned(), |value| exact(value, axis))
    };
    let row = |place: &usize| {
        std::iter::once(label(*place)).chain(lines.iter().map(|(_, line)| text(line, *place))).collect()
    };
    Figure {
        id,
        svg: svg::lines(&LineChart {
            id,
            title: &title,
            description: &summary,
            labels: [label(0), label(last / 2), label(last)],
            lines: lines.iter().map(|(name, values)| Line { name, values }).collect(),
            filled,
            axis,
        }),
        head: head.map(str::to_owned).collect(),
        rows: ends.iter().map(row).collect(),
        legend: if lines.len() > 1 {
            lines.iter().map(|(name, _)| (*name).to_owned()).collect()
        } else {
            Vec::new()
        },
        title,
        summary,
    }
}

/// A number of a table: as exact as its axis is round.
fn exact(value: f64, axis: fn(f64) -> String) -> String {
    if axis(1.0).ends_with('%') {
        format!("{} %", format::number(value * 100.0, 2))
    } else {
        format::number(value, 2)
    }
}

fn equity(sheet: &TearSheet) -> Figure {
    let daily = &sheet.daily;
    let start = sheet.span.starting_equity.as_deref().and_then(|text| text.parse().ok());
    let dates: Vec<NaiveDate> = daily.start_date.into_iter().chain(daily.dates.iter().copied()).collect();
    let from_start = |values: Vec<Option<f64>>| std::iter::once(start).chain(values).collect::<Vec<_>>();
    let own = from_start(daily.equity.iter().map(|text| text.parse().ok()).collect());
    let mut lines = vec![("Equity", own)];
    let total = format::percent(sheet.metric("total_return"));
    let mut summary = format!(
        "Equity at session closes: {total} from {} to {}",
        date(daily.start_date),
        date(dates.last().copied())
    );
    if let Some(benchmark) = &sheet.benchmark {
        lines.push((benchmark.name.as_str(), from_start(daily.benchmark.clone())));
        let theirs = format::percent(sheet.metric("benchmark_return"));
        summary = format!("{summary}; {}: {theirs}", benchmark.name);
    }
    over_time(OverTime {
        id: "equity",
        title: if lines.len() > 1 { "Equity against the benchmark".to_owned() } else { "Equity".to_owned() },
        summary: summary + ".",
        dates: &dates,
        lines,
        filled: false,
        axis: compact_money,
    })
}

fn drawdown(sheet: &TearSheet) -> Figure {
    let deepest = format::percent(sheet.metric("max_drawdown"));
    over_time(OverTime {
        id: "drawdown",
        title: "Drawdown".to_owned(),
        summary: format!("Distance from the running maximum of daily equity; the deepest is {deepest}."),
        dates: &sheet.daily.dates,
        lines: vec![("Drawdown", sheet.daily.drawdown.clone())],
        filled: true,
        axis: whole_percent,
    })
}

fn exposure(sheet: &TearSheet) -> Figure {
    let held = format::share(sheet.metric("time_in_market"));
    over_time(OverTime {
        id: "exposure",
        title: "Exposure over equity".to_owned(),
        summary: format!(
            "Sum of position values over equity at session closes; in the market {held} of the time."
        ),
        dates: &sheet.daily.dates,
        lines: vec![("Exposure", sheet.daily.exposure.clone())],
        filled: true,
        axis: whole_percent,
    })
}

fn rolling(sheet: &TearSheet) -> Option<[Figure; 2]> {
    let rolling = sheet.rolling.as_ref()?;
    let window = rolling.window;
    let figure = |id, title: &str, lines: Vec<Named<'_>>, axis| {
        over_time(OverTime {
            id,
            title: format!("{title}, {window} days"),
            summary: format!("{title} over a moving window of {window} trading days."),
            dates: &rolling.dates,
            lines,
            filled: false,
            axis,
        })
    };
    Some([
        figure(
            "rolling-sharpe",
            "Rolling Sharpe ratio",
            vec![("Sharpe ratio", rolling.sharpe.clone())],
            plain_ratio,
        ),
        figure(
            "rolling-volatility",
            "Rolling volatility",
            vec![("Volatility", rolling.volatility.clone())],
            whole_percent,
        ),
    ])
}

fn histogram(sheet: &TearSheet) -> Option<Figure> {
    let found = sheet.histogram.as_ref()?;
    let days: usize = found.counts.iter().sum();
    let worst = format::percent(sheet.metric("worst_day"));
    let best = format::percent(sheet.metric("best_day"));
    let summary = format!("How {days} daily returns are spread, from {worst} to {best}.");
    let title = "Daily returns".to_owned();
    let rows = found.counts.iter().enumerate().map(|(bin, count)| {
        let from = found.lowest + found.width * bin as f64;
        let edge = |value: f64| format::percent(Some(value));
        vec![edge(from), edge(from + found.width), count.to_string()]
    });
    Some(Figure {
        id: "histogram",
        svg: svg::bars(&BarChart {
            id: "histogram",
            title: &title,
            description: &summary,
            lowest: found.lowest,
            width: found.width,
            counts: &found.counts,
            axis: whole_percent,
        }),
        legend: Vec::new(),
        head: ["From", "To", "Days"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        title,
        summary,
    })
}
