//! One order at the exchange: its terms, what was said of it, and how it stands.

use std::collections::BTreeMap;

use broker::Report;
use contracts::v1::{GroupKind, OrderSpec, OrderType};
use domain::invariant::AtBroker;
use domain::money::{Amount, Price, Quantity};
use domain::order::{BrokerReport, BrokerTruth, CENT, Execution, OrderState, OrderStatus, Standing};

/// One order at the exchange.
pub(super) struct Held {
    /// The terms that it is worked with.
    pub spec: OrderSpec,
    /// Ids of the terms that took the place of others, oldest first: the client's and the broker's.
    pub revisions: Vec<(String, String)>,
    pub history: Vec<Report>,
    pub working: bool,
    /// What was traded, whatever became of it since.
    pub filled: i64,
    /// What it came to.
    value: Amount,
    pub fills: u32,
    /// What counts of it now.
    pub executions: Vec<Execution>,
    /// Executions that were said anew or taken back.
    pub restated: Vec<String>,
}

impl Held {
    /// An order that nothing has happened to.
    pub fn new(spec: &OrderSpec) -> Self {
        Self {
            spec: spec.clone(),
            revisions: Vec::new(),
            history: Vec::new(),
            working: true,
            filled: 0,
            value: Amount::ZERO,
            fills: 0,
            executions: Vec::new(),
            restated: Vec::new(),
        }
    }

    /// Takes an execution in.
    pub fn fill(&mut self, execution: &Execution) {
        self.filled += execution.quantity.0;
        self.value.0 += Amount::notional(execution.price, execution.quantity).0;
        self.fills += 1;
        self.executions.push(execution.clone());
    }

    /// Whether nothing is left to trade: of an order for an amount less than a cent.
    pub fn is_filled(&self) -> bool {
        match self.spec.notional_e9 {
            Some(notional) => i128::from(notional) - self.value.0 < CENT.0,
            None => self.filled >= self.spec.quantity_e9,
        }
    }

    /// Shares of it that may come late, when it is cancelled: none where it is for an amount, which buys as many as it does.
    pub fn may_come_late(&self) -> i64 {
        let may = self.working && self.is_alone() && self.spec.notional_e9.is_none();
        if may { self.spec.quantity_e9 - self.filled } else { 0 }
    }

    /// Whether it belongs to no group.
    pub fn is_alone(&self) -> bool {
        self.spec.group() == GroupKind::Unspecified
    }

    /// The order as it stands here, with the new terms that `order` is to get.
    pub fn as_worked(&self, order: &OrderState, now_ns: i64) -> OrderState {
        let mut worked = order.clone();
        worked.spec = self.spec.clone();
        worked.status = OrderStatus::Accepted;
        worked.accepted_ns = Some(now_ns);
        (worked.filled, worked.fills) = (Quantity(self.filled), self.fills);
        (worked.triggered_ns, worked.extreme) = (None, None);
        for said in &self.history {
            match &said.report {
                BrokerReport::Triggered { at_ns, .. } => worked.triggered_ns = Some(*at_ns),
                BrokerReport::Trailed { extreme, stop } => {
                    (worked.extreme, worked.spec.stop_price_e9) = (Some(*extreme), Some(stop.0));
                }
                _ => {}
            }
        }
        worked
    }

    fn standing(&self) -> Standing {
        if self.working {
            return Standing::Working;
        }
        if self.is_filled() {
            return Standing::Filled;
        }
        let end = self.history.iter().rev().find_map(|said| match &said.report {
            BrokerReport::Cancelled { reason } => Some(Standing::Cancelled(reason.clone())),
            BrokerReport::Expired { reason } => Some(Standing::Expired(reason.clone())),
            BrokerReport::Rejected { reason } => Some(Standing::Rejected(reason.clone())),
            _ => None,
        });
        end.unwrap_or_else(|| Standing::Cancelled("it is worked no longer".to_owned()))
    }

    /// How it stands as a whole; `client` is the client order id of its first terms.
    pub fn truth(&self, client: &str) -> BrokerTruth {
        let first = || (client.to_owned(), broker_order_id(&self.spec.order_id));
        let (client_order_id, broker_order_id) = self.revisions.last().cloned().unwrap_or_else(first);
        // Where a trailing stop stands is said by its moves.
        let stop = self.spec.stop_price_e9.filter(|_| self.spec.order_type() != OrderType::TrailingStop);
        BrokerTruth {
            client_order_id,
            broker_order_id,
            standing: self.standing(),
            quantity: Quantity(self.spec.quantity_e9),
            limit: self.spec.limit_price_e9.map(Price),
            stop: stop.map(Price),
            executions: self.executions.clone(),
        }
    }

    /// The order under each of its client order ids.
    pub fn at_broker(&self, client: &str) -> Vec<AtBroker> {
        let executions: BTreeMap<_, _> = self
            .executions
            .iter()
            .map(|execution| (execution.execution_id.clone(), (execution.quantity, execution.price)))
            .collect();
        let ids = std::iter::once(client).chain(self.revisions.iter().map(|(client, _)| client.as_str()));
        ids.map(|client| AtBroker {
            client_order_id: client.to_owned(),
            working: self.working,
            executions: executions.clone(),
        })
        .collect()
    }
}

/// The exchange's own id of an order.
pub(super) fn broker_order_id(order_id: &str) -> String {
    format!("sim-{order_id}")
}
