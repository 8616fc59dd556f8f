//! The tear sheet as text and pictures: what the exported page shows, and what any other page may show.
//!
//! Everything is formatted here, so that a template only places it.

use chrono::NaiveDate;

use crate::format::{self, Tone, UNDEFINED};
use crate::metrics::{Group, METRICS, Metric, Unit, find};
use crate::sheet::{StrategyFacts, TearSheet};

mod figures;
mod tables;

pub use figures::Figure;
pub use tables::{Cell, Table, Year};

/// Metrics of the banner.
const BANNER: [&str; 8] =
    ["total_return", "cagr", "sharpe", "sortino", "max_drawdown", "volatility", "win_rate", "trades"];

/// One number with its name.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Name in JSON and in gates; empty for what is no metric.
    pub name: &'static str,
    /// Label.
    pub label: &'static str,
    /// The number as text.
    pub text: String,
    /// Gain or loss.
    pub tone: Tone,
    /// What it says.
    pub description: &'static str,
}

/// The numbers under one heading.
#[derive(Clone, Debug)]
pub struct StatGroup {
    /// Heading.
    pub label: &'static str,
    /// The numbers.
    pub stats: Vec<Stat>,
}

/// A name and a value.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

impl Fact {
    fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into() }
    }
}

/// A tear sheet ready to be placed.
#[derive(Clone, Debug)]
pub struct View {
    /// Heading.
    pub title: String,
    /// What kind of run, on what, from when to when.
    pub subtitle: String,
    /// The most important numbers.
    pub banner: Vec<Stat>,
    /// What to be careful about: what each is about, and the sentence.
    pub warnings: Vec<Fact>,
    /// What a reader has to know.
    pub notes: Vec<String>,
    /// Why there are no trades.
    pub no_trades: Vec<String>,
    /// Charts with their tables, in the order of the page.
    pub figures: Vec<Figure>,
    /// Returns by year and month.
    pub years: Vec<Year>,
    /// Whether the table of years has a column for the benchmark.
    pub benchmark: Option<String>,
    /// Every metric by heading.
    pub groups: Vec<StatGroup>,
    /// The deepest drawdowns.
    pub drawdowns: Table,
    /// The newest trades.
    pub trades: Table,
    /// How many of how many trades are shown.
    pub trades_note: String,
    /// Percentiles of the Monte Carlo runs.
    pub monte_carlo: Option<Table>,
    /// What else the Monte Carlo runs say.
    pub monte_carlo_notes: Vec<String>,
    /// What was set and how it is identified.
    pub facts: Vec<Fact>,
    /// What trading cost.
    pub costs: Vec<Fact>,
    /// How often things happened.
    pub counts: Vec<Fact>,
}

impl View {
    /// Formats a tear sheet.
    #[must_use]
    pub fn of(sheet: &TearSheet) -> Self {
        let compared = sheet.benchmark.is_some();
        let shown = |group: &Group| compared || *group != Group::Benchmark;
        Self {
            title: sheet.run.title.clone(),
            subtitle: subtitle(sheet),
            banner: BANNER.iter().filter_map(|name| find(name)).map(|metric| stat(metric, sheet)).collect(),
            warnings: sheet
                .warnings
                .iter()
                .map(|one| Fact::new(one.kind.label(), one.text.clone()))
                .collect(),
            notes: sheet.run.notes.clone(),
            no_trades: sheet.no_trades.clone(),
            figures: figures::all(sheet),
            years: tables::years(sheet),
            benchmark: sheet.benchmark.as_ref().map(|benchmark| benchmark.name.clone()),
            groups: Group::ALL
                .iter()
                .filter(|group| shown(group))
                .map(|group| of_group(*group, sheet))
                .collect(),
            drawdowns: tables::drawdowns(sheet),
            trades: tables::trades(sheet),
            trades_note: tables::trades_note(sheet),
            monte_carlo: sheet.monte_carlo.as_ref().map(tables::monte_carlo),
            monte_carlo_notes: sheet.monte_carlo.as_ref().map(tables::monte_carlo_notes).unwrap_or_default(),
            facts: facts(sheet),
            costs: costs(sheet),
            counts: counts(sheet),
        }
    }
}

fn of_group(group: Group, sheet: &TearSheet) -> StatGroup {
    let metrics = METRICS.iter().filter(|metric| metric.group == group);
    StatGroup { label: group.label(), stats: metrics.map(|metric| stat(metric, sheet)).collect() }
}

