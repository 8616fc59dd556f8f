//! What a broker says of an order, as data.

use serde::{Deserialize, Serialize};

use crate::money::{Amount, Price, Quantity, stored};

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

/// An execution that is folded already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    /// Broker's id.
    pub id: String,
    /// Number of the fill within the order.
    pub number: u32,
    /// Shares, in the order's present terms; zero once it was busted.
    #[serde(with = "stored")]
    pub quantity: Quantity,
    /// Price per share.
    #[serde(with = "stored")]
    pub price: Price,
    /// Commission and fees.
    #[serde(with = "stored")]
    pub commission: Amount,
    /// Broker's ids of the corrections and of the bust that were folded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<String>,
}

impl Executed {
    /// Whether the broker took it back.
    #[must_use]
    pub fn is_busted(&self) -> bool {
        self.quantity == Quantity::ZERO
    }
}

/// Terms under which a broker works an order that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Id the broker was given for them.
    pub client_order_id: String,
    /// Broker's own id.
    pub broker_order_id: String,
    /// Shares of the whole order.
    pub quantity: Quantity,
    /// Limit price.
    pub limit: Option<Price>,
    /// Stop price.
    pub stop: Option<Price>,
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
    /// It works it with new terms, under new ids.
    Replaced(Terms),
    /// It would not replace the terms.
    ReplaceRejected {
        /// Why.
        reason: String,
    },
    /// An execution was other than it had said. Its execution id is that of the first report.
    Corrected {
        /// Broker's id of the correction.
        correction_id: String,
        /// The execution as it is.
        execution: Execution,
    },
    /// An execution is void.
    Busted {
        /// Broker's id of the bust.
        correction_id: String,
        /// Broker's id of the execution.
        execution_id: String,
        /// Why.
        reason: String,
    },
    /// It works the order although it had said that it had ended.
    Reopened {
        /// Broker's own id.
        broker_order_id: String,
    },
    /// There was no answer to a request; it is asked for.
    Unresolved {
        /// `submit`, `cancel` or `replace`.
        doing: &'static str,
        /// What is known of the failure.
        problem: String,
    },
}
