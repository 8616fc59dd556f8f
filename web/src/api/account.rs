//! The course of an account's equity.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use projections::queries;
use serde::Serialize;
use utoipa::ToSchema;

use super::fields::{Asked, Field, Fields, Kind, field};
use super::paging::{LIMIT, LIMIT_MAX, Listing, cursor, place};
use super::risk::check_account;
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;

/// Which account, and from where.
#[derive(Debug)]
pub struct EquityFields;

impl Fields for EquityFields {
    const FIELDS: &'static [Field] = &[
        field("account", Kind::Text(64), "Account").needed(),
        field("limit", Kind::Whole(1, 200), "Days of the part; 50 when it does not say"),
        field("cursor", Kind::Id(32), "The `next` of an earlier answer"),
    ];
}

/// Equity at the end of one day of exchange time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Day {
    /// Date in New York, `YYYY-MM-DD`.
    date: String,
    /// Equity at the day's last mark, a decimal in US dollars.
    equity: String,
    /// Deposits less withdrawals up to and including the day, a decimal in US dollars.
    deposits: String,
}

/// Equity day by day, oldest first.
#[utoipa::path(get, path = "/api/v1/equity", tag = "trading", operation_id = "list_equity", params(Asked<EquityFields>),
    responses((status = 200, body = Listing<Day>), Problems))]
pub async fn equity(
    State(app): State<Arc<App>>,
    asked: Asked<EquityFields>,
) -> Result<Json<Listing<Day>>, Problem> {
    let account = asked.get("account").unwrap_or_default();
    check_account(&app, account).await?;
    let limit = asked.number("limit", LIMIT, LIMIT_MAX)? as usize;
    let from = usize::try_from(place(asked.get("cursor"))?.unwrap_or_default()).unwrap_or(usize::MAX);
    let days = queries::daily_equity(&app.config.pool, account, app.config.calendar).await;
    let days = days.map_err(|error| PageError::ReadModel(error.to_string()))?;
    let to = from.saturating_add(limit);
    let next = (days.len() > to).then(|| cursor(u64::try_from(to).unwrap_or(u64::MAX)));
    let items = days.into_iter().skip(from).take(limit).map(|day| Day {
        date: day.date,
        equity: day.equity.to_string(),
        deposits: day.deposits.to_string(),
    });
    Ok(Json(Listing { items: items.collect(), next }))
}
