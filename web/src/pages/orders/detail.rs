//! One order: its terms, its history, what risk decided on, its fills, and its cancel.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::v1::{OrderSpec, RiskInput};
use domain::money::{Amount, Price, Quantity};
use projections::queries::{self, DecisionFilter, DecisionRow, OrderDetail, QueryError};
use runtime::command::{self, Caller};

use super::PAGE;
use super::table::{badge, kind, status};
use crate::action::{CommandForm, caller, done, tape};
use crate::app::App;
use crate::error::PageError;
use crate::pages::{Body, Layout, Panel, Params, Rendering, Scope, Shown, Visit};
use crate::session::FormKeys;
use crate::url::Url;
use crate::view::{Instant, duration_words, money, price, quantity, signed_money};

/// The order with everything about it. The page's query names it in the field `id`.
pub static ORDER: Panel = Panel::fetched("order", &["trading"], |scope| Box::pin(order(scope)));

/// A fact: what it is called and what it is.
#[derive(Clone, Debug)]
struct Fact {
    name: &'static str,
    value: Value,
}

/// What a fact is.
#[derive(Clone, Debug)]
enum Value {
    /// As it stands.
    Text(String),
    /// A time, in the zone that the reader chose.
    Time(Instant),
}

#[derive(Clone, Debug)]
struct EventRow {
    seq: u64,
    event_id: String,
    time: Instant,
    kind: String,
    status: String,
    detail: String,
}

#[derive(Clone, Debug)]
struct FillRow {
    seq: u64,
    time: Instant,
    quantity: String,
    price: String,
    fee: String,
    slippage: String,
    realized: crate::view::Signed,
    remaining: String,
}

/// What risk decided, with every input.
#[derive(Clone, Debug)]
struct Decision {
    verdict: String,
    badge: &'static str,
    why: String,
    seq: u64,
    time: Instant,
    /// One list of inputs per leg.
    legs: Vec<Vec<Fact>>,
}

#[derive(Clone, Debug)]
struct Order {
    title: String,
    status: String,
    badge: &'static str,
    reason: String,
    facts: Vec<Fact>,
    decision: Option<Decision>,
    history: Vec<EventRow>,
    fills: Vec<FillRow>,
    /// The chain behind the newest thing that happened to it.
    chain: Option<String>,
    /// The chart of its symbol, at the time of its approval.
    chart: String,
    cancel: Option<String>,
    /// Where to ask for new terms; none when it is over or something is under way.
    replace: Option<String>,
    /// The terms and ids that it had, and those asked for.
    chain_of_terms: Vec<Revision>,
    /// What was done about its group.
    group: Vec<GroupStep>,
    keys: FormKeys,
}

/// One link of the chain of terms.
#[derive(Clone, Debug)]
struct Revision {
    number: u64,
    terms: String,
    client_id: String,
    broker_id: String,
    /// When other terms took their place; `None` of those that are asked for.
    until: Option<Instant>,
}

/// One thing that was done about a group.
#[derive(Clone, Debug)]
struct GroupStep {
    seq: u64,
    time: Instant,
    what: String,
    policy: String,
    open: String,
}

impl Revision {
    fn of(row: &queries::RevisionRow) -> Self {
        let limit = row.limit_price.map(|limit| format!(" limit {}", price(limit))).unwrap_or_default();
        let stop = row.stop_price.map(|stop| format!(" stop {}", price(stop))).unwrap_or_default();
        let id = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
        Self {
            number: row.revision,
            terms: format!("{}{limit}{stop}", quantity(row.quantity)),
            client_id: id(&row.client_order_id),
            broker_id: id(&row.broker_order_id),
            until: row.replaced_ns.map(Instant),
        }
    }
}

