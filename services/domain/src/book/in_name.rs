//! What is in a strategy's name, whether it is registered or not.
//!
//! A registration ends; positions, orders, stops and limits do not end with it. As long as there is any, the name has
//! to stay within an operator's reach.

use std::collections::BTreeSet;
use std::fmt;

use contracts::v1::{PositionsFate, RiskTally};

use super::{Book, Stopping};
use crate::money::Quantity;

/// What is in a strategy's name. In words it is what it holds: `20 ACMEX, 1 open order`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InName {
    /// Symbol and signed shares of each position that is not flat, by account and symbol.
    pub positions: Vec<(String, Quantity)>,
    /// Orders that have not ended.
    pub orders: usize,
    /// Whether it was stopped so that all of it is closed or handed over, and that is under way.
    pub leaving: bool,
    /// Whether a halt, a kill switch or a breaker of it is in force.
    pub stopped: bool,
    /// Whether limits of it are in force.
    pub limited: bool,
}

impl InName {
    /// Whether it has positions or open orders.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.positions.is_empty() || self.orders > 0
    }

    /// Whether nothing is in the name, so that nothing about it can be commanded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !(self.holds() || self.stopped || self.limited)
    }
}

impl fmt::Display for InName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words: Vec<String> =
            self.positions.iter().map(|(symbol, quantity)| format!("{quantity} {symbol}")).collect();
        match self.orders {
            0 => {}
            1 => words.push("1 open order".to_owned()),
            orders => words.push(format!("{orders} open orders")),
        }
        formatter.write_str(&words.join(", "))
    }
}

impl Book {
    /// What is in the name of a strategy.
    #[must_use]
    pub fn in_name(&self, strategy: &str) -> InName {
        let own = self.positions().filter(|row| row.key.strategy == strategy);
        let held = own.filter(|row| row.quantity != Quantity::ZERO);
        let leaving = |stopping: &Stopping| {
            !stopping.done && matches!(stopping.positions(), PositionsFate::Flatten | PositionsFate::HandOver)
        };
        InName {
            positions: held.map(|row| (row.key.symbol.clone(), row.quantity)).collect(),
            orders: self.open_orders().filter(|order| order.spec.strategy == strategy).count(),
            leaving: self.strategy(strategy).and_then(|row| row.stopping.as_ref()).is_some_and(leaving),
            stopped: self.tallies().any(|tally| tally.strategy == strategy && is_stopped(tally)),
            limited: self.limit_sets().any(|set| set.scope.strategy == strategy && set.is_stated()),
        }
    }

    /// Every strategy that something can be commanded of: those that are registered, and those with anything in
    /// their name. What is traded by hand is none of them.
    #[must_use]
    pub fn strategy_names(&self) -> BTreeSet<&str> {
        let registered = self.strategies().filter(|row| row.registered).map(|row| row.strategy.as_str());
        let held = self.positions().filter(|row| row.quantity != Quantity::ZERO);
        let ordered = self.open_orders().map(|order| order.spec.strategy.as_str());
        let stopped = self.tallies().filter(|tally| is_stopped(tally)).map(|tally| tally.strategy.as_str());
        let limited = self.limit_sets().filter(|set| set.is_stated()).map(|set| set.scope.strategy.as_str());
        let held = held.map(|row| row.key.strategy.as_str());
        let all = registered.chain(held).chain(ordered).chain(stopped).chain(limited);
        all.filter(|name| !name.is_empty() && *name != contracts::MANUAL).collect()
    }
}

fn is_stopped(tally: &RiskTally) -> bool {
    tally.halt.is_some() || tally.kill.is_some() || !tally.breakers.is_empty()
}
