//! Orders, fills, positions, accounts, risk decisions, signals: the same questions as the pages ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use domain::risk::{Rule, usage};
use projections::queries::{
    self, AccountRow, Cursor, DecisionFilter, DecisionRow, FillRow, OrderDetail, OrderRow, Part, PositionRow,
    QueryError, SignalFilter, SignalRow,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{Asked, At, Field, Fields, Kind, NoFields, OrderId, Word, field};
use super::risk::check_account;
use super::{GivenOrNone, Key, Problem, Problems, caller, fields};
use crate::access::Actor;
use crate::app::App;
use crate::error::PageError;
use crate::pages::Params;
use crate::pages::chart::symbol;
use crate::pages::orders::{SIDES, STATUSES, request_cancel, time};
use crate::pages::strategies::missing;
use crate::pages::table::{ROWS, ROWS_MAX, turn};
use crate::pages::timeline;
use crate::view::{from_time, to_time};

type Answer<T> = Result<Json<T>, Problem>;

const VERDICTS: [&str; 3] = ["approved", "denied", "shadowed"];
const TRUTH: [&str; 2] = ["true", "false"];
/// Every rule of risk.
const RULES: [&str; Rule::ALL.len()] = {
    let mut names = [""; Rule::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Rule::ALL[index].name();
        index += 1;
    }
    names
};

const LIMIT: Field = field("limit", Kind::Whole(1, 200), "Rows of the part; 50 when it does not say");
const BEFORE: Field = field("before", Kind::Cursor, "Rows older than this: `older` of an earlier answer");
const AFTER: Field = field("after", Kind::Cursor, "Rows newer than this: `newer` of an earlier answer");
const FROM: Field = field("from", Kind::Time, "At this time or later");
const TO: Field = field("to", Kind::Time, "Up to and including this date or instant");
const ACCOUNT: Field = field("account", Kind::Text(64), "Account");
const STRATEGY: Field = field("strategy", Kind::Text(64), "Strategy; `manual` for an operator's orders");
const SYMBOL: Field = field("symbol", Kind::Symbol, "Symbol, in any case");
const SIDE: Field = field("side", Kind::Choice(&SIDES), "Side");
/// The state of a moment of the past.
pub const AS_OF: Field =
    field(timeline::FIELD, Kind::Moment, "The state after a sequence of TRADING or at an instant");

fn unread(error: QueryError) -> PageError {
    PageError::ReadModel(error.to_string())
}

/// The rows that were found; where there are none, refuses an account or a strategy that nobody ever knew, whose empty
/// list would hide a typing error.
async fn of_known<T>(app: &App, asked: &Params, rows: Vec<T>) -> Result<Vec<T>, PageError> {
    if !rows.is_empty() {
        return Ok(rows);
    }
    if let Some(account) = asked.get("account") {
        check_account(app, account).await?;
    }
    if let Some(strategy) = asked.get("strategy").filter(|strategy| *strategy != contracts::MANUAL) {
        let known = queries::strategies(&app.config.pool).await.map_err(unread)?;
        if !known.iter().any(|row| row.strategy == strategy) {
            return Err(missing(strategy));
        }
    }
    Ok(rows)
}

/// The last sequence of the moment asked for; `None` for the present. What is only ever added to is then what it was.
async fn up_to(app: &App, asked: &Params) -> Result<Option<u64>, PageError> {
    match timeline::moment(asked)? {
        Some(moment) => Ok(Some(timeline::state(app, moment).await?.sequence())),
        None => Ok(None),
    }
}

/// The part of a list, under the same condition.
async fn part_of_known<T>(app: &App, asked: &Params, part: Result<Part<T>, QueryError>) -> Answer<Part<T>> {
    let Part { rows, newer, older } = part.map_err(unread)?;
    Ok(Json(Part { rows: of_known(app, asked, rows).await?, newer, older }))
}

/// What a list of orders is asked for by.
#[derive(Debug)]
pub struct OrderFields;

impl Fields for OrderFields {
    const FIELDS: &'static [Field] = &[
        ACCOUNT,
        STRATEGY,
        SYMBOL,
        SIDE,
        field("status", Kind::Choice(&STATUSES), "Status"),
        field("open", Kind::Choice(&TRUTH), "Only orders that have not ended, or only those that have"),
        FROM,
        TO,
        LIMIT,
        BEFORE,
        AFTER,
        AS_OF,
    ];
}

