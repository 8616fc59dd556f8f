//! The course of an account's equity.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use projections::queries;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::paging::{Listing, cursor, limit, place};
use super::{Problem, Problems};
use crate::app::App;
use crate::error::PageError;

/// Which account, and from where.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// Account's name.
    account: String,
    /// Items of the part.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The `next` of an earlier answer.
    cursor: Option<String>,
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
#[utoipa::path(get, path = "/api/v1/equity", tag = "trading", operation_id = "list_equity", params(Asked),
    responses((status = 200, body = Listing<Day>), Problems))]
pub async fn equity(
    State(app): State<Arc<App>>,
    Query(asked): Query<Asked>,
) -> Result<Json<Listing<Day>>, Problem> {
    if !crate::pages::account_names(&app).await?.contains(&asked.account) {
        return Err(PageError::Missing(format!("account {:?}", asked.account)).into());
    }
    let limit = usize::try_from(limit(asked.limit)?).unwrap_or_default();
    let from = usize::try_from(place(asked.cursor.as_deref())?.unwrap_or_default()).unwrap_or(usize::MAX);
    let days = queries::daily_equity(&app.config.pool, &asked.account).await;
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
