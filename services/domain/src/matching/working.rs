//! One working order and how a bar trades it.

use contracts::v1::{OrderSpec, OrderType, Side, TimeInForce};

use super::costs::{CostError, CostTable, commission, slip};
use crate::bar::Bar;
use crate::money::{Price, Quantity};
use crate::order::{Execution, OrderState};

/// An order that the simulated market cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("order {order_id}: `{field}` is {value}, expected {expected}")]
pub struct Unsupported {
    /// Order.
    pub order_id: String,
    /// Field of the order.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What the simulated market works.
    pub expected: &'static str,
}

/// An order that waits for a bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkingOrder {
    /// Order.
    pub order_id: String,
    /// Account, by which costs are found.
    pub account: String,
    /// Symbol.
    pub symbol: String,
    /// Side.
    pub side: Side,
    /// Limit price; `None` for a market order.
    pub limit: Option<Price>,
    /// Day or good till cancelled.
    pub time_in_force: TimeInForce,
    /// Shares still to trade, positive.
    pub remaining: Quantity,
    /// Instant of acceptance, in market time.
    pub accepted_ns: i64,
    /// Number that the order's next fill bears.
    pub next_fill: u32,
}

impl WorkingOrder {
    /// An order that is accepted at `accepted_ns`, or why it cannot be worked.
    pub fn new(spec: &OrderSpec, accepted_ns: i64) -> Result<Self, Unsupported> {
        let unsupported = |field, value: String, expected| {
            Err(Unsupported { order_id: spec.order_id.clone(), field, value, expected })
        };
        let limit = match (spec.order_type(), spec.limit_price_e9) {
            (OrderType::Market, _) => None,
            (OrderType::Limit, Some(limit)) if limit > 0 => Some(Price(limit)),
            (OrderType::Limit, limit) => {
                let value = limit.map_or("missing".to_owned(), |limit| Price(limit).to_string());
                return unsupported("limit_price_e9", value, "a positive price");
            }
            (other, _) => {
                return unsupported("order_type", other.as_str_name().to_owned(), "market or limit");
            }
        };
        let time_in_force = spec.time_in_force();
        if !matches!(time_in_force, TimeInForce::Day | TimeInForce::Gtc) {
            let value = time_in_force.as_str_name().to_owned();
            return unsupported("time_in_force", value, "day or good till cancelled");
        }
        if spec.side() == Side::Unspecified {
            return unsupported("side", "unspecified".to_owned(), "buy or sell");
        }
        if spec.quantity_e9 <= 0 {
            return unsupported("quantity_e9", Quantity(spec.quantity_e9).to_string(), "a positive quantity");
        }
        Ok(Self {
            order_id: spec.order_id.clone(),
            account: spec.account.clone(),
            symbol: spec.symbol.clone(),
            side: spec.side(),
            limit,
            time_in_force,
            remaining: Quantity(spec.quantity_e9),
            accepted_ns,
            next_fill: 1,
        })
    }

    /// The working order behind an open order of the book that the broker had accepted; `None` when it
    /// was not accepted or has ended.
    pub fn resume(order: &OrderState) -> Result<Option<Self>, Unsupported> {
        let Some(accepted_ns) = order.accepted_ns.filter(|_| !order.status.is_ended()) else {
            return Ok(None);
        };
        let mut working = Self::new(&order.spec, accepted_ns)?;
        working.remaining = order.remaining();
        working.next_fill = order.fills.saturating_add(1);
        Ok(Some(working))
    }

    pub(super) fn priority(&self) -> (i64, &str) {
        (self.accepted_ns, &self.order_id)
    }

    /// How `bar`, whose first tradable moment is `first_ns`, fills the order; `None` when it does not.
    pub(super) fn trade(
        &self,
        bar: &Bar,
        first_ns: i64,
        costs: &CostTable,
    ) -> Result<Option<Execution>, CostError> {
        // A bar that opened before the order was there shows prices from before it.
        if first_ns < self.accepted_ns || bar.close_ns <= self.accepted_ns {
            return Ok(None);
        }
        let costs = costs.of(&self.account);
        let failed = |field| CostError { order_id: self.order_id.clone(), field };
        let (price, slippage, executed_ns) = match self.limit {
            None => {
                let (price, slippage) = slip(costs, self.side, bar.open).ok_or_else(|| failed("slippage"))?;
                (price, slippage, first_ns)
            }
            Some(limit) => match self.through(bar, limit) {
                None => return Ok(None),
                // When within the bar a limit was reached is not known; its close is when it is known.
                Some(price) if price == bar.open => (price, Price::ZERO, first_ns),
                Some(price) => (price, Price::ZERO, bar.close_ns),
            },
        };
        let commission = commission(costs, price, self.remaining).ok_or_else(|| failed("commission"))?;
        Ok(Some(Execution {
            execution_id: format!("sim-{}-{}", self.order_id, self.next_fill),
            quantity: self.remaining,
            price,
            commission,
            slippage,
            executed_ns,
        }))
    }

    /// The price of a limit order when the bar trades through its limit: touching it is not enough.
    fn through(&self, bar: &Bar, limit: Price) -> Option<Price> {
        match self.side {
            Side::Buy => (bar.low < limit).then(|| bar.open.min(limit)),
            Side::Sell => (bar.high > limit).then(|| bar.open.max(limit)),
            Side::Unspecified => None,
        }
    }
}
