//! What the monitor measured of each account, beside stops and alerts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use contracts::v1::{RiskGroup, RiskMeasured};
use domain::money::{Amount, Quantity};
use domain::risk::monitor::drawdown;
use projections::queries::{self, AlertRow};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ROWS, Stopped, stopped, unread};
use crate::api::fields::{Asked, NoFields};
use crate::api::{Problem, Problems};
use crate::app::App;

/// A line of a measurement.
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
    /// By strategy.
    strategies: Vec<Line>,
    /// By sector; `unknown` where no profile names one.
    sectors: Vec<Line>,
    /// By symbol.
    symbols: Vec<Line>,
}

impl Measured {
    fn of(measure: RiskMeasured, event_time_ns: i64) -> Self {
        let money = |money: &Option<contracts::v1::Money>| Amount::from_wire(money.as_ref()).to_string();
        let lines = |groups: Vec<RiskGroup>| {
            let line = |group: RiskGroup| Line {
                gross_exposure: money(&group.gross_exposure),
                net_exposure: money(&group.net_exposure),
                share: Quantity(group.share_e9).to_string(),
                name: group.name,
            };
            groups.into_iter().map(line).collect()
        };
        let fall = drawdown(&measure);
        let pair = [measure.correlated_first, measure.correlated_second];
        Self {
            account: measure.account,
            event_time_ns,
            equity: money(&measure.equity),
            gross_exposure: money(&measure.gross_exposure),
            net_exposure: money(&measure.net_exposure),
            drawdown: fall.map(|fall| fall.to_string()),
            peak_equity: money(&measure.peak_equity),
            value_at_risk: measure.value_at_risk,
            expected_shortfall: measure.expected_shortfall,
            bars: measure.bars,
            correlation: measure.correlation,
            correlated: pair.into_iter().filter(|symbol| !symbol.is_empty()).collect(),
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

/// What is stopped, what the monitor measured, and alerts in force.
#[utoipa::path(get, path = "/api/v1/risk", tag = "trading", operation_id = "show_risk",
    responses((status = 200, body = RiskState), Problems))]
pub async fn show(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Result<Json<RiskState>, Problem> {
    let pool = &app.config.pool;
    let book = queries::load_book(pool).await.map_err(unread)?;
    let measures = queries::risk_measures(pool).await.map_err(unread)?;
    let alerts = queries::alerts(pool, None, true, ROWS).await.map_err(unread)?;
    let measures = measures.into_iter().map(|row| Measured::of(row.measure, row.event_time_ns)).collect();
    Ok(Json(RiskState { stopped: stopped(&book), measures, alerts }))
}
