//! An order as a client writes it, and everything that can be wrong with it by itself.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::order::{Class, Kind, Side, TimeInForce};
use crate::calendar;
use crate::decimal::Decimal;
use crate::market::Listing;

/// Characters of a client order id.
const CLIENT_ORDER_ID_MAX: usize = 128;

/// A request that is refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// The vendor's code.
    pub code: i64,
    /// In words.
    pub message: String,
    /// Further fields.
    pub extras: Map<String, Value>,
}

impl Refusal {
    /// 422 with 40010001: the request is wrong.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { status: 422, code: 40_010_001, message: message.into(), extras: Map::new() }
    }

    /// 422 with 42210000: this cannot be done.
    #[must_use]
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self { status: 422, code: 42_210_000, message: message.into(), extras: Map::new() }
    }

    /// 404 with 40410000.
    #[must_use]
    pub fn missing(message: impl Into<String>) -> Self {
        Self { status: 404, code: 40_410_000, message: message.into(), extras: Map::new() }
    }

    /// 403 with 40310000: not allowed to this account, with what it lacks.
    #[must_use]
    pub fn forbidden(message: impl Into<String>, extras: &Value) -> Self {
        let extras = extras.as_object().cloned().unwrap_or_default();
        Self { status: 403, code: 40_310_000, message: message.into(), extras }
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = self.extras.clone();
        body.insert("code".into(), self.code.into());
        body.insert("message".into(), self.message.clone().into());
        Value::Object(body)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, axum::Json(self.body())).into_response()
    }
}

/// An order as it is asked for, in the vendor's names.
#[derive(Clone, Debug)]
pub struct Ticket {
    pub symbol: String,
    pub side: Side,
    pub kind: Kind,
    pub time_in_force: TimeInForce,
    pub class: Class,
    pub quantity: Option<Decimal>,
    pub notional: Option<Decimal>,
    pub limit_price: Option<Decimal>,
    pub stop_price: Option<Decimal>,
    pub trail_price: Option<Decimal>,
    pub trail_percent: Option<Decimal>,
    pub extended_hours: bool,
    pub client_order_id: Option<String>,
    /// The limit of the exit with a gain.
    pub take_profit: Option<Decimal>,
    /// The stop of the exit with a loss, and its limit.
    pub stop_loss: Option<(Decimal, Option<Decimal>)>,
}

/// A number that may be written as a string; absent when `null`.
fn number(body: &Value, name: &str) -> Result<Option<Decimal>, Refusal> {
    match &body[name] {
        Value::Null => Ok(None),
        value => match Decimal::from_json(value) {
            Some(number) => Ok(Some(number)),
            None => Err(Refusal::invalid(format!("invalid {name}: {value}"))),
        },
    }
}

/// A word of a closed list.
fn word<T: serde::de::DeserializeOwned>(body: &Value, name: &str) -> Result<Option<T>, Refusal> {
    match &body[name] {
        Value::Null => Ok(None),
        value => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|_| Refusal::invalid(format!("invalid {name}: {value}"))),
    }
}

fn required<T>(value: Option<T>, name: &str) -> Result<T, Refusal> {
    value.ok_or_else(|| Refusal::invalid(format!("{name} is required")))
}

impl Ticket {
    /// Reads an order.
    ///
    /// # Errors
    /// When something is missing or no value of its kind.
    pub fn read(body: &Value) -> Result<Self, Refusal> {
        let class: Class = word(body, "order_class")?.unwrap_or_default();
        let stop = number(&body["stop_loss"], "stop_price")?;
        if class == Class::Oco && body["type"].is_null() {
            return Err(Refusal::invalid("oco orders must be limit orders"));
        }
        let text = |name: &str| body[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self {
            symbol: required(text("symbol"), "symbol")?,
            side: required(word(body, "side")?, "side")?,
            kind: required(word(body, "type")?, "type")?,
            time_in_force: required(word(body, "time_in_force")?, "time_in_force")?,
            class,
            quantity: number(body, "qty")?,
            notional: number(body, "notional")?,
            limit_price: number(body, "limit_price")?,
            stop_price: number(body, "stop_price")?,
            trail_price: number(body, "trail_price")?,
            trail_percent: number(body, "trail_percent")?,
            extended_hours: body["extended_hours"].as_bool().unwrap_or_default(),
            client_order_id: text("client_order_id"),
            take_profit: number(&body["take_profit"], "limit_price")?,
            stop_loss: match stop {
                Some(stop) => Some((stop, number(&body["stop_loss"], "limit_price")?)),
                None => None,
            },
        })
    }