impl GroupStep {
    fn of(row: &queries::GroupRow) -> Self {
        let order = if row.failed_order_id.is_empty() {
            String::new()
        } else {
            format!(" order {}", row.failed_order_id)
        };
        let failure = if row.failure.is_empty() { "goes on".to_owned() } else { row.failure.clone() };
        Self {
            seq: row.sequence,
            time: Instant(row.event_time_ns),
            what: format!("{failure}{order}: {} cancels, {} orders", row.cancels.len(), row.orders.len()),
            policy: row.policy.clone(),
            open: match (row.done, row.open.is_empty()) {
                (true, true) => "done, nothing open".to_owned(),
                (true, false) => row.open.clone(),
                (false, _) => "under way".to_owned(),
            },
        }
    }
}

#[derive(Template)]
#[template(path = "orders/order.html")]
struct OrderPanel {
    v: u64,
    body: Body<Order>,
}

#[derive(Template)]
#[template(path = "orders/detail.html")]
struct DetailPage<'a> {
    layout: Layout<'a>,
    id: String,
    order: String,
}

/// `GET /orders/{id}`
pub async fn page(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Query(params): Query<Params>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    // A page of an order that does not exist is no page; one that cannot be read is.
    if let Ok(None) = queries::order(&app.config.pool, &id).await {
        return Err(missing(&id));
    }
    let params = params.with("id", &id);
    let visit = Visit::begin(&app, &PAGE, &params, &headers).await?;
    let html = assemble(&visit, id).await;
    visit.respond(html)
}

async fn assemble(visit: &Visit<'_>, id: String) -> Rendering {
    let scope = &visit.scope();
    let layout = visit.layout(scope, &[&ORDER]).await?;
    let order = ORDER.render(scope).await?;
    DetailPage { layout, id, order }.render()
}

/// There is no order of that id.
pub fn missing(id: &str) -> PageError {
    PageError::Missing(format!("order {:?}", id.chars().take(80).collect::<String>()))
}

async fn order(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &ORDER, read(scope)).await;
    OrderPanel { v: scope.version, body }.render()
}

async fn read(scope: &Scope<'_>) -> Result<Option<Order>, QueryError> {
    let pool = &scope.app.config.pool;
    let id = scope.params.get("id").unwrap_or_default();
    let Some(detail) = queries::order(pool, id).await? else { return Ok(None) };
    let decision = decision_of(pool, &detail).await?;
    let group = match detail.order.signal_id.as_str() {
        "" => Vec::new(),
        signal_id => queries::groups_handled(pool, Some(signal_id), 50).await?,
    };
    Ok(Some(Order::of(&detail, decision.as_ref(), &group, scope.keys.clone())))
}

/// What risk decided on an order; `None` when an operator placed it.
pub async fn decision_of(
    pool: &sqlx::PgPool,
    detail: &OrderDetail,
) -> Result<Option<DecisionRow>, QueryError> {
    if detail.order.signal_id.is_empty() {
        return Ok(None);
    }
    let filter =
        DecisionFilter { signal_id: Some(detail.order.signal_id.clone()), ..DecisionFilter::default() };
    let found = queries::risk_decisions(pool, &filter, None, 10).await?.rows;
    Ok(found.into_iter().find(|row| row.event_id == detail.order.decision_id))
}

impl Order {
    fn of(
        detail: &OrderDetail,
        decision: Option<&DecisionRow>,
        group: &[queries::GroupRow],
        keys: FormKeys,
    ) -> Self {
        let order = &detail.order;
        let cancel = !order.ended && !order.cancel_requested && order.status != "requested";
        let terms = order.limit_price.is_some() || order.stop_price.is_some() || order.notional.is_none();
        let replace = cancel && order.replacement.is_none() && terms;
        let newest = detail.history.last().map(|event| event.event_id.as_str());
        let known = newest.or(decision.map(|row| row.event_id.as_str()));
        Self {
            title: format!(
                "{} {} {} {}",
                order.side.to_uppercase(),
                quantity(order.quantity),
                order.symbol,
                kind(order)
            ),
            status: status(order),
            badge: badge(&order.status),
            reason: order.reason.clone(),
            facts: facts(order),
            decision: decision.map(Decision::of),
            history: detail.history.iter().rev().map(EventRow::of).collect(),
            fills: detail.fills.iter().rev().map(FillRow::of).collect(),
            chain: known.map(|id| Url::Chain(id).to_string()),
            chart: format!("{}#t={}", Url::Symbol(&order.symbol), order.approved_ns / 1_000_000_000),
            cancel: cancel.then(|| Url::OrderCancel(&order.order_id).to_string()),
            replace: replace.then(|| Url::OrderReplace(&order.order_id).to_string()),
            chain_of_terms: order.chain.iter().chain(&order.replacement).map(Revision::of).collect(),
            group: group.iter().map(GroupStep::of).collect(),
            keys,
        }
    }
}

