//! An order as Alpaca shows it, and where it stands.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::plan::Plan;
use crate::decimal::Decimal;
use crate::wire;

/// Buy or sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// A quantity with the sign of this side.
    #[must_use]
    pub fn signed(self, quantity: Decimal) -> Decimal {
        match self {
            Self::Buy => quantity,
            Self::Sell => -quantity,
        }
    }
}

/// When an order may be filled, and at what price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Market,
    Limit,
    Stop,
    StopLimit,
    TrailingStop,
}

/// How long an order lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the vendor's names")]
pub enum TimeInForce {
    Day,
    Gtc,
    Opg,
    Cls,
    Ioc,
    Fok,
}

/// What belongs together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the vendor's names")]
pub enum Class {
    #[default]
    #[serde(alias = "")]
    Simple,
    Bracket,
    Oco,
    Oto,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the vendor's names")]
pub enum Status {
    New,
    PartiallyFilled,
    Filled,
    DoneForDay,
    Canceled,
    Expired,
    Replaced,
    PendingCancel,
    PendingReplace,
    PendingNew,
    Accepted,
    Stopped,
    Rejected,
    Suspended,
    Calculated,
    Held,
}

impl Status {
    /// Nothing more happens to the order.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Expired | Self::Rejected | Self::Replaced)
    }

    /// The vendor's name.
    #[must_use]
    pub fn name(self) -> String {
        named(&self)
    }
}

/// The vendor's name of a value.
fn named(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

/// An execution that stands.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its id.
    pub id: String,
    /// Shares.
    pub quantity: Decimal,
    /// The price of one.
    pub price: Decimal,
}

/// An order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Given by the broker.
    pub id: String,
    /// Given by the client.
    pub client_order_id: String,
    /// The symbol.
    pub symbol: String,
    /// The broker's id of the symbol.
    pub asset_id: String,
    /// Buy or sell.
    pub side: Side,
    /// When it may be filled.
    pub kind: Kind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// What it belongs to.
    pub class: Class,
    /// Shares; none when a sum is ordered.
    pub quantity: Option<Decimal>,
    /// The sum that is ordered.
    pub notional: Option<Decimal>,
    /// The worst price.
    pub limit_price: Option<Decimal>,
    /// The price from which it works.
    pub stop_price: Option<Decimal>,
    /// How far the stop follows, in dollars.
    pub trail_price: Option<Decimal>,
    /// How far the stop follows, in percent.
    pub trail_percent: Option<Decimal>,
    /// The best price since it works.
    pub high_water: Option<Decimal>,
    /// Also before the open and after the close.
    pub extended_hours: bool,
    /// Where it stands.
    pub status: Status,
    /// A stop of it has been reached.
    pub triggered: bool,
    /// It may be filled; the legs of an entry may not before the entry is.
    pub live: bool,
    /// What has been executed and stands.
    pub executions: Vec<Execution>,
    /// Its exits.
    pub legs: Vec<usize>,
    /// What it is an exit of.
    pub parent: Option<usize>,
    /// The order that it took the place of.
    pub replaces: Option<usize>,
    /// The order that took its place.
    pub replaced_by: Option<usize>,
    /// What a script has decided about it.
    pub plan: Plan,
    /// When things happened, in UTC nanoseconds.
    pub times: Times,
}

/// When things happened to an order.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the vendor's names")]
pub struct Times {
    pub created: i64,
    pub updated: i64,
    pub expires: Option<i64>,
    pub filled: Option<i64>,
    pub expired: Option<i64>,
    pub canceled: Option<i64>,
    pub failed: Option<i64>,
    pub replaced: Option<i64>,
}

impl Order {
    /// Shares executed.
    #[must_use]
    pub fn filled(&self) -> Decimal {
        self.executions.iter().map(|execution| execution.quantity).sum()
    }

    /// The average price of what was executed.
    #[must_use]
    pub fn average_price(&self) -> Option<Decimal> {
        let filled = self.filled();
        let value: Decimal =
            self.executions.iter().map(|execution| execution.quantity.times(execution.price)).sum();
        (!filled.is_zero()).then(|| value.over(filled))
    }

    /// Shares to go at a price; a sum buys what it is worth there.
    #[must_use]
    pub fn remaining(&self, price: Decimal) -> Decimal {
        match (self.quantity, self.notional) {
            (Some(quantity), _) => quantity - self.filled(),
            (None, Some(notional)) if self.executions.is_empty() => notional.over(price),
            _ => Decimal::ZERO,
        }
    }

    /// Whether it is still open at the broker.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !self.status.is_final()
    }

    /// The order in the vendor's shape, without its legs.
    #[must_use]
    pub fn flat(&self, orders: &[Self]) -> Value {
        let time = |at_ns: Option<i64>| at_ns.map(wire::rfc3339);
        let id =
            |index: Option<usize>| index.and_then(|index| orders.get(index)).map(|order| order.id.clone());
        json!({
            "id": self.id,
            "client_order_id": self.client_order_id,
            "created_at": wire::rfc3339(self.times.created),
            "updated_at": wire::rfc3339(self.times.updated),
            "submitted_at": wire::rfc3339(self.times.created),
            "filled_at": time(self.times.filled),
            "expired_at": time(self.times.expired),
            "expires_at": time(self.times.expires),
            "canceled_at": time(self.times.canceled),
            "failed_at": time(self.times.failed),
            "replaced_at": time(self.times.replaced),
            "replaced_by": id(self.replaced_by),
            "replaces": id(self.replaces),
            "asset_id": self.asset_id,
            "symbol": self.symbol,
            "asset_class": "us_equity",
            "notional": self.notional,
            "qty": self.quantity,
            "filled_qty": self.filled(),
            "filled_avg_price": self.average_price(),
            "order_class": if self.class == Class::Simple { String::new() } else { named(&self.class) },
            "order_type": self.kind,
            "type": self.kind,
            "side": self.side,
            "position_intent": match self.side { Side::Buy => "buy_to_open", Side::Sell => "sell_to_close" },
            "time_in_force": self.time_in_force,
            "limit_price": self.limit_price,
            "stop_price": self.stop_price,
            "status": self.status,
            "extended_hours": self.extended_hours,
            "legs": null,
            "trail_percent": self.trail_percent,
            "trail_price": self.trail_price,
            "hwm": self.high_water,
            "subtag": null,
            "source": null,
        })
    }

    /// The order in the vendor's shape, with its legs.
    #[must_use]
    pub fn nested(&self, orders: &[Self]) -> Value {
        let mut told = self.flat(orders);
        let legs = self.legs.iter().filter_map(|leg| orders.get(*leg));
        if !self.legs.is_empty() {
            told["legs"] = legs.map(|leg| leg.flat(orders)).collect();
        }
        told
    }
}
