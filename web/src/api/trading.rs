//! Orders, fills, positions, accounts, risk decisions, signals: the same questions as the pages ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use domain::risk::{Rule, usage};
use projections::queries::{
    self, AccountRow, DecisionFilter, DecisionRow, FillRow, OrderDetail, OrderRow, Part, PositionRow,
    QueryError, SignalFilter, SignalRow,
};
use serde::{Deserialize, Serialize};

use super::Problem;
use crate::action::caller_of;
use crate::app::App;
use crate::error::PageError;
use crate::pages::orders::{Filter, request_cancel, time};
use crate::pages::table::{ROWS, ROWS_MAX, turn};
use crate::pages::{Params, timeline};
use crate::view::{from_time, to_time};

type Answer<T> = Result<Json<T>, Problem>;

const LIST: [&str; 5] = ["limit", "before", "after", "from", "to"];
const VERDICTS: [&str; 3] = ["approved", "denied", "shadowed"];
const TRUTH: [&str; 2] = ["true", "false"];

fn unread(error: QueryError) -> PageError {
    PageError::ReadModel(error.to_string())
}

/// Refuses fields that the list does not have.
fn list(params: &Params, own: &[&str]) -> Result<(), PageError> {
    params.only(&[&LIST, own].concat())
}

/// `GET /api/v1/orders`: fields `account`, `strategy`, `symbol`, `status`, `side`, `open`, `from`, `to`.
pub async fn orders(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Answer<Part<OrderRow>> {
    list(&params, &["account", "strategy", "symbol", "status", "side", "open"])?;
    let open = params.one_of("open", &TRUTH)?.map(|open| open == "true");
    let tab = if open == Some(true) { "open" } else { "all" };
    let filter = Filter::of(&params.with("tab", tab))?.orders;
    let filter = queries::OrderFilter { open, ..filter };
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_orders(&app.config.pool, &filter, turn(&params)?, limit).await;
    Ok(Json(part.map_err(unread)?))
}

/// An order with its history, its fills, and what risk decided on.
#[derive(Debug, Serialize)]
pub struct Order {
    #[serde(flatten)]
    detail: OrderDetail,
    /// Absent when an operator placed the order.
    decision: Option<DecisionRow>,
}

/// `GET /api/v1/orders/{id}`
pub async fn order(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
) -> Answer<Order> {
    params.only(&[])?;
    let found = queries::order(&app.config.pool, &id).await.map_err(unread)?;
    let detail = found.ok_or_else(|| crate::pages::orders::missing(&id))?;
    let decision = crate::pages::orders::decision_of(&app.config.pool, &detail).await.map_err(unread)?;
    Ok(Json(Order { detail, decision }))
}

/// Body of a cancel.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// For the audit.
    #[serde(default)]
    reason: String,
}

/// What a command came to.
#[derive(Debug, Serialize)]
pub struct Accepted {
    order_id: String,
    /// `cancel_requested`: the broker's answer follows on the tape.
    state: &'static str,
}

/// `POST /api/v1/orders/{id}/cancel`, with the header `Idempotency-Key`: asked twice with one key it has
/// one effect.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Option<Json<Cancel>>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let caller = caller_of(&app, &headers, header("x-csrf-token"), header("idempotency-key"))?;
    let reason = body.map(|Json(body)| body.reason).unwrap_or_default();
    let reason = if reason.trim().is_empty() { "through the API" } else { reason.trim() };
    request_cancel(&app, &caller, &id, reason).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { order_id: id, state: "cancel_requested" })))
}