    /// Whether it is for a part of a share, or for a sum.
    #[must_use]
    pub fn is_fractional(&self) -> bool {
        self.notional.is_some() || self.quantity.is_some_and(|quantity| !quantity.is_whole())
    }

    /// The price that its exits are measured against.
    fn base_price(&self, market_price: Decimal) -> Decimal {
        self.limit_price.or(self.stop_price).unwrap_or(market_price)
    }

    /// Checks what needs no account.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, listing: &Listing, now_ns: i64, market_price: Decimal) -> Result<(), Refusal> {
        self.check_size()?;
        self.check_prices()?;
        if self.client_order_id.as_ref().is_some_and(|id| id.len() > CLIENT_ORDER_ID_MAX) {
            return Err(Refusal::invalid("client_order_id must be no more than 128 characters"));
        }
        if !listing.tradable {
            return Err(Refusal::unprocessable(format!("asset {} is not tradable", self.symbol)));
        }
        if self.is_fractional() {
            self.check_fraction(listing)?;
        }
        if self.extended_hours
            && !(self.kind == Kind::Limit
                && matches!(self.time_in_force, TimeInForce::Day | TimeInForce::Gtc))
        {
            return Err(Refusal::unprocessable("extended hours order must be DAY or GTC limit orders"));
        }
        self.check_auction(now_ns)?;
        self.check_class(market_price)
    }

    fn check_size(&self) -> Result<(), Refusal> {
        match (self.quantity, self.notional) {
            (None, None) => Err(Refusal::invalid("qty or notional is required")),
            (Some(_), Some(_)) => Err(Refusal::invalid("only one of qty or notional is accepted")),
            (Some(size), _) | (_, Some(size)) if size <= Decimal::ZERO => {
                let name = if self.quantity.is_some() { "qty" } else { "notional" };
                Err(Refusal::invalid(format!("{name} must be > 0")))
            }
            (_, Some(sum)) if sum < Decimal::ONE => {
                Err(Refusal::unprocessable("cost basis must be >= minimal amount of order 1"))
            }
            _ => Ok(()),
        }
    }

    fn check_prices(&self) -> Result<(), Refusal> {
        let limited = matches!(self.kind, Kind::Limit | Kind::StopLimit);
        let stopped = matches!(self.kind, Kind::Stop | Kind::StopLimit);
        // The limit of the other exit may stand for an OCO's own.
        let own_limit = self.limit_price.is_some() || self.class == Class::Oco;
        if limited && !own_limit {
            return Err(Refusal::invalid(format!("{} orders require limit price", spoken(self.kind))));
        }
        if stopped && self.stop_price.is_none() {
            return Err(Refusal::invalid(format!("{} orders require stop price", spoken(self.kind))));
        }
        if self.kind == Kind::Market && (self.limit_price.is_some() || self.stop_price.is_some()) {
            return Err(Refusal::invalid("market orders require no stop or limit price"));
        }
        let trails = [self.trail_price, self.trail_percent].iter().flatten().count();
        if self.kind == Kind::TrailingStop && trails != 1 {
            return Err(Refusal::invalid(
                "trailing stop orders must specify one of trail_price or trail_percent",
            ));
        }
        let tenth = Decimal::parse("0.1").unwrap_or_default();
        if self.trail_percent.is_some_and(|percent| percent < tenth) {
            return Err(Refusal::invalid("trail_percent must be >= 0.1"));
        }
        let exits =
            [self.take_profit, self.stop_loss.map(|(stop, _)| stop), self.stop_loss.and_then(|(_, l)| l)];
        for (name, price) in [("limit_price", self.limit_price), ("stop_price", self.stop_price)]
            .into_iter()
            .chain(exits.map(|price| ("exit price", price)))
        {
            check_tick(name, price)?;
        }
        Ok(())
    }

    fn check_fraction(&self, listing: &Listing) -> Result<(), Refusal> {
        if !listing.fractionable {
            let message = format!("asset \"{}\" is not fractionable", self.symbol);
            return Err(Refusal::forbidden(message, &json!({})));
        }
        if self.time_in_force != TimeInForce::Day {
            return Err(Refusal::unprocessable("fractional orders must be DAY orders"));
        }
        if self.class != Class::Simple {
            return Err(Refusal::unprocessable("fractional orders must be simple orders"));
        }
        Ok(())
    }

    /// Orders for an auction come in time for it.
    fn check_auction(&self, now_ns: i64) -> Result<(), Refusal> {
        let local = calendar::new_york(now_ns).time();
        let minute = chrono::Timelike::hour(&local) * 60 + chrono::Timelike::minute(&local);
        let market_day = calendar::session(calendar::date_of(now_ns)).is_some();
        let closed = |from: u32| market_day && (from..19 * 60).contains(&minute);
        match self.time_in_force {
            TimeInForce::Opg if closed(9 * 60 + 28) => {
                Err(Refusal::unprocessable("opg orders are not accepted between 9:28am and 7:00pm ET"))
            }
            TimeInForce::Cls if closed(15 * 60 + 50) => {
                Err(Refusal::unprocessable("cls orders are not accepted between 3:50pm and 7:00pm ET"))
            }
            _ => Ok(()),
        }
    }

    fn check_class(&self, market_price: Decimal) -> Result<(), Refusal> {
        if self.class == Class::Simple {
            return Ok(());
        }
        if !matches!(self.time_in_force, TimeInForce::Day | TimeInForce::Gtc) || self.extended_hours {
            return Err(Refusal::unprocessable("complex orders must be DAY or GTC orders in regular hours"));
        }
        let both = self.take_profit.is_some() && self.stop_loss.is_some();
        match self.class {
            Class::Bracket if self.take_profit.is_none() => {
                return Err(Refusal::invalid("bracket orders require take_profit.limit_price"));
            }
            Class::Bracket if !both => {
                return Err(Refusal::invalid("bracket orders require stop_loss.stop_price"));
            }
            Class::Oco if self.kind != Kind::Limit => {
                return Err(Refusal::invalid("oco orders must be limit orders"));
            }
            Class::Oco if self.stop_loss.is_none() => {
                return Err(Refusal::invalid("oco orders require stop_loss.stop_price"));
            }
            Class::Oto if both || (self.take_profit.is_none() && self.stop_loss.is_none()) => {
                return Err(Refusal::invalid("oto orders require either take_profit or stop_loss"));
            }
            _ => {}
        }
        let cent = Decimal::ten_thousandths(100);
        let base = if self.class == Class::Oco {
            self.limit_price.or(self.take_profit).unwrap_or(market_price)
        } else {
            self.base_price(market_price)
        };
        // An OCO's own side is that of the exit.
        let long = (self.side == Side::Buy) != (self.class == Class::Oco);
        if let Some((stop, _)) = self.stop_loss
            && (if long { stop > base - cent } else { stop < base + cent })
        {
            let sign = if long { "<= base_price - 0.01" } else { ">= base_price + 0.01" };
            return Err(Refusal::unprocessable(format!("stop_loss.stop_price must be {sign}")));
        }
        if let Some(limit) = self.take_profit
            && self.class != Class::Oco
            && (if long { limit < base + cent } else { limit > base - cent })
        {
            let sign = if long { ">= base_price + 0.01" } else { "<= base_price - 0.01" };
            return Err(Refusal::unprocessable(format!("take_profit.limit_price must be {sign}")));
        }
        Ok(())
    }
}

const fn spoken(kind: Kind) -> &'static str {
    match kind {
        Kind::Market => "market",
        Kind::Limit => "limit",
        Kind::Stop => "stop",
        Kind::StopLimit => "stop limit",
        Kind::TrailingStop => "trailing stop",
    }
}

/// From a dollar on whole cents, below it hundredths of them.
///
/// # Errors
/// When a price is finer, or not above nought.
pub fn check_tick(name: &str, price: Option<Decimal>) -> Result<(), Refusal> {
    let Some(price) = price else { return Ok(()) };
    if price <= Decimal::ZERO {
        return Err(Refusal::invalid(format!("{name} must be > 0")));
    }
    let places = if price >= Decimal::ONE { 2 } else { 4 };
    if price.places() > places {
        let message =
            format!("invalid {name} {price}. sub-penny increment does not fulfill minimum pricing criteria");
        return Err(Refusal::unprocessable(message));
    }
    Ok(())
}
