//! The tables of a tear sheet as text.

use crate::format::{self, Tone};
use crate::monte_carlo::{MonteCarlo, Percentiles};
use crate::sheet::TearSheet;
use crate::view::date;

/// Trades shown on a page; the sheet may hold more.
const TRADES_SHOWN: usize = 200;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Twelve months rounded to so many decimals still compound to the year within 0.01 %.
const MONTH_DECIMALS: usize = 3;
/// Monthly returns up to which a cell has the next stronger shade.
const SHADES: [f64; 3] = [0.01, 0.03, 0.06];

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Heading of its column, for narrow screens.
    pub label: &'static str,
    /// Text.
    pub text: String,
    /// Class for its colour.
    pub class: String,
}

impl Cell {
    fn plain(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into(), class: Tone::Plain.class().to_owned() }
    }

    fn toned(label: &'static str, text: String, value: Option<f64>) -> Self {
        Self { label, text, class: Tone::of(value).class().to_owned() }
    }

    /// A return with a background that is stronger the larger it is.
    fn shaded(label: &'static str, value: Option<f64>) -> Self {
        let Some(known) = value else { return Self::plain(label, "") };
        let strength = 1 + SHADES.iter().filter(|bound| known.abs() >= **bound).count();
        let class = match Tone::of(value) {
            Tone::Plain => "plain".to_owned(),
            tone => format!("{0} heat-{0}-{strength}", tone.class()),
        };
        Self { label, text: format::signed(known * 100.0, MONTH_DECIMALS), class }
    }
}

/// A table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Headings of its columns.
    pub head: Vec<&'static str>,
    /// Rows; the first cell is the row's heading.
    pub rows: Vec<Vec<Cell>>,
}

/// A year of the table of months.
#[derive(Clone, Debug)]
pub struct Year {
    /// The year.
    pub year: i32,
    /// January to December, in per cent.
    pub months: Vec<Cell>,
    /// The year, in per cent.
    pub total: Cell,
    /// The benchmark's year, in per cent.
    pub benchmark: Cell,
}

pub(super) fn years(sheet: &TearSheet) -> Vec<Year> {
    let months = |values: &[Option<f64>; 12]| {
        MONTHS.iter().zip(values).map(|(label, value)| Cell::shaded(label, *value)).collect()
    };
    let percent = |label, value: Option<f64>| {
        let text = value.map_or_else(String::new, |value| format::signed(value * 100.0, MONTH_DECIMALS));
        Cell::toned(label, text, value)
    };
    sheet
        .years
        .iter()
        .map(|row| Year {
            year: row.year,
            months: months(&row.months),
            total: percent("Year", row.total),
            benchmark: percent("Benchmark", row.benchmark),
        })
        .collect()
}

pub(super) fn drawdowns(sheet: &TearSheet) -> Table {
    let head = vec!["Rank", "Depth", "Start", "Trough", "Recovery", "Sessions", "Calendar days"];
    let rows = sheet.drawdowns.iter().enumerate().map(|(rank, row)| {
        let recovery = row.recovery.map_or_else(|| "not yet".to_owned(), |day| day.to_string());
        vec![
            Cell::plain(head[0], (rank + 1).to_string()),
            Cell::toned(head[1], format::percent(Some(row.depth)), Some(row.depth)),
            Cell::plain(head[2], date(Some(row.start))),
            Cell::plain(head[3], date(Some(row.trough))),
            Cell::plain(head[4], recovery),
            Cell::plain(head[5], row.sessions.to_string()),
            Cell::plain(head[6], row.days.to_string()),
        ]
    });
    Table { rows: rows.collect(), head: head.clone() }
}

pub(super) fn trades(sheet: &TearSheet) -> Table {
    let head = vec![
        "Exit (UTC)",
        "Symbol",
        "Side",
        "Quantity",
        "Entry (UTC)",
        "Entry price",
        "Exit price",
        "Commission",
        "Net P&L",
        "Return",
        "Strategy",
    ];
    let time = |text: &str| text.trim_end_matches('Z').replacen('T', " ", 1);
    let rows = sheet.trades.iter().rev().take(TRADES_SHOWN).map(|trade| {
        let pnl = trade.pnl.parse().ok();
        vec![
            Cell::plain(head[0], time(&trade.exit_time)),
            Cell::plain(head[1], trade.symbol.clone()),
            Cell::plain(head[2], trade.side.clone()),
            Cell::plain(head[3], trade.quantity.clone()),
            Cell::plain(head[4], time(&trade.entry_time)),
            Cell::plain(head[5], trade.entry_price.clone()),
            Cell::plain(head[6], trade.exit_price.clone()),
            Cell::plain(head[7], format::money(&trade.commission)),
            Cell::toned(head[8], format::signed_money(&trade.pnl), pnl),
            Cell::toned(head[9], format::percent(trade.return_pct), trade.return_pct),
            Cell::plain(head[10], trade.strategy.clone()),
        ]
    });
    Table { rows: rows.collect(), head: head.clone() }
}

pub(super) fn trades_note(sheet: &TearSheet) -> String {
    let shown = sheet.trades.len().min(TRADES_SHOWN);
    if shown < sheet.trades_total {
        return format!("The newest {shown} of {} closed trades, newest first.", sheet.trades_total);
    }
    format!("{shown} closed trades, newest first.")
}

pub(super) fn monte_carlo(found: &MonteCarlo) -> Table {
    let head = vec!["Number", "5 %", "25 %", "Median", "75 %", "95 %"];
    let row = |name: String, values: &Percentiles, text: fn(f64) -> String| {
        let values = [values.p5, values.p25, values.p50, values.p75, values.p95];
        let cells = head[1..].iter().zip(values).map(|(label, value)| Cell::plain(label, text(value)));
        std::iter::once(Cell::plain(head[0], name)).chain(cells).collect()
    };
    let percent = |value| format::percent(Some(value));
    let rows = vec![
        row("Max drawdown, shuffled".to_owned(), &found.shuffled_max_drawdown, percent),
        row("Max drawdown, bootstrap".to_owned(), &found.bootstrap_max_drawdown, percent),
        row("Final equity, bootstrap".to_owned(), &found.bootstrap_final_equity, |value| {
            format::number(value, 2)
        }),
    ];
    Table { rows, head: head.clone() }
}

pub(super) fn monte_carlo_notes(found: &MonteCarlo) -> Vec<String> {
    let share = |value| format::share(Some(value));
    vec![
        format!("{} runs of {} trades each way, seed {}.", found.runs, found.trades, found.seed),
        format!(
            "Drawn with replacement, {} of the runs end below the starting equity.",
            share(found.loss_probability)
        ),
        format!(
            "In another order, {} of the runs have a deeper drawdown than {}, the trades' own.",
            share(found.deeper_than_actual),
            format::percent(Some(found.actual_max_drawdown))
        ),
    ]
}
