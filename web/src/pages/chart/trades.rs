//! What was traded: fills of the symbol, its positions and open orders.

use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, Query, State};
use projections::queries::{
    self, Cursor, FillFilter, FillRow as Fill, LIMIT_MAX, OrderFilter, OrderRow, PositionRow, QueryError,
    Turn,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{FIELDS, FILLS, Fields, LINES, symbol};
use crate::app::App;
use crate::error::PageError;
use crate::pages::table::{Pager, ROWS_MAX, turn};
use crate::pages::{Body, Params, Rendering, Scope, Shown};
use crate::url::Url;
use crate::view::{Instant, Signed, price, quantity, signed_money};

/// Fills of one part of the list beside the chart.
const ROWS: u32 = 15;
/// Open orders that are drawn.
const ORDERS_MAX: u32 = 50;
/// Most fills of one answer of the markers.
const MARKERS_MAX: usize = 5_000;

/// A line at a price.
#[derive(Clone, Debug)]
struct Line {
    /// `entry`, `limit` or `stop`.
    kind: &'static str,
    /// What it is of, in words.
    title: String,
    price: String,
    /// The same for the script, which draws.
    value: f64,
    url: String,
}

#[derive(Clone, Debug)]
struct Lines {
    lines: Vec<Line>,
    /// The same for the script.
    drawn: String,
    /// Sequence of the newest fill: another one says that there are fills to mark; 0 before the first.
    fill: u64,
}

#[derive(Template)]
#[template(path = "chart/lines.html")]
struct LinesPanel {
    v: u64,
    body: Body<Lines>,
}

#[derive(Clone, Debug)]
struct FillRow {
    seq: u64,
    seconds: i64,
    time: Instant,
    what: String,
    order_url: String,
    price: String,
    realized: Signed,
}

#[derive(Clone, Debug)]
struct Fills {
    rows: Vec<FillRow>,
    pager: Pager,
}

#[derive(Template)]
#[template(path = "chart/fills.html")]
struct FillsPanel<'a> {
    v: u64,
    symbol: &'a str,
    body: Body<Fills>,
}

/// Renders positions and open orders.
pub async fn lines(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &LINES, read_lines(scope)).await;
    LinesPanel { v: scope.version, body }.render()
}

async fn read_lines(scope: &Scope<'_>) -> Result<Option<Lines>, QueryError> {
    let pool = &scope.app.config.pool;
    let (symbol, account) = (scope.symbol.to_owned(), scope.params.owned("account"));
    let positions = queries::positions(pool, account.as_deref(), false).await?;
    let open = OrderFilter {
        account: account.clone(),
        symbol: Some(symbol.clone()),
        open: Some(true),
        ..OrderFilter::default()
    };
    let orders = queries::list_orders(pool, &open, Turn::Newest, ORDERS_MAX).await?.rows;
    let of_symbol = FillFilter { account, symbol: Some(symbol), ..FillFilter::default() };
    let newest = queries::list_fills(pool, &of_symbol, Turn::Newest, 1).await?.rows;
    let held = positions.iter().filter(|position| position.symbol == scope.symbol);
    let lines: Vec<Line> = held.filter_map(entry).chain(orders.iter().flat_map(order)).collect();
    let drawn: Vec<Value> = lines
        .iter()
        .map(|line| json!({ "kind": line.kind, "price": line.value, "title": line.title }))
        .collect();
    let fill = newest.first().map_or(0, |fill| fill.sequence);
    Ok((!lines.is_empty() || fill > 0).then(|| Lines { lines, drawn: json!(drawn).to_string(), fill }))
}

fn entry(position: &PositionRow) -> Option<Line> {
    let average = position.average_cost?;
    Some(Line {
        kind: "entry",
        title: format!("{} {}", position.strategy, quantity(position.quantity)),
        price: price(average),
        value: average.to_f64(),
        url: Params::from([("account", position.account.as_str())]).link("/positions"),
    })
}