fn stat(metric: &'static Metric, sheet: &TearSheet) -> Stat {
    let value = sheet.metric(metric.name);
    // Returns and profits are gains or losses; a volatility or a share is neither.
    let gains = metric.unit == Unit::Money
        || matches!(metric.group, Group::Return if metric.unit == Unit::Percent)
        || ["max_drawdown", "alpha", "benchmark_return", "benchmark_cagr", "value_at_risk"]
            .contains(&metric.name)
        || metric.name == "conditional_value_at_risk"
        || (metric.name.ends_with("_pct") && metric.unit == Unit::Percent);
    let text = if gains && metric.unit == Unit::Percent {
        format::percent(value)
    } else {
        format::metric(value, metric.unit)
    };
    let tone = if gains { Tone::of(value) } else { Tone::Plain };
    Stat { name: metric.name, label: metric.label, text, tone, description: metric.description }
}

fn subtitle(sheet: &TearSheet) -> String {
    let day = |time: &Option<String>| time.as_deref().map(|time| time.get(..10).unwrap_or(time).to_owned());
    let mut parts = vec![sheet.run.kind.clone(), sheet.run.symbols.join(", "), sheet.run.timeframe.clone()];
    if let (Some(from), Some(to)) = (day(&sheet.span.from), day(&sheet.span.to)) {
        parts.push(format!("{from} to {to}"));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

fn strategy(facts: &StrategyFacts) -> Fact {
    let named = facts.parameters.iter().map(|(name, value)| format!("{name}={value}"));
    let parameters = named.collect::<Vec<_>>().join(", ");
    let value = match facts.kind.as_str() {
        kind if kind.is_empty() || kind == facts.id => parameters,
        kind if parameters.is_empty() => kind.to_owned(),
        kind => format!("{kind}: {parameters}"),
    };
    Fact::new(&format!("Strategy {}", facts.id), value)
}

fn facts(sheet: &TearSheet) -> Vec<Fact> {
    let run = &sheet.run;
    let mut found: Vec<Fact> = run.strategies.iter().map(strategy).collect();
    found.extend(run.settings.iter().map(|setting| Fact::new(&setting.name, setting.value.clone())));
    let known = [
        ("Run", run.run_id.clone()),
        ("Account", run.account.clone()),
        ("Calendar", Some(run.calendar.clone())),
        ("First instant", sheet.span.from.clone()),
        ("Last instant", sheet.span.to.clone()),
        ("Starting equity", sheet.span.starting_equity.as_deref().map(format::money)),
        ("Final equity", sheet.span.final_equity.as_deref().map(format::money)),
        ("Highest equity", sheet.span.peak_equity.as_deref().map(format::money)),
        ("Code version", Some(run.code_version.clone())),
        ("Data hash", run.data_hash.clone()),
        ("Result hash", run.result_hash.clone()),
    ];
    let present =
        known.into_iter().filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?)));
    found.extend(present.map(|(name, value)| Fact::new(name, value)));
    found
}

fn costs(sheet: &TearSheet) -> Vec<Fact> {
    let costs = &sheet.costs;
    let slippage = costs.slippage.as_deref().map_or_else(|| UNDEFINED.to_owned(), format::money);
    vec![
        Fact::new("Commissions and fees", format::money(&costs.commission)),
        Fact::new("Commissions over starting equity", format::share(costs.commission_share)),
        Fact::new("Slippage", slippage),
    ]
}

fn counts(sheet: &TearSheet) -> Vec<Fact> {
    let counts = &sheet.counts;
    let count = |name: &str, value: u64| Fact::new(name, format::number(value as f64, 0));
    let mut found = vec![count("Bars", counts.bars)];
    found.extend(counts.missing_bars.map(|missing| count("Missing bars", missing)));
    found.extend([count("Signals", counts.signals), count("Approved", counts.approved)]);
    found.extend(counts.denied.iter().map(|(rule, denied)| count(&format!("Denied by {rule}"), *denied)));
    found.extend([
        count("Orders", counts.orders),
        count("Orders refused", counts.rejected),
        count("Orders expired", counts.expired),
        count("Fills", counts.fills),
        count("Ambiguous bars", counts.ambiguous_bars),
        count("Trades still open", counts.open_trades),
    ]);
    found
}

/// A date as text, or the dash.
fn date(date: Option<NaiveDate>) -> String {
    date.map_or_else(|| UNDEFINED.to_owned(), |date| date.to_string())
}
