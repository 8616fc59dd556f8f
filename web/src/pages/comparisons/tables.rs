//! Both sides as text: totals, the first difference, order by order, event by event, the chart as a table.

use analytics::Comparison;
use analytics::comparison::{Difference, OrderRow, OrderSide, Outcome, Row, Side};
use domain::money::Amount;
use projections::queries::BacktestRow;
use serde_json::Value;

use super::run::tone;
use crate::error::PageError;
use crate::pages::Params;
use crate::url::Url;
use crate::view::{Instant, Signed, count, signed_money};

/// Rows of one part of a table.
const ROWS: usize = 50;
/// Newest points in the table of the chart.
const POINTS: usize = 60;
/// Fields shown of the first difference.
const FIELDS: usize = 20;

/// A line of the totals.
#[derive(Clone, Debug)]
pub(super) struct Total {
    pub name: String,
    pub recorded: String,
    pub derived: String,
    pub change: Option<Signed>,
    pub differs: bool,
}

/// An order on both sides.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub id: String,
    pub time: Instant,
    pub strategy: String,
    pub account: String,
    pub symbol: String,
    pub recorded: Told,
    pub derived: Told,
    pub verdict: &'static str,
    pub badge: &'static str,
    pub chain: Option<String>,
}

/// One side of an order in words; empty where it is not there.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub status: String,
    pub order: String,
    pub filled: String,
}

/// An event on both sides.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub id: String,
    pub time: Instant,
    pub kind: String,
    pub recorded: String,
    pub derived: String,
    pub verdict: &'static str,
    pub badge: &'static str,
    pub chain: Option<String>,
    /// Whether the chain is that of its cause, because it is not on the tape itself.
    pub of_cause: bool,
    /// Path, recorded, derived.
    pub fields: Vec<(String, String, String)>,
}

/// A point of the chart.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub time: Instant,
    pub recorded: String,
    pub derived: String,
    pub change: Signed,
}

/// A table with its ways to elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Part<T> {
    pub rows: Vec<T>,
    pub shown: usize,
    pub newer: Option<String>,
    pub older: Option<String>,
}

/// Both sides.
#[derive(Clone, Debug)]
pub(super) struct Sides {
    pub verdict: String,
    pub badge: &'static str,
    pub compared: String,
    pub differing: String,
    pub open: usize,
    pub from: u64,
    pub to: u64,
    pub first: Option<Event>,
    pub totals: Vec<Total>,
    /// Whether only what differs is shown.
    pub only_differing: bool,
    pub all_url: String,
    pub differing_url: String,
    pub orders: Part<Order>,
    pub orders_total: String,
    pub orders_differing: String,
    pub events: Part<Event>,
    pub points: Vec<At>,
    pub left_out: Vec<String>,
}

impl Sides {
    /// The comparison as the page places it; `params` says which part of the tables.
    pub(super) fn of(found: Comparison, params: &Params, row: &BacktestRow) -> Result<Self, PageError> {
        let shown = params.one_of("show", &["differing", "all"])?;
        let only = match shown.as_deref() {
            Some(shown) => shown == "differing",
            None => found.differing > 0,
        };
        let path = Url::Comparison(&row.kind, &row.run_id).to_string();
        let here = params.without(&["id"]);
        let choice = |word: &str| here.without(&["part", "event_part"]).with("show", word).link(&path);
        let wanted = |outcome: Outcome| !only || outcome != Outcome::Same;
        let orders = found.orders.iter().filter(|row| wanted(row.outcome)).map(Order::of).collect();
        let events = found.rows.iter().filter(|row| wanted(row.outcome)).map(Event::of).collect();
        Ok(Self {
            badge: tone(&found.verdict),
            compared: count(found.compared as u64),
            differing: count(found.differing as u64),
            open: found.open,
            from: found.from,
            to: found.to,
            first: found.first.as_ref().map(Event::of),
            totals: totals(&found.recorded, &found.derived),
            only_differing: only,
            all_url: choice("all"),
            differing_url: choice("differing"),
            orders: Part::of(orders, "part", "#h-orders", &here, &path)?,
            orders_total: count(found.orders_total as u64),
            orders_differing: count(found.orders_differing as u64),
            events: Part::of(events, "event_part", "#h-events", &here, &path)?,
            points: points(&found, params.get("account").unwrap_or_default()),
            left_out: found.left_out.clone(),
            verdict: found.verdict,
        })
    }
}