/// Orders, and the moment they are of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Orders {
    /// Last TRADING sequence folded; null for the present.
    as_of: Option<u64>,
    /// The rows.
    rows: Vec<OrderRow>,
    /// For `after`; null when nothing is newer.
    #[schema(value_type = Option<String>)]
    newer: Option<Cursor>,
    /// For `before`; null when nothing is older.
    #[schema(value_type = Option<String>)]
    older: Option<Cursor>,
}

/// Orders, the one approved last first, now or as of a moment; of long ago without those that had ended long before.
#[utoipa::path(get, path = "/api/v1/orders", tag = "trading", operation_id = "list_orders",
    params(Asked<OrderFields>), responses((status = 200, body = Orders), Problems))]
pub async fn orders(State(app): State<Arc<App>>, asked: Asked<OrderFields>) -> Answer<Orders> {
    let filter = queries::OrderFilter {
        account: asked.owned("account"),
        strategy: asked.owned("strategy"),
        symbol: asked.get("symbol").map(symbol).transpose()?,
        status: asked.owned("status"),
        open: asked.get("open").map(|open| open == "true"),
        side: asked.owned("side"),
        from_ns: time(&asked, "from", from_time)?,
        to_ns: time(&asked, "to", to_time)?,
    };
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    let turn = turn(&asked)?;
    let (as_of, part) = match timeline::moment(&asked)? {
        Some(moment) => {
            let past = timeline::state(&app, moment).await?;
            (Some(past.sequence()), past.orders(&filter, turn, limit))
        }
        None => {
            let part = queries::list_orders(&app.config.pool, &filter, turn, limit).await;
            (None, part.map_err(unread)?)
        }
    };
    let Part { rows, newer, older } = part;
    Ok(Json(Orders { as_of, rows: of_known(&app, &asked, rows).await?, newer, older }))
}

/// An order with its history, its fills, and what risk decided on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Order {
    #[serde(flatten)]
    detail: OrderDetail,
    /// Null when an operator placed the order.
    decision: Option<DecisionRow>,
}

/// One order with its history, its fills and what risk decided on.
#[utoipa::path(get, path = "/api/v1/orders/{id}", tag = "trading", operation_id = "get_order",
    params(OrderId), responses((status = 200, body = Order), Problems))]
pub async fn order(State(app): State<Arc<App>>, At(Word(id)): At<Word>, _: Asked<NoFields>) -> Answer<Order> {
    let found = queries::order(&app.config.pool, &id).await.map_err(unread)?;
    let detail = found.ok_or_else(|| crate::pages::orders::missing(&id))?;
    let decision = crate::pages::orders::decision_of(&app.config.pool, &detail).await.map_err(unread)?;
    Ok(Json(Order { detail, decision }))
}

/// Why an order is cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// For the audit; may be left out.
    #[serde(default)]
    #[schema(max_length = 200, pattern = "^[^\\u0000-\\u001f\\u007f]*$")]
    reason: String,
}

/// What a command came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The order.
    order_id: String,
    /// `cancel_requested`: the broker's answer follows on the tape.
    state: &'static str,
}

/// Ask for an order to be cancelled; what the broker answers follows on the tape.
#[utoipa::path(post, path = "/api/v1/orders/{id}/cancel", tag = "trading", operation_id = "cancel_order",
    params(OrderId, Key), request_body = Option<Cancel>, responses((status = 202, body = Accepted), Problems))]
pub async fn cancel(
    State(app): State<Arc<App>>,
    At(Word(id)): At<Word>,
    Extension(actor): Extension<Actor>,
    key: Key,
    _: Asked<NoFields>,
    GivenOrNone(body): GivenOrNone<Cancel>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let reason = fields::reason(&body.reason)?;
    // The command itself keeps one key used on two orders two commands.
    request_cancel(&app, &caller(&actor, &key, ""), &id, reason).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { order_id: id, state: "cancel_requested" })))
}

