//! What the monitor measured of each account, beside stops and alerts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use contracts::v1::{Money, RiskGroup, RiskMeasured};
use domain::money::{Amount, Quantity};
use domain::risk::monitor::drawdown;
use projections::queries::{self, AlertRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ROWS, Stopped, check_account, stopped, unread};
use crate::api::fields::{Asked, Field, Fields, Kind, field};
use crate::api::{Problem, Problems};
use crate::app::App;

/// A line of a measurement. What is measured of strategies and sectors alone is null of a symbol.
#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    /// Strategy, sector or symbol.
    name: String,
    /// Sum of absolute values, a decimal.
    gross_exposure: String,
    /// Sum of signed values, a decimal.
    net_exposure: String,
    /// Share of the account's gross exposure, a decimal.
    share: String,
    /// Sector that a symbol is counted in; null of a strategy and a sector.
    sector: Option<String>,
    /// Its largest position as a share of the account's equity, a decimal; null where it holds nothing.
    concentration: Option<String>,
    /// The symbol of that position.
    concentrated: Option<String>,
    /// What its positions brought so far, open ones at their last prices, a decimal.
    pnl: Option<String>,
    /// The highest of that in any measurement, a decimal.
    peak_pnl: Option<String>,
    /// Fall from there as a share of the account's peak equity, a decimal.
    drawdown: Option<String>,
    /// Historical value at risk (95 %, one bar) as a share of the account's equity; null with fewer than 30 bars.
    value_at_risk: Option<f64>,
    /// The mean beyond it.
    expected_shortfall: Option<f64>,
    /// Bars measured.
    bars: u32,
    /// Largest correlation of returns of two of its positions; null when fewer than two can be compared.
    correlation: Option<f64>,
    /// Those two symbols.
    correlated: Vec<String>,
}

impl Line {
    fn of(group: RiskGroup) -> Self {
        let amount = |money: Option<Money>| money.map(|money| decimal(Some(&money)));
        let (concentration, concentrated) = largest(group.concentration_e9, group.concentrated);
        Self {
            name: group.name,
            gross_exposure: decimal(group.gross_exposure.as_ref()),
            net_exposure: decimal(group.net_exposure.as_ref()),
            share: Quantity(group.share_e9).to_string(),
            sector: Some(group.sector).filter(|sector| !sector.is_empty()),
            concentration,
            concentrated,
            pnl: amount(group.pnl),
            peak_pnl: amount(group.peak_pnl),
            drawdown: group.drawdown_e9.map(|fall| Quantity(fall).to_string()),
            value_at_risk: group.value_at_risk,
            expected_shortfall: group.expected_shortfall,
            bars: group.bars,
            correlation: group.correlation,
            correlated: pair([group.correlated_first, group.correlated_second]),
        }
    }
}

fn decimal(money: Option<&Money>) -> String {
    Amount::from_wire(money).to_string()
}

fn largest(share_e9: i64, symbol: String) -> (Option<String>, Option<String>) {
    let symbol = Some(symbol).filter(|symbol| !symbol.is_empty());
    (symbol.as_ref().map(|_| Quantity(share_e9).to_string()), symbol)
}

fn pair(symbols: [String; 2]) -> Vec<String> {
    symbols.into_iter().filter(|symbol| !symbol.is_empty()).collect()
}

/// What the monitor measured of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Measured {
    /// Account.
    account: String,
    /// When, UTC nanoseconds of market time.
    event_time_ns: i64,
    /// Equity, a decimal.
    equity: String,
    /// Sum of absolute position values, a decimal.
    gross_exposure: String,
    /// Sum of signed position values, a decimal.
    net_exposure: String,
    /// Fall from the peak as a share of it, a decimal; null without a peak above zero.
    drawdown: Option<String>,
    /// Highest equity, a decimal.
    peak_equity: String,
    /// Historical value at risk (95 %, one bar) as a share of equity; null with fewer than 30 bars.
    value_at_risk: Option<f64>,
    /// The mean beyond it.
    expected_shortfall: Option<f64>,
    /// Bars measured.
    bars: u32,
    /// Largest correlation of returns of two positions; null when fewer than two can be compared.
    correlation: Option<f64>,
    /// Those two symbols.
    correlated: Vec<String>,
    /// The largest position as a share of equity, a decimal; null where nothing is held.
    concentration: Option<String>,
    /// The symbol of that position.
    concentrated: Option<String>,
    /// By strategy; one that holds nothing any more stays for its result.
    strategies: Vec<Line>,
    /// By sector; `unknown` where no profile names one.
    sectors: Vec<Line>,
    /// By symbol.
    symbols: Vec<Line>,
}

impl Measured {
    fn of(measure: RiskMeasured, event_time_ns: i64) -> Self {
        let lines = |groups: Vec<RiskGroup>| groups.into_iter().map(Line::of).collect();
        let fall = drawdown(&measure);
        let (concentration, concentrated) = largest(measure.concentration_e9, measure.concentrated);
        Self {
            account: measure.account,
            event_time_ns,
            equity: decimal(measure.equity.as_ref()),
            gross_exposure: decimal(measure.gross_exposure.as_ref()),
            net_exposure: decimal(measure.net_exposure.as_ref()),
            drawdown: fall.map(|fall| fall.to_string()),
            peak_equity: decimal(measure.peak_equity.as_ref()),
            value_at_risk: measure.value_at_risk,
            expected_shortfall: measure.expected_shortfall,
            bars: measure.bars,
            correlation: measure.correlation,
            correlated: pair([measure.correlated_first, measure.correlated_second]),
            concentration,
            concentrated,
            strategies: lines(measure.strategies),
            sectors: lines(measure.sectors),
            symbols: lines(measure.symbols),
        }
    }
}

/// How risk is.
#[derive(Debug, Serialize, ToSchema)]
pub struct RiskState {
    /// What is stopped.
    stopped: Vec<Stopped>,
    /// The last measurement of each account.
    measures: Vec<Measured>,
    /// Alerts in force, newest first.
    alerts: Vec<AlertRow>,
}

/// Of which account.
#[derive(Debug)]
pub struct RiskFields;

impl Fields for RiskFields {
    const FIELDS: &'static [Field] =
        &[field("account", Kind::Text(64), "Account, with what concerns all of them; by default each one")];
}

/// What is stopped, what the monitor measured, and alerts in force.
#[utoipa::path(get, path = "/api/v1/risk", tag = "trading", operation_id = "show_risk",
    params(Asked<RiskFields>), responses((status = 200, body = RiskState), Problems))]
pub async fn show(State(app): State<Arc<App>>, asked: Asked<RiskFields>) -> Result<Json<RiskState>, Problem> {
    let pool = &app.config.pool;
    let account = asked.get("account");
    if let Some(account) = account {
        check_account(&app, account).await?;
    }
    let is_asked = |of: &str| account.is_none_or(|account| of == account);
    let book = queries::load_book(pool).await.map_err(unread)?;
    let measures = queries::risk_measures(pool).await.map_err(unread)?;
    let alerts = queries::alerts(pool, account, true, ROWS).await.map_err(unread)?;
    let measures = measures.into_iter().filter(|row| is_asked(&row.measure.account));
    let measures = measures.map(|row| Measured::of(row.measure, row.event_time_ns)).collect();
    let mut stopped = stopped(&book);
    stopped.retain(|stop| stop.account.is_empty() || is_asked(&stop.account));
    Ok(Json(RiskState { stopped, measures, alerts }))
}