fn fact(name: &'static str, value: impl Into<String>) -> Fact {
    Fact { name, value: Value::Text(value.into()) }
}

/// A fact that is a time; a dash where there is none.
fn moment(name: &'static str, ns: Option<i64>) -> Fact {
    match ns {
        Some(ns) => Fact { name, value: Value::Time(Instant(ns)) },
        None => fact(name, "–"),
    }
}

fn facts(order: &queries::OrderRow) -> Vec<Fact> {
    let dash = || "–".to_owned();
    let or_dash = |text: &str| if text.is_empty() { dash() } else { text.to_owned() };
    let mut facts = vec![
        fact("Account", order.account.clone()),
        fact("Strategy", order.strategy.clone()),
        fact("Time in force", order.time_in_force.replace('_', " ")),
        fact("Filled", format!("{} of {}", quantity(order.filled), quantity(order.quantity))),
        fact("Average price", order.average_price.map_or_else(dash, price)),
        fact("Fees", money(order.commission)),
        fact("Slippage per share", order.slippage.map_or_else(dash, price)),
        fact("Only reduces", if order.reducing { "yes" } else { "no" }),
        fact("Broker", or_dash(&order.broker)),
        fact("Client order id", or_dash(&order.client_order_id)),
        fact("Broker's order id", or_dash(&order.broker_order_id)),
        fact("Signal", or_dash(&order.signal_id)),
    ];
    if !order.group_id.is_empty() {
        facts.push(fact("Group", format!("{} {}", order.group_kind, order.group_id)));
    }
    if !order.parent_id.is_empty() {
        facts.push(fact("Works once this fills", order.parent_id.clone()));
    }
    if order.triggered_ns.is_some() {
        facts.push(moment("Stop reached", order.triggered_ns));
    }
    if !order.group_stage.is_empty() {
        facts.push(fact("Its group", format!("{}, policy {}", order.group_stage, order.group_policy)));
    }
    if order.revision > 0 {
        facts.push(fact("Terms replaced", format!("{} times", order.revision)));
    }
    if order.leg > 0 {
        facts.push(fact("Leg of the signal", order.leg.to_string()));
    }
    facts
}

impl Decision {
    fn of(row: &DecisionRow) -> Self {
        Self {
            verdict: row.verdict.clone(),
            badge: if row.verdict == "approved" { "badge-gain" } else { "badge-loss" },
            why: [row.rule.as_str(), row.reason.as_str()].join(" ").trim().to_owned(),
            seq: row.sequence,
            time: Instant(row.event_time_ns),
            legs: row.inputs.iter().map(inputs).collect(),
        }
    }
}