/// What a list of fills is asked for by.
#[derive(Debug)]
pub struct FillFields;

impl Fields for FillFields {
    const FIELDS: &'static [Field] = &[
        ACCOUNT,
        STRATEGY,
        SYMBOL,
        SIDE,
        field("order_id", Kind::Text(128), "Order"),
        FROM,
        TO,
        LIMIT,
        BEFORE,
        AFTER,
        AS_OF,
    ];
}

/// Fills, newest first, now or as of a moment.
#[utoipa::path(get, path = "/api/v1/fills", tag = "trading", operation_id = "list_fills",
    params(Asked<FillFields>), responses((status = 200, body = Part<FillRow>), Problems))]
pub async fn fills(State(app): State<Arc<App>>, asked: Asked<FillFields>) -> Answer<Part<FillRow>> {
    let filter = queries::FillFilter {
        account: asked.owned("account"),
        strategy: asked.owned("strategy"),
        symbol: asked.get("symbol").map(symbol).transpose()?,
        order_id: asked.owned("order_id"),
        side: asked.owned("side"),
        from_ns: time(&asked, "from", from_time)?,
        to_ns: time(&asked, "to", to_time)?,
        up_to: up_to(&app, &asked).await?,
    };
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_fills(&app.config.pool, &filter, turn(&asked)?, limit).await;
    part_of_known(&app, &asked, part).await
}

/// Positions, and the moment they are of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Positions {
    /// Last TRADING sequence folded; null for the present.
    as_of: Option<u64>,
    /// Positions by account, strategy and symbol.
    rows: Vec<PositionRow>,
}

/// What positions are asked for by.
#[derive(Debug)]
pub struct PositionFields;

impl Fields for PositionFields {
    const FIELDS: &'static [Field] =
        &[ACCOUNT, field("flat", Kind::Choice(&TRUTH), "Also those that are flat and have a result"), AS_OF];
}

/// Positions, now or as of a moment.
#[utoipa::path(get, path = "/api/v1/positions", tag = "trading", operation_id = "list_positions",
    params(Asked<PositionFields>), responses((status = 200, body = Positions), Problems))]
pub async fn positions(State(app): State<Arc<App>>, asked: Asked<PositionFields>) -> Answer<Positions> {
    let flat = asked.get("flat") == Some("true");
    let account = asked.get("account");
    Ok(Json(match timeline::moment(&asked)? {
        Some(moment) => {
            let past = timeline::state(&app, moment).await?;
            let rows = of_known(&app, &asked, past.positions(account, flat)).await?;
            Positions { as_of: Some(past.sequence()), rows }
        }
        None => {
            let rows = queries::positions(&app.config.pool, account, flat).await.map_err(unread)?;
            Positions { as_of: None, rows: of_known(&app, &asked, rows).await? }
        }
    }))
}

/// How much of one limit is used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Used {
    /// Rule.
    rule: &'static str,
    /// What is used, a decimal.
    used: String,
    /// What may be used, a decimal.
    most: String,
    /// What uses the most: a symbol or an order's id; empty for the account as a whole.
    of: String,
}

/// An account with what it uses of its limits.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    #[serde(flatten)]
    row: AccountRow,
    /// What is used of each limit.
    usage: Vec<Used>,
    /// Why it takes no orders at its broker, as execution said last; null where it takes them, and of a moment of the
    /// past.
    blocked: Option<String>,
}

/// Accounts, and the moment they are of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accounts {
    /// Last TRADING sequence folded; null for the present.
    as_of: Option<u64>,
    /// Accounts by name.
    rows: Vec<Account>,
}

/// What accounts are asked for by.
#[derive(Debug)]
pub struct AccountFields;

impl Fields for AccountFields {
    const FIELDS: &'static [Field] = &[AS_OF];
}

