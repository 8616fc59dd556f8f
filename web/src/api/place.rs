//! Orders by hand: placed and replaced through risk, for programs; and what was done about groups.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use domain::money::{Price, Quantity};
use projections::queries::{self, GroupRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{Asked, At, Field, Fields, Kind, NoFields, OrderId, Word, field};
use super::{Given, Key, Problem, Problems, caller, fields};
use crate::access::Actor;
use crate::app::App;
use crate::error::PageError;
use crate::pages::orders::place::{Asking, Terms, a_price, ask_new, ask_terms, some_shares};
use crate::pages::table::{ROWS, ROWS_MAX};

/// An order to place.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// `buy` or `sell`.
    #[schema(pattern = "^(buy|sell)$")]
    side: String,
    /// Symbol, in any case.
    #[schema(min_length = 1, max_length = 32, pattern = "^[!-+\\--~]+$")]
    symbol: String,
    /// Account; the only one when absent.
    #[serde(default)]
    account: Option<String>,
    /// Shares, a decimal; exactly one of this and `notional`.
    #[serde(default)]
    quantity: Option<String>,
    /// Amount of the currency, a decimal: at the market for the day, in fractions of a share.
    #[serde(default)]
    notional: Option<String>,
    /// `market`, `limit`, `stop`, `stop_limit` or `trailing_stop`; `market` when absent.
    #[serde(default)]
    r#type: Option<String>,
    /// `day`, `gtc`, `ioc`, `fok`, `opg` or `cls`; `day` when absent.
    #[serde(default)]
    time_in_force: Option<String>,
    /// Limit price, a decimal.
    #[serde(default)]
    limit_price: Option<String>,
    /// Stop price, a decimal.
    #[serde(default)]
    stop_price: Option<String>,
    /// Distance of a trailing stop in the currency, a decimal.
    #[serde(default)]
    trail_price: Option<String>,
    /// The same as a share of the price, a decimal.
    #[serde(default)]
    trail_rate: Option<String>,
    /// Limit price of an exit that takes the profit once it fills; of an order to buy above the price at which it opens, of
    /// one to sell below.
    #[serde(default)]
    take_profit: Option<String>,
    /// Stop price of an exit that stops the loss once it fills; on the other side of that price.
    #[serde(default)]
    stop_loss: Option<String>,
    /// Trade outside of the regular session too; limit orders only.
    #[serde(default)]
    extended_hours: bool,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]*$")]
    reason: String,
}

/// New terms; what is absent stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTerms {
    /// Shares of the whole order, those filled included; a decimal.
    #[serde(default)]
    quantity: Option<String>,
    /// Limit price, a decimal.
    #[serde(default)]
    limit_price: Option<String>,
    /// Stop price, a decimal.
    #[serde(default)]
    stop_price: Option<String>,
    /// For the audit.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]*$")]
    reason: String,
}

/// What was asked for; risk's answer follows on the tape, under the signal's id.
#[derive(Debug, Serialize, ToSchema)]
pub struct AskedFor {
    /// The order; a new one exists once risk approves it.
    order_id: String,
    /// The signal that risk answers.
    signal_id: String,
    /// `requested`.
    state: &'static str,
}

fn price(name: &'static str, text: Option<&String>) -> Result<Option<Price>, PageError> {
    text.map(|text| a_price(name, text)).transpose()
}

fn shares(text: Option<&String>) -> Result<Option<Quantity>, PageError> {
    text.map(|text| some_shares(text)).transpose()
}

/// The same error under the name that its field has in a body: forms and the command line have shorter ones.
fn named(error: PageError) -> PageError {
    let PageError::Field { field, value, expected } = error else { return error };
    let field = match field.as_ref() {
        "tif" => "time_in_force".into(),
        "limit" => "limit_price".into(),
        "stop" => "stop_price".into(),
        "trail" => "trail_price".into(),
        _ => field,
    };
    PageError::Field { field, value, expected }
}

/// Place an order by hand; it passes the same risk checks as those of strategies.
#[utoipa::path(post, path = "/api/v1/orders", tag = "trading", operation_id = "place_order",
    params(Key), request_body = NewOrder, responses((status = 202, body = AskedFor), Problems))]
pub async fn place(
    State(app): State<Arc<App>>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(body): Given<NewOrder>,
) -> Result<(StatusCode, Json<AskedFor>), Problem> {
    let asking = Asking {
        account: body.account.clone().unwrap_or_default(),
        symbol: fields::symbol("symbol", &body.symbol)?,
        side: body.side.clone(),
        order_type: body.r#type.clone().unwrap_or_else(|| "market".to_owned()),
        time_in_force: body.time_in_force.clone().unwrap_or_else(|| "day".to_owned()),
        quantity: shares(body.quantity.as_ref())?,
        notional: price("notional", body.notional.as_ref())?,
        limit: price("limit_price", body.limit_price.as_ref())?,
        stop: price("stop_price", body.stop_price.as_ref())?,
        trail: price("trail_price", body.trail_price.as_ref())?,
        trail_rate: price("trail_rate", body.trail_rate.as_ref())?,
        take_profit: price("take_profit", body.take_profit.as_ref())?,
        stop_loss: price("stop_loss", body.stop_loss.as_ref())?,
        extended_hours: body.extended_hours,
        reason: fields::reason(&body.reason)?.to_owned(),
    };
    let asked = ask_new(&app, &caller(&actor, &key, &body.symbol), asking).await.map_err(named)?;
    let (order_id, signal_id) = (asked.order_id, asked.signal_id);
    Ok((StatusCode::ACCEPTED, Json(AskedFor { order_id, signal_id, state: "requested" })))
}

/// Ask for new terms of an open order; risk decides on them, then the broker is asked.
#[utoipa::path(post, path = "/api/v1/orders/{id}/replace", tag = "trading", operation_id = "replace_order",
    params(OrderId, Key), request_body = NewTerms, responses((status = 202, body = AskedFor), Problems))]
pub async fn replace(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    Given(body): Given<NewTerms>,
) -> Result<(StatusCode, Json<AskedFor>), Problem> {
    let terms = Terms {
        quantity: shares(body.quantity.as_ref())?,
        limit: price("limit_price", body.limit_price.as_ref())?,
        stop: price("stop_price", body.stop_price.as_ref())?,
        reason: fields::reason(&body.reason)?.to_owned(),
    };
    let asked = ask_terms(&app, &caller(&actor, &key, &id), &id, terms).await?;
    let (order_id, signal_id) = (asked.order_id, asked.signal_id);
    Ok((StatusCode::ACCEPTED, Json(AskedFor { order_id, signal_id, state: "requested" })))
}

/// What a list of steps is asked for by.
#[derive(Debug)]
pub struct GroupFields;

impl Fields for GroupFields {
    const FIELDS: &'static [Field] = &[
        field("group_id", Kind::Text(128), "Signal that the orders serve, or event that stopped a strategy"),
        field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say"),
    ];
}

/// What was done about groups of orders that were not whole, and about stopped strategies, newest first.
#[utoipa::path(get, path = "/api/v1/groups", tag = "trading", operation_id = "list_groups",
    params(Asked<GroupFields>), responses((status = 200, body = Vec<GroupRow>), Problems))]
pub async fn groups(
    State(app): State<Arc<App>>,
    asked: Asked<GroupFields>,
) -> Result<Json<Vec<GroupRow>>, Problem> {
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    let rows = queries::groups_handled(&app.config.pool, asked.get("group_id"), limit).await;
    Ok(Json(rows.map_err(|error| PageError::ReadModel(error.to_string()))?))
}
