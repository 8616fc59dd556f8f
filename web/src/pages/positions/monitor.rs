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
use crate::view::{Instant, money, percent};

#[derive(Clone, Debug)]
struct Line {
    by: &'static str,
    name: String,
    gross: String,
    net: String,
    share: String,
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
    let unknown = || format!("– ({} of 30 bars)", measure.bars);
    let risk = |value: Option<f64>| value.map_or_else(unknown, |value| percent(Some(value)));
    let pair = match measure.correlation {
        Some(value) => {
            format!("{value:.2} {} / {}", measure.correlated_first, measure.correlated_second)
        }
        None => "–".to_owned(),
    };
    vec![
        ("Gross exposure", wire(&measure.gross_exposure)),
        ("Net exposure", wire(&measure.net_exposure)),
        ("Drawdown from peak", percent(drawdown(measure).map(|fall| -fall.to_f64()))),
        ("Peak equity", wire(&measure.peak_equity)),
        ("VaR 95 %, one bar", risk(measure.value_at_risk)),
        ("CVaR 95 %, one bar", risk(measure.expected_shortfall)),
        ("Largest correlation", pair),
    ]
}

impl Line {
    fn of(by: &'static str, group: &RiskGroup) -> Self {
        Self {
            by,
            name: group.name.clone(),
            gross: wire(&group.gross_exposure),
            net: wire(&group.net_exposure),
            share: percent(Some(Quantity(group.share_e9).to_f64())),
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
