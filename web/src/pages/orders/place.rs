//! Orders by hand: the form that places one, the form that replaces terms. Both only ask; risk answers.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use contracts::v1::Side;
use domain::money::{E9, MalformedNumber, Price, Quantity};
use projections::queries;
use runtime::command::{self, Asked, Caller, NewOrder, NewTerms, OrderError};

use super::missing;
use crate::action::{appended, caller_of, done};
use crate::app::App;
use crate::error::PageError;
use crate::pages::chart::symbol;
use crate::url::Url;

/// An order as a form or a request asks for it.
#[derive(Clone, Debug)]
pub struct Asking {
    /// Account; empty for the only one.
    pub account: String,
    /// Symbol, in the form of the tape.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: String,
    /// Type.
    pub order_type: String,
    /// How long it works.
    pub time_in_force: String,
    /// Shares.
    pub quantity: Option<Quantity>,
    /// Amount instead of shares.
    pub notional: Option<Price>,
    /// Limit price.
    pub limit: Option<Price>,
    /// Stop price.
    pub stop: Option<Price>,
    /// Distance of a trailing stop.
    pub trail: Option<Price>,
    /// The same as a share of the price.
    pub trail_rate: Option<Price>,
    /// Exit that takes the profit.
    pub take_profit: Option<Price>,
    /// Exit that stops the loss.
    pub stop_loss: Option<Price>,
    /// Outside of the regular session too.
    pub extended_hours: bool,
    /// For the audit.
    pub reason: String,
}

/// New terms of an order.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Shares of the whole order.
    pub quantity: Option<Quantity>,
    /// Limit price.
    pub limit: Option<Price>,
    /// Stop price.
    pub stop: Option<Price>,
    /// For the audit.
    pub reason: String,
}

/// Fields of the form that places an order.
#[derive(Debug, Default, serde::Deserialize)]
pub struct PlaceForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    account: String,
    #[serde(default)]
    symbol: String,
    #[serde(default)]
    side: String,
    #[serde(default)]
    quantity: String,
    #[serde(default)]
    notional: String,
    #[serde(default, rename = "type")]
    order_type: String,
    #[serde(default)]
    tif: String,
    #[serde(default)]
    limit: String,
    #[serde(default)]
    stop: String,
    #[serde(default)]
    trail: String,
    #[serde(default)]
    take_profit: String,
    #[serde(default)]
    stop_loss: String,
    #[serde(default)]
    extended_hours: String,
    #[serde(default)]
    reason: String,
}

/// Fields of the form that replaces terms.
#[derive(Debug, Default, serde::Deserialize)]
pub struct ReplaceForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    quantity: String,
    #[serde(default)]
    limit: String,
    #[serde(default)]
    stop: String,
    #[serde(default)]
    reason: String,
}

/// `POST /orders`: asks for an order.
pub async fn place(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(form): Form<PlaceForm>,
) -> Result<Response, PageError> {
    let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(&form.csrf);
    let caller = caller_of(&app, &headers, token, &form.key)?;
    let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
    let (trail, trail_rate) = trail(&form.trail)?;
    let asking = Asking {
        account: form.account.clone(),
        symbol: symbol(&form.symbol)?,
        side: form.side.clone(),
        order_type: or(&form.order_type, "market"),
        time_in_force: or(&form.tif, "day"),
        quantity: shares(&form.quantity)?,
        notional: price("notional", &form.notional)?,
        limit: price("limit", &form.limit)?,
        stop: price("stop", &form.stop)?,
        trail,
        trail_rate,
        take_profit: price("take_profit", &form.take_profit)?,
        stop_loss: price("stop_loss", &form.stop_loss)?,
        extended_hours: !form.extended_hours.is_empty(),
        reason: or(form.reason.trim(), "from the dashboard"),
    };
    let words = format!("{} {}", asking.side, asking.symbol);
    let asked = ask_new(&app, &caller, asking).await?;
    let notice = format!("Order {} asked for: {words}. Risk answers next.", asked.order_id);
    Ok(done(&headers, &notice, &Url::Orders.to_string()))
}

/// `POST /orders/{id}/replace`: asks for new terms.
pub async fn replace(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Form(form): Form<ReplaceForm>,
) -> Result<Response, PageError> {
    let token = headers.get("x-csrf-token").and_then(|token| token.to_str().ok()).unwrap_or(&form.csrf);
    let caller = caller_of(&app, &headers, token, &form.key)?;
    let terms = Terms {
        quantity: shares(&form.quantity)?,
        limit: price("limit", &form.limit)?,
        stop: price("stop", &form.stop)?,
        reason: if form.reason.trim().is_empty() {
            "from the dashboard".to_owned()
        } else {
            form.reason.clone()
        },
    };
    let caller = Caller { key: format!("{id}/{}", caller.key), ..caller };
    ask_terms(&app, &caller, &id, terms).await?;
    let back = Url::Order(&id).to_string();
    Ok(done(&headers, &format!("New terms of order {id} asked for. Risk answers next."), &back))
}

