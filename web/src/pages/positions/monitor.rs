//! What the monitor measured of the account, and its alerts in force.

use askama::Template;
use contracts::v1::{Money, RiskGroup, RiskMeasured};
use domain::money::{Amount, Quantity};
use domain::risk::monitor::drawdown;
use projections::queries::{self, AlertRow};

use super::MONITOR;
use crate::error::PageError;
use crate::pages::{Body, Rendering, Scope, Shown, timeline};
use crate::url::Url;
use crate::view::{Instant, Signed, money, percent, signed_money};

#[derive(Clone, Debug)]
struct Line {
    by: &'static str,
    name: String,
    gross: String,
    net: String,
    share: String,
    largest: String,
    largest_of: String,
    pnl: Option<Signed>,
    drawdown: String,
    risk: String,
    shortfall: String,
    correlation: String,
    correlated: String,
}

#[derive(Clone, Debug)]
struct Alert {
    kind: String,
    of: String,
    detail: String,
    chain: String,
    since: Instant,
}

#[derive(Clone, Debug)]
struct Monitor {
    /// When it was measured; there may be an alert before there is a measurement.
    at: Option<Instant>,
    facts: Vec<(&'static str, String)>,
    lines: Vec<Line>,
    alerts: Vec<Alert>,
}

#[derive(Template)]
#[template(path = "positions/monitor.html")]
struct MonitorPanel {
    v: u64,
    body: Body<Monitor>,
}

/// The last measurement.
pub async fn monitor(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &MONITOR, read(scope)).await;
    MonitorPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Monitor>, PageError> {
    // The tape of the past is not measured again.
    if timeline::past(scope).await?.is_some() {
        return Ok(None);
    }
    let pool = &scope.app.config.pool;
    let unread = |error: queries::QueryError| PageError::ReadModel(error.to_string());
    let measures = queries::risk_measures(pool).await.map_err(unread)?;
    let row = measures.into_iter().find(|row| row.measure.account == scope.account);
    let alerts = queries::alerts(pool, Some(scope.account), true, 50).await.map_err(unread)?;
    if row.is_none() && alerts.is_empty() {
        return Ok(None);
    }
    Ok(Some(Monitor {
        at: row.as_ref().map(|row| Instant(row.event_time_ns)),
        facts: row.as_ref().map(|row| facts(&row.measure)).unwrap_or_default(),
        lines: row.as_ref().map(|row| lines(&row.measure)).unwrap_or_default(),
        alerts: alerts.into_iter().map(Alert::of).collect(),
    }))
}

fn lines(measure: &RiskMeasured) -> Vec<Line> {
    [("strategy", &measure.strategies), ("sector", &measure.sectors), ("symbol", &measure.symbols)]
        .into_iter()
        .flat_map(|(by, groups)| groups.iter().map(move |group| Line::of(by, group)))
        .collect()
}

fn wire(amount: &Option<Money>) -> String {
    money(Amount::from_wire(amount.as_ref()))
}

fn facts(measure: &RiskMeasured) -> Vec<(&'static str, String)> {
    let (correlation, correlated) =
        pair(measure.correlation, &measure.correlated_first, &measure.correlated_second);
    let largest = largest(measure.concentration_e9, &measure.concentrated);
    vec![
        ("Gross exposure", wire(&measure.gross_exposure)),
        ("Net exposure", wire(&measure.net_exposure)),
        ("Largest position", format!("{largest} {}", measure.concentrated)),
        ("Drawdown from peak", fall(drawdown(measure))),
        ("Peak equity", wire(&measure.peak_equity)),
        ("VaR 95 %, one bar", risk(measure.value_at_risk, measure.bars)),
        ("CVaR 95 %, one bar", risk(measure.expected_shortfall, measure.bars)),
        ("Largest correlation", format!("{correlation} {correlated}")),
    ]
}

/// A fall as people read it: below zero, and nothing where there is none.
fn fall(share: Option<Quantity>) -> String {
    percent(share.map(|share| Quantity(share.0.saturating_neg()).to_f64()))
}

/// A share of equity; where there are too few bars for it, how many there are.
fn risk(value: Option<f64>, bars: u32) -> String {
    value.map_or_else(|| format!("– ({bars} of 30 bars)"), |value| percent(Some(value)))
}

/// The largest correlation, and of which two symbols.
fn pair(correlation: Option<f64>, first: &str, second: &str) -> (String, String) {
    match correlation {
        Some(value) => (format!("{value:.2}"), format!("{first} / {second}")),
        None => ("–".to_owned(), String::new()),
    }
}

/// The share of the largest position, where there is one.
fn largest(share_e9: i64, symbol: &str) -> String {
    percent((!symbol.is_empty()).then(|| Quantity(share_e9).to_f64()))
}

impl Line {
    fn of(by: &'static str, group: &RiskGroup) -> Self {
        // A symbol, and what holds nothing, has no bars to wait for.
        let measured = |value: Option<f64>| match value {
            None if group.bars > 0 => risk(None, group.bars),
            value => percent(value),
        };
        let (correlation, correlated) =
            pair(group.correlation, &group.correlated_first, &group.correlated_second);
        Self {
            by,
            name: group.name.clone(),
            gross: wire(&group.gross_exposure),
            net: wire(&group.net_exposure),
            share: percent(Some(Quantity(group.share_e9).to_f64())),
            largest: largest(group.concentration_e9, &group.concentrated),
            largest_of: group.concentrated.clone(),
            pnl: group.pnl.as_ref().map(|pnl| signed_money(Amount::from_wire(Some(pnl)))),
            drawdown: fall(group.drawdown_e9.map(Quantity)),
            risk: measured(group.value_at_risk),
            shortfall: measured(group.expected_shortfall),
            correlation,
            correlated,
        }
    }
}

impl Alert {
    fn of(row: AlertRow) -> Self {
        Self {
            kind: row.kind.replace('_', " "),
            of: row.strategy,
            detail: row.detail,
            chain: Url::Chain(&row.event_id).to_string(),
            since: Instant(row.event_time_ns),
        }
    }
}
