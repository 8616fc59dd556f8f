//! What a broker says of an order, as data.

use crate::money::{Amount, Price, Quantity};

/// One execution, as a broker reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Broker's id of the execution; the same report twice carries the same id.
    pub execution_id: String,
    /// Shares, positive.
    pub quantity: Quantity,
    /// Price per share, slippage included.
    pub price: Price,
    /// Commission and fees, positive when paid.
    pub commission: Amount,
    /// Slippage per share against the reference price, positive when it cost money.
    pub slippage: Price,
    /// When it happened, UTC nanoseconds.
    pub executed_ns: i64,
    /// Whether the order of prices within a bar mattered and the worse one was taken; a market knows better.
    pub ambiguous: bool,
}

/// What a broker says of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokerReport {
    /// The broker works it.
    Accepted {
        /// Broker's own id.
        broker_order_id: String,
    },
    /// The broker refused it.
    Rejected {
        /// Why.
        reason: String,
    },
    /// Its stop was reached: it works as a market or limit order from now on.
    Triggered {
        /// The stop price.
        stop: Price,
        /// When, UTC nanoseconds.
        at_ns: i64,
    },
    /// Its trailing stop moved.
    Trailed {
        /// Best price since it works.
        extreme: Price,
        /// Stop price from now on.
        stop: Price,
    },
    /// Some or all of it was filled.
    Filled(Execution),
    /// It was cancelled; what was filled stays filled.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// The broker would not cancel.
    CancelRejected {
        /// Why.
        reason: String,
    },
    /// Its time in force is over.
    Expired {
        /// Why.
        reason: String,
    },
    /// The broker holds it without working it.
    Suspended {
        /// Why.
        reason: String,
    },
}
