//! The terms of an order in the words that people read: names of the wire stay on the wire.

use contracts::v1::{OrderType, TimeInForce};

/// The type of an order.
#[must_use]
pub const fn order_type(order_type: OrderType) -> &'static str {
    match order_type {
        OrderType::Market => "market",
        OrderType::Limit => "limit",
        OrderType::Stop => "stop",
        OrderType::StopLimit => "stop-limit",
        OrderType::TrailingStop => "trailing stop",
        OrderType::Unspecified => "not stated",
    }
}

/// How long an order works.
#[must_use]
pub const fn time_in_force(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Day => "day",
        TimeInForce::Gtc => "gtc",
        TimeInForce::Ioc => "ioc",
        TimeInForce::Fok => "fok",
        TimeInForce::Opg => "on-open",
        TimeInForce::Cls => "on-close",
        TimeInForce::Unspecified => "not stated",
    }
}