impl<T> Part<T> {
    fn of(
        all: Vec<T>,
        field: &'static str,
        anchor: &str,
        here: &Params,
        path: &str,
    ) -> Result<Self, PageError> {
        let part = here.number(field, 1, 1_000_000)? as usize;
        let shown = all.len();
        let to = |part: usize| here.with(field, &part.to_string()).link(path) + anchor;
        Ok(Self {
            newer: (part > 1).then(|| to(part - 1)),
            older: (part * ROWS < shown).then(|| to(part + 1)),
            rows: all.into_iter().skip((part - 1) * ROWS).take(ROWS).collect(),
            shown,
        })
    }
}

fn chain(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| Url::Chain(id).to_string())
}

impl Order {
    fn of(row: &OrderRow) -> Self {
        let either = row.recorded.as_ref().or(row.derived.as_ref());
        let id = either.map(|side| side.order_id.clone()).filter(|id| !id.is_empty());
        Self {
            // A signal of several legs that became no order has a row for each.
            id: id.unwrap_or_else(|| format!("{}-{}", row.signal_id, row.symbol)),
            time: Instant(row.time_ns),
            strategy: row.strategy.clone(),
            account: row.account.clone(),
            symbol: row.symbol.clone(),
            recorded: row.recorded.as_ref().map(Told::of).unwrap_or_default(),
            derived: row.derived.as_ref().map(Told::of).unwrap_or_default(),
            verdict: row.outcome.words(),
            badge: tone(row.outcome.words()),
            chain: chain(&row.chain_of),
        }
    }
}

impl Told {
    fn of(side: &OrderSide) -> Self {
        let order = format!("{} {} {}", side.side, side.quantity, side.terms);
        let filled = side.average_price.as_ref().map(|price| {
            let fees = if side.fees == "0" { String::new() } else { format!(", fees {}", side.fees) };
            format!("{} at {price}{fees}", side.filled)
        });
        Self {
            status: side.status.clone(),
            order: order.trim().to_owned(),
            filled: filled.unwrap_or_default(),
        }
    }
}

impl Event {
    fn of(row: &Row) -> Self {
        let fields =
            row.fields.iter().take(FIELDS).map(|field: &Difference| {
                (field.field.clone(), value(&field.recorded), value(&field.derived))
            });
        Self {
            id: row.event_id.clone(),
            time: Instant(row.time_ns),
            kind: row.kind.replace('_', " "),
            recorded: row.recorded.clone(),
            derived: row.derived.clone(),
            verdict: row.outcome.words(),
            badge: tone(row.outcome.words()),
            chain: chain(&row.chain_of),
            of_cause: row.chain_of != row.event_id,
            fields: fields.collect(),
        }
    }
}

fn value(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn totals(recorded: &Side, derived: &Side) -> Vec<Total> {
    let counted = |name: &str, left: u64, right: u64| Total {
        name: name.to_owned(),
        recorded: count(left),
        derived: count(right),
        change: None,
        differs: left != right,
    };
    let mut rows = vec![
        counted("Signals", recorded.signals, derived.signals),
        counted("Denials", recorded.denials, derived.denials),
        counted("Orders", recorded.orders, derived.orders),
        counted("Fills", recorded.fills, derived.fills),
    ];
    for account in &recorded.accounts {
        let Some(other) = derived.accounts.iter().find(|other| other.account == account.account) else {
            continue;
        };
        let facts = [
            ("equity", &account.equity, &other.equity),
            ("cash", &account.cash, &other.cash),
            ("realised", &account.realized_pnl, &other.realized_pnl),
            ("fees", &account.fees, &other.fees),
        ];
        rows.extend(facts.map(|(what, left, right)| Total {
            name: format!("{} {what}", account.account),
            recorded: left.clone(),
            derived: right.clone(),
            change: (left != right).then(|| signed_money(difference(right, left))),
            differs: left != right,
        }));
    }
    rows
}

fn difference(left: &str, right: &str) -> Amount {
    let amount = |text: &str| text.parse::<Amount>().unwrap_or_default();
    Amount(amount(left).0.saturating_sub(amount(right).0))
}

/// The newest points of an account that both sides have.
fn points(found: &Comparison, account: &str) -> Vec<At> {
    let line = found.equity.iter().find(|line| account.is_empty() || line.account == account);
    let Some(line) = line.or_else(|| found.equity.first()) else { return Vec::new() };
    let pairs = line.recorded.iter().rev().filter_map(|(time, value)| {
        let place = line.derived.binary_search_by_key(time, |(time, _)| *time).ok()?;
        Some((*time, *value, line.derived[place].1))
    });
    let cents = |value: f64| format!("{value:.2}");
    pairs
        .take(POINTS)
        .map(|(time, recorded, derived)| At {
            time: Instant(time),
            recorded: cents(recorded),
            derived: cents(derived),
            change: signed_money(difference(&cents(derived), &cents(recorded))),
        })
        .collect()
}
