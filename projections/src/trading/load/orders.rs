//! Orders as their rows: every field of the domain's order is a column here.

use contracts::v1::{GroupKind, GroupPolicy, OrderSpec, OrderType, Side, TimeInForce};
use domain::money::{Amount, Price, Quantity};
use domain::order::{Executed, GroupStage, OrderState, OrderStatus, Replacement, Revision};
use serde::Deserialize;

use super::{Exact, Short};

#[derive(Deserialize)]
pub(super) struct OrderRow {
    order_id: String,
    account: String,
    strategy: String,
    symbol: String,
    side: Short<Side>,
    order_type: Short<OrderType>,
    time_in_force: Short<TimeInForce>,
    quantity: Exact<Quantity>,
    limit_price: Option<Exact<Price>>,
    stop_price: Option<Exact<Price>>,
    leg: u32,
    reducing: bool,
    status: String,
    cancel_requested: bool,
    filled: Exact<Quantity>,
    fills: u32,
    filled_value: Exact<Amount>,
    commission: Exact<Amount>,
    executions: Vec<Stored>,
    reference_price: Exact<Price>,
    client_order_id: String,
    broker: String,
    broker_order_id: String,
    reason: String,
    signal_id: String,
    decision_id: String,
    correlation_id: String,
    adjusted_by: String,
    last_sequence: u64,
    approved_ns: i64,
    submitted_ns: Option<i64>,
    accepted_ns: Option<i64>,
    ended_ns: Option<i64>,
    updated_ns: i64,
    trail_price: Option<Exact<Price>>,
    trail_rate: Option<Exact<Price>>,
    group_kind: Short<GroupKind>,
    group_id: String,
    parent_id: String,
    triggered_ns: Option<i64>,
    worked_ns: Option<i64>,
    extreme_price: Option<Exact<Price>>,
    tradable: Option<Exact<Quantity>>,
    resolving: String,
    replacement: Option<Replacement>,
    chain: Vec<Revision>,
    revision: u32,
    extended_hours: bool,
    notional: Option<Exact<Price>>,
    group_policy: Short<GroupPolicy>,
    group_stage: String,
    asked_revision: u32,
    cancel_refused_ns: Option<i64>,
}

/// An execution; before the second version of the projection only its id was kept.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Whole(Executed),
    Id(String),
}

impl Stored {
    fn executed(self) -> Executed {
        match self {
            Self::Whole(executed) => executed,
            Self::Id(id) => Executed {
                id,
                number: 0,
                quantity: Quantity::ZERO,
                price: Price::ZERO,
                commission: Amount::ZERO,
                corrections: Vec::new(),
            },
        }
    }
}

impl OrderRow {
    pub fn state(self) -> OrderState {
        let spec = OrderSpec {
            order_id: self.order_id,
            account: self.account,
            strategy: self.strategy,
            symbol: self.symbol,
            side: self.side.0.into(),
            order_type: self.order_type.0.into(),
            time_in_force: self.time_in_force.0.into(),
            quantity_e9: self.quantity.0.0,
            limit_price_e9: self.limit_price.map(|exact| exact.0.0),
            stop_price_e9: self.stop_price.map(|exact| exact.0.0),
            leg: self.leg,
            reducing: self.reducing,
            trail_price_e9: self.trail_price.map(|exact| exact.0.0),
            trail_rate_e9: self.trail_rate.map(|exact| exact.0.0),
            group: self.group_kind.0.into(),
            group_id: self.group_id,
            parent_id: self.parent_id,
            extended_hours: self.extended_hours,
            notional_e9: self.notional.map(|exact| exact.0.0),
            group_policy: self.group_policy.0.into(),
            revision: self.revision,
        };
        // Every field is named, so that a field added to the order is a column added here.
        OrderState {
            spec,
            signal_id: self.signal_id,
            decision_id: self.decision_id,
            correlation_id: self.correlation_id,
            // An order of a status that this program does not know is not settled: the broker is asked.
            status: OrderStatus::from_name(&self.status).unwrap_or(OrderStatus::Submitted),
            cancel_requested: self.cancel_requested,
            cancel_refused_ns: self.cancel_refused_ns,
            filled: self.filled.0,
            fills: self.fills,
            filled_value: self.filled_value.0,
            commission: self.commission.0,
            executions: self.executions.into_iter().map(Stored::executed).collect(),
            client_order_id: self.client_order_id,
            broker: self.broker,
            broker_order_id: self.broker_order_id,
            reference_price: self.reference_price.0,
            adjusted_by: self.adjusted_by,
            last_sequence: self.last_sequence,
            approved_ns: self.approved_ns,
            submitted_ns: self.submitted_ns,
            accepted_ns: self.accepted_ns,
            ended_ns: self.ended_ns,
            updated_ns: self.updated_ns,
            triggered_ns: self.triggered_ns,
            worked_ns: self.worked_ns,
            extreme: self.extreme_price.map(|exact| exact.0),
            tradable: self.tradable.map(|exact| exact.0),
            reason: self.reason,
            resolving: self.resolving,
            replace: self.replacement,
            asked_revision: self.asked_revision,
            chain: self.chain,
            group_stage: GroupStage::from_name(&self.group_stage).unwrap_or_default(),
        }
    }
}