/// A line per price that an order states.
fn order(order: &OrderRow) -> Vec<Line> {
    let left = domain::money::Quantity(order.quantity.0.saturating_sub(order.filled.0));
    let stated = [("limit", order.limit_price), ("stop", order.stop_price)];
    let line = |(name, stated): (&'static str, Option<domain::money::Price>)| {
        let stated = stated?;
        Some(Line {
            kind: name,
            title: format!("{} {} {}", order.strategy, order.side.to_uppercase(), quantity(left)),
            price: price(stated),
            value: stated.to_f64(),
            url: Url::Order(&order.order_id).to_string(),
        })
    };
    stated.into_iter().filter_map(line).collect()
}

/// Renders the fills.
pub async fn fills(scope: &Scope<'_>) -> Rendering {
    let body = Body::read(scope, &FILLS, read_fills(scope)).await;
    FillsPanel { v: scope.version, symbol: scope.symbol, body }.render()
}

async fn read_fills(scope: &Scope<'_>) -> Result<Option<Fills>, PageError> {
    let params = scope.params;
    let filter = FillFilter {
        account: params.owned("account"),
        symbol: Some(scope.symbol.to_owned()),
        ..FillFilter::default()
    };
    let limit = params.number("limit", ROWS, ROWS_MAX)?;
    let part = queries::list_fills(&scope.app.config.pool, &filter, turn(params)?, limit).await?;
    let text = |cursor: Option<Cursor>| cursor.map(|cursor| cursor.to_string());
    let path = Url::Symbol(scope.symbol).to_string();
    let pager = Pager::of(&path, &params.without(&["symbol"]), text(part.newer), text(part.older));
    let nothing = part.rows.is_empty() && !pager.is_shown();
    Ok((!nothing).then(|| Fills { rows: part.rows.iter().map(FillRow::of).collect(), pager }))
}

impl FillRow {
    fn of(fill: &Fill) -> Self {
        Self {
            seq: fill.sequence,
            seconds: fill.event_time_ns / 1_000_000_000,
            time: Instant(fill.event_time_ns),
            what: format!("{} {}", fill.side.to_uppercase(), quantity(fill.quantity)),
            order_url: Url::Order(&fill.order_id).to_string(),
            price: price(fill.price),
            realized: signed_money(fill.realized_pnl),
        }
    }
}

/// Fills as marks of a chart.
#[derive(Debug, Serialize)]
pub struct Markers {
    /// Oldest first.
    fills: Vec<Marker>,
    /// Whether there are older ones in the range: an answer holds at most 5,000.
    more: bool,
}

#[derive(Debug, Serialize)]
struct Marker {
    seq: u64,
    /// Unix seconds.
    time: i64,
    side: String,
    quantity: String,
    price: String,
}

/// `GET /chart/{symbol}/fills.json`: fields `account`, `from`, `to`; the newest fills of the range.
pub async fn markers(
    State(app): State<Arc<App>>,
    Path(text): Path<String>,
    Query(params): Query<Params>,
) -> Result<Json<Markers>, PageError> {
    params.only(&["account", "from", "to"])?;
    let fields = Fields::of(&params.without(&FIELDS))?;
    let filter = FillFilter {
        account: params.owned("account"),
        symbol: Some(symbol(&text)?),
        from_ns: Some(fields.from_ns),
        to_ns: Some(fields.to_ns),
        ..FillFilter::default()
    };
    let (mut fills, mut turn) = (Vec::new(), Turn::Newest);
    let more = loop {
        let part = queries::list_fills(&app.config.pool, &filter, turn, LIMIT_MAX).await?;
        fills.extend(part.rows.iter().map(Marker::of));
        match part.older {
            Some(older) if fills.len() < MARKERS_MAX => turn = Turn::Before(older),
            older => break older.is_some(),
        }
    };
    fills.reverse();
    Ok(Json(Markers { fills, more }))
}

impl Marker {
    fn of(fill: &Fill) -> Self {
        Self {
            seq: fill.sequence,
            time: fill.event_time_ns / 1_000_000_000,
            side: fill.side.clone(),
            quantity: fill.quantity.to_string(),
            price: fill.price.to_string(),
        }
    }
}