/// `GET /api/v1/fills`: fields `account`, `strategy`, `symbol`, `side`, `order_id`, `from`, `to`.
pub async fn fills(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Answer<Part<FillRow>> {
    list(&params, &["account", "strategy", "symbol", "side", "order_id"])?;
    let filter = Filter::of(&params.with("tab", "fills"))?.fills;
    let filter = queries::FillFilter { order_id: params.owned("order_id"), ..filter };
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_fills(&app.config.pool, &filter, turn(&params)?, limit).await;
    Ok(Json(part.map_err(unread)?))
}

/// Positions, and the moment they are of.
#[derive(Debug, Serialize)]
pub struct Positions {
    /// Last TRADING sequence folded; absent for the present.
    as_of: Option<u64>,
    rows: Vec<PositionRow>,
}

/// `GET /api/v1/positions`: fields `account`, `flat` (also those that are flat and have a result), `as_of`.
pub async fn positions(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Answer<Positions> {
    params.only(&["account", "flat", timeline::FIELD])?;
    let flat = params.one_of("flat", &TRUTH)?.is_some_and(|flat| flat == "true");
    let account = params.get("account");
    Ok(Json(match timeline::moment(&params)? {
        Some(moment) => {
            let past = timeline::state(&app, moment).await?;
            Positions { as_of: Some(past.sequence()), rows: past.positions(account, flat) }
        }
        None => {
            let rows = queries::positions(&app.config.pool, account, flat).await.map_err(unread)?;
            Positions { as_of: None, rows }
        }
    }))
}

/// How much of one limit is used.
#[derive(Debug, Serialize)]
pub struct Used {
    rule: &'static str,
    used: String,
    most: String,
    /// What uses the most: a symbol or an order's id; empty for the account as a whole.
    of: String,
}

/// An account with what it uses of its limits.
#[derive(Debug, Serialize)]
pub struct Account {
    #[serde(flatten)]
    row: AccountRow,
    usage: Vec<Used>,
}

/// Accounts, and the moment they are of.
#[derive(Debug, Serialize)]
pub struct Accounts {
    /// Last TRADING sequence folded; absent for the present.
    as_of: Option<u64>,
    rows: Vec<Account>,
}

/// `GET /api/v1/accounts`: field `as_of`.
pub async fn accounts(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Answer<Accounts> {
    params.only(&[timeline::FIELD])?;
    let (as_of, book, rows) = match timeline::moment(&params)? {
        Some(moment) => {
            let past = timeline::state(&app, moment).await?;
            (Some(past.sequence()), past.book.clone(), past.accounts())
        }
        None => {
            let pool = &app.config.pool;
            let book = queries::load_book(pool).await.map_err(unread)?;
            (None, book, queries::accounts(pool).await.map_err(unread)?)
        }
    };
    let used = |row: &AccountRow| usage(&book, &row.account).into_iter().map(Used::of).collect();
    let rows = rows.into_iter().map(|row| Account { usage: used(&row), row }).collect();
    Ok(Json(Accounts { as_of, rows }))
}

impl Used {
    fn of(usage: domain::risk::Usage) -> Self {
        let rule = usage.rule.name();
        Self { rule, used: usage.used.to_string(), most: usage.most.to_string(), of: usage.of }
    }
}

/// `GET /api/v1/decisions`: fields `account`, `strategy`, `symbol`, `verdict`, `rule`, `signal_id`, `from`, `to`.
pub async fn decisions(
    State(app): State<Arc<App>>,
    Query(params): Query<Params>,
) -> Answer<Part<DecisionRow>> {
    list(&params, &["account", "strategy", "symbol", "verdict", "rule", "signal_id"])?;
    let filter = DecisionFilter {
        account: params.owned("account"),
        strategy: params.owned("strategy"),
        symbol: params.get("symbol").map(str::to_uppercase),
        verdict: params.one_of("verdict", &VERDICTS)?,
        rule: params.one_of("rule", &Rule::ALL.map(Rule::name))?,
        signal_id: params.owned("signal_id"),
        from_ns: time(&params, "from", from_time)?,
        to_ns: time(&params, "to", to_time)?,
        up_to: None,
    };
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_decisions(&app.config.pool, &filter, turn(&params)?, limit).await;
    Ok(Json(part.map_err(unread)?))
}

/// `GET /api/v1/signals`: fields `strategy`, `symbol`, `from`, `to`.
pub async fn signals(State(app): State<Arc<App>>, Query(params): Query<Params>) -> Answer<Part<SignalRow>> {
    list(&params, &["strategy", "symbol"])?;
    let filter = SignalFilter {
        strategy: params.owned("strategy"),
        symbol: params.get("symbol").map(str::to_uppercase),
        from_ns: time(&params, "from", from_time)?,
        to_ns: time(&params, "to", to_time)?,
    };
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_signals(&app.config.pool, &filter, turn(&params)?, limit).await;
    Ok(Json(part.map_err(unread)?))
}
