//! How the system is, on one answer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::queries;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, NoFields};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;

/// A halt in force.
#[derive(Debug, Serialize, ToSchema)]
pub struct Halted {
    /// Account; empty for all.
    account: String,
    /// `reduce_only`: strategies may still reduce; `halted`: they send nothing.
    state: &'static str,
    /// Who halted it.
    actor: String,
    /// Why.
    reason: String,
}

/// Through which broker an account is traded, as execution stated it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AtBroker {
    /// Account.
    account: String,
    /// `simulated` or `alpaca`.
    broker: String,
    /// `simulated`, `paper` or `live`: whose money orders move.
    mode: &'static str,
    /// The broker's own number of the account; empty where it has none.
    broker_account: String,
    /// Why it takes no orders there; null where it takes them.
    blocked: Option<String>,
}

/// Rows of the read models.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rows {
    /// Bars, of all symbols and timeframes.
    bars: u64,
    /// Signals.
    signals: u64,
    /// Risk decisions that approved.
    approved: u64,
    /// Risk decisions that denied.
    denied: u64,
    /// Orders.
    orders: u64,
    /// Orders that have not ended.
    open_orders: u64,
    /// Fills.
    fills: u64,
    /// Positions that are not flat.
    positions: u64,
    /// Messages set aside and not resolved.
    parked: u64,
}

/// How the system is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Status {
    /// Name of the tape.
    tape: String,
    /// `DEMO`, `REHEARSAL`, `BACKTEST`, `PAPER` or `LIVE`.
    mode: &'static str,
    /// Program version.
    version: String,
    /// What there is.
    counts: Rows,
    /// Halts in force.
    halts: Vec<Halted>,
    /// Accounts at brokers outside.
    brokers: Vec<AtBroker>,
}

/// What there is, and which halts are in force.
#[utoipa::path(get, path = "/api/v1/status", tag = "system", operation_id = "get_status",
    responses((status = 200, body = Status), Problems))]
pub async fn status(State(app): State<Arc<App>>, _: Asked<NoFields>) -> Result<Json<Status>, Problem> {
    let unread = |error: queries::QueryError| PageError::ReadModel(error.to_string());
    let counts = queries::counts(&app.config.pool).await.map_err(unread)?;
    let halts = queries::halts(&app.config.pool).await.map_err(unread)?;
    let halts = halts.into_iter().map(|halt| Halted {
        account: halt.account,
        state: halt.state,
        actor: halt.actor,
        reason: halt.reason,
    });
    let counts = Rows {
        bars: counts.bars,
        signals: counts.signals,
        approved: counts.approved,
        denied: counts.denied,
        orders: counts.orders,
        open_orders: counts.open_orders,
        fills: counts.fills,
        positions: counts.positions,
        parked: counts.parked,
    };
    let mut mode = app.config.mode;
    let mut brokers = Vec::new();
    for account in queries::accounts(&app.config.pool).await.map_err(unread)? {
        let attached = app.attached.attachment(&app.context.tape, &account.account).await;
        let unread = |error: event_log::LogError| PageError::ReadModel(error.to_string());
        let Some(attached) = attached.map_err(unread)? else { continue };
        mode = mode.traded(attached.mode());
        brokers.push(AtBroker {
            mode: attached.mode().name(),
            account: attached.account,
            broker: attached.broker,
            broker_account: attached.broker_account,
            blocked: Some(attached.blocked).filter(|why| !why.is_empty()),
        });
    }
    Ok(Json(Status {
        tape: app.config.tape.clone(),
        mode: mode.name(),
        version: app.config.version.clone(),
        counts,
        halts: halts.collect(),
        brokers,
    }))
}
