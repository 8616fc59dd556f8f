//! What a script decides about orders before they come, and what it does with them afterwards.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::decimal::Decimal;

const fn once() -> u32 {
    1
}

/// What becomes of an order, decided before it comes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// The order with this id; any when left out.
    pub client_order_id: Option<String>,
    /// Orders in this symbol; any when left out.
    pub symbol: Option<String>,
    /// How many orders it is for.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens when it comes.
    pub on_submit: OnSubmit,
    /// Executions right after it is accepted.
    pub fills: Vec<Part>,
    /// The market does not fill it; only the plan and the control interface do.
    pub manual: bool,
    /// What happens when it is to be cancelled.
    pub on_cancel: OnRequest,
    /// What happens when it is to be replaced.
    pub on_replace: OnRequest,
}

/// What happens when an order comes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSubmit {
    /// It works.
    #[default]
    Accept,
    /// It stays `pending_new` until the control interface says more.
    Hold,
    /// It is taken with 200 and rejected afterwards.
    Reject,
    /// It is refused.
    Refuse {
        /// The status.
        status: u16,
        /// The code.
        code: i64,
        /// The message.
        message: String,
        /// Further fields of the body.
        #[serde(default)]
        extras: Value,
    },
}

/// What happens when an order is to be cancelled or replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRequest {
    /// It is, at once.
    #[default]
    Done,
    /// It is pending until the control interface says more, and may be filled meanwhile.
    Hold,
    /// A fill came first: the request was taken, and the order is filled.
    Filled,
    /// The request was taken, and the exchange did not do it.
    Rejected,
}

/// A part of an order that is executed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Shares; all that is left when left out.
    #[serde(default)]
    pub qty: Option<Decimal>,
    /// The price; the market's when left out.
    #[serde(default)]
    pub price: Option<Decimal>,
}

/// What a script does with an order that is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Act {
    /// It works from now on.
    Accept,
    /// It is executed, in part or whole.
    Fill {
        /// Shares; all that is left when left out.
        #[serde(default)]
        qty: Option<Decimal>,
        /// The price; the market's when left out.
        #[serde(default)]
        price: Option<Decimal>,
    },
    /// It is cancelled, whether that was asked for or not.
    Cancel,
    /// Its pending replacement takes its place.
    Replace,
    /// What is pending is not done, and the order goes on as before.
    Refuse,
    /// It is rejected.
    Reject,
    /// It expires.
    Expire,
    /// An execution never was.
    Bust {
        /// The execution; the last one when left out.
        #[serde(default)]
        execution_id: Option<String>,
    },
    /// An execution was another one.
    Correct {
        /// The execution; the last one when left out.
        #[serde(default)]
        execution_id: Option<String>,
        /// Shares, when they change.
        #[serde(default)]
        qty: Option<Decimal>,
        /// The price, when it changes.
        #[serde(default)]
        price: Option<Decimal>,
    },
    /// An update is sent and the status set, without anything else happening.
    Announce {
        /// The event's name.
        event: String,
        /// The status from now on.
        #[serde(default)]
        status: Option<super::order::Status>,
    },
}

impl Plan {
    /// Whether an order is meant.
    #[must_use]
    pub fn fits(&self, client_order_id: &str, symbol: &str) -> bool {
        self.client_order_id.as_deref().is_none_or(|wanted| wanted == client_order_id)
            && self.symbol.as_deref().is_none_or(|wanted| wanted == symbol)
    }
}
