//! What just happened: orders and denials, fills, events.

use askama::Template;
use projections::queries::{
    self, DecisionFilter, DecisionRow, FillFilter, FillRow as Fill, OrderFilter, OrderRow as Order,
    QueryError,
};

use crate::pages::{Body, Rendering, Scope, Shown};
use crate::url::Url;
use crate::view::{Instant, Signed, money, price, quantity, signed_money};

/// An order, or a decision that made none.
#[derive(Clone, Debug)]
struct OrderRow {
    id: String,
    /// The order, or the chain of the decision.
    url: String,
    /// Sequence of the decision, and of the last change.
    first: u64,
    seq: u64,
    reducing: bool,
    time: Instant,
    symbol: String,
    /// `BUY 120 at market`
    what: String,
    filled: String,
    status: String,
    badge: &'static str,
    reason: String,
    strategy: String,
}

#[derive(Template)]
#[template(path = "overview/orders.html")]
struct OrdersPanel {
    v: u64,
    body: Body<Vec<OrderRow>>,
}

#[derive(Clone, Debug)]
struct FillRow {
    seq: u64,
    /// The order that it filled.
    url: String,
    /// When it came onto the tape, in UTC; empty when unknown.
    recorded: String,
    time: Instant,
    symbol: String,
    what: String,
    strategy: String,
    price: String,
    fee: String,
    realized: Signed,
}

#[derive(Template)]
#[template(path = "overview/fills.html")]
struct FillsPanel {
    v: u64,
    body: Body<Vec<FillRow>>,
}

#[derive(Clone, Debug)]
struct EventRow {
    seq: u64,
    url: String,
    kind: String,
    summary: String,
    time: Instant,
}

#[derive(Template)]
#[template(path = "overview/events.html")]
struct EventsPanel {
    v: u64,
    body: Body<Vec<EventRow>>,
}

const ROWS: u32 = 10;
/// Orders and denials have room of their own: whichever is rarer is not swept away by the other.
const ORDERS: u32 = 8;
const DENIALS: u32 = 3;

/// Recent orders and denials.
pub async fn orders(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::ORDERS, read_orders(scope)).await;
    OrdersPanel { v: scope.version, body }.render()
}

async fn read_orders(scope: &Scope<'_>) -> Result<Option<Vec<OrderRow>>, QueryError> {
    let pool = &scope.app.config.pool;
    let account = Some(scope.account.to_owned());
    let filter = OrderFilter { account: account.clone(), ..OrderFilter::default() };
    let decided = |verdict: &str| DecisionFilter {
        account: account.clone(),
        verdict: Some(verdict.to_owned()),
        ..DecisionFilter::default()
    };
    let (denied, shadowed) = (decided("denied"), decided("shadowed"));
    let (orders, denied, shadowed) = tokio::try_join!(
        queries::orders(pool, &filter, None, ORDERS),
        queries::risk_decisions(pool, &denied, None, DENIALS),
        queries::risk_decisions(pool, &shadowed, None, DENIALS),
    )?;
    let mut rows: Vec<OrderRow> = orders.rows.iter().map(OrderRow::of_order).collect();
    rows.extend(denied.rows.iter().chain(&shadowed.rows).map(OrderRow::of_decision));
    rows.sort_by_key(|row| std::cmp::Reverse(row.first));
    Ok((!rows.is_empty()).then_some(rows))
}

impl OrderRow {
    fn of_order(order: &Order) -> Self {
        Self {
            id: format!("order-{}", order.order_id),
            url: Url::Order(&order.order_id).to_string(),
            first: order.first_sequence,
            seq: order.sequence,
            reducing: order.reducing,
            time: Instant(order.updated_ns),
            symbol: order.symbol.clone(),
            what: terms(order),
            filled: quantity(order.filled),
            status: order.status.replace('_', " "),
            badge: badge(&order.status),
            reason: order.reason.clone(),
            strategy: order.strategy.clone(),
        }
    }

    /// A decision that made no order.
    fn of_decision(decision: &DecisionRow) -> Self {
        let reason = match (decision.rule.as_str(), decision.reason.as_str()) {
            ("", reason) => reason.to_owned(),
            (rule, "") => rule.to_owned(),
            (rule, reason) => format!("{rule}: {reason}"),
        };
        Self {
            id: format!("decision-{}", decision.sequence),
            url: Url::Chain(&decision.event_id).to_string(),
            first: decision.sequence,
            seq: decision.sequence,
            reducing: false,
            time: Instant(decision.event_time_ns),
            symbol: decision.symbol.clone(),
            what: "no order".to_owned(),
            filled: "–".to_owned(),
            status: decision.verdict.clone(),
            badge: badge(&decision.verdict),
            reason,
            strategy: decision.strategy.clone(),
        }
    }
}

/// An order's terms in words: `BUY 120 market`.
fn terms(order: &Order) -> String {
    let limit = order.limit_price.map(|limit| format!(" {}", price(limit))).unwrap_or_default();
    let kind = order.order_type.replace('_', " ");
    format!("{} {} {kind}{limit}", order.side.to_uppercase(), quantity(order.quantity))
}

fn badge(status: &str) -> &'static str {
    match status {
        "filled" => "badge-gain",
        "denied" | "rejected" => "badge-loss",
        "approved" | "submitted" | "accepted" | "partially_filled" => "badge-accent",
        "suspended" => "badge-warn",
        _ => "badge-flat",
    }
}

/// Recent fills.
pub async fn fills(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::FILLS, read_fills(scope)).await;
    FillsPanel { v: scope.version, body }.render()
}

async fn read_fills(scope: &Scope<'_>) -> Result<Option<Vec<FillRow>>, QueryError> {
    let filter = FillFilter { account: Some(scope.account.to_owned()), ..FillFilter::default() };
    let fills = queries::fills(&scope.app.config.pool, &filter, None, ROWS).await?.rows;
    Ok((!fills.is_empty()).then(|| fills.iter().map(FillRow::of).collect()))
}

impl FillRow {
    fn of(fill: &Fill) -> Self {
        Self {
            seq: fill.sequence,
            url: Url::Order(&fill.order_id).to_string(),
            recorded: fill.recorded_time_ns.map(|time| Instant(time).iso()).unwrap_or_default(),
            time: Instant(fill.event_time_ns),
            symbol: fill.symbol.clone(),
            what: format!("{} {}", fill.side.to_uppercase(), quantity(fill.quantity)),
            strategy: fill.strategy.clone(),
            price: price(fill.price),
            fee: money(fill.commission),
            realized: signed_money(fill.realized_pnl),
        }
    }
}

/// The last ten events of TRADING.
pub async fn events(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &super::EVENTS, read_events(scope)).await;
    EventsPanel { v: scope.version, body }.render()
}

async fn read_events(scope: &Scope<'_>) -> Result<Option<Vec<EventRow>>, QueryError> {
    let events = queries::last_events(&scope.app.config.pool, ROWS).await?;
    Ok((!events.is_empty()).then(|| events.into_iter().map(EventRow::of).collect()))
}

impl EventRow {
    fn of(event: queries::EventRow) -> Self {
        Self {
            seq: event.sequence,
            url: Url::Event(contracts::stream::TRADING, event.sequence).to_string(),
            kind: event.kind.replace('_', " "),
            summary: event.summary,
            time: Instant(event.event_time_ns),
        }
    }
}