/// Accounts with their limits and what is used of them, now or as of a moment.
#[utoipa::path(get, path = "/api/v1/accounts", tag = "trading", operation_id = "list_accounts",
    params(Asked<AccountFields>), responses((status = 200, body = Accounts), Problems))]
pub async fn accounts(State(app): State<Arc<App>>, asked: Asked<AccountFields>) -> Answer<Accounts> {
    let (as_of, book, rows) = match timeline::moment(&asked)? {
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
    let mut blocked = BTreeMap::new();
    if as_of.is_none() {
        for row in &rows {
            let why = runtime::command::blocked(&app.context.tape, &row.account).await;
            let why = why.map_err(|error| PageError::ReadModel(error.to_string()))?;
            blocked.extend(why.map(|why| (row.account.clone(), why)));
        }
    }
    let account = |row: AccountRow| Account {
        usage: usage(&book, &row.account).into_iter().map(Used::of).collect(),
        blocked: blocked.get(&row.account).cloned(),
        row,
    };
    Ok(Json(Accounts { as_of, rows: rows.into_iter().map(account).collect() }))
}

impl Used {
    fn of(usage: domain::risk::Usage) -> Self {
        let rule = usage.rule.name();
        Self { rule, used: usage.used.to_string(), most: usage.most.to_string(), of: usage.of }
    }
}

/// What a list of decisions is asked for by.
#[derive(Debug)]
pub struct DecisionFields;

impl Fields for DecisionFields {
    const FIELDS: &'static [Field] = &[
        ACCOUNT,
        STRATEGY,
        SYMBOL,
        field("verdict", Kind::Choice(&VERDICTS), "Verdict"),
        field("rule", Kind::Choice(&RULES), "Rule that denied"),
        field("signal_id", Kind::Text(128), "Signal decided"),
        FROM,
        TO,
        LIMIT,
        BEFORE,
        AFTER,
        AS_OF,
    ];
}

/// Risk decisions with everything they looked at, newest first, now or as of a moment.
#[utoipa::path(get, path = "/api/v1/decisions", tag = "trading", operation_id = "list_decisions",
    params(Asked<DecisionFields>), responses((status = 200, body = Part<DecisionRow>), Problems))]
pub async fn decisions(
    State(app): State<Arc<App>>,
    asked: Asked<DecisionFields>,
) -> Answer<Part<DecisionRow>> {
    let filter = DecisionFilter {
        account: asked.owned("account"),
        strategy: asked.owned("strategy"),
        symbol: asked.get("symbol").map(symbol).transpose()?,
        verdict: asked.owned("verdict"),
        rule: asked.owned("rule"),
        signal_id: asked.owned("signal_id"),
        from_ns: time(&asked, "from", from_time)?,
        to_ns: time(&asked, "to", to_time)?,
        up_to: up_to(&app, &asked).await?,
    };
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_decisions(&app.config.pool, &filter, turn(&asked)?, limit).await;
    part_of_known(&app, &asked, part).await
}

/// What a list of signals is asked for by.
#[derive(Debug)]
pub struct SignalFields;

impl Fields for SignalFields {
    const FIELDS: &'static [Field] = &[STRATEGY, SYMBOL, FROM, TO, LIMIT, BEFORE, AFTER];
}

/// Signals with what the strategies saw and what risk answered, newest first.
#[utoipa::path(get, path = "/api/v1/signals", tag = "trading", operation_id = "list_signals",
    params(Asked<SignalFields>), responses((status = 200, body = Part<SignalRow>), Problems))]
pub async fn signals(State(app): State<Arc<App>>, asked: Asked<SignalFields>) -> Answer<Part<SignalRow>> {
    let filter = SignalFilter {
        strategy: asked.owned("strategy"),
        symbol: asked.get("symbol").map(symbol).transpose()?,
        from_ns: time(&asked, "from", from_time)?,
        to_ns: time(&asked, "to", to_time)?,
    };
    let limit = asked.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_signals(&app.config.pool, &filter, turn(&asked)?, limit).await;
    part_of_known(&app, &asked, part).await
}