/// Asks for an order; the API asks the same way.
pub async fn ask_new(app: &App, caller: &Caller, asking: Asking) -> Result<Asked, PageError> {
    let (side, order_type, time_in_force) =
        command::order_words(&asking.side, &asking.order_type, &asking.time_in_force).map_err(failed)?;
    let order = NewOrder {
        account: account(app, &asking.account).await?,
        symbol: asking.symbol,
        side,
        order_type,
        time_in_force,
        quantity_e9: asking.quantity.map(|shares| shares.0),
        notional_e9: asking.notional.map(|amount| amount.0),
        limit_price_e9: asking.limit.map(|price| price.0),
        stop_price_e9: asking.stop.map(|price| price.0),
        trail_price_e9: asking.trail.map(|price| price.0),
        trail_rate_e9: asking.trail_rate.map(|rate| rate.0),
        take_profit_price_e9: asking.take_profit.map(|price| price.0),
        stop_loss_price_e9: asking.stop_loss.map(|price| price.0),
        extended_hours: asking.extended_hours,
        reason: asking.reason,
    };
    command::place_order(&app.context.tape, caller, app.context.clock, &order).await.map_err(failed)
}

/// Asks for new terms of an open order; the API asks the same way.
pub async fn ask_terms(app: &App, caller: &Caller, id: &str, terms: Terms) -> Result<Asked, PageError> {
    let found = queries::order(&app.config.pool, id).await;
    let found = found.map_err(|error| PageError::ReadModel(error.to_string()))?;
    let order = found.ok_or_else(|| missing(id))?.order;
    if order.ended || order.status == "requested" {
        let state = order.status.replace('_', " ");
        return Err(PageError::Conflict(format!("Order {id} has no terms to replace: it is {state}.")));
    }
    if terms.quantity.is_none() && terms.limit.is_none() && terms.stop.is_none() {
        return Err(PageError::field("quantity", "", "a quantity, a limit or a stop price that changes"));
    }
    let terms = NewTerms {
        order_id: order.order_id,
        account: order.account,
        symbol: order.symbol,
        side: if order.side == "sell" { Side::Sell } else { Side::Buy },
        quantity_e9: terms.quantity.map(|shares| shares.0),
        limit_price_e9: terms.limit.map(|price| price.0),
        stop_price_e9: terms.stop.map(|price| price.0),
        reason: terms.reason,
    };
    command::replace_order(&app.context.tape, caller, app.context.clock, &terms).await.map_err(failed)
}

async fn account(app: &App, stated: &str) -> Result<String, PageError> {
    let rows = queries::accounts(&app.config.pool).await;
    let rows = rows.map_err(|error| PageError::ReadModel(error.to_string()))?;
    let known: Vec<_> = rows.into_iter().map(|row| row.account).collect();
    match (stated, known.as_slice()) {
        ("", [only]) => Ok(only.clone()),
        (stated, _) if known.iter().any(|known| known == stated) => Ok(stated.to_owned()),
        (stated, _) => Err(PageError::field("account", stated, format!("one of {}", known.join(", ")))),
    }
}

fn price(name: &'static str, text: &str) -> Result<Option<Price>, PageError> {
    if text.trim().is_empty() { Ok(None) } else { a_price(name, text.trim()).map(Some) }
}

/// Distance of a trailing stop as it is typed: a price, or a share of the price in percent.
fn trail(text: &str) -> Result<(Option<Price>, Option<Price>), PageError> {
    let wrong =
        || PageError::field("trail", text, "a price like 1.50 or a share of the price like 2%, below 100%");
    let Some(percent) = text.trim().strip_suffix('%') else {
        return price("trail", text).map_err(|_| wrong()).map(|by| (by, None));
    };
    let percent = percent.trim().parse::<Price>().ok().filter(|percent| percent.0 % 100 == 0);
    let rate = percent.map(|percent| Price(percent.0 / 100));
    let rate = rate.filter(|rate| rate.0 > 0 && rate.0 < E9).ok_or_else(wrong)?;
    Ok((None, Some(rate)))
}

fn shares(text: &str) -> Result<Option<Quantity>, PageError> {
    if text.trim().is_empty() { Ok(None) } else { some_shares(text.trim()).map(Some) }
}

/// Reads a price, an amount or a rate.
pub fn a_price(name: &'static str, text: &str) -> Result<Price, PageError> {
    let read = text.parse::<Price>().map(|price| price.0);
    positive(name, text, read, "a positive decimal, for example 189.50").map(Price)
}

/// Reads a number of shares.
pub fn some_shares(text: &str) -> Result<Quantity, PageError> {
    let read = text.parse::<Quantity>().map(|shares| shares.0);
    positive("quantity", text, read, "a positive number of shares").map(Quantity)
}

/// A number in 1e-9 that is above 0; an error says what else is wrong with its text, and how large it can be.
fn positive(
    name: &'static str,
    text: &str,
    read: Result<i64, MalformedNumber>,
    expected: &str,
) -> Result<i64, PageError> {
    let problem = match read {
        Ok(number) if number > 0 => return Ok(number),
        Ok(_) => "not above 0",
        Err(malformed) => malformed.problem,
    };
    let most = Price(i64::MAX);
    Err(PageError::field(name, text, format!("{expected}, at most {most} ({problem})")))
}

fn failed(error: OrderError) -> PageError {
    match error {
        OrderError::Invalid { field, value, expected } => PageError::field(field, &value, expected),
        OrderError::NoMark(_) => PageError::Conflict(error.to_string()),
        OrderError::Append(error) => appended(error),
        OrderError::Log(error) => PageError::Unread(error.to_string()),
    }
}