/// Every input of one leg.
fn inputs(input: &RiskInput) -> Vec<Fact> {
    let amount = |value: &Option<contracts::v1::Money>| {
        value.as_ref().map_or_else(|| "none".to_owned(), |value| money(Amount::from_wire(Some(value))))
    };
    let shares = |e9: i64| quantity(Quantity(e9));
    let known = input.price_e9 > 0;
    let made = input.price_time.as_ref().and_then(contracts::from_timestamp);
    let yes = |flag: bool| if flag { "yes" } else { "no" };
    let halt = input.symbol_halt.as_ref().map(|halt| format!("yes: {}", halt.detail));
    vec![
        fact("Symbol", input.symbol.clone()),
        fact("Price", if known { price(Price(input.price_e9)) } else { "none".to_owned() }),
        moment("Price made at", made),
        fact("Age of the price", duration_words(input.price_age_ms.saturating_mul(1_000_000))),
        fact("Strategy's position", shares(input.strategy_position_e9)),
        fact("Account's position", shares(input.account_position_e9)),
        fact("Strategy's open orders", shares(input.strategy_reserved_e9)),
        fact("Account's open orders", shares(input.account_reserved_e9)),
        fact("Equity", amount(&input.equity)),
        fact("Cash", amount(&input.cash)),
        fact("Gross exposure", amount(&input.gross_exposure)),
        fact("Exposure of open orders", amount(&input.reserved_exposure)),
        fact("P&L of the day", amount(&input.day_pnl)),
        fact("Version of the limits", input.limits_version.to_string()),
        fact(
            "Session takes orders",
            if input.session_unknown { "unknown" } else { yes(input.session_accepts) },
        ),
        fact("New exposure stopped", yes(input.halted)),
        fact("Margin call", yes(input.margin_called)),
        fact("Trading in the symbol halted", halt.unwrap_or_else(|| "no".to_owned())),
    ]
}

impl EventRow {
    fn of(event: &queries::OrderEventRow) -> Self {
        Self {
            seq: event.sequence,
            event_id: event.event_id.clone(),
            time: Instant(event.event_time_ns),
            kind: event.kind.replace('_', " "),
            status: event.status.replace('_', " "),
            detail: event.detail.clone(),
        }
    }

    fn chain(&self) -> String {
        Url::Chain(&self.event_id).to_string()
    }
}

impl FillRow {
    fn of(fill: &queries::FillRow) -> Self {
        Self {
            seq: fill.sequence,
            time: Instant(fill.event_time_ns),
            quantity: quantity(fill.quantity),
            price: price(fill.price),
            fee: money(fill.commission),
            slippage: price(fill.slippage),
            realized: signed_money(fill.realized_pnl),
            remaining: quantity(fill.remaining),
        }
    }
}

/// `POST /orders/{id}/cancel`: asks for the order to be cancelled; the broker's answer follows on the tape.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<CommandForm>,
) -> Result<Response, PageError> {
    let caller = caller(&app, &headers, &form)?;
    request_cancel(&app, &caller, &id, form.reason()).await?;
    Ok(done(&headers, &format!("Cancel of order {id} requested."), &Url::Order(&id).to_string()))
}

/// Asks for an order to be cancelled, once per order and key; the API asks the same way.
pub async fn request_cancel(app: &App, caller: &Caller, id: &str, reason: &str) -> Result<(), PageError> {
    let found = queries::order(&app.config.pool, id).await;
    let found = found.map_err(|error| PageError::ReadModel(error.to_string()))?;
    let order = found.ok_or_else(|| missing(id))?.order;
    // One key used for two orders is two commands.
    let caller = Caller { key: format!("{id}/{}", caller.key), actor: caller.actor.clone() };
    if order.ended {
        return Err(PageError::Conflict(format!("Order {id} is over already: {}.", order.status)));
    }
    if order.status == "requested" {
        return Err(PageError::Conflict(format!("Order {id} is only asked for: risk has not answered yet.")));
    }
    // The aggregate is named by these; the rest of the terms stay where they are, on the tape.
    let spec = OrderSpec {
        order_id: order.order_id,
        account: order.account,
        strategy: order.strategy,
        symbol: order.symbol,
        leg: u32::try_from(order.leg).unwrap_or_default(),
        ..OrderSpec::default()
    };
    command::cancel_order(&app.context.tape, &caller, &spec, reason).await.map_err(tape)
}
